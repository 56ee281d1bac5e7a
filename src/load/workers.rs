//! The tasks that make the attempts of a run: each makes one at a time, and one after another.
//!
//! A task for each attempt would be made and thrown away 10,000 times a second, with its kilobytes of state. So a
//! worker that is done waits for the next attempt, the last one first, and only where all are at work there is one
//! more. There are never more than may be in flight.

use super::attempts::Running;
use futures_util::task::AtomicWaker;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// The workers of one run.
#[derive(Default)]
pub(super) struct Workers {
    all: Mutex<Vec<Arc<Desk>>>,
    idle: Mutex<Vec<Arc<Desk>>>,
    /// No more attempts are to come.
    closing: AtomicBool,
    /// Nothing is to go on.
    cut: AtomicBool,
}

impl Workers {
    /// Hands an attempt to a worker that waits. Where none does, the attempt lies on the desk that this gives, whose
    /// worker is to be started.
    pub(super) fn hand_over(&self, attempt: Running) -> Option<Worker> {
        let waiting = locked(&self.idle).pop();
        if let Some(desk) = waiting {
            desk.put(attempt);
            return None;
        }
        let desk = Arc::new(Desk { on_it: Mutex::new(OnIt::Next(attempt)), waker: AtomicWaker::new() });
        locked(&self.all).push(Arc::clone(&desk));
        Some(Worker(desk))
    }

    /// Sends home whoever waits, and the others when they are done. No attempt may follow.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        // The others are left alone: to wake one takes its waker, which a cut must still find.
        let waiting = std::mem::take(&mut *locked(&self.idle));
        waiting.iter().for_each(|desk| desk.waker.wake());
    }

    /// Ends all attempts where they stand.
    pub(super) fn cut_off(&self) {
        self.cut.store(true, Ordering::SeqCst);
        locked(&self.all).iter().for_each(|desk| desk.waker.wake());
    }

    pub(super) fn are_cut_off(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }
}

/// Where the next attempt of one worker is put.
struct Desk {
    on_it: Mutex<OnIt>,
    waker: AtomicWaker,
}

enum OnIt {
    Nothing,
    Next(Running),
    /// Its worker is no more.
    Closed,
}

impl Desk {
    /// An attempt that nobody takes is dropped, which accounts for it.
    fn put(&self, attempt: Running) {
        let mut on_it = locked(&self.on_it);
        if matches!(*on_it, OnIt::Closed) {
            drop(on_it);
            return;
        }
        *on_it = OnIt::Next(attempt);
        drop(on_it);
        self.waker.wake();
    }

    fn take(&self) -> Option<Running> {
        match std::mem::replace(&mut *locked(&self.on_it), OnIt::Nothing) {
            OnIt::Next(attempt) => Some(attempt),
            OnIt::Nothing | OnIt::Closed => None,
        }
    }
}

/// A worker's side of its desk. Goes with the worker's task, and takes along what lies there.
pub(super) struct Worker(Arc<Desk>);

impl Worker {
    /// The next attempt; `None` when none is to come. Also registers for [`Workers::cut_off`], of which whoever makes
    /// the attempt in the same task hears by being polled.
    pub(super) async fn next(&self, workers: &Workers) -> Option<Running> {
        poll_fn(|context| self.poll_next(workers, context)).await
    }

    fn poll_next(&self, workers: &Workers, context: &mut Context<'_>) -> Poll<Option<Running>> {
        // Before anything is looked at, so that nothing that comes meanwhile is missed.
        self.0.waker.register(context.waker());
        match self.0.take() {
            Some(attempt) => Poll::Ready(Some(attempt)),
            None if workers.closing.load(Ordering::SeqCst) || workers.cut.load(Ordering::SeqCst) => {
                Poll::Ready(None)
            }
            None => Poll::Pending,
        }
    }

    /// Done: the next attempt may be put here.
    pub(super) fn waits(&self, workers: &Workers) {
        locked(&workers.idle).push(Arc::clone(&self.0));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let left = std::mem::replace(&mut *locked(&self.0.on_it), OnIt::Closed);
        // Outside of the lock: it accounts for itself.
        drop(left);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
