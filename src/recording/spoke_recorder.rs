//! One spoke's totals and the state of the session that signs for it.

use crate::recording::board::CredentialsState;
use crate::recording::hour::{Hour, LastHour};
use crate::recording::windows::{Percentiles, Window};
use crate::recording::{AssumeRoleResult, locked};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// What is kept of a spoke beside its targets.
#[derive(Debug)]
pub(super) struct SpokeRecorder {
    totals: Mutex<Window>,
    hour: Mutex<LastHour>,
    credentials: Mutex<CredentialsState>,
    last_assume_role: Mutex<Option<AssumeRoleResult>>,
}

impl SpokeRecorder {
    /// A spoke of which nothing is known.
    pub(super) fn new() -> Self {
        Self {
            totals: Mutex::new(Window::histogram()),
            hour: Mutex::default(),
            credentials: Mutex::default(),
            last_assume_role: Mutex::default(),
        }
    }

    /// Adds an attempt of one of its targets that ended `at`; `took` is `None` where nothing was sent.
    pub(super) fn record(&self, at: SystemTime, took: Option<Duration>, expected: bool) {
        if let Some(took) = took {
            locked(&self.totals).record(took);
        }
        locked(&self.hour).record(at, took, expected);
    }

    /// The percentiles over all targets since the spoke is known.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        locked(&self.totals).percentiles()
    }

    /// The hour up to this moment.
    pub(super) fn hour(&self, now: SystemTime) -> Hour {
        locked(&self.hour).at(now)
    }

    /// Changes the state of the session.
    pub(super) fn set_credentials(&self, change: impl FnOnce(&mut CredentialsState)) {
        change(&mut locked(&self.credentials));
    }

    /// Keeps how `AssumeRole` ended.
    pub(super) fn set_assume_role(&self, result: Option<AssumeRoleResult>) {
        *locked(&self.last_assume_role) = result;
    }

    /// How the last `AssumeRole` ended.
    pub(super) fn last_assume_role(&self) -> Option<AssumeRoleResult> {
        *locked(&self.last_assume_role)
    }

    /// The state of the session.
    pub(super) fn credentials(&self) -> CredentialsState {
        locked(&self.credentials).clone()
    }
}
