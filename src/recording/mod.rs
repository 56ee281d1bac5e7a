//! The sink: the only prometheus and hdrhistogram user.

use crate::domain::credentials::RoleInUse;
use crate::domain::observation::{MissCause, Observation};
use crate::domain::target::{SpokeInfo, Target, TargetId};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What recording needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Upper bounds of the latency histograms in seconds, ascending.
    pub buckets: Vec<f64>,
}

/// How an `AssumeRole` call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AssumeRoleResult {
    /// A session came back.
    Ok,
    /// STS refused.
    Denied,
    /// STS is asked too often.
    Throttled,
    /// Anything else.
    Failed,
}

/// Everything that is counted, timed and kept.
#[derive(Debug)]
pub struct Recorder {}

impl Recorder {
    /// A recorder without targets.
    #[must_use]
    pub fn new(_settings: &Settings) -> Self {
        Self {}
    }

    /// Sets `spoke_info` and the set of known spokes.
    pub fn set_spokes(&self, _spokes: &[SpokeInfo]) {}

    /// Begins to record a target; its known label sets appear at zero.
    pub fn add_target(&self, _target: &Arc<Target>) -> Arc<TargetRecorder> {
        Arc::new(TargetRecorder {})
    }

    /// Forgets a target and its series.
    pub fn remove_target(&self, _id: &TargetId) {}

    /// Counts one `AssumeRole` call for each spoke of the role, and its duration once.
    pub fn assume_role_ended(&self, _role: &RoleInUse, _result: AssumeRoleResult, _took: Duration) {}

    /// Sets when a role's session ends, for each of its spokes, and clears its last failure on the board.
    pub fn credentials_renewed(&self, _role: &RoleInUse, _expires_at: Option<SystemTime>) {}

    /// Keeps what STS said of a role on the board: code and scrubbed message.
    pub fn credentials_refused(
        &self,
        _role: &RoleInUse,
        _code: Option<&str>,
        _message: &str,
        _at: SystemTime,
    ) {
    }

    /// Counts a panic of a task.
    pub fn task_panicked(&self) {}
}

/// The recorder of one target, its metric children resolved once.
#[derive(Debug)]
pub struct TargetRecorder {}

impl TargetRecorder {
    /// An attempt became due.
    pub fn due(&self) {}

    /// `count` due attempts were never made.
    pub fn missed(&self, _cause: MissCause, _count: u64) {}

    /// An attempt got its permit and goes out (raises `in_flight_requests`).
    pub fn started(&self) {}

    /// An attempt that had `started` ended, or never got a permit (`started` is then `false`).
    pub fn observed(&self, _observation: &Observation, _started: bool) {}
}
