//! What `diagnosis` has found out, kept for people and scrapes: the diagnosis of a target, faults that are shared.
//!
//! Here they are plain values; who makes them, and when they fall, is not recording's affair.

use crate::domain::name::Name;
use crate::domain::observation::Twin;
use crate::domain::outcome::Reason;
use crate::recording::AssumeRoleResult;
use crate::recording::board::CredentialsState;
use std::time::SystemTime;

/// What twin attempts taught about a target's refusals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDiagnosis {
    /// The reason that later refusals of the same wording take.
    pub reason: Reason,
    /// When it was made.
    pub since: SystemTime,
    /// When a round of twins said so last.
    pub confirmed_at: SystemTime,
    /// What it rests on, closed words.
    pub because: Vec<&'static str>,
    /// What may be at fault, closed words, the likelier first.
    pub suspects: Vec<&'static str>,
}

/// How far a twin attempt got: what a server that counts requests needs to be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TwinEnd {
    /// It was answered.
    Answered,
    /// It was cut off; whether its request was read, only the far side knows.
    CutOff,
    /// Its request reached nobody.
    Unreached,
}

/// Twin attempts of a target by how far they got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TwinCounts {
    /// Answered.
    pub answered: u64,
    /// Cut off before or after the request was read; quick retries among them.
    pub cut_off: u64,
    /// All that were sent.
    pub sent: u64,
}

/// The twin attempts of one kind, with their counter.
pub(super) struct TwinSeries {
    pub(super) twin: Twin,
    pub(super) counter: prometheus::IntCounter,
}

/// What a fault is common to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultScope {
    /// The shared endpoint.
    Endpoint,
    /// STS, or the hub's right to ask it.
    Sts,
    /// The agent itself.
    Agent,
}

impl FaultScope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Endpoint, Self::Sts, Self::Agent];

    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Sts => "sts",
            Self::Agent => "agent",
        }
    }
}

/// Where a fault is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultPlace {
    /// Common to many spokes.
    Shared(FaultScope),
    /// Common to all probes of one spoke.
    Spoke(Name),
}

/// A fault that is common to many targets, and so worth one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFault {
    /// Where it is.
    pub place: FaultPlace,
    /// A closed word for it: a reason, or a word of `diagnosis`.
    pub cause: &'static str,
    /// Since when.
    pub since: SystemTime,
    /// Numbers for people; nothing from outside.
    pub detail: String,
}

/// How a target stands, as far as shared faults are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetCondition {
    /// Its spoke.
    pub spoke: Name,
    /// True for a probe that expects an answer under its own spoke's role.
    pub plain: bool,
    /// The last reason, whether it was as expected, and since when; `None` before the first attempt.
    pub last: Option<(Reason, bool, SystemTime)>,
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
    /// The far side's clock minus ours, once known.
    pub clock_skew_seconds: Option<f64>,
}
