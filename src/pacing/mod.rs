//! The one driver of the timetable: takes what is due, finds permits, makes the attempts.
//!
//! There is one task here, however many targets there are; a task per attempt lives only as long as the
//! attempt. An interval's arrival may wait in a fair queue for its permits, an arrival of a rate never
//! waits. Nothing that one spoke does can hold up another: each account has its own permits, and rates
//! together can take only part of the agent's.

mod permits;

pub use permits::Permits;

use crate::attempt::{Attempter, PreparedTarget};
use crate::diagnosis::{Case, Diagnoser};
use crate::domain::identity::Signer;
use crate::domain::moment::Moment;
use crate::domain::observation::{Door, MissCause, Observation};
use crate::domain::outcome::Reason;
use crate::domain::target::{Cadence, TargetId};
use crate::recording::{Recorder, TargetRecorder};
use crate::schedule::{Arrival, Pattern, Timetable, spread};
use crate::seams::{Clock, Wait};
use futures_util::FutureExt as _;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A target with what pacing and recording need for it.
pub struct PacedTarget {
    prepared: PreparedTarget,
    recorder: Arc<TargetRecorder>,
    case: Arc<Case>,
    permits: permits::TargetPermits,
    /// Attempts of this target that have a permit or wait for one.
    running: AtomicUsize,
    /// The most that may run at once: one for an interval.
    most_running: usize,
    logged: Mutex<Logged>,
}

/// How long a target that was just logged stays silent.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// What the log knows of a target.
#[derive(Default)]
struct Logged {
    /// Reason and expectedness last heard of.
    state: Option<(Reason, bool)>,
    at: Option<Moment>,
    /// Attempts since then that differed and were not logged.
    silent: u64,
}

/// A change worth a line.
struct Change {
    was: &'static str,
    silent: u64,
}

impl PacedTarget {
    fn id(&self) -> &TargetId {
        &self.prepared.target().id
    }

    /// One line per change of state; what stays as it is stays silent, and a target that goes to and fro is
    /// heard of once in [`LOG_PAUSE`]. Messages are scrubbed already.
    fn log_change(&self, observation: &Observation) {
        let verdict = &observation.verdict;
        let Some(Change { was, silent }) = self.change(observation) else { return };
        let (target, outcome, reason) = (self.id(), verdict.outcome(), verdict.reason);
        if verdict.door == Some(Door::Open) {
            tracing::error!(
                %target,
                was,
                silent,
                code = observation.code,
                request_id = observation.ids.request_id.as_deref(),
                extended_request_id = observation.ids.extended_request_id.as_deref(),
                sent_trace_id = observation.ids.sent_trace_id.as_deref(),
                "DOOR OPEN: what must be refused was let in"
            );
        } else if verdict.expected {
            tracing::info!(%target, %outcome, %reason, was, silent, "as expected");
        } else {
            tracing::warn!(
                %target,
                %outcome,
                %reason,
                was,
                silent,
                code = observation.code,
                said = verdict.message.as_deref(),
                policy_arn = verdict.policy_arn.as_deref(),
                request_id = observation.ids.request_id.as_deref(),
                extended_request_id = observation.ids.extended_request_id.as_deref(),
                sent_trace_id = observation.ids.sent_trace_id.as_deref(),
                "not as expected"
            );
        }
    }

    fn change(&self, observation: &Observation) -> Option<Change> {
        let verdict = &observation.verdict;
        if verdict.reason == Reason::Overloaded {
            return None;
        }
        let state = (verdict.reason, verdict.expected);
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let first_and_fine = logged.state.is_none() && verdict.expected;
        if logged.state == Some(state) || first_and_fine {
            logged.state = Some(state);
            return None;
        }
        if logged.at.is_some_and(|at| observation.done.since(at) < LOG_PAUSE) {
            logged.silent += 1;
            return None;
        }
        let was = logged.state.map_or("unknown", |(reason, _)| reason.as_str());
        let silent = logged.silent;
        *logged = Logged { state: Some(state), at: Some(observation.done), silent: 0 };
        Some(Change { was, silent })
    }

    fn waits_for_permits(&self) -> bool {
        matches!(self.prepared.target().cadence, Cadence::Every(_))
    }
}

/// Those who make an attempt and learn from it.
#[derive(Clone)]
struct Hands {
    attempter: Arc<Attempter>,
    diagnoser: Arc<Diagnoser>,
    clock: Arc<dyn Clock>,
}

/// Drives the attempts of all targets.
pub struct Pacing {
    hands: Hands,
    recorder: Arc<Recorder>,
    clock: Arc<dyn Clock>,
    wait: Arc<dyn Wait>,
    permits: Permits,
    tasks: TaskTracker,
}

impl Pacing {
    /// A driver without targets.
    #[must_use]
    pub fn new(
        attempter: Arc<Attempter>,
        diagnoser: Arc<Diagnoser>,
        recorder: Arc<Recorder>,
        clock: Arc<dyn Clock>,
        wait: Arc<dyn Wait>,
        permits: Permits,
    ) -> Self {
        let hands = Hands { attempter, diagnoser, clock: Arc::clone(&clock) };
        Self { hands, recorder, clock, wait, permits, tasks: TaskTracker::new() }
    }

    /// Makes a target ready to be paced.
    #[must_use]
    pub fn pace(
        &self,
        prepared: PreparedTarget,
        recorder: Arc<TargetRecorder>,
        case: Arc<Case>,
    ) -> Arc<PacedTarget> {
        let target = prepared.target();
        let permits = self.permits.of(&target.account);
        let most_running = match target.cadence {
            Cadence::Every(_) => 1,
            // Half of the account's permits: a rate that hangs leaves room for the account's other probes.
            Cadence::PerSecond(_) => (self.permits.per_account() / 2).max(1),
        };
        Arc::new(PacedTarget {
            prepared,
            recorder,
            case,
            permits,
            running: AtomicUsize::new(0),
            most_running,
            logged: Mutex::default(),
        })
    }

    /// Runs until `shutdown`. A target begins when its signer is reported by `known_signers`: with a session
    /// or with its first refusal. Afterwards attempts in flight are left to [`Pacing::drain`].
    pub async fn run(
        &self,
        targets: Vec<Arc<PacedTarget>>,
        mut known_signers: mpsc::UnboundedReceiver<Signer>,
        shutdown: CancellationToken,
    ) {
        let mut timetable = Timetable::new();
        let mut waiting = WaitingForSigner::default();
        for target in targets {
            match &target.prepared.target().signer {
                Signer::Anonymous => begin(&mut timetable, target, self.clock.now()),
                signer => waiting.add(signer.clone(), target),
            }
        }
        let mut arrivals = Vec::new();
        let mut signers_open = true;
        loop {
            let next_due = timetable.next_due();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                signer = known_signers.recv(), if signers_open => match signer {
                    Some(signer) => {
                        let now = self.clock.now();
                        waiting.take(&signer).into_iter().for_each(|target| begin(&mut timetable, target, now));
                    }
                    None => signers_open = false,
                },
                () = self.until(next_due) => {
                    timetable.take_due(self.clock.now(), &mut arrivals);
                    for arrival in arrivals.drain(..) {
                        self.arrive(arrival);
                    }
                }
            }
        }
    }

    /// Waits for the attempts in flight. The caller sets the deadline.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn until(&self, moment: Option<Moment>) {
        match moment {
            Some(moment) => self.wait.until(moment).await,
            None => std::future::pending().await,
        }
    }

    fn arrive(&self, arrival: Arrival<Paced>) {
        let Arrival { key: Paced(target), due, skipped } = arrival;
        target.recorder.due_many(skipped + 1);
        if skipped > 0 {
            tracing::warn!(target = %target.id(), skipped, "the agent was held up; attempts were skipped");
            target.recorder.missed(MissCause::Paused, skipped);
        }
        if target.running.fetch_add(1, Ordering::AcqRel) >= target.most_running {
            target.running.fetch_sub(1, Ordering::AcqRel);
            let cause = if target.waits_for_permits() { MissCause::Overrun } else { MissCause::Overloaded };
            target.recorder.missed(cause, 1);
            return;
        }
        let running = Running::new(target, Arc::clone(&self.recorder));
        if running.target().waits_for_permits() {
            self.tasks.spawn(guarded(attempt_in_turn(self.hands.clone(), running, due)));
        } else if let Some(permit) = running.target().permits.try_now() {
            self.tasks.spawn(guarded(attempt_now(self.hands.clone(), running, due, permit)));
        } else {
            running.miss(MissCause::Overloaded);
        }
    }
}

/// A panic ends its attempt, not the agent. The attempt is accounted for by the drop of its `Running`.
async fn guarded(attempt: impl Future<Output = ()> + Send) {
    if AssertUnwindSafe(attempt).catch_unwind().await.is_err() {
        tracing::error!("an attempt panicked; it is counted as missed and in task_panics_total");
    }
}

async fn attempt_in_turn(hands: Hands, running: Running, due: Moment) {
    let target = Arc::clone(running.target());
    let timeout = target.prepared.target().timeout;
    match tokio::time::timeout(timeout, target.permits.in_turn()).await {
        Ok(permit) => attempt_now(hands, running, due, permit).await,
        Err(_elapsed) => {
            let message = Some("no permit within the probe's timeout: see limits.in_flight".to_owned());
            let observation =
                hands.attempter.unsent(target.prepared.target(), due, Reason::Overloaded, message);
            running.never_started(&observation);
        }
    }
}

async fn attempt_now(hands: Hands, mut running: Running, due: Moment, permit: permits::Permit) {
    running.start();
    let target = Arc::clone(running.target());
    let lesson = target.case.lesson(hands.clock.now());
    let attempted = hands.attempter.attempt_informed(&target.prepared, due, lesson).await;
    // The permit goes first: who reads a counted attempt may rely on its permit being free.
    drop(permit);
    running.end(&attempted.observation);
    // Last, so that nothing that is learnt from an attempt changes how it is counted.
    hands.diagnoser.saw(&target.case, &attempted, || target.permits.spare());
}

/// One attempt from arrival to record. Whatever happens to it, it is accounted for exactly once.
struct Running {
    target: Arc<PacedTarget>,
    recorder: Arc<Recorder>,
    started: bool,
    accounted: bool,
}

impl Running {
    fn new(target: Arc<PacedTarget>, recorder: Arc<Recorder>) -> Self {
        Self { target, recorder, started: false, accounted: false }
    }

    const fn target(&self) -> &Arc<PacedTarget> {
        &self.target
    }

    fn start(&mut self) {
        self.target.recorder.started();
        self.started = true;
    }

    fn end(mut self, observation: &Observation) {
        self.target.recorder.observed(observation, true);
        self.target.log_change(observation);
        self.accounted = true;
    }

    fn never_started(mut self, observation: &Observation) {
        self.target.recorder.observed(observation, false);
        self.accounted = true;
    }

    fn miss(mut self, cause: MissCause) {
        self.target.recorder.missed(cause, 1);
        self.accounted = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.accounted {
            // A panic, or a drain that ran out of time: the attempt has no verdict, and says so.
            self.target.recorder.abandoned(self.started);
            if std::thread::panicking() {
                self.recorder.task_panicked();
            }
        }
        self.target.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The timetable's key: a target, compared by its labels.
#[derive(Clone)]
struct Paced(Arc<PacedTarget>);

impl PartialEq for Paced {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl Eq for Paced {}

impl std::hash::Hash for Paced {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.id().hash(state);
    }
}

fn begin(timetable: &mut Timetable<Paced>, target: Arc<PacedTarget>, now: Moment) {
    let pattern = Pattern::from(target.prepared.target().cadence);
    let phase = spread::phase(&target.id().to_string(), pattern.interval());
    timetable.insert(Paced(target), pattern, phase, now);
}

/// Targets whose signer nobody has heard of yet.
#[derive(Default)]
struct WaitingForSigner {
    hub: Vec<Arc<PacedTarget>>,
    roles: HashMap<Arc<crate::domain::credentials::RoleSession>, Vec<Arc<PacedTarget>>>,
}

impl WaitingForSigner {
    fn add(&mut self, signer: Signer, target: Arc<PacedTarget>) {
        match signer {
            Signer::Role(role) => self.roles.entry(role).or_default().push(target),
            Signer::Hub | Signer::Anonymous => self.hub.push(target),
        }
    }

    fn take(&mut self, signer: &Signer) -> Vec<Arc<PacedTarget>> {
        match signer {
            Signer::Role(role) => self.roles.remove(role).unwrap_or_default(),
            Signer::Hub => std::mem::take(&mut self.hub),
            Signer::Anonymous => Vec::new(),
        }
    }
}
