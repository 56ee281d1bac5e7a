//! The real clock, on tokio's time: a paused runtime therefore moves it too.

#![expect(clippy::disallowed_methods, reason = "this is the one place the others are sent to")]

use crate::domain::moment::Moment;
use crate::seams::{Clock, Wait};
use futures_util::future::BoxFuture;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The clock of the machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    origin: Instant,
    /// Set when wall time is computed from the monotonic clock instead of asked of the machine.
    simulated_origin: Option<SystemTime>,
}

impl SystemClock {
    /// The machine's clocks, with the monotonic origin at this call.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: Instant::now(), simulated_origin: None }
    }

    /// A clock whose wall time begins at `wall` and follows tokio's time: under a paused runtime a day
    /// passes in a moment.
    #[must_use]
    pub fn simulated(wall: SystemTime) -> Self {
        Self { origin: Instant::now(), simulated_origin: Some(wall) }
    }

    /// The instant of tokio's clock that a moment stands for.
    #[must_use]
    pub fn instant(&self, moment: Moment) -> Instant {
        self.origin + moment.since_origin()
    }

    fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.origin)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment::from_origin(self.elapsed())
    }

    fn wall(&self) -> SystemTime {
        // A wall time computed from a monotonic anchor would drift past the signing tolerance when a
        // machine is suspended, so the real clock is asked each time.
        match self.simulated_origin {
            Some(wall) => wall + self.elapsed(),
            None => SystemTime::now(),
        }
    }
}

/// Waits on tokio's timer, which ticks at 1 ms and rounds up.
#[derive(Debug, Clone, Copy)]
pub struct TokioWait(SystemClock);

impl TokioWait {
    /// Waits for moments of this clock.
    #[must_use]
    pub const fn new(clock: SystemClock) -> Self {
        Self(clock)
    }
}

impl Wait for TokioWait {
    fn until(&self, at: Moment) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep_until(self.0.instant(at)))
    }
}
