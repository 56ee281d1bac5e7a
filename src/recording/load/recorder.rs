//! What a running load writes to, and what its guards and its terminal read.

use crate::domain::load::Guard;
use crate::domain::moment::Moment;
use crate::domain::name::Name;
use crate::domain::observation::{MissCause, Observation};
use crate::domain::outcome::Outcome;
use crate::recording::load::{LoadRecord, LoadResult, LoadSecond};
use crate::recording::locked;
use std::sync::Mutex;
use std::time::Duration;

/// The seconds that a window may reach back at most.
pub const LONGEST_WINDOW: Duration = Duration::from_secs(60);

/// The recorder of one run. The calls of an attempt come in this order: `due`, then either `missed`, or `sent` and
/// one of `ended` and `aborted`, or `unsent` alone.
#[derive(Debug)]
pub struct LoadRecorder {
    name: Name,
    began: Moment,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    record: LoadRecord,
    second: LoadSecond,
    in_flight: u64,
}

/// Sums over the last whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LoadWindow {
    /// Arrivals that became due.
    pub due: u64,
    /// Arrivals that were not made.
    pub missed: u64,
    /// Attempts that ended, unsent ones included.
    pub ended: u64,
    /// Ended attempts that were not as expected.
    pub unexpected: u64,
    /// Ended attempts that were throttled.
    pub throttled: u64,
    /// The 99th percentile of the response time; zero where nothing ended.
    pub p99: Duration,
}

impl LoadRecorder {
    pub(in crate::recording) fn new(name: &Name, began: Moment) -> Self {
        Self { name: name.clone(), began, state: Mutex::default() }
    }

    /// The label `load`.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// When the run began.
    #[must_use]
    pub const fn began(&self) -> Moment {
        self.began
    }

    /// `count` arrivals became due.
    pub fn due(&self, count: u64) {
        let mut state = locked(&self.state);
        state.record.due += count;
        state.second.due += count;
    }

    /// `count` arrivals that were counted as due were not made.
    pub fn missed(&self, cause: MissCause, count: u64) {
        let mut state = locked(&self.state);
        match cause {
            MissCause::Paused => state.record.missed_paused += count,
            MissCause::Overrun | MissCause::Overloaded => state.record.missed_overloaded += count,
        }
        state.second.missed += count;
    }

    /// An attempt is handed to the network.
    pub fn sent(&self) {
        let mut state = locked(&self.state);
        state.record.sent += 1;
        state.second.sent += 1;
        state.in_flight += 1;
    }

    /// An attempt that was `sent` ended.
    pub fn ended(&self, seen: &Observation) {
        let mut state = locked(&self.state);
        state.in_flight = state.in_flight.saturating_sub(1);
        state.record.ended += 1;
        state.record.response.record(seen.response_time());
        state.second.response.record(seen.response_time());
        if let Some(sent) = seen.sent {
            state.record.service.record(seen.done.since(sent));
            state.record.lateness.record(sent.since(seen.due));
        }
        state.result(seen);
    }

    /// An attempt could not be sent for want of a session.
    pub fn unsent(&self, seen: &Observation) {
        let mut state = locked(&self.state);
        state.record.unsent += 1;
        state.result(seen);
    }

    /// An attempt that was `sent` is given up without a verdict.
    pub fn aborted(&self) {
        let mut state = locked(&self.state);
        state.in_flight = state.in_flight.saturating_sub(1);
        state.record.aborted += 1;
    }

    /// Ends the second that runs, in which `rate_asked` was the mean rate. Called about once a second, and at the
    /// end of the run.
    pub fn second_over(&self, now: Moment, rate_asked: f64) {
        let mut state = locked(&self.state);
        let at = state.record.timeline.last().map_or(Duration::ZERO, |last| last.at + last.lasts);
        let mut second = std::mem::take(&mut state.second);
        second.at = at;
        second.lasts = now.since(self.began).saturating_sub(at);
        second.rate_asked = rate_asked;
        second.in_flight = state.in_flight;
        state.record.timeline.push(second);
    }

    /// The run was stopped by a guard.
    pub fn stopped(&self, _guard: Guard) {}

    /// The run is over: its series of state fall.
    pub fn over(&self) {}

    /// Sums over the whole seconds of the last `span`, at most [`LONGEST_WINDOW`].
    #[must_use]
    pub fn window(&self, span: Duration) -> LoadWindow {
        let state = locked(&self.state);
        let seconds = usize::try_from(span.min(LONGEST_WINDOW).as_secs()).unwrap_or(usize::MAX);
        let mut window = LoadWindow::default();
        for second in state.record.timeline.iter().rev().take(seconds) {
            window.due += second.due;
            window.missed += second.missed;
            window.ended += second.ended;
            window.unexpected += second.unexpected;
            window.throttled += second.throttled;
            window.p99 = window.p99.max(second.response.quantile(0.99));
        }
        window
    }

    /// Attempts in flight.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        locked(&self.state).in_flight
    }

    /// All that was counted so far.
    #[must_use]
    pub fn record(&self) -> LoadRecord {
        locked(&self.state).record.clone()
    }
}

impl State {
    fn result(&mut self, seen: &Observation) {
        let expected = u64::from(seen.verdict.expected);
        self.second.ended += 1;
        self.second.unexpected += 1 - expected;
        self.second.throttled += u64::from(seen.verdict.outcome() == Outcome::Throttled);
        let (code, reason) = (seen.code, seen.verdict.reason);
        let results = &mut self.record.results;
        match results.iter_mut().find(|known| (known.code, known.reason) == (code, reason)) {
            Some(known) => {
                known.count += 1;
                known.expected += expected;
            }
            None => results.push(LoadResult { code, reason, count: 1, expected }),
        }
    }
}
