//! The one driver of the timetable: takes what is due, finds permits, makes the attempts.
//!
//! There is one task here, however many targets there are; a task per attempt lives only as long as the
//! attempt. An interval's arrival may wait in a fair queue for its permits, an arrival of a rate never
//! waits. Nothing that one spoke does can hold up another: each account has its own permits, and rates
//! together can take only part of the agent's.

mod beginning;
mod change_log;
mod permits;

pub use permits::Permits;

use crate::attempt::{Attempter, PreparedTarget};
use crate::diagnosis::{Case, Diagnoser};
use crate::domain::account::AccountId;
use crate::domain::identity::Signer;
use crate::domain::moment::Moment;
use crate::domain::observation::{MissCause, Observation};
use crate::domain::outcome::Reason;
use crate::domain::target::{Cadence, TargetId};
use crate::recording::{Recorder, TargetRecorder};
use crate::schedule::{Arrival, Timetable};
use crate::seams::{Clock, Wait};
use beginning::{Beginning, Paced};
use change_log::ChangeLog;
use futures_util::FutureExt as _;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    changes: ChangeLog,
}

impl PacedTarget {
    fn id(&self) -> &TargetId {
        &self.prepared.target().id
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
            changes: ChangeLog::default(),
        })
    }

    /// Asks for permits to an account for what may as well wait, such as checks of isolation: there are some
    /// only while all other traffic leaves plenty over. What is given holds them until it is dropped.
    pub fn spare(&self, account: &AccountId) -> impl Fn() -> Option<Box<dyn Send>> + Send + Sync + 'static {
        let permits = self.permits.of(account);
        move || permits.spare().map(|permit| Box::new(permit) as Box<dyn Send>)
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
        let mut beginning = Beginning::new(targets, &mut timetable, self.clock.now());
        let mut arrivals = Vec::new();
        let mut signers_open = true;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                signer = known_signers.recv(), if signers_open => match signer {
                    Some(signer) => beginning.signer_known(&signer, &mut timetable, self.clock.now()),
                    None => signers_open = false,
                },
                () = drive(&mut timetable, &*self.clock, &*self.wait, &mut arrivals) => {
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

/// Waits until something is due and moves all that is due then into `arrivals`; for ever when nothing is
/// scheduled. The one step that health probes and load runs alike repeat. It may be dropped at any time, as in
/// a `select!`: until the moment has come it takes nothing, and then it does not wait any more.
pub async fn drive<K: Clone + Eq + Hash>(
    timetable: &mut Timetable<K>,
    clock: &dyn Clock,
    wait: &dyn Wait,
    arrivals: &mut Vec<Arrival<K>>,
) {
    match timetable.next_due() {
        Some(due) => wait.until(due).await,
        None => std::future::pending().await,
    }
    timetable.take_due(clock.now(), arrivals);
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
        self.target.changes.observed(self.target.id(), observation);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Arrivals, Profile, Stage};
    use crate::seams::{SystemClock, TokioWait};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_step_takes_what_is_due_and_loses_nothing_when_it_is_dropped() {
        let clock = SystemClock::start();
        let wait = TokioWait::new(clock);
        let stages = vec![Stage::Hold { rate: 20.0, lasts: Duration::from_secs(10) }];
        let mut timetable = Timetable::new();
        timetable.begin("load", &Profile { stages, arrivals: Arrivals::Even }, clock.now());
        let (mut arrivals, mut dropped) = (Vec::new(), 0);
        while !timetable.is_empty() {
            let step = drive(&mut timetable, &clock, &wait, &mut arrivals);
            if tokio::time::timeout(Duration::from_millis(7), step).await.is_err() {
                dropped += 1;
            }
        }
        assert!(dropped > 200, "{dropped}");
        assert_eq!(arrivals.len(), 200);
        assert!(arrivals.iter().all(|arrival| arrival.skipped == 0));
        assert!(clock.now().since(arrivals[199].due) <= Duration::from_millis(2));
        // Nothing scheduled: it waits for ever.
        let step = drive(&mut timetable, &clock, &wait, &mut arrivals);
        assert!(tokio::time::timeout(Duration::from_secs(3_600), step).await.is_err());
    }
}
