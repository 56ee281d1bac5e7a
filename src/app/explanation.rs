//! Hands the texts of `explain` to the pages of `web`, which knows of no module but recording.

use crate::domain::outcome::Reason;
use crate::explain::{Owner, entry};
use crate::web::{Advice, Explanation};

/// What the page of a spoke says about this reason.
#[must_use]
pub fn explanation(reason: Reason) -> Explanation {
    let entry = entry(reason);
    Explanation {
        more: entry.more,
        causes: entry.causes,
        owners: entry.owners.iter().copied().map(Owner::words).collect(),
        steps: entry.steps.iter().map(|step| Advice { text: step.text, command: step.command }).collect(),
    }
}
