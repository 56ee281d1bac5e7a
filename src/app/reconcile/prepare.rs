//! What is different in a new plan, with all of it made ready that may fail.

use super::{Current, Known, ReconcileProblem, restart};
use crate::app::network::Ready;
use crate::app::{BuildProblem, Seams};
use crate::attempt::AddressedTarget;
use crate::domain::target::{Target, TargetId};
use crate::endpoint;
use crate::isolation;
use crate::pacing::PacedTarget;
use crate::plan::Plan;
use std::collections::HashSet;
use std::sync::Arc;

/// A change that can be applied.
pub(super) struct Prepared {
    pub(super) plan: Plan,
    /// The network, where it must be another.
    pub(super) network: Option<Ready>,
    pub(super) removed: Vec<TargetId>,
    pub(super) added: Vec<AddressedTarget>,
    pub(super) changed: Vec<Changed>,
    pub(super) kept: usize,
}

/// A target that is another one under the same labels.
pub(super) struct Changed {
    pub(super) addressed: AddressedTarget,
    pub(super) paced: Arc<PacedTarget>,
    /// False where what was learnt falls because the request goes elsewhere.
    pub(super) same_place: bool,
    /// What was learnt from its answers holds.
    pub(super) asks_the_same: bool,
    /// Whether the timetable must know, and whether the place in it is another.
    pub(super) shift: Option<bool>,
}

/// True when there is nothing to do. Warnings are for people.
pub(super) fn are_equal(old: &Plan, new: &Plan) -> bool {
    let (one, other) = (&old.settings, &new.settings);
    old.targets == new.targets
        && old.roles == new.roles
        && old.spokes == new.spokes
        && old.isolation == new.isolation
        && old.loads == new.loads
        && old.begins_loads == new.begins_loads
        && old.load_rules == new.load_rules
        && old.elsewhere == new.elsewhere
        && old.limits == new.limits
        && old.includes == new.includes
        && one.endpoint == other.endpoint
        && one.transport == other.transport
        && one.credentials == other.credentials
        && one.web == other.web
        && one.recording == other.recording
        && one.diagnosis == other.diagnosis
}

/// Compares, and does all that may fail.
///
/// # Errors
/// Why the plan cannot be taken over.
pub(super) fn prepare(current: &Current, plan: Plan, seams: &Seams) -> Result<Prepared, ReconcileProblem> {
    let old = current.plan.as_ref().map(|plan| &plan.settings);
    if let Some(old) = old {
        restart::check(old, &plan.settings)?;
    }
    let network = match (&seams.network, old) {
        (Some(network), Some(old)) if old.transport != plan.settings.transport => {
            Some(network.ready(&plan.settings.transport).map_err(ReconcileProblem::Outside)?)
        }
        _ => None,
    };
    let endpoint = &plan.settings.endpoint;
    if let Some(settings) = &plan.isolation {
        isolation::check(settings, endpoint)
            .map_err(|(target, problem)| ReconcileProblem::Target(BuildProblem { target, problem }))?;
    }
    let before = old.map(|old| &old.endpoint).filter(|before| *before != endpoint);
    let (mut added, mut changed, mut kept) = (Vec::new(), Vec::new(), 0);
    let mut ids = HashSet::with_capacity(plan.targets.len());
    for target in &plan.targets {
        ids.insert(&target.id);
        match current.targets.get(&target.id) {
            None => added.push(address(target, endpoint)?),
            Some(known) if before.is_none() && same(&known.target, target) => kept += 1,
            Some(known) => match change(known, target, endpoint, before)? {
                Some(change) => changed.push(change),
                None => kept += 1,
            },
        }
    }
    let removed = current.targets.keys().filter(|id| !ids.contains(id)).cloned().collect();
    Ok(Prepared { network, removed, added, changed, kept, plan })
}

/// Often the very same value, since a plan of a share is made from one that stays.
fn same(one: &Arc<Target>, other: &Arc<Target>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

fn address(target: &Arc<Target>, endpoint: &endpoint::Settings) -> Result<AddressedTarget, ReconcileProblem> {
    AddressedTarget::new(Arc::clone(target), endpoint)
        .map_err(|problem| ReconcileProblem::Target(BuildProblem { target: target.id.clone(), problem }))
}

/// What is different about a target; `before` is the endpoint that was, where it was another.
fn change(
    known: &Known,
    target: &Arc<Target>,
    endpoint: &endpoint::Settings,
    before: Option<&endpoint::Settings>,
) -> Result<Option<Changed>, ReconcileProblem> {
    let old = &known.target;
    let addressed = address(target, endpoint)?;
    let same_place = before.is_none_or(|before| {
        let was = endpoint::address(before, &old.api, old.addressing, old.id.zone.as_ref());
        before.id == endpoint.id && was.as_ref() == Ok(addressed.address())
    });
    if same_place && same(old, target) {
        return Ok(None);
    }
    let other_turns = (old.cadence, old.replica) != (target.cadence, target.replica);
    let other_start = old.signer != target.signer || old.positive_control != target.positive_control;
    Ok(Some(Changed {
        addressed,
        paced: Arc::clone(&known.paced),
        same_place,
        asks_the_same: same_place && old.asks_the_same(target),
        shift: (other_turns || other_start).then_some(other_turns),
    }))
}
