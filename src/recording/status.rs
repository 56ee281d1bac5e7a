//! A picture of everything at one moment, as values: `web` turns it into JSON and pages.

use crate::domain::name::Name;
use crate::domain::observation::Door;
use crate::domain::target::{SpokeInfo, Target};
use crate::recording::agent::AgentPlace;
use crate::recording::board::{CredentialsState, Failure, Last};
use crate::recording::counts::Counts;
use crate::recording::diagnosis::KnownDiagnosis;
use crate::recording::endpoint::EndpointStatus;
use crate::recording::faults::KnownFault;
use crate::recording::isolation::IsolationStatus;
use crate::recording::load::LoadStatus;
use crate::recording::members::MembersStatus;
use crate::recording::reload::ConfigurationStatus;
use crate::recording::windows::Percentiles;
use std::sync::Arc;

/// The whole agent.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The spokes, by name.
    pub spokes: Vec<SpokeStatus>,
    /// The targets, by their labels.
    pub targets: Vec<TargetStatus>,
    /// The included files of the configuration.
    pub includes: Arc<[IncludeStatus]>,
    /// The kept failures, newest first.
    pub failures: Vec<Arc<Failure>>,
    /// Attempts in flight.
    pub in_flight: i64,
    /// The far side's clock minus ours, once known.
    pub clock_skew_seconds: Option<f64>,
    /// Panics of tasks since the start.
    pub task_panics: u64,
    /// Faults that many targets share.
    pub faults: Vec<KnownFault>,
    /// The isolation of spokes from each other, where it is checked.
    pub isolation: Option<IsolationStatus>,
    /// The agents that share the targets, where several do.
    pub members: Option<MembersStatus>,
    /// The loads that are announced or run, by name.
    pub loads: Vec<LoadStatus>,
    /// The endpoint, where it is watched.
    pub endpoint: Option<EndpointStatus>,
    /// How the configuration was read last.
    pub configuration: ConfigurationStatus,
    /// Where the agent itself runs.
    pub agent: AgentPlace,
}

/// An included file of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncludeStatus {
    /// The file.
    pub file: String,
    /// Why it was left out, or runs on as it was last read; empty for one that is in use as it is.
    pub problems: Vec<String>,
}

/// One spoke.
#[derive(Debug, Clone)]
pub struct SpokeStatus {
    /// Its name.
    pub name: Name,
    /// Account, region, role and labels; `None` if it was never announced.
    pub info: Option<SpokeInfo>,
    /// The session that signs for it.
    pub credentials: CredentialsState,
    /// Response times of all its targets since it is known.
    pub latency: Option<Percentiles>,
}

/// One target.
#[derive(Debug, Clone)]
pub struct TargetStatus {
    /// The target as configured now.
    pub target: Arc<Target>,
    /// Its books.
    pub counts: Counts,
    /// How its last attempt ended; `None` before the first.
    pub last: Option<Last>,
    /// The last evidence of a guard's door.
    pub door: Option<Door>,
    /// What twins taught about its refusals.
    pub diagnosis: Option<KnownDiagnosis>,
    /// Response times: the last 256 of an interval target, all of a rate target.
    pub latency: Option<Percentiles>,
    /// Its last failures, newest first.
    pub failures: Vec<Arc<Failure>>,
}
