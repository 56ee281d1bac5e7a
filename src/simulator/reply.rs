//! An answer and what becomes of it on the wire.
//!
//! `core` makes replies, `server` writes them and `in_memory` translates them; neither adds to them.

use std::time::Duration;

/// One answer, complete, with the time to wait before it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Headers in order, with the capitals AWS writes.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; written unless the request was a HEAD.
    pub body: Vec<u8>,
    /// How long to wait before the first byte.
    pub delay: Duration,
    /// What goes wrong on the wire instead of, or with, this answer.
    pub fault: Option<WireFault>,
}

/// What goes wrong after the request was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireFault {
    /// The connection is reset without an answer.
    Reset,
    /// The connection is closed without an answer.
    Close,
    /// The head promises more bytes than come before the connection closes.
    HalfBody,
    /// A chunked body whose chunk sizes are nonsense.
    ChunkedGarbage,
    /// Bytes that are not HTTP.
    Garbage,
    /// A body of so many bytes, all `x`.
    HugeBody(u64),
    /// Nothing comes; the connection stays open.
    Hang,
}

impl WireFault {
    /// True when the client gets a status line all the same.
    #[must_use]
    pub const fn leaves_a_status(self) -> bool {
        matches!(self, Self::HugeBody(_))
    }
}

/// The start of an answer whose chunks are nonsense.
pub(crate) const CHUNKED_GARBAGE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz!\r\n{\"hello\":\r\n";
/// Bytes that are not HTTP.
pub(crate) const GARBAGE: &[u8] = b"\x15\x03\x01\x00\x02\x02\x28 this is not HTTP\r\n\r\n";

impl Reply {
    /// An answer with a status and a body.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".into(), content_type.as_bytes().to_vec())],
            body: body.into(),
            delay: Duration::ZERO,
            fault: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The first value of a header, by name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(each, _)| each.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The code as `/counts` writes it: the status, or `none` where the client gets none.
    #[must_use]
    pub fn code(&self) -> String {
        match self.fault {
            Some(fault) if !fault.leaves_a_status() => "none".into(),
            _ => self.status.to_string(),
        }
    }

    /// The head as bytes, for a body of `length` bytes.
    #[must_use]
    pub fn head(&self, length: u64, keep_alive: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason_phrase(self.status)).into_bytes();
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        let connection = if keep_alive { "keep-alive" } else { "close" };
        head.extend_from_slice(
            format!("Content-Length: {length}\r\nConnection: {connection}\r\n\r\n").as_bytes(),
        );
        head
    }
}

fn reason_phrase(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or("Unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_without_an_answer_has_no_code() {
        let mut reply = Reply::new(200, "application/json", "{}");
        assert_eq!(reply.code(), "200");
        for (fault, code) in [
            (WireFault::Reset, "none"),
            (WireFault::Hang, "none"),
            (WireFault::HalfBody, "none"),
            (WireFault::HugeBody(9), "200"),
        ] {
            reply.fault = Some(fault);
            assert_eq!(reply.code(), code);
        }
    }

    #[test]
    fn the_head_is_http() {
        let head = Reply::new(403, "application/json", "").with("x-amzn-RequestId", "1").head(2, true);
        let text = String::from_utf8(head).unwrap();
        assert!(text.starts_with("HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n"), "{text}");
        assert!(text.ends_with("Content-Length: 2\r\nConnection: keep-alive\r\n\r\n"), "{text}");
    }
}
