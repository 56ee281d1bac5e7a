//! What a load run tells: the value that text, JSON, HTML and the log of histograms are written from.

use crate::domain::load::Guard;
use crate::load::Settings;
use crate::recording::LoadRecord;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A run that has ended.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was asked for.
    pub settings: Arc<Settings>,
    /// When the first arrival could be due.
    pub began_at: SystemTime,
    /// From there to the end of the last attempt.
    pub lasted: Duration,
    /// How it ended.
    pub ended: Ended,
    /// What was counted and timed.
    pub record: LoadRecord,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ended {
    /// All stages were driven.
    Completed,
    /// A guard or a person stopped it.
    Stopped {
        /// Which guard.
        guard: Guard,
        /// How long after the beginning.
        after: Duration,
        /// What was measured: a share, or seconds for `p99`; zero for `requested`.
        measured: f64,
        /// What was allowed.
        allowed: f64,
    },
}
