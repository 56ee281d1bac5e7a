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
use crate::recording::{EndpointRecorder, Recorder, WatchedPlace};
use crate::seams::{Clock, Link, Wait};
use changes::Memory;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// How often each place is looked at: a third of the default interval of probes, and a few bytes each.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// The watch, ready to run.
pub struct Watch {
    link: Arc<dyn Link>,
    clock: Arc<dyn Clock>,
    wait: Arc<dyn Wait>,
    recorder: Arc<EndpointRecorder>,
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
        Self { link, clock, wait, recorder: recorder.begin_endpoint(INTERVAL, places) }
    }

    /// Watches until it is dropped. Looks at every place at once, and then at the place's own moment of each
    /// interval.
    pub async fn run(self) {
        let places = self.recorder.places().iter().enumerate();
        join_all(places.map(|(number, place)| self.watch(number, place))).await;
    }

    async fn watch(&self, number: usize, place: &WatchedPlace) {
        let name = format!("{}:{} {}", place.host, place.port, place.tls_name);
        let first = self.clock.now() + spread::phase(&name, INTERVAL);
        let mut memory = Memory::new(self.watched_alone());
        loop {
            // Certificates of strangers are read here. A defect in that must not end the watch: what is not known
            // is not shown.
            let seen = AssertUnwindSafe(look::look(self, place)).catch_unwind().await;
            let mut seen = seen.ok();
            if let Some(seen) = &mut seen {
                memory.learn(place, seen, self.endpoint_is_up());
            } else {
                tracing::error!(place = %changes::Shown(place), "the look at the endpoint ended in a defect");
            }
            self.recorder.saw(number, seen);
            self.wait.until(next(first, self.clock.now())).await;
        }
    }

    /// The addresses that are zones of their own: those tell of themselves.
    fn watched_alone(&self) -> BTreeSet<IpAddr> {
        let zones = self.recorder.places().iter().filter(|place| place.zone.is_some());
        zones.filter_map(|place| place.literal()).collect()
    }

    fn endpoint_is_up(&self) -> Option<bool> {
        self.recorder.status().is_up()
    }
}

/// The next moment of a rhythm that began at `first`, after `now`.
fn next(first: Moment, now: Moment) -> Moment {
    if now < first {
        return first;
    }
    let passed = now.since(first).as_nanos() / INTERVAL.as_nanos();
    first + INTERVAL * u32::try_from(passed).unwrap_or(u32::MAX - 1).saturating_add(1)
}
