//! What a running load writes to, and what its guards and its terminal read.
//!
//! An attempt takes two short locks, one after the other: that of its run, and that of the load's books, which a
//! scrape reads. Nobody else holds either for longer than a copy, so a load on a thread of its own finds them free.
//! Whatever takes longer (sums, percentiles, timeline) is under a third lock that no attempt takes.

use crate::domain::load::Guard;
use crate::domain::moment::Moment;
use crate::domain::name::Name;
use crate::domain::observation::{MissCause, Observation};
use crate::domain::outcome::Outcome;
use crate::recording::load::books::{LoadBooks, LoadEnd, LoadRun};
use crate::recording::load::intervals::{LoadIntervals, queue};
use crate::recording::load::past::{Past, SecondTimes};
use crate::recording::load::results::Results;
use crate::recording::load::window::{LONGEST_WINDOW, LoadWindow};
use crate::recording::load::{LoadRecord, LoadSecond};
use crate::recording::locked;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// The recorder of one run. The calls of an attempt come in this order: `due`, then either `missed`, or `sent` and
/// one of `ended` and `aborted`, or `unsent` alone.
///
/// A recorder that is dropped without [`over`](Self::over) counts its run as abandoned.
pub struct LoadRecorder {
    books: Arc<LoadBooks>,
    began: Moment,
    live: Mutex<Live>,
    /// Taken before `live` where both are.
    past: Mutex<Past>,
}

#[derive(Default)]
struct Live {
    /// The counts; its times and its timeline lie in `past`, its results beside it.
    record: LoadRecord,
    results: Results,
    second: LoadSecond,
    times: SecondTimes,
    in_flight: u64,
}

impl LoadRecorder {
    pub(in crate::recording) fn new(books: &Arc<LoadBooks>, began: Moment) -> Self {
        books.begun();
        Self { books: Arc::clone(books), began, live: Mutex::default(), past: Mutex::default() }
    }

    /// The label `load`.
    #[must_use]
    pub fn name(&self) -> &Name {
        self.books.name()
    }

    /// When the run began.
    #[must_use]
    pub const fn began(&self) -> Moment {
        self.began
    }

    /// When the run began by wall clock, for status.
    pub fn began_at(&self, at: SystemTime) {
        locked(&self.past).began_at = Some(at);
        self.books.begun_at(at);
    }

    /// The rate that is asked for now, in arrivals a second, where it changes within a second.
    pub fn rate_asked(&self, rate: f64) {
        let past = locked(&self.past);
        if !past.over {
            self.books.rate_asked(rate);
        }
    }

    /// The seconds of the run as they finish, from the one that runs: for whoever writes them down. A second call
    /// takes the first one's place.
    #[must_use]
    pub fn intervals(&self) -> LoadIntervals {
        let (feed, intervals) = queue();
        let mut past = locked(&self.past);
        // A run that is over has no more of them: the feed falls at once, and with it the reader's wait.
        past.feed = (!past.over).then_some(feed);
        intervals
    }

    /// `count` arrivals became due.
    pub fn due(&self, count: u64) {
        let mut live = locked(&self.live);
        live.record.due += count;
        live.second.due += count;
    }

    /// `count` arrivals that were counted as due were not made.
    pub fn missed(&self, cause: MissCause, count: u64) {
        let mut live = locked(&self.live);
        match cause {
            MissCause::Paused => live.record.missed_paused += count,
            MissCause::Overrun | MissCause::Overloaded => live.record.missed_overloaded += count,
        }
        live.second.missed += count;
        drop(live);
        self.books.missed(count);
    }

    /// An attempt is handed to the network.
    pub fn sent(&self) {
        let mut live = locked(&self.live);
        live.record.sent += 1;
        live.second.sent += 1;
        live.in_flight += 1;
    }

    /// An attempt that was `sent` ended.
    pub fn ended(&self, seen: &Observation) {
        let mut live = locked(&self.live);
        live.in_flight = live.in_flight.saturating_sub(1);
        live.record.ended += 1;
        live.times.response.record(seen.response_time());
        if let Some(sent) = seen.sent {
            live.times.service.record(seen.done.since(sent));
            live.times.lateness.record(sent.since(seen.due));
        }
        live.result(seen);
        drop(live);
        self.books.ended(seen);
    }

    /// An attempt could not be sent for want of a session.
    pub fn unsent(&self, seen: &Observation) {
        let mut live = locked(&self.live);
        live.record.unsent += 1;
        live.result(seen);
        drop(live);
        self.books.ended(seen);
    }

    /// An attempt that was `sent` is given up without a verdict. It is in no metric.
    pub fn aborted(&self) {
        let mut live = locked(&self.live);
        live.in_flight = live.in_flight.saturating_sub(1);
        live.record.aborted += 1;
    }

    /// Ends the second that runs, in which `rate_asked` was the mean rate. Called about once a second, and at the
    /// end of the run. Takes some hundred microseconds, in which attempts are not held up.
    pub fn second_over(&self, now: Moment, rate_asked: f64) {
        let mut past = locked(&self.past);
        let spare = std::mem::take(&mut past.spare);
        let mut live = locked(&self.live);
        let mut second = std::mem::take(&mut live.second);
        second.in_flight = live.in_flight;
        let times = std::mem::replace(&mut live.times, spare);
        drop(live);
        second.rate_asked = rate_asked;
        past.close(second, times, now.since(self.began));
        if !past.over {
            self.books.rate_asked(rate_asked);
        }
    }

    /// The run was stopped by a guard. The first one counts.
    pub fn stopped(&self, guard: Guard) {
        let mut past = locked(&self.past);
        if past.stopped.is_none() {
            past.stopped = Some(guard);
            self.books.stopped(guard);
        }
    }

    /// The guard that stopped the run, if one did.
    #[must_use]
    pub fn stopped_by(&self) -> Option<Guard> {
        locked(&self.past).stopped
    }

    /// The run is over: its series of state fall, and whoever reads its intervals comes to their end.
    pub fn over(&self) {
        let stopped = locked(&self.past).stopped;
        self.end(stopped.map_or(LoadEnd::Completed, LoadEnd::Stopped));
    }

    /// Sums over the whole seconds of the last `span`, at most [`LONGEST_WINDOW`].
    #[must_use]
    pub fn window(&self, span: Duration) -> LoadWindow {
        let seconds = usize::try_from(span.min(LONGEST_WINDOW).as_secs()).unwrap_or(usize::MAX);
        locked(&self.past).window(seconds)
    }

    /// Attempts in flight.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        locked(&self.live).in_flight
    }

    /// All that was counted so far, the second that runs included; it is not in the timeline yet.
    #[must_use]
    pub fn record(&self) -> LoadRecord {
        let past = locked(&self.past);
        let live = locked(&self.live);
        let mut record = live.record.clone();
        record.results = live.results.all().to_vec();
        let running = live.times.clone();
        drop(live);
        record.response = past.response.clone();
        record.service = past.service.clone();
        record.lateness = past.lateness.clone();
        record.timeline.clone_from(&past.timeline);
        drop(past);
        record.response.add_cells(&running.response.cells());
        record.service.add_cells(&running.service.cells());
        record.lateness.add_cells(&running.lateness.cells());
        record
    }

    fn end(&self, end: LoadEnd) {
        let mut past = locked(&self.past);
        if past.over {
            return;
        }
        past.over = true;
        past.feed = None;
        let ended_at = past.began_at.and_then(|began| began.checked_add(past.until));
        drop(past);
        let record = self.record();
        self.books.over(LoadRun {
            ended_at,
            end,
            due: record.due,
            sent: record.sent,
            missed: record.missed(),
            unsent: record.unsent,
            aborted: record.aborted,
            unexpected: record.results.iter().map(|result| result.count - result.expected).sum(),
            response: record.response.percentiles(),
        });
    }
}

impl Drop for LoadRecorder {
    fn drop(&mut self) {
        self.end(LoadEnd::Abandoned);
    }
}

impl fmt::Debug for LoadRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadRecorder")
            .field("name", self.name())
            .field("began", &self.began)
            .finish_non_exhaustive()
    }
}

impl Live {
    fn result(&mut self, seen: &Observation) {
        let expected = seen.verdict.expected;
        self.second.ended += 1;
        self.second.unexpected += u64::from(!expected);
        self.second.throttled += u64::from(seen.verdict.outcome() == Outcome::Throttled);
        self.results.count(seen.code, seen.verdict.reason, expected);
    }
}

#[cfg(test)]
mod tests;
