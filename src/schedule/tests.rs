//! Stories and properties of the timetable.

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Moment {
    Moment::from_origin(Duration::from_millis(millis))
}

fn take(timetable: &mut Timetable<&'static str>, now: Moment) -> Vec<(&'static str, u64, u64)> {
    let mut arrivals = Vec::new();
    timetable.take_due(now, &mut arrivals);
    arrivals
        .into_iter()
        .map(|a| (a.key, u64::try_from(a.due.since_origin().as_millis()).unwrap(), a.skipped))
        .collect()
}

#[test]
fn the_first_arrival_lies_at_the_phase_and_the_rest_follow() {
    let mut timetable = Timetable::new();
    timetable.insert("a", Pattern::Interval(10 * SECOND), 3 * SECOND, at(4_000), Duration::MAX);
    assert_eq!(timetable.next_due(), Some(at(13_000)));
    timetable.insert("b", Pattern::Interval(10 * SECOND), 3 * SECOND, at(3_000), Duration::MAX);
    assert_eq!(timetable.next_due(), Some(at(3_000)));
    assert_eq!(take(&mut timetable, at(3_001)), [("b", 3_000, 0)]);
    assert_eq!(take(&mut timetable, at(13_000)), [("a", 13_000, 0), ("b", 13_000, 0)]);
    assert_eq!(take(&mut timetable, at(13_000)), []);
}

#[test]
fn an_agent_that_was_held_up_makes_one_arrival_and_counts_the_rest() {
    let mut timetable = Timetable::new();
    timetable.insert("a", Pattern::Interval(SECOND), Duration::ZERO, at(0), Duration::MAX);
    assert_eq!(take(&mut timetable, at(0)), [("a", 0, 0)]);
    assert_eq!(take(&mut timetable, at(10_500)), [("a", 10_000, 9)]);
    assert_eq!(timetable.next_due(), Some(at(11_000)));
}

#[test]
fn a_rate_makes_every_arrival_within_its_grace_and_skips_older_ones() {
    let mut timetable = Timetable::new();
    timetable.insert("a", Pattern::PerSecond(100.0), Duration::ZERO, at(0), Duration::MAX);
    assert_eq!(take(&mut timetable, at(20)), [("a", 0, 0), ("a", 10, 0), ("a", 20, 0)]);
    let late = take(&mut timetable, at(1_020));
    assert_eq!(late.first(), Some(&("a", 920, 89)));
    assert_eq!(late.len(), 11);
    assert!(late[1..].iter().all(|(_, _, skipped)| *skipped == 0));
}

#[test]
fn a_slow_rate_does_not_skip_what_is_merely_one_interval_late() {
    let mut timetable = Timetable::new();
    timetable.insert("a", Pattern::PerSecond(0.5), Duration::ZERO, at(0), Duration::MAX);
    assert_eq!(take(&mut timetable, at(1_900)), [("a", 0, 0)]);
}

#[test]
fn a_rare_target_has_its_first_arrival_soon_and_then_keeps_its_phase() {
    let hour = 3_600 * SECOND;
    let mut timetable = Timetable::new();
    let first = timetable.insert("a", Pattern::Interval(hour), hour / 2, at(10_000), 60 * SECOND);
    assert_eq!(first, at(40_000));
    assert_eq!(take(&mut timetable, at(40_000)), [("a", 40_000, 0)]);
    assert_eq!(timetable.next_due(), Some(at(1_800_000)));
    assert_eq!(take(&mut timetable, at(1_800_000)), [("a", 1_800_000, 0)]);
    assert_eq!(timetable.next_due(), Some(at(5_400_000)));
}

#[test]
fn a_removed_key_is_never_due_again() {
    let mut timetable = Timetable::new();
    timetable.insert("a", Pattern::Interval(SECOND), Duration::ZERO, at(0), Duration::MAX);
    timetable.insert("b", Pattern::Interval(SECOND), Duration::ZERO, at(0), Duration::MAX);
    assert!(timetable.remove(&"a"));
    assert!(!timetable.remove(&"a"));
    assert_eq!(take(&mut timetable, at(0)), [("b", 0, 0)]);
    assert_eq!(timetable.len(), 1);
}

#[test]
fn the_millionth_arrival_of_a_third_of_a_second_has_not_drifted() {
    let pattern = Pattern::PerSecond(3.0);
    assert_eq!(pattern.offset(3_000_000), Duration::from_secs(1_000_000));
}

proptest! {
    /// However irregularly it is asked, made plus skipped is exactly what was due.
    #[test]
    fn nothing_is_lost_and_nothing_is_made_twice(
        every_ms in 1_u64..5_000,
        phase_ms in 0_u64..5_000,
        start_ms in 0_u64..10_000,
        steps in prop::collection::vec(0_u64..20_000, 1..60),
        as_rate in any::<bool>(),
    ) {
        let pattern = if as_rate {
            Pattern::PerSecond(1_000.0 / every_ms as f64)
        } else {
            Pattern::Interval(Duration::from_millis(every_ms))
        };
        let mut timetable = Timetable::new();
        timetable.insert("a", pattern, Duration::from_millis(phase_ms), at(start_ms), Duration::MAX);
        let first = timetable.next_due().unwrap();
        prop_assert!(first >= at(start_ms) && first < at(start_ms) + pattern.interval() + Duration::from_nanos(2));
        let mut now = at(start_ms);
        let (mut counted, mut last) = (0, None);
        for step in steps {
            now = now + Duration::from_millis(step);
            let mut arrivals = Vec::new();
            timetable.take_due(now, &mut arrivals);
            for arrival in arrivals {
                counted += 1 + arrival.skipped;
                prop_assert!(arrival.due <= now);
                prop_assert!(last.is_none_or(|last| last < arrival.due));
                prop_assert!(now.since(arrival.due) <= pattern.interval().max(pattern::RATE_GRACE) + pattern.interval());
                last = Some(arrival.due);
            }
        }
        let due = if now < first {
            0
        } else {
            (0..).take_while(|index| first + pattern.offset(*index) <= now).count() as u64
        };
        prop_assert_eq!(counted, due);
        prop_assert!(timetable.next_due().unwrap() > now);
    }
}
