//! Where the agent itself runs: what `agent_info` and the status say.

use crate::recording::families::{Families, series};
use crate::recording::{Recorder, locked};
use prometheus::proto::MetricFamily;

/// What the agent's surroundings say of it; nothing where they say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentPlace {
    /// The name of the ECS cluster.
    pub cluster: Option<String>,
    /// The id of the ECS task.
    pub task: Option<String>,
    /// The *name* of the availability zone, such as `eu-west-1a`. ECS does not tell the AZ ID that `zone` stands for
    /// everywhere else.
    pub availability_zone: Option<String>,
}

impl Recorder {
    /// Says where the agent runs.
    pub fn set_agent_place(&self, place: AgentPlace) {
        *locked(&self.shared.agent) = place;
    }

    /// Where the agent runs, as far as it is known.
    #[must_use]
    pub fn agent_place(&self) -> AgentPlace {
        locked(&self.shared.agent).clone()
    }
}

impl AgentPlace {
    /// Absent where nothing is known: a series without labels would say nothing.
    pub(super) fn family(&self, f: &Families) -> MetricFamily {
        let known = [&self.cluster, &self.task, &self.availability_zone].iter().any(|part| part.is_some());
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let (cluster, task, zone) = (text(&self.cluster), text(&self.task), text(&self.availability_zone));
        let labels = [("cluster", &*cluster), ("task", &*task), ("availability_zone", &*zone)];
        f.agent_info.family(known.then(|| series(&labels, 1.0)).into_iter().collect())
    }
}
