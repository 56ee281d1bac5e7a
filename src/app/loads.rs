//! The runs of load within the agent: what their keeper is given, the thread they live on, and the kill switch.
//!
//! They share sessions and ceilings with health, and nothing else: a transport, an attempter and in the real world
//! a thread of their own, so that a run at thousands a second never makes a health probe late.

use crate::app::agent::Agent;
use crate::app::outside::Seams;
use crate::attempt::{Attempter, PreparedTarget, PreparingProblem};
use crate::credentials::Store;
use crate::endpoint;
use crate::load::{self, Budget, Hands, Keeper, KeeperParts, Rules, Switch};
use crate::plan::{self, Limits, Plan};
use crate::recording::{LoadInfo, Recorder};
use crate::seams;
use crate::signing::SigningScope;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The hands of a run: an attempter over the transport of loads.
pub(super) fn hands(seams: &Seams, scope: SigningScope) -> Hands {
    Hands {
        attempter: Arc::new(Attempter::new(
            Arc::clone(&seams.load_transport),
            Arc::clone(&seams.clock),
            scope,
        )),
        clock: Arc::clone(&seams.clock),
        wait: Arc::clone(&seams.precise_wait),
    }
}

/// The loads that this agent begins by itself, for their series and the status page.
pub(super) fn announced(plan: &Plan) -> Vec<LoadInfo> {
    let scheduled = plan.loads.iter().filter(|load| load.at.is_some());
    scheduled.map(|load| LoadInfo { name: load.name.clone(), target: load.target.id.clone() }).collect()
}

/// A keeper without loads.
pub(super) fn keeper(
    seams: &Seams,
    store: &Arc<Store>,
    recorder: &Arc<Recorder>,
    plan: &Plan,
    budget: Arc<Budget>,
) -> Keeper {
    let scope = SigningScope::execute_api(plan.settings.endpoint.region.clone());
    let parts = KeeperParts {
        hands: hands(seams, scope),
        recorder: Arc::clone(recorder),
        store: Arc::clone(store),
        budget,
    };
    Keeper::new(&[], rules(plan, store), parts)
}

/// What all loads of a plan share.
pub(super) fn rules(plan: &Plan, store: &Arc<Store>) -> Rules {
    let (endpoint, store) = (plan.settings.endpoint.clone(), Arc::clone(store));
    let (stop_file, begins_loads) = (plan.load_rules.stop_file.clone(), plan.begins_loads);
    Rules {
        prepare: Box::new(move |load| prepared(load, &endpoint, &store)),
        stop_file_exists: Box::new(move || stop_file.as_ref().is_some_and(|file| file.exists())),
        cool_down: plan.load_rules.cool_down,
        begins_loads: Box::new(move || begins_loads),
    }
}

/// Sets the ceilings of a plan.
pub(super) fn set_budget(budget: &Budget, plan: &Plan) {
    let Limits { requests_per_second, requests_per_second_per_account, .. } = plan.limits;
    let steady = plan::steady_rates(plan).into_iter().collect();
    budget.set(requests_per_second, requests_per_second_per_account, steady);
}

/// The target of a run, which reuses signatures or not as it is told.
pub(super) fn prepared(
    load: &load::Settings,
    endpoint: &endpoint::Settings,
    store: &Arc<Store>,
) -> Result<PreparedTarget, PreparingProblem> {
    let prepared = PreparedTarget::new(Arc::clone(&load.target), endpoint, store, None)?;
    Ok(if load.reuse_signatures { prepared } else { prepared.signing_each_anew() })
}

/// How long after its thread is gone the keeper gets another.
const THREAD_AGAIN: Duration = Duration::from_secs(10);

/// Runs the keeper until the shutdown and the end of its runs. A keeper that fails takes no health probe with it:
/// the log says so, and it begins again.
pub(super) async fn keep(agent: Arc<Agent>, shutdown: CancellationToken) {
    if !agent.seams.loads_on_own_thread {
        agent.keeper.run(shutdown).await;
        return;
    }
    loop {
        let (keeper, stop) = (Arc::clone(&agent), shutdown.clone());
        let work = move || async move { keeper.keeper.run(stop).await };
        let Err(failure) = seams::on_own_thread("loads", work).await else { return };
        agent.recorder.task_panicked();
        tracing::error!(
            %failure, again_in_seconds = THREAD_AGAIN.as_secs(),
            "the thread of the loads is gone; this is a defect, please report it with the log"
        );
        agent.seams.wait.until(agent.seams.clock.now() + THREAD_AGAIN).await;
    }
}

/// SIGUSR1, which stops all runs of load. The agent listens also when no load is configured, and before it has read its
/// configuration: the system's own answer to this signal is to end the process.
pub struct StopSignal(Signal);

impl StopSignal {
    /// Listens from now on; `None`, and a line in the log, where that cannot be.
    #[must_use]
    pub fn listen() -> Option<Self> {
        signal(SignalKind::user_defined1())
            .inspect_err(|error| {
                tracing::error!(%error, "SIGUSR1 cannot be listened to; stop loads with the stop file or over HTTP");
            })
            .ok()
            .map(Self)
    }

    /// Stops what runs at each signal. Never ends.
    pub async fn pass_on(mut self, switch: Switch) {
        while self.0.recv().await.is_some() {
            let stopped = switch.stop_all("SIGUSR1").len();
            tracing::warn!(stopped, "SIGUSR1: loads are stopped");
        }
    }
}
