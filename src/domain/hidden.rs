//! Secrets that were sent, in the forms in which a far side may say them back.
//!
//! What scrubbing takes out by its looks is what AWS issues: keys, tokens, signatures. What a user keeps secret may
//! look like any word, so for that the words themselves are known here. Of a long secret a part is as good as the
//! whole: messages are cut, and half of a token no longer looks like one.
//!
//! A far side that wants a secret shown can always write it in a way of its own; it knows the secret anyway. This is
//! for proxies, gateways and backends that repeat what they were sent.

use super::secret::Secret;
use std::fmt::{self, Write as _};

/// Shorter ones would be found in any text, and hide nothing.
const CHARS_MIN: usize = 3;
/// The shortest piece of base64 that is looked for: four characters of it are three bytes.
const BASE64_CHARS_MIN: usize = 6;
/// Secrets longer than this are looked for in pieces of this length.
const PIECE_BYTES: usize = 24;

/// Finds secrets in texts from outside.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Hidden(Vec<Secret>);

impl Hidden {
    /// For these secrets.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms = Vec::new();
        for secret in secrets.into_iter().filter(|secret| secret.chars().count() >= CHARS_MIN) {
            forms.push(secret.to_owned());
            // In a header or a line of a form, what surrounds it is gone.
            forms.push(secret.trim().to_owned());
            forms.extend([Json::Plain, Json::Slashes, Json::Ascii].map(|style| json(secret, style)));
            forms.push(markup(secret));
            for upper in [false, true] {
                forms.extend(
                    [Percent::Reserved, Percent::Form, Percent::Strict, Percent::All]
                        .map(|style| percent(secret, upper, style)),
                );
                forms.push(hexadecimal(secret, upper));
            }
            for offset in 0..3 {
                for url_safe in [false, true] {
                    let piece = base64(secret.as_bytes(), offset, url_safe);
                    // And without the end of it, for who leaves out a group that is not full.
                    let full = piece[..piece.len() - piece.len() % 4].to_owned();
                    forms.extend([piece, full].into_iter().filter(|piece| piece.len() >= BASE64_CHARS_MIN));
                }
            }
        }
        let mut pieces: Vec<Secret> = forms.iter().flat_map(|form| pieces(form)).map(Secret::new).collect();
        for mut form in forms {
            zeroize::Zeroize::zeroize(&mut form);
        }
        pieces.retain(|piece| piece.expose().chars().count() >= CHARS_MIN);
        // The longest first, so that none is left in part because a shorter one was taken out of it.
        pieces.sort_unstable_by(|one, other| {
            other.expose().len().cmp(&one.expose().len()).then_with(|| one.cmp(other))
        });
        pieces.dedup();
        Self(pieces)
    }

    /// For no secret.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// True when there is nothing to look for.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text with `***` for each secret in it.
    #[must_use]
    pub fn taken_out_of(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in &self.0 {
            if text.contains(form.expose()) {
                text = text.replace(form.expose(), "***");
            }
        }
        text
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(***)")
    }
}

/// The form itself, or its pieces where it is long; the last one overlaps the one before.
fn pieces(form: &str) -> Vec<&str> {
    if form.len() <= 2 * PIECE_BYTES {
        return vec![form];
    }
    let starts = (0..=form.len() - PIECE_BYTES).step_by(PIECE_BYTES).chain([form.len() - PIECE_BYTES]);
    let piece = |start| &form[form.floor_char_boundary(start)..form.ceil_char_boundary(start + PIECE_BYTES)];
    starts.map(piece).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Json {
    Plain,
    /// With `\/`, as some write for pages.
    Slashes,
    /// With nothing but ASCII.
    Ascii,
}

/// As the inside of a JSON string (RFC 8259).
fn json(secret: &str, style: Json) -> String {
    let mut text = String::with_capacity(secret.len());
    for character in secret.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '/' if style == Json::Slashes => text.push_str("\\/"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control < ' ' => write!(text, "\\u{:04x}", u32::from(control)).unwrap_or_default(),
            other if style == Json::Ascii && !other.is_ascii() => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    write!(text, "\\u{unit:04x}").unwrap_or_default();
                }
            }
            other => text.push(other),
        }
    }
    text
}

fn markup(secret: &str) -> String {
    secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Percent {
    /// What may not stand in a URL's part (RFC 3986, unreserved characters).
    Reserved,
    /// The same with `+` for a blank.
    Form,
    /// All but letters and digits.
    Strict,
    /// Every byte.
    All,
}

fn percent(secret: &str, upper: bool, style: Percent) -> String {
    let mut text = String::with_capacity(secret.len() * 3);
    for byte in secret.bytes() {
        match byte {
            b' ' if style == Percent::Form => text.push('+'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' if style != Percent::All => text.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' if matches!(style, Percent::Reserved | Percent::Form) => {
                text.push(char::from(byte));
            }
            _ if upper => write!(text, "%{byte:02X}").unwrap_or_default(),
            _ => write!(text, "%{byte:02x}").unwrap_or_default(),
        }
    }
    text
}

fn hexadecimal(secret: &str, upper: bool) -> String {
    let mut text = String::with_capacity(secret.len() * 2);
    for byte in secret.bytes() {
        if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") }.unwrap_or_default();
    }
    text
}

/// The characters of base64 (RFC 4648) that depend on the secret alone, when `offset` bytes stand before it in its
/// group of three.
fn base64(secret: &[u8], offset: usize, url_safe: bool) -> String {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let alphabet = if url_safe { URL_SAFE } else { STANDARD };
    let bits = 8 * secret.len();
    // The first character that takes none of its six bits from before, and so on while none comes from behind.
    let first = (8 * offset).div_ceil(6) * 6 - 8 * offset;
    let bit = |at: usize| usize::from(secret[at / 8] >> (7 - at % 8) & 1);
    (first..)
        .step_by(6)
        .take_while(|start| start + 6 <= bits)
        .map(|start| char::from(alphabet[(start..start + 6).fold(0, |value, at| value << 1 | bit(at))]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_found_in_every_form() {
        let hidden = Hidden::new(["header-sesame/5108 \"&"]);
        for said in [
            "header-sesame/5108 \"&",
            r#"header-sesame/5108 \"&"#,
            r#"header-sesame\/5108 \"&"#,
            "header-sesame%2F5108%20%22%26",
            "header-sesame%2f5108+%22%26",
            "header-sesame/5108 &quot;&amp;",
            "6865616465722d736573616d652f3531303820 2226".replace(' ', "").as_str(),
            "aGVhZGVyLXNlc2FtZS81MTA4ICIm",
        ] {
            let shown = hidden.taken_out_of(&format!("you sent [{said}], why?"));
            assert_eq!(shown, "you sent [***], why?", "{said}");
        }
        assert_eq!(hidden.taken_out_of("sesame is no secret"), "sesame is no secret");
        assert_eq!(format!("{hidden:?}"), "Hidden(***)");
        assert!(Hidden::new(["ab", ""]).is_empty(), "would be found anywhere");
    }

    /// As any encoder writes it, with other bytes around the secret.
    fn whole_base64(bytes: &[u8]) -> String {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().div_ceil(3) * 3, 0);
        base64(&padded, 0, false)
    }

    #[test]
    fn base64_of_a_text_around_it() {
        assert_eq!(whole_base64(b"Man"), "TWFu");
        let hidden = Hidden::new(["header-sesame-5108"]);
        for before in ["", "x", "xy", "xyz", "Basic user:"] {
            for after in ["", "1", "12", "123"] {
                let said = whole_base64(format!("{before}header-sesame-5108{after}").as_bytes());
                let shown = hidden.taken_out_of(&said);
                assert!(shown.contains("***") && shown.len() < said.len() - 15, "{said}: {shown}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_long_secret_is_found_in_any_part(
            secret in "[ -~]{100,400}", start in 0_usize..60, length in 47_usize..100, around in "[a-z ]{0,20}",
        ) {
            let part = &secret[start..(start + length).min(secret.len())];
            prop_assume!(part.len() >= 2 * PIECE_BYTES - 1);
            let shown = Hidden::new([&*secret]).taken_out_of(&format!("{around}{part}{around}"));
            prop_assert!(shown.contains("***"));
        }

        #[test]
        fn no_text_breaks_it(secret in ".{0,80}", text in ".{0,200}") {
            let hidden = Hidden::new([&*secret]);
            let shown = hidden.taken_out_of(&format!("{text}{secret}{text}"));
            prop_assert!(hidden.is_empty() || shown.contains("***"));
        }
    }
}
