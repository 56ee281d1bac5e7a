//! How everything stands at one moment, as far as shared faults are found from it.

use crate::domain::name::Name;
use crate::domain::outcome::Reason;
use crate::recording::AssumeRoleResult;
use crate::recording::board::CredentialsState;
use std::time::SystemTime;

/// How a target stands, as far as shared faults are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetCondition {
    /// Its spoke.
    pub spoke: Name,
    /// True for a probe that expects an answer under its own spoke's role.
    pub plain: bool,
    /// The last reason, whether it was as expected, and since when; `None` before the first attempt.
    pub last: Option<(Reason, bool, SystemTime)>,
    /// Whether the last attempt ended within the last ten minutes: what is older says little of now.
    pub recent: bool,
}

/// How a spoke's session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpokeCondition {
    /// Its name.
    pub name: Name,
    /// The session.
    pub credentials: CredentialsState,
    /// How the last `AssumeRole` for it ended.
    pub last_assume_role: Option<AssumeRoleResult>,
}

/// Everything that shared faults are found from, read at one moment. Sums run since the start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conditions {
    /// All targets.
    pub targets: Vec<TargetCondition>,
    /// All spokes.
    pub spokes: Vec<SpokeCondition>,
    /// Attempts that became due.
    pub due: u64,
    /// Attempts without a permit: missed for it, or ended `overloaded`.
    pub overloaded: u64,
    /// Attempts that were sent.
    pub sent: u64,
    /// The sum of their lateness.
    pub lag_seconds: f64,
    /// The far side's clock minus ours, by the answers of the last ten minutes.
    pub clock_skew_seconds: Option<f64>,
}
