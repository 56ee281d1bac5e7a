//! The agents that share the targets, as `GET /api/v1/status` shows them.

use super::rfc3339;
use crate::recording::MembersStatus;
use serde::Serialize;

/// The members, as far as this agent knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MembersView {
    /// `waiting` before anything is known, `sharing`, or `stand_in` for an agent that probes everything because it
    /// knows no members.
    pub state: &'static str,
    /// All members, sorted.
    pub names: Vec<String>,
    /// The names that this agent goes by.
    pub me: Vec<String>,
    /// Whether this agent begins the scheduled loads.
    pub first: bool,
    /// How many members probe each target.
    pub replicas: u32,
    /// Since when this share is in effect.
    pub since: Option<String>,
    /// What is the matter.
    pub problem: Option<String>,
}

/// The view of what is known.
pub(super) fn view(status: &MembersStatus) -> MembersView {
    MembersView {
        state: status.state.as_str(),
        names: status.names.iter().map(ToString::to_string).collect(),
        me: status.me.iter().map(ToString::to_string).collect(),
        first: status.first,
        replicas: status.replicas,
        since: rfc3339(status.since),
        problem: status.problem.clone(),
    }
}
