//! Where the configuration in use comes from, and why it may not be the newest.

use crate::recording::{ConfigurationStatus, ConfigurationTrouble};
use crate::web::status::rfc3339;
use serde::Serialize;

/// The configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigurationView {
    /// Where it comes from, as the user named it.
    pub source: String,
    /// When what is in use was read.
    pub read_at: Option<String>,
    /// Set while the newest content is refused; what was read before runs on.
    pub refused: Option<ConfigurationTroubleView>,
    /// Set while the source cannot be read; what was read before runs on.
    pub unreadable: Option<ConfigurationTroubleView>,
}

/// Why the configuration in use is not the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigurationTroubleView {
    /// Since when.
    pub since: Option<String>,
    /// The problems, at most 20; the log has all.
    pub problems: Vec<String>,
}

pub(super) fn view(status: &ConfigurationStatus) -> ConfigurationView {
    let trouble = |trouble: &ConfigurationTrouble| ConfigurationTroubleView {
        since: rfc3339(trouble.since),
        problems: trouble.problems.clone(),
    };
    ConfigurationView {
        source: status.source.clone(),
        read_at: status.read_at.and_then(rfc3339),
        refused: status.refused.as_ref().map(trouble),
        unreadable: status.unreadable.as_ref().map(trouble),
    }
}
