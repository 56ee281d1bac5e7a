//! Entries are data that people rely on at night: what can be checked of them is.

use super::*;
use crate::domain::outcome::Outcome;

fn all() -> impl Iterator<Item = &'static Entry> {
    Reason::ALL.iter().map(|reason| entry(*reason))
}

/// Every text of an entry that people read.
fn texts(entry: &Entry) -> Vec<&'static str> {
    let mut texts = vec![entry.more];
    texts.extend(entry.evidence.iter().map(|evidence| evidence.sign));
    texts.extend(entry.causes);
    texts.extend(entry.steps.iter().map(|step| step.text));
    texts.extend(entry.looks_like);
    texts.extend(entry.statement.map(|statement| statement.goes_into));
    texts
}

#[test]
fn every_reason_has_an_entry_of_its_own_with_everything_in_it() {
    for (reason, entry) in Reason::ALL.iter().zip(all()) {
        assert_eq!(entry.reason, *reason);
        for part in [entry.evidence.len(), entry.causes.len(), entry.owners.len(), entry.steps.len()] {
            assert!(part > 0, "{reason}");
        }
        assert!(!entry.looks_like.is_empty(), "{reason}");
        for text in texts(entry) {
            assert!(text.ends_with('.') && !text.contains("  "), "{reason}: {text:?}");
        }
        let commands = entry.steps.iter().filter_map(|step| step.command);
        assert!(commands.into_iter().all(|command| !command.contains("  ")), "{reason}");
        let mut owners = entry.owners.to_vec();
        owners.sort_unstable();
        owners.dedup();
        assert_eq!(owners.len(), entry.owners.len(), "{reason} names an owner twice");
    }
}

#[test]
fn what_aws_says_is_shown_where_aws_says_something() {
    for entry in all() {
        let by_aws = matches!(entry.reason.outcome(), Outcome::Denied | Outcome::Throttled);
        assert!(!by_aws || !entry.pages.is_empty(), "{}", entry.reason);
        let measured = entry.evidence.iter().any(|evidence| evidence.sureness == Sureness::Measured);
        assert!(measured || entry.reason.outcome() != Outcome::Unreachable, "{}", entry.reason);
    }
    let used = |page: &Page| all().any(|entry| entry.pages.contains(page));
    for page in pages::ALL {
        assert!(page.url.starts_with("https://") && used(page), "{}", page.title);
        assert_eq!(pages::ALL.iter().filter(|other| other.url == page.url).count(), 1, "{}", page.title);
    }
}

#[test]
fn statements_are_json_that_only_allows_and_can_be_found_again() {
    for statement in all().filter_map(|entry| entry.statement) {
        let json: serde_json::Value = serde_json::from_str(statement.json).unwrap();
        assert_eq!(json["Effect"], "Allow");
        assert!(json["Sid"].as_str().unwrap().starts_with("Spokeprobe"));
        assert_ne!(json["Resource"], "*");
        assert_ne!(json["Principal"], "*");
    }
}

#[test]
fn vague_reasons_do_not_claim_more_than_they_know() {
    let owners = |reason: Reason| entry(reason).owners;
    for vague in [Reason::UnattributedPolicy, Reason::ResourceOrIdentityPolicy, Reason::Forbidden] {
        assert!(owners(vague).len() > 1, "{vague}");
    }
    for reason in [Reason::VpcEndpointPolicy, Reason::ResourcePolicy, Reason::IdentityPolicy] {
        assert_eq!(owners(reason).len(), 1, "{reason}");
    }
    assert!(entry(Reason::ResourceOrIdentityPolicy).more.contains("both"));
    assert!(entry(Reason::BackendStatus).more.contains("customised"));
}

#[test]
fn what_is_unconfirmed_is_never_the_only_evidence() {
    for entry in all() {
        let firm = entry.evidence.iter().any(|evidence| evidence.sureness != Sureness::Unconfirmed);
        assert!(firm, "{}", entry.reason);
    }
}

#[test]
fn text_keeps_to_its_width_and_commands_stay_whole() {
    for width in [0, 60, 100] {
        for entry in all() {
            let text = text(entry, width);
            let wrapped = |line: &&str| {
                line.starts_with("  - ") || !line.starts_with(' ') || line.trim_start().starts_with("1. ")
            };
            for line in text.lines().filter(wrapped) {
                let longest = line.split_whitespace().map(str::len).max().unwrap_or_default();
                assert!(line.chars().count() <= width.max(40).max(longest + 8), "{line:?}");
            }
            for command in entry.steps.iter().filter_map(|step| step.command) {
                assert!(text.contains(&format!("$ {command}\n")), "{command}");
            }
        }
    }
}

#[test]
fn queries_name_the_reason() {
    for entry in all() {
        let queries = entry.queries();
        assert!(queries[0].contains(&format!("reason=\"{}\"", entry.reason)));
        assert!(queries.iter().all(|query| query.contains("spokeprobe_")));
    }
}
