//! What the README promises is what the program has.

use spokeprobe::domain::outcome::{Outcome, Reason};
use std::collections::BTreeSet;
use std::fmt::Write as _;

const README: &str = include_str!("../../README.md");
const METRICS: &str = include_str!("../golden/metrics.txt");

fn table_of_reasons() -> String {
    let mut table = String::from("| outcome | reason | meaning |\n|---|---|---|\n");
    for outcome in Outcome::ALL {
        for reason in Reason::ALL.iter().filter(|reason| reason.outcome() == outcome) {
            writeln!(table, "| `{outcome}` | `{reason}` | {} |", reason.meaning()).unwrap();
        }
    }
    table
}

#[test]
fn the_table_of_reasons_is_whole_and_true() {
    let table = table_of_reasons();
    assert!(README.contains(&table), "the README's table of reasons should read:\n{table}");
}

#[test]
fn the_table_of_metrics_is_whole_and_true() {
    let mut exposed: BTreeSet<&str> = METRICS
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE spokeprobe_")?.split(' ').next())
        .collect();
    // Absent until known, and so not in the golden scrape of an agent that has just started.
    exposed.extend([
        "up",
        "last_outcome",
        "last_attempt_timestamp_seconds",
        "door_open",
        "clock_skew_seconds",
        "signed_header_bytes",
        "credentials_expiry_timestamp_seconds",
        "request_duration_seconds",
        "assume_role_total",
        "twin_attempts_total",
    ]);
    let documented: BTreeSet<&str> = README
        .lines()
        .skip_while(|line| !line.starts_with("## Metrics"))
        .take_while(|line| !line.starts_with("## What it costs"))
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| *name != "process_*")
        .collect();
    assert_eq!(documented, exposed);
}
