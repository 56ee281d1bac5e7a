//! An error of reqwest, hyper, rustls or the operating system, turned into one closed word and a short text.

use super::addresses::Refusal;
use crate::domain::request::{FailureKind, TransportFailure};
use crate::seams::is_own_shortage;
use std::error::Error;
use std::io;

/// The longest detail, in characters.
const MAX_DETAIL_CHARS: usize = 300;

/// How far the answer had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// No head yet.
    Head,
    /// The head was there, the body not whole.
    Body,
}

/// A failure with a text of our own.
pub(super) fn failure(kind: FailureKind, detail: impl AsRef<str>) -> TransportFailure {
    TransportFailure { kind, detail: bounded(detail.as_ref()) }
}

/// No file is left for another connection.
pub(super) fn no_files() -> TransportFailure {
    let detail = "as many requests are on their way as the limit of open files allows; raise it (LimitNOFILE, \
                  ulimits.nofile), or lower limits.in_flight";
    failure(FailureKind::Overloaded, detail)
}

/// What an error of a request means.
pub(super) fn of_request(error: reqwest::Error, stage: Stage) -> TransportFailure {
    // The URL would bring the query string into logs.
    let error = error.without_url();
    let kind = match stage {
        Stage::Head => at_head(&error),
        Stage::Body => at_body(&error, error.is_timeout()),
    };
    failure(kind, innermost(&error))
}

/// What an error of a request means on a connection of ours.
pub(super) fn of_answer(error: &hyper::Error, stage: Stage) -> TransportFailure {
    let kind = match stage {
        Stage::Head => {
            chain(error).find_map(tls_kind).unwrap_or_else(|| after_connecting(error, error.is_timeout()))
        }
        Stage::Body => at_body(error, error.is_timeout()),
    };
    failure(kind, innermost(error))
}

/// What an error of a bare TLS handshake means.
pub(super) fn of_handshake(error: &io::Error) -> TransportFailure {
    failure(chain(error).find_map(tls_kind).unwrap_or(FailureKind::Tls), error.to_string())
}

/// What an error of a bare TCP connect means.
pub(super) fn of_tcp(error: &io::Error) -> TransportFailure {
    let kind = match error.kind() {
        _ if is_own_shortage(error) => FailureKind::Overloaded,
        io::ErrorKind::TimedOut => FailureKind::ConnectTimeout,
        _ => FailureKind::ConnectRefused,
    };
    failure(kind, error.to_string())
}

/// The kind of a refusal to connect.
pub(super) const fn of_refusal(refusal: &Refusal) -> FailureKind {
    match refusal {
        Refusal::NotResolved(_) => FailureKind::Dns,
        Refusal::NoFiles => FailureKind::Overloaded,
        Refusal::Public(_) | Refusal::PlainBeyondLoopback => FailureKind::DnsPublicAddress,
    }
}

fn at_head(error: &reqwest::Error) -> FailureKind {
    if let Some(refusal) = find::<Refusal>(error) {
        return of_refusal(refusal);
    }
    if let Some(kind) = chain(error).find_map(tls_kind) {
        return kind;
    }
    if error.is_connect() {
        if chain(error).filter_map(|error| error.downcast_ref::<io::Error>()).any(is_own_shortage) {
            return FailureKind::Overloaded;
        }
        let io_kind = innermost_io(error);
        return match io_kind {
            _ if error.is_timeout() => FailureKind::ConnectTimeout,
            Some(io::ErrorKind::TimedOut) => FailureKind::ConnectTimeout,
            // TCP answers a first packet with a refusal, never with one of these: it was the handshake.
            Some(
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::InvalidData,
            ) => FailureKind::Tls,
            _ if error.is_dns() => FailureKind::Dns,
            _ => FailureKind::ConnectRefused,
        };
    }
    after_connecting(error, error.is_timeout())
}

/// What an error means that came when there was a connection, and no answer yet.
fn after_connecting(error: &(dyn Error + 'static), timed_out: bool) -> FailureKind {
    if let Some(http) = find::<hyper::Error>(error) {
        if http.is_parse() {
            return FailureKind::Protocol;
        }
        // A head that breaks off in the middle reads the same here: hyper does not say whether a byte came.
        if http.is_incomplete_message() || http.is_closed() || http.is_canceled() {
            return FailureKind::Reset;
        }
    }
    match innermost_io(error) {
        // The kernel gave up on a connection that acknowledged nothing any more.
        Some(io::ErrorKind::TimedOut) => FailureKind::ResponseTimeout,
        Some(_) => FailureKind::Reset,
        None if timed_out => FailureKind::ResponseTimeout,
        None => FailureKind::Protocol,
    }
}

fn innermost_io(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    chain(error).filter_map(|error| error.downcast_ref::<io::Error>()).last().map(io::Error::kind)
}

fn at_body(error: &(dyn Error + 'static), timed_out: bool) -> FailureKind {
    let timed_out =
        timed_out || find::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
    if timed_out { FailureKind::ResponseTimeout } else { FailureKind::Protocol }
}

/// The kind of a TLS error, if it is one.
fn tls_kind(error: &(dyn Error + 'static)) -> Option<FailureKind> {
    Some(match error.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            FailureKind::Certificate
        }
        _ => FailureKind::Tls,
    })
}

/// The error and all that it was caused by, outermost first.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let next = |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        // `source` of an I/O error skips what it wraps, which is where TLS errors sit, sometimes twice wrapped.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &'a (dyn Error + 'static)),
            None => error.source(),
        }
    };
    // No chain is that long; a cycle would be a bug elsewhere that must not hang us.
    std::iter::successors(Some(error), next).take(16)
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|error| error.downcast_ref::<E>())
}

/// The two innermost texts: the outer ones only say that a request failed.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = chain(error).map(ToString::to_string).collect();
    texts.dedup();
    let inner = texts.split_off(texts.len().saturating_sub(2));
    match inner.as_slice() {
        [outer, inner] if !outer.contains(inner.as_str()) => format!("{outer}: {inner}"),
        [outer, _] => outer.clone(),
        rest => rest.join(": "),
    }
}

/// At most 300 characters, without control characters.
pub(super) fn bounded(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_DETAIL_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_short_and_on_one_line() {
        let detail = failure(FailureKind::Tls, format!("a\r\nb{}", "é".repeat(1000))).detail;
        assert_eq!(detail.chars().count(), 300);
        assert!(detail.starts_with("a  bé"));
    }

    #[test]
    fn a_tls_error_is_found_inside_of_an_io_error() {
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        assert_eq!(of_handshake(&io::Error::other(expired)).kind, FailureKind::Certificate);
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure);
        assert_eq!(of_handshake(&io::Error::other(alert)).kind, FailureKind::Tls);
        assert_eq!(of_handshake(&io::ErrorKind::UnexpectedEof.into()).kind, FailureKind::Tls);
        assert_eq!(of_tcp(&io::ErrorKind::ConnectionRefused.into()).kind, FailureKind::ConnectRefused);
        assert_eq!(of_tcp(&io::ErrorKind::TimedOut.into()).kind, FailureKind::ConnectTimeout);
        // EMFILE.
        assert_eq!(of_tcp(&io::Error::from_raw_os_error(24)).kind, FailureKind::Overloaded);
    }
}
