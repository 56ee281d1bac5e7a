//! The wording of a gateway's refusal, reduced to what tells one kind of refusal from another.
//!
//! A diagnosis holds for as long as the same question is refused in the same words. Ids, ARNs, times and
//! whatever else differs between two refusals of one kind are taken out before the words are hashed, so nothing
//! of the text itself is kept.

use crate::domain::outcome::Reason;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// As much of a text as is looked at, in bytes.
const READ_BYTES: usize = 2048;
/// The longest run that is still a word.
const WORD_BYTES: usize = 24;

/// A refusal or failure that the gateway itself wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wording {
    /// The reason that the text alone gives.
    pub reason: Reason,
    /// Whether the text says that a policy denies explicitly; `None` where it does not say it either way.
    pub explicit: Option<bool>,
    /// Status, error type and the shape of the message as one number.
    pub key: u64,
}

/// What an earlier diagnosis taught about a wording: the reason to take in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lesson {
    /// The wording it is about.
    pub key: u64,
    /// The narrower reason.
    pub reason: Reason,
}

impl Wording {
    pub(super) fn of(status: u16, error_type: &str, message: Option<&str>, reason: Reason) -> Self {
        // Not keyed: that somebody makes two texts collide only lends a reason to an answer that is its own.
        let mut hasher = DefaultHasher::new();
        (status, error_type, message.is_some()).hash(&mut hasher);
        for word in
            beginning(message.unwrap_or_default()).split_ascii_whitespace().filter(|word| is_word(word))
        {
            word.hash(&mut hasher);
        }
        let explicit = message.and_then(explicitness);
        explicit.hash(&mut hasher);
        Self { reason, explicit, key: hasher.finish() }
    }

    /// The reason to go by, given what was learnt.
    pub(super) fn informed(&self, lesson: Option<Lesson>) -> Reason {
        match lesson {
            Some(lesson)
                if lesson.key == self.key && super::narrowing::may_become(self.reason, lesson.reason) =>
            {
                lesson.reason
            }
            _ => self.reason,
        }
    }
}

fn beginning(text: &str) -> &str {
    let end = (0..=READ_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// True for what stays the same from one refusal to the next.
fn is_word(word: &str) -> bool {
    word.len() <= WORD_BYTES
        && !word.contains("arn:")
        && word.bytes().all(|b| b.is_ascii() && !b.is_ascii_digit())
}

/// Reads whether an access-denied text is about an explicit deny. The resource holds the path of the request,
/// which may hold these very words, but never a blank.
fn explicitness(message: &str) -> Option<bool> {
    let (_, resource) = message.strip_prefix("User: ")?.rsplit_once(" on resource: ")?;
    match resource.split_once(' ') {
        None => Some(false),
        Some((_, rest)) if rest.starts_with("with an explicit deny") => Some(true),
        Some((_, rest)) if rest.starts_with("because no ") => Some(false),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "User: arn:aws:sts::012345678901:assumed-role/spokeprobe/demo is not authorized to perform: \
                       execute-api:Invoke on resource: arn:aws:execute-api:eu-west-1:********8901:a1b2c3d4e5/api/GET/";

    fn key(status: u16, error_type: &str, message: Option<&str>) -> u64 {
        Wording::of(status, error_type, message, Reason::UnattributedPolicy).key
    }

    #[test]
    fn a_text_says_whether_the_deny_is_explicit() {
        for (text, explicit) in [
            (OLD.to_owned(), Some(false)),
            (format!("{OLD} with an explicit deny"), Some(true)),
            (format!("{OLD} with an explicit deny in a VPC endpoint policy"), Some(true)),
            (
                format!("{OLD} because no VPC endpoint policy allows the execute-api:Invoke action"),
                Some(false),
            ),
            (format!("{OLD}with-an-explicit-deny"), Some(false)),
            (format!("{OLD} for reasons of its own"), None),
            ("Access denied".to_owned(), None),
        ] {
            assert_eq!(explicitness(&text), explicit, "{text}");
        }
    }

    #[test]
    fn the_key_is_that_of_the_kind_of_refusal() {
        let one = key(403, "AccessDeniedException", Some(OLD));
        let other = OLD.replace("012345678901", "999999999999").replace("/GET/", "/GET/orders/42");
        assert_eq!(one, key(403, "AccessDeniedException", Some(&other)));
        let explicit = format!("{OLD} with an explicit deny");
        for (status, error_type, message) in [
            (401, "AccessDeniedException", Some(OLD)),
            (403, "ForbiddenException", Some(OLD)),
            (403, "AccessDeniedException", None),
            (403, "AccessDeniedException", Some(explicit.as_str())),
            (403, "AccessDeniedException", Some("User: anonymous is not authorized")),
        ] {
            assert_ne!(one, key(status, error_type, message), "{status} {error_type} {message:?}");
        }
        let long = "ü".repeat(5_000);
        let _any_text_has_one = key(403, "AccessDeniedException", Some(&long));
    }

    #[test]
    fn a_lesson_holds_for_its_wording_and_for_what_it_may_become() {
        let wording = Wording::of(403, "AccessDeniedException", Some(OLD), Reason::UnattributedPolicy);
        let lesson = |key, reason| wording.informed(Some(Lesson { key, reason }));
        assert_eq!(lesson(wording.key, Reason::VpcEndpointPolicy), Reason::VpcEndpointPolicy);
        assert_eq!(lesson(wording.key ^ 1, Reason::VpcEndpointPolicy), Reason::UnattributedPolicy);
        assert_eq!(lesson(wording.key, Reason::None), Reason::UnattributedPolicy);
        assert_eq!(wording.informed(None), Reason::UnattributedPolicy);
    }
}
