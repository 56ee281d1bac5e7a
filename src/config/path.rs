//! A path and query as written, made fit to be sent and nothing more.
//!
//! `%2F`, `//` and the order of the query are the caller's business and stay. Only what may not stand in a
//! URL (RFC 3986, sections 3.3 and 3.4) is percent-encoded, and `+`, which servers read in two ways, and `'` in
//! a query, which the URL standard of browsers and of our HTTP client encodes. Dot segments are refused: some
//! clients and proxies remove them, and then another path is signed than sent.

use std::fmt::Write as _;

/// The longest path with its query, in bytes as sent.
pub const MAX_BYTES: usize = 8_192;

/// Why a path cannot be sent: what was found, what was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRefused {
    /// Follows "found".
    pub found: &'static str,
    /// Follows "wanted".
    pub wanted: &'static str,
}

/// Path and query, ready to be sent behind a stage.
///
/// # Errors
/// When it does not begin with `/`, has a dot segment, a fragment, an invalid percent escape or a control
/// character, or is too long.
pub fn encode(text: &str) -> Result<String, PathRefused> {
    let refuse = |found, wanted| Err(PathRefused { found, wanted });
    if !text.starts_with('/') {
        return refuse("a path that does not begin with `/`", "a path such as /pets?kind=cat");
    }
    if text.contains('#') {
        return refuse("a `#` in the path", "a path without a fragment (`%23` for a literal `#`)");
    }
    if text.chars().any(char::is_control) {
        return refuse("a control character in the path", "a path on one line");
    }
    let path = text.split('?').next().unwrap_or(text);
    if path.split('/').any(is_dot_segment) {
        return refuse("a dot segment in the path", "a path without `.` and `..` segments");
    }
    let bytes = text.as_bytes();
    let query_at = path.len();
    let mut encoded = String::with_capacity(text.len());
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'%' => {
                let escape = bytes.get(at + 1..at + 3);
                if !escape.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return refuse("a `%` without two hexadecimal digits", "`%25` for a literal `%`");
                }
                encoded.push('%');
            }
            _ if may_stand(byte) && !(byte == b'\'' && at > query_at) => encoded.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => write!(encoded, "%{byte:02X}").unwrap_or_default(),
        }
    }
    if encoded.len() > MAX_BYTES {
        return refuse("a very long path", "at most 8192 bytes");
    }
    Ok(encoded)
}

/// The characters of a path or query that stand for themselves, without `+`.
fn may_stand(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*,;=:@/?".contains(&byte)
}

/// `.` and `..`, also in their escaped forms.
fn is_dot_segment(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_may_not_stand_is_encoded() {
        for (text, sent) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("//a//b/", "//a//b/"),
            ("/a%2Fb%2fc", "/a%2Fb%2fc"),
            ("/a b", "/a%20b"),
            ("/a+b?c+d", "/a%2Bb?c%2Bd"),
            ("/?z=1&a=2&a=1", "/?z=1&a=2&a=1"),
            ("/?q=a?b/c", "/?q=a?b/c"),
            ("/é", "/%C3%A9"),
            ("/{id}|[x]\"<>^`\\", "/%7Bid%7D%7C%5Bx%5D%22%3C%3E%5E%60%5C"),
            ("/a;b=c,d:e@f!$&'()*~", "/a;b=c,d:e@f!$&'()*~"),
            ("/a..b/...", "/a..b/..."),
            ("/a?x=/../", "/a?x=/../"),
            ("/a'b?c='d'", "/a'b?c=%27d%27"),
        ] {
            assert_eq!(encode(text).as_deref(), Ok(sent));
        }
    }

    #[test]
    fn what_cannot_be_sent_as_meant_is_refused() {
        let long = format!("/{}", "x".repeat(MAX_BYTES));
        for bad in [
            "",
            "a",
            "https://x/",
            "?a",
            "/a/../b",
            "/.",
            "/..",
            "/%2e%2E/x",
            "/.%2e",
            "/a#b",
            "/%",
            "/%2",
            "/%zz",
            "/a\nb",
            "/\u{7f}",
            &long,
        ] {
            assert!(encode(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn encoding_twice_changes_nothing(text in "/\\PC{0,60}") {
            if let Ok(once) = encode(&text) {
                prop_assert_eq!(encode(&once), Ok(once.clone()));
                prop_assert!(once.is_ascii());
            }
        }
    }
}
