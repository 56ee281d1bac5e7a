//! *When*, as a pure thing: which targets are due at a moment, and when to look again.
//!
//! It knows neither HTTP nor AWS nor a clock. The due time of the n-th arrival is computed from n, never by
//! adding up intervals, so it cannot drift; what comes too late is skipped and counted, so that an agent
//! that was held up never answers with a stampede.

mod course;
pub mod pattern;
mod profile;

pub use pattern::Pattern;
pub use profile::{Arrivals, Profile, Stage};

use crate::domain::moment::Moment;
use course::Course;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::time::Duration;

/// Places of keys that are gone, beyond as many as there are keys, before the queue is cleared of them.
const STALE_PLACES: usize = 64;

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
    start: Moment,
    source: Source,
}

/// What a key's arrivals come from.
#[derive(Debug)]
enum Source {
    /// For as long as the key is there.
    Endless {
        pattern: Pattern,
        /// True until the arrival before the first regular one has been made.
        early: bool,
        next_index: u64,
    },
    /// Until its last arrival. Boxed: of these there are few, of the others thousands.
    Run(Box<Course>),
}

impl Source {
    /// What is made of the arrival that was due at `due`, and when the following one is due: `None` after
    /// the last of a run.
    fn take(&mut self, start: Moment, due: Moment, now: Moment) -> (Moment, u64, Option<Moment>) {
        match self {
            Self::Endless { pattern, early, next_index } => {
                if std::mem::take(early) {
                    return (due, 0, Some(start));
                }
                let skipped = pattern.too_late(now.since(due));
                let index = *next_index + skipped;
                *next_index = index + 1;
                (start + pattern.offset(index), skipped, Some(start + pattern.offset(index + 1)))
            }
            Self::Run(course) => {
                let skipped = course.pass_late(now.since(start));
                let made = course.due().map_or(due, |offset| start + offset);
                course.advance();
                (made, skipped, course.due().map(|offset| start + offset))
            }
        }
    }
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
        let start = pattern.first_due(phase, now);
        let early = start.since(now) > first_within;
        let first = if early {
            now + first_within
                .mul_f64((phase.as_secs_f64() / pattern.interval().as_secs_f64()).clamp(0.0, 1.0))
        } else {
            start
        };
        self.schedule(key, first, start, Source::Endless { pattern, early, next_index: 0 });
        first
    }

    /// Adds the arrivals of a staged run that begins at `start`, in place of what the key had. Gives back when
    /// the first is due; `None`, and nothing is scheduled, when the profile has none. After its last arrival
    /// the key leaves by itself.
    pub fn begin(&mut self, key: K, profile: &Profile, start: Moment) -> Option<Moment> {
        let course = Course::new(profile);
        let Some(offset) = course.due() else {
            self.remove(&key);
            return None;
        };
        let first = start + offset;
        self.schedule(key, first, start, Source::Run(Box::new(course)));
        Some(first)
    }

    fn schedule(&mut self, key: K, first: Moment, start: Moment, source: Source) {
        self.remove(&key);
        let serial = self.next_serial;
        self.next_serial += 1;
        self.queue.push(Reverse(Entry { due: first, serial }));
        self.slots.insert(key.clone(), serial);
        self.scheduled.insert(serial, Scheduled { key, start, source });
        // Places of keys that went or moved are dropped when their turn comes, which may be a day away.
        if self.queue.len() > 2 * self.scheduled.len() + STALE_PLACES {
            self.queue.retain(|Reverse(entry)| self.scheduled.contains_key(&entry.serial));
        }
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
            let (made, skipped, following) = scheduled.source.take(scheduled.start, due, now);
            arrivals.push(Arrival { key: scheduled.key.clone(), due: made, skipped });
            if let Some(following) = following {
                self.queue.push(Reverse(Entry { due: following, serial }));
            } else if let Some(ended) = self.scheduled.remove(&serial) {
                self.slots.remove(&ended.key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
