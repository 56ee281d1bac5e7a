//! A run's books balance at every moment; its windows are true; its length costs little; its series come and go.

use super::*;
use crate::domain::outcome::Reason;
use crate::domain::target::TargetId;
use crate::recording::examples::{recorder, seen, target};
use crate::recording::{LoadInfo, Recorder, TIMELINE_ENTRIES};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn run(recorder: &Recorder) -> Arc<LoadRecorder> {
    recorder.begin_load(&"night".parse().unwrap(), Moment::ZERO)
}

fn samples(recorder: &Recorder, beginning: &str) -> Vec<String> {
    let whole = format!("spokeprobe_{beginning}");
    let text = String::from_utf8(recorder.encode_text()).unwrap();
    text.lines().filter(|line| line.starts_with(&whole)).map(str::to_owned).collect()
}

fn took(load: &LoadRecorder, took: Duration) {
    load.due(1);
    load.sent();
    load.ended(&seen(Reason::None, Some(200), Duration::ZERO, took));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Due(u64),
    Miss(bool),
    Send,
    Unsent,
    End(usize, u64),
    Abort,
    Second,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1_u64..4).prop_map(Step::Due),
        1 => any::<bool>().prop_map(Step::Miss),
        4 => Just(Step::Send),
        1 => Just(Step::Unsent),
        3 => (0_usize..4, 3_u64..5_000).prop_map(|(how, ms)| Step::End(how, ms)),
        1 => Just(Step::Abort),
        1 => Just(Step::Second),
    ];
    prop::collection::vec(step, 1..80)
}

/// due = sent + missed + unsent + waiting, and sent = ended + aborted + in flight.
fn balances(load: &LoadRecorder, waiting: u64) {
    let record = load.record();
    assert_eq!(record.due, record.sent + record.missed() + record.unsent + waiting, "{record:?}");
    assert_eq!(record.sent, record.ended + record.aborted + load.in_flight(), "{record:?}");
    let results: u64 = record.results.iter().map(|result| result.count).sum();
    assert_eq!(results, record.ended + record.unsent);
    for times in [&record.response, &record.service, &record.lateness] {
        assert_eq!(times.count(), record.ended);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn books_balance_at_every_moment(steps in steps()) {
        let recorder = recorder();
        let load = run(&recorder);
        let (mut waiting, mut seconds) = (0_u64, 0_u32);
        for step in steps {
            match step {
                Step::Due(count) => {
                    load.due(count);
                    waiting += count;
                }
                Step::Second => {
                    seconds += 1;
                    load.second_over(Moment::ZERO + SECOND * seconds, 1.0);
                }
                Step::Miss(paused) if waiting > 0 => {
                    load.missed(if paused { MissCause::Paused } else { MissCause::Overloaded }, 1);
                    waiting -= 1;
                }
                Step::Send if waiting > 0 => {
                    load.sent();
                    waiting -= 1;
                }
                Step::Unsent if waiting > 0 => {
                    load.unsent(&seen(Reason::CredentialsExpired, None, Duration::ZERO, MS));
                    waiting -= 1;
                }
                Step::End(how, ms) if load.in_flight() > 0 => {
                    let (reason, code) = [
                        (Reason::None, Some(200)),
                        (Reason::Rate, Some(429)),
                        (Reason::BackendStatus, Some(502)),
                        (Reason::Reset, None),
                    ][how];
                    load.ended(&seen(reason, code, Duration::ZERO, MS * u32::try_from(ms).unwrap()));
                }
                Step::Abort if load.in_flight() > 0 => load.aborted(),
                _ => {}
            }
            balances(&load, waiting);
        }
        // What the timeline and the last minute add up to is what was counted.
        load.second_over(Moment::ZERO + SECOND * (seconds + 1), 1.0);
        let record = load.record();
        let sum = |of: fn(&LoadSecond) -> u64| record.timeline.iter().map(of).sum::<u64>();
        prop_assert_eq!(sum(|second| second.due), record.due);
        prop_assert_eq!(sum(|second| second.sent), record.sent);
        prop_assert_eq!(sum(|second| second.missed), record.missed());
        prop_assert_eq!(sum(|second| second.ended), record.ended + record.unsent);
        prop_assert_eq!(sum(|second| second.response.count), record.ended);
        if record.timeline.len() <= 60 {
            let window = load.window(LONGEST_WINDOW);
            prop_assert_eq!((window.due, window.missed), (record.due, record.missed()));
            prop_assert_eq!(window.ended, record.ended + record.unsent);
            prop_assert_eq!(window.p99, record.response.quantile(0.99));
        }
    }
}

/// 1,000 answers in each second, of which 20 are slow in the last one only: the worst second's percentile is the slow
/// one, that of ten seconds is not.
#[test]
fn the_percentile_of_a_window_is_that_of_all_its_answers() {
    let recorder = recorder();
    let load = run(&recorder);
    for second in 1..=10_u32 {
        for nth in 0..1_000 {
            let slow = second == 10 && nth < 20;
            took(&load, if slow { SECOND * 2 } else { MS * 10 });
        }
        load.second_over(Moment::ZERO + SECOND * second, 1_000.0);
    }
    let p99 = |seconds| load.window(SECOND * seconds).p99;
    assert_eq!(p99(1), SECOND * 2);
    assert!(p99(10) >= MS * 10 && p99(10) < MS * 11, "20 of 10,000: {:?}", p99(10));
    assert!(p99(2) < MS * 11, "just 1 % of 2,000: {:?}", p99(2));
    assert_eq!(load.window(SECOND * 3).due, 3_000);
    assert_eq!(load.window(Duration::ZERO), LoadWindow::default());
}

#[test]
fn a_window_forgets_what_is_older_than_a_minute() {
    let recorder = recorder();
    let load = run(&recorder);
    took(&load, SECOND * 9);
    for second in 1..=61_u32 {
        load.second_over(Moment::ZERO + SECOND * second, 0.0);
        let seen = load.window(SECOND * 3_600).ended;
        assert_eq!(seen, u64::from(second <= 60), "after {second} s");
    }
    assert_eq!(load.record().response.count(), 1);
}

#[test]
fn a_timeline_of_hours_stays_small_and_adds_up() {
    let recorder = recorder();
    let load = run(&recorder);
    let seconds = 2 * 3_600 + 7_u32;
    for second in 1..=seconds {
        load.due(2);
        if second % 1_000 == 1 {
            took(&load, MS * 50 + MS * second / 1_000);
        }
        load.second_over(Moment::ZERO + SECOND * second, f64::from(second % 2));
    }
    let record = load.record();
    let timeline = &record.timeline;
    assert!(
        timeline.len() <= TIMELINE_ENTRIES && timeline.len() > TIMELINE_ENTRIES / 2,
        "{}",
        timeline.len()
    );
    assert_eq!(timeline.iter().map(|entry| entry.due).sum::<u64>(), record.due);
    assert_eq!(timeline.iter().map(|entry| entry.lasts).sum::<Duration>(), SECOND * seconds);
    assert!(timeline.windows(2).all(|pair| pair[0].at + pair[0].lasts == pair[1].at));
    let (last, whole) = timeline.split_last().unwrap();
    assert!(whole.iter().all(|entry| entry.lasts == SECOND * 4 && (entry.rate_asked - 0.5).abs() < 1e-9));
    assert_eq!(last.lasts, SECOND * 3);
    assert_eq!(timeline.iter().map(|entry| entry.response.max).max(), Some(record.response.max()));
}

#[test]
fn series_are_there_while_a_load_is_announced_or_runs() {
    let recorder = recorder();
    let info = LoadInfo { name: "night".parse().unwrap(), target: target("payments/hoot/hello").id };
    assert!(samples(&recorder, "load_").is_empty());
    let load = run(&recorder);
    took(&load, MS * 50);
    load.rate_asked(12.5);
    let line = |beginning: &str| {
        let found = samples(&recorder, beginning);
        assert_eq!(found.len(), 1, "{beginning}: {found:?}");
        found[0].clone()
    };
    assert_eq!(line("load_running"), "spokeprobe_load_running{load=\"night\"} 1");
    assert_eq!(line("load_rate_asked"), "spokeprobe_load_rate_asked{load=\"night\"} 12.5");
    recorder.set_loads(std::slice::from_ref(&info));
    load.stopped(Guard::P99);
    load.stopped(Guard::Requested);
    load.over();
    load.over();
    load.rate_asked(9.0);
    assert_eq!(line("load_running"), "spokeprobe_load_running{load=\"night\"} 0");
    assert_eq!(line("load_rate_asked"), "spokeprobe_load_rate_asked{load=\"night\"} 0");
    assert_eq!(
        line("load_stopped_total{guard=\"p99\""),
        "spokeprobe_load_stopped_total{guard=\"p99\",load=\"night\"} 1"
    );
    assert_eq!(
        line("load_stopped_total{guard=\"requested\""),
        "spokeprobe_load_stopped_total{guard=\"requested\",load=\"night\"} 0",
        "the first guard counts"
    );
    // Counters go on over the next run; what is not theirs never moved.
    let again = run(&recorder);
    took(&again, SECOND * 5);
    again.due(2);
    again.missed(MissCause::Overloaded, 2);
    assert_eq!(
        line("load_requests_total"),
        "spokeprobe_load_requests_total{code=\"200\",load=\"night\",outcome=\"ok\",reason=\"none\"} 2"
    );
    assert_eq!(line("load_missed_total"), "spokeprobe_load_missed_total{load=\"night\"} 2");
    assert_eq!(
        line("load_response_seconds_sum"),
        "spokeprobe_load_response_seconds_sum{load=\"night\"} 5.05"
    );
    assert_eq!(line("load_service_seconds_sum"), "spokeprobe_load_service_seconds_sum{load=\"night\"} 5.046");
    assert_eq!(samples(&recorder, "load_response_seconds_bucket")[0].rsplit(' ').next(), Some("1"));
    assert!(samples(&recorder, "requests_total").is_empty());
    assert_eq!(line("schedule_lag_seconds_count"), "spokeprobe_schedule_lag_seconds_count 0");
    assert_eq!(line("in_flight_requests"), "spokeprobe_in_flight_requests 0");
    // No longer announced: there while it runs, and gone after.
    recorder.set_loads(&[]);
    assert_eq!(line("load_running"), "spokeprobe_load_running{load=\"night\"} 1");
    drop(again);
    assert!(samples(&recorder, "load_").is_empty());
}

#[test]
fn finished_seconds_reach_who_writes_them_down() {
    let recorder = recorder();
    let load = run(&recorder);
    let intervals = load.intervals();
    for second in 1..=3_u32 {
        (0..second).for_each(|_| took(&load, MS * 10 * second));
        load.second_over(Moment::ZERO + SECOND * second, 1.0);
    }
    load.over();
    let read: Vec<_> = intervals.collect();
    let counts: Vec<_> = read.iter().map(|interval| (interval.at, interval.response.count())).collect();
    assert_eq!(counts, [(Duration::ZERO, 1), (SECOND, 2), (SECOND * 2, 3)]);
    assert_eq!(read[2].service.max(), MS * 28);
    let mut all = crate::recording::Distribution::default();
    read.iter().for_each(|interval| all.merge(&interval.response));
    assert_eq!(all, load.record().response);
    assert_eq!(load.intervals().count(), 0, "a run that is over has no more");
}

#[test]
fn two_names_are_two_loads() {
    let recorder = recorder();
    let target: TargetId = target("payments/hoot/hello").id;
    let info = |name: &str| LoadInfo { name: name.parse().unwrap(), target: target.clone() };
    recorder.set_loads(&[info("a"), info("b")]);
    let load = recorder.begin_load(&"b".parse().unwrap(), Moment::ZERO);
    let running: Vec<_> = recorder.snapshot().loads.iter().map(|load| load.running).collect();
    assert_eq!(running, [false, true]);
    drop(load);
}
