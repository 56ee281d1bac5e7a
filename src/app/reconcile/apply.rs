//! A prepared change, applied. Nothing in here can fail, and nothing waits.
//!
//! The order matters where a due attempt or a scrape may come in between: a signer is known before a target uses it and
//! forgotten after, and the series of a target go before its attempts are counted nowhere, so that no scrape sees books
//! that do not balance.

use super::prepare::{Changed, Prepared};
use super::{Changes, Current, Known};
use crate::app::agent::{Agent, hub_in_use};
use crate::app::loads;
use crate::diagnosis::{self, Case};
use crate::domain::credentials::RoleInUse;
use crate::domain::target::TargetId;
use crate::endpoint;
use crate::load;
use crate::pacing::Shift;
use crate::plan::{Included, Plan};
use crate::recording::{IncludeStatus, TargetRecorder};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl Agent {
    /// Makes the agent do what the plan says.
    pub(super) fn apply(&self, current: &mut Current, prepared: Prepared) -> Changes {
        let Prepared { plan, network, removed, added, changed, kept } = prepared;
        let changes = Changes { added: added.len(), removed: removed.len(), changed: changed.len(), kept };
        let old = current.plan.take();
        if let (Some(network), Some(ready)) = (&self.seams.network, network) {
            network.set(ready);
        }
        self.announce(&plan);
        self.pacing.set_limits(plan.limits.in_flight, plan.limits.in_flight_per_account);
        self.diagnoser.set(plan.settings.diagnosis, plan.settings.endpoint.clone());
        if let Some(old) = &old {
            self.take_on_roles(old, &plan);
        }

        self.recorder.remove_targets(&removed);
        let gone = removed.iter().filter_map(|id| current.targets.remove(id));
        let mut shift = Shift { removed: gone.map(|known| known.paced).collect(), ..Shift::default() };
        shift.removed.iter().for_each(|paced| paced.retire());

        // All recorders first: a guard reads the record of another target.
        for added in &added {
            self.recorder.add_target(added.target());
        }
        for changed in &changed {
            self.recorder.add_target_at(changed.addressed.target(), changed.same_place);
        }
        let recorders: HashMap<TargetId, Arc<TargetRecorder>> = plan
            .targets
            .iter()
            .filter_map(|target| Some((target.id.clone(), self.recorder.target(&target.id)?)))
            .collect();
        let mut relatives = diagnosis::relatives(&plan.targets, &plan.roles, &recorders);
        let control = |id: Option<&TargetId>| id.and_then(|id| recorders.get(id)).cloned();
        for addressed in added {
            let target = Arc::clone(addressed.target());
            let Some(recorder) = recorders.get(&target.id) else { continue };
            let prepared = addressed.prepared(&self.store, control(target.positive_control.as_ref()));
            let kin = relatives.remove(&target.id).unwrap_or_default();
            let case = Case::new(Arc::clone(&target), Arc::clone(recorder), kin);
            let paced = self.pacing.pace(prepared, Arc::clone(recorder), case);
            shift.added.push(Arc::clone(&paced));
            current.targets.insert(target.id.clone(), Known { target, paced });
        }
        for Changed { addressed, paced, asks_the_same, shift: shifted, .. } in changed {
            let target = Arc::clone(addressed.target());
            let Some(recorder) = recorders.get(&target.id) else { continue };
            let prepared = addressed.prepared(&self.store, control(target.positive_control.as_ref()));
            let kin = relatives.remove(&target.id).unwrap_or_default();
            let before = paced.case();
            let case = if asks_the_same {
                before.reformed(Arc::clone(&target), Arc::clone(recorder), kin)
            } else {
                Case::new(Arc::clone(&target), Arc::clone(recorder), kin)
            };
            self.pacing.reform(&paced, prepared, Arc::clone(recorder), case, asks_the_same);
            if !asks_the_same {
                before.close();
            }
            shift.shifted.extend(shifted.map(|other_place| (Arc::clone(&paced), other_place)));
            current.targets.insert(target.id.clone(), Known { target, paced });
        }
        // Those that stay may have other relatives.
        for (id, kin) in relatives {
            if let Some(known) = current.targets.get(&id) {
                known.paced.case().set_relatives(kin);
            }
        }
        self.pacing.shift(shift);
        self.change_the_rest(old.as_ref(), &plan);
        current.plan = Some(plan);
        changes
    }

    /// What is shown of a plan beside its targets.
    fn announce(&self, plan: &Plan) {
        self.recorder.set_spokes(&plan.spokes);
        self.recorder.set_loads(&loads::announced(plan));
        let included = |include: &Included| IncludeStatus {
            file: include.file.clone(),
            problems: include.problems.iter().map(ToString::to_string).collect(),
        };
        self.recorder.set_includes(plan.includes.iter().map(included).collect());
    }

    /// The roles of both plans: those that nobody needs any more go last.
    fn take_on_roles(&self, old: &Plan, new: &Plan) {
        let sessions: HashSet<_> = new.roles.iter().map(|role| &role.session).collect();
        let leaving = old.roles.iter().filter(|role| !sessions.contains(&role.session));
        let both: Vec<RoleInUse> = new.roles.iter().chain(leaving).cloned().collect();
        self.store.reconcile(&both, hub_in_use(old) || hub_in_use(new));
    }

    /// The parts that are no targets.
    fn change_the_rest(&self, old: Option<&Plan>, plan: &Plan) {
        let endpoint = &plan.settings.endpoint;
        let moved = old.is_none_or(|old| old.settings.endpoint != *endpoint);
        if moved || old.is_none_or(|old| old.isolation != plan.isolation) {
            self.isolation.set(plan.isolation.clone(), endpoint);
        }
        self.watch.set_places(endpoint::places(endpoint, &plan.targets));
        loads::set_budget(&self.budget, plan);
        let has_moved = |load: &load::Settings| {
            let at = |endpoint| {
                let target = &load.target;
                endpoint::address(endpoint, &target.api, target.addressing, target.id.zone.as_ref())
            };
            moved && old.is_some_and(|old| at(&old.settings.endpoint) != at(endpoint))
        };
        self.keeper.set(&plan.loads, loads::rules(plan, &self.store), has_moved);
        if old.is_some() {
            self.store.reconcile(&plan.roles, hub_in_use(plan));
        }
    }
}
