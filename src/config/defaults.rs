//! The `defaults` and `limits` sections: what spokes and probes inherit, and what nobody exceeds.

use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::{Place, Value};
use crate::config::shapes;
use crate::domain::account::AccountId;
use crate::domain::arn::{ROLE_NAME_WANTED, RoleArn};
use crate::domain::region::Partition;
use std::time::Duration;

pub(crate) static DEFAULTS: Section = Section {
    about: "What spokes and probes inherit.",
    keys: &[
        Key::optional(
            "role",
            shapes::ROLE_NAME,
            "spokeprobe",
            "The name of the role in each spoke, default spokeprobe.",
        ),
        Key::optional(
            "session_name",
            shapes::SESSION_NAME,
            "spokeprobe",
            "The session name sent to AssumeRole, default spokeprobe.",
        ),
        Key::optional(
            "duration",
            shapes::SESSION_DURATION,
            "1h",
            "How long a session is asked for, 15m to 12h, default 1h.",
        ),
        Key::optional("every", shapes::EVERY, "30s", "The interval of probes, 1s to 24h, default 30s."),
        Key::optional(
            "timeout",
            shapes::TIMEOUT,
            "31s",
            "The longest time from sending to the last byte, 100ms to 5m, default 31s.",
        ),
    ],
};

pub(crate) static LIMITS: Section = Section {
    about: "What the agent never exceeds.",
    keys: &[
        Key::optional(
            "requests_per_second",
            Shape::Number(0.0, 100_000.0),
            "500",
            "Requests a second of the whole agent, default 500.",
        ),
        Key::optional(
            "requests_per_second_per_account",
            Shape::Number(0.0, 100_000.0),
            "100",
            "Requests a second to one account, default 100.",
        ),
        Key::optional(
            "in_flight",
            Shape::Integer(1, 100_000),
            "1000",
            "Requests in flight of the whole agent, default 1000.",
        ),
        Key::optional(
            "in_flight_per_account",
            Shape::Integer(1, 100_000),
            "100",
            "Requests in flight to one account, default 100.",
        ),
    ],
};

/// What spokes and probes inherit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// The role's name, with its path.
    pub role: String,
    /// The session name.
    pub session_name: String,
    /// How long a session is asked for.
    pub duration: Duration,
    /// The interval of probes.
    pub every: Duration,
    /// The longest time from sending to the last byte.
    pub timeout: Duration,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            role: "spokeprobe".to_owned(),
            session_name: "spokeprobe".to_owned(),
            duration: Duration::from_secs(3_600),
            every: Duration::from_secs(30),
            // A little above the 29 s that an integration may take, so that a slow backend reads as one.
            timeout: Duration::from_secs(31),
        }
    }
}

/// The ceilings, as configured, with the place of each for problems.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Requests a second, all together.
    pub requests_per_second: f64,
    /// Requests a second to one account.
    pub requests_per_second_per_account: f64,
    /// In flight, all together.
    pub in_flight: usize,
    /// In flight to one account.
    pub in_flight_per_account: usize,
    /// Where the section is, if it is there.
    pub place: Option<Place>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_second: 500.0,
            requests_per_second_per_account: 100.0,
            in_flight: 1_000,
            in_flight_per_account: 100,
            place: None,
        }
    }
}

/// Reads the `defaults` section.
pub(crate) fn read(value: &Value<'_>) -> Option<Defaults> {
    let fields = value.fields(&DEFAULTS)?;
    let built_in = Defaults::default();
    let role = fields.get("role").and_then(|v| {
        let text = v.text(ROLE_NAME_WANTED)?.text;
        // Any account and partition do: only the name is checked.
        let any: AccountId = "000000000000".parse().ok()?;
        match RoleArn::new(Partition::Aws, any, &text) {
            Ok(_) if !text.contains(':') => Some(text),
            _ => {
                let hint = text.starts_with("arn:").then_some("a full ARN belongs to one spoke's `role`");
                v.refuse(ROLE_NAME_WANTED, hint)
            }
        }
    });
    Some(Defaults {
        role: role.unwrap_or(built_in.role),
        session_name: fields
            .get("session_name")
            .and_then(|v| read_session_name(&v))
            .unwrap_or(built_in.session_name),
        duration: fields.get("duration").and_then(|v| v.duration("15m", "12h")).unwrap_or(built_in.duration),
        every: fields.get("every").and_then(|v| v.duration("1s", "24h")).unwrap_or(built_in.every),
        timeout: fields.get("timeout").and_then(|v| v.duration("100ms", "5m")).unwrap_or(built_in.timeout),
    })
}

/// Reads a session name (STS API reference, `AssumeRole`, `RoleSessionName`).
pub(crate) fn read_session_name(value: &Value<'_>) -> Option<String> {
    let wanted = shapes::SESSION_NAME.wanted();
    let text = value.text(&wanted)?.text;
    let fits = (2..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
    if fits { Some(text) } else { value.refuse(wanted, None) }
}

/// Reads the `limits` section.
pub(crate) fn read_limits(value: &Value<'_>) -> Option<Limits> {
    let fields = value.fields(&LIMITS)?;
    let built_in = Limits::default();
    let rate = |key, default| fields.get(key).and_then(|v| v.number(0.0, 100_000.0)).unwrap_or(default);
    let count = |key, default| {
        let read = fields.get(key).and_then(|v| v.integer(1, 100_000));
        read.and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
    };
    Some(Limits {
        requests_per_second: rate("requests_per_second", built_in.requests_per_second),
        requests_per_second_per_account: rate(
            "requests_per_second_per_account",
            built_in.requests_per_second_per_account,
        ),
        in_flight: count("in_flight", built_in.in_flight),
        in_flight_per_account: count("in_flight_per_account", built_in.in_flight_per_account),
        place: Some(value.place()),
    })
}
