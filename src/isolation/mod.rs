//! Continuous proof that closed doors stay closed: every spoke's role is tried at every other spoke's apis,
//! each pair once in a period.
//!
//! `plan` says which pairs there are (`settings`), `rounds` when each has its turn, `judgement` what an answer
//! says of the door, `ledger` what is known of all pairs, `rechecks` which open doors to try again soon. The
//! driver here joins them: one task, whatever the number of pairs; checks run inside it, under permits that
//! other traffic leaves over. A check is signed as the caller's own role and by nobody else. What it teaches
//! goes to `recording`'s isolation, not to the series of the api's health.

mod judgement;
mod ledger;
mod rechecks;
mod rounds;
mod settings;
#[cfg(test)]
mod tests;

pub use judgement::{Judgement, judge};
pub use settings::{Caller, MOST_PAIRS, Pair, Settings};

use crate::attempt::{Attempter, PreparedTarget, PreparingProblem};
use crate::credentials::Store;
use crate::domain::expectation::{Expectation, ExpectedRefusal};
use crate::domain::identity::{Identity, Signer};
use crate::domain::moment::Moment;
use crate::domain::observation::Observation;
use crate::domain::target::{Target, TargetId};
use crate::endpoint;
use crate::recording::{IsolationRecorder, PairName, PairState, Recorder};
use crate::seams::{Clock, Wait};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use ledger::{Change, Ledger};
use rechecks::Rechecks;
use rounds::Rounds;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Turns that may wait for permits; more pass unused.
const MOST_WAITING: usize = 256;
/// How long a turn waits for permits before it passes unused.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How soon permits are asked for again.
const RETRY: Duration = Duration::from_millis(250);
/// Checks that may begin at a wake beyond those whose turn it is: what waited is not made up for in a burst.
const CATCH_UP: usize = 2;

/// Kept while a check is in flight; dropping it gives the permits back.
pub type Held = Box<dyn Send>;

/// Gives permits for one request to the account of one api, if other traffic leaves any over at this moment.
pub type Spare = Box<dyn Fn() -> Option<Held> + Send + Sync>;

/// What the driver works with.
pub struct Surroundings {
    /// Makes the attempts.
    pub attempter: Arc<Attempter>,
    /// The sessions.
    pub store: Arc<Store>,
    /// How apis are addressed.
    pub endpoint: endpoint::Settings,
    /// What is counted.
    pub recorder: Arc<Recorder>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Waiting on them.
    pub wait: Arc<dyn Wait>,
}

/// The driver of all checks, built and not yet running.
pub struct Isolation {
    settings: Settings,
    order: Vec<Pair>,
    /// By api.
    spare: Vec<Spare>,
    around: Surroundings,
    recorder: Arc<IsolationRecorder>,
}

/// A turn that waits for permits.
struct Turn {
    /// The place in the order.
    place: usize,
    since: Moment,
}

/// A check that ended; without an observation if it panicked.
struct Ended {
    place: usize,
    observation: Option<Observation>,
}

impl Isolation {
    /// Wires the driver. `spare` gives the permits for each api of the settings.
    ///
    /// # Errors
    /// When an api cannot be addressed; a checked configuration does not get here.
    pub fn new(
        mut settings: Settings,
        around: Surroundings,
        spare: impl Fn(&Target) -> Spare,
    ) -> Result<Self, (TargetId, PreparingProblem)> {
        for api in &settings.apis {
            PreparedTarget::new(Arc::clone(api), &around.endpoint, &around.store, None)
                .map_err(|problem| (api.id.clone(), problem))?;
        }
        let order = settings.shuffled();
        // From here on the order says the same.
        settings.pairs = Vec::new();
        let pairs = u64::try_from(order.len()).unwrap_or(u64::MAX);
        let recorder = around.recorder.begin_isolation(settings.period, pairs, &settings.apis);
        let spare = settings.apis.iter().map(|api| spare(api)).collect();
        Ok(Self { settings, order, spare, around, recorder })
    }

    /// Runs until `shutdown`, and then until the checks in flight have ended. The first turn comes when every
    /// role has been asked for: before that, no role could call.
    pub async fn run(self, mut roles_asked: watch::Receiver<bool>, shutdown: CancellationToken) {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            asked = roles_asked.wait_for(|asked| *asked) => if asked.is_err() {
                return; // the store is gone, and the agent with it
            },
        }
        let mut driver = Driver::new(&self);
        loop {
            let next = driver.next_wake();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = driver.in_flight.next(), if !driver.in_flight.is_empty() => driver.take(ended),
                () = until(&*self.around.wait, next) => driver.begin_what_is_due(),
            }
        }
        while let Some(ended) = driver.in_flight.next().await {
            driver.take(ended);
        }
    }

    /// The check of a pair: the api's own request, signed by the caller.
    fn target(&self, pair: Pair) -> Option<Target> {
        let (caller, api) = (self.settings.caller(pair)?, self.settings.api(pair)?);
        Some(Target {
            identity: Identity::OtherSpoke(caller.spoke.clone()),
            signer: Signer::Role(Arc::clone(&caller.session)),
            signer_account: Some(caller.role().account().clone()),
            // As a guard, so that any answer of 2xx counts as let in, whatever its body.
            expectation: Expectation { refusal: Some(ExpectedRefusal::AnyPolicy), ..Expectation::default() },
            ..Target::clone(api)
        })
    }
}

async fn until(wait: &dyn Wait, moment: Option<Moment>) {
    match moment {
        Some(moment) => wait.until(moment).await,
        None => std::future::pending().await,
    }
}

/// The state of a run.
struct Driver<'a> {
    isolation: &'a Isolation,
    rounds: Rounds,
    rechecks: Rechecks,
    ledger: Ledger,
    waiting: VecDeque<Turn>,
    retry_at: Moment,
    in_flight: FuturesUnordered<BoxFuture<'static, Ended>>,
    said_full: bool,
}

impl<'a> Driver<'a> {
    fn new(isolation: &'a Isolation) -> Self {
        let Isolation { settings, order, around, .. } = isolation;
        let wall = around.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            isolation,
            rounds: Rounds::new(order.len(), settings.round, settings.period, around.clock.now(), wall),
            rechecks: Rechecks::new(settings.period, settings.recheck_pace),
            ledger: Ledger::new(order.len()),
            waiting: VecDeque::new(),
            retry_at: Moment::ZERO,
            in_flight: FuturesUnordered::new(),
            said_full: false,
        }
    }

    fn next_wake(&self) -> Option<Moment> {
        let retry = (!self.waiting.is_empty()).then_some(self.retry_at);
        [self.rounds.next_due(), self.rechecks.next_due(), retry].into_iter().flatten().min()
    }

    fn begin_what_is_due(&mut self) {
        let now = self.isolation.around.clock.now();
        self.retry_at = now + RETRY;
        let turns = self.rounds.take_due(now);
        let mut changed = !turns.stale.is_empty();
        turns.stale.into_iter().for_each(|place| self.ledger.missed(place));
        let again = self.rechecks.take_due(now);
        let mut may_begin = turns.due.len() + usize::from(again.is_some()) + CATCH_UP;
        let turns = again.into_iter().chain(turns.due);
        self.waiting.extend(turns.map(|place| Turn { place, since: now }));
        // Turns that found no permit for so long, and those that are too many, pass.
        let too_many = self.waiting.len().saturating_sub(MOST_WAITING);
        for (index, turn) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            if index < too_many || now.since(turn.since) > WAIT_MAX {
                self.pass(turn.place, now);
                changed = true;
            } else if may_begin == 0 {
                self.waiting.push_back(turn);
            } else {
                match self.begin(turn, now) {
                    Ok(()) => may_begin -= 1,
                    Err(turn) => self.waiting.push_back(turn),
                }
            }
        }
        if changed {
            self.isolation.recorder.set_counts(self.ledger.counts());
        }
    }

    /// A turn without a check.
    fn pass(&mut self, place: usize, now: Moment) {
        self.ledger.missed(place);
        if self.ledger.state(place) == PairState::Open {
            self.rechecks.found_open(place, now);
        }
    }

    /// Begins the check of a turn, or gives it back while there are no permits.
    fn begin(&mut self, turn: Turn, now: Moment) -> Result<(), Turn> {
        let isolation = self.isolation;
        let Some(pair) = isolation.order.get(turn.place).copied() else { return Ok(()) };
        let api = usize::from(pair.api);
        let (Some(spare), Some(target)) = (isolation.spare.get(api), isolation.target(pair)) else {
            return Ok(());
        };
        let Some(held) = spare() else { return Err(turn) };
        let around = &isolation.around;
        let prepared = PreparedTarget::new(Arc::new(target), &around.endpoint, &around.store, None);
        // Every api was addressed when the driver was built.
        let Ok(prepared) = prepared else { return Ok(()) };
        isolation.recorder.begun(api);
        let (attempter, place) = (Arc::clone(&around.attempter), turn.place);
        let check = async move {
            let observation = attempter.attempt(&prepared, now).await;
            drop(held);
            observation
        };
        self.in_flight.push(
            AssertUnwindSafe(check)
                .catch_unwind()
                .map(move |ended| Ended { place, observation: ended.ok() })
                .boxed(),
        );
        Ok(())
    }

    fn take(&mut self, Ended { place, observation }: Ended) {
        let isolation = self.isolation;
        let Some(pair) = isolation.order.get(place).copied() else { return };
        let now = isolation.around.clock.now();
        match (observation, isolation.settings.name(pair)) {
            (Some(observation), Some(name)) => {
                isolation.recorder.ended(usize::from(pair.api), &observation);
                let change = self.ledger.checked(place, observation.verdict.reason);
                self.show(place, &name, change, &observation, now);
            }
            _ => {
                tracing::error!("a check of isolation panicked; it is counted in task_panics_total");
                isolation.around.recorder.task_panicked();
                self.pass(place, now);
            }
        }
        isolation.recorder.set_counts(self.ledger.counts());
    }

    fn show(
        &mut self,
        place: usize,
        name: &PairName,
        change: Change,
        observation: &Observation,
        now: Moment,
    ) {
        let recorder = &self.isolation.recorder;
        let PairName { from, spoke, api } = name;
        match change.after {
            PairState::Open => {
                self.rechecks.found_open(place, now);
                // Without new evidence the door stays as it was seen last.
                if judge(observation.verdict.reason) != Judgement::Open {
                    return;
                }
                let listed = recorder.found_open(name, observation);
                if listed && change.before != PairState::Open {
                    tracing::error!(%from, %spoke, %api, code = observation.code,
                        request_id = observation.ids.request_id.as_deref(),
                        "DOOR OPEN: a spoke's role was let in at an api of another spoke");
                } else if !listed && !self.said_full {
                    self.said_full = true;
                    tracing::error!("DOOR OPEN at so many apis that further ones are only counted");
                }
            }
            PairState::Inconclusive => recorder.inconclusive(name, observation),
            PairState::Closed | PairState::Due => recorder.not_open(name),
        }
        if change.before == PairState::Open && change.after != PairState::Open {
            tracing::info!(%from, %spoke, %api, reason = %observation.verdict.reason, "the door is not open any longer");
        }
    }
}
