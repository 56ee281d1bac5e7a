//! A token bucket, for whoever may ask only so often.
//!
//! It takes the wall clock as `web` is given it. A step of that clock does no harm: backwards, the bucket is refilled
//! from there; forwards, it is full.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// So many at once, and one more after each interval.
#[derive(Debug)]
pub(super) struct Bucket {
    burst: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    at: Option<SystemTime>,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(burst: u32) -> Self {
        let burst = f64::from(burst);
        Self { burst, state: Mutex::new(State { tokens: burst, at: None }) }
    }

    /// Takes a token, if there is one; one comes back after each `interval`.
    pub(super) fn take(&self, now: SystemTime, interval: Duration) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let since = state.at.map_or(Duration::ZERO, |at| now.duration_since(at).unwrap_or_default());
        state.at = Some(now);
        let gained = since.as_secs_f64() / interval.as_secs_f64().max(1e-9);
        state.tokens = (state.tokens + gained).min(self.burst);
        let enough = state.tokens >= 1.0;
        if enough {
            state.tokens -= 1.0;
        }
        enough
    }

    /// Puts a token back that was taken for nothing.
    pub(super) fn give_back(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tokens = (state.tokens + 1.0).min(self.burst);
    }

    /// When a token was asked for last.
    pub(super) fn last_asked(&self) -> Option<SystemTime> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + SECOND * u32::try_from(seconds).unwrap()
    }

    #[test]
    fn a_burst_and_then_one_an_interval() {
        let bucket = Bucket::new(3);
        let taken = |now| (0..10).filter(|_| bucket.take(now, SECOND * 2)).count();
        assert_eq!(taken(at(100)), 3);
        assert_eq!(taken(at(101)), 0);
        assert_eq!(taken(at(102)), 1, "half a token of before counts");
        assert_eq!(taken(at(1_000)), 3, "no more than the burst");
        bucket.give_back();
        assert_eq!(taken(at(1_000)), 1);
    }

    #[test]
    fn a_clock_that_steps_locks_nobody_out_for_good() {
        let bucket = Bucket::new(1);
        assert!(bucket.take(at(1_000), SECOND) && !bucket.take(at(1_000), SECOND));
        assert!(!bucket.take(at(10), SECOND), "nothing is gained backwards");
        assert!(bucket.take(at(11), SECOND));
    }
}
