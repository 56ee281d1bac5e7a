//! Finished seconds on their way to whoever writes them down while the run goes on.
//!
//! The load's thread must not wait for a disk, and a slow disk must neither fill memory nor leave a hole in the log:
//! when too many seconds wait, the newest one waiting takes in the next and simply becomes longer.

use crate::recording::load::Distribution;
use crate::recording::load::distribution::Cells;
use crate::recording::locked;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The intervals that wait at most. Each weighs what it measured: 40 KB or less for most, and never 400 KB.
const WAITING: usize = 16;

/// A part of a run that is over, mostly one second.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadInterval {
    /// When it began, from the beginning of the run.
    pub at: Duration,
    /// How long it is.
    pub lasts: Duration,
    /// From due to the last byte, of the attempts that ended in it.
    pub response: Distribution,
    /// From sent to the last byte, of the same.
    pub service: Distribution,
}

/// The intervals of a run as they finish: an iterator that blocks for the next one and ends with the run. Read it on a
/// thread that may block.
pub struct LoadIntervals(Arc<Queue>);

/// An interval as it waits. The reader makes distributions of it, which would cost the load's thread half a millisecond.
pub(super) struct Finished {
    pub(super) at: Duration,
    pub(super) lasts: Duration,
    pub(super) response: Cells,
    pub(super) service: Cells,
}

/// The other end.
pub(super) struct IntervalFeed(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    intervals: VecDeque<Finished>,
    run_is_over: bool,
    reader_is_gone: bool,
}

/// Both ends of a new queue.
pub(super) fn queue() -> (IntervalFeed, LoadIntervals) {
    let queue = Arc::<Queue>::default();
    (IntervalFeed(Arc::clone(&queue)), LoadIntervals(queue))
}

impl IntervalFeed {
    /// Hands on an interval, without waiting.
    pub(super) fn push(&self, interval: Finished) {
        let mut waiting = locked(&self.0.state);
        if waiting.reader_is_gone {
            return;
        }
        if waiting.intervals.len() >= WAITING
            && let Some(newest) = waiting.intervals.back_mut()
        {
            newest.lasts = (interval.at + interval.lasts).saturating_sub(newest.at);
            newest.response.merge(&interval.response);
            newest.service.merge(&interval.service);
        } else {
            waiting.intervals.push_back(interval);
        }
        drop(waiting);
        self.0.changed.notify_one();
    }
}

impl Drop for IntervalFeed {
    fn drop(&mut self) {
        locked(&self.0.state).run_is_over = true;
        self.0.changed.notify_all();
    }
}

impl Iterator for LoadIntervals {
    type Item = LoadInterval;

    fn next(&mut self) -> Option<LoadInterval> {
        let mut waiting = locked(&self.0.state);
        loop {
            if let Some(Finished { at, lasts, response, service }) = waiting.intervals.pop_front() {
                drop(waiting);
                let (response, service) = (response.distribution(), service.distribution());
                return Some(LoadInterval { at, lasts, response, service });
            }
            if waiting.run_is_over {
                return None;
            }
            waiting = self.0.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for LoadIntervals {
    fn drop(&mut self) {
        let mut waiting = locked(&self.0.state);
        waiting.reader_is_gone = true;
        waiting.intervals.clear();
    }
}

impl fmt::Debug for LoadIntervals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadIntervals").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::load::distribution::Times;

    fn interval(at: u64) -> Finished {
        let mut times = Times::default();
        times.record(Duration::from_millis(at));
        let (response, service) = (times.cells(), times.cells());
        Finished { at: Duration::from_secs(at), lasts: Duration::from_secs(1), response, service }
    }

    #[test]
    fn a_slow_reader_gets_longer_intervals_and_loses_nothing() {
        let (feed, intervals) = queue();
        (0..100).for_each(|at| feed.push(interval(at)));
        drop(feed);
        let read: Vec<_> = intervals.collect();
        assert_eq!(read.len(), WAITING);
        assert_eq!(read.iter().map(|interval| interval.response.count()).sum::<u64>(), 100);
        assert_eq!(read.iter().map(|interval| interval.lasts).sum::<Duration>(), Duration::from_secs(100));
        assert!(read.windows(2).all(|pair| pair[0].at + pair[0].lasts == pair[1].at));
    }

    #[test]
    fn a_reader_waits_for_the_next_and_ends_with_the_run() {
        let (feed, intervals) = queue();
        let reader = std::thread::spawn(move || intervals.map(|interval| interval.at.as_secs()).collect());
        (0..5).for_each(|at| feed.push(interval(at)));
        drop(feed);
        let read: Vec<u64> = reader.join().unwrap();
        assert_eq!(read, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn nothing_is_kept_for_a_reader_that_went_away() {
        let (feed, intervals) = queue();
        feed.push(interval(0));
        drop(intervals);
        feed.push(interval(1));
        assert!(locked(&feed.0.state).intervals.is_empty());
    }
}
