//! All places and their idle connections, within bounds.
//!
//! The connection that was used last is taken first: the others grow old and are closed, so that a place keeps no
//! more than it needs. Nobody ever waits for a connection to come back.

use super::super::addresses::PrivateRanges;
use super::super::clients::{MAX_PLACES, POOL_IDLE};
use super::connection::Connection;
use super::place::{Counted, Idle, Place};
use crate::domain::moment::Moment;
use crate::domain::request::{ConnectTarget, TransportFailure};
use crate::seams::{Clock, spawn};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Idle connections kept for one place: what a load that may have some hundred requests on their way gives back in a
/// moment, without a handshake for each of the next moment.
pub(super) const IDLE_PER_PLACE: usize = 256;
/// How often those that are too old, or that the far side closed, are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// The places.
pub(super) struct Pool {
    places: Mutex<Places>,
    idle: Arc<AtomicUsize>,
    /// Idle connections kept for all places together: each holds buffers and a file, and the requests on their way need
    /// theirs.
    at_all: usize,
    sweeping: AtomicBool,
    ranges: Arc<PrivateRanges>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Places {
    by_target: HashMap<Arc<ConnectTarget>, Arc<Place>>,
    /// The one asked for last: a load asks for nothing else, and to hash two names takes longer than all the rest.
    last: Option<(Arc<ConnectTarget>, Arc<Place>)>,
}

impl Pool {
    pub(super) fn new(ranges: Arc<PrivateRanges>, clock: Arc<dyn Clock>, at_all: usize) -> Self {
        Self {
            places: Mutex::default(),
            idle: Arc::default(),
            at_all,
            sweeping: AtomicBool::new(false),
            ranges,
            clock,
        }
    }

    /// The idle connections of all places.
    pub(super) fn idle_count(&self) -> usize {
        self.idle.load(Ordering::Acquire)
    }

    /// The place of a target.
    pub(super) fn place(&self, to: &Arc<ConnectTarget>) -> Result<Arc<Place>, TransportFailure> {
        let mut places = self.places();
        if let Some((target, place)) = &places.last
            && Arc::ptr_eq(target, to)
        {
            return Ok(Arc::clone(place));
        }
        let known = places.by_target.get(to).map(Arc::clone);
        let place = match known {
            Some(place) => place,
            None => {
                let place = Arc::new(Place::new(to, &self.ranges)?);
                if places.by_target.len() >= MAX_PLACES {
                    // Requests on their way keep their place; the others reconnect once.
                    places.by_target.clear();
                }
                places.by_target.insert(Arc::clone(to), Arc::clone(&place));
                place
            }
        };
        places.last = Some((Arc::clone(to), Arc::clone(&place)));
        Ok(place)
    }

    /// The idle connection that was used last. Those that are too old or closed by now are dropped on the way:
    /// nothing was written to them, so that this is no second sending.
    pub(super) fn take(&self, place: &Place, now: Moment) -> Option<Box<Connection>> {
        loop {
            let Idle { mut connection, since, _counted } = place.idle().pop()?;
            if now.since(since) >= POOL_IDLE {
                // Those below it are older still.
                let old = std::mem::take(&mut *place.idle());
                drop(old);
                return None;
            }
            if connection.is_open() {
                return Some(connection);
            }
        }
    }

    /// Takes back a connection whose answer was read to its end; one that is closed, or too many, is dropped.
    pub(super) fn give_back(self: &Arc<Self>, place: &Place, mut connection: Box<Connection>) {
        if !connection.is_open() {
            return;
        }
        let Some(counted) = Counted::within(&self.idle, self.at_all) else { return };
        let returned = Idle { connection, since: self.clock.now(), _counted: counted };
        let surplus = {
            let mut idle = place.idle();
            // The oldest goes, which is the first.
            let surplus = (idle.len() >= IDLE_PER_PLACE).then(|| idle.remove(0));
            idle.push(returned);
            surplus
        };
        drop(surplus);
        if !self.sweeping.load(Ordering::Acquire) && !self.sweeping.swap(true, Ordering::AcqRel) {
            drop(spawn("idle connections", sweep(Arc::downgrade(self))));
        }
    }

    /// Drops what is too old or closed. True when something is left that will grow old.
    pub(super) fn sweep_once(&self) -> bool {
        let places: Vec<Arc<Place>> = self.places().by_target.values().map(Arc::clone).collect();
        let now = self.clock.now();
        for place in places {
            let old: Vec<Idle> = {
                let mut idle = place.idle();
                idle.extract_if(.., |kept| now.since(kept.since) >= POOL_IDLE || !kept.connection.is_open())
                    .collect()
            };
            // Closing takes a system call each: not while others want the lock.
            drop(old);
        }
        self.idle_count() > 0
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks after the idle connections as long as there are any, and as long as there is a transport.
async fn sweep(pool: std::sync::Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(pool) = pool.upgrade() else { return };
        if pool.sweep_once() {
            continue;
        }
        pool.sweeping.store(false, Ordering::Release);
        // One that came back in between found a sweep under way and began none.
        if pool.idle_count() == 0 || pool.sweeping.swap(true, Ordering::AcqRel) {
            return;
        }
    }
}
