//! The composition root: the only module that knows everybody but the simulator.
//!
//! `build` opens nothing: the outside comes in as [`Seams`], so the same agent runs against AWS, against
//! the simulator over sockets, and against the simulator in memory under a paused clock.

pub mod doctor;
mod drain;
mod explanation;
mod load_once;
mod loads;
mod once;
mod outside;
mod reconcile;

pub use drain::{DRAIN_DEADLINE, termination};
pub use explanation::explanation;
pub use load_once::{LoadNotBegun, LoadOnce};
pub use loads::stop_loads_on_signal;
pub use once::{Once, OnceFailure};
pub use outside::{Seams, SetupProblem};
pub use reconcile::{Changes, Handle, NeedsRestart, ReconcileProblem};

use crate::attempt::{Attempter, PreparedTarget, PreparingProblem};
use crate::credentials::Store;
use crate::diagnosis::{self, Case, Diagnoser, shared_fate};
use crate::domain::identity::Signer;
use crate::domain::target::TargetId;
use crate::endpoint;
use crate::isolation::{self, Isolation};
use crate::load::{Keeper, Switch};
use crate::pacing::{PacedTarget, Pacing, Permits};
use crate::plan::{Included, Plan};
use crate::recording::{IncludeStatus, Recorder, TargetRecorder};
use crate::seams;
use crate::signing::SigningScope;
use crate::web;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The agent, built and not yet running.
pub struct App {
    recorder: Arc<Recorder>,
    store: Arc<Store>,
    known_signers: mpsc::UnboundedReceiver<Signer>,
    diagnoser: Arc<Diagnoser>,
    pacing: Pacing,
    targets: Vec<Arc<PacedTarget>>,
    isolation: Option<Isolation>,
    watch: endpoint::Watch,
    keeper: Keeper,
    seams: Seams,
    handle: Handle,
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
    /// Wires an agent for a plan.
    ///
    /// # Errors
    /// When a target of the plan cannot be addressed or sent.
    pub fn build(plan: &Plan, seams: Seams) -> Result<Self, BuildProblem> {
        let recorder = Arc::new(Recorder::new(&plan.settings.recording));
        recorder.set_spokes(&plan.spokes);
        let included = |include: &Included| IncludeStatus {
            file: include.file.clone(),
            problems: include.problems.iter().map(ToString::to_string).collect(),
        };
        recorder.set_loads(&loads::announced(plan));
        recorder.set_includes(plan.includes.iter().map(included).collect());
        recorder.configuration_read(seams.clock.wall());
        let hub_in_use = plan.settings.diagnosis.hub_twins
            || plan.targets.iter().any(|target| target.signer == Signer::Hub);
        let (store, known_signers) = Store::new(
            &plan.roles,
            hub_in_use,
            Arc::clone(&seams.sessions),
            Arc::clone(&seams.clock),
            Arc::clone(&seams.wait),
            Arc::clone(&recorder),
        );
        if let Some(role) = &plan.settings.credentials.hub_role_arn {
            store.set_hub_role(role);
        }
        let scope = SigningScope::execute_api(plan.settings.endpoint.region.clone());
        let attempter =
            Arc::new(Attempter::new(Arc::clone(&seams.transport), Arc::clone(&seams.clock), scope.clone()));
        let diagnoser = Arc::new(Diagnoser::new(
            plan.settings.diagnosis,
            plan.settings.endpoint.clone(),
            Arc::clone(&attempter),
            Arc::clone(&recorder),
            Arc::clone(&store),
            Arc::clone(&seams.clock),
        ));
        let pacing = Pacing::new(
            Arc::clone(&attempter),
            Arc::clone(&diagnoser),
            Arc::clone(&recorder),
            Arc::clone(&seams.clock),
            Arc::clone(&seams.precise_wait),
            Permits::new(plan.limits.in_flight, plan.limits.in_flight_per_account),
        );
        // All recorders first: a guard reads the record of another target.
        let recorders: HashMap<TargetId, Arc<TargetRecorder>> =
            plan.targets.iter().map(|target| (target.id.clone(), recorder.add_target(target))).collect();
        let mut relatives = diagnosis::relatives(&plan.targets, &plan.roles, &recorders);
        let mut targets = Vec::with_capacity(plan.targets.len());
        for target in &plan.targets {
            let control = target.positive_control.as_ref().and_then(|id| recorders.get(id)).cloned();
            let prepared = PreparedTarget::new(Arc::clone(target), &plan.settings.endpoint, &store, control)
                .map_err(|problem| BuildProblem { target: target.id.clone(), problem })?;
            let recorder = Arc::clone(&recorders[&target.id]);
            let kin = relatives.remove(&target.id).unwrap_or_default();
            let case = Case::new(Arc::clone(target), Arc::clone(&recorder), kin);
            targets.push(pacing.pace(prepared, recorder, case));
        }
        let isolation = plan.isolation.clone().map(|settings| {
            let around = isolation::Surroundings {
                attempter,
                store: Arc::clone(&store),
                endpoint: plan.settings.endpoint.clone(),
                recorder: Arc::clone(&recorder),
                clock: Arc::clone(&seams.clock),
                wait: Arc::clone(&seams.wait),
            };
            Isolation::new(settings, around, |api| Box::new(pacing.spare(&api.account)))
                .map_err(|(target, problem)| BuildProblem { target, problem })
        });
        let isolation = isolation.transpose()?;
        let watched = endpoint::places(&plan.settings.endpoint, &plan.targets);
        let watch = endpoint::Watch::new(
            watched,
            Arc::clone(&seams.link),
            Arc::clone(&seams.clock),
            Arc::clone(&seams.wait),
            &recorder,
        );
        let keeper = loads::keeper(plan, &seams, &store, &recorder, scope);
        Ok(Self {
            recorder,
            store,
            known_signers,
            diagnoser,
            pacing,
            targets,
            isolation,
            watch,
            keeper,
            seams,
            handle: Handle::new(plan),
            reload: None,
        })
    }

    /// What stops all runs of load.
    #[must_use]
    pub fn load_switch(&self) -> Switch {
        self.keeper.switch()
    }

    /// What changes the plan while the agent runs, also before it does.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Says what `POST /-/reload` does; without it there is nothing to reload.
    pub fn set_reload(&mut self, reload: web::Reload) {
        self.reload = Some(reload);
    }

    /// What is counted and kept.
    #[must_use]
    pub const fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// Runs until `shutdown`, then lets the attempts in flight end, at most for [`DRAIN_DEADLINE`].
    ///
    /// # Errors
    /// When a part that the agent cannot do without has stopped by itself.
    pub async fn run(
        self,
        listener: Option<web::Listener>,
        shutdown: CancellationToken,
    ) -> Result<(), Stopped> {
        let Self {
            recorder,
            store,
            known_signers,
            diagnoser,
            pacing,
            targets,
            isolation,
            watch,
            keeper,
            seams,
            handle: _,
            reload,
        } = self;
        // The web server answers until the very end, so that the last scrape sees the drained counts.
        let web_shutdown = CancellationToken::new();
        let readiness = web::Readiness::new();
        let fate = seams::spawn(
            "shared fate",
            shared_fate::watch(Arc::clone(&recorder), Arc::clone(&seams.clock), Arc::clone(&seams.wait)),
        );
        let watch = seams::spawn("endpoint", watch.run());
        let state = web::State {
            recorder,
            readiness: readiness.clone(),
            now: {
                let clock = Arc::clone(&seams.clock);
                Arc::new(move || clock.wall())
            },
            started_at: seams.clock.wall(),
            stop_loads: {
                let switch = keeper.switch();
                Arc::new(move || switch.stop_all("the stop request over HTTP").len())
            },
            reload,
            explain: explanation,
        };
        let server =
            listener.map(|listener| seams::spawn("web", web::serve(listener, state, web_shutdown.clone())));
        let refresher = seams::spawn("credentials", Arc::clone(&store).run(shutdown.clone()));
        let asked = {
            let mut all_asked = store.all_asked();
            seams::spawn("readiness", async move {
                // An error means that the store is gone, and the agent with it.
                if all_asked.wait_for(|asked| *asked).await.is_ok() {
                    readiness.roles_asked();
                    tracing::info!("ready: every role was asked for once");
                }
            })
        };
        let mut isolation = isolation
            .map(|isolation| seams::spawn("isolation", isolation.run(store.all_asked(), shutdown.clone())));
        let loads = loads::start(keeper, seams.loads_on_own_thread, shutdown.clone());
        let pacing = Arc::new(pacing);
        let driver = {
            let (pacing, shutdown) = (Arc::clone(&pacing), shutdown.clone());
            seams::spawn("pacing", async move { pacing.run(targets, known_signers, shutdown).await })
        };
        let result = until_stopped(driver, refresher, isolation.as_mut(), &shutdown).await;
        shutdown.cancel();
        asked.abort();
        fate.abort();
        watch.abort();
        drain::within_deadline(&pacing, &diagnoser, isolation, loads).await;
        web_shutdown.cancel();
        if let Some(server) = server
            && tokio::time::timeout(drain::WEB_DEADLINE, server).await.is_err()
        {
            tracing::warn!("a scraper still held its connection; it was closed");
        }
        result
    }
}

/// A part stopped that the agent cannot do without.
#[derive(Debug)]
pub struct Stopped {
    /// The part.
    pub part: &'static str,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} task stopped by itself; this is a defect, please report it with the log", self.part)
    }
}

impl std::error::Error for Stopped {}

async fn until_stopped(
    driver: JoinHandle<()>,
    refresher: JoinHandle<()>,
    isolation: Option<&mut JoinHandle<()>>,
    shutdown: &CancellationToken,
) -> Result<(), Stopped> {
    // Totals that nobody moves any more would be taken for a proof.
    let isolation = async {
        match isolation {
            Some(isolation) => drop(isolation.await),
            None => std::future::pending().await,
        }
    };
    let part = tokio::select! {
        biased;
        () = shutdown.cancelled() => return Ok(()),
        _ended = driver => "pacing",
        _ended = refresher => "credentials",
        () = isolation => "isolation",
    };
    // Both also end because of the shutdown itself.
    if shutdown.is_cancelled() { Ok(()) } else { Err(Stopped { part }) }
}
