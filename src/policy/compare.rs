//! What a policy in use lacks of ours, and what its statements of ours allow too much.
//!
//! Statements are matched by `Sid` and compared part by part, since AWS writes them back in other words: a text for a
//! list of one, an account's id for its root. Wildcards are understood. What other statements allow is not looked at:
//! they are not ours.

use super::document::{Document, VERSION};
use super::existing::{Existing, is_ours};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The statement.
    pub sid: String,
    /// What is the matter with it.
    pub text: String,
}

/// All that differs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// What ours allow and the policy does not.
    pub missing: Vec<Finding>,
    /// What its statements of ours allow beyond that, those of an earlier configuration included.
    pub too_wide: Vec<Finding>,
    /// The other statements: their `Sid`, or their place from 1.
    pub not_ours: Vec<String>,
}

impl Comparison {
    /// True when nothing is missing and nothing too wide.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.missing.is_empty() && self.too_wide.is_empty()
    }
}

/// Compares a policy in use with ours. A word that stands for what is not shown fits any value.
#[must_use]
pub fn compare(existing: &Existing, ours: &Document) -> Comparison {
    let mut found = Comparison::default();
    for statement in &ours.statements {
        let sid = statement["Sid"].as_str().unwrap_or_default();
        let theirs: Vec<&Value> =
            existing.statements().iter().filter(|other| other["Sid"] == statement["Sid"]).collect();
        let mut of_one = OfOne { sid, found: &mut found };
        match theirs.as_slice() {
            [] => of_one.missing("the statement is not there"),
            [one] => of_one.compare(&Parts::of(statement), one),
            [_, ..] => of_one.too_wide("there are several statements with this Sid"),
        }
    }
    let known: BTreeSet<&str> = ours.sids().collect();
    for (number, statement) in (1..).zip(existing.statements()) {
        let sid = statement["Sid"].as_str();
        match sid {
            Some(sid) if known.contains(sid) => {}
            Some(sid) if is_ours(statement) => OfOne { sid, found: &mut found }.too_wide(
                "it follows from nothing in this configuration; remove it unless another one needs it",
            ),
            Some(sid) if !sid.is_empty() => found.not_ours.push(sid.to_owned()),
            _ => found.not_ours.push(format!("statement {number}")),
        }
    }
    if !existing.has_variables() && ours.to_value().to_string().contains("${") {
        let text = format!("the document's Version is not {VERSION}, so ${{*}} is no literal star in it");
        found.missing.push(Finding { sid: "Version".to_owned(), text });
    }
    found
}

/// The findings of one statement.
struct OfOne<'a> {
    sid: &'a str,
    found: &'a mut Comparison,
}

impl OfOne<'_> {
    fn missing(&mut self, text: impl Into<String>) {
        self.found.missing.push(Finding { sid: self.sid.to_owned(), text: text.into() });
    }

    fn too_wide(&mut self, text: impl Into<String>) {
        self.found.too_wide.push(Finding { sid: self.sid.to_owned(), text: text.into() });
    }

    fn compare(&mut self, ours: &Parts, statement: &Value) {
        if statement["Effect"] != "Allow" {
            return self.missing("it does not allow, but denies");
        }
        for key in ["NotPrincipal", "NotAction", "NotResource"] {
            if statement.get(key).is_some() {
                return self.too_wide(format!("it has {key}, which allows all but what it names"));
            }
        }
        let theirs = Parts::of(statement);
        self.sets("principal", &ours.principals, &theirs.principals, covers);
        self.sets("action", &ours.actions, &theirs.actions, covers);
        self.sets("resource", &ours.resources, &theirs.resources, covers);
        for (condition, values) in &ours.conditions {
            let name = format!("{} {}", condition.0, condition.1);
            let secret = condition.1 == "sts:externalid";
            match theirs.conditions.get(condition) {
                None => self.too_wide(format!("the condition {name} is not there")),
                Some(_) if values.contains("EXTERNAL_ID") && secret => {}
                // An external id is nobody's business, also not in a report.
                Some(others) if secret => {
                    if !values.is_subset(others) {
                        self.missing("another external id is asked for");
                    }
                    if !others.is_subset(values) {
                        self.too_wide("it accepts another external id");
                    }
                }
                Some(others) => {
                    let patterns = condition.0.contains("like");
                    let by = if patterns { covers } else { same };
                    self.sets(&format!("value of {name}"), values, others, by);
                }
            }
        }
        for (operator, key) in theirs.conditions.keys().filter(|key| !ours.conditions.contains_key(*key)) {
            self.missing(format!("a further condition narrows it: {operator} {key}"));
        }
    }

    fn sets(
        &mut self,
        what: &str,
        ours: &BTreeSet<String>,
        theirs: &BTreeSet<String>,
        covers: fn(&str, &str) -> bool,
    ) {
        for value in ours.iter().filter(|value| !theirs.iter().any(|other| covers(other, value))) {
            self.missing(format!("{what} {value}"));
        }
        for value in theirs.iter().filter(|value| !ours.iter().any(|own| covers(own, value))) {
            // Tools print the unique id in place of a principal that was deleted.
            let gone = what == "principal" && (value.starts_with("AROA") || value.starts_with("AIDA"));
            let more = if gone { ", the unique id of a role that was deleted" } else { "" };
            self.too_wide(format!("{what} {value}{more}"));
        }
    }
}

/// A statement taken apart, each part in one way of writing.
struct Parts {
    principals: BTreeSet<String>,
    actions: BTreeSet<String>,
    resources: BTreeSet<String>,
    /// By operator and key, both in lower case.
    conditions: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Parts {
    fn of(statement: &Value) -> Self {
        let mut principals = BTreeSet::new();
        match &statement["Principal"] {
            Value::Object(kinds) => {
                for (kind, names) in kinds {
                    principals.extend(texts(names).map(|name| match kind.as_str() {
                        "AWS" => principal(name),
                        kind => format!("{kind} {name}"),
                    }));
                }
            }
            other => principals.extend(texts(other).map(str::to_owned)),
        }
        let mut conditions: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
            // The two names of the ARN operators mean the same.
            let operator = operator.to_lowercase().replace("arnequals", "arnlike");
            for (key, values) in keys.as_object().into_iter().flatten() {
                let values = texts(values).map(str::to_owned).collect::<BTreeSet<_>>();
                conditions.entry((operator.clone(), key.to_lowercase())).or_default().extend(values);
            }
        }
        Self {
            principals,
            actions: texts(&statement["Action"]).map(str::to_lowercase).collect(),
            resources: texts(&statement["Resource"]).map(str::to_owned).collect(),
            conditions,
        }
    }
}

/// The texts of a value: one, or a list.
pub(super) fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let one = value.as_str().into_iter();
    let more = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    one.chain(more)
}

/// An account by its id is the same as by its root.
fn principal(name: &str) -> String {
    let is_account = name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit());
    let root = name.strip_suffix(":root").and_then(|arn| arn.rsplit("::").next());
    match root {
        Some(account) => format!("account {account}"),
        None if is_account => format!("account {name}"),
        None => name.to_owned(),
    }
}

fn same(one: &str, other: &str) -> bool {
    one == other
}

/// Whether a pattern allows all that a text or a pattern allows.
pub(super) fn covers(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (tokens(pattern), tokens(text));
    fits(&pattern, &text)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Is(char),
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let escaped = [("${*}", '*'), ("${?}", '?'), ("${$}", '$')];
        let literal = escaped.into_iter().find(|(written, _)| rest.starts_with(written));
        let (token, length) = match (literal, c) {
            (Some((written, meant)), _) => (Token::Is(meant), written.len()),
            (None, '*') => (Token::Any, 1),
            (None, '?') => (Token::One, 1),
            (None, c) => (Token::Is(c), c.len_utf8()),
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

/// In time of the product of both lengths, whatever a file brings: the one star that may still grow is remembered.
fn fits(pattern: &[Token], text: &[Token]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(wanted) = text.get(t) {
        match pattern.get(p) {
            Some(Token::Any) => {
                star = Some((p, t));
                p += 1;
            }
            Some(Token::One) if *wanted != Token::Any => (p, t) = (p + 1, t + 1),
            Some(Token::Is(_)) if pattern.get(p) == Some(wanted) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|token| *token == Token::Any)
}
