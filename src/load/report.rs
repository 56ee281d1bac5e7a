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
    /// Who asked, where the run was stopped on request, in the words of [`Stop`](crate::load::Stop).
    pub asked_by: Option<&'static str>,
    /// The worst that guards saw.
    pub worst: Worst,
    /// What was counted and timed.
    pub record: LoadRecord,
}

/// The worst of any window that held evidence enough for a guard, whether it was on or off. `None` where none did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Worst {
    /// The share of ended attempts that were not as expected.
    pub errors: Option<f64>,
    /// The share of ended attempts that were throttled.
    pub throttled: Option<f64>,
    /// The 99th percentile of the response time, in seconds.
    pub p99: Option<f64>,
    /// The share of due attempts that were missed.
    pub missed: Option<f64>,
}

impl Worst {
    /// The worse of both, each by itself.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        let worse = |one: Option<f64>, other| [one, other].into_iter().flatten().reduce(f64::max);
        Self {
            errors: worse(self.errors, other.errors),
            throttled: worse(self.throttled, other.throttled),
            p99: worse(self.p99, other.p99),
            missed: worse(self.missed, other.missed),
        }
    }
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
