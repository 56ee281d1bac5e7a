//! HTTP/1.1 requests as they stand on the wire.
//!
//! A signature covers bytes, so nothing is decoded, merged or reordered here: path and query stay as sent
//! and a header keeps its place, its repetitions and its white space. `server` feeds it from sockets,
//! `in_memory` from bytes it wrote itself, so both run the same parser.

use std::fmt;

/// The longest head that is read, in bytes. Above the 8,000 bytes of header values that a private API
/// takes, so that the gateway and not the parser refuses those.
pub const HEAD_LIMIT_BYTES: usize = 64 * 1024;
/// The longest body that is read: well above API Gateway's 10 MB, so that its own refusal is seen.
pub const BODY_LIMIT_BYTES: usize = 16 * 1024 * 1024;
/// The most headers that are read.
const HEADER_LIMIT: usize = 128;

/// One request, byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct RawRequest {
    /// The method.
    pub method: String,
    /// Path and query as they stood in the request line.
    pub target: String,
    /// Names in lower case, values without the white space around them, in the order sent.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, without transfer coding.
    pub body: Vec<u8>,
}

impl fmt::Debug for RawRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRequest")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

impl RawRequest {
    /// Reads one whole request from bytes that hold nothing else.
    ///
    /// # Errors
    /// When the bytes are not one whole HTTP/1.1 request.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let (head, used) = Head::parse(bytes)?.ok_or(WireError::Incomplete)?;
        let rest = bytes.get(used..).unwrap_or_default();
        let body = match head.framing {
            Framing::None => Vec::new(),
            Framing::Length(length) => rest.get(..length).ok_or(WireError::Incomplete)?.to_vec(),
            Framing::Chunked => {
                let mut chunks = Chunks::default();
                if !chunks.advance(rest)? {
                    return Err(WireError::Incomplete);
                }
                chunks.body
            }
        };
        Ok(head.with_body(body))
    }

    /// The first value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_slice())
    }

    /// The first value of a header as text, where it is ASCII or UTF-8.
    #[must_use]
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The path as sent, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("/")
    }

    /// The query as sent, without the question mark; empty if there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The bytes of all header values, which is what API Gateway's quota counts.
    #[must_use]
    pub fn header_value_bytes(&self) -> usize {
        self.headers.iter().map(|(_, value)| value.len()).sum()
    }
}

/// How long the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// So many bytes.
    Length(usize),
    /// Chunked transfer coding.
    Chunked,
}

/// A request line and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    request: RawRequest,
    /// How the body is delimited.
    pub framing: Framing,
    /// True when the client wants the connection kept.
    pub keep_alive: bool,
    /// True when the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

impl Head {
    /// Reads a head from the beginning of a buffer; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes can be no HTTP/1.1 request, or pass the limits.
    pub fn parse(buffer: &[u8]) -> Result<Option<(Self, usize)>, WireError> {
        let mut slots = [httparse::EMPTY_HEADER; HEADER_LIMIT];
        let mut parsed = httparse::Request::new(&mut slots);
        let used = match parsed.parse(buffer) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) if buffer.len() < HEAD_LIMIT_BYTES => return Ok(None),
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(WireError::TooLarge);
            }
            Err(error) => return Err(WireError::Malformed(error.to_string())),
        };
        if used > HEAD_LIMIT_BYTES {
            return Err(WireError::TooLarge);
        }
        let request = RawRequest {
            method: parsed.method.unwrap_or_default().to_owned(),
            target: parsed.path.unwrap_or_default().to_owned(),
            headers: parsed
                .headers
                .iter()
                .map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec()))
                .collect(),
            body: Vec::new(),
        };
        let old = parsed.version == Some(0);
        let lists = |name: &str, word: &str| {
            request
                .header_text(name)
                .is_some_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
        };
        let keep_alive = if old { lists("connection", "keep-alive") } else { !lists("connection", "close") };
        let expects_continue = lists("expect", "100-continue");
        let framing = framing(&request)?;
        Ok(Some((Self { request, framing, keep_alive, expects_continue }, used)))
    }

    /// The whole request.
    #[must_use]
    pub fn with_body(self, body: Vec<u8>) -> RawRequest {
        RawRequest { body, ..self.request }
    }
}

/// RFC 9112, section 6.3. Two framings at once are refused: that is how requests are smuggled.
fn framing(request: &RawRequest) -> Result<Framing, WireError> {
    let mut lengths = request.headers.iter().filter(|(name, _)| name == "content-length");
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(WireError::Malformed("more than one Content-Length".into()));
    }
    match (request.header_text("transfer-encoding"), length) {
        (Some(_), Some(_)) => Err(WireError::Malformed("Content-Length beside Transfer-Encoding".into())),
        (Some(coding), None) if coding.trim().eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        (Some(_), None) => Err(WireError::Malformed("unknown transfer coding".into())),
        (None, None) => Ok(Framing::None),
        (None, Some((_, value))) => {
            let length = std::str::from_utf8(value)
                .ok()
                .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|text| text.parse::<usize>().ok())
                .ok_or_else(|| WireError::Malformed("Content-Length is no number".into()))?;
            if length > BODY_LIMIT_BYTES { Err(WireError::TooLarge) } else { Ok(Framing::Length(length)) }
        }
    }
}

/// A chunked body that is being read; keeps its place between calls, so that a long body is read once.
#[derive(Debug, Default)]
pub struct Chunks {
    /// What was decoded so far.
    pub body: Vec<u8>,
    /// How many bytes of the buffer are used up.
    pub used: usize,
}

impl Chunks {
    /// Reads on in a buffer that begins where it began at the first call; true when the body is whole.
    ///
    /// # Errors
    /// When the bytes are no chunked body, or pass the limit.
    pub fn advance(&mut self, buffer: &[u8]) -> Result<bool, WireError> {
        loop {
            let rest = buffer.get(self.used..).unwrap_or_default();
            let (head, size) = match httparse::parse_chunk_size(rest) {
                Ok(httparse::Status::Complete(found)) => found,
                Ok(httparse::Status::Partial) if rest.len() < 4096 => return Ok(false),
                Ok(httparse::Status::Partial) | Err(_) => {
                    return Err(WireError::Malformed("bad chunk size".into()));
                }
            };
            let size = usize::try_from(size).map_err(|_| WireError::TooLarge)?;
            if size.saturating_add(self.body.len()) > BODY_LIMIT_BYTES {
                return Err(WireError::TooLarge);
            }
            if size == 0 {
                return self.trailers(head, rest);
            }
            let end = head + size;
            let Some(data) = rest.get(head..end) else { return Ok(false) };
            match rest.get(end..end + 2) {
                None => return Ok(false),
                Some(b"\r\n") => {}
                Some(_) => return Err(WireError::Malformed("chunk without an end".into())),
            }
            self.body.extend_from_slice(data);
            self.used += end + 2;
        }
    }

    /// Trailer fields are read and dropped: nothing here looks at them.
    fn trailers(&mut self, head: usize, rest: &[u8]) -> Result<bool, WireError> {
        let after = rest.get(head..).unwrap_or_default();
        if after.starts_with(b"\r\n") {
            self.used += head + 2;
            return Ok(true);
        }
        match after.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(at) => {
                self.used += head + at + 4;
                Ok(true)
            }
            None if after.len() < 4096 => Ok(false),
            None => Err(WireError::TooLarge),
        }
    }
}

/// Why bytes are not a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireError {
    /// The bytes end before the request does.
    Incomplete,
    /// Head or body pass the limits.
    TooLarge,
    /// Not HTTP/1.1.
    Malformed(String),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("the request is cut short"),
            Self::TooLarge => f.write_str("the request is too large"),
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn path_query_and_header_order_stay_as_sent() {
        let request =
            RawRequest::parse(b"GET /a%2Fb//c?z=1&a HTTP/1.1\r\nHost: h\r\nX-A:  1 \r\nx-a: 2\r\n\r\n")
                .unwrap();
        assert_eq!((request.path(), request.query()), ("/a%2Fb//c", "z=1&a"));
        assert_eq!(request.headers[1..], [("x-a".into(), b"1".to_vec()), ("x-a".into(), b"2".to_vec())]);
    }

    #[test]
    fn a_chunked_body_is_read_in_any_pieces() {
        let wire = b"4\r\nwiki\r\n5;x=y\r\npedia\r\n0\r\nT: 1\r\n\r\nrest";
        let mut chunks = Chunks::default();
        let done = (0..=wire.len()).find(|&end| chunks.advance(&wire[..end]).unwrap());
        assert_eq!((done, chunks.body.as_slice()), (Some(wire.len() - 4), b"wikipedia".as_slice()));
        assert_eq!(&wire[chunks.used..], b"rest");
    }

    #[test]
    fn two_framings_and_wrong_lengths_are_refused() {
        for head in [
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: +1",
            "Transfer-Encoding: gzip",
        ] {
            let wire = format!("POST / HTTP/1.1\r\nHost: h\r\n{head}\r\n\r\n0\r\n\r\n");
            assert!(matches!(RawRequest::parse(wire.as_bytes()), Err(WireError::Malformed(_))), "{head}");
        }
        let wire = "POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n";
        assert_eq!(RawRequest::parse(wire.as_bytes()), Err(WireError::TooLarge));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _read = RawRequest::parse(&bytes);
            let _read = Chunks::default().advance(&bytes);
            let mut wire = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            wire.extend(bytes);
            let _read = RawRequest::parse(&wire);
        }
    }
}
