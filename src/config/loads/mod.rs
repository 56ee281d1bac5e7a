//! The `loads` section: runs of load by name, each a probe, stages, guards and perhaps a time of day.
//!
//! `stages` reads the shape of a run, `guards` what stops it, `reference` finds its probe and asks whether the
//! probe's api has opted in. The command's own arguments are read by the same code: it writes them as a load.

mod guards;
mod reference;
mod stages;
#[cfg(test)]
mod tests;

pub use reference::{LoadProblem, ProbeSpec};
pub(crate) use reference::{check, raw_probes};

use crate::config::environment::Allowed;
use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::{Context, Place, Value};
use crate::config::{Spoke, shapes, sorted};
use crate::domain::name::Name;
use crate::domain::target::TargetId;
use crate::load::Guards;
use crate::schedule::{Arrivals, Profile};
use crate::yaml::{self, Problem};
use std::time::Duration;

/// Unless it says otherwise, the rate of a stopped run goes down this long.
const DEFAULT_RAMP_DOWN: Duration = Duration::from_secs(5);

/// The words of `arrivals`.
const ARRIVALS: [&str; 2] = ["even", "poisson"];

pub(crate) static LOAD: Section = Section {
    about: "One run of load: a probe of an api with `max_rate`, driven at a set rate and watched by guards.",
    keys: &[
        Key::required("name", shapes::NAME, "nightly", "The run's name, a label of its metrics."),
        Key::required("probe", shapes::PROBE_PATH, "payments/hoot/hello", "The probe that is driven."),
        Key::required(
            "stages",
            Shape::List(&Shape::Section(&stages::STAGE)),
            "",
            "The shape of the run, stage after stage, 1s to 24h in all.",
        ),
        Key::optional(
            "arrivals",
            Shape::Word(&ARRIVALS),
            "even",
            "even strews arrivals evenly, poisson at random, as independent callers do; default even.",
        ),
        Key::optional(
            "guards",
            Shape::Section(&guards::GUARDS),
            "",
            "What stops the run. A guard that is not named has its default.",
        ),
        Key::optional(
            "at",
            shapes::TIME_OF_DAY,
            "\"02:00\"",
            "When it begins each day, HH:MM in UTC. Without it the run begins by command only.",
        ),
        Key::optional(
            "ramp_down",
            Shape::Duration("0s", "10m"),
            "5s",
            "How long the rate goes down to zero once the run is stopped, 0s to 10m, default 5s.",
        ),
    ],
};

/// A run of load, as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Its name.
    pub name: Name,
    /// The probe that is driven; never with a zone.
    pub probe: TargetId,
    /// When arrivals are due.
    pub profile: Profile,
    /// What stops it.
    pub guards: Guards,
    /// When it begins each day, since midnight UTC.
    pub at: Option<Duration>,
    /// How long the rate goes down once the run is stopped.
    pub ramp_down: Duration,
    /// Where it is.
    pub place: Place,
    /// Where `probe` is.
    pub probe_place: Place,
    /// What `probe` says, in quotes; hides the environment's values.
    pub(crate) probe_written: String,
    /// Where the stage with the highest rate is.
    pub peak_place: Place,
}

/// Reads the section.
pub(crate) fn read_all(value: &Value<'_>) -> Vec<Load> {
    let items = value.named_items("load").unwrap_or_default();
    items.iter().filter_map(read).collect()
}

/// Reads a run from a text of its own, as the command writes its arguments: nothing of the environment is
/// replaced in it. Whether its probe may be driven is for [`LoadProblem`]s to say.
///
/// # Errors
/// All problems, with `source` as the file.
pub fn read_load(source: &str, text: &str) -> Result<Load, Vec<Problem>> {
    let tree = yaml::parse(source, text)?;
    let nothing = |_: &str| None;
    let context = Context::new(source, Allowed::OwnOnly, &nothing);
    let load = read(&Value::root(&context, &tree));
    match (load, sorted(context.into_problems())) {
        (Some(load), problems) if problems.is_empty() => Ok(load),
        (_, problems) => Err(problems),
    }
}

/// Finds the probe of a run and asks whether it may be driven.
///
/// # Errors
/// Why not.
pub fn probe_of<'a>(load: &Load, spokes: &'a [Spoke]) -> Result<ProbeSpec<'a>, LoadProblem> {
    reference::find(load, spokes)
}

fn read(value: &Value<'_>) -> Option<Load> {
    let fields = value.fields(&LOAD)?;
    let name: Option<Name> = fields.get("name").and_then(|v| v.parsed(Name::WANTED));
    let probe = fields.get("probe").map(|v| (reference::read_path(&v), v.place(), v.found()));
    let staged = fields.get("stages").and_then(|v| stages::read(&v));
    let poisson = fields.get("arrivals").map(|v| v.word(&ARRIVALS).map(|word| word == "poisson"));
    let guards = fields.get("guards").map(|v| guards::read(&v));
    let at = fields.get("at").map(|v| read_time(&v));
    let ramp_down = fields.get("ramp_down").map(|v| v.duration("0s", "10m"));
    let (name, (probe, probe_place, probe_written), staged) = (name?, probe?, staged?);
    let arrivals = if poisson.unwrap_or(Some(false))? {
        // Each run of one name is the same run, so that two of them can be compared.
        Arrivals::Poisson { seed: seed(&name) }
    } else {
        Arrivals::Even
    };
    Some(Load {
        name,
        probe: probe?,
        profile: Profile { stages: staged.stages, arrivals },
        guards: guards.unwrap_or_else(|| Some(Guards::default()))?,
        at: match at {
            Some(at) => Some(at?),
            None => None,
        },
        ramp_down: ramp_down.unwrap_or(Some(DEFAULT_RAMP_DOWN))?,
        place: value.place(),
        probe_place,
        probe_written,
        peak_place: staged.peak_place,
    })
}

/// FNV-1a: any spread does, and it must stay the same from version to version.
fn seed(name: &Name) -> u64 {
    name.as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A time of day, `HH:MM`. Written without quotes it is still a text to this program, but other tools read
/// `02:00` as a number to the base of sixty (YAML 1.1), and write 120 back.
fn read_time(value: &Value<'_>) -> Option<Duration> {
    let wanted = shapes::TIME_OF_DAY.wanted();
    let text = value.text(&wanted)?.text;
    let digits = |part: &str, longest: usize| {
        let fits = (1..=longest).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if fits { part.parse::<u64>().ok() } else { None }
    };
    let time = |hours: u64, minutes: u64| {
        (hours < 24 && minutes < 60).then(|| Duration::from_secs(hours * 3_600 + minutes * 60))
    };
    if let Some((hours, minutes)) = text.split_once(':')
        && let (Some(h), Some(m)) = (digits(hours, 2), digits(minutes, 2))
    {
        return match time(h, m) {
            Some(time) if hours.len() == 2 && minutes.len() == 2 => Some(time),
            Some(_) => {
                let hint = format!("did you mean \"{h:02}:{m:02}\"?");
                value.refuse(wanted, Some(&hint))
            }
            None => value.refuse(wanted, None),
        };
    }
    // Only a plain number can have come from a tool that counts in sixties.
    let sixties = digits(&text, 4).filter(|number| *number >= 60 && time(number / 60, number % 60).is_some());
    let hint = sixties.map(|number| {
        format!(
            "some YAML tools turn 02:00 into 120; did you mean \"{:02}:{:02}\"? keep the quotes",
            number / 60,
            number % 60
        )
    });
    value.refuse(wanted, hint.as_deref())
}
