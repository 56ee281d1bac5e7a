//! What a load run is told.

use crate::domain::name::Name;
use crate::domain::target::Target;
use crate::schedule::Profile;
use std::sync::Arc;
use std::time::Duration;

/// One load run, checked: nothing in it exceeds a ceiling of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The label `load`.
    pub name: Name,
    /// The probe that is driven; its own cadence has no part in the run.
    pub target: Arc<Target>,
    /// When arrivals are due.
    pub profile: Profile,
    /// What stops the run.
    pub guards: Guards,
    /// When it begins each day, as the time since midnight UTC; `None` for one that runs by command only.
    pub at: Option<Duration>,
    /// The most attempts in flight at once.
    pub in_flight: usize,
    /// Whether a signed request may serve all attempts of its second (`load.reuse_signatures`).
    pub reuse_signatures: bool,
    /// How long the rate goes down to zero once a guard or a person stops the run; zero stops at once.
    pub ramp_down: Duration,
}

impl Settings {
    /// True when a run that is under way would be the same under the other settings: the time of day and what belongs
    /// to the health probe alone have no part in it.
    #[must_use]
    pub fn drives_the_same(&self, other: &Self) -> bool {
        let (target, others) = (&self.target, &other.target);
        self.name == other.name
            && target.id == others.id
            && target.asks_the_same(others)
            && target.timeout == others.timeout
            && target.fresh_connection == others.fresh_connection
            && self.profile == other.profile
            && self.guards == other.guards
            && self.in_flight == other.in_flight
            && self.reuse_signatures == other.reuse_signatures
            && self.ramp_down == other.ramp_down
    }
}

/// What stops a run. Shares are from 0 to 1; `None` turns a guard off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guards {
    /// The largest share of ended attempts that are not as expected.
    pub errors: Option<f64>,
    /// The largest share of ended attempts that are throttled.
    pub throttled: Option<f64>,
    /// The longest 99th percentile of the response time.
    pub p99: Option<Duration>,
    /// The largest share of due attempts that are missed.
    pub missed: Option<f64>,
    /// The time that shares and percentile are taken over, a whole number of seconds.
    pub window: Duration,
}

impl Default for Guards {
    /// Guards for who names none: a run without any is a way to do harm.
    fn default() -> Self {
        Self {
            errors: Some(0.1),
            throttled: Some(0.01),
            p99: None,
            missed: Some(0.05),
            window: Duration::from_secs(10),
        }
    }
}
