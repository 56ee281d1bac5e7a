//! The names that users give to spokes, apis, probes and loads, and to label keys.

use crate::domain::checked_text;

/// A name of a spoke, api, probe or load: it becomes a metric label and part of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(std::sync::Arc<str>);

checked_text!(Name, "1 to 63 lower-case letters, digits and hyphens, the first not a hyphen", |text| {
    let bytes = text.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= 63
        && bytes[0] != b'-'
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
});

/// The name of a label that a spoke carries on `spoke_info`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelName(Box<str>);

/// Label names that the program's own metrics or Prometheus itself use.
pub const RESERVED_LABELS: [&str; 8] =
    ["spoke", "account", "region", "role", "job", "instance", "le", "zone"];

checked_text!(
    LabelName,
    "a lower-case letter or underscore, then lower-case letters, digits and underscores; none of \
     spoke, account, region, role, job, instance, le, zone",
    |text| {
        let mut bytes = text.bytes();
        bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && !text.starts_with("__")
            && !RESERVED_LABELS.contains(&text)
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_safe_in_labels_and_paths() {
        for good in ["a", "0", "payments", "a-b", &"x".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a/b", "a\"b", "é", &"x".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn label_names_do_not_shadow_our_own() {
        assert!("team".parse::<LabelName>().is_ok());
        assert!("_x1".parse::<LabelName>().is_ok());
        for bad in ["", "1a", "Team", "a-b", "__name__", "spoke", "le"] {
            assert!(bad.parse::<LabelName>().is_err(), "{bad}");
        }
    }
}
