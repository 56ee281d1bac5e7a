//! The last seconds of a run in sums: what `past` keeps, the recorder hands out, and guards judge on.

use std::time::Duration;

/// The seconds that a window may reach back at most.
pub const LONGEST_WINDOW: Duration = Duration::from_secs(60);

/// Sums over the last whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LoadWindow {
    /// Arrivals that became due.
    pub due: u64,
    /// Arrivals that were not made.
    pub missed: u64,
    /// Attempts that ended, unsent ones included.
    pub ended: u64,
    /// Ended attempts that were not as expected.
    pub unexpected: u64,
    /// Ended attempts that were throttled.
    pub throttled: u64,
    /// The 99th percentile of all response times in the window; zero where nothing ended.
    pub p99: Duration,
}
