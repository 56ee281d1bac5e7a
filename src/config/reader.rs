//! Reading the marked tree value by value, collecting problems and going on after each.
//!
//! A `Value` is a node with its path; `Fields` a map with known keys. Every reader returns `None` after it
//! has noted a problem, so the callers above read everything first and give up last. That is what makes
//! all problems appear in one go.

use crate::config::environment::{self, Allowed, Replaced};
use crate::config::keys::{Section, Shape};
use crate::config::units;
use crate::domain::Invalid;
use crate::domain::secret::{ConfiguredText, Secret};
use crate::yaml::{self, Kind, Mark, Node, Problem, ScalarValue, nearest, resolve};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

/// Problems that are kept of one document; a file with more is not mended one by one.
const MAX_PROBLEMS: usize = 1_000;

/// What all values of one document share.
pub(crate) struct Context<'a> {
    pub(crate) file: &'a str,
    pub(crate) allowed: Allowed,
    pub(crate) environment: &'a dyn Fn(&str) -> Option<String>,
    problems: RefCell<Vec<Problem>>,
}

/// Where something is in the configuration, kept for problems that are found later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: String,
    /// Line from 1.
    pub line: usize,
    /// Column from 1.
    pub column: usize,
    /// The path, such as `spokes.payments.apis.hoot`.
    pub path: String,
}

impl Place {
    /// A problem at this place.
    #[must_use]
    pub fn problem(
        &self,
        found: impl Into<String>,
        wanted: impl Into<String>,
        hint: Option<String>,
    ) -> Problem {
        Problem {
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            path: self.path.clone(),
            found: found.into(),
            wanted: wanted.into(),
            hint,
        }
    }
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        file: &'a str,
        allowed: Allowed,
        environment: &'a dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self { file, allowed, environment, problems: RefCell::default() }
    }

    pub(crate) fn note(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MAX_PROBLEMS {
            problems.push(problem);
        }
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// A node with its path.
#[derive(Clone)]
pub(crate) struct Value<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) node: &'a Node,
    mark: Mark,
    path: Rc<str>,
}

impl<'a> Value<'a> {
    pub(crate) fn root(context: &'a Context<'a>, node: &'a Node) -> Self {
        Self { context, node, mark: node.mark, path: "".into() }
    }

    pub(crate) fn place(&self) -> Place {
        Place {
            file: self.context.file.to_owned(),
            line: self.mark.line,
            column: self.mark.column,
            path: self.path.to_string(),
        }
    }

    /// Notes a problem here; returns `None` so that a reader can end with it.
    pub(crate) fn problem<T>(
        &self,
        found: impl Into<String>,
        wanted: impl Into<String>,
        hint: Option<&str>,
    ) -> Option<T> {
        self.context.note(self.place().problem(found, wanted, hint.map(str::to_owned)));
        None
    }

    /// Notes that the value is not what was wanted.
    pub(crate) fn refuse<T>(&self, wanted: impl Into<String>, hint: Option<&str>) -> Option<T> {
        self.problem(self.found(), wanted, hint)
    }

    /// The value for a problem; `***` when any part came from the environment.
    pub(crate) fn found(&self) -> String {
        match &self.node.kind {
            Kind::Sequence(_) => "a list".to_owned(),
            Kind::Mapping(_) => "a map".to_owned(),
            Kind::Scalar(scalar) if scalar.text.is_empty() && scalar.plain => "nothing".to_owned(),
            Kind::Scalar(scalar) => match self.replaced_quietly(&scalar.text) {
                Some(replaced) if !replaced.from_environment => quoted(&replaced.text),
                _ => "`***` (from the environment)".to_owned(),
            },
        }
    }

    fn replaced_quietly(&self, text: &str) -> Option<Replaced> {
        environment::replace(text, self.context.allowed, self.context.environment).ok()
    }

    fn child(&self, key: &str, node: &'a Node, mark: Mark) -> Self {
        let key = yaml::shown(key);
        let path = if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path).into() };
        Self { context: self.context, node, mark, path }
    }

    /// The text of a scalar with the environment's values in it, and whether there are any.
    pub(crate) fn text(&self, wanted: &str) -> Option<Replaced> {
        let Kind::Scalar(scalar) = &self.node.kind else { return self.refuse(wanted, None) };
        if resolve(&scalar.text, scalar.plain) == ScalarValue::Null {
            return self.refuse(wanted, None);
        }
        match environment::replace(&scalar.text, self.context.allowed, self.context.environment) {
            Ok(replaced) => Some(replaced),
            Err(refused) => self.problem(refused.found, refused.wanted, refused.hint.as_deref()),
        }
    }

    /// What a scalar means after replacing.
    fn scalar(&self, wanted: &str) -> Option<(ScalarValue, String)> {
        let replaced = self.text(wanted)?;
        let plain = matches!(&self.node.kind, Kind::Scalar(scalar) if scalar.plain);
        Some((resolve(&replaced.text, plain), replaced.text))
    }

    /// A text with a form of its own.
    pub(crate) fn parsed<T: FromStr<Err = Invalid>>(&self, wanted: &str) -> Option<T> {
        let text = self.text(wanted)?.text;
        match text.parse() {
            Ok(value) => Some(value),
            Err(Invalid { wanted }) => self.refuse(wanted, None),
        }
    }

    pub(crate) fn word(&self, words: &[&'static str]) -> Option<&'static str> {
        let wanted = format!("one of {}", words.join(", "));
        let text = self.text(&wanted)?.text;
        match words.iter().find(|word| **word == text) {
            Some(word) => Some(word),
            None => {
                let hint =
                    nearest(&text, words.iter().copied()).map(|word| format!("did you mean `{word}`?"));
                self.refuse(wanted, hint.as_deref())
            }
        }
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.scalar("true or false")? {
            (ScalarValue::Bool(value), _) => Some(value),
            (_, text) => {
                let hint = match text.to_ascii_lowercase().as_str() {
                    "yes" | "on" | "y" | "true" => Some("write `true`, without quotes"),
                    "no" | "off" | "n" | "false" => Some("write `false`, without quotes"),
                    _ => None,
                };
                self.refuse("true or false", hint)
            }
        }
    }

    pub(crate) fn integer(&self, from: u64, to: u64) -> Option<u64> {
        let wanted = Shape::Integer(from, to).wanted();
        match self.scalar(&wanted)? {
            (ScalarValue::Number(number), _) => match number.as_u64() {
                Some(value) if (from..=to).contains(&value) => Some(value),
                _ => self.refuse(wanted, None),
            },
            (_, text) => self.refuse_as_number(&text, wanted),
        }
    }

    pub(crate) fn number(&self, above: f64, to: f64) -> Option<f64> {
        let wanted = Shape::Number(above, to).wanted();
        match self.scalar(&wanted)? {
            (ScalarValue::Number(number), _) => match number.as_f64() {
                Some(value) if value > above && value <= to => Some(value),
                _ => self.refuse(wanted, None),
            },
            (_, text) => self.refuse_as_number(&text, wanted),
        }
    }

    /// Notes that a scalar is no number; one in quotes looks like a number and is a text.
    fn refuse_as_number<T>(&self, text: &str, wanted: String) -> Option<T> {
        if !matches!(resolve(text, true), ScalarValue::Number(_)) {
            return self.refuse(wanted, None);
        }
        let found = self.found();
        let shown = found.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        let found = shown.map_or_else(|| found.clone(), |text| format!("the text \"{text}\""));
        self.problem(found, wanted, Some("remove the quotes"))
    }

    /// A duration between two that are written the same way.
    pub(crate) fn duration(&self, from: &'static str, to: &'static str) -> Option<Duration> {
        let wanted = Shape::Duration(from, to).wanted();
        let (value, text) = self.scalar(&wanted)?;
        let range = units::duration(from)..=units::duration(to);
        match units::duration(&text) {
            read @ Some(span) if range.contains(&read) => Some(span),
            Some(_) => self.refuse(wanted, None),
            None if matches!(value, ScalarValue::Number(_)) => self.refuse(wanted, Some("add the unit")),
            None => self.refuse(wanted, None),
        }
    }

    /// A rate, as attempts per second.
    pub(crate) fn rate(&self) -> Option<f64> {
        match units::rate(&self.text(units::RATE_WANTED)?.text) {
            Some(per_second) => Some(per_second),
            None => self.refuse(units::RATE_WANTED, None),
        }
    }

    /// The value of the first key of the two that is there, without any check.
    pub(crate) fn child_of(&self, one: &str, other: &str) -> Option<Self> {
        let Kind::Mapping(entries) = &self.node.kind else { return None };
        let entry = entries.iter().find(|entry| entry.key == one || entry.key == other)?;
        Some(self.child(&entry.key, &entry.value, entry.value.mark))
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.node.kind, Kind::Sequence(_))
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self.node.kind, Kind::Mapping(_))
    }

    /// The items of a list.
    pub(crate) fn items(&self, wanted: &str) -> Option<Vec<Self>> {
        let Kind::Sequence(items) = &self.node.kind else {
            let hint = self.is_map().then_some("begin each item with `- `");
            return self.refuse(wanted, hint);
        };
        let item = |(index, node): (usize, &'a Node)| {
            // A name says more than a number, and survives an insertion above.
            let path = match name_of(node) {
                Some(name) if self.path.is_empty() => name.into(),
                Some(name) => format!("{}.{name}", self.path).into(),
                None => format!("{}[{index}]", self.path).into(),
            };
            Self { context: self.context, node, mark: node.mark, path }
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The items of a list whose `name` must differ. Compared as written, so a repeated name is found
    /// even when something else is wrong with its item.
    pub(crate) fn named_items(&self, what: &'static str) -> Option<Vec<Self>> {
        let items = self.items(&format!("a list of {what}s"))?;
        let mut seen: HashMap<&str, Place> = HashMap::new();
        for item in &items {
            let Some(name) = name_of(item.node) else { continue };
            match seen.get(name) {
                Some(first) => self.context.note(repeated_name(&item.place(), first, what)),
                None => drop(seen.insert(name, item.place())),
            }
        }
        Some(items)
    }

    /// The items of a list, or the value itself.
    pub(crate) fn one_or_more(&self) -> Vec<Self> {
        if self.is_list() { self.items("a list").unwrap_or_default() } else { vec![self.clone()] }
    }

    /// Keys and values of a map with free keys; a repeated key is a problem and left out.
    pub(crate) fn entries(&self, wanted: &str) -> Option<Vec<(&'a str, Self)>> {
        let Kind::Mapping(entries) = &self.node.kind else { return self.refuse(wanted, None) };
        let mut read = Vec::with_capacity(entries.len());
        for entry in entries {
            let value = self.child(&entry.key, &entry.value, entry.value.mark);
            match entry.repeats {
                None => read.push((entry.key.as_str(), value)),
                Some(first) => {
                    let hint = format!("the first is at {}:{}", first.line, first.column);
                    let at_key = self.child(&entry.key, &entry.value, entry.mark);
                    at_key.problem::<()>("the same key again", "each key once", Some(&hint));
                }
            }
        }
        Some(read)
    }

    /// A map with known keys. Unknown, repeated and missing ones are noted.
    pub(crate) fn fields(&self, section: &'static Section) -> Option<Fields<'a>> {
        let entries = self.entries("a map")?;
        let Kind::Mapping(raw) = &self.node.kind else { return None };
        for entry in raw.iter().filter(|entry| entry.repeats.is_none()) {
            let at_key = self.child(&entry.key, &entry.value, entry.mark);
            if section.key(&entry.key).is_none() {
                let names = section.keys.iter().map(|key| key.name);
                let hint = nearest(&entry.key, names).map(|word| format!("did you mean `{word}`?"));
                at_key.problem::<()>(
                    format!("the unknown key {}", quoted(&entry.key)),
                    section.names(),
                    hint.as_deref(),
                );
            }
        }
        for key in section.keys.iter().filter(|key| key.required) {
            if !entries.iter().any(|(name, _)| *name == key.name) {
                self.problem::<()>(format!("no `{}`", key.name), key.shape.wanted(), None);
            }
        }
        Some(Fields { value: self.clone(), section, entries })
    }

    /// The value as JSON, with the environment's values in texts; the flag tells whether there are any.
    pub(crate) fn json(&self) -> Option<(serde_json::Value, bool)> {
        use serde_json::Value as Json;
        match &self.node.kind {
            Kind::Scalar(scalar) => {
                if resolve(&scalar.text, scalar.plain) == ScalarValue::Null {
                    return Some((Json::Null, false));
                }
                let replaced = self.text("a JSON value")?;
                let value = match resolve(&replaced.text, scalar.plain) {
                    ScalarValue::Null => Json::Null,
                    ScalarValue::Bool(value) => Json::Bool(value),
                    ScalarValue::Number(number) => Json::Number(number),
                    ScalarValue::Text => Json::String(replaced.text),
                };
                Some((value, replaced.from_environment))
            }
            Kind::Sequence(_) => {
                let items: Vec<_> = self.items("a list")?.iter().map(Self::json).collect();
                let items: Vec<(Json, bool)> = items.into_iter().collect::<Option<_>>()?;
                let secret = items.iter().any(|(_, secret)| *secret);
                Some((Json::Array(items.into_iter().map(|(item, _)| item).collect()), secret))
            }
            Kind::Mapping(_) => {
                let entries = self.entries("a map")?;
                let read: Vec<_> = entries.iter().map(|(key, value)| Some((*key, value.json()?))).collect();
                let read: Vec<(&str, (Json, bool))> = read.into_iter().collect::<Option<_>>()?;
                let secret = read.iter().any(|(_, (_, secret))| *secret);
                let map = read.into_iter().map(|(key, (value, _))| (key.to_owned(), value)).collect();
                Some((Json::Object(map), secret))
            }
        }
    }
}

/// A map whose keys are known.
pub(crate) struct Fields<'a> {
    pub(crate) value: Value<'a>,
    section: &'static Section,
    entries: Vec<(&'a str, Value<'a>)>,
}

impl<'a> Fields<'a> {
    /// The value of a key, if it is there.
    pub(crate) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        debug_assert!(self.section.key(key).is_some(), "`{key}` is read but not in the table");
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())
    }

    /// True when the key is there.
    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }
}

/// The text as a secret, if any part of it came from the environment.
pub(crate) fn configured(replaced: Replaced) -> ConfiguredText {
    if replaced.from_environment {
        ConfiguredText::FromEnvironment(Secret::new(replaced.text))
    } else {
        ConfiguredText::Plain(replaced.text)
    }
}

/// The problem of a name that was there before. The path says which; the name may be the environment's.
pub(crate) fn repeated_name(place: &Place, first: &Place, what: &str) -> Problem {
    let hint = format!("the first is at {}:{}:{}", first.file, first.line, first.column);
    place.problem(format!("a second {what} of this name"), "each name once", Some(hint))
}

/// The `name` of an item, when it is one.
fn name_of(node: &Node) -> Option<&str> {
    let Kind::Mapping(entries) = &node.kind else { return None };
    let value = &entries.iter().find(|entry| entry.key == "name")?.value;
    let Kind::Scalar(scalar) = &value.kind else { return None };
    scalar.text.parse::<crate::domain::name::Name>().is_ok().then_some(scalar.text.as_str())
}

/// A text in quotes, short and on one line.
pub(crate) fn quoted(text: &str) -> String {
    format!("`{}`", yaml::shown(text))
}
