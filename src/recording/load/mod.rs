//! What load runs count and time, apart from all health series.
//!
//! ```text
//! attempt ──► recorder (the run)  ──► past: sums, timeline, last minute ──► guards, report
//!         │                                └► intervals ──► histogram_log
//!         └─► books (the load's name, over all runs) ──► metrics, status
//! ```
//!
//! `known` has the books of every load that is announced or runs.

mod books;
mod distribution;
mod histogram_log;
mod intervals;
mod known;
mod past;
mod recorder;
mod results;
mod window;

pub(in crate::recording) use books::{LoadBooks, LoadView};
pub use books::{LoadEnd, LoadInfo, LoadRun, LoadStatus};
pub use distribution::{Distribution, LoadPercentiles};
pub use histogram_log::HistogramLog;
pub use intervals::{LoadInterval, LoadIntervals};
pub(in crate::recording) use known::Load;
pub use past::TIMELINE_ENTRIES;
pub use recorder::LoadRecorder;
pub use window::{LONGEST_WINDOW, LoadWindow};

use crate::domain::outcome::Reason;
use std::time::Duration;

/// All that a run counted and timed. due = sent + missed + unsent + in flight, and sent = ended + aborted +
/// in flight; in flight is zero once a run has ended.
#[derive(Debug, Clone, Default)]
pub struct LoadRecord {
    /// Arrivals that became due.
    pub due: u64,
    /// Attempts that were handed to the network.
    pub sent: u64,
    /// Attempts that ended with a verdict and had been sent.
    pub ended: u64,
    /// Attempts that could not be sent for want of a session; they are in `results` too.
    pub unsent: u64,
    /// Arrivals that were not made because too many attempts were in flight.
    pub missed_overloaded: u64,
    /// Arrivals that were not made because the agent itself was held up.
    pub missed_paused: u64,
    /// Attempts in flight that were given up when the run was cut off.
    pub aborted: u64,
    /// Ended attempts, by code and reason.
    pub results: Vec<LoadResult>,
    /// From due to the last byte, of every attempt that was sent and ended.
    pub response: Distribution,
    /// From sent to the last byte, of the same.
    pub service: Distribution,
    /// From due to sent, of the same: what the pacer and the agent add.
    pub lateness: Distribution,
    /// One entry for each second of the run, the last one perhaps shorter. A run of more than an hour has at most
    /// [`TIMELINE_ENTRIES`], of two seconds each, then of four, and so on; its last one may hold fewer.
    pub timeline: Vec<LoadSecond>,
}

impl LoadRecord {
    /// Arrivals that were not made.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed_overloaded + self.missed_paused
    }
}

/// One kind of result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadResult {
    /// The status code; `None` without an answer.
    pub code: Option<u16>,
    /// The reason, and with it the outcome.
    pub reason: Reason,
    /// How many attempts ended so.
    pub count: u64,
    /// How many of them were as the configuration asked for.
    pub expected: u64,
}

/// One second of a run, or a few where the run is long. An attempt counts in the second in which it ended; due and missed in theirs.
#[derive(Debug, Clone, Default)]
pub struct LoadSecond {
    /// When it began, from the beginning of the run.
    pub at: Duration,
    /// How long it is.
    pub lasts: Duration,
    /// The mean rate asked for in it.
    pub rate_asked: f64,
    /// Arrivals that became due.
    pub due: u64,
    /// Attempts handed to the network.
    pub sent: u64,
    /// Attempts that ended.
    pub ended: u64,
    /// Ended attempts that were not as expected.
    pub unexpected: u64,
    /// Ended attempts that were throttled.
    pub throttled: u64,
    /// Arrivals that were not made.
    pub missed: u64,
    /// Attempts in flight at its end.
    pub in_flight: u64,
    /// Response times of the attempts that ended in it. Where the entry holds several seconds, each figure is that
    /// of the worst of them.
    pub response: LoadPercentiles,
}
