//! The agent at work: its tasks, each of which begins again after a panic, and its end.

use super::agent::Agent;
use super::{App, drain, explanation, loads};
use crate::diagnosis::shared_fate;
use crate::seams;
use crate::web;
use std::fmt;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

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

impl App {
    /// Runs until `shutdown`, then lets the attempts in flight end, at most for [`super::DRAIN_DEADLINE`].
    ///
    /// # Errors
    /// When a part that the agent cannot do without has stopped by itself.
    pub async fn run(
        self,
        listener: Option<web::Listener>,
        shutdown: CancellationToken,
    ) -> Result<(), Stopped> {
        let Self { agent, reload } = self;
        // The web server answers until the very end, so that the last scrape sees the drained counts.
        let web_shutdown = CancellationToken::new();
        let readiness = web::Readiness::new();
        let state = state(&agent, readiness.clone(), reload);
        let server = listener.map(|listener| serve(&agent, listener, state, web_shutdown.clone()));
        let asked = {
            let mut all_asked = agent.store.all_asked();
            seams::spawn("readiness", async move {
                // An error means that the store is gone, and the agent with it.
                if all_asked.wait_for(|asked| *asked).await.is_ok() {
                    readiness.roles_asked();
                    tracing::info!("ready: every role that this agent needs was asked for once");
                }
            })
        };
        let fate = supervised(&agent, "shared fate", |agent| async move {
            let (clock, wait) = (Arc::clone(&agent.seams.clock), Arc::clone(&agent.seams.wait));
            shared_fate::watch(Arc::clone(&agent.recorder), clock, wait).await;
        });
        let watch = supervised(&agent, "endpoint", |agent| async move { agent.watch.run().await });
        let until = |part: &'static str| (part, shutdown.clone());
        let refresher = until_shutdown(&agent, until("credentials"), |agent, shutdown| async move {
            Arc::clone(&agent.store).run(shutdown).await;
        });
        let mut isolation = until_shutdown(&agent, until("isolation"), |agent, shutdown| async move {
            agent.isolation.run(agent.store.all_asked(), shutdown).await;
        });
        let loads = until_shutdown(&agent, until("loads"), loads::keep);
        let driver = until_shutdown(&agent, until("pacing"), |agent, shutdown| async move {
            agent.pacing.run(shutdown).await;
        });
        let result = until_stopped(driver, refresher, &mut isolation, &shutdown).await;
        agent.ending.cancel();
        shutdown.cancel();
        asked.abort();
        fate.abort();
        watch.abort();
        drain::within_deadline(&agent.pacing, &agent.diagnoser, isolation, loads).await;
        web_shutdown.cancel();
        if let Some(server) = server
            && tokio::time::timeout(drain::WEB_DEADLINE, server).await.is_err()
        {
            tracing::warn!("a scraper still held its connection; it was closed");
        }
        result
    }
}

fn state(agent: &Arc<Agent>, readiness: web::Readiness, reload: Option<web::Reload>) -> web::State {
    web::State {
        recorder: Arc::clone(&agent.recorder),
        readiness,
        now: {
            let clock = Arc::clone(&agent.seams.clock);
            Arc::new(move || clock.wall())
        },
        started_at: agent.seams.clock.wall(),
        stop_loads: {
            let switch = agent.keeper.switch();
            Arc::new(move || switch.stop_all("the stop request over HTTP").len())
        },
        explain: explanation,
        reload,
    }
}

fn serve(
    agent: &Arc<Agent>,
    listener: web::Listener,
    state: web::State,
    shutdown: CancellationToken,
) -> JoinHandle<()> {
    let listener = Arc::new(listener);
    supervised(agent, "web", move |_agent| {
        let (listener, state, shutdown) = (Arc::clone(&listener), state.clone(), shutdown.clone());
        async move { web::serve(&listener, state, shutdown).await }
    })
}

/// A task that begins again after a panic. What it must not lose lies in the agent.
fn supervised<F>(
    agent: &Arc<Agent>,
    name: &'static str,
    task: impl Fn(Arc<Agent>) -> F + Send + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let recorder = Arc::clone(&agent.recorder);
    let agent = Arc::clone(agent);
    seams::supervised(name, Arc::new(move || recorder.task_panicked()), move || task(Arc::clone(&agent)))
}

/// The same for one that ends with the agent.
fn until_shutdown<F>(
    agent: &Arc<Agent>,
    (name, shutdown): (&'static str, CancellationToken),
    task: impl Fn(Arc<Agent>, CancellationToken) -> F + Send + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    supervised(agent, name, move |agent| task(agent, shutdown.clone()))
}

async fn until_stopped(
    driver: JoinHandle<()>,
    refresher: JoinHandle<()>,
    isolation: &mut JoinHandle<()>,
    shutdown: &CancellationToken,
) -> Result<(), Stopped> {
    let part = tokio::select! {
        biased;
        () = shutdown.cancelled() => return Ok(()),
        _ended = driver => "pacing",
        _ended = refresher => "credentials",
        // Totals that nobody moves any more would be taken for a proof.
        _ended = isolation => "isolation",
    };
    // All also end because of the shutdown itself.
    if shutdown.is_cancelled() { Ok(()) } else { Err(Stopped { part }) }
}
