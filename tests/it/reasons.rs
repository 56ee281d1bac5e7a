//! `docs/reasons/` is made from the entries of `explain`: one page per reason, none left over. Run with
//! `UPDATE_GOLDEN=1` to write them again.

use spokeprobe::domain::outcome::{Outcome, Reason};
use spokeprobe::explain::{entry, markdown};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reasons")
}

fn wanted() -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> =
        Reason::ALL.iter().map(|reason| (format!("{reason}.md"), markdown(entry(*reason)))).collect();
    files.insert("README.md".into(), index());
    files
}

fn index() -> String {
    let mut page = String::from(
        "<!-- Made from src/explain by the test `reasons`; do not edit by hand. -->\n\n# Reasons\n\n\
         What each reason means, who owns it and what to do. `spokeprobe explain REASON` prints the same.\n\n\
         How sure each piece of evidence is:\n\n\
         - *documented*: AWS writes so.\n\
         - *observed*: a published capture of a real answer shows it.\n\
         - *derived*: it follows from a general rule of AWS, or from an emulator; no capture of API Gateway was found.\n\
         - *unconfirmed*: not established.\n\
         - *measured*: the agent saw it itself.\n",
    );
    for outcome in Outcome::ALL {
        writeln!(page, "\n## `{outcome}`\n\n| reason | owner | meaning |\n|---|---|---|").unwrap();
        for reason in Reason::ALL.iter().filter(|reason| reason.outcome() == outcome) {
            let owners: Vec<_> = entry(*reason).owners.iter().map(|owner| owner.as_str()).collect();
            writeln!(page, "| [`{reason}`]({reason}.md) | {} | {} |", owners.join(", "), reason.meaning())
                .unwrap();
        }
    }
    page
}

#[test]
fn every_reason_has_its_page_and_the_pages_are_what_explain_says() {
    let wanted = wanted();
    #[expect(clippy::disallowed_methods, reason = "how a test is told to write")]
    let update = std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1");
    if update {
        fs::create_dir_all(folder()).unwrap();
        for (name, text) in &wanted {
            fs::write(folder().join(name), text).unwrap();
        }
    }
    let there: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        there,
        wanted.keys().cloned().collect(),
        "docs/reasons has other files than there are reasons"
    );
    for (name, text) in &wanted {
        // A checkout may have turned the line ends.
        let found = fs::read_to_string(folder().join(name)).unwrap().replace("\r\n", "\n");
        assert!(found == *text, "docs/reasons/{name} is stale: run this test with UPDATE_GOLDEN=1");
    }
}

#[test]
fn runbook_links_have_headings_to_point_to() {
    for reason in Reason::ALL {
        let page = markdown(entry(*reason));
        assert!(page.contains(&format!("\n# `{reason}`\n")), "{reason}");
        for heading in ["Evidence", "Causes", "Owner", "What to do", "Looks like it", "Metrics"] {
            assert_eq!(page.matches(&format!("\n## {heading}\n")).count(), 1, "{reason}: {heading}");
        }
    }
}

#[test]
fn queries_name_metrics_and_labels_that_exist() {
    let readme = include_str!("../../README.md");
    for reason in Reason::ALL {
        for query in entry(*reason).queries() {
            for after in query.split("spokeprobe_").skip(1) {
                let end = after.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(after.len());
                let name = after[..end].trim_end_matches("_bucket");
                assert!(readme.contains(&format!("| `{name}` |")), "{reason}: {name} in {query}");
            }
        }
    }
}
