//! What of a run is over: sums, the timeline, and the last minute for its guards. Attempts never wait for it.

use crate::domain::load::Guard;
use crate::recording::load::distribution::{Cells, Times};
use crate::recording::load::intervals::{Finished, IntervalFeed};
use crate::recording::load::window::{LONGEST_WINDOW, LoadWindow};
use crate::recording::load::{Distribution, LoadSecond};
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// The entries that a timeline has at most: an hour of seconds. When it is full, every two neighbours become one, so
/// a run of two hours has entries of two seconds, one of four hours of four.
pub const TIMELINE_ENTRIES: usize = 3_600;

/// The three times of attempts that end in the second that runs.
#[derive(Clone, Default)]
pub(super) struct SecondTimes {
    pub(super) response: Times,
    pub(super) service: Times,
    pub(super) lateness: Times,
}

/// All seconds that are over.
#[derive(Default)]
pub(super) struct Past {
    pub(super) response: Distribution,
    pub(super) service: Distribution,
    pub(super) lateness: Distribution,
    pub(super) timeline: Vec<LoadSecond>,
    /// The end of the last second, from the beginning of the run.
    pub(super) until: Duration,
    /// Room for the next second.
    pub(super) spare: SecondTimes,
    pub(super) began_at: Option<SystemTime>,
    pub(super) stopped: Option<Guard>,
    pub(super) over: bool,
    pub(super) feed: Option<IntervalFeed>,
    /// The last minute, newest last.
    window: VecDeque<(LoadSecond, Cells)>,
    /// The seconds that an entry of the timeline holds, less one; and those that the last one lacks.
    more_per_entry: u32,
    lacking: u32,
}

impl Past {
    /// Takes in a second that is over; its place and length are set here.
    pub(super) fn close(&mut self, mut second: LoadSecond, mut times: SecondTimes, until: Duration) {
        second.at = self.until;
        second.lasts = until.saturating_sub(self.until);
        self.until = self.until.max(until);
        let response = times.response.cells();
        let service = times.service.cells();
        second.response = response.percentiles();
        self.response.add_cells(&response);
        self.service.add_cells(&service);
        self.lateness.add_cells(&times.lateness.cells());
        if let Some(feed) = &self.feed {
            feed.push(Finished { at: second.at, lasts: second.lasts, response: response.clone(), service });
        }
        times.response.clear();
        times.service.clear();
        times.lateness.clear();
        self.spare = times;
        self.push(second.clone());
        if self.window.len() as u64 >= LONGEST_WINDOW.as_secs() {
            self.window.pop_front();
        }
        self.window.push_back((second, response));
    }

    /// Sums over the last seconds, and the percentile of all their response times together.
    pub(super) fn window(&self, seconds: usize) -> LoadWindow {
        let mut window = LoadWindow::default();
        let mut response = Distribution::default();
        for (second, cells) in self.window.iter().rev().take(seconds) {
            window.due += second.due;
            window.missed += second.missed;
            window.ended += second.ended;
            window.unexpected += second.unexpected;
            window.throttled += second.throttled;
            response.add_cells(cells);
        }
        window.p99 = response.quantile(0.99);
        window
    }

    fn push(&mut self, second: LoadSecond) {
        match self.timeline.last_mut() {
            // Nothing can be told of a rate over no time.
            Some(last) if second.lasts.is_zero() => last.absorb(&second),
            Some(last) if self.lacking > 0 => {
                last.absorb(&second);
                self.lacking -= 1;
            }
            _ => {
                if self.timeline.len() >= TIMELINE_ENTRIES {
                    self.coarsen();
                }
                self.timeline.push(second);
                self.lacking = self.more_per_entry;
            }
        }
    }

    fn coarsen(&mut self) {
        let entries = std::mem::take(&mut self.timeline);
        for pair in entries.chunks(2) {
            if let [first, rest @ ..] = pair {
                let mut joined = first.clone();
                rest.iter().for_each(|later| joined.absorb(later));
                self.timeline.push(joined);
            }
        }
        self.more_per_entry = self.more_per_entry * 2 + 1;
    }
}

impl LoadSecond {
    /// Takes in what followed it.
    fn absorb(&mut self, later: &Self) {
        let lasts = self.lasts + later.lasts;
        if !lasts.is_zero() {
            let arrivals =
                self.rate_asked * self.lasts.as_secs_f64() + later.rate_asked * later.lasts.as_secs_f64();
            self.rate_asked = arrivals / lasts.as_secs_f64();
        }
        self.lasts = lasts;
        self.due += later.due;
        self.sent += later.sent;
        self.ended += later.ended;
        self.unexpected += later.unexpected;
        self.throttled += later.throttled;
        self.missed += later.missed;
        self.in_flight = later.in_flight;
        self.response = self.response.worse(later.response);
    }
}
