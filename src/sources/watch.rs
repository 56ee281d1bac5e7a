//! When to look at the configuration again, and when what is seen counts as a change. Pure: time is an argument.
//!
//! Content decides, not times or sizes of files: a file may be replaced, a link may point elsewhere (as Kubernetes
//! does it with a ConfigMap), a copy may be made with old times. And since nobody says when a file is whole, or the
//! third of three, a change counts when two looks shortly after each other have seen the same.

use super::texts::Digest;
use crate::domain::moment::Moment;
use std::time::Duration;

/// The time between two looks that must see the same.
const SETTLING: Duration = Duration::from_secs(1);
/// So many looks in a row that see something else each time: then the next one comes with the next interval.
const MAX_LOOKS: u32 = 10;

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// What is known already.
    Same,
    /// Something else, which may still be being written: look again.
    Unsettled,
    /// Something else, seen twice.
    Changed,
}

/// The watch over one configuration.
#[derive(Debug, Clone)]
pub struct Watch {
    every: Duration,
    next: Moment,
    candidate: Option<Digest>,
    looks: u32,
}

impl Watch {
    /// A watch that looks first after one interval.
    #[must_use]
    pub fn new(every: Duration, now: Moment) -> Self {
        Self { every, next: now + every, candidate: None, looks: 0 }
    }

    /// When to look next.
    #[must_use]
    pub const fn next_look(&self) -> Moment {
        self.next
    }

    /// Takes what a look has seen, beside what was tried last.
    pub fn saw(&mut self, seen: Digest, known: Digest, now: Moment) -> Seen {
        if seen == known {
            self.wait(now);
            return Seen::Same;
        }
        if self.candidate == Some(seen) {
            self.wait(now);
            return Seen::Changed;
        }
        self.looks += 1;
        if self.looks >= MAX_LOOKS {
            self.wait(now);
            return Seen::Unsettled;
        }
        self.candidate = Some(seen);
        self.next = now + SETTLING;
        Seen::Unsettled
    }

    /// Begins an interval anew: after a look that failed, or when the configuration was read for another reason.
    pub fn wait(&mut self, now: Moment) {
        self.candidate = None;
        self.looks = 0;
        self.next = now + self.every;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn a_change_counts_when_it_is_seen_twice() {
        let [old, half, whole] = ["old", "half", "whole"].map(Digest::of);
        let mut watch = Watch::new(Duration::from_secs(30), at(0));
        assert_eq!(watch.next_look(), at(30));
        assert_eq!(watch.saw(old, old, at(30)), Seen::Same);
        assert_eq!(watch.saw(half, old, at(60)), Seen::Unsettled);
        assert_eq!(watch.next_look(), at(61));
        assert_eq!(watch.saw(whole, old, at(61)), Seen::Unsettled);
        assert_eq!(watch.saw(whole, old, at(62)), Seen::Changed);
        assert_eq!(watch.next_look(), at(92));
        // Tried, whatever came of it: it is no change any more.
        assert_eq!(watch.saw(whole, whole, at(92)), Seen::Same);
    }

    #[test]
    fn what_is_undone_is_no_change() {
        let [old, new] = ["old", "new"].map(Digest::of);
        let mut watch = Watch::new(Duration::from_secs(30), at(0));
        assert_eq!(watch.saw(new, old, at(30)), Seen::Unsettled);
        assert_eq!(watch.saw(old, old, at(31)), Seen::Same);
        assert_eq!(watch.saw(new, old, at(61)), Seen::Unsettled, "both looks are of one change");
    }

    #[test]
    fn what_never_settles_is_not_looked_at_all_the_time() {
        let mut watch = Watch::new(Duration::from_secs(30), at(0));
        let old = Digest::of("old");
        let looks = (0..100).take_while(|look| {
            let now = watch.next_look();
            let _unsettled = watch.saw(Digest::of(&look.to_string()), old, now);
            watch.next_look() < now + Duration::from_secs(30)
        });
        assert_eq!(looks.count(), 9);
    }

    #[test]
    fn a_failed_look_begins_the_interval_anew() {
        let [old, new] = ["old", "new"].map(Digest::of);
        let mut watch = Watch::new(Duration::from_secs(30), at(0));
        assert_eq!(watch.saw(new, old, at(30)), Seen::Unsettled);
        watch.wait(at(31));
        assert_eq!(watch.next_look(), at(61));
        assert_eq!(watch.saw(new, old, at(61)), Seen::Unsettled);
    }
}
