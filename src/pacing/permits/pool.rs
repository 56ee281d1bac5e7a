//! A fair pool of places whose size may change while they are taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Semaphore, SemaphorePermit};

/// So many places; who asks first is served first.
pub(super) struct Pool {
    places: Semaphore,
    size: AtomicUsize,
    /// Places that are still taken and do not come back: the pool has shrunk meanwhile.
    owed: AtomicUsize,
}

/// A place that is taken until this is dropped.
pub(super) struct Place(Arc<Pool>);

impl Pool {
    /// At least one place.
    pub(super) fn new(size: usize) -> Arc<Self> {
        let size = bounded(size);
        Arc::new(Self {
            places: Semaphore::new(size),
            size: AtomicUsize::new(size),
            owed: AtomicUsize::new(0),
        })
    }

    pub(super) fn size(&self) -> usize {
        self.size.load(Ordering::Acquire)
    }

    /// Changes the size; for one caller at a time. Who waits is served at once where there are more places now.
    pub(super) fn resize(&self, size: usize) {
        let size = bounded(size);
        let before = self.size.swap(size, Ordering::AcqRel);
        if size < before {
            self.owed.fetch_add(before - size, Ordering::AcqRel);
            self.settle();
        } else {
            // What is owed need not come back, and the rest is new.
            let forgiven = self.pay(size - before);
            self.places.add_permits(size - before - forgiven);
        }
    }

    /// Takes a place if one is free.
    pub(super) fn now(self: &Arc<Self>) -> Option<Place> {
        self.places.try_acquire().ok().map(|permit| self.taken(permit))
    }

    /// Waits for a place in the order of asking.
    pub(super) async fn in_turn(self: &Arc<Self>) -> Place {
        match self.places.acquire().await {
            Ok(permit) => self.taken(permit),
            // The semaphore is never closed; waiting on is the only answer that is not a lie.
            Err(_) => std::future::pending().await,
        }
    }

    /// True while more than half of the places are free, and more than one.
    pub(super) fn is_mostly_free(&self) -> bool {
        self.places.available_permits() > (self.size() / 2).max(1)
    }

    fn taken(self: &Arc<Self>, permit: SemaphorePermit<'_>) -> Place {
        permit.forget();
        Place(Arc::clone(self))
    }

    /// Takes free places away for what is owed.
    fn settle(&self) {
        let owed = self.pay(usize::MAX);
        let forgotten = self.places.forget_permits(owed);
        self.owed.fetch_add(owed - forgotten, Ordering::AcqRel);
    }

    /// Takes up to `most` off what is owed; how many it was.
    fn pay(&self, most: usize) -> usize {
        let paid = self.owed.fetch_update(Ordering::AcqRel, Ordering::Acquire, |owed| {
            (owed > 0).then(|| owed.saturating_sub(most))
        });
        paid.map_or(0, |owed| owed.min(most))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.pay(1) == 0 {
            self.0.places.add_permits(1);
            // The pool may have shrunk between the two.
            if self.0.owed.load(Ordering::Acquire) > 0 {
                self.0.settle();
            }
        }
    }
}

fn bounded(size: usize) -> usize {
    size.clamp(1, Semaphore::MAX_PERMITS / 2)
}
