//! The attempts of a run: from an arrival to its record, whatever becomes of it.
//!
//! This is the hot path. An arrival is handed to a worker that waits for one; everything else was resolved when the
//! run began.

use crate::attempt::{Attempter, PreparedTarget};
use crate::domain::moment::Moment;
use crate::domain::observation::{MissCause, Observation};
use crate::load::in_flight::InFlight;
use crate::load::workers::{Worker, Workers};
use crate::load::{Hands, Settings};
use crate::recording::LoadRecorder;
use crate::schedule::Arrival;
use crate::seams;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the attempts of one run share.
pub(super) struct Attempts {
    prepared: Arc<PreparedTarget>,
    attempter: Arc<Attempter>,
    recorder: Arc<LoadRecorder>,
    in_flight: InFlight,
    workers: Workers,
    tasks: TaskTracker,
    /// The runtime of the attempts: the driver may be a thread of its own.
    runtime: Handle,
    cut: CancellationToken,
}

impl Attempts {
    /// Must be called within the runtime that the attempts are to run in. They end when `cut` is cancelled, which it
    /// must be in the end.
    pub(super) fn begin(
        settings: &Settings,
        prepared: Arc<PreparedTarget>,
        recorder: Arc<LoadRecorder>,
        hands: &Hands,
        cut: CancellationToken,
    ) -> Arc<Self> {
        let timeout = prepared.target().timeout;
        let attempts = Arc::new(Self {
            in_flight: InFlight::new(settings.in_flight, recorder.began(), timeout),
            prepared,
            attempter: Arc::clone(&hands.attempter),
            recorder,
            workers: Workers::default(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            cut,
        });
        // One that listens for all: to listen costs an attempt as much as to be recorded.
        let all = Arc::clone(&attempts);
        drop(seams::spawn("load cut", async move {
            all.cut.cancelled().await;
            all.workers.cut_off();
        }));
        attempts
    }

    /// Makes what is due, now or never.
    pub(super) fn arrive(self: &Arc<Self>, arrivals: &mut Vec<Arrival<()>>) {
        let skipped: u64 = arrivals.iter().map(|arrival| arrival.skipped).sum();
        // Counted before the first of them can end.
        self.recorder.due(skipped + u64::try_from(arrivals.len()).unwrap_or(u64::MAX));
        if skipped > 0 {
            self.recorder.missed(MissCause::Paused, skipped);
        }
        if self.cut.is_cancelled() {
            self.workers.cut_off();
        }
        for arrival in arrivals.drain(..) {
            self.attempt(arrival.due);
        }
    }

    fn attempt(self: &Arc<Self>, due: Moment) {
        if !self.in_flight.enter(due) {
            self.recorder.missed(MissCause::Overloaded, 1);
            return;
        }
        let running = Running { all: Arc::clone(self), due, stand: Stand::Waiting };
        if let Some(worker) = self.workers.hand_over(running) {
            self.tasks.spawn_on(work(worker, Arc::clone(self)), &self.runtime);
        }
    }

    pub(super) const fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// Resolves when nothing is in flight. No arrival may follow.
    pub(super) async fn drained(&self) {
        self.workers.close();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn work(worker: Worker, all: Arc<Attempts>) {
    while let Some(running) = worker.next(&all.workers).await {
        if all.workers.are_cut_off() {
            return;
        }
        let Some(over) = attempt(running, &all).await else { return };
        // Before its place is given back, or whoever takes the place would find no worker and start one more.
        worker.waits(&all.workers);
        drop(over);
    }
}

/// `None` when it was cut off.
async fn attempt(mut running: Running, all: &Attempts) -> Option<Running> {
    running.stand = Stand::Begun;
    let seen = {
        let mut attempt = pin!(all.attempter.attempt(&all.prepared, running.due));
        poll_fn(|context| {
            if all.workers.are_cut_off() {
                return Poll::Ready(None);
            }
            let polled = attempt.as_mut().poll(context);
            // An attempt without a session ends at the first poll and is never in flight; any other has been handed
            // to the network by then. So the recorder hears `sent` of those only that were.
            if matches!(running.stand, Stand::Begun) {
                let sent = match &polled {
                    Poll::Ready(seen) => seen.sent.is_some(),
                    Poll::Pending => true,
                };
                if sent {
                    all.recorder.sent();
                    running.stand = Stand::Sent;
                }
            }
            polled.map(Some)
        })
        .await
    };
    running.end(&seen?);
    Some(running)
}

/// One attempt. Whatever happens to it, it is accounted for exactly once.
pub(super) struct Running {
    all: Arc<Attempts>,
    due: Moment,
    stand: Stand,
}

enum Stand {
    /// No thread has taken it up yet.
    Waiting,
    /// Being signed.
    Begun,
    /// Counted as sent.
    Sent,
    /// Counted to the end.
    Accounted,
}

impl Running {
    fn end(&mut self, seen: &Observation) {
        if seen.sent.is_some() {
            self.all.recorder.ended(seen);
        } else {
            self.all.recorder.unsent(seen);
        }
        self.stand = Stand::Accounted;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let recorder = &self.all.recorder;
        match self.stand {
            // The run was cut off before a thread was free for it.
            Stand::Waiting => recorder.missed(MissCause::Paused, 1),
            // A panic; whether anything was sent nobody knows, so it counts as sent and without a verdict.
            Stand::Begun => {
                recorder.sent();
                recorder.aborted();
            }
            Stand::Sent => recorder.aborted(),
            Stand::Accounted => {}
        }
        if std::thread::panicking() {
            tracing::error!(load = %recorder.name(), "an attempt panicked; it is counted as aborted");
        }
        self.all.in_flight.leave(self.due);
    }
}
