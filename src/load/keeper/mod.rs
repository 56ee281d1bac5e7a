//! The loads of the configuration: each begins at its time of day, on the first member, within the ceilings, and
//! never while anything speaks against it.
//!
//! ```text
//! daily    when a time of day has come: pure     begin   one load from its time to its end
//! switch   stops all that runs
//! ```
//!
//! What speaks against a load leaves it out until the next day; it never begins later by itself. When the loads of the
//! configuration change, a run that would be the same goes on; another is stopped in good order.

mod begin;
mod daily;
mod switch;

pub use switch::Switch;

use crate::attempt::{PreparedTarget, PreparingProblem};
use crate::credentials::Store;
use crate::domain::account::AccountId;
use crate::domain::moment::Moment;
use crate::load::{Budget, Hands, Settings};
use crate::recording::Recorder;
use crate::seams;
use arc_swap::ArcSwap;
use daily::{Daily, Turn};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// No load begins within this time after the agent's start: an agent that is restarted again and again must not
/// drive load each time, and sessions and zones are known by then.
pub const NOT_BEFORE: Duration = Duration::from_secs(120);
/// How long, unless told otherwise, no load begins on an account after a guard stopped one.
pub const COOL_DOWN: Duration = Duration::from_secs(600);
/// How often the wall clock is looked at: a step of it is noticed within this time.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// What loads are given to end in when the agent ends; it must fit in the agent's own drain.
const LAST_SECONDS: Duration = Duration::from_secs(5);

/// Makes a load's target ready: addressed, with its signer, and signing as `Settings::reuse_signatures` says.
pub type Prepare = Box<dyn Fn(&Settings) -> Result<PreparedTarget, PreparingProblem> + Send + Sync>;

/// What the keeper works with.
pub struct KeeperParts {
    /// Makes and times the attempts.
    pub hands: Hands,
    /// Where runs are counted.
    pub recorder: Arc<Recorder>,
    /// The sessions: a load waits for its signer's.
    pub store: Arc<Store>,
    /// The ceilings.
    pub budget: Arc<Budget>,
}

/// What all loads of a configuration share.
pub struct Rules {
    /// Makes targets ready.
    pub prepare: Prepare,
    /// Whether the stop file exists. Asked once a second while a load runs or is about to begin; may block as long
    /// as looking at a file takes.
    pub stop_file_exists: Box<dyn Fn() -> bool + Send + Sync>,
    /// How long no load begins on an account after a guard stopped one there.
    pub cool_down: Duration,
    /// Whether this agent is the member that begins scheduled loads; asked when a load's time has come.
    pub begins_loads: Box<dyn Fn() -> bool + Send + Sync>,
}

/// Begins the configured loads.
pub struct Keeper {
    shared: Arc<Shared>,
}

struct Shared {
    parts: KeeperParts,
    rules: ArcSwap<Rules>,
    dailies: Mutex<Vec<(Arc<Settings>, Daily)>>,
    changed: Notify,
    switch: Switch,
    cooling: Mutex<HashMap<AccountId, Moment>>,
}

impl Shared {
    fn stop_file_exists(&self) -> bool {
        (self.rules.load().stop_file_exists)()
    }

    fn dailies(&self) -> MutexGuard<'_, Vec<(Arc<Settings>, Daily)>> {
        self.dailies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the account still cools down.
    fn cooling(&self, account: &AccountId) -> Option<Duration> {
        let until = self.cooling.lock().unwrap_or_else(PoisonError::into_inner).get(account).copied()?;
        let left = until.since(self.parts.hands.clock.now());
        (!left.is_zero()).then_some(left)
    }

    fn cool_down(&self, account: &AccountId) {
        let until = self.parts.hands.clock.now() + self.rules.load().cool_down;
        self.cooling.lock().unwrap_or_else(PoisonError::into_inner).insert(account.clone(), until);
    }
}

impl Keeper {
    /// A keeper of these loads. Those without a time of day are left to commands.
    #[must_use]
    pub fn new(loads: &[Arc<Settings>], rules: Rules, parts: KeeperParts) -> Self {
        let shared = Shared {
            parts,
            rules: ArcSwap::from_pointee(rules),
            dailies: Mutex::default(),
            changed: Notify::new(),
            switch: Switch::default(),
            cooling: Mutex::default(),
        };
        let keeper = Self { shared: Arc::new(shared) };
        keeper.set_loads(loads);
        keeper
    }

    /// Other loads and rules from now on. A run under way goes on if one of the loads would drive the same, and what
    /// `moved` says has not: that the target of a load is at another place now.
    pub fn set(&self, loads: &[Arc<Settings>], rules: Rules, moved: impl Fn(&Settings) -> bool) {
        self.shared.rules.store(Arc::new(rules));
        let goes_on = |running: &Settings| {
            !moved(running) && loads.iter().any(|load| load.at.is_some() && load.drives_the_same(running))
        };
        self.shared.switch.stop_unless(goes_on, "its configuration changed");
        self.set_loads(loads);
        self.shared.changed.notify_one();
    }

    /// One whose time of day is the same keeps its place in the day: it does not begin a second time.
    fn set_loads(&self, loads: &[Arc<Settings>]) {
        let wall = self.shared.parts.hands.clock.wall();
        let mut dailies = self.shared.dailies();
        let mut before = std::mem::take(&mut *dailies);
        dailies.extend(loads.iter().filter_map(|load| {
            let at = load.at?;
            let same = before.iter().position(|(old, _)| old.name == load.name && old.at == load.at);
            let daily = same.map_or_else(|| Daily::new(at, wall), |same| before.swap_remove(same).1);
            Some((Arc::clone(load), daily))
        }));
    }

    /// What stops all that runs.
    #[must_use]
    pub fn switch(&self) -> Switch {
        self.shared.switch.clone()
    }

    /// Runs until `shutdown`, and then until the loads have ended, at most for a few seconds.
    pub async fn run(&self, shutdown: CancellationToken) {
        let Hands { clock, wait, .. } = self.shared.parts.hands.clone();
        let started = clock.now();
        let mut running: FuturesUnordered<JoinHandle<()>> = FuturesUnordered::new();
        loop {
            let (wall, now) = (clock.wall(), clock.now());
            let soonest = self.shared.dailies().iter().map(|(_, daily)| daily.until_next(wall)).min();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = running.next(), if !running.is_empty() => self.ended(ended),
                () = self.shared.changed.notified() => {}
                () = wait.until(now + soonest.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)), if soonest.is_some() => {}
            }
            let (wall, now) = (clock.wall(), clock.now());
            let turns: Vec<(Arc<Settings>, Turn)> = self
                .shared
                .dailies()
                .iter_mut()
                .map(|(load, daily)| (Arc::clone(load), daily.look(wall, now)))
                .collect();
            for (load, turn) in turns {
                running.extend(self.turn(&load, turn, now.since(started)));
            }
        }
        self.end(running).await;
    }

    /// Begins a load whose time has come, unless something speaks against it.
    fn turn(&self, load: &Arc<Settings>, turn: Turn, since_start: Duration) -> Option<JoinHandle<()>> {
        let account = &load.target.account;
        let against = match turn {
            Turn::NotYet => return None,
            Turn::Passed => "the clock went past its time, or the machine slept",
            Turn::Again => "its time came twice, since the clock went back",
            Turn::Due if since_start < NOT_BEFORE => "the agent has just started",
            Turn::Due if !(self.shared.rules.load().begins_loads)() => {
                tracing::info!(load = %load.name, "another member runs this load");
                return None;
            }
            Turn::Due if self.shared.stop_file_exists() => "the stop file exists",
            Turn::Due if self.shared.cooling(account).is_some() => {
                "its account cools down after a stopped load"
            }
            Turn::Due => match self.shared.switch.list(load) {
                Some(listed) => {
                    let begin = begin::begin(Arc::clone(&self.shared), Arc::clone(load), listed);
                    return Some(seams::spawn("load", begin));
                }
                None => "it still runs",
            },
        };
        tracing::warn!(load = %load.name, against, "the load is left out until tomorrow");
        None
    }

    fn ended(&self, ended: Result<(), JoinError>) {
        if ended.is_err_and(|error| error.is_panic()) {
            tracing::error!("a load run panicked; it is counted in task_panics_total");
            self.shared.parts.recorder.task_panicked();
        }
    }

    async fn end(&self, mut running: FuturesUnordered<JoinHandle<()>>) {
        let Hands { clock, wait, .. } = self.shared.parts.hands.clone();
        self.shared.switch.halt_all("the agent ends");
        let deadline = clock.now() + LAST_SECONDS;
        loop {
            tokio::select! {
                biased;
                ended = running.next() => match ended {
                    Some(ended) => self.ended(ended),
                    None => return,
                },
                () = wait.until(deadline), if clock.now() < deadline => self.shared.switch.cut_all("the agent ends"),
            }
        }
    }
}
