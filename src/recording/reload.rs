//! How the configuration was read last: what `config_last_reload_*` and the status say.

use crate::recording::collector::epoch_seconds;
use crate::recording::families::{Families, series};
use crate::recording::{KEPT_PROBLEMS, Recorder, locked};
use prometheus::proto::MetricFamily;
use std::time::SystemTime;

/// What is known of readings of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigurationStatus {
    /// Where it comes from, as the user named it; empty until it is told.
    pub source: String,
    /// When what is in use was read, or was found to be still what there is after a refusal; `None` before the first
    /// reading.
    pub read_at: Option<SystemTime>,
    /// Set while the newest content is refused.
    pub refused: Option<ConfigurationTrouble>,
    /// Set while the source cannot be read.
    pub unreadable: Option<ConfigurationTrouble>,
}

/// Why the configuration in use is not the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationTrouble {
    /// Since when.
    pub since: SystemTime,
    /// The problems, at most 20; the log has all.
    pub problems: Vec<String>,
}

impl Recorder {
    /// Says where the configuration comes from, as the user named it.
    pub fn set_configuration_source(&self, name: &str) {
        name.clone_into(&mut locked(&self.shared.reload).source);
    }

    /// The configuration was read and is in use since this moment by wall clock; at the start as well.
    pub fn configuration_read(&self, at: SystemTime) {
        let mut status = locked(&self.shared.reload);
        status.read_at = Some(at);
        status.refused = None;
        status.unreadable = None;
    }

    /// The configuration was read again and refused; the one before stays in use.
    pub fn configuration_refused(&self, since: SystemTime, mut problems: Vec<String>) {
        problems.truncate(KEPT_PROBLEMS);
        let mut status = locked(&self.shared.reload);
        status.refused = Some(ConfigurationTrouble { since, problems });
        status.unreadable = None;
    }

    /// The source cannot be read; what is in use stays. That alone is no refusal: nobody knows whether there is
    /// anything new.
    pub fn configuration_unreadable(&self, since: SystemTime, problem: String) {
        let trouble = ConfigurationTrouble { since, problems: vec![problem] };
        locked(&self.shared.reload).unreadable = Some(trouble);
    }

    /// The source can be read again, and holds what it held before.
    pub fn configuration_readable(&self) {
        locked(&self.shared.reload).unreadable = None;
    }

    /// What is known of readings of the configuration.
    #[must_use]
    pub fn configuration(&self) -> ConfigurationStatus {
        locked(&self.shared.reload).clone()
    }
}

impl ConfigurationStatus {
    pub(super) fn families(&self, f: &Families) -> [MetricFamily; 2] {
        let successful = self.read_at.map(|_| series(&[], f64::from(self.refused.is_none())));
        let at = self.read_at.map(|at| series(&[], epoch_seconds(at)));
        [
            f.reload_successful.family(successful.into_iter().collect()),
            f.reload_success_at.family(at.into_iter().collect()),
        ]
    }
}
