//! *When*, as a pure thing: which targets are due at a moment, and when to look again.
//!
//! It knows neither HTTP nor AWS nor a clock. The due time of the n-th arrival is computed from n, never by
//! adding up intervals, so it cannot drift; what comes too late is skipped and counted, so that an agent
//! that was held up never answers with a stampede.

pub mod pattern;
mod profile;

pub use pattern::Pattern;
pub use profile::{Arrivals, Profile, Stage};

use crate::domain::moment::Moment;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::time::Duration;

/// One arrival that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival<K> {
    /// What is due.
    pub key: K,
    /// When it was due; latency counts from here.
    pub due: Moment,
    /// Arrivals of this key directly before this one that came too late to be made.
    pub skipped: u64,
}

/// All that is scheduled, ordered by due time. One entry per key, however far ahead.
#[derive(Debug)]
pub struct Timetable<K> {
    queue: BinaryHeap<Reverse<Entry>>,
    slots: HashMap<K, u64>,
    scheduled: HashMap<u64, Scheduled<K>>,
    next_serial: u64,
}

/// A place in the queue; `serial` breaks ties in the order of insertion, so runs repeat exactly.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    due: Moment,
    serial: u64,
}

#[derive(Debug)]
struct Scheduled<K> {
    key: K,
    pattern: Pattern,
    start: Moment,
    /// True until the arrival before the first regular one has been made.
    early: bool,
    next_index: u64,
}

impl<K> Default for Timetable<K> {
    fn default() -> Self {
        Self { queue: BinaryHeap::new(), slots: HashMap::new(), scheduled: HashMap::new(), next_serial: 0 }
    }
}

impl<K: Clone + Eq + Hash> Timetable<K> {
    /// An empty timetable.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key, or gives an existing one a new pattern. Its arrivals lie at `phase` within the pattern's
    /// interval, from `now` on. If the first of them is later than `first_within`, one more goes before: at
    /// the same share of `first_within` as `phase` is of the interval. Gives back when the first is due.
    pub fn insert(
        &mut self,
        key: K,
        pattern: Pattern,
        phase: Duration,
        now: Moment,
        first_within: Duration,
    ) -> Moment {
        self.remove(&key);
        let serial = self.next_serial;
        self.next_serial += 1;
        let start = pattern.first_due(phase, now);
        let early = start.since(now) > first_within;
        let first = if early {
            now + first_within
                .mul_f64((phase.as_secs_f64() / pattern.interval().as_secs_f64()).clamp(0.0, 1.0))
        } else {
            start
        };
        self.queue.push(Reverse(Entry { due: first, serial }));
        self.slots.insert(key.clone(), serial);
        self.scheduled.insert(serial, Scheduled { key, pattern, start, early, next_index: 0 });
        first
    }

    /// Removes a key. Its place in the queue is dropped when its turn comes.
    pub fn remove(&mut self, key: &K) -> bool {
        match self.slots.remove(key) {
            Some(serial) => self.scheduled.remove(&serial).is_some(),
            None => false,
        }
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True when nothing is scheduled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// When the next arrival is due; `None` when nothing is scheduled.
    pub fn next_due(&mut self) -> Option<Moment> {
        while let Some(Reverse(entry)) = self.queue.peek() {
            if self.scheduled.contains_key(&entry.serial) {
                return Some(entry.due);
            }
            self.queue.pop();
        }
        None
    }

    /// Moves all that is due at `now` into `arrivals`, oldest first, and schedules what follows.
    pub fn take_due(&mut self, now: Moment, arrivals: &mut Vec<Arrival<K>>) {
        while self.next_due().is_some_and(|due| due <= now) {
            let Some(Reverse(Entry { due, serial })) = self.queue.pop() else { return };
            let Some(scheduled) = self.scheduled.get_mut(&serial) else { continue };
            if std::mem::take(&mut scheduled.early) {
                arrivals.push(Arrival { key: scheduled.key.clone(), due, skipped: 0 });
                self.queue.push(Reverse(Entry { due: scheduled.start, serial }));
                continue;
            }
            let skipped = scheduled.pattern.too_late(now.since(due));
            let index = scheduled.next_index + skipped;
            let made = scheduled.start + scheduled.pattern.offset(index);
            scheduled.next_index = index + 1;
            let following = scheduled.start + scheduled.pattern.offset(index + 1);
            arrivals.push(Arrival { key: scheduled.key.clone(), due: made, skipped });
            self.queue.push(Reverse(Entry { due: following, serial }));
        }
    }
}

#[cfg(test)]
mod tests;
