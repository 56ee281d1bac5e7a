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
        "isolation_pairs",
        "isolation_open",
        "clock_skew_seconds",
        "signed_header_bytes",
        "credentials_expiry_timestamp_seconds",
        "request_duration_seconds",
        "assume_role_total",
        "twin_attempts_total",
        "load_requests_total",
        "members",
        "endpoint_up",
        "endpoint_phase_duration_seconds",
        "endpoint_certificate_expiry_timestamp_seconds",
        "endpoint_tls_info",
        "endpoint_addresses",
        "agent_info",
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

#[test]
fn the_smallest_configuration_plans() {
    let yaml = README.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let planned = spokeprobe::sources::load_plan_text("README.md", yaml, &|_| None);
    assert_eq!(planned.unwrap().plan.targets.len(), 2);
}

#[test]
fn the_load_of_the_readme_plans_once_the_api_opts_in() {
    let blocks: Vec<&str> =
        README.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let load = blocks.iter().find(|block| block.starts_with("loads:")).unwrap();
    let planned = |smallest: &str| {
        let text = format!("{smallest}{load}");
        spokeprobe::sources::load_plan_text("README.md", &text, &|_| None)
    };
    let opted_in = blocks[0].replace("        stage: api\n", "        stage: api\n        max_rate: 50/s\n");
    let loaded = planned(&opted_in).unwrap();
    assert_eq!(loaded.plan.loads.len(), 1);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert!(planned(blocks[0]).is_err(), "without max_rate nothing may be driven");
}

#[test]
fn links_to_files_lead_somewhere() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents: Vec<std::path::PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].iter().map(|name| root.join(name)).collect();
    let mut folders = vec![root.join("docs"), root.join("deploy"), root.join("dashboards")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    assert!(documents.len() > 80, "{}", documents.len());
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        let folder = document.parent().unwrap().to_path_buf();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(folder.join(file).exists(), "{} links to {link}", document.display());
            }
            // A heading of a document of ours; headings are followed as GitHub writes them.
            if let Some((file, heading)) = link.split_once('#').filter(|(file, _)| !file.contains("://")) {
                let target = if file.is_empty() { document.clone() } else { folder.join(file) };
                if target.extension().is_some_and(|extension| extension == "md") {
                    let there = std::fs::read_to_string(&target).unwrap_or_default();
                    let is_there = there
                        .lines()
                        .filter(|line| line.starts_with('#'))
                        .any(|line| anchor(line) == heading);
                    assert!(is_there, "{} links to {link}", document.display());
                }
            }
        }
    }
}

/// How GitHub names a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn a_heading_is_found_by_the_name_that_github_gives_it() {
    assert_eq!(anchor("## The endpoint, zone by zone"), "the-endpoint-zone-by-zone");
    assert_eq!(anchor("## `spokes[].apis[]`"), "spokesapis");
}
