//! What STS said, fit to be shown: short, on one line, without tokens, keys or canonical strings.

/// The longest error code, in characters.
const MAX_CODE_CHARS: usize = 64;
/// An error code: of a closed alphabet, or none.
pub(super) fn code(said: &str) -> Option<String> {
    let fits = !said.is_empty()
        && said.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':'));
    fits.then(|| said.chars().take(MAX_CODE_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scrub::scrub as message;

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
