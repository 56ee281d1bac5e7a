//! What a plan says of the agents that share it.

use super::rounded;
use crate::members::{Share, Source};
use crate::plan::Plan;
use serde::Serialize;

/// The agents that share the targets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MembersView {
    /// The name that is asked of DNS, where the members are known by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
    /// `INDEX/OF`, where the share is told by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// How many members probe each target, as far as there are so many.
    pub replicas: u32,
    /// This agent's share, where it is told by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<ShareView>,
}

/// What one member has of the plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShareView {
    /// Targets, of those of the plan.
    pub targets: usize,
    /// Their requests a second.
    pub requests_per_second: f64,
    /// Whether it begins the scheduled loads.
    pub begins_loads: bool,
}

/// The view of a whole plan.
pub(super) fn view(plan: &Plan) -> Option<MembersView> {
    let settings = plan.settings.members.as_ref()?;
    let replicas = settings.replicas_of_each();
    Some(match &settings.source {
        Source::Dns(name) => {
            MembersView { dns: Some(name.as_str().to_owned()), shard: None, replicas, share: None }
        }
        Source::Shard { index, of } => {
            let part = plan.shared(&Share::shard(*index, *of, settings.replicas));
            let rate: f64 = part.targets.iter().map(|target| target.cadence.per_second()).sum();
            let share = ShareView {
                targets: part.targets.len(),
                requests_per_second: rounded(rate + 0.0), // the sum of nothing is -0
                begins_loads: part.begins_loads,
            };
            MembersView { dns: None, shard: Some(format!("{index}/{of}")), replicas, share: Some(share) }
        }
    })
}

impl MembersView {
    /// The view as lines of a text, beside so many targets of all members.
    pub(super) fn lines(&self, all_targets: usize) -> Vec<String> {
        let each =
            if self.replicas == 1 { "one of them".to_owned() } else { format!("{} of them", self.replicas) };
        let who = match (&self.dns, &self.shard) {
            (Some(name), _) => format!("those that {name} names; each target is probed by {each}"),
            (None, shard) => {
                format!("shard {}; each target is probed by {each}", shard.as_deref().unwrap_or_default())
            }
        };
        let mut lines = vec![
            format!("members          {who}"),
            "                 the figures here are those of all members together, and so are the limits but in_flight"
                .to_owned(),
        ];
        lines.extend(self.share.as_ref().map(|share| {
            let loads = if share.begins_loads { "; it begins the scheduled loads" } else { "" };
            format!(
                "                 this shard: {} of {all_targets} targets, {:.2}/s{loads}",
                share.targets, share.requests_per_second
            )
        }));
        lines
    }
}
