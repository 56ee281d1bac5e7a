//! What was signed, and where AWS read something else.

use super::plain;
use super::reach::{Walked, walked};
use super::report::{Finding, Step};
use crate::domain::credentials::SessionCredentials;
use crate::domain::request::{OutgoingRequest, Response};
use crate::domain::secret::Secret;
use crate::signing::{Signed, SigningScope, signed};
use std::time::Duration;

/// What a private API takes of header values (API Gateway developer guide, quotas).
const HEADER_BYTES_MAX: usize = 8_000;
/// The most lines of a difference that are shown.
const DIFFERENCES_MAX: usize = 20;
/// The most lines of an echo that are read.
const ECHO_LINES_MAX: usize = 200;

/// The step that shows what the signature covers.
pub(super) fn step(
    request: &OutgoingRequest,
    scope: &SigningScope,
    credentials: &SessionCredentials,
    took: Duration,
) -> Walked {
    let mut findings = Vec::new();
    match signed(request, scope, credentials) {
        Some(Signed { canonical_request, string_to_sign, signed_headers }) => {
            findings.push(Finding::new("signed_headers", signed_headers.join(" ")));
            findings.push(Finding::new("canonical_request", by_line(&canonical_request)));
            findings.push(Finding::new("string_to_sign", by_line(&string_to_sign)));
        }
        None => findings.push(Finding::warning(
            "canonical_request",
            "what was signed cannot be worked out a second time, so it is not shown",
        )),
    }
    let bytes = request.header_value_bytes();
    let text = format!("{bytes} of {HEADER_BYTES_MAX} bytes of header values");
    findings.push(if bytes > HEADER_BYTES_MAX {
        Finding::warning("header_bytes", format!("{text}: a private API refuses such a request"))
    } else {
        Finding::new("header_bytes", text)
    });
    walked(Step::Sign, took, findings, None)
}

fn by_line(text: &str) -> String {
    text.split('\n').map(plain::line).collect::<Vec<_>>().join("\n")
}

/// The step of a request without a signature.
pub(super) fn unsigned_step() -> Walked {
    let text = "the probe calls unsigned";
    walked(Step::Sign, Duration::ZERO, vec![Finding::new("signed_headers", text)], None)
}

/// Where the canonical string that the gateway echoes differs from ours, line by line. Nothing of the echo is
/// shown as it came.
pub(super) fn differences(response: &Response, ours: &Signed, secrets: &[Secret]) -> Vec<Finding> {
    let body = String::from_utf8_lossy(&response.body);
    // The echo comes in a JSON string; a body that is none is read as it is.
    let message = serde_json::from_slice::<serde_json::Value>(&response.body).ok().and_then(|value| {
        ["message", "Message"].iter().find_map(|key| value.get(key)?.as_str().map(str::to_owned))
    });
    let message = message.unwrap_or_else(|| body.into_owned());
    let mut findings = Vec::new();
    for (about, title, ours) in [
        (
            "canonical_request",
            "The Canonical String for this request should have been",
            &ours.canonical_request,
        ),
        ("string_to_sign", "The String-to-Sign should have been", &ours.string_to_sign),
    ] {
        let Some(echo) = echo(&message, title) else { continue };
        let lines = compare(&echo, ours, secrets);
        findings.push(if lines.is_empty() {
            Finding::new(about, "the gateway read the same, so the secret key is another than it expects")
        } else {
            Finding::warning(about, format!("the gateway read something else:\n{}", lines.join("\n")))
        });
    }
    if findings.is_empty() {
        findings.push(Finding::new("canonical_request", "the gateway does not say what it read"));
    }
    findings
}

/// The quoted text after a title.
fn echo<'m>(message: &'m str, title: &str) -> Option<Vec<&'m str>> {
    let after = &message[message.find(title)? + title.len()..];
    let quoted = &after[after.find('\'')? + 1..];
    let end = quoted.find('\'').unwrap_or(quoted.len());
    Some(quoted[..end].split('\n').take(ECHO_LINES_MAX).collect())
}

fn compare(theirs: &[&str], ours: &str, secrets: &[Secret]) -> Vec<String> {
    let ours: Vec<&str> = ours.split('\n').collect();
    let mut lines = Vec::new();
    for place in 0..ours.len().max(theirs.len()) {
        let (mine, their) =
            (ours.get(place).copied(), theirs.get(place).map(|line| line.trim_end_matches('\r')));
        // A masked line of ours is the same as any of theirs under the same name: its value cannot be shown,
        // and the hashes tell whether it differs.
        let masked = mine.and_then(|line| line.strip_suffix(":***"));
        let same = match (masked, their) {
            (Some(name), Some(line)) => line.split(':').next() == Some(name),
            _ => mine == their,
        };
        if same {
            continue;
        }
        if lines.len() >= DIFFERENCES_MAX {
            lines.push("…".to_owned());
            break;
        }
        if let Some(line) = mine {
            lines.push(format!("- {}", plain::line(line)));
        }
        if let Some(line) = their {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            let is_secret = name.contains("token") || name == "authorization";
            lines.push(if is_secret {
                format!("+ {}:***", plain::line(&name))
            } else {
                format!("+ {}", plain::echoed(line, secrets))
            });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::HeaderMap;
    use proptest::prelude::*;

    fn response(message: &str) -> Response {
        let body = serde_json::json!({ "message": message }).to_string();
        Response { status: 403, headers: HeaderMap::new(), body: Bytes::from(body), truncated: false }
    }

    fn ours() -> Signed {
        Signed {
            canonical_request: "GET\n/api/\n\nhost:a.test\nx-amz-security-token:***\n\nhost\nabc".into(),
            string_to_sign: "AWS4-HMAC-SHA256\n20260301T000000Z\nscope\nhash".into(),
            signed_headers: vec!["host".into()],
        }
    }

    const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLEtoken/with+all==";

    fn mismatch(canonical: &str) -> String {
        format!(
            "The request signature we calculated does not match.\n\nThe Canonical String for this request should \
             have been\n'{canonical}'\n\nThe String-to-Sign should have been\n'AWS4-HMAC-SHA256\n\
             20260301T000000Z\nscope\nhash'\n"
        )
    }

    #[test]
    fn the_lines_that_differ_are_shown_without_the_token() {
        let secrets = [Secret::new(TOKEN)];
        let echo = format!("GET\n/api/x\n\nhost:b.test\nx-amz-security-token:{TOKEN}\n\nhost\nabc");
        let findings = differences(&response(&mismatch(&echo)), &ours(), &secrets);
        assert_eq!(
            findings[0].text,
            "the gateway read something else:\n- /api/\n+ /api/x\n- host:a.test\n+ host:b.test"
        );
        assert!(findings[1].text.contains("the same"), "{findings:?}");
    }

    #[test]
    fn an_echo_that_moves_the_token_to_another_line_shows_nothing_of_it() {
        let secrets = [Secret::new(TOKEN)];
        for echo in [
            format!("GET\nx-amz-security-token:{TOKEN}"),
            format!("GET\n{TOKEN}\u{1b}[31m"),
            format!("x-my-token: {}", &TOKEN[..30]),
            format!("GET\n{}", "Ab1".repeat(100)),
        ] {
            let text = format!("{:?}", differences(&response(&mismatch(&echo)), &ours(), &secrets));
            assert!(!text.contains("IQoJb3JpZ2lu") && !text.contains("Ab1Ab1"), "{text}");
            assert!(!text.contains('\u{1b}'));
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_back_is_bounded(text in ".{0,400}", lines in 0usize..400) {
            let echo = mismatch(&format!("{text}{}", "x\n".repeat(lines)));
            let findings = differences(&response(&echo), &ours(), &[]);
            let shown: usize = findings.iter().map(|finding| finding.text.chars().count()).sum();
            prop_assert!(shown < 2 * 330 * 2 * (DIFFERENCES_MAX + 2));
            prop_assert!(findings.iter().all(|f| f.text.chars().all(|c| !c.is_control() || c == '\n')));
        }
    }
}
