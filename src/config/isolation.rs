//! The `isolation` section: whether every spoke's role is tried at every other spoke's apis, and how often.

use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::{Context, Place, Value};
use crate::config::shapes;
use crate::domain::count;
use crate::domain::name::Name;
use crate::yaml::nearest;
use http::Method;
use std::collections::HashSet;
use std::time::Duration;

/// The methods that may be sent: if a door is open, the request is really made at somebody else's api.
const METHODS: [&str; 2] = ["GET", "HEAD"];
/// The word for all spokes.
const ALL: &str = "all";

pub(crate) static ISOLATION: Section = Section {
    about: "Tries the role of every spoke at the apis of every other spoke, to prove that they refuse it. Off without \
            this key; `isolation: {}` turns it on.",
    keys: &[
        Key::optional(
            "period",
            Shape::Duration("1m", "720h"),
            "24h",
            "Each pair of a role and a foreign api is tried once in it, 1m to 720h, default 24h.",
        ),
        Key::optional(
            "spokes",
            Shape::Either(&Shape::Word(&[ALL]), &Shape::List(&shapes::NAME)),
            "all",
            "The spokes that are tried at each other: all, or a list of names; default all.",
        ),
        Key::optional(
            "methods",
            Shape::OneOrMore(&Shape::Word(&METHODS)),
            "[GET, HEAD]",
            "Which of an api's own probes may be sent, default GET and HEAD.",
        ),
    ],
};

/// What is tried, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    /// Each pair is tried once in it.
    pub period: Duration,
    /// The spokes that take part, as callers and with their apis; `None` for all.
    pub spokes: Option<Vec<Name>>,
    /// The methods of probes that may be sent.
    pub methods: Vec<Method>,
    /// Where the section is.
    pub place: Place,
    /// Where each of `spokes` is, for the problem of an unknown one.
    pub(crate) spoke_places: Vec<Place>,
}

/// Reads the section.
pub(crate) fn read(value: &Value<'_>) -> Option<Isolation> {
    let fields = value.fields(&ISOLATION)?;
    let period = fields.get("period").map(|v| v.duration("1m", "720h"));
    let spokes = fields.get("spokes").map(|v| read_spokes(&v));
    let methods = fields.get("methods").map(|v| read_methods(&v));
    let (spokes, spoke_places) = spokes.unwrap_or(Some((None, Vec::new())))?;
    Some(Isolation {
        period: period.unwrap_or(Some(Duration::from_secs(86_400)))?,
        spokes,
        methods: methods.unwrap_or_else(|| Some(vec![Method::GET, Method::HEAD]))?,
        place: value.place(),
        spoke_places,
    })
}

/// `None` inside for all.
fn read_spokes(value: &Value<'_>) -> Option<(Option<Vec<Name>>, Vec<Place>)> {
    if !value.is_list() {
        return value.word(&[ALL]).map(|_| (None, Vec::new()));
    }
    let items = value.items("all, or a list of spokes")?;
    if items.len() < 2 {
        return value.problem(count::of(items.len(), "spoke"), "all, or at least two", None);
    }
    let names: Vec<Option<Name>> = items.iter().map(|item| item.parsed(Name::WANTED)).collect();
    let places = items.iter().map(Value::place).collect();
    Some((Some(names.into_iter().collect::<Option<_>>()?), places))
}

fn read_methods(value: &Value<'_>) -> Option<Vec<Method>> {
    let items = value.one_or_more();
    if items.is_empty() {
        return value.problem("no method", "GET, HEAD or both", None);
    }
    let methods: Vec<Option<Method>> = items
        .iter()
        .map(|item| Some(if item.word(&METHODS)? == "HEAD" { Method::HEAD } else { Method::GET }))
        .collect();
    methods.into_iter().collect()
}

/// Notes every spoke of `isolation` that nobody knows. While an included file is left out, its spokes are
/// unknown through no fault of this list, and isolation does without them.
pub(crate) fn refuse_unknown(context: &Context<'_>, isolation: Option<&Isolation>, names: &HashSet<String>) {
    let Some(isolation) = isolation else { return };
    let written = isolation.spokes.iter().flatten().zip(&isolation.spoke_places);
    for (name, place) in written.filter(|(name, _)| !names.contains(name.as_str())) {
        let hint = nearest(name.as_str(), names.iter().map(String::as_str));
        let hint = hint.map(|word| format!("did you mean `{word}`?"));
        context.note(place.problem("a spoke that is not known", "the name of a spoke", hint));
    }
}
