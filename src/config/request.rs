//! The request line and the headers of a probe.

use crate::config::path;
use crate::config::reader::{Value, configured, quoted};
use crate::config::shapes;
use crate::domain::api::Addressing;
use crate::domain::secret::ConfiguredText;
use crate::yaml::nearest;
use http::{HeaderName, HeaderValue, Method};

/// The methods that a REST API can have.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Headers that the signature, the connection or the addressing sets. A second one would break the first.
const RESERVED_HEADERS: [&str; 16] = [
    "host",
    "authorization",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "http2-settings",
];

/// More headers than a probe needs, and fewer than an API takes in bytes.
const MAX_HEADERS: usize = 50;
/// API Gateway developer guide, quotas: the bytes of all header values of a private API's request.
const MAX_HEADER_BYTES: usize = 8_000;

/// Why a header cannot be set by hand, if so. For `call` too.
#[must_use]
pub fn is_reserved_header(name: &HeaderName) -> bool {
    RESERVED_HEADERS.contains(&name.as_str())
}

/// Reads `METHOD PATH`.
///
/// # Errors
/// What was found, what was wanted and a hint.
pub fn request_line(text: &str) -> Result<(Method, String), (String, String, Option<String>)> {
    let wanted = shapes::REQUEST.wanted();
    let Some((method, path)) = text.trim().split_once(' ') else {
        let hint = text.starts_with('/').then(|| format!("write `GET {text}`"));
        return Err(("no method or no path".to_owned(), wanted, hint));
    };
    let path = path.trim_start();
    let Some(method) = METHODS.iter().find(|known| **known == method).and_then(|known| known.parse().ok())
    else {
        let upper = method.to_ascii_uppercase();
        let hint = nearest(&upper, METHODS).map(|word| format!("did you mean `{word}`?"));
        return Err(("an unknown method".to_owned(), format!("one of {}", METHODS.join(", ")), hint));
    };
    match path::encode(path) {
        Ok(path) => Ok((method, path)),
        Err(refused) => {
            let hint = path.contains("://").then(|| "the host follows from the api; leave it out".to_owned());
            Err((refused.found.to_owned(), refused.wanted.to_owned(), hint))
        }
    }
}

pub(crate) fn read_request(value: &Value<'_>) -> Option<(Method, String)> {
    let text = value.text(&shapes::REQUEST.wanted())?.text;
    match request_line(&text) {
        Ok(line) => Some(line),
        Err((found, wanted, hint)) => {
            // The hint may repeat a part of the text, which must not happen to the environment's.
            let hint = hint.filter(|_| !value.found().contains("***"));
            value.problem(format!("{} ({found})", value.found()), wanted, hint.as_deref())
        }
    }
}

/// Reads the headers of a probe.
pub(crate) fn read_headers(value: &Value<'_>, addressing: Addressing) -> Vec<(HeaderName, ConfiguredText)> {
    let entries = value.entries("a map of headers").unwrap_or_default();
    let mut headers: Vec<(HeaderName, ConfiguredText)> = Vec::new();
    for (key, header) in entries {
        let name = header_name(key, &header, addressing);
        let text = read_header_value(&header);
        if let (Some(name), Some(text)) = (name, text) {
            if headers.iter().any(|(known, _)| *known == name) {
                header.problem::<()>("the same header again", "each header once, in any case", None);
            }
            headers.push((name, text));
        }
    }
    let bytes: usize = headers.iter().map(|(_, text)| text.expose().len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        let found = format!("{} headers with {bytes} bytes of values", headers.len());
        value.problem::<()>(found, "at most 50 headers and 8000 bytes", None);
    }
    headers
}

fn header_name(key: &str, header: &Value<'_>, addressing: Addressing) -> Option<HeaderName> {
    let Ok(name) = key.parse::<HeaderName>() else {
        return header.problem(
            format!("the header name {}", quoted(key)),
            "a header name such as x-request-source",
            None,
        );
    };
    let by_addressing = addressing == Addressing::ApiIdHeader && name.as_str() == "x-apigw-api-id";
    if is_reserved_header(&name) || by_addressing {
        let wanted = "no such header: signature, connection or addressing set it";
        return header.problem(format!("the header `{name}`"), wanted, None);
    }
    Some(name)
}

/// A header value; secret when it came from the environment.
pub(crate) fn read_header_value(header: &Value<'_>) -> Option<ConfiguredText> {
    let wanted = shapes::HEADER_VALUE.wanted();
    let replaced = header.text(&wanted)?;
    let visible =
        replaced.text.bytes().all(|b| (0x20..0x7f).contains(&b)) && replaced.text.trim() == replaced.text;
    if visible && HeaderValue::from_str(&replaced.text).is_ok() {
        Some(configured(replaced))
    } else {
        header.refuse(wanted, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_method_and_a_path() {
        let (method, path) = request_line("GET /a b?c=d+e").unwrap();
        assert_eq!((method, path.as_str()), (Method::GET, "/a%20b?c=d%2Be"));
        for (bad, hint) in [
            ("/pets", Some("write `GET /pets`")),
            ("get /pets", Some("did you mean `GET`?")),
            ("QUERY /pets", None),
            ("GET", None),
            ("GET https://x.example/pets", Some("the host follows from the api; leave it out")),
            ("GET /a/../b", None),
        ] {
            assert_eq!(request_line(bad).unwrap_err().2.as_deref(), hint, "{bad}");
        }
    }
}
