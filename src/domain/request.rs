//! A request on its way out and the answer on its way back.
//!
//! `RequestTemplate` (as configured) becomes `HttpRequest` (addressed), then `OutgoingRequest` (signed or
//! deliberately unsigned), and sending that gives an `Exchange`. Each step is another type, so nothing
//! unaddressed can be signed and nothing unsigned can be sent by mistake.

use crate::domain::moment::Moment;
use crate::domain::outcome::Reason;
use crate::domain::secret::ConfiguredText;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The request of a probe as configured, relative to the api's stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTemplate {
    /// The method.
    pub method: Method,
    /// Path and query after the stage, beginning with `/`, already fit to be sent.
    pub path_and_query: String,
    /// Extra headers, which are signed.
    pub headers: Vec<(HeaderName, ConfiguredText)>,
    /// The body.
    pub body: Option<ConfiguredText>,
}

impl RequestTemplate {
    /// Header values and body that came from the environment.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let texts = self.headers.iter().map(|(_, value)| value).chain(&self.body);
        texts.filter(|text| text.is_secret()).map(ConfiguredText::expose)
    }

    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or("/")
    }

    /// True for GET and HEAD, the methods that may be sent again.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }
}

/// Where a connection goes and which name its TLS handshake asks for: never derived from the signed host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConnectTarget {
    /// `false` only for plain http to a loopback address.
    pub tls: bool,
    /// The name in SNI and in the certificate check.
    pub tls_name: String,
    /// What is resolved and connected to: a DNS name or an IP address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Where an api is, and how it wants to be spoken to, by one addressing style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The `Host` header that is really sent, and therefore signed.
    pub host: String,
    /// What stands before the configured path: `/STAGE`, `/BASE_PATH` or nothing.
    pub path_prefix: String,
    /// Headers that the addressing style needs (`x-apigw-api-id`).
    pub headers: Vec<(HeaderName, String)>,
    /// Where to connect.
    pub connect: Arc<ConnectTarget>,
}

/// An addressed request, ready to be signed or to be sent unsigned. Its `Debug` hides header values and body,
/// which may come from the environment.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The `Host` header.
    pub host: String,
    /// Path and query exactly as they go on the wire.
    pub path_and_query: String,
    /// All further headers that are signed. Never `host`, `x-amz-date`, `x-amz-security-token` or
    /// `authorization`.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A request with everything that goes on the wire. Its `Debug` hides header values and body.
#[derive(Clone)]
pub struct OutgoingRequest {
    /// The method.
    pub method: Method,
    /// The `Host` header.
    pub host: String,
    /// Path and query exactly as they go on the wire.
    pub path_and_query: String,
    /// All headers but `Host`; for a signed request with date, token and authorization.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl OutgoingRequest {
    /// The request as it is, without a signature.
    #[must_use]
    pub fn unsigned(request: HttpRequest) -> Self {
        let HttpRequest { method, host, path_and_query, headers, body } = request;
        Self { method, host, path_and_query, headers, body }
    }

    /// The bytes of all header values, `Host` included: a private API takes 8,000 at most (API Gateway
    /// developer guide, quotas).
    #[must_use]
    pub fn header_value_bytes(&self) -> usize {
        self.host.len() + self.headers.values().map(|value| value.as_bytes().len()).sum::<usize>()
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, host, path_and_query, headers, body } = self;
        without_values(f, "HttpRequest", method, [host, path_and_query], headers, body)
    }
}

impl fmt::Debug for OutgoingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, host, path_and_query, headers, body } = self;
        without_values(f, "OutgoingRequest", method, [host, path_and_query], headers, body)
    }
}

fn without_values(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    method: &Method,
    [host, path_and_query]: [&String; 2],
    headers: &HeaderMap,
    body: &Bytes,
) -> fmt::Result {
    f.debug_struct(name)
        .field("method", method)
        .field("host", host)
        .field("path_and_query", path_and_query)
        .field("headers", &headers.keys().collect::<Vec<_>>())
        .field("body_bytes", &body.len())
        .finish()
}

/// How a request is to be sent.
#[derive(Debug, Clone)]
pub struct SendOptions {
    /// The longest time from sending to the last byte.
    pub timeout: Duration,
    /// True when the request must not use a pooled connection.
    pub fresh_connection: bool,
}

/// What came of sending one request.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// When the request was handed to the network.
    pub sent: Moment,
    /// When the head of the answer was there.
    pub first_byte: Option<Moment>,
    /// When the answer was complete, or when it was given up.
    pub done: Moment,
    /// Quick retries on a fresh connection that were made within this exchange, 0 or 1.
    pub retries: u8,
    /// The address of the peer, where one was connected.
    pub peer: Option<SocketAddr>,
    /// The answer, or why there is none.
    pub result: Result<Response, TransportFailure>,
}

/// An answer, bounded in size; nothing in it is to be trusted.
#[derive(Clone)]
pub struct Response {
    /// The status code, 100 to 599 (or whatever else the peer wrote, up to 999).
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, up to the read limit.
    pub body: Bytes,
    /// True when the body was longer than the read limit.
    pub truncated: bool,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("header_count", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .field("truncated", &self.truncated)
            .finish()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportFailure {
    /// The kind of failure.
    pub kind: FailureKind,
    /// What the network said, for people: at most 300 characters, without anything that was sent.
    pub detail: String,
}

/// The kinds of transport failure; each is a reason of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The name did not resolve.
    Dns,
    /// The name resolved to public addresses only; nothing was sent.
    DnsPublicAddress,
    /// No connection in time.
    ConnectTimeout,
    /// The connection was refused or the host could not be reached.
    ConnectRefused,
    /// The TLS handshake failed for another reason than the certificate.
    Tls,
    /// The certificate is expired, unknown or for another name.
    Certificate,
    /// The connection was reset or closed before any byte of an answer.
    Reset,
    /// The answer was not HTTP, or was cut short.
    Protocol,
    /// Connected and written, but no whole answer in time.
    ResponseTimeout,
    /// This process or machine has no file, buffer or memory left for a connection: it says nothing of the far side.
    Overloaded,
}

impl FailureKind {
    /// The reason of the same name.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Dns => Reason::Dns,
            Self::DnsPublicAddress => Reason::DnsPublicAddress,
            Self::ConnectTimeout => Reason::ConnectTimeout,
            Self::ConnectRefused => Reason::ConnectRefused,
            Self::Tls => Reason::Tls,
            Self::Certificate => Reason::Certificate,
            Self::Reset => Reason::Reset,
            Self::Protocol => Reason::Protocol,
            Self::ResponseTimeout => Reason::ResponseTimeout,
            Self::Overloaded => Reason::Overloaded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_header_values_nor_bodies() {
        let mut headers = HeaderMap::new();
        headers.insert("x-key", http::HeaderValue::from_static("sesame"));
        let request = HttpRequest {
            method: Method::POST,
            host: "a.test".into(),
            path_and_query: "/".into(),
            headers,
            body: Bytes::from_static(b"sesame"),
        };
        let debug = format!("{request:?}");
        for text in [debug, format!("{:?}", OutgoingRequest::unsigned(request))] {
            assert!(!text.contains("sesame") && text.contains("x-key"), "{text}");
        }
    }
}
