//! Reports made by hand, and what the faces say of them. `BLESS=1 cargo test --lib cli::load` writes the golden files
//! anew.

use super::baseline::{Baseline, Tolerance};
use super::document::{Document, ResultRow};
use super::guards::Near;
use super::measured::Recent;
use super::progress::Progress;
use super::text;
use crate::cli::output::Colour;
use crate::domain::load::Guard;
use crate::domain::outcome::Reason;
use crate::load::{Ended, Guards, Report, Settings, Worst};
use crate::recording::{Distribution, LoadPercentiles, LoadRecord, LoadResult, LoadSecond};
use crate::schedule::{Arrivals, Profile, Stage};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// 2026-01-01T02:00:00Z.
const TWO_O_CLOCK: Duration = Duration::from_secs(1_767_232_800);

fn settings() -> Settings {
    Settings {
        name: "nightly".parse().unwrap(),
        target: Arc::new(crate::recording::examples::target("payments/hoot/hello")),
        profile: Profile {
            stages: vec![
                Stage::Ramp { from: 0.0, to: 200.0, lasts: Duration::from_secs(5) },
                Stage::Hold { rate: 200.0, lasts: Duration::from_secs(15) },
            ],
            arrivals: Arrivals::Even,
        },
        guards: Guards {
            p99: Some(Duration::from_secs(2)),
            window: Duration::from_secs(5),
            ..Guards::default()
        },
        at: None,
        in_flight: 400,
        reuse_signatures: true,
        ramp_down: Duration::ZERO,
    }
}

/// Attempts of a second that took from `from_ms` up, each a little longer than the last.
fn times(from_ms: u64, count: u64) -> Distribution {
    let mut times = Distribution::default();
    (0..count).for_each(|at| times.record(Duration::from_micros(from_ms * 1_000 + at * 37)));
    times
}

/// Twenty seconds with `stall` of them answering late.
fn record(stall: std::ops::Range<u64>) -> LoadRecord {
    let mut record = LoadRecord::default();
    for at in 0..20_u64 {
        let due = if at < 5 { 20 + 40 * at } else { 200 };
        let slow = stall.contains(&at);
        let took = if slow { 1_500 } else { 11 };
        (0..due).for_each(|n| {
            record.response.record(Duration::from_micros(took * 1_000 + n * 37 + 80));
            record
                .service
                .record(Duration::from_micros(if slow && n < 4 { took * 1_000 } else { 11_000 } + n * 37));
            record.lateness.record(Duration::from_micros(60 + n % 40));
        });
        record.due += due;
        record.timeline.push(LoadSecond {
            at: Duration::from_secs(at),
            lasts: Duration::from_secs(1),
            rate_asked: due as f64,
            due,
            sent: due,
            ended: due,
            in_flight: 3,
            response: times(took, due).percentiles(),
            ..LoadSecond::default()
        });
    }
    record.sent = record.due;
    record.ended = record.due;
    record.results =
        vec![LoadResult { code: Some(200), reason: Reason::None, count: record.due, expected: record.due }];
    record
}

/// A run in which all went well.
pub(super) fn report() -> Report {
    Report {
        settings: Arc::new(settings()),
        began_at: UNIX_EPOCH + TWO_O_CLOCK,
        lasted: Duration::from_millis(20_012),
        ended: Ended::Completed,
        asked_by: None,
        worst: Worst { errors: Some(0.0), throttled: Some(0.0), p99: Some(0.0183), missed: Some(0.0) },
        record: record(0..0),
    }
}

/// A run that stalled, was throttled and missed arrivals, until a guard stopped it.
pub(super) fn stopped() -> Report {
    let mut record = record(8..11);
    record.missed_overloaded = 120;
    record.missed_paused = 30;
    record.due += 170;
    record.unsent = 20;
    record.aborted = 6;
    record.ended -= 6;
    record.results = vec![
        LoadResult { code: Some(429), reason: Reason::Rate, count: 90, expected: 0 },
        LoadResult { code: None, reason: Reason::Reset, count: 4, expected: 0 },
        LoadResult { code: Some(200), reason: Reason::None, count: 3_400, expected: 3_395 },
        LoadResult { code: None, reason: Reason::AssumeRoleDenied, count: 20, expected: 0 },
    ];
    for (second, at) in record.timeline.iter_mut().zip(0_u64..) {
        if (10..15).contains(&at) {
            (second.throttled, second.unexpected, second.missed) = (18, 20 + at, 30);
        }
        // The seconds without an answer are gaps.
        if (11..13).contains(&at) {
            second.response = LoadPercentiles::default();
            second.ended = 0;
        }
    }
    let guard = Guard::Throttled;
    Report {
        ended: Ended::Stopped { guard, after: Duration::from_millis(14_200), measured: 0.09, allowed: 0.01 },
        lasted: Duration::from_millis(16_500),
        worst: Worst { errors: Some(0.095), throttled: Some(0.09), p99: Some(1.5), missed: Some(0.03) },
        record,
        ..report()
    }
}

/// A document with markup and control characters wherever text from outside may stand.
pub(super) fn hostile() -> Document {
    let evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u{202e}";
    let mut document = Document::of(&stopped());
    document.load = evil.into();
    document.target.spoke = evil.into();
    document.target.zone = Some(evil.into());
    document.request.path = evil.into();
    document.request.method = evil.into();
    document.request.identity = evil.into();
    document.verdict.because = vec![evil.into()];
    let baseline = Baseline::parse(hostile_baseline(evil).to_string().as_bytes()).unwrap();
    let comparison = baseline.compare(&document, &Tolerance::default());
    document.compared(comparison)
}

fn hostile_baseline(evil: &str) -> Value {
    let mut earlier = Document::of(&report()).json();
    for place in ["/load", "/began_at", "/request/path", "/target/probe"] {
        *earlier.pointer_mut(place).unwrap() = format!("{evil}\u{1b}[2J").into();
    }
    earlier
}

/// A load that runs, with all there is to tell.
pub(super) fn progress() -> Progress {
    let row = |code, outcome, reason, expected, count| ResultRow {
        code,
        outcome,
        reason,
        expected,
        count,
        meaning: "",
    };
    let recent =
        |p50, p99, max| Some(Recent { p50_seconds: Some(p50), p99_seconds: Some(p99), max_seconds: max });
    Progress {
        load: "nightly".into(),
        elapsed: Duration::from_millis(90_400),
        planned: Duration::from_secs(390),
        rate_asked: 20.0,
        rate_reached: 18.0,
        in_flight: 12,
        in_flight_limit: 400,
        sent: 1_500,
        missed: 20,
        response: recent(0.012, 1.2, Some(2.0)),
        service: recent(0.011, 0.03, None),
        results: vec![
            row(Some(200), "ok", "none", true, 1_400),
            row(Some(429), "throttled", "rate", false, 60),
            row(None, "unreachable", "reset", false, 3),
        ],
        guards: vec![
            Near { guard: "errors", measured: Some(0.042), allowed: 0.05 },
            Near { guard: "missed", measured: Some(0.0), allowed: 0.01 },
            Near { guard: "p99", measured: None, allowed: 2.0 },
        ],
        stopping: Some("stopping on request".into()),
    }
}

fn plain(_colour: Colour, text: &str) -> String {
    text.to_owned()
}

fn golden(name: &str, text: &str) {
    let path = Path::new("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&path).unwrap_or_default(), "{} (BLESS=1 writes it)", path.display());
}

/// The comparison of the stopped run with the good one.
fn compared() -> Document {
    let earlier = Baseline::parse(Document::of(&report()).json().to_string().as_bytes()).unwrap();
    let document = Document::of(&stopped());
    let comparison = earlier.compare(&document, &Tolerance::default());
    document.compared(comparison)
}

#[test]
fn the_text_report_says_all_of_it() {
    let good = text::render(&Document::of(&report()), &plain);
    golden("load-report.txt", &good);
    golden("load-report-stopped.txt", &text::render(&compared(), &plain));
    assert!(!good.contains('\u{1b}') && good.lines().all(|line| line == line.trim_end()));
}

#[test]
fn the_json_report_keeps_its_form() {
    // An entry each is enough to see the form.
    let short = |mut document: Document| {
        document.timeline.truncate(2);
        document.latency.response.curve.truncate(2);
        document.latency.service.curve.truncate(2);
        document.lateness.curve.truncate(2);
        format!("{:#}\n", document.json())
    };
    golden("load-report.json", &short(Document::of(&report())));
    golden("load-report-stopped.json", &short(compared()));
}

#[test]
fn the_json_report_has_what_the_design_names() {
    let json = Document::of(&report()).json();
    for place in ["/sent", "/missed", "/aborted"] {
        assert!(json.pointer(place).is_some_and(Value::is_u64), "{place}");
    }
    for view in ["response", "service"] {
        for name in ["p50", "p90", "p99", "p999", "max"] {
            assert!(
                json.pointer(&format!("/latency/{view}/{name}_seconds")).is_some_and(Value::is_f64),
                "{view} {name}"
            );
        }
    }
    assert_eq!(json["began_at"], "2026-01-01T02:00:00.000Z");
    assert_eq!(json["results"][0]["expected"], true);
}

#[test]
fn a_run_that_measured_nothing_says_so() {
    let report = Report { record: LoadRecord::default(), ..report() };
    let document = Document::of(&report);
    assert_eq!(document.json()["latency"]["response"]["p99_seconds"], Value::Null);
    assert_eq!(document.verdict.because, ["no arrival became due"]);
    assert!(text::render(&document, &plain).contains("No attempt ended."));
    assert!(super::html::render(&document).contains("No attempt ended."));
}

#[test]
fn the_verdict_is_as_expected_only_when_all_was_done() {
    let expected = |change: fn(&mut Report)| {
        let mut report = report();
        change(&mut report);
        Document::of(&report).is_as_expected()
    };
    assert!(expected(|_| ()));
    assert!(!expected(|report| report.record.missed_paused = 1));
    assert!(!expected(|report| report.record.aborted = 1));
    assert!(!expected(|report| report.record.results[0].expected -= 1));
    assert!(!expected(|report| {
        let (guard, after) = (Guard::Requested, Duration::from_secs(1));
        report.ended = Ended::Stopped { guard, after, measured: 0.0, allowed: 0.0 };
    }));
}

#[test]
fn a_baseline_tells_worse_from_noise() {
    let earlier = Baseline::parse(Document::of(&report()).json().to_string().as_bytes()).unwrap();
    let compare = |change: fn(&mut Document)| {
        let mut document = Document::of(&report());
        change(&mut document);
        earlier.compare(&document, &Tolerance::default())
    };
    let same = compare(|_| ());
    assert!(!same.worse && same.warnings.is_empty());
    assert!(same.rows.iter().all(|row| row.ratio.is_none_or(|ratio| (ratio - 1.0).abs() < 1e-9)));
    let scaled = |document: &mut Document, by: f64| {
        let p99 = &mut document.latency.response.p99_seconds;
        *p99 = p99.map(|seconds| seconds * by);
    };
    // 18.4 ms: a fifth is 3.7 ms.
    let slower = compare(|document| document.latency.response.p99_seconds = Some(0.0225));
    assert_eq!(
        slower.rows.iter().filter(|row| row.worse).map(|row| row.figure.as_str()).collect::<Vec<_>>(),
        ["response p99"]
    );
    assert!(
        !compare(|document| document.latency.response.p99_seconds = Some(0.0215)).worse,
        "less than a fifth"
    );
    let mut document = Document::of(&report());
    scaled(&mut document, 1.5);
    let tolerant: Tolerance = "slower=100%,by=2ms".parse().unwrap();
    assert!(!earlier.compare(&document, &tolerant).worse);
    // 3,500 attempts have three above p99.9: shown, not judged.
    let rare = compare(|document| document.latency.response.p999_seconds = Some(9.0));
    assert!(!rare.worse && rare.rows[3].ratio.unwrap() > 100.0 && !rare.rows[3].judged);
    assert!(compare(|document| document.unexpected = 4).worse, "0.11 points");
    assert!(!compare(|document| document.unexpected = 3).worse, "0.09 points");
    assert!(compare(|document| document.missed = 4).worse);
    assert!(compare(|document| document.rate.reached_mean_per_second *= 0.98).worse);
    // Who asks for less reaches less.
    let less = compare(|document| {
        document.rate.asked_mean_per_second *= 0.75;
        document.rate.reached_mean_per_second *= 0.75;
    });
    let rate = less.rows.last().unwrap();
    assert!(
        !less.worse
            && !rate.judged
            && rate.cells()[3..] == ["0.75×", "not judged: other rates were asked for"]
    );
    let other = compare(|document| {
        document.signatures = super::document::Signatures::Anew;
        document.request.path = "/else".into();
        document.rate.asked_mean_per_second *= 2.0;
    });
    assert_eq!(other.warnings.len(), 3, "{:?}", other.warnings);
}

#[test]
fn a_file_that_is_no_report_is_refused_with_the_reason() {
    let good = Document::of(&report()).json();
    let with = |place: &str, value: Value| {
        let mut json = good.clone();
        *json.pointer_mut(place).unwrap() = value;
        json.to_string()
    };
    let cases = [
        ("nonsense".to_owned(), "is no report of `spokeprobe load … --json`: no JSON: expected"),
        ("{}".to_owned(), "is no report of `spokeprobe load … --json`: it has no `schema_version`"),
        ("[]".to_owned(), "is no report of `spokeprobe load … --json`: it has no `schema_version`"),
        ("7".to_owned(), "is no report of `spokeprobe load … --json`: it has no `schema_version`"),
        (with("/schema_version", 2.into()), "schema version 2, and this spokeprobe compares version 1"),
        (
            with("/latency", Value::Null),
            "is not a whole report: invalid type: null, expected two sets of times",
        ),
        (with("/stages/0", Value::Null), "is not a whole report: invalid type: null, expected a stage"),
        (
            with("/arrivals", Value::Null),
            "is not a whole report: invalid type: null, expected a kind of arrivals",
        ),
        (with("/due", (-1).into()), "is not a whole report"),
        (
            with("/latency/response/p99_seconds", 1e-9.into()),
            "latency.response holds percentiles that no run has",
        ),
        (
            with("/latency/service/p50_seconds", (-1).into()),
            "latency.service holds percentiles that no run has",
        ),
        (with("/missed", 4_000_000.into()), "holds counts or rates that no run has"),
        (with("/ended", u64::MAX.into()), "holds counts or rates that no run has"),
    ];
    for (text, wanted) in cases {
        let problem = Baseline::parse(text.as_bytes()).unwrap_err();
        assert!(problem.contains(wanted), "{problem}");
    }
    let missing = Baseline::read(Path::new("tests/golden/no-such-report.json")).unwrap_err();
    assert!(missing.starts_with("tests/golden/no-such-report.json: cannot be opened"), "{missing}");
    assert!(Baseline::read(Path::new("tests/golden/load-report.json")).is_ok());
    let deep = "[".repeat(1 << 20);
    assert!(Baseline::parse(deep.as_bytes()).is_err());
}

#[test]
fn tolerances_are_read_and_nonsense_is_refused() {
    let tolerance: Tolerance = "slower=10%, by=500ms,errors=1%".parse().unwrap();
    let wanted = Tolerance { slower: 0.1, slower_seconds: 0.5, errors: 0.01, ..Tolerance::default() };
    assert_eq!(tolerance, wanted);
    for bad in ["slower", "slower=20", "by=2", "faster=1%", "errors=NaN%", "rate=-1%", "missed=inf%"] {
        assert!(bad.parse::<Tolerance>().is_err(), "{bad}");
    }
}

#[test]
fn each_guard_that_was_on_shows_the_worst_it_saw() {
    let rows = |report: &Report| -> Vec<(&str, Option<f64>)> {
        Document::of(report).guards.iter().map(|guard| (guard.guard, guard.worst)).collect()
    };
    let worst =
        [("errors", Some(0.095)), ("throttled", Some(0.09)), ("p99", Some(1.5)), ("missed", Some(0.03))];
    assert_eq!(rows(&stopped()), worst);
    let guards = Guards { p99: None, errors: None, ..settings().guards };
    let fewer = Report { settings: Arc::new(Settings { guards, ..settings() }), ..stopped() };
    assert_eq!(rows(&fewer), [worst[1], worst[3]]);
}

#[test]
fn progress_reads_a_running_load() {
    use crate::domain::moment::Moment;
    use crate::recording::examples::{recorder, seen};
    let settings = settings();
    let began = Moment::from_origin(Duration::ZERO);
    let load = recorder().begin_load(&settings.name, began);
    let at = |ms| Duration::from_millis(ms);
    let idle = Progress::of(&load, &settings, at(300));
    assert!(idle.response.is_none() && idle.service.is_none() && idle.rate_asked == 0.0);
    load.due(4);
    (0..4).for_each(|_| load.sent());
    load.ended(&seen(Reason::None, Some(200), at(0), at(20)));
    load.ended(&seen(Reason::None, Some(200), at(250), at(30)));
    load.ended(&seen(Reason::Rate, Some(429), at(500), at(10)));
    load.second_over(began + at(1_000), 4.0);
    let running = Progress::of(&load, &settings, at(1_100));
    assert_eq!((running.rate_asked, running.rate_reached), (4.0, 4.0));
    assert_eq!((running.sent, running.in_flight, running.missed), (4, 1, 0));
    assert_eq!(running.results.iter().map(|row| row.count).collect::<Vec<_>>(), [2, 1]);
    let response = running.response.unwrap();
    assert!((response.max_seconds.unwrap() - 0.03).abs() < 1e-4, "{response:?}");
    // Sent 2 ms after due.
    assert!((running.service.unwrap().max_seconds.unwrap() - 0.028).abs() < 1e-4);
    let throttled = running.guards.iter().find(|near| near.guard == "throttled").unwrap();
    assert_eq!((throttled.measured, throttled.allowed), (Some(1.0 / 3.0), 0.01));
}

#[test]
fn the_schema_names_every_field_and_no_other() {
    let schema: Value = serde_json::from_str(super::REPORT_SCHEMA).unwrap();
    for document in [Document::of(&report()), compared()] {
        same_keys(&schema, &schema, &document.json(), "");
    }
}

/// Walks a value along its schema: every key known, every required key there.
fn same_keys(root: &Value, schema: &Value, value: &Value, at: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(place) => root.pointer(place.trim_start_matches('#')).unwrap_or_else(|| panic!("{place}")),
        None => schema,
    };
    if let Some(any) = schema["anyOf"].as_array() {
        let fits = |one: &&Value| one["type"] != "null" && matches_tag(root, one, value);
        if !value.is_null() {
            same_keys(
                root,
                any.iter().find(fits).unwrap_or_else(|| panic!("{at}: no form fits {value}")),
                value,
                at,
            );
        }
        return;
    }
    match value {
        Value::Object(map) => {
            let known = schema["properties"].as_object().unwrap_or_else(|| panic!("{at}: {schema}"));
            for (key, value) in map {
                let schema = known.get(key).unwrap_or_else(|| panic!("{at}/{key} is not in the schema"));
                same_keys(root, schema, value, &format!("{at}/{key}"));
            }
            for key in schema["required"].as_array().unwrap() {
                assert!(map.contains_key(key.as_str().unwrap()), "{at} lacks {key}");
            }
        }
        Value::Array(items) => {
            for item in items {
                if schema["items"].is_object() {
                    same_keys(root, &schema["items"], item, &format!("{at}[]"));
                }
            }
        }
        _ => {}
    }
}

/// Forms of one word are told apart by a constant.
fn matches_tag(root: &Value, form: &Value, value: &Value) -> bool {
    let form = match form["$ref"].as_str() {
        Some(place) => root.pointer(place.trim_start_matches('#')).unwrap(),
        None => form,
    };
    let constants = form["properties"].as_object().into_iter().flatten();
    constants
        .filter_map(|(key, schema)| Some((key, schema.get("const")?)))
        .all(|(key, word)| &value[key] == word)
}
