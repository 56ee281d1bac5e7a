//! The agents that share the targets, as this one sees them: `spokeprobe_members`, and what status shows.

use crate::recording::families::{Families, series};
use prometheus::proto::MetricFamily;
use std::sync::Arc;
use std::time::SystemTime;

/// The members, as far as this agent knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembersStatus {
    /// Whether targets are shared.
    pub state: MembersState,
    /// All members, sorted; empty where none are known.
    pub names: Arc<[Arc<str>]>,
    /// The names that this agent goes by.
    pub me: Vec<Arc<str>>,
    /// Whether this agent begins the scheduled loads.
    pub first: bool,
    /// How many members probe each target.
    pub replicas: u32,
    /// Since when this share is in effect, by wall clock.
    pub since: SystemTime,
    /// What is the matter, scrubbed.
    pub problem: Option<String>,
}

/// Whether targets are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembersState {
    /// Nothing is known yet: nothing is probed after a start, and the old share after another configuration.
    Waiting,
    /// Each member probes its share.
    Sharing,
    /// The members are not known, so this agent probes everything.
    StandIn,
}

impl MembersState {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sharing => "sharing",
            Self::StandIn => "stand_in",
        }
    }
}

/// The number of members: 0 for an agent that does everything because it knows none, absent before anything is known.
pub(super) fn family(f: &Families, status: Option<&MembersStatus>) -> MetricFamily {
    let count = status.and_then(|status| match status.state {
        MembersState::Waiting => None,
        MembersState::Sharing => Some(u32::try_from(status.names.len()).unwrap_or(u32::MAX)),
        MembersState::StandIn => Some(0),
    });
    f.members.family(count.map(|count| series(&[], f64::from(count))).into_iter().collect())
}
