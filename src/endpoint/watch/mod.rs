//! The watch: looks at every name and zone of the endpoint at a fixed small cadence, resolves, connects, shakes hands
//! and hangs up. No request is sent, so it costs nothing and needs no identity.
//!
//! ```text
//! places   what is watched, from the settings and the targets (pure)
//! look     one look at one place: resolve, handshakes, certificates
//! changes  what is new since the last look, for the log
//! ```
//!
//! Each place has a rhythm of its own, so one that hangs delays no other. A name is asked for anew at every look and
//! no answer is kept: whatever its time to live, none is used past it. (The machine's resolver does not tell it.)
//! The addresses of a name are looked at whether or not zones are configured; zones are looked at one by one beside
//! them, whatever the name resolves to.

mod changes;
mod look;
mod places;
#[cfg(test)]
mod tests;

pub use look::{ADDRESSES_MAX, HANDSHAKE_MAX, RESOLVE_MAX};
pub use places::places;

use crate::domain::moment::Moment;
use crate::domain::spread;
use crate::recording::{EndpointRecorder, PlaceSeen, Recorder, WatchedPlace};
use crate::seams::{Clock, Link, Wait};
use changes::Memory;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How often each place is looked at: a third of the default interval of probes, and a few bytes each.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// The watch. What it knows lies here and not in the task, so that a task that takes the place of one that panicked
/// goes on from it.
pub struct Watch {
    link: Arc<dyn Link>,
    clock: Arc<dyn Clock>,
    wait: Arc<dyn Wait>,
    recorder: Arc<EndpointRecorder>,
    places: Mutex<Vec<Arc<Place>>>,
    changed: Notify,
}

/// A place that is watched until it is none any more.
struct Place {
    watched: Arc<WatchedPlace>,
    memory: Mutex<Memory>,
    gone: CancellationToken,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("places", &self.recorder.places()).finish_non_exhaustive()
    }
}

impl Watch {
    /// A watch over these places, see [`places()`]. Announces them to the recorder, which forgets what an earlier
    /// watch saw.
    #[must_use]
    pub fn new(
        places: Vec<WatchedPlace>,
        link: Arc<dyn Link>,
        clock: Arc<dyn Clock>,
        wait: Arc<dyn Wait>,
        recorder: &Recorder,
    ) -> Self {
        let recorder = recorder.begin_endpoint(INTERVAL, Vec::new());
        let watch = Self { link, clock, wait, recorder, places: Mutex::default(), changed: Notify::new() };
        watch.set_places(places);
        watch
    }

    /// Watches these places from now on. Those that are among them already go on as they were.
    pub fn set_places(&self, places: Vec<WatchedPlace>) {
        let mut known = locked(&self.places);
        if known.iter().map(|place| &*place.watched).eq(&places) {
            return;
        }
        self.recorder.set_places(places);
        let places = self.recorder.places().into_iter().map(|watched| {
            let same = known.iter().find(|place| *place.watched == *watched).cloned();
            same.unwrap_or_else(|| {
                Arc::new(Place { watched, memory: Mutex::default(), gone: CancellationToken::new() })
            })
        });
        let places: Vec<_> = places.collect();
        let stays = |place: &Arc<Place>| places.iter().any(|kept| Arc::ptr_eq(kept, place));
        known.iter().filter(|place| !stays(place)).for_each(|place| place.gone.cancel());
        *known = places;
        drop(known);
        self.changed.notify_one();
    }

    /// Watches until it is dropped. Looks at every place at once, and then at the place's own moment of each
    /// interval.
    pub async fn run(&self) {
        let mut under_watch: Vec<Arc<Place>> = Vec::new();
        let mut watching = FuturesUnordered::new();
        loop {
            let places = locked(&self.places).clone();
            for place in &places {
                if !under_watch.iter().any(|watched| Arc::ptr_eq(watched, place)) {
                    let place = Arc::clone(place);
                    watching.push(async move { place.gone.run_until_cancelled(self.watch(&place)).await });
                }
            }
            under_watch = places;
            tokio::select! {
                () = self.changed.notified() => {}
                Some(_gone) = watching.next(), if !watching.is_empty() => {}
            }
        }
    }

    async fn watch(&self, place: &Place) {
        let Place { watched, memory, .. } = place;
        let name = format!("{}:{} {}", watched.host, watched.port, watched.tls_name);
        let first = self.clock.now() + spread::phase(&name, INTERVAL);
        loop {
            // Certificates of strangers are read here. A defect in that must not end the watch: what is not known
            // is not shown.
            let seen = AssertUnwindSafe(look::look(self, watched)).catch_unwind().await;
            let mut seen = seen.ok();
            if seen.as_ref().is_some_and(PlaceSeen::is_own_shortage) {
                tracing::warn!(place = %changes::Shown(watched), "this machine had no file left to look at the endpoint");
                seen = None;
            } else if let Some(seen) = &mut seen {
                locked(memory).learn(watched, seen, self.endpoint_is_up(), &self.watched_alone());
            } else {
                tracing::error!(place = %changes::Shown(watched), "the look at the endpoint ended in a defect");
            }
            self.recorder.saw_at(watched, seen);
            self.wait.until(next(first, self.clock.now())).await;
        }
    }

    /// The addresses that are zones of their own: those tell of themselves.
    fn watched_alone(&self) -> BTreeSet<IpAddr> {
        let places = self.recorder.places();
        let zones = places.iter().filter(|place| place.zone.is_some());
        zones.filter_map(|place| place.literal()).collect()
    }

    fn endpoint_is_up(&self) -> Option<bool> {
        self.recorder.status().is_up()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next moment of a rhythm that began at `first`, after `now`.
fn next(first: Moment, now: Moment) -> Moment {
    if now < first {
        return first;
    }
    let passed = now.since(first).as_nanos() / INTERVAL.as_nanos();
    first + INTERVAL * u32::try_from(passed).unwrap_or(u32::MAX - 1).saturating_add(1)
}
