//! What runs come to. The many single mistakes are in `tests/configs/invalid`.

use super::*;
use crate::config::{Document, Documents, read as read_config};
use crate::schedule::Stage;
use proptest::prelude::*;

fn load(stages: &str, more: &str) -> Result<Load, Vec<Problem>> {
    read_load("test", &format!("{{name: run, probe: a/b/c, stages: {stages}{more}}}"))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn each_form_of_a_stage_goes_on_where_the_one_before_ended() {
    let load = load(
        "[{to: 20/s, for: 1m}, {hold: 5m}, {at: 300/m, for: 10s}, {to: 8/s, for: 10s}, \
         {between: [10/s, 30/s], period: 40s, for: 50s}, {hold: 1s}, {to: 0/s, for: 30s}]",
        "",
    )
    .unwrap();
    assert_eq!(
        load.profile.stages,
        [
            Stage::Ramp { from: 0.0, to: 20.0, lasts: seconds(60) },
            Stage::Hold { rate: 20.0, lasts: seconds(300) },
            Stage::Hold { rate: 5.0, lasts: seconds(10) },
            Stage::Ramp { from: 5.0, to: 8.0, lasts: seconds(10) },
            Stage::Sine { low: 10.0, high: 30.0, period: seconds(40), lasts: seconds(50) },
            // A quarter of a swing beyond a whole one: at the crest.
            Stage::Hold { rate: 30.0, lasts: seconds(1) },
            Stage::Ramp { from: 30.0, to: 0.0, lasts: seconds(30) },
        ]
    );
    assert_eq!(load.profile.arrivals, Arrivals::Even);
    assert_eq!((load.guards, load.at, load.ramp_down), (Guards::default(), None, seconds(5)));
    assert_eq!(load.peak_place.path, "stages[4]");
}

fn arrivals(profile: &Profile) -> f64 {
    profile.expected_arrivals(Duration::ZERO, profile.lasts())
}

#[test]
fn rates_add_up_to_arrivals() {
    let total = |stages: &str| arrivals(&load(stages, "").unwrap().profile);
    assert!((total("[{to: 20/s, for: 1m}, {hold: 5m}, {to: 0/s, for: 30s}]") - 6_900.0).abs() < 1e-6);
    // Whole swings add up to the mean; half a one, which only rises and falls back, to more.
    assert!((total("[{between: [10/s, 30/s], period: 10s, for: 60s}]") - 1_200.0).abs() < 1e-6);
    let half = 5.0 * 20.0 + 10.0 * 10.0 / std::f64::consts::PI;
    assert!((total("[{between: [10/s, 30/s], period: 10s, for: 5s}]") - half).abs() < 1e-6);
}

#[test]
fn guards_and_times_are_read_as_written() {
    let guarded = |guards: &str| load("[{at: 1/s, for: 1m}]", &format!(", guards: {guards}")).unwrap().guards;
    let guards = guarded("{errors: 0.5%, throttled: off, p99: 1500ms, missed: 0%, window: 1m}");
    assert!((guards.errors.unwrap() - 0.005).abs() < 1e-12);
    assert_eq!(
        (guards.throttled, guards.p99, guards.missed, guards.window),
        (None, Some(Duration::from_millis(1_500)), Some(0.0), seconds(60))
    );
    assert_eq!(guarded("{}"), Guards::default());
    assert_eq!(guarded("{p99: 'off', errors: \"off\"}").errors, None);
    let at = |at: &str| load("[{at: 1/s, for: 1m}]", &format!(", at: {at}")).unwrap().at;
    for (written, wanted) in [("\"02:00\"", 7_200), ("02:00", 7_200), ("'00:00'", 0), ("23:59", 86_340)] {
        assert_eq!(at(written), Some(seconds(wanted)), "{written}");
    }
    let problem = |at: &str| load("[{at: 1/s, for: 1m}]", &format!(", at: {at}")).unwrap_err()[0].to_string();
    assert!(problem("120").contains("did you mean \"02:00\"?"));
    assert!(problem("1439").contains("did you mean \"23:59\"?"));
    for wrong in ["1440", "-5", "2", "aa:bb", "+1:00", "1:1:1", "[]", "~"] {
        assert!(!problem(wrong).contains("02:00"), "{wrong}: {}", problem(wrong));
    }
}

#[test]
fn random_arrivals_are_the_same_in_every_run_of_a_name() {
    let poisson = || load("[{at: 1/s, for: 1m}]", ", arrivals: poisson").unwrap().profile.arrivals;
    assert!(matches!(poisson(), Arrivals::Poisson { .. }));
    assert_eq!(poisson(), poisson());
    assert_ne!(seed(&"one".parse().unwrap()), seed(&"two".parse().unwrap()));
}

const AROUND: &str = "hub: {region: eu-west-1, endpoint: {id: vpce-0a1b2c3d}}\nspokes:\n- name: a\n  account: '111122223333'\n  \
     apis: [{name: b, id: a1b2c3d4e5, stage: s, max_rate: MAX, probes: [{name: c, request: GET /}]}]\n";

fn problems(text: &str) -> Vec<String> {
    let documents = Documents::of_main(Document::parse("main.yaml", text).unwrap());
    match read_config(&documents, &|_| None) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn what_is_wrong_with_an_api_is_told_once() {
    let loads = "loads: [{name: n, probe: a/b/c, stages: [{at: 10/s, for: 1m}]}]\n";
    assert_eq!(problems(&(AROUND.replace("MAX", "10/s") + loads)), Vec::<String>::new());
    for (text, path) in [
        (AROUND.replace("MAX", "often"), "max_rate"),
        (AROUND.replace("MAX", "10/s").replace("GET /", "BREW /"), "request"),
    ] {
        let problems = problems(&(text + loads));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(path), "{problems:?}");
    }
}

proptest! {
    /// Whatever is written, there is a run within the bounds or a problem.
    #[test]
    fn a_run_is_within_its_bounds_or_refused(
        stages in prop::collection::vec(
            (0_usize..5, prop::sample::select(vec!["0/s", "1/m", "20/s", "20000/s", "20001/s", "x", "1e9/s", ""]),
             prop::sample::select(vec!["100ms", "1s", "10m", "24h", "25h", "0s", "-1s", "soon"])),
            0..6,
        ),
    ) {
        let written: Vec<String> = stages
            .iter()
            .map(|(form, rate, lasts)| match form {
                0 => format!("{{to: '{rate}', for: {lasts}}}"),
                1 => format!("{{at: '{rate}', for: {lasts}}}"),
                2 => format!("{{hold: {lasts}}}"),
                3 => format!("{{between: [1/s, '{rate}'], period: 1s, for: {lasts}}}"),
                _ => format!("{{'{rate}': {lasts}}}"),
            })
            .collect();
        match load(&format!("[{}]", written.join(", ")), "") {
            Err(problems) => prop_assert!(!problems.is_empty()),
            Ok(load) => {
                prop_assert!((seconds(1)..=seconds(86_400)).contains(&load.profile.lasts()));
                prop_assert!(load.profile.peak() > 0.0 && load.profile.peak() <= 20_000.0);
                prop_assert!(arrivals(&load.profile) >= 1.0);
            }
        }
    }
}
