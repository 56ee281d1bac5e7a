//! What `policy` prints: documents to stdout, sizes and what to know about them to stderr.

use super::arguments::Kind;
use crate::cli::{Exit, output};
use crate::policy::{self, Comparison, Existing, Limit, Merged, Policy, grouped};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One policy bare, so that it can be applied; several with a line above each.
pub(super) fn print(kind: &Kind, policies: &[Policy]) {
    let size = |policy: &Policy| policy.limit.size(&policy.document.to_value());
    let against_limit = |policy: &Policy| {
        format!("{} of {} characters", grouped(size(policy)), grouped(policy.limit.characters()))
    };
    let head = |policy: &Policy| {
        format!("{}: for {}, {}", policy.keys.join(", "), policy.goes_into, against_limit(policy))
    };
    if kind.shared().json {
        let by_key: Map<String, Value> = policies
            .iter()
            .flat_map(|policy| policy.keys.iter().map(|key| (key.clone(), policy.document.to_value())))
            .collect();
        output::json(&Value::Object(by_key));
    } else if let [policy] = policies {
        output::result(&policy.limit.printed(&policy.document.to_value()).0);
    } else {
        let shown = |policy: &Policy| {
            format!("# {}\n{}\n", head(policy), policy.limit.printed(&policy.document.to_value()).0)
        };
        output::result(&policies.iter().map(shown).collect::<Vec<_>>().join("\n"));
    }
    match policies {
        [policy] => output::note(&head(policy)),
        _ => {
            if let Some(largest) = policies.iter().max_by_key(|policy| size(policy)) {
                let count = policies.len();
                output::note(&format!("{count} policies; the largest is {}", head(largest)));
            }
        }
    }
    notes(kind, policies);
}

/// Each note once, with whom it is about.
fn notes(kind: &Kind, policies: &[Policy]) {
    for advice in kind.advice() {
        output::note(&format!("note: {advice}"));
    }
    let mut about: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for policy in policies {
        let remark = policy.limit.remark(policy.limit.size(&policy.document.to_value()));
        for note in policy.notes.iter().cloned().chain(remark) {
            about.entry(note).or_default().extend(policy.keys.first().map(String::as_str));
        }
    }
    for (note, keys) in about {
        let whom = match keys.as_slice() {
            _ if policies.len() == 1 => String::new(),
            [one] if note.starts_with(one) => String::new(),
            [one] => format!("{one}: "),
            [first, ..] => format!("{first} and {} more: ", keys.len() - 1),
            [] => String::new(),
        };
        output::note(&format!("note: {whom}{note}"));
    }
}

pub(super) fn merged(kind: &Kind, policy: &Policy, existing: &Existing, merged: &Merged) -> Exit {
    let limit: Limit = policy.limit;
    let (text, size) = limit.printed(&merged.document);
    output::result(&text);
    let list = |sids: &[String]| if sids.is_empty() { "none".to_owned() } else { sids.join(", ") };
    output::note(&format!(
        "for {}, {} of {} characters; added: {}; replaced: {}",
        policy.goes_into,
        grouped(size),
        grouped(limit.characters()),
        list(&merged.added),
        list(&merged.replaced)
    ));
    if !merged.left_over.is_empty() {
        output::note(&format!(
            "note: kept, although they follow from nothing in this configuration: {}",
            merged.left_over.join(", ")
        ));
    }
    for remark in existing
        .remarks(kind.place(), &policy.document)
        .iter()
        .chain(&policy.notes)
        .chain(&limit.remark(size))
    {
        output::note(&format!("note: {remark}"));
    }
    // Merged, the statements stand beside those of others; what remains is what is true of them anyway.
    for advice in kind.advice().iter().skip(1) {
        output::note(&format!("note: {advice}"));
    }
    Exit::Expected
}

pub(super) fn as_json(found: &Comparison) -> Value {
    let list = |findings: &[policy::Finding]| -> Value {
        findings.iter().map(|finding| json!({"sid": finding.sid, "text": finding.text})).collect()
    };
    json!({
        "missing": list(&found.missing),
        "too_wide": list(&found.too_wide),
        "not_ours": found.not_ours,
    })
}

pub(super) fn as_text(found: &Comparison) -> String {
    let one_line = |text: &str| -> String {
        text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
    };
    let line = |word: &str, finding: &policy::Finding| {
        format!("{word:<9} {}: {}", one_line(&finding.sid), one_line(&finding.text))
    };
    let mut lines: Vec<String> = found.missing.iter().map(|finding| line("missing", finding)).collect();
    lines.extend(found.too_wide.iter().map(|finding| line("too wide", finding)));
    if found.is_same() {
        lines.push("ours      complete, and no wider than asked for".to_owned());
    }
    lines.extend(found.not_ours.iter().map(|sid| format!("{:<9} {}", "not ours", one_line(sid))));
    lines.join("\n")
}
