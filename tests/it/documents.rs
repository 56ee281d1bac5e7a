//! Documents that are made, or have parts that are made, from the program: written with
//! `UPDATE_GOLDEN=1 cargo test --test it`, compared otherwise.
//!
//! A part stands between `<!-- made: NAME -->` and `<!-- end -->`. The cost of three fleets and the plan of a fixture
//! are here; `references`, `policy_sizes` and `walked` make or hold the others.

use crate::program::run;
use spokeprobe::plan::{estimate, report};
use spokeprobe::sources::{self, LoadedPlan};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Several tests write parts of one document.
static WRITING: Mutex<()> = Mutex::new(());

pub(crate) fn path_of(document: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(document)
}

/// The text of a document; a checkout may have turned the line ends.
pub(crate) fn read(document: &str) -> String {
    fs::read_to_string(path_of(document)).unwrap_or_default().replace("\r\n", "\n")
}

/// Compares a whole document, or writes it.
pub(crate) fn golden(document: &str, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path_of(document), text).unwrap();
    }
    let found = read(document);
    let differs = found.lines().zip(text.lines()).position(|(found, wanted)| found != wanted);
    assert!(
        found == text,
        "{document} is stale from line {}: run this test with UPDATE_GOLDEN=1",
        differs.map_or_else(|| "its end".to_owned(), |line| (line + 1).to_string())
    );
}

/// Compares a made part of a document, or writes it.
pub(crate) fn part(document: &str, name: &str, text: &str) {
    let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let now = read(document);
    let mark = format!("<!-- made: {name} -->\n");
    let (before, rest) = now.split_once(&mark).unwrap_or_else(|| panic!("{document} has no part {name}"));
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    golden(document, &format!("{before}{mark}{text}<!-- end -->{after}"));
}

/// A fleet as most are: one api a spoke, two probes that are to pass and an unsigned one that is not.
fn fleet(spokes: usize) -> LoadedPlan {
    let mut text = String::from(
        "hub:\n  region: eu-west-1\n  role_arn: arn:aws:iam::111122223333:role/spokeprobe-hub\n\
         \x20 organization: {id: o-a1b2c3d4e5}\n\
         \x20 endpoint: {id: vpce-0123456789abcdef0, zones: {euw1-az1: 10.0.1.17, euw1-az2: 10.0.2.23}}\n\
         isolation: {period: 24h}\nspokes:\n",
    );
    for number in 0..spokes {
        writeln!(
            text,
            "- name: spoke-{number:03}\n  account: '{:012}'\n  external_id: spokeprobe-{number:03}\n  apis:\n  \
             - name: orders\n    id: a{number:09}\n    stage: live\n    probes:\n    \
             - {{name: health, request: GET /health, every: 30s}}\n    \
             - {{name: create, request: POST /orders, json: {{dry: true}}, every: 1m}}\n    \
             - {{name: unsigned, request: GET /health, as: anonymous, every: 5m, expect: {{denied_by: vpc_endpoint_policy}}}}",
            200_000_000_000_usize + number
        )
        .unwrap();
    }
    sources::load_plan_text("fleet.yaml", &text, &|_| None).unwrap()
}

#[test]
fn the_worked_costs_are_what_plan_prints() {
    for spokes in [10, 100, 300] {
        let loaded = fleet(spokes);
        let report = report::report(&loaded.plan, &estimate(&loaded.plan), &[], &loaded.warnings);
        part("docs/cost.md", &format!("{spokes} spokes"), &format!("```text\n{}```\n", report.summary()));
    }
}

/// Loads, isolation, zones, a guard and more accounts than are shown one by one.
#[test]
fn the_plan_of_a_fleet_prints_as_it_did() {
    let text = run(&["plan", "--config", "tests/fixtures/plan.yaml"]);
    assert_eq!((text.status, text.stderr.as_str()), (Some(0), ""), "{text:?}");
    golden("tests/golden/plan.txt", &text.stdout);
    let json = run(&["plan", "--config", "tests/fixtures/plan.yaml", "--json"]);
    assert_eq!(json.status, Some(0));
    golden("tests/golden/plan.json", &json.stdout);
}
