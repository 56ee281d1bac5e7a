//! When a vague refusal is worth further attempts, what they taught, and how long that holds.
//!
//! `pacing` reports every attempt to the [`Diagnoser`]; `case` keeps what is known of one target, `relatives`
//! finds the targets whose recorded state explains another, `twins` says which twins explain which refusal, `round` sends them,
//! `budget` bounds them.
//! What follows from the answers is `classify::narrowing`'s to say. `shared_fate` looks at all targets at once.
//!
//! **An attempt never waits for twins.** It is counted with what is known; what its twins teach serves the attempts
//! that come after it. Twins take a permit only where plenty are free, and count in `twin_attempts_total` alone.

mod budget;
mod case;
mod relatives;
mod round;
pub mod shared_fate;
#[cfg(test)]
mod tests;
mod twins;

pub use budget::{TWINS_AHEAD, TWINS_PER_ATTEMPT};
pub use case::{CONFIRM_PAUSE, Case, HOLDS, ROUND_PAUSE};
pub use relatives::{Relatives, relatives};
pub use twins::{Twins, answer};

use crate::attempt::{Attempted, Attempter};
use crate::classify::Wording;
use crate::classify::narrowing::{Evidence, Finding, TwinAnswer, is_vague, narrow};
use crate::credentials::Store;
use crate::domain::observation::Twin;
use crate::endpoint;
use crate::recording::Recorder;
use crate::seams::Clock;
use arc_swap::ArcSwap;
use budget::Budget;
use futures_util::FutureExt as _;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What diagnosing needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Whether twins may be signed with the agent's own credentials: asked for, or some probe does so anyway.
    pub hub_twins: bool,
}

/// Sends twins and keeps what they teach. Share it as `Arc<Diagnoser>`.
pub struct Diagnoser {
    ground: ArcSwap<Ground>,
    attempter: Arc<Attempter>,
    recorder: Arc<Recorder>,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    budget: Budget,
    tasks: TaskTracker,
    closing: CancellationToken,
}

/// What the configuration says, and may say otherwise one day.
struct Ground {
    settings: Settings,
    endpoint: endpoint::Settings,
}

impl fmt::Debug for Diagnoser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnoser").field("settings", &self.ground.load().settings).finish_non_exhaustive()
    }
}

impl Diagnoser {
    /// A diagnoser without any case.
    #[must_use]
    pub fn new(
        settings: Settings,
        endpoint: endpoint::Settings,
        attempter: Arc<Attempter>,
        recorder: Arc<Recorder>,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let budget = Budget::new(clock.now());
        Self {
            ground: ArcSwap::from_pointee(Ground { settings, endpoint }),
            attempter,
            recorder,
            store,
            clock,
            budget,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Twins go by these settings from now on.
    pub fn set(&self, settings: Settings, endpoint: endpoint::Settings) {
        self.ground.store(Arc::new(Ground { settings, endpoint }));
    }

    /// Takes note of an attempt that ended, and begins a round of twins where one is due. `spare` gives a permit if
    /// plenty are free; it is held for the whole round.
    pub fn saw<P: Send + 'static>(
        self: &Arc<Self>,
        case: &Arc<Case>,
        attempted: &Attempted,
        spare: impl FnOnce() -> Option<P>,
    ) {
        self.budget.attempt_ended();
        let now = self.clock.now();
        let Some(wording) = case.saw(attempted, now) else { return };
        let evidence = self.recorded_evidence(case, wording);
        let twins = self.twins_for(case, &evidence);
        if twins.is_empty() {
            // Nothing may or need be sent: what other targets show is all there is.
            case.round_begun(now);
            let finding = narrow(&evidence);
            // That a control is not well at the moment takes nothing back.
            if !is_vague(finding.reason) || case.knows_nothing() {
                self.learn(case, wording, finding);
            }
            return;
        }
        if self.closing.is_cancelled() || !self.budget.allows(twins.len(), now) {
            return;
        }
        let Some(permit) = spare() else { return };
        // Attempts end on several threads: what was allowed a moment ago may have gone to another.
        if !self.budget.take(twins.len(), now) {
            return;
        }
        let Some(running) = case.begin_round(now) else {
            self.budget.give_back(twins.len(), now);
            return;
        };
        let diagnoser = Arc::clone(self);
        self.tasks.spawn(async move {
            let round = diagnoser.round(running.case(), wording, evidence, twins);
            if AssertUnwindSafe(round).catch_unwind().await.is_err() {
                diagnoser.recorder.task_panicked();
                tracing::error!("a round of twins panicked; it is counted in task_panics_total");
            }
            drop((running, permit));
        });
    }

    /// Begins no further round, and waits for the attempt in flight of each that runs. The caller sets the
    /// deadline.
    pub async fn drain(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// One twin after the other, so that a round never weighs more than one request at a time; it ends as soon
    /// as the reason is no longer vague.
    async fn round(&self, case: &Case, wording: Wording, mut evidence: Evidence, twins: Vec<Twin>) {
        let mut lost = false;
        for twin in twins {
            if self.closing.is_cancelled() || case.is_closed() {
                return;
            }
            let Some(answer) = self.ask(case, twin).await else {
                lost = true;
                continue;
            };
            evidence.twins.push(answer);
            if !is_vague(narrow(&evidence).reason) {
                break;
            }
        }
        let finding = narrow(&evidence);
        // Without a session, or lost on the way: a twin that nobody answered takes nothing back.
        if lost && is_vague(finding.reason) && !case.knows_nothing() {
            return;
        }
        self.learn(case, wording, finding);
    }

    fn learn(&self, case: &Case, wording: Wording, finding: Finding) {
        case.learn(wording, finding, self.clock.now(), self.clock.wall());
    }

    async fn ask(&self, case: &Case, twin: Twin) -> Option<TwinAnswer> {
        let prepared = self.prepare(case, twin)?;
        let attempted = self.attempter.attempt_and_keep(&prepared, self.clock.now()).await;
        if attempted.exchange.is_some() {
            case.recorder().twin_ended(twin, round::end(&attempted), attempted.observation.retries);
        }
        answer(twin, &attempted)
    }
}
