//! One member's part of a plan.
//!
//! Targets are divided by `members::Share`, and what they need comes with them: sessions, spokes, positive controls.
//! Isolation is divided by the calling spoke, so that a member needs the sessions of its own callers only, and is
//! never made twice: an open door is as open when it is found once.
//!
//! Scheduled loads are begun by the first member alone (`begins_loads`), and every member keeps what they need: a load
//! that runs goes on when another member becomes the first, and that one needs no new session at 02:00.
//!
//! Ceilings hold for all members together. They are not cut into equal parts: what the other members ask is known to
//! the last request, since it follows from the same configuration, so the first member's loads get all that is left.

use super::loads::Steady;
use super::{Plan, isolation};
use crate::domain::account::AccountId;
use crate::domain::credentials::{RoleInUse, RoleSession};
use crate::domain::identity::Signer;
use crate::domain::name::Name;
use crate::domain::target::{Cadence, Target};
use crate::members::{Kind, Share};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

impl Plan {
    /// The part of a whole plan that `share` gives to this agent. The whole plan stays as it is: the next share is
    /// taken from it again.
    ///
    /// With replicas a target of an interval keeps its interval and gets its place among the replicas, which shifts
    /// its phase; a rate is divided among them.
    #[must_use]
    pub fn shared(&self, share: &Share) -> Self {
        if share.kind() == Kind::Alone {
            return self.clone();
        }
        let mut by_api = HashMap::new();
        let targets: Vec<Arc<Target>> = self
            .targets
            .iter()
            .filter_map(|target| {
                let api = (&target.id.spoke, &target.id.api);
                let replica = (*by_api.entry(api).or_insert_with(|| share.mine(&target.id)))?;
                let cadence = divided(target.cadence, replica.of);
                if (replica, cadence) == (target.replica, target.cadence) {
                    return Some(Arc::clone(target));
                }
                Some(Arc::new(Target { replica, cadence, ..Target::clone(target) }))
            })
            .collect();
        let isolation = self.isolation.as_ref().map(|settings| isolation::shared(settings, share));
        let spokes_here: HashSet<&Name> = targets.iter().map(|target| &target.id.spoke).collect();
        let signing: HashSet<&RoleSession> = targets
            .iter()
            .chain(self.loads.iter().filter(|load| load.at.is_some()).map(|load| &load.target))
            .filter_map(|target| match &target.signer {
                Signer::Role(session) => Some(session.as_ref()),
                Signer::Hub | Signer::Anonymous => None,
            })
            .chain(isolation.iter().flat_map(|each| &each.callers).map(|caller| caller.session.as_ref()))
            .collect();
        // Also the role of a spoke whose targets here are all signed by others: twins ask under it.
        let needed = |role: &&RoleInUse| {
            signing.contains(role.session.as_ref())
                || role.spokes.iter().any(|name| spokes_here.contains(name))
        };
        let roles = self.roles.iter().filter(needed).cloned().collect();
        // Also those whose role is asked for here only to be tried at foreign apis, or for a load: their sessions are
        // this agent's to tell of.
        let callers = isolation.iter().flat_map(|each| &each.callers).map(|caller| &caller.spoke);
        let driven = self.loads.iter().filter(|load| load.at.is_some()).map(|load| &load.target.id.spoke);
        let told_of: HashSet<&Name> = spokes_here.iter().copied().chain(callers).chain(driven).collect();
        let spokes = self.spokes.iter().filter(|spoke| told_of.contains(&spoke.name)).cloned().collect();
        let mut elsewhere = Steady::of_all(&self.targets, self.isolation.as_ref(), share.replicas_of_each());
        elsewhere.without(&Steady::of_all(&targets, isolation.as_ref(), 1));
        Self {
            roles,
            spokes,
            isolation,
            loads: self.loads.clone(),
            begins_loads: share.is_first_member(),
            elsewhere: elsewhere.by_account(),
            targets,
            load_rules: self.load_rules.clone(),
            limits: self.limits.clone(),
            settings: self.settings.clone(),
            includes: self.includes.clone(),
            warnings: self.warnings.clone(),
        }
    }
}

/// Every replica of an interval target fires in every interval; a rate is what all of them make together.
fn divided(cadence: Cadence, replicas: u32) -> Cadence {
    match cadence {
        Cadence::Every(interval) => Cadence::Every(interval),
        Cadence::PerSecond(rate) => Cadence::PerSecond(rate / f64::from(replicas.max(1))),
    }
}

/// What other members ask when each interval target has so many replicas: the replicas beside the first.
pub(super) fn beside_the_first(targets: &[Arc<Target>], replicas: u32) -> BTreeMap<AccountId, f64> {
    let mut rates = BTreeMap::new();
    for target in targets {
        if let Cadence::Every(_) = target.cadence {
            let beside = f64::from(replicas.max(1) - 1) * target.cadence.per_second();
            *rates.entry(target.account.clone()).or_insert(0.0) += beside;
        }
    }
    rates.retain(|_, rate| *rate > 0.0);
    rates
}

#[cfg(test)]
mod tests;
