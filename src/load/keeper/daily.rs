//! When a load's time of day has come, by a wall clock that may step. Pure.

use crate::domain::moment::Moment;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// How late a load may begin. Later than that its time has passed: a load that begins when nobody expects it is
/// worse than one that is left out.
const LATE_MAX: Duration = Duration::from_secs(60);
/// Within this time by the monotonic clock a load does not begin again, whatever the wall clock says.
const AGAIN_AFTER: Duration = Duration::from_secs(12 * 3_600);

/// One load's time of day.
#[derive(Debug)]
pub(super) struct Daily {
    at: Duration,
    next: SystemTime,
    begun: Option<Moment>,
}

/// What a look at the clocks says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Its time has not come.
    NotYet,
    /// Its time is now.
    Due,
    /// Its time was stepped over or slept through.
    Passed,
    /// Its time came a second time, since the wall clock went back.
    Again,
}

impl Daily {
    /// `at` after midnight UTC, for the first time after `wall`.
    pub(super) fn new(at: Duration, wall: SystemTime) -> Self {
        Self { at, next: first_after(at, wall), begun: None }
    }

    /// How long until its time comes.
    pub(super) fn until_next(&self, wall: SystemTime) -> Duration {
        self.next.duration_since(wall).unwrap_or_default()
    }

    /// Looks at the clocks. Each time of day comes once.
    pub(super) fn look(&mut self, wall: SystemTime, now: Moment) -> Turn {
        if self.until_next(wall) > DAY {
            // The clock went back, by a second or by years.
            self.next = first_after(self.at, wall);
        }
        let Ok(late) = wall.duration_since(self.next) else { return Turn::NotYet };
        self.next = first_after(self.at, wall);
        if late > LATE_MAX {
            Turn::Passed
        } else if self.begun.is_some_and(|begun| now.since(begun) < AGAIN_AFTER) {
            Turn::Again
        } else {
            self.begun = Some(now);
            Turn::Due
        }
    }
}

fn first_after(at: Duration, wall: SystemTime) -> SystemTime {
    let since_epoch = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let midnight = Duration::from_secs(since_epoch.as_secs() / DAY.as_secs() * DAY.as_secs());
    let today = midnight + at;
    UNIX_EPOCH + if today > since_epoch { today } else { today + DAY }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;

    /// A wall clock and a monotonic one that can come apart.
    struct Clocks {
        wall: SystemTime,
        now: Moment,
        daily: Daily,
    }

    impl Clocks {
        /// Begins at 01:00 with a load at 02:00.
        fn at_one() -> Self {
            let wall = UNIX_EPOCH + DAY * 20_000 + Duration::from_secs(HOUR);
            let daily = Daily::new(Duration::from_secs(2 * HOUR), wall);
            Self { wall, now: Moment::ZERO, daily }
        }

        /// Lets so many seconds pass, with a look every half minute, and says what was not `NotYet`.
        fn pass(&mut self, seconds: u64) -> Vec<Turn> {
            let mut turns = Vec::new();
            for _ in 0..seconds / 30 {
                self.wall += Duration::from_secs(30);
                self.now = self.now + Duration::from_secs(30);
                turns.push(self.daily.look(self.wall, self.now));
            }
            turns.retain(|turn| *turn != Turn::NotYet);
            turns
        }
    }

    #[test]
    fn each_day_once() {
        let mut clocks = Clocks::at_one();
        assert_eq!(clocks.pass(HOUR - 30), []);
        assert_eq!(clocks.pass(30), [Turn::Due]);
        assert_eq!(clocks.pass(10 * 24 * HOUR), [Turn::Due; 10]);
    }

    #[test]
    fn a_clock_that_goes_back_gives_no_second_turn() {
        for back in [1, 60, HOUR, 5 * HOUR, 23 * HOUR] {
            let mut clocks = Clocks::at_one();
            assert_eq!(clocks.pass(HOUR + 30), [Turn::Due]);
            clocks.wall -= Duration::from_secs(back);
            let turns = clocks.pass(11 * HOUR);
            assert!(turns.iter().all(|turn| *turn == Turn::Again), "{back}: {turns:?}");
            let turns = clocks.pass(3 * 24 * HOUR);
            assert_eq!(turns.iter().filter(|turn| **turn == Turn::Due).count(), 3, "{back}");
        }
    }

    #[test]
    fn a_clock_that_was_years_ahead_does_not_keep_a_load_from_beginning() {
        let mut clocks = Clocks::at_one();
        clocks.wall += DAY * 1_500;
        assert_eq!(clocks.pass(60), [Turn::Passed]);
        clocks.wall -= DAY * 1_500;
        assert_eq!(clocks.pass(HOUR), [Turn::Due]);
    }

    #[test]
    fn what_was_stepped_over_or_slept_through_is_not_made_up_for() {
        let mut clocks = Clocks::at_one();
        clocks.wall += Duration::from_secs(2 * HOUR);
        assert_eq!(clocks.pass(600), [Turn::Passed]);
        assert_eq!(clocks.pass(24 * HOUR), [Turn::Due]);
        // The machine sleeps over two of its times.
        clocks.wall += DAY * 2;
        clocks.now = clocks.now + DAY * 2;
        assert_eq!(clocks.pass(600), [Turn::Passed]);
        assert_eq!(clocks.pass(24 * HOUR), [Turn::Due]);
    }

    #[test]
    fn a_step_over_a_few_seconds_is_within_the_grace() {
        let mut clocks = Clocks::at_one();
        assert_eq!(clocks.pass(HOUR - 60), []);
        clocks.wall += Duration::from_secs(50);
        assert_eq!(clocks.pass(60), [Turn::Due]);
    }
}
