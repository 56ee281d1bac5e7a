//! From an arrival to a record: permits, the attempt, and that each is accounted for exactly once.

use super::permits::Permit;
use super::target::{Form, PacedTarget};
use crate::attempt::Attempter;
use crate::diagnosis::Diagnoser;
use crate::domain::moment::Moment;
use crate::domain::observation::{MissCause, Observation};
use crate::domain::outcome::Reason;
use crate::recording::{Recorder, TargetRecorder};
use crate::schedule::Arrival;
use crate::seams::Clock;
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// Those who make an attempt and learn from it.
#[derive(Clone)]
pub(super) struct Hands {
    pub(super) attempter: Arc<Attempter>,
    pub(super) diagnoser: Arc<Diagnoser>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) recorder: Arc<Recorder>,
}

impl Hands {
    /// Counts an arrival, and makes of it an attempt or a miss.
    pub(super) fn arrive(&self, arrival: Arrival<Arc<PacedTarget>>, tasks: &TaskTracker) {
        let Arrival { key: target, due, skipped } = arrival;
        if target.is_gone() {
            return;
        }
        let form = target.form();
        form.recorder.due_many(skipped + 1);
        if skipped > 0 {
            tracing::warn!(target = %target.id(), skipped, "the agent was held up; attempts were skipped");
            form.recorder.missed(MissCause::Paused, skipped);
        }
        if let Err(cause) = target.enter(&form) {
            form.recorder.missed(cause, 1);
            return;
        }
        let running = Running::new(target, &form.recorder, &self.recorder);
        if form.waits_for_permits() {
            tasks.spawn(guarded(attempt_in_turn(self.clone(), running, due)));
        } else if let Some(permit) = form.permits.try_now() {
            tasks.spawn(guarded(attempt_now(self.clone(), running, due, form, permit)));
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
    let target = Arc::clone(&running.target);
    let timeout = target.form().target().timeout;
    match tokio::time::timeout(timeout, target.in_turn()).await {
        Ok((form, permit)) => attempt_now(hands, running, due, form, permit).await,
        Err(_elapsed) => {
            let message = Some("no permit within the probe's timeout: see limits.in_flight".to_owned());
            let observation =
                hands.attempter.unsent(target.form().target(), due, Reason::Overloaded, message);
            running.never_started(&observation);
        }
    }
}

async fn attempt_now(hands: Hands, mut running: Running, due: Moment, form: Arc<Form>, permit: Permit) {
    if running.target.is_gone() {
        return;
    }
    running.start(&form.recorder);
    let lesson = form.case.lesson(hands.clock.now());
    let attempted = hands.attempter.attempt_informed(&form.prepared, due, lesson).await;
    // The permit goes first: who reads a counted attempt may rely on its permit being free.
    drop(permit);
    let id = running.target.id().clone();
    if !running.target.is_gone() {
        form.changes.observed(&id, &attempted.observation);
    }
    running.end(&attempted.observation);
    // Last, so that nothing that is learnt from an attempt changes how it is counted.
    hands.diagnoser.saw(&form.case, &attempted, || form.permits.spare());
}

/// One attempt from arrival to record. Whatever happens to it, it is accounted for exactly once.
struct Running {
    target: Arc<PacedTarget>,
    /// Of the form that goes out; before it does, of that in which it arrived.
    of_form: Arc<TargetRecorder>,
    recorder: Arc<Recorder>,
    started: bool,
    accounted: bool,
}

impl Running {
    fn new(target: Arc<PacedTarget>, of_form: &Arc<TargetRecorder>, recorder: &Arc<Recorder>) -> Self {
        let (of_form, recorder) = (Arc::clone(of_form), Arc::clone(recorder));
        Self { target, of_form, recorder, started: false, accounted: false }
    }

    fn start(&mut self, of_form: &Arc<TargetRecorder>) {
        self.of_form = Arc::clone(of_form);
        self.of_form.started();
        self.started = true;
    }

    fn end(mut self, observation: &Observation) {
        self.of_form.observed(observation, true);
        self.accounted = true;
    }

    fn never_started(mut self, observation: &Observation) {
        self.of_form.observed(observation, false);
        self.accounted = true;
    }

    fn miss(mut self, cause: MissCause) {
        self.of_form.missed(cause, 1);
        self.accounted = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.accounted {
            // A panic, or a drain that ran out of time: the attempt has no verdict, and says so.
            self.of_form.abandoned(self.started);
            if std::thread::panicking() {
                self.recorder.task_panicked();
            }
        }
        self.target.leave();
    }
}
