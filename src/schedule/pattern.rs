//! The shapes of arrivals: an interval, or a constant rate.

use crate::domain::moment::Moment;
use crate::domain::target::Cadence;
use std::time::Duration;

/// How arrivals follow each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pattern {
    /// One arrival in each interval. A late one is still made until the next is due.
    Interval(Duration),
    /// Open-model arrivals, this many a second. Late ones are all made, up to [`RATE_GRACE`].
    PerSecond(f64),
}

/// How late an arrival of a rate may be and still be made. Longer than any pause of a timer or a scheduler,
/// shorter than what would come out as a burst that the far side notices: at 1,000/s at most 100 at once.
pub const RATE_GRACE: Duration = Duration::from_millis(100);

impl Pattern {
    /// The mean time between two arrivals.
    #[must_use]
    pub fn interval(self) -> Duration {
        match self {
            Self::Interval(every) => every,
            Self::PerSecond(rate) => Duration::from_secs_f64(1.0 / rate),
        }
    }

    /// The time from the first arrival to the one with this index, computed from the index so that rounding
    /// never adds up.
    #[must_use]
    pub(super) fn offset(self, index: u64) -> Duration {
        match self {
            Self::Interval(every) => {
                let nanos = every.as_nanos().saturating_mul(u128::from(index));
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
            #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 arrivals")]
            Self::PerSecond(rate) => Duration::from_secs_f64(index as f64 / rate),
        }
    }

    /// The first moment from `now` on that lies at `phase` within the interval.
    #[must_use]
    pub(super) fn first_due(self, phase: Duration, now: Moment) -> Moment {
        let every = self.interval().as_nanos().max(1);
        let phase = phase.as_nanos() % every;
        let now = now.since_origin().as_nanos();
        let whole = (now + every - phase).div_ceil(every).saturating_sub(1);
        let first = whole * every + phase;
        Moment::from_origin(Duration::from_nanos(u64::try_from(first).unwrap_or(u64::MAX)))
    }

    /// How many arrivals, beginning with one that is late by `lateness`, come too late to be made.
    #[must_use]
    pub(super) fn too_late(self, lateness: Duration) -> u64 {
        let interval = self.interval().as_nanos().max(1);
        let late = lateness.as_nanos();
        let skipped = match self {
            Self::Interval(_) => late / interval,
            Self::PerSecond(_) => late.saturating_sub(RATE_GRACE.as_nanos().max(interval)).div_ceil(interval),
        };
        u64::try_from(skipped).unwrap_or(u64::MAX)
    }
}

impl From<Cadence> for Pattern {
    fn from(cadence: Cadence) -> Self {
        match cadence {
            Cadence::Every(every) => Self::Interval(every),
            Cadence::PerSecond(rate) => Self::PerSecond(rate),
        }
    }
}
