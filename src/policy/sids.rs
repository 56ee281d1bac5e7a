//! Names of statements: letters and digits, beginning with `Spokeprobe`, following from names alone.
//!
//! A `Sid` must not depend on what else is configured, or a later run would not find its own statements again.

use crate::domain::name::Name;
use crate::domain::spread;

/// What every name begins with.
pub(super) const PREFIX: &str = "Spokeprobe";

/// The statement about the role of a spoke: `payments-eu` gives `SpokeprobeRolePaymentsEu`.
pub(super) fn of_role(spoke: &Name) -> String {
    let mut sid = format!("{PREFIX}Role");
    let parts: Vec<&str> = spoke.as_str().split('-').collect();
    for part in &parts {
        let mut letters = part.chars();
        sid.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        sid.extend(letters);
    }
    // Only a capital tells that there was a hyphen: without one `a-1` would be `a1`.
    let told = parts.iter().skip(1).all(|part| part.starts_with(|c: char| c.is_ascii_lowercase()));
    if !told {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^32")]
        let mark = (spread::fraction(spoke.as_str()) * f64::from(u32::MAX)) as u32;
        sid.push_str(&format!("X{mark:08x}"));
    }
    sid
}

/// True for a statement of ours, whatever configuration it came from.
pub(super) fn is_ours(sid: &str) -> bool {
    sid.starts_with(PREFIX)
}
