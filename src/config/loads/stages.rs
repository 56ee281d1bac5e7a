//! The stages of a run: four forms of one map, read one after the other, since each goes on at the rate where the
//! one before it ended.

use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::{Fields, Place, Value};
use crate::config::units::{self, duration_text};
use crate::schedule::{Arrivals, Profile, Stage};
use crate::yaml::Kind;
use std::f64::consts::TAU;
use std::time::Duration;

/// The longest run: one that is due each day must end before it is due again.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The shortest run: the report counts in seconds.
const SHORTEST: Duration = Duration::from_secs(1);
/// More stages than anybody draws; a finer shape is a matter of the engine.
const MOST_STAGES: usize = 1_000;
/// How long one stage lasts.
const STAGE_LASTS: Shape = Shape::Duration("100ms", "24h");
/// The forms of a stage, in words.
const FORMS: &str = "one of {to: RATE, for: TIME}, {at: RATE, for: TIME}, {hold: TIME}, {between: [RATE, RATE], \
                     period: TIME, for: TIME}";

pub(crate) static STAGE: Section = Section {
    about: "One stage: `to` and `for` go evenly to a rate, from the rate before (0 at first); `at` and `for` step \
            to it at once; `hold` keeps the rate before; `between`, `period` and `for` swing between two rates.",
    keys: &[
        Key::optional("to", Shape::Rate, "20/s", "The rate at the end of a ramp; 0/s is allowed here."),
        Key::optional("at", Shape::Rate, "20/s", "A constant rate from the first moment of the stage."),
        Key::optional("hold", STAGE_LASTS, "5m", "How long the rate before stays, 100ms to 24h."),
        Key::optional(
            "between",
            Shape::List(&Shape::Rate),
            "[\"10/s\", \"30/s\"]",
            "The lowest and the highest rate of a swing, which begins in the middle and rises.",
        ),
        Key::optional("period", Shape::Duration("1s", "24h"), "1m", "The time of one swing, 1s to 24h."),
        Key::optional("for", STAGE_LASTS, "1m", "How long the stage lasts, 100ms to 24h."),
    ],
};

/// The stages of a run and where the highest rate is.
pub(super) struct Staged {
    pub(super) stages: Vec<Stage>,
    pub(super) peak_place: Place,
}

/// Reads the list.
pub(super) fn read(value: &Value<'_>) -> Option<Staged> {
    let items = value.items("a list of stages")?;
    if items.is_empty() || items.len() > MOST_STAGES {
        return value.problem(
            format!("{} stages", items.len()),
            format!("at least one, at most {MOST_STAGES}"),
            Some("such as `{to: 20/s, for: 1m}`"),
        );
    }
    let mut stages: Vec<(Stage, Value<'_>)> = Vec::with_capacity(items.len());
    let mut whole = true;
    let mut rate = Before::Nothing;
    for item in &items {
        let stage = one(item, rate);
        // What follows a stage that could not be read has no problem of its own for it.
        rate = stage.map_or(Before::Unknown, |stage| Before::Rate(rate_at_end(&stage)));
        match stage {
            Some(stage) => stages.push((stage, item.clone())),
            None => whole = false,
        }
    }
    let profile: Vec<Stage> = stages.iter().map(|(stage, _)| *stage).collect();
    let lasts: Duration = profile.iter().map(Stage::lasts).sum();
    let written = |at: Duration| duration_text(at);
    if lasts > LONGEST || (whole && lasts < SHORTEST) {
        return value.problem(
            format!("stages of {} in all", written(lasts)),
            format!("{} to {}", written(SHORTEST), written(LONGEST)),
            None,
        );
    }
    if !whole {
        return None;
    }
    let shape = Profile { stages: profile, arrivals: Arrivals::Even };
    if shape.expected_arrivals(Duration::ZERO, lasts) < 1.0 {
        return value.problem(
            "stages that never send anything",
            "at least one request in all",
            Some("raise a rate, or make a stage longer"),
        );
    }
    let highest = shape.peak();
    // The first that gets there: those after it only keep what it brought.
    let peak = stages.iter().find(|(stage, _)| stage.peak() >= highest);
    let peak_place = peak.map_or_else(|| value.place(), |(_, at)| at.place());
    Some(Staged { stages: shape.stages, peak_place })
}

/// The rate where the stage before ended.
#[derive(Clone, Copy)]
enum Before {
    /// There is none: it is the first.
    Nothing,
    /// It could not be read.
    Unknown,
    Rate(f64),
}

fn one(value: &Value<'_>, before: Before) -> Option<Stage> {
    let fields = value.fields(&STAGE)?;
    let forms = ["to", "at", "hold", "between"];
    let named: Vec<&'static str> = forms.into_iter().filter(|form| fields.has(form)).collect();
    let form = match named.as_slice() {
        [form] => *form,
        // A misspelt key has its problem already, and was probably the rate.
        [] if has_unknown_keys(value) => return None,
        [] => return value.problem("a stage without a rate", FORMS, None),
        [one, other, ..] => return value.problem(format!("both `{one}` and `{other}`"), FORMS, None),
    };
    for (key, forms) in [("for", ["to", "at", "between"].as_slice()), ("period", &["between"])] {
        if fields.has(key) && !forms.contains(&form) {
            let hint = (key == "for").then_some("`hold` is itself how long");
            return value.problem(format!("`{key}` beside `{form}`"), FORMS, hint);
        }
    }
    match form {
        "hold" => hold(&fields, before),
        "to" => {
            let lasts = lasts(&fields, form);
            let at = fields.get("to")?;
            let to = rate(&at, true);
            let (lasts, to) = (lasts?, to?);
            let from = match before {
                Before::Nothing => 0.0,
                Before::Rate(rate) => rate,
                // Any rate does: the run is not made.
                Before::Unknown => to,
            };
            if from == 0.0 && to == 0.0 {
                return at.problem(
                    "a ramp from 0/s to 0/s, which never sends anything",
                    "a rate above it at one end",
                    None,
                );
            }
            Some(Stage::Ramp { from, to, lasts })
        }
        "at" => {
            let lasts = lasts(&fields, form);
            let rate = fields.get("at").and_then(|v| rate(&v, false));
            Some(Stage::Hold { rate: rate?, lasts: lasts? })
        }
        _ => swing(&fields),
    }
}

fn has_unknown_keys(value: &Value<'_>) -> bool {
    let Kind::Mapping(entries) = &value.node.kind else { return false };
    entries.iter().any(|entry| STAGE.key(&entry.key).is_none())
}

fn hold(fields: &Fields<'_>, before: Before) -> Option<Stage> {
    let at = fields.get("hold")?;
    let lasts = at.duration("100ms", "24h");
    let rate = match before {
        Before::Rate(rate) if rate > 0.0 => rate,
        Before::Unknown => return None,
        Before::Rate(_) => {
            return at.problem(
                "`hold` after a ramp to 0/s, which never sends anything",
                "a stage before it that ends above 0/s",
                Some("leave it out, or begin a new ramp"),
            );
        }
        Before::Nothing => {
            return at.problem(
                "`hold` as the first stage, where the rate is still 0/s",
                "a stage before it with a rate",
                Some("begin with `{at: 20/s, for: 1m}` or `{to: 20/s, for: 1m}`"),
            );
        }
    };
    Some(Stage::Hold { rate, lasts: lasts? })
}

fn swing(fields: &Fields<'_>) -> Option<Stage> {
    let lasts = lasts(fields, "between");
    let period = match fields.get("period") {
        Some(at) => at.duration("1s", "24h"),
        None => fields.value.problem("`between` without `period`", FORMS, None),
    };
    let at = fields.get("between")?;
    let rates = at.items("a list of two rates")?;
    let [low, high] = rates.as_slice() else {
        return at.problem(format!("{} rates", rates.len()), "two, the lower one first", None);
    };
    let (low_rate, high_rate) = (rate(low, false), rate(high, false));
    let (low_rate, high_rate) = (low_rate?, high_rate?);
    if low_rate >= high_rate {
        let found = format!("{} before {}", low.found(), high.found());
        return at.problem(found, "the lower rate first, and two that differ", None);
    }
    Some(Stage::Sine { low: low_rate, high: high_rate, period: period?, lasts: lasts? })
}

fn lasts(fields: &Fields<'_>, form: &str) -> Option<Duration> {
    match fields.get("for") {
        Some(at) => at.duration("100ms", "24h"),
        None => fields.value.problem(format!("`{form}` without `for`"), FORMS, None),
    }
}

/// A rate of a stage. Zero has no business but at the end of a ramp.
fn rate(value: &Value<'_>, zero_too: bool) -> Option<f64> {
    let wanted =
        if zero_too { format!("0/s or {}", units::RATE_WANTED) } else { units::RATE_WANTED.to_owned() };
    let text = value.text(&wanted)?.text;
    if let Some(rate) = units::rate(&text) {
        return Some(rate);
    }
    let hint = match units::any_rate(&text) {
        Some(0.0) if zero_too => return Some(0.0),
        Some(0.0) => Some("0/s never sends anything; only a ramp may end there, with `to`"),
        Some(rate) if rate > units::MAX_RATE_PER_SECOND => Some("no agent sends that much"),
        Some(_) => None,
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => Some("add the unit"),
        None => None,
    };
    value.refuse(wanted, hint)
}

fn rate_at_end(stage: &Stage) -> f64 {
    match *stage {
        Stage::Hold { rate, .. } => rate,
        Stage::Ramp { to, .. } => to,
        Stage::Sine { low, high, period, lasts } => {
            let swings = lasts.as_secs_f64() / period.as_secs_f64();
            f64::midpoint(low, high) + (high - low) / 2.0 * (TAU * swings).sin()
        }
    }
}
