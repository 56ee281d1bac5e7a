//! Texts from outside, made fit to be shown: bounded, on known lines, without what talks to a terminal, and without
//! what was sent in secret.

use crate::domain::secret::Secret;
use std::collections::HashSet;
use std::time::{Duration, SystemTime};

/// The longest line of a text from outside, in characters: the whole of a kept message, whose end is what counts.
const LINE_CHARS_MAX: usize = 320;
/// The longest run of token characters that is no token, the 64 hexadecimal digits of a hash apart: a secret key
/// has 40.
const RUN_CHARS_MAX: usize = 39;

/// One line, at most 320 characters.
pub(super) fn line(text: &str) -> String {
    let shown: String = text.chars().take(LINE_CHARS_MAX + 1).map(harmless).collect();
    if shown.chars().count() <= LINE_CHARS_MAX {
        return shown;
    }
    shown.chars().take(LINE_CHARS_MAX).chain(['…']).collect()
}

/// Control characters, and those that turn or hide a text.
fn harmless(c: char) -> char {
    let format = matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
    if c.is_control() || format { char::REPLACEMENT_CHARACTER } else { c }
}

/// So many letters and digits of a secret in a row are no chance.
const PIECE_CHARS: usize = 16;

/// One line of an echo of what was sent: without the secrets in it, and without whatever else looks like a token.
pub(super) fn echoed(text: &str, secrets: &[Secret]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().map(Secret::expose).filter(|secret| secret.len() > 3) {
        text = text.replace(secret, "***");
    }
    if has_piece(&text, secrets) {
        return "***".to_owned();
    }
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '=' | '_' | '-');
    let mut shown = String::new();
    let mut rest = text.as_str();
    while !rest.is_empty() && shown.len() <= 4 * LINE_CHARS_MAX {
        let end = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let is_hash =
            run.len() == 64 && run.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
        shown.push_str(if run.len() > RUN_CHARS_MAX && !is_hash { "***" } else { run });
        let gap = after.find(is_token).unwrap_or(after.len());
        shown.push_str(&after[..gap]);
        rest = &after[gap..];
    }
    line(&shown)
}

/// True where a text still holds a piece of a secret, in whatever way it was cut, spaced or encoded. The signature's
/// own header is left out: the scope in it is no secret, and stands in what is compared.
fn has_piece(text: &str, secrets: &[Secret]) -> bool {
    let letters = |text: &str| text.bytes().filter(u8::is_ascii_alphanumeric).collect::<Vec<u8>>();
    let text = letters(text);
    let shown: HashSet<&[u8]> = text.windows(PIECE_CHARS).collect();
    let tokens = secrets.iter().map(Secret::expose).filter(|secret| !secret.starts_with("AWS4-HMAC-SHA256"));
    tokens.map(letters).any(|secret| secret.windows(PIECE_CHARS).any(|piece| shown.contains(piece)))
}

/// A span for people.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{:.1} ms", span.as_secs_f64() * 1_000.0).replace(".0 ms", " ms"),
        60..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A moment for people, to the second.
pub(super) fn moment(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(
        |_| "at a time beyond the calendar".to_owned(),
        |stamp| {
            let whole = jiff::Timestamp::from_second(stamp.as_second()).unwrap_or(stamp);
            whole.to_string()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_outside_are_short_and_harmless() {
        assert_eq!(line("a\u{1b}[31mb\u{202e}c"), "a\u{fffd}[31mb\u{fffd}c");
        assert_eq!(line(&"é".repeat(5_000)).chars().count(), 321);
    }

    #[test]
    fn echoes_lose_secrets_and_tokens_and_keep_hashes() {
        let secrets = [Secret::new("the/token+value==")];
        assert_eq!(echoed("x-amz-security-token:the/token+value==", &secrets), "x-amz-security-token:***");
        assert_eq!(echoed(&format!("x:{}", "aB3".repeat(40)), &secrets), "x:***");
        let hash = "a".repeat(64);
        assert_eq!(echoed(&hash, &secrets), hash);
        // Encoded for a query, cut, spaced out: in pieces that are each too short to look like a token.
        let secrets = [
            Secret::new("IQoJb3JpZ2luX2VjEXAMPLE/with+all/TheRest0fIt=="),
            Secret::new("AWS4-HMAC-SHA256 Credential=ASIA/20260301/eu-west-1/execute-api/aws4_request, x"),
        ];
        for text in ["a=IQoJb3JpZ2luX2VjEXAMPLE%2Fwith%2Ball", "IQoJb3Jp Z2luX2VjEXAM", "x/JpZ2luX2VjEXAMPLE"]
        {
            assert_eq!(echoed(text, &secrets), "***", "{text}");
        }
        let scope = "20260301/eu-west-1/execute-api/aws4_request";
        assert_eq!(echoed(scope, &secrets), scope);
    }

    #[test]
    fn spans_and_moments_read_well() {
        assert_eq!(span(Duration::from_micros(1_250)), "1.2 ms");
        assert_eq!(span(Duration::from_secs(3_540)), "59 min");
        assert_eq!(moment(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500)), "1970-01-01T00:00:01Z");
    }
}
