//! What STS said, fit to be shown: short, on one line, without tokens, keys or canonical strings.

/// The longest message, in characters.
const MAX_MESSAGE_CHARS: usize = 300;
/// The longest error code, in characters.
const MAX_CODE_CHARS: usize = 64;
/// A run of token characters longer than this is no word: a secret key has 40, a session token hundreds.
const LONGEST_WORD: usize = 39;

/// A message of STS or of a credential source.
pub(super) fn message(said: &str) -> String {
    // A signature error repeats the canonical request, headers and token included.
    let end = [said.find("The Canonical String"), said.find("The String-to-Sign")]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(said.len());
    let mut shown = String::new();
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-');
    let mut rest = &said[..end];
    while !rest.is_empty() && shown.len() < 4 * MAX_MESSAGE_CHARS {
        let token = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(token);
        shown.push_str(if is_secret(word) { "***" } else { word });
        let gap = after.find(is_token).unwrap_or(after.len());
        shown.extend(after[..gap].chars().map(|c| if c.is_control() { ' ' } else { c }));
        rest = &after[gap..];
    }
    shown.trim().chars().take(MAX_MESSAGE_CHARS).collect()
}

/// An access key id, or a run that is too long for anything but a token or a signature. The path of a role may
/// be long, but has a colon before it and slashes in it that no long run lacks for so far.
fn is_secret(word: &str) -> bool {
    let longest_part = word.split('/').map(str::len).max().unwrap_or_default();
    let key = word.len() >= 16
        && ["AKIA", "ASIA"].iter().any(|prefix| word.starts_with(prefix))
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let path = word.starts_with("role/") || word.starts_with("assumed-role/") || word.starts_with("user/");
    key || if path { longest_part > 64 } else { word.len() > LONGEST_WORD }
}

/// An error code: of a closed alphabet, or none.
pub(super) fn code(said: &str) -> Option<String> {
    let fits = !said.is_empty()
        && said.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':'));
    fits.then(|| said.chars().take(MAX_CODE_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_need_stays_and_what_they_must_not_see_goes() {
        let denied = "User: arn:aws:sts::111122223333:assumed-role/hub/task is not authorized to perform: \
                      sts:AssumeRole on resource: arn:aws:iam::222233334444:role/team/networking/spokeprobe";
        assert_eq!(message(denied), denied);
        let token = format!("token IQoJb3JpZ2lu{} is bad", "aB3/+".repeat(100));
        assert_eq!(message(&token), "token *** is bad");
        assert_eq!(message("key ASIAIOSFODNN7EXAMPLE is unknown"), "key *** is unknown");
        let echo = "The signature does not match.\n\nThe Canonical String for this request should have been\n'GET\n\
                    x-amz-security-token:secret'";
        assert_eq!(message(echo), "The signature does not match.");
        let long = message(&"word ".repeat(1000));
        assert_eq!(long.chars().count(), 300);
        assert!(message(&"é\u{0}".repeat(1000)).chars().count() <= 300);
    }

    #[test]
    fn codes_are_words() {
        assert_eq!(code("AccessDenied").as_deref(), Some("AccessDenied"));
        assert_eq!(code("a b"), None);
        assert_eq!(code(""), None);
        assert_eq!(code(&"x".repeat(100)).unwrap().len(), 64);
    }
}
