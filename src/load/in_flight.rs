//! What is in flight: how much, and since when, without a lock and without a list.

use crate::domain::moment::Moment;
use crate::load::guards::Overdue;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

/// Ages are told apart by this much.
const STEP: Duration = Duration::from_millis(100);
/// How much longer than its timeout an attempt may be in flight: lateness before sending, and the end of a slow
/// scheduler. One beyond that would be taken for a younger one.
const SLACK: Duration = Duration::from_secs(20);

/// Attempts in flight, counted by the step of time in which they were due. The ring is as long as an attempt may
/// live, so every step has its own place.
pub(super) struct InFlight {
    most: usize,
    total: AtomicUsize,
    began: Moment,
    by_due: Box<[AtomicU32]>,
}

impl InFlight {
    pub(super) fn new(most: usize, began: Moment, timeout: Duration) -> Self {
        let steps = (timeout + SLACK).as_millis() / STEP.as_millis() + 1;
        let steps = usize::try_from(steps).unwrap_or(usize::MAX).min(100_000);
        let by_due = (0..steps).map(|_| AtomicU32::new(0)).collect();
        Self { most, total: AtomicUsize::new(0), began, by_due }
    }

    /// Counts one more, unless there are as many as may be.
    pub(super) fn enter(&self, due: Moment) -> bool {
        if self.total.fetch_add(1, Ordering::AcqRel) >= self.most {
            self.total.fetch_sub(1, Ordering::AcqRel);
            return false;
        }
        self.place(due).fetch_add(1, Ordering::Relaxed);
        true
    }

    /// One that entered is over.
    pub(super) fn leave(&self, due: Moment) {
        self.place(due).fetch_sub(1, Ordering::Relaxed);
        self.total.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn count(&self) -> usize {
        self.total.load(Ordering::Acquire)
    }

    /// Those that were due more than `limit` ago.
    pub(super) fn older_than(&self, limit: Duration, now: Moment) -> Overdue {
        let mut overdue = Overdue::default();
        if self.count() == 0 {
            return overdue;
        }
        let newest = self.step(now);
        let oldest = (newest + 1).saturating_sub(self.by_due.len());
        for step in oldest..=newest {
            // A step counts by its youngest, so that nothing is called older than it is.
            let end = self.began + STEP * u32::try_from(step + 1).unwrap_or(u32::MAX);
            let age = now.since(end);
            if age <= limit {
                break;
            }
            let count = self.by_due[step % self.by_due.len()].load(Ordering::Relaxed);
            if count > 0 {
                overdue.by_age.push((age, u64::from(count)));
            }
        }
        overdue
    }

    fn step(&self, at: Moment) -> usize {
        usize::try_from(at.since(self.began).as_millis() / STEP.as_millis()).unwrap_or(usize::MAX - 1)
    }

    fn place(&self, due: Moment) -> &AtomicU32 {
        &self.by_due[self.step(due) % self.by_due.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_origin(Duration::from_millis(7_000 + ms))
    }

    #[test]
    fn there_are_never_more_than_may_be() {
        let in_flight = InFlight::new(2, at(0), Duration::from_secs(1));
        assert_eq!([0, 1, 2].map(|ms| in_flight.enter(at(ms))), [true, true, false]);
        in_flight.leave(at(0));
        assert_eq!(in_flight.count(), 1);
        assert!(in_flight.enter(at(3)));
    }

    #[test]
    fn the_old_are_told_from_the_young_also_after_a_turn_of_the_ring() {
        let timeout = Duration::from_secs(5);
        let in_flight = InFlight::new(100, at(0), timeout);
        let limit = Duration::from_secs(2);
        for start in [0, 24_950, 3_600_000] {
            let enter = |ms| assert!(in_flight.enter(at(start + ms)));
            let old = |ms| {
                let by_age = in_flight.older_than(limit, at(start + ms)).by_age;
                assert!(by_age.iter().all(|(age, _)| *age > limit && *age <= Duration::from_millis(ms)));
                assert!(by_age.is_sorted_by(|a, b| a.0 >= b.0));
                by_age.iter().map(|(_, count)| count).sum::<u64>()
            };
            [0, 10, 1_000].into_iter().for_each(enter);
            assert_eq!([1_500, 2_000, 2_300].map(old), [0, 0, 2], "{start}");
            enter(3_000);
            assert_eq!([3_300, 5_300].map(old), [3, 4], "{start}");
            for ms in [0, 10, 1_000, 3_000] {
                in_flight.leave(at(start + ms));
            }
            assert_eq!(in_flight.older_than(Duration::ZERO, at(start + 9_000)), Overdue::default());
        }
    }
}
