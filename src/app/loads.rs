//! The runs of load within the agent: what their keeper is given, the thread they live on, and the kill switch.
//!
//! They share sessions and ceilings with health, and nothing else: a transport, an attempter and in the real world
//! a thread of their own, so that a run at thousands a second never makes a health probe late.

use crate::app::outside::Seams;
use crate::attempt::{Attempter, PreparedTarget, PreparingProblem};
use crate::credentials::Store;
use crate::endpoint;
use crate::load::{self, Budget, Hands, Keeper, KeeperParts, Switch};
use crate::plan::{self, Plan};
use crate::recording::{LoadInfo, Recorder};
use crate::seams;
use crate::signing::SigningScope;
use std::sync::Arc;
use tokio::task::JoinHandle;
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

/// The keeper of the plan's loads.
pub(super) fn keeper(
    plan: &Plan,
    seams: &Seams,
    store: &Arc<Store>,
    recorder: &Arc<Recorder>,
    scope: SigningScope,
) -> Keeper {
    let limits = &plan.limits;
    let (endpoint, of_prepare) = (plan.settings.endpoint.clone(), Arc::clone(store));
    let stop_file = plan.load_rules.stop_file.clone();
    let parts = KeeperParts {
        hands: hands(seams, scope),
        recorder: Arc::clone(recorder),
        store: Arc::clone(store),
        budget: Budget::new(
            limits.requests_per_second,
            limits.requests_per_second_per_account,
            plan::steady_rates(plan).into_iter().collect(),
        ),
        prepare: Box::new(move |load| prepared(load, &endpoint, &of_prepare)),
        stop_file_exists: Box::new(move || stop_file.as_ref().is_some_and(|file| file.exists())),
        is_first_member: {
            let begins_loads = plan.begins_loads;
            Box::new(move || begins_loads)
        },
        cool_down: plan.load_rules.cool_down,
    };
    Keeper::new(plan.loads.clone(), parts)
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

/// Runs the keeper until the shutdown and the end of its runs. A keeper that fails takes no health probe with it:
/// the log says so.
pub(super) fn start(keeper: Keeper, own_thread: bool, shutdown: CancellationToken) -> JoinHandle<()> {
    seams::spawn("loads", async move {
        if own_thread {
            let ended = seams::on_own_thread("loads", move || keeper.run(shutdown)).await;
            if let Err(failure) = ended {
                tracing::error!(%failure, "the thread of the loads is gone: none begins until the agent is restarted");
            }
        } else {
            keeper.run(shutdown).await;
        }
    })
}

/// Stops all runs of load at each SIGUSR1. Never ends. The agent listens also when no load is configured: the
/// system's own answer to this signal is to end the process.
pub async fn stop_loads_on_signal(switch: Switch) {
    use tokio::signal::unix::{SignalKind, signal};
    let mut asked = match signal(SignalKind::user_defined1()) {
        Ok(asked) => asked,
        Err(error) => {
            tracing::error!(%error, "SIGUSR1 cannot be listened to; stop loads with the stop file or over HTTP");
            return;
        }
    };
    while asked.recv().await.is_some() {
        let stopped = switch.stop_all("SIGUSR1").len();
        tracing::warn!(stopped, "SIGUSR1: loads are stopped");
    }
}
