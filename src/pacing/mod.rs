//! The one driver of the timetable: takes what is due, finds permits, makes the attempts.
//!
//! There is one task here, however many targets there are; a task per attempt lives only as long as the
//! attempt. An interval's arrival may wait for its permit, and who was served longest ago is next; an arrival of a
//! rate never waits. Nothing that one spoke does can hold up another: each account has its own permits, and rates
//! together can take only part of the agent's.
//!
//! `target` is a target and the form it has now, `beginning` the timetable and who waits to enter it, `attempting` what
//! becomes of an arrival. The task owns the timetable; what changes in it comes by a channel.

mod attempting;
mod beginning;
mod change_log;
mod permits;
mod target;

pub use permits::Permits;
pub use target::PacedTarget;

use crate::attempt::{Attempter, PreparedTarget};
use crate::credentials::Store;
use crate::diagnosis::{Case, Diagnoser};
use crate::domain::account::AccountId;
use crate::domain::identity::Signer;
use crate::recording::{Recorder, TargetRecorder};
use crate::schedule::{Arrival, Timetable};
use crate::seams::{Clock, Wait};
use attempting::Hands;
use beginning::{Course, Paced};
use std::hash::Hash;
use std::sync::Arc;
use target::Form;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Drives the attempts of all targets.
pub struct Pacing {
    hands: Hands,
    store: Arc<Store>,
    wait: Arc<dyn Wait>,
    permits: Permits,
    tasks: TaskTracker,
    shifts: mpsc::UnboundedSender<Shift>,
    /// Held by the task for its life. A task that takes the place of one that panicked goes on from here.
    driver: Mutex<Driver>,
}

/// Targets that come, go, or have another place in the timetable.
#[derive(Debug, Default)]
pub struct Shift {
    /// Not paced any longer, and retired.
    pub removed: Vec<Arc<PacedTarget>>,
    /// Paced from now on.
    pub added: Vec<Arc<PacedTarget>>,
    /// Those whose signer or control changed, or (true) also what places them in the timetable.
    pub shifted: Vec<(Arc<PacedTarget>, bool)>,
}

impl Shift {
    fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty() && self.shifted.is_empty()
    }
}

/// What the task owns.
struct Driver {
    course: Course,
    /// Taken from the timetable and not yet begun, the next one last.
    due: Vec<Arrival<Paced>>,
    shifts: mpsc::UnboundedReceiver<Shift>,
    known_signers: mpsc::UnboundedReceiver<Signer>,
    signers_open: bool,
}

impl Pacing {
    /// A driver without targets. A target begins when its signer is known to the store, which `known_signers` tells.
    #[must_use]
    pub fn new(
        attempter: Arc<Attempter>,
        diagnoser: Arc<Diagnoser>,
        recorder: Arc<Recorder>,
        clock: Arc<dyn Clock>,
        wait: Arc<dyn Wait>,
        permits: Permits,
        (store, known_signers): (Arc<Store>, mpsc::UnboundedReceiver<Signer>),
    ) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let driver = Driver {
            course: Course::new(&*clock),
            due: Vec::new(),
            shifts: told,
            known_signers,
            signers_open: true,
        };
        Self {
            hands: Hands { attempter, diagnoser, clock, recorder },
            store,
            wait,
            permits,
            tasks: TaskTracker::new(),
            shifts: tell,
            driver: Mutex::new(driver),
        }
    }

    /// Makes a target ready to be paced.
    #[must_use]
    pub fn pace(
        &self,
        prepared: PreparedTarget,
        recorder: Arc<TargetRecorder>,
        case: Arc<Case>,
    ) -> Arc<PacedTarget> {
        let permits = self.permits.of(&prepared.target().account);
        PacedTarget::new(Form { prepared, recorder, case, permits, changes: Arc::default() })
    }

    /// Gives a target another form: attempts that go out from now on have it. Where it asks the same, what the log
    /// knows stays; else its old case must be closed.
    pub fn reform(
        &self,
        target: &PacedTarget,
        prepared: PreparedTarget,
        recorder: Arc<TargetRecorder>,
        case: Arc<Case>,
        asks_the_same: bool,
    ) {
        let permits = self.permits.of(&prepared.target().account);
        let changes = if asks_the_same { Arc::clone(&target.form().changes) } else { Arc::default() };
        target.set_form(Form { prepared, recorder, case, permits, changes });
    }

    /// Tells the task who comes, goes and moves. May be called before it runs.
    pub fn shift(&self, shift: Shift) {
        if !shift.is_empty() {
            // Nobody listens any more while the agent drains.
            drop(self.shifts.send(shift));
        }
    }

    /// Other limits from now on; what is in flight stays so.
    pub fn set_limits(&self, in_flight: usize, per_account: usize) {
        self.permits.set(in_flight, per_account);
    }

    /// Asks for permits to an account for what may as well wait, such as checks of isolation: there are some
    /// only while all other traffic leaves plenty over. What is given holds them until it is dropped.
    pub fn spare(&self, account: &AccountId) -> impl Fn() -> Option<Box<dyn Send>> + Send + Sync + 'static {
        let permits = self.permits.of(account);
        move || permits.spare().map(|permit| Box::new(permit) as Box<dyn Send>)
    }

    /// Runs until `shutdown`. Attempts in flight are then left to [`Pacing::drain`]. After a panic it may be run
    /// again.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut driver = self.driver.lock().await;
        let Driver { course, due, shifts, known_signers, signers_open } = &mut *driver;
        let clock = &*self.hands.clock;
        loop {
            while let Some(arrival) = Course::arrivals(due) {
                self.hands.arrive(arrival, &self.tasks);
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(shift) = shifts.recv() => {
                    let is_known = |signer: &Signer| self.store.is_known(signer);
                    course.remove(&shift.removed);
                    course.shift(shift.shifted, &is_known, clock.now());
                    course.add(shift.added, &is_known, clock.now());
                }
                signer = known_signers.recv(), if *signers_open => match signer {
                    Some(signer) => course.signer_known(&signer, clock.now()),
                    None => *signers_open = false,
                },
                () = drive(&mut course.timetable, clock, &*self.wait, due) => due.reverse(),
            }
        }
    }

    /// Waits for the attempts in flight. The caller sets the deadline.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
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
