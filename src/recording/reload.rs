//! How the configuration was read last: what `config_last_reload_*` say.

use crate::recording::collector::epoch_seconds;
use crate::recording::families::{Families, series};
use prometheus::proto::MetricFamily;
use std::time::SystemTime;

/// What is known of readings of the configuration; nothing before the first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reload {
    successful: Option<bool>,
    last_success: Option<SystemTime>,
}

impl Reload {
    /// A reading whose result is in use since this moment.
    pub(super) const fn succeeded(&mut self, at: SystemTime) {
        *self = Self { successful: Some(true), last_success: Some(at) };
    }

    /// A reading that was refused: what was read before stays in use.
    pub(super) const fn failed(&mut self) {
        self.successful = Some(false);
    }

    pub(super) fn families(self, f: &Families) -> [MetricFamily; 2] {
        let successful = self.successful.map(|successful| series(&[], f64::from(successful)));
        let at = self.last_success.map(|at| series(&[], epoch_seconds(at)));
        [
            f.reload_successful.family(successful.into_iter().collect()),
            f.reload_success_at.family(at.into_iter().collect()),
        ]
    }
}
