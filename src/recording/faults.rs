//! Faults that many targets share, as plain values: who finds them is not recording's affair.

use crate::domain::name::Name;
use std::time::SystemTime;

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
