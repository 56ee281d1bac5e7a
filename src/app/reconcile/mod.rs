//! From one plan to another while the agent runs: the one way by which reload, change detection and membership take
//! effect. The first plan goes the same way.
//!
//! ```text
//! restart  what cannot change while the agent runs (pure)
//! prepare  what is different, and everything that may fail: nothing has changed yet
//! apply    the change, which cannot fail
//! ```
//!
//! A target is its label set. Its counters live while it does; its place in the timetable while its interval does; what
//! was learnt from its answers while it asks the same of the same place.

mod apply;
mod prepare;
mod problem;
mod restart;

pub use problem::{NeedsRestart, ReconcileProblem};

use super::BuildProblem;
use super::agent::Agent;
use crate::domain::target::{Target, TargetId};
use crate::pacing::PacedTarget;
use crate::plan::Plan;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;

/// What a reconciliation did, in numbers of targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// New label sets.
    pub added: usize,
    /// Label sets that are gone, with their series.
    pub removed: usize,
    /// The same labels, and something else that a target is made of.
    pub changed: usize,
    /// Untouched.
    pub kept: usize,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, removed, changed, kept } = self;
        write!(f, "{added} added, {removed} removed, {changed} changed, {kept} kept")
    }
}

/// The plan in use, and what runs by it.
#[derive(Default)]
pub(super) struct Current {
    plan: Option<Plan>,
    targets: HashMap<TargetId, Known>,
}

/// A target that runs.
struct Known {
    target: Arc<Target>,
    paced: Arc<PacedTarget>,
}

/// Changes what an agent does. Cheap to clone; from `App::handle`.
#[derive(Clone)]
pub struct Handle {
    agent: Arc<Agent>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    pub(super) const fn new(agent: Arc<Agent>) -> Self {
        Self { agent }
    }

    /// Makes the agent do what this plan says. One at a time: a second call waits for the first. A plan that equals
    /// the one in use does nothing.
    ///
    /// # Errors
    /// Why the plan cannot be taken over. Nothing has changed then.
    pub async fn reconcile(&self, plan: Plan) -> Result<Changes, ReconcileProblem> {
        let mut current = self.agent.current.lock().await;
        if self.agent.ending.is_cancelled() {
            return Err(ReconcileProblem::Ended);
        }
        // From here on there is no await: who drops this future leaves no half of a change.
        self.agent.take_over(&mut current, plan)
    }
}

impl Agent {
    /// With its first plan.
    ///
    /// # Errors
    /// When a target of it cannot be addressed or sent.
    pub(super) fn with_plan(mut self, plan: &Plan) -> Result<Self, BuildProblem> {
        let mut current = Current::default();
        // Nothing but a target can be wrong with a first plan: there is nothing that it could differ from.
        if let Err(ReconcileProblem::Target(problem)) = self.take_over(&mut current, plan.clone()) {
            return Err(problem);
        }
        self.current = Mutex::new(current);
        Ok(self)
    }

    /// Prepares and applies.
    pub(super) fn take_over(&self, current: &mut Current, plan: Plan) -> Result<Changes, ReconcileProblem> {
        if current.plan.as_ref().is_some_and(|old| prepare::are_equal(old, &plan)) {
            return Ok(Changes { kept: plan.targets.len(), ..Changes::default() });
        }
        let prepared = prepare::prepare(current, plan, &self.seams)?;
        Ok(self.apply(current, prepared))
    }
}
