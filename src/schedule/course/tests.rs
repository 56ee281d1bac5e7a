//! Runs of all shapes: counts, times, what is late, and that nothing drifts.

use super::*;
use crate::domain::moment::Moment;
use crate::schedule::{Arrival, Timetable};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn even(stages: &[Stage]) -> Profile {
    Profile { stages: stages.to_vec(), arrivals: Arrivals::Even }
}

fn hold(rate: f64, seconds: u64) -> Stage {
    Stage::Hold { rate, lasts: Duration::from_secs(seconds) }
}

/// All offsets of a run, taken one after the other.
fn offsets(profile: &Profile) -> Vec<Duration> {
    let mut course = Course::new(profile);
    std::iter::from_fn(|| {
        let due = course.due();
        course.advance();
        due
    })
    .collect()
}

fn millis(profile: &Profile) -> Vec<u128> {
    offsets(profile).iter().map(|due| (due.as_nanos() + 500_000) / 1_000_000).collect()
}

#[test]
fn each_shape_has_its_arrivals_where_its_integral_says() {
    assert_eq!(millis(&even(&[hold(2.0, 2)])), [250, 750, 1_250, 1_750]);
    assert_eq!(millis(&even(&[hold(0.2, 10)])), [2_500, 7_500]);
    // t^2 = n + 1/2
    let up = Stage::Ramp { from: 0.0, to: 4.0, lasts: 2 * SECOND };
    assert_eq!(millis(&even(&[up])), [707, 1_225, 1_581, 1_871]);
    let down = Stage::Ramp { from: 4.0, to: 0.0, lasts: 2 * SECOND };
    assert_eq!(millis(&even(&[down])), [129, 419, 775, 1_293]);
    assert_eq!(millis(&even(&[Stage::Ramp { from: 2.0, to: 2.0, lasts: SECOND }])), [250, 750]);
    // A full swing has the arrivals of its mean, most of them in its first half.
    let swing = Stage::Sine { low: 0.0, high: 8.0, period: 2 * SECOND, lasts: 2 * SECOND };
    let swung = millis(&even(&[swing]));
    assert_eq!(swung.len(), 8);
    assert_eq!(swung.iter().filter(|at| **at < 1_000).count(), 7, "{swung:?}");
}

#[test]
fn a_run_without_arrivals_never_begins() {
    let empty = [
        even(&[]),
        even(&[hold(0.0, 60)]),
        even(&[hold(100.0, 0)]),
        even(&[hold(0.4, 1)]),
        even(&[hold(f64::NAN, 1), hold(f64::INFINITY, 1), hold(-5.0, 10)]),
        even(&[Stage::Ramp { from: 100.0, to: 0.0, lasts: Duration::ZERO }]),
        even(&[hold(50.0, 10)]).ramped_down(10 * SECOND, 5 * SECOND),
    ];
    for profile in empty {
        let mut timetable = Timetable::new();
        assert_eq!(timetable.begin("a", &profile, Moment::ZERO), None, "{profile:?}");
        assert!(timetable.is_empty());
    }
}

#[test]
fn a_pause_and_stages_of_no_length_only_move_what_follows() {
    let zero = Stage::Ramp { from: 1.0, to: 1_000.0, lasts: Duration::ZERO };
    let profile = even(&[hold(1.0, 2), zero, hold(0.0, 3), zero, hold(1.0, 2), zero]);
    assert_eq!(millis(&profile), [500, 1_500, 5_500, 6_500]);
}

#[test]
fn a_key_leaves_after_its_last_arrival_and_may_begin_again() {
    let mut timetable = Timetable::new();
    let start = Moment::from_origin(10 * SECOND);
    assert_eq!(timetable.begin("a", &even(&[hold(1.0, 2)]), start), Some(start + Duration::from_millis(500)));
    let mut arrivals = Vec::new();
    timetable.take_due(start + Duration::from_millis(600), &mut arrivals);
    assert_eq!((arrivals.len(), timetable.len()), (1, 1));
    timetable.take_due(start + Duration::from_millis(1_500), &mut arrivals);
    assert_eq!((arrivals.len(), timetable.len()), (2, 0));
    assert_eq!(timetable.next_due(), None);
    let again = start + 100 * SECOND;
    assert!(timetable.begin("a", &even(&[hold(1.0, 2)]), again).is_some());
    assert!(timetable.remove(&"a"));
    assert!(timetable.is_empty());
    timetable.take_due(again + 100 * SECOND, &mut arrivals);
    assert_eq!(arrivals.len(), 2);
}

#[test]
fn a_run_that_is_stopped_ramps_down_from_where_it_was() {
    let profile = even(&[Stage::Ramp { from: 0.0, to: 100.0, lasts: 10 * SECOND }, hold(100.0, 10)]);
    let ramp = profile.ramped_down(5 * SECOND, 4 * SECOND);
    assert_eq!(ramp.stages, [Stage::Ramp { from: 50.0, to: 0.0, lasts: 4 * SECOND }]);
    assert_eq!(offsets(&ramp).len(), 100);
    assert!((profile.expected_arrivals(5 * SECOND, 15 * SECOND) - 875.0).abs() < 1e-9);
    assert_eq!(profile.expected_arrivals(15 * SECOND, 5 * SECOND), 0.0);
    assert_eq!(profile.rate_at(20 * SECOND), 0.0);
    let poisson = Profile { arrivals: Arrivals::Poisson { seed: 7 }, ..profile };
    assert_eq!(poisson.ramped_down(SECOND, SECOND).arrivals, Arrivals::Poisson { seed: 8 });
}

#[test]
fn a_run_that_is_stopped_never_does_more_than_it_would_have() {
    // Stopped after one of three seconds, with five to go down in.
    let ramp = even(&[hold(10_000.0, 3)]).ramped_down(SECOND, 5 * SECOND);
    assert_eq!(ramp.lasts(), 2 * SECOND);
    // Just before the rate would have fallen: the high rate is not kept for longer than it was meant to be.
    let steps = even(&[hold(1_000.0, 10), hold(1.0, 60)]);
    let at = Duration::from_millis(9_900);
    let ramp = steps.ramped_down(at, 10 * SECOND);
    let (made, planned) =
        (ramp.expected_arrivals(Duration::ZERO, ramp.lasts()), steps.expected_arrivals(at, steps.lasts()));
    assert!(made <= planned + 1e-3, "{made} of {planned}");
    // A ramp to zero that runs already only ends as planned.
    let down = even(&[Stage::Ramp { from: 100.0, to: 0.0, lasts: 10 * SECOND }]);
    let rest = down.ramped_down(5 * SECOND, 60 * SECOND);
    assert_eq!(rest.stages, [Stage::Ramp { from: 50.0, to: 0.0, lasts: 5 * SECOND }]);
}

#[test]
fn an_hour_at_twenty_thousand_a_second_does_not_drift() {
    let profile = even(&[hold(20_000.0, 3_600)]);
    let mut course = Course::new(&profile);
    let last = 20_000_u64 * 3_600 - 1;
    for index in [0, 1, 12_345_678, 36_000_000, last] {
        (course.index, course.point) = (index, course.point_after(0.0, index));
        let exact = Duration::from_nanos(index * 50_000 + 25_000);
        let due = course.time_of(course.point).unwrap();
        assert!(due.abs_diff(exact) <= Duration::from_nanos(2), "{index}: {due:?}, not {exact:?}");
    }
    course.advance();
    assert_eq!(course.due(), None);
}

#[test]
fn a_poisson_process_has_the_mean_and_the_variance_of_one() {
    for seed in [0, 1, 42, u64::MAX] {
        let profile = Profile {
            stages: vec![hold(50.0, 100), Stage::Ramp { from: 0.0, to: 100.0, lasts: 100 * SECOND }],
            arrivals: Arrivals::Poisson { seed },
        };
        let due = offsets(&profile);
        assert_eq!(due, offsets(&profile), "a seed repeats its run");
        // 10,000 expected, standard deviation 100.
        assert!((9_600..=10_400).contains(&due.len()), "{}", due.len());
        // Counts per second of the constant stage: mean 50, variance 50.
        let mut counts = [0.0_f64; 100];
        for at in due.iter().filter(|at| **at < 100 * SECOND) {
            counts[usize::try_from(at.as_secs()).unwrap()] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / 100.0;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 99.0;
        // Four standard errors: 0.71 for the mean, about 7.2 for the variance.
        assert!((mean - 50.0).abs() < 2.9, "mean {mean}");
        assert!((variance - 50.0).abs() < 29.0, "variance {variance}");
        // The rising stage has a quarter of its arrivals in its first half.
        let (early, late) = due.iter().filter(|at| **at >= 100 * SECOND).fold((0, 0), |(early, late), at| {
            if *at < 150 * SECOND { (early + 1, late) } else { (early, late + 1) }
        });
        assert!((1_100..=1_400).contains(&early) && (3_500..=4_000).contains(&late), "{early} {late}");
    }
}

#[test]
fn who_was_held_up_for_long_makes_a_tenth_of_a_second_and_counts_the_rest() {
    for arrivals in [Arrivals::Even, Arrivals::Poisson { seed: 3 }] {
        let profile = Profile { stages: vec![hold(1_000.0, 600)], arrivals };
        let mut timetable = Timetable::new();
        timetable.begin("a", &profile, Moment::ZERO);
        let mut taken = Vec::new();
        timetable.take_due(Moment::from_origin(500 * SECOND), &mut taken);
        assert!((60..=140).contains(&taken.len()), "{arrivals:?}: {}", taken.len());
        assert!((495_000..=505_000).contains(&taken[0].skipped), "{}", taken[0].skipped);
        // Beyond its end, one is left to tell of the others.
        taken.clear();
        timetable.take_due(Moment::from_origin(900 * SECOND), &mut taken);
        assert_eq!(taken.len(), 1);
        assert!((95_000..=105_000).contains(&taken[0].skipped), "{}", taken[0].skipped);
        assert!(timetable.is_empty());
    }
}

fn any_stage() -> impl Strategy<Value = Stage> {
    let rate = prop_oneof![Just(0.0), 0.0..3.0_f64, 0.0..500.0_f64];
    let lasts = prop_oneof![Just(0), 1..3_000_u64].prop_map(Duration::from_millis);
    let period = (1..4_000_u64).prop_map(Duration::from_millis);
    prop_oneof![
        (rate.clone(), lasts.clone()).prop_map(|(rate, lasts)| Stage::Hold { rate, lasts }),
        (rate.clone(), rate.clone(), lasts.clone()).prop_map(|(from, to, lasts)| Stage::Ramp {
            from,
            to,
            lasts
        }),
        (rate.clone(), rate, period, lasts).prop_map(|(a, b, period, lasts)| Stage::Sine {
            low: a.min(b),
            high: a.max(b),
            period,
            lasts
        }),
    ]
}

fn any_profile() -> impl Strategy<Value = Profile> {
    let arrivals =
        prop_oneof![Just(Arrivals::Even), any::<u64>().prop_map(|seed| Arrivals::Poisson { seed })];
    (prop::collection::vec(any_stage(), 0..5), arrivals)
        .prop_map(|(stages, arrivals)| Profile { stages, arrivals })
}

proptest! {
    #[test]
    fn arrivals_follow_each_other_within_the_run_as_many_as_the_rate_promises(profile in any_profile()) {
        let due = offsets(&profile);
        prop_assert!(due.is_sorted());
        prop_assert!(due.last().is_none_or(|last| *last <= profile.lasts()));
        let expected = profile.expected_arrivals(Duration::ZERO, Duration::MAX);
        let (tolerance, per_time) = match profile.arrivals {
            Arrivals::Even => (1.0, true),
            // Seven standard deviations, and the few of a small number.
            Arrivals::Poisson { .. } => (7.0 * expected.sqrt() + 12.0, false),
        };
        prop_assert!((due.len() as f64 - expected).abs() <= tolerance, "{} of {expected}", due.len());
        for (n, at) in due.iter().enumerate().filter(|_| per_time) {
            let until = profile.expected_arrivals(Duration::ZERO, *at);
            prop_assert!((until - (n as f64 + 0.5)).abs() < 1e-4, "{n} at {at:?}, where {until} are expected");
        }
    }

    #[test]
    fn the_rate_is_the_slope_of_what_is_expected(profile in any_profile(), share in 0.0..1.0_f64) {
        let at = profile.lasts().mul_f64(share);
        let step = Duration::from_micros(1);
        let slope = profile.expected_arrivals(at, at + step) / step.as_secs_f64();
        let (here, there) = (profile.rate_at(at), profile.rate_at(at + step));
        prop_assert!(here <= profile.peak() + 1e-9);
        // A stage may begin within the step.
        prop_assert!(
            slope >= here.min(there) - 2.0 && slope <= here.max(there) + 2.0,
            "{slope}, not between {here} and {there}"
        );
    }

    /// However irregularly it is asked, made and skipped together are all that was due, and nothing old comes
    /// in a crowd.
    #[test]
    fn nothing_is_lost_and_nobody_answers_with_a_stampede(
        profile in any_profile(),
        steps in prop::collection::vec(0_u64..900, 1..30),
    ) {
        let all = offsets(&profile);
        let mut timetable = Timetable::new();
        let start = Moment::from_origin(5 * SECOND);
        timetable.begin("a", &profile, start);
        let (mut now, mut counted, mut last) = (start, 0, start);
        for step in steps.into_iter().map(Duration::from_millis).chain([Duration::from_secs(60)]) {
            now = now + step;
            let mut taken: Vec<Arrival<&str>> = Vec::new();
            timetable.take_due(now, &mut taken);
            for arrival in &taken {
                counted += 1 + arrival.skipped;
                prop_assert!(arrival.due >= last && arrival.due <= now);
                last = arrival.due;
            }
            let old = taken.iter().filter(|arrival| now.since(arrival.due) > RATE_GRACE).count();
            // Even: one that the rate promised, and one on the edge. Poisson: those of a mean gap.
            prop_assert!(old <= if profile.arrivals == Arrivals::Even { 2 } else { 12 }, "{old} old ones");
            let due = all.iter().filter(|offset| start + **offset <= now).count() as u64;
            prop_assert_eq!(counted, due);
        }
        prop_assert!(timetable.is_empty());
    }
}
