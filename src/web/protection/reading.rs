//! Reading the web configuration file value by value, collecting problems and going on after each.
//!
//! `config` has a reader of its own, which knows about the environment, schemas and units of this program. The file
//! here is another tool's format: nothing in it is replaced, an empty value means "not given", and most of it must
//! not be repeated in a problem. What both share is the tree with its places.

use crate::yaml::{Kind, Mark, Node, Problem, ScalarValue, nearest, resolve, shown};
use std::cell::RefCell;

/// Problems that are kept of one file.
const MAX_PROBLEMS: usize = 100;

/// Where a value is, for problems that are found later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    file: String,
    mark: Mark,
    path: String,
}

impl Place {
    /// A problem at this place.
    pub(super) fn problem(
        &self,
        found: impl Into<String>,
        wanted: impl Into<String>,
        hint: Option<&str>,
    ) -> Problem {
        Problem {
            file: self.file.clone(),
            line: self.mark.line,
            column: self.mark.column,
            path: self.path.clone(),
            found: found.into(),
            wanted: wanted.into(),
            hint: hint.map(str::to_owned),
        }
    }

    /// The path, such as `tls_server_config.min_version`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// Where problems of a file are collected.
pub(super) struct Problems<'a> {
    file: &'a str,
    list: RefCell<Vec<Problem>>,
}

impl<'a> Problems<'a> {
    pub(super) fn of(file: &'a str) -> Self {
        Self { file, list: RefCell::default() }
    }

    pub(super) fn note(&self, problem: Problem) {
        let mut list = self.list.borrow_mut();
        if list.len() < MAX_PROBLEMS {
            list.push(problem);
        }
    }

    /// All of them by place, or nothing.
    pub(super) fn into_result(self) -> Result<(), Vec<Problem>> {
        let mut list = self.list.into_inner();
        list.sort();
        list.dedup();
        if list.is_empty() { Ok(()) } else { Err(list) }
    }
}

/// A value with its place. Every method returns `None` after it has noted a problem, and for a value that is empty.
#[derive(Clone)]
pub(super) struct Value<'a> {
    problems: &'a Problems<'a>,
    node: &'a Node,
    mark: Mark,
    path: String,
}

/// A map with known keys.
pub(super) struct Fields<'a> {
    entries: Vec<(&'a str, Value<'a>)>,
}

impl<'a> Fields<'a> {
    /// The value of a key, if it is there and not empty.
    pub(super) fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}

impl<'a> Value<'a> {
    pub(super) fn root(problems: &'a Problems<'a>, node: &'a Node) -> Self {
        Self { problems, node, mark: node.mark, path: String::new() }
    }

    pub(super) fn place(&self) -> Place {
        Place { file: self.problems.file.to_owned(), mark: self.mark, path: self.path.clone() }
    }

    /// Notes a problem here.
    pub(super) fn problem<T>(
        &self,
        found: impl Into<String>,
        wanted: impl Into<String>,
        hint: Option<&str>,
    ) -> Option<T> {
        self.problems.note(self.place().problem(found, wanted, hint));
        None
    }

    /// True for what counts as not given.
    fn is_nothing(&self) -> bool {
        matches!(&self.node.kind, Kind::Scalar(scalar)
            if scalar.text.is_empty() || resolve(&scalar.text, scalar.plain) == ScalarValue::Null)
    }

    /// What stands here in words, without any text of the file.
    const fn form(&self) -> &'static str {
        match self.node.kind {
            Kind::Scalar(_) => "a single value",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a map",
        }
    }

    /// Keys and values of a map. Repeated keys are noted and left out, empty values left out.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Self)>> {
        if self.is_nothing() {
            return None;
        }
        let Kind::Mapping(entries) = &self.node.kind else {
            return self.problem(self.form(), "a map", None);
        };
        let mut read = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = shown(&entry.key);
            let path = if self.path.is_empty() { key } else { format!("{}.{key}", self.path) };
            let mut value =
                Self { problems: self.problems, node: &entry.value, mark: entry.value.mark, path };
            if let Some(first) = entry.repeats {
                value.mark = entry.mark;
                let hint = format!("the first is at {}:{}", first.line, first.column);
                value.problem::<()>("the same key again", "each key once", Some(&hint));
            } else {
                read.push((entry.key.as_str(), value));
            }
        }
        Some(read)
    }

    /// A map with known keys; others are noted.
    pub(super) fn fields(&self, known: &[&'static str]) -> Option<Fields<'a>> {
        let mut entries = self.entries()?;
        let Kind::Mapping(raw) = &self.node.kind else { return None };
        for (key, value) in &mut entries {
            if !known.contains(key) {
                // The problem is the key, and its value may begin lines below.
                value.mark =
                    raw.iter().find(|entry| entry.key == *key).map_or(value.mark, |entry| entry.mark);
                let hint = nearest(key, known.iter().copied()).map(|word| format!("did you mean `{word}`?"));
                let found = format!("the unknown key `{}`", shown(key));
                let wanted = format!("one of {}", known.join(", "));
                value.problem::<()>(found, wanted, hint.as_deref());
            }
        }
        entries.retain(|(_, value)| !value.is_nothing());
        Some(Fields { entries })
    }

    /// A text that may be shown in problems.
    pub(super) fn text(&self, wanted: &str) -> Option<&'a str> {
        match &self.node.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            _ => self.problem(self.form(), wanted, None),
        }
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let names = || words.iter().map(|(name, _)| *name);
        let wanted = format!("one of {}", names().collect::<Vec<_>>().join(", "));
        let text = self.text(&wanted)?;
        match words.iter().find(|(name, _)| *name == text) {
            Some((_, value)) => Some(*value),
            None => {
                let hint = nearest(text, names()).map(|word| format!("did you mean `{word}`?"));
                self.problem(format!("`{}`", shown(text)), wanted, hint.as_deref())
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        match &self.node.kind {
            Kind::Scalar(scalar) => match resolve(&scalar.text, scalar.plain) {
                ScalarValue::Bool(value) => Some(value),
                _ => self.problem(format!("`{}`", shown(&scalar.text)), "true or false", None),
            },
            _ => self.problem(self.form(), "true or false", None),
        }
    }

    /// A whole number in a range.
    pub(super) fn integer(&self, from: u64, to: u64) -> Option<u64> {
        let wanted = format!("a whole number from {from} to {to}");
        let Kind::Scalar(scalar) = &self.node.kind else { return self.problem(self.form(), wanted, None) };
        let value = match resolve(&scalar.text, scalar.plain) {
            ScalarValue::Number(number) => number.as_u64(),
            _ => None,
        };
        match value.filter(|value| (from..=to).contains(value)) {
            Some(value) => Some(value),
            None => self.problem(format!("`{}`", shown(&scalar.text)), wanted, None),
        }
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        let Kind::Sequence(items) = &self.node.kind else {
            return self.problem(self.form(), "a list", Some("begin each item with `- `"));
        };
        let item = |(index, node): (usize, &'a Node)| Self {
            problems: self.problems,
            node,
            mark: node.mark,
            path: format!("{}[{index}]", self.path),
        };
        Some(items.iter().enumerate().map(item).collect())
    }
}
