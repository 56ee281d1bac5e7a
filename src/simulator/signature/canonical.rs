//! The canonical form of a request: what both sides must agree on to the byte.

use crate::simulator::deterministic::hex;
use crate::simulator::wire::RawRequest;
use sha2::{Digest as _, Sha256};

/// The canonical request for a list of signed headers.
#[must_use]
pub fn canonical_request(request: &RawRequest, signed_headers: &[String]) -> String {
    let mut text = format!(
        "{}\n{}\n{}\n",
        request.method,
        canonical_uri(request.path()),
        canonical_query(request.query())
    );
    for name in signed_headers {
        text.push_str(name);
        text.push(':');
        text.push_str(&canonical_header(request, name));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&signed_headers.join(";"));
    text.push('\n');
    text.push_str(&hex(&Sha256::digest(&request.body)));
    text
}

/// The path: dot segments and repeated slashes removed, then every segment percent-encoded, once more than
/// on the wire (every service but S3 does so).
#[must_use]
pub fn canonical_uri(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut text: String = kept.iter().map(|segment| format!("/{}", encode(segment.as_bytes()))).collect();
    // "a/." and "a/.." name folders as "a/" does.
    if text.is_empty() || path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..") {
        text.push('/');
    }
    text
}

/// The query: every name and value decoded and encoded again, sorted by their encoded form.
#[must_use]
pub fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (reencode(name), reencode(value))
        })
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn canonical_header(request: &RawRequest, name: &str) -> String {
    let values = request.headers.iter().filter(|(each, _)| each == name).map(|(_, value)| {
        let value = String::from_utf8_lossy(value);
        value.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    });
    values.collect::<Vec<_>>().join(",")
}

fn reencode(text: &str) -> String {
    encode(&percent_encoding::percent_decode_str(text).collect::<Vec<u8>>())
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push_str(&hex(&[byte]).to_ascii_uppercase());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_and_encoded_twice() {
        for (path, canonical) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/api/", "/api/"),
            ("/a/./b/../c", "/a/c"),
            ("/a/..", "/"),
            ("/../../x", "/x"),
            ("//a//b//", "/a/b/"),
            ("/a%2Fb", "/a%252Fb"),
            ("/a b:c", "/a%20b%3Ac"),
            ("/\u{1234}", "/%E1%88%B4"),
            ("/A-z_.~", "/A-z_.~"),
        ] {
            assert_eq!(canonical_uri(path), canonical, "{path}");
        }
    }

    #[test]
    fn queries_are_sorted_by_their_encoded_form() {
        for (query, canonical) in [
            ("", ""),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1", "a=1&a=2"),
            ("a", "a="),
            ("a=b=c", "a=b%3Dc"),
            ("a=%7e+", "a=~%2B"),
            ("&&x=%2f", "x=%2F"),
            ("p-1=1&p=2", "p=2&p-1=1"),
        ] {
            assert_eq!(canonical_query(query), canonical, "{query}");
        }
    }
}
