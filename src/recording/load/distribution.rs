//! Durations as a distribution: an HDR histogram of 3 significant digits behind a face without it.

use hdrhistogram::Histogram;
use std::fmt;
use std::time::Duration;

/// The longest duration told apart, in nanoseconds: ten minutes, twice the longest timeout.
const LONGEST_NS: u64 = 600_000_000_000;
/// The shortest duration told apart, in nanoseconds.
const SHORTEST_NS: u64 = 1_000;
const DIGITS: u8 = 3;

/// Durations from a microsecond to ten minutes, at three significant digits. It weighs nothing until the first one
/// is recorded.
#[derive(Clone, Default)]
pub struct Distribution(Option<Box<Histogram<u64>>>);

impl Distribution {
    /// Adds a duration.
    pub fn record(&mut self, took: Duration) {
        if self.0.is_none() {
            self.0 = Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, DIGITS).ok().map(Box::new);
        }
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(LONGEST_NS));
        }
    }

    /// How many durations it holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |histogram| histogram.len())
    }

    /// The longest duration; zero for an empty distribution.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.as_ref().map_or(0, |histogram| histogram.max()))
    }

    /// The duration that a share of `quantile` (from 0 to 1) is not above; zero for an empty distribution.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Duration {
        let at = |histogram: &Histogram<u64>| histogram.value_at_quantile(quantile.clamp(0.0, 1.0));
        Duration::from_nanos(self.0.as_deref().map_or(0, at))
    }
}

impl fmt::Debug for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distribution").field("count", &self.count()).field("max", &self.max()).finish()
    }
}
