//! The style and the script inside the page, and the policy that lets a browser run exactly these two.

use axum::http::HeaderValue;
use sha2::Digest as _;
use std::sync::LazyLock;

/// The style of every page.
pub(super) const STYLE: &str = include_str!("style.css");
/// The script of every page: it fetches the page anew and puts in what has changed.
pub(super) const SCRIPT: &str = include_str!("script.js");

/// What a browser may do with any answer: show it with this style, run this script, ask this origin again, and
/// send the filter's form to it.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
        base64(&sha2::Sha256::digest(STYLE)),
        base64(&sha2::Sha256::digest(SCRIPT)),
    )
});

/// The value of `Content-Security-Policy`.
pub(in crate::web) fn content_security_policy() -> HeaderValue {
    // Letters, digits and signs of ASCII only, so this does not fail; if it did, nothing would be allowed.
    HeaderValue::from_str(&POLICY).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// RFC 4648, section 4: a policy names hashes so.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = if at <= three.len() { DIGITS[(bits >> shift & 63) as usize] } else { b'=' };
            text.push(char::from(digit));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, wanted) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), wanted, "{text}");
        }
    }

    #[test]
    fn style_and_script_cannot_end_their_element_and_fetch_nothing_from_elsewhere() {
        for text in [STYLE, SCRIPT] {
            assert!(text.is_ascii() && !text.contains("</") && !text.contains("<!--"));
            for foreign in ["http:", "https:", "@import", "url(", "innerHTML", "eval("] {
                assert!(!text.contains(foreign), "{foreign}");
            }
        }
        let policy = content_security_policy();
        assert!(!policy.to_str().unwrap().contains("unsafe"));
    }
}
