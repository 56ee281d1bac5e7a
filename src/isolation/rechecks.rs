//! Open doors are tried again soon, so that the page ends soon after the mend: a bounded queue with a pace.

use crate::domain::moment::Moment;
use crate::recording::LISTED_OPEN_PAIRS;
use std::collections::VecDeque;
use std::time::Duration;

/// How soon an open door is tried again, where the period is long.
const INTERVAL: Duration = Duration::from_secs(120);
/// The shortest interval.
const SHORTEST: Duration = Duration::from_secs(1);

/// The doors that wait to be tried again, in the order of their times.
#[derive(Debug)]
pub(super) struct Rechecks {
    interval: Duration,
    /// How far two checks are apart, however many doors are open: at 1 s, a thousand of them are tried again
    /// about every quarter of an hour.
    pace: Duration,
    queue: VecDeque<(Moment, usize)>,
    not_before: Moment,
}

impl Rechecks {
    /// None yet. A short period asks for quicker ones.
    pub(super) fn new(period: Duration, pace: Duration) -> Self {
        let interval = INTERVAL.min(period / 4).max(SHORTEST);
        Self { interval, pace, queue: VecDeque::new(), not_before: Moment::ZERO }
    }

    /// The pair was found open. One that is waiting already, or for whom there is no room, is left to its
    /// next turn.
    pub(super) fn found_open(&mut self, pair: usize, now: Moment) {
        if self.queue.len() < LISTED_OPEN_PAIRS && !self.queue.iter().any(|(_, known)| *known == pair) {
            self.queue.push_back((now + self.interval, pair));
        }
    }

    /// When the next one is to be tried.
    pub(super) fn next_due(&self) -> Option<Moment> {
        self.queue.front().map(|(at, _)| (*at).max(self.not_before))
    }

    /// The next one, if it is due.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<usize> {
        if self.next_due()? > now {
            return None;
        }
        self.not_before = now + self.pace;
        self.queue.pop_front().map(|(_, pair)| pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn doors_are_tried_again_soon_but_never_many_at_once() {
        let mut rechecks = Rechecks::new(Duration::from_secs(86_400), SECOND);
        let at = |seconds| Moment::from_origin(Duration::from_secs(seconds));
        (0..5_000).for_each(|pair| rechecks.found_open(pair, at(0)));
        (0..5_000).for_each(|pair| rechecks.found_open(pair, at(0)));
        assert_eq!((rechecks.queue.len(), rechecks.next_due()), (LISTED_OPEN_PAIRS, Some(at(120))));
        assert_eq!(rechecks.take_due(at(119)), None);
        assert_eq!((rechecks.take_due(at(120)), rechecks.take_due(at(120))), (Some(0), None));
        assert_eq!((rechecks.next_due(), rechecks.take_due(at(121))), (Some(at(121)), Some(1)));
        let quick = Rechecks::new(SECOND * 60, SECOND);
        assert_eq!(quick.interval, SECOND * 15);
        assert_eq!(Rechecks::new(SECOND, SECOND).interval, SECOND);
    }
}
