//! The books of a target balance whatever happens, and what is remembered follows the rules of outcomes.

use super::*;
use crate::recording::examples::{attempt, guard, recorder, seen, target, wall};
use proptest::prelude::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// What can happen to a target, in any order that its callers may produce.
#[derive(Debug, Clone)]
enum Event {
    Due(u64),
    Missed(MissCause),
    Started,
    Ended { started: bool, reason: Reason, code: Option<u16> },
    Abandoned { started: bool },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let end = (any::<bool>(), prop::sample::select(Reason::ALL), prop::option::of(0_u16..1_000))
        .prop_map(|(started, reason, code)| Event::Ended { started, reason, code });
    let event = prop_oneof![
        3 => (1_u64..4).prop_map(Event::Due),
        1 => prop::sample::select(&MissCause::ALL[..]).prop_map(Event::Missed),
        3 => Just(Event::Started),
        4 => end,
        1 => any::<bool>().prop_map(|started| Event::Abandoned { started }),
    ];
    prop::collection::vec(event, 0..200)
}

proptest! {
    #[test]
    fn due_is_always_results_and_missed_and_waiting_and_in_flight(events in events()) {
        let recorder = recorder();
        let probe = recorder.add_target(&Arc::new(target("payments/hoot/hello")));
        // A model that keeps its own books: calls that no caller could make are left out by it.
        let (mut due, mut waiting, mut in_flight, mut ended, mut missed) = (0, 0, 0, 0, 0);
        for event in events {
            match event {
                Event::Due(count) => { probe.due_many(count); due += count; waiting += count; }
                Event::Missed(cause) if waiting > 0 => { probe.missed(cause, 1); waiting -= 1; missed += 1; }
                Event::Started if waiting > 0 => { probe.started(); waiting -= 1; in_flight += 1; }
                Event::Ended { started, reason, code } if (if started { in_flight } else { waiting }) > 0 => {
                    probe.observed(&seen(reason, code, SECOND, SECOND), started);
                    if started { in_flight -= 1 } else { waiting -= 1 }
                    ended += 1;
                }
                Event::Abandoned { started } if (if started { in_flight } else { waiting }) > 0 => {
                    probe.abandoned(started);
                    if started { in_flight -= 1 } else { waiting -= 1 }
                    missed += 1;
                }
                _ => continue,
            }
            let counts = probe.counts();
            prop_assert!(counts.is_conserved(), "{counts:?}");
            prop_assert_eq!((counts.due, counts.ended(), counts.missed_total()), (due, ended, missed));
            prop_assert_eq!((counts.waiting, counts.in_flight), (waiting as i64, in_flight as i64));
        }
        prop_assert!(recorder.imbalances().is_empty());
    }

    #[test]
    fn no_answers_make_more_series_than_the_bound(codes in prop::collection::vec(0_u16..1_000, 0..2_000)) {
        let recorder = recorder();
        let probe = recorder.add_target(&Arc::new(target("payments/hoot/hello")));
        for code in &codes {
            attempt(&probe, &seen(Reason::UnexpectedStatus, Some(*code), SECOND, SECOND));
        }
        let counts = probe.counts();
        prop_assert!(counts.results.len() <= RESULTS_PER_TARGET + 6);
        prop_assert!(counts.results.iter().all(|r| r.code.is_none_or(|code| (100..=599).contains(&code))));
        prop_assert_eq!(counts.ended(), codes.len() as u64);
    }
}

#[test]
fn the_books_balance_for_a_reader_while_attempts_run_at_once() {
    let recorder = recorder();
    let probe = recorder.add_target(&Arc::new(target("payments/hoot/hello")));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for at in 0..2_000 {
                    probe.due_many(2);
                    probe.missed(MissCause::Overrun, 1);
                    probe.started();
                    probe.observed(&seen(Reason::None, Some(200), Duration::from_millis(at), SECOND), true);
                }
            });
        }
        for _ in 0..200 {
            assert_eq!(recorder.imbalances(), []);
        }
    });
    assert_eq!((probe.counts().due, probe.counts().missed_by(MissCause::Overrun)), (12_000, 6_000));
}

#[test]
fn calls_that_do_not_pair_show_as_an_imbalance() {
    let recorder = recorder();
    recorder.add_target(&Arc::new(target("payments/hoot/hello"))).missed(MissCause::Paused, 1);
    recorder.add_target(&Arc::new(target("payments/hoot/greet"))).due();
    let wrong = recorder.imbalances();
    assert_eq!(wrong.iter().map(|w| w.target.to_string()).collect::<Vec<_>>(), ["payments/hoot/hello"]);
}

#[test]
fn an_attempt_without_a_permit_says_nothing_of_the_target() {
    let recorder = recorder();
    let probe = recorder.add_target(&Arc::new(guard("payments/hoot/refused")));
    let mut refused = seen(Reason::VpcEndpointPolicy, Some(403), SECOND, SECOND);
    (refused.verdict.expected, refused.verdict.door) = (true, Some(Door::Closed));
    attempt(&probe, &refused);
    let before = (probe.status(), String::from_utf8(recorder.encode_text()).unwrap());

    probe.due();
    probe.observed(&seen(Reason::Overloaded, None, SECOND * 9, SECOND), false);
    let after = (probe.status(), String::from_utf8(recorder.encode_text()).unwrap());
    let last = after.0.last.unwrap();
    assert_eq!((last.reason, last.streak, last.at), (Reason::VpcEndpointPolicy, 1, wall(SECOND * 2)));
    assert_eq!((after.0.door, after.0.failures.len()), (Some(Door::Closed), 0));
    let changed: Vec<_> = after
        .1
        .lines()
        .filter(|line| line.starts_with("spokeprobe_") && !before.1.lines().any(|old| old == *line))
        .collect();
    let labels =
        r#"api="hoot",code="none",outcome="unsent",probe="refused",reason="overloaded",spoke="payments""#;
    assert_eq!(
        changed,
        [
            r#"spokeprobe_due_attempts_total{api="hoot",probe="refused",spoke="payments"} 2"#.to_owned(),
            format!("spokeprobe_requests_total{{{labels}}} 1"),
        ]
    );
}

#[test]
fn every_sent_attempt_is_timed_from_due_and_an_unsent_one_never() {
    let recorder = recorder();
    let probe = recorder.add_target(&Arc::new(target("payments/hoot/hello")));
    attempt(&probe, &seen(Reason::ResponseTimeout, None, SECOND, SECOND * 31));
    attempt(&probe, &seen(Reason::ConnectTimeout, None, SECOND * 40, SECOND * 5));
    probe.due();
    probe.observed(&seen(Reason::AssumeRoleDenied, None, SECOND * 50, SECOND), false);
    let text = String::from_utf8(recorder.encode_text()).unwrap();
    let sums: Vec<_> =
        text.lines().filter(|line| line.starts_with("spokeprobe_request_duration_seconds_sum")).collect();
    assert_eq!(
        sums,
        [
            r#"spokeprobe_request_duration_seconds_sum{api="hoot",outcome="failed",probe="hello",spoke="payments"} 31"#,
            r#"spokeprobe_request_duration_seconds_sum{api="hoot",outcome="unreachable",probe="hello",spoke="payments"} 5"#,
        ]
    );
    let status = probe.status();
    assert_eq!(status.latency.map(|l| (l.samples, l.max_seconds)), Some((2, 31.0)));
    assert_eq!(status.last.map(|last| (last.reason, last.expected)), Some((Reason::AssumeRoleDenied, false)));
    assert_eq!(status.failures.len(), 3);
}

#[test]
fn a_streak_begins_anew_when_the_reason_changes_and_keeps_its_first_time() {
    let recorder = recorder();
    let probe = recorder.add_target(&Arc::new(target("payments/hoot/hello")));
    for (at, reason) in
        [(1, Reason::None), (2, Reason::Forbidden), (3, Reason::Forbidden), (4, Reason::Forbidden)]
    {
        attempt(&probe, &seen(reason, Some(403), SECOND * at, SECOND));
    }
    let last = probe.status().last.unwrap();
    assert_eq!((last.streak, last.since, last.at), (3, wall(SECOND * 3), wall(SECOND * 5)));
    // Of two attempts that overlapped, the one that ended later has the last word.
    attempt(&probe, &seen(Reason::None, Some(200), Duration::ZERO, SECOND));
    assert_eq!(probe.status().last.unwrap().reason, Reason::Forbidden);
}

#[test]
fn an_idle_target_is_small() {
    assert!(size_of::<TargetRecorder>() <= 1_024, "{} bytes", size_of::<TargetRecorder>());
}
