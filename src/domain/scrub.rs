//! What may be kept of a text from outside: short, on one line, and without anything that opens a door.
//!
//! A signature error echoes the canonical string of the request, the session token included, and a malformed
//! `Authorization` header comes back in quotes. Messages go to logs and pages, so all of that is taken out
//! here, once, for every text that answers and STS bring in. When in doubt a text loses too much.

/// The longest text that is kept, in characters.
pub const MESSAGE_CHARS_MAX: usize = 300;

/// As much of a text as is looked at at all.
const READ_CHARS_MAX: usize = 4096;

/// The longest run without a break that is no name: roles and sessions have up to 64 characters, words of
/// a sentence far fewer.
const WORD_CHARS_MAX: usize = 28;
const ARN_PART_CHARS_MAX: usize = 64;
/// So many characters of base64 change between small, capital and digit about fourteen times; names in which
/// each word has a capital do so less often.
const OPAQUE_CHARS: usize = 24;
const OPAQUE_CHANGES_MIN: usize = 9;
/// How session tokens of STS begin (observed, not documented).
const TOKEN_BEGINNINGS: &[&str] = &["IQoJ", "FwoG", "FQoG"];
/// The longest label that AWS writes into the names of endpoints is 36 characters long.
const HOST_LABEL_CHARS_MAX: usize = 36;

/// Where one of these begins (compared without case), the rest of the text is dropped.
const ECHOES: &[&str] = &[
    "the canonical string",
    "canonical string",
    "canonical request",
    "the string-to-sign",
    "string-to-sign",
    "string to sign",
    "aws4-hmac-sha256",
    "aws4-ecdsa",
    "x-amz-security-token",
    "x-amz-credential",
    "x-amz-signature",
    "security-token",
    "securitytoken",
    "session-token",
    "sessiontoken",
    "session_token",
    "secretaccesskey",
    "secret_access_key",
    "signature=",
    "signature:",
    "credential=",
    "credential:",
    "authorization=",
    "authorization:",
    "authorization header:",
    "bearer ",
    "password",
];

/// The text as it may be logged and shown.
#[must_use]
pub fn scrub(text: &str) -> String {
    let mut line = one_line(text);
    // The old complaint about a malformed header begins with the header itself.
    if let Some(at) = line.find("not a valid key=value pair") {
        line.replace_range(..at, "*** ");
    }
    let lower = line.to_ascii_lowercase();
    if let Some(at) = ECHOES.iter().filter_map(|echo| lower.find(echo)).min() {
        line.truncate(at);
    }
    let line = without_quotations(&line);
    let words: Vec<String> = line.split(' ').filter(|word| !word.is_empty()).map(without_tokens).collect();
    words.join(" ").chars().take(MESSAGE_CHARS_MAX).collect()
}

/// The beginning of a text with every control, format and line character as a blank. A last word that was
/// cut is left out, since half a token no longer looks like one.
fn one_line(text: &str) -> String {
    let mut characters = text.chars();
    let mut line: String = characters
        .by_ref()
        .take(READ_CHARS_MAX)
        .map(|character| match character {
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => ' ',
            '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => ' ',
            control if control.is_control() => ' ',
            other => other,
        })
        .collect();
    if characters.next().is_some() {
        line.truncate(line.rfind(' ').unwrap_or(0));
    }
    line
}

/// Replaces quoted texts, unless they are short names such as `'Credential'`, `'eu-west-1'`.
fn without_quotations(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['\'', '"', '`']) {
        let quote = rest[at..].chars().next().unwrap_or('\'');
        let opens = !rest[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        kept.push_str(&rest[..at]);
        rest = &rest[at + quote.len_utf8()..];
        if !opens {
            // An apostrophe within a word.
            kept.push(quote);
            continue;
        }
        let (quoted, after) = rest.split_once(quote).unwrap_or((rest, ""));
        let is_word =
            quoted.len() <= 24 && quoted.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
        kept.push(quote);
        kept.push_str(if is_word || is_host_name(quoted) { quoted } else { "***" });
        kept.push(quote);
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// A word in which whatever looks like a token, a hash or an access key is replaced.
fn without_tokens(word: &str) -> String {
    let is_arn = word.contains("arn:");
    let joins = |character: char| !":,;()[]{}<>'\"`".contains(character);
    let mut kept = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|character| joins(character) != joins(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        kept.push_str(match is_arn {
            _ if !joins(first) => run,
            true if looks_like_token_in_arn(run) || has_endless_segment(run) => "***",
            false if is_key(run) || is_too_long(run, WORD_CHARS_MAX) => "***",
            _ => run,
        });
        rest = after;
    }
    kept
}

fn is_key(run: &str) -> bool {
    ["AKIA", "ASIA"].iter().any(|start| run.contains(start)) && run.len() >= 16
}

fn is_too_long(run: &str, longest: usize) -> bool {
    run.chars().count() > longest && !is_host_name(run)
}

fn has_endless_segment(part: &str) -> bool {
    part.split('/').any(|segment| is_too_long(segment, ARN_PART_CHARS_MAX))
}

/// True where a part of an ARN holds a token. Its segments may be as long as names may be, and `/` both parts
/// them and belongs to base64, so length alone does not tell: the mixture of a few characters does.
pub(crate) fn looks_like_token_in_arn(part: &str) -> bool {
    part.split('/').any(is_key)
        || TOKEN_BEGINNINGS.iter().any(|start| part.contains(start))
        || part.split(|character: char| !character.is_ascii_alphanumeric()).any(|run| {
            without_made_up_end(run.as_bytes()).windows(OPAQUE_CHARS).any(|window| {
                let count = |is: fn(&u8) -> bool| window.iter().filter(|byte| is(byte)).count();
                let changes = window.windows(2).filter(|two| kind_of(two[0]) != kind_of(two[1])).count();
                count(u8::is_ascii_lowercase) >= 4
                    && count(u8::is_ascii_uppercase) >= 6
                    && count(u8::is_ascii_digit) >= 1
                    && changes >= OPAQUE_CHANGES_MIN
            })
        })
}

/// A name without the eight hexadecimal digits that the AWS CDK ends its names with.
fn without_made_up_end(name: &[u8]) -> &[u8] {
    match name.split_last_chunk::<8>() {
        Some((start, end)) if end.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')) => start,
        _ => name,
    }
}

const fn kind_of(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => 0,
        b'A'..=b'Z' => 1,
        _ => 2,
    }
}

/// True for the names of regions and hosts, which are long and harmless. Tokens mix cases; hashes have no
/// dots in them.
fn is_host_name(run: &str) -> bool {
    run.len() <= 253
        && run.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
        && run.split('.').all(|label| label.len() <= HOST_LABEL_CHARS_MAX)
        && (run.contains('.') || run.len() <= WORD_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "IQoJb3JpZ2luX2VjEJv//////////wEaCWV1LXdlc3QtMSJHMEUCIQDx7/planted+token==";

    #[test]
    fn what_helps_stays() {
        for text in [
            "User: arn:aws:sts::012345678901:assumed-role/spokeprobe/spokeprobe is not authorized to perform: \
             execute-api:Invoke on resource: arn:aws:execute-api:eu-west-1:********8901:a1b2c3d4e5/api/GET/ \
             because no identity-based policy allows the execute-api:Invoke action",
            "User: arn:aws:sts::012345678901:assumed-role/Pay-ProbeFunctionServiceRole4F2A1B3C-1X2Y3Z4A5B6C7/run is not",
            "arn:aws:iam::012345678901:role/OrganizationAccountAccessRoleForTheProbeOfPayments2026",
            "arn:aws:organizations::111122223333:policy/o-a1b2c3d4e5/service_control_policy/p-0a1b2c3d",
            "Missing Authentication Token",
            "Signature expired: 20261121T190000Z is now earlier than 20261121T192000Z (20261121T192500Z - 5 min.)",
            "Credential should be scoped to a valid region, not 'us-east-1'.",
            "Credential should be scoped to correct service: 'execute-api'.",
            "Authorization header requires 'SignedHeaders' parameter.",
            "The request signature we calculated does not match the signature you provided. Check your AWS \
             Secret Access Key and signing method.",
            "The security token included in the request is expired",
            "Missing required request parameters: [a, b]",
            "certificate not valid for 'vpce-0123456789abcdef0-abcdefgh.execute-api.eu-west-1.vpce.amazonaws.com'",
        ] {
            assert_eq!(scrub(text), text);
        }
    }

    #[test]
    fn echoes_and_tokens_go() {
        let canonical = format!(
            "The request signature we calculated does not match the signature you provided. Consult the \
             service documentation for details.\n\nThe Canonical String for this request should have been\n\
             'GET\n/api/\n\nhost:x\nx-amz-security-token:{TOKEN}\n\nhost\ne3b0'\n\nThe String-to-Sign should \
             have been\n'AWS4-HMAC-SHA256\n20261121T192500Z\nscope\nhash'\n"
        );
        let kept = scrub(&canonical);
        assert!(kept.ends_with("for details."), "{kept}");
        for text in [
            format!("'{TOKEN}' not a valid key=value pair (missing equal-sign) in Authorization header: '{TOKEN}'."),
            "Bearer hunter2 not a valid key=value pair (missing equal-sign) in Authorization header: 'Bearer hunter2'."
                .to_owned(),
            format!("Authorization=AWS4-HMAC-SHA256 Credential=ASIAEXAMPLEEXAMPLE, Signature={TOKEN}"),
            format!("no marker but {TOKEN} there"),
            format!("in an ARN arn:aws:iam::012345678901:role/{}", "planted".repeat(12)),
            format!("in a path arn:aws:execute-api:eu-west-1:********8901:a1b2c3d4e5/api/GET/x?token={TOKEN}"),
            format!("in a path arn:aws:execute-api:::a/b{}", TOKEN.replace("IQoJ", "")),
            "in an ARN arn:aws:iam::012345678901:role/ASIAPLANTEDPLANTED".to_owned(),
            "the key ASIAPLANTEDPLANTED is not known".to_owned(),
            "odd \"hunter2 planted\" quotation".to_owned(),
        ] {
            let kept = scrub(&text);
            for planted in ["planted", "hunter2", "PLANTED", "IQoJ", "AWS4"] {
                assert!(!kept.contains(planted), "{planted} in {kept:?}");
            }
        }
    }

    #[test]
    fn a_text_is_one_short_line() {
        assert_eq!(scrub("a\r\nb\u{1b}[31m\u{202e}c\u{0}"), "a b [31m c");
        assert_eq!(scrub(&"ä ".repeat(1000)).chars().count(), MESSAGE_CHARS_MAX);
        assert_eq!(scrub(&"x".repeat(100_000)), "");
    }

    proptest! {
        #[test]
        fn no_token_gets_out_wherever_it_stands(
            before in ".{0,200}",
            after in ".{0,200}",
            filler in 0usize..5000,
            joint in proptest::sample::select(vec![" ", " arn:", " arn:aws:execute-api:::a/b/", " arn:aws:iam:::role/x="]),
        ) {
            let text = format!("{before} {}{joint}{TOKEN} {after}", "w ".repeat(filler));
            let kept = scrub(&text);
            prop_assert!(kept.chars().count() <= MESSAGE_CHARS_MAX);
            prop_assert!(!kept.contains("planted") && !kept.contains("IQoJ"), "{}", kept);
            prop_assert!(!kept.chars().any(char::is_control));
        }
    }
}
