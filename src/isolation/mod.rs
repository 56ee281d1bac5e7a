//! Continuous proof that closed doors stay closed: every spoke's role is tried at every other spoke's apis,
//! each pair once in a period.
//!
//! `plan` says which pairs there are (`settings`), `rounds` when each has its turn, `judgement` what an answer
//! says of the door, `ledger` what is known of all pairs, `rechecks` which open doors to try again soon.
//! `work` joins them; the driver here is one task, whatever the number of pairs; checks run inside it, under permits that
//! other traffic leaves over. A check is signed as the caller's own role and by nobody else. What it teaches
//! goes to `recording`'s isolation, not to the series of the api's health.

mod judgement;
mod ledger;
mod rechecks;
mod rounds;
mod settings;
#[cfg(test)]
mod tests;
mod work;

pub use judgement::{Judgement, judge};
pub use settings::{Caller, MOST_PAIRS, Pair, Settings};

use crate::attempt::{AddressedTarget, Attempter, PreparingProblem};
use crate::credentials::Store;
use crate::domain::moment::Moment;
use crate::domain::target::{Target, TargetId};
use crate::endpoint;
use crate::recording::Recorder;
use crate::seams::{Clock, Wait};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use work::{Ended, Work};

/// Kept while a check is in flight; dropping it gives the permits back.
pub type Held = Box<dyn Send>;

/// Gives permits for one request to the account of one api, if other traffic leaves any over at this moment.
pub type Spare = Box<dyn Fn() -> Option<Held> + Send + Sync>;

/// Finds the permits for an api.
pub type SpareOf = Box<dyn Fn(&Target) -> Spare + Send + Sync>;

/// What the driver works with.
pub struct Surroundings {
    /// Makes the attempts.
    pub attempter: Arc<Attempter>,
    /// The sessions.
    pub store: Arc<Store>,
    /// What is counted.
    pub recorder: Arc<Recorder>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Waiting on them.
    pub wait: Arc<dyn Wait>,
    /// The permits.
    pub spare_of: SpareOf,
}

/// The driver of all checks. What it knows lies here and not in the task, so that a task that takes the place of one
/// that panicked goes on from it.
pub struct Isolation {
    around: Surroundings,
    work: Mutex<Option<Work>>,
    changed: Notify,
    /// Held by the task for its life.
    in_flight: tokio::sync::Mutex<FuturesUnordered<BoxFuture<'static, Ended>>>,
}

impl fmt::Debug for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Isolation").finish_non_exhaustive()
    }
}

/// Whether every api of the settings can be addressed.
///
/// # Errors
/// The first that cannot; a checked configuration has none.
pub fn check(settings: &Settings, endpoint: &endpoint::Settings) -> Result<(), (TargetId, PreparingProblem)> {
    settings.apis.iter().try_for_each(|api| {
        let addressed = AddressedTarget::new(Arc::clone(api), endpoint);
        addressed.map(drop).map_err(|problem| (api.id.clone(), problem))
    })
}

impl Isolation {
    /// A driver without pairs.
    #[must_use]
    pub fn new(around: Surroundings) -> Self {
        Self {
            around,
            work: Mutex::default(),
            changed: Notify::new(),
            in_flight: tokio::sync::Mutex::default(),
        }
    }

    /// These pairs from now on, or none; the settings must have passed [`check`]. What is known of a pair stays while
    /// its caller, its api and the way there do.
    pub fn set(&self, settings: Option<Settings>, endpoint: &endpoint::Settings) {
        let mut work = self.work();
        let before = work.take();
        match settings {
            Some(settings) => *work = Some(Work::new(settings, endpoint.clone(), before, &self.around)),
            None => self.around.recorder.end_isolation(),
        }
        drop(work);
        self.changed.notify_one();
    }

    /// Runs until `shutdown`, and then until the checks in flight have ended. The first turn comes when every
    /// role has been asked for: before that, no role could call.
    pub async fn run(&self, mut roles_asked: watch::Receiver<bool>, shutdown: CancellationToken) {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            asked = roles_asked.wait_for(|asked| *asked) => if asked.is_err() {
                return; // the store is gone, and the agent with it
            },
        }
        let mut in_flight = self.in_flight.lock().await;
        loop {
            let next = self.work().as_ref().and_then(Work::next_wake);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = in_flight.next(), if !in_flight.is_empty() => self.take(ended),
                () = self.changed.notified() => {}
                () = until(&*self.around.wait, next) => if let Some(work) = self.work().as_mut() {
                    in_flight.extend(work.begin_what_is_due(&self.around));
                },
            }
        }
        while let Some(ended) = in_flight.next().await {
            self.take(ended);
        }
    }

    fn take(&self, ended: Ended) {
        if let Some(work) = self.work().as_mut() {
            work.take(ended, &self.around);
        }
    }

    fn work(&self) -> MutexGuard<'_, Option<Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn until(wait: &dyn Wait, moment: Option<Moment>) {
    match moment {
        Some(moment) => wait.until(moment).await,
        None => std::future::pending().await,
    }
}
