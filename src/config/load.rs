//! The `load` section: what all runs of load share.

use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::{Place, Value};
use crate::config::shapes;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) static LOAD: Section = Section {
    about: "What all runs of load share.",
    keys: &[
        Key::optional(
            "reuse_signatures",
            Shape::Bool,
            "true",
            "Whether a signed request may serve all attempts of its second, default true.",
        ),
        Key::optional(
            "stop_file",
            shapes::STOP_FILE,
            "/run/spokeprobe/stop-loads",
            "While this file exists, every run is stopped and none begins.",
        ),
        Key::optional(
            "cool_down",
            Shape::Duration("0s", "24h"),
            "10m",
            "How long no run begins on an account after a guard stopped one there, 0s to 24h, default 10m.",
        ),
        Key::optional(
            "in_flight",
            Shape::Integer(1, 100_000),
            "100",
            "Requests of one run in flight. Default: the smaller of limits.in_flight and \
             limits.in_flight_per_account.",
        ),
    ],
};

/// What all runs share, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRules {
    /// Whether a signed request may serve all attempts of its second.
    pub reuse_signatures: bool,
    /// While it exists, every run is stopped and none begins.
    pub stop_file: Option<PathBuf>,
    /// How long no run begins on an account after a guard stopped one there.
    pub cool_down: Duration,
    /// Requests of one run in flight.
    pub in_flight: Option<usize>,
    /// Where `in_flight` is, if it is there.
    pub(crate) in_flight_place: Option<Place>,
}

impl Default for LoadRules {
    fn default() -> Self {
        Self {
            reuse_signatures: true,
            stop_file: None,
            cool_down: Duration::from_secs(600),
            in_flight: None,
            in_flight_place: None,
        }
    }
}

/// Reads the section.
pub(crate) fn read(value: &Value<'_>) -> Option<LoadRules> {
    let fields = value.fields(&LOAD)?;
    let built_in = LoadRules::default();
    let stop_file = fields.get("stop_file").and_then(|v| {
        let text = v.text(&shapes::STOP_FILE.wanted())?.text;
        // A relative one would lie wherever the agent was started, which nobody knows in an emergency.
        if text.starts_with('/') && text.len() > 1 {
            Some(PathBuf::from(text))
        } else {
            v.refuse(shapes::STOP_FILE.wanted(), None)
        }
    });
    let in_flight = fields.get("in_flight");
    Some(LoadRules {
        reuse_signatures: fields
            .get("reuse_signatures")
            .and_then(|v| v.boolean())
            .unwrap_or(built_in.reuse_signatures),
        stop_file,
        cool_down: fields
            .get("cool_down")
            .and_then(|v| v.duration("0s", "24h"))
            .unwrap_or(built_in.cool_down),
        in_flight_place: in_flight.as_ref().map(Value::place),
        in_flight: in_flight.and_then(|v| v.integer(1, 100_000)).and_then(|n| usize::try_from(n).ok()),
    })
}
