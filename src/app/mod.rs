//! The composition root: the only module that knows everybody but the simulator.
//!
//! `build` opens nothing: the outside comes in as [`Seams`], so the same agent runs against AWS, against
//! the simulator over sockets, and against the simulator in memory under a paused clock.

mod agent;
pub mod doctor;
mod drain;
mod explanation;
mod load_once;
mod loads;
mod network;
mod once;
mod outside;
mod reconcile;
mod run;
mod steering;

pub use drain::{DRAIN_DEADLINE, termination};
pub use explanation::explanation;
pub use load_once::{LoadNotBegun, LoadOnce};
pub use loads::StopSignal;
pub use network::Network;
pub use once::{Once, OnceFailure};
pub use outside::{Seams, SetupProblem};
pub use reconcile::{Changes, Handle, NeedsRestart, ReconcileProblem};
pub use run::Stopped;
pub use steering::{Asking, Hangup, Shares, Steering, SteeringParts, WatchMembers, beginning};

use crate::attempt::PreparingProblem;
use crate::domain::target::TargetId;
use crate::load::Switch;
use crate::plan::Plan;
use crate::recording::Recorder;
use crate::web;
use agent::Agent;
use std::fmt;
use std::sync::Arc;

/// The agent, built and not yet running.
pub struct App {
    agent: Arc<Agent>,
    reload: Option<web::Reload>,
}

/// Why an agent cannot be built from a plan. A checked configuration does not get here.
#[derive(Debug)]
pub struct BuildProblem {
    /// The target that cannot be attempted.
    pub target: TargetId,
    /// Why.
    pub problem: PreparingProblem,
}

impl fmt::Display for BuildProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.target, self.problem)
    }
}

impl std::error::Error for BuildProblem {}

impl App {
    /// Wires an agent for a plan; one without targets waits for another plan.
    ///
    /// # Errors
    /// When a target of the plan cannot be addressed or sent.
    pub fn build(plan: &Plan, seams: Seams) -> Result<Self, BuildProblem> {
        let agent = Agent::idle(plan, seams).with_plan(plan)?;
        agent.recorder.configuration_read(agent.seams.clock.wall());
        Ok(Self { agent: Arc::new(agent), reload: None })
    }

    /// What stops all runs of load.
    #[must_use]
    pub fn load_switch(&self) -> Switch {
        self.agent.keeper.switch()
    }

    /// What changes the plan while the agent runs, also before it does.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.agent))
    }

    /// Says what `POST /-/reload` does; without it there is nothing to reload.
    pub fn set_reload(&mut self, reload: web::Reload) {
        self.reload = Some(reload);
    }

    /// What is counted and kept.
    #[must_use]
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.agent.recorder
    }
}
