//! When a run must stop: judged once a second from what the last seconds show. Pure.
//!
//! A guard judges on enough evidence only: [`ENOUGH`] attempts, or one whole window, whatever came in it. Before
//! that, the first refusal of a run would be a share of all.

use crate::domain::load::Guard;
use crate::load::{Guards, Worst};
use crate::recording::LoadWindow;
use std::time::Duration;

/// Attempts that are evidence before a whole window has passed.
const ENOUGH: u64 = 20;

/// A guard that stops the run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tripped {
    pub(super) guard: Guard,
    /// A share, or seconds for `p99`.
    pub(super) measured: f64,
    pub(super) allowed: f64,
}

/// Attempts in flight for longer than the limit of `p99`: they will end beyond it, if at all. Counting them is what
/// sees a server that answers nothing any more; those that do end would look as fast as ever.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Overdue {
    /// How many are at least so old, from due; the oldest first.
    pub(super) by_age: Vec<(Duration, u64)>,
}

impl Overdue {
    fn count(&self) -> u64 {
        self.by_age.iter().map(|(_, count)| count).sum()
    }

    /// The age that only `fewer` attempts exceed.
    fn age_below(&self, mut fewer: u64) -> Duration {
        for (age, count) in &self.by_age {
            if *count > fewer {
                return *age;
            }
            fewer -= count;
        }
        Duration::ZERO
    }
}

/// What each guard has to judge on; `None` where that is too little. `whole` is true once a window has passed since
/// the beginning.
pub(super) fn measure(window: &LoadWindow, overdue: &Overdue, whole: bool) -> Worst {
    let enough = |evidence: u64| evidence >= ENOUGH || whole && evidence > 0;
    let share = |part: u64, of: u64| enough(of).then(|| ratio(part, of));
    let all = window.ended + overdue.count();
    // Of all that ended or should have, one in a hundred may be later than the percentile.
    let p99 = || window.p99.max(overdue.age_below(all / 100)).as_secs_f64();
    Worst {
        errors: share(window.unexpected, window.ended),
        throttled: share(window.throttled, window.ended),
        p99: enough(all).then(p99),
        missed: share(window.missed, window.due),
    }
}

/// The first guard that trips, in the order of how much it says about the cause.
pub(super) fn judge(guards: &Guards, seen: &Worst) -> Option<Tripped> {
    let trips = |guard, allowed: Option<f64>, measured: Option<f64>| {
        let (allowed, measured) = (allowed?, measured?);
        (measured > allowed).then_some(Tripped { guard, measured, allowed })
    };
    trips(Guard::Throttled, guards.throttled, seen.throttled)
        .or_else(|| trips(Guard::Errors, guards.errors, seen.errors))
        .or_else(|| trips(Guard::P99, guards.p99.map(|p99| p99.as_secs_f64()), seen.p99))
        .or_else(|| trips(Guard::Missed, guards.missed, seen.missed))
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 attempts")]
fn ratio(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARDS: Guards = Guards {
        errors: Some(0.1),
        throttled: Some(0.01),
        p99: Some(Duration::from_secs(2)),
        missed: Some(0.05),
        window: Duration::from_secs(10),
    };
    const FINE: LoadWindow = LoadWindow {
        due: 100,
        missed: 0,
        ended: 100,
        unexpected: 0,
        throttled: 0,
        p99: Duration::from_millis(50),
    };

    fn guard(window: LoadWindow, overdue: &[(u64, u64)], whole: bool) -> Option<Guard> {
        tripped(window, overdue, whole).map(|tripped| tripped.guard)
    }

    fn tripped(window: LoadWindow, overdue: &[(u64, u64)], whole: bool) -> Option<Tripped> {
        let by_age = overdue.iter().map(|(age, count)| (Duration::from_secs(*age), *count)).collect();
        judge(&GUARDS, &measure(&window, &Overdue { by_age }, whole))
    }

    #[test]
    fn each_guard_trips_above_what_it_allows_and_not_at_it() {
        let cases = [
            (LoadWindow { unexpected: 10, ..FINE }, None),
            (LoadWindow { unexpected: 11, ..FINE }, Some(Guard::Errors)),
            (LoadWindow { throttled: 1, ..FINE }, None),
            // What is throttled is unexpected too; the narrower word is said.
            (LoadWindow { throttled: 20, unexpected: 20, ..FINE }, Some(Guard::Throttled)),
            (LoadWindow { missed: 5, ..FINE }, None),
            (LoadWindow { missed: 6, ..FINE }, Some(Guard::Missed)),
            (LoadWindow { p99: Duration::from_secs(2), ..FINE }, None),
            (LoadWindow { p99: Duration::from_millis(2_001), ..FINE }, Some(Guard::P99)),
        ];
        for (window, expected) in cases {
            assert_eq!(guard(window, &[], false), expected, "{window:?}");
        }
    }

    #[test]
    fn a_guard_that_is_off_stays_silent() {
        let off = Guards { errors: None, throttled: None, p99: None, missed: None, ..GUARDS };
        let dire = LoadWindow { missed: 100, unexpected: 100, throttled: 100, ..FINE };
        let old = Overdue { by_age: vec![(Duration::from_secs(60), 100)] };
        assert_eq!(judge(&off, &measure(&dire, &old, true)), None);
    }

    #[test]
    fn few_attempts_are_evidence_only_after_a_whole_window() {
        let few = LoadWindow { due: 3, ended: 3, unexpected: 1, ..FINE };
        assert_eq!(guard(few, &[], false), None);
        assert_eq!(guard(few, &[], true), Some(Guard::Errors));
        assert_eq!(guard(LoadWindow::default(), &[], true), None, "an idle window accuses nobody");
    }

    #[test]
    fn what_never_ends_counts_against_the_percentile() {
        let silent = LoadWindow { ended: 0, ..FINE };
        assert_eq!(guard(silent, &[(3, 19)], false), None);
        let Some(seen) = tripped(silent, &[(9, 5), (3, 15)], false) else { panic!("a silent server") };
        assert_eq!((seen.guard, seen.measured), (Guard::P99, 9.0));
        // One of 101 is within the percentile, two of 102 are not; the second oldest is the measure.
        assert_eq!(guard(FINE, &[(9, 1)], false), None);
        let Some(seen) = tripped(FINE, &[(9, 1), (4, 1)], false) else { panic!("two of 102") };
        assert_eq!((seen.guard, seen.measured, seen.allowed), (Guard::P99, 4.0, 2.0));
    }
}
