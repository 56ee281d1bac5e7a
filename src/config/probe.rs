//! A probe: one request of an api, who signs it, when it fires, what is expected.

use crate::config::expect;
use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::{Fields, Place, Value, configured};
use crate::config::request::{read_headers, read_request};
use crate::config::shapes;
use crate::config::surroundings::Surroundings;
use crate::config::units::rate_text;
use crate::domain::api::Addressing;
use crate::domain::expectation::Expectation;
use crate::domain::identity::Identity;
use crate::domain::name::Name;
use crate::domain::request::RequestTemplate;
use crate::domain::secret::{ConfiguredText, Secret};
use crate::domain::target::Cadence;
use http::header::CONTENT_TYPE;
use http::{HeaderName, Method};
use std::time::Duration;

/// The longest body; API Gateway takes 10 MB, and a probe that needs this much is a load test.
const MAX_BODY_BYTES: usize = 1024 * 1024;

pub(crate) static PROBE: Section = Section {
    about: "One request of an api.",
    keys: &[
        Key::required("name", shapes::NAME, "hello", "The probe's name, a label of its metrics."),
        Key::required(
            "request",
            shapes::REQUEST,
            "GET /",
            "Method and path with query, relative to the stage.",
        ),
        Key::optional(
            "as",
            shapes::IDENTITY,
            "spoke",
            "Who signs: the spoke's role (spoke), the agent itself (hub), nobody \
             (anonymous), or another spoke's role (spoke:NAME); default spoke.",
        ),
        Key::optional("every", shapes::EVERY, "1m", "The interval, 1s to 24h. Default: defaults.every."),
        Key::optional(
            "rate",
            Shape::Rate,
            "20/s",
            "Arrivals at a rate instead of `every`; needs the api's max_rate.",
        ),
        Key::optional(
            "timeout",
            shapes::TIMEOUT,
            "31s",
            "The longest time from sending to the last byte. Default: defaults.timeout.",
        ),
        Key::optional("headers", Shape::Map(&shapes::HEADER_VALUE), "", "Further headers, which are signed."),
        Key::optional("body", shapes::BODY, "a text", "The body, as text; or else `json`."),
        Key::optional(
            "json",
            Shape::Json,
            "",
            "The body as JSON; sets Content-Type: application/json unless `headers` does.",
        ),
        Key::optional(
            "expect",
            Shape::Section(&expect::EXPECT),
            "",
            "What the answer must be. Without it: any 2xx.",
        ),
        Key::optional(
            "per_zone",
            Shape::Bool,
            "true",
            "One target for each of hub.endpoint.zones, each over its own address, default false.",
        ),
        Key::optional(
            "connection",
            Shape::Word(&["reuse", "fresh"]),
            "reuse",
            "fresh opens a connection for each attempt, default reuse.",
        ),
        Key::optional(
            "twins",
            Shape::Bool,
            "true",
            "Whether a vague refusal may be explained by sending this request again in another form, default false; \
             always so for GET and HEAD.",
        ),
    ],
};

/// A probe, as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Its name.
    pub name: Name,
    /// The request, relative to the stage.
    pub request: RequestTemplate,
    /// Who signs.
    pub identity: Identity,
    /// How often it is due; for `per_zone`, in each zone.
    pub cadence: Cadence,
    /// The longest time from sending to the last byte.
    pub timeout: Duration,
    /// What the answer must be.
    pub expectation: Expectation,
    /// One target for each zone.
    pub per_zone: bool,
    /// A connection of its own for each attempt.
    pub fresh_connection: bool,
    /// Twins may be sent whatever the method.
    pub twins: bool,
    /// Where it is.
    pub place: Place,
    /// Where `as` is and what it says, for the problem of an unknown spoke; hides the environment's values.
    pub(crate) identity_written: Option<(Place, String)>,
}

/// What the api says of its probes.
pub(crate) struct Rules {
    /// The highest rate, if the api opted in.
    pub(crate) max_rate: Option<f64>,
    pub(crate) addressing: Addressing,
}

/// Reads one probe.
pub(crate) fn read(value: &Value<'_>, rules: &Rules, around: &Surroundings<'_>) -> Option<Probe> {
    let fields = value.fields(&PROBE)?;
    let name: Option<Name> = fields.get("name").and_then(|v| v.parsed(Name::WANTED));
    let line = fields.get("request").and_then(|v| read_request(&v));
    let identity = fields.get("as").map(|v| v.parsed::<Identity>("an identity"));
    let zones = around.endpoint.map(|endpoint| endpoint.zones.len());
    let per_zone = fields.get("per_zone").and_then(|v| {
        let per_zone = v.boolean()?;
        if per_zone && zones == Some(0) {
            return v.problem("`per_zone` without zones", "`hub.endpoint.zones` with it", None);
        }
        Some(per_zone)
    });
    let per_zone = per_zone.unwrap_or(false);
    let cadence = read_cadence(&fields, rules, if per_zone { zones.unwrap_or(1) } else { 1 }, around);
    let timeout = fields.get("timeout").and_then(|v| v.duration("100ms", "5m"));
    let mut headers = fields.get("headers").map(|v| read_headers(&v, rules.addressing)).unwrap_or_default();
    let method = line.as_ref().map(|(method, _)| method);
    let body = read_body(&fields, method, &mut headers);
    let expectation = fields.get("expect").map(|v| expect::read(&v));
    if method == Some(&Method::HEAD) {
        let of_body = fields.get("expect").filter(Value::is_map).and_then(|v| v.child_of("json", "body"));
        if let Some(at) = of_body {
            at.problem::<()>("a body expected of HEAD", "another method, or no `json` and `body`", None);
        }
    }
    let connection = fields.get("connection").and_then(|v| v.word(&["reuse", "fresh"]));
    let twins = fields.get("twins").and_then(|v| v.boolean());
    let (method, path_and_query) = line?;
    Some(Probe {
        name: name?,
        request: RequestTemplate { method, path_and_query, headers, body },
        identity: identity.unwrap_or(Some(Identity::Spoke))?,
        cadence: cadence?,
        timeout: timeout.unwrap_or(around.defaults.timeout),
        expectation: expectation.unwrap_or_else(|| Some(Expectation::default()))?,
        per_zone,
        fresh_connection: connection == Some("fresh"),
        twins: twins.unwrap_or(false),
        place: value.place(),
        identity_written: fields.get("as").map(|v| (v.place(), v.found())),
    })
}

fn read_cadence(
    fields: &Fields<'_>,
    rules: &Rules,
    targets: usize,
    around: &Surroundings<'_>,
) -> Option<Cadence> {
    let every = fields.get("every").map(|v| v.duration("1s", "24h"));
    let rate = fields.get("rate").map(|v| (v.rate(), v));
    let Some((rate, at)) = rate else {
        return Some(Cadence::Every(every.unwrap_or(Some(around.defaults.every))?));
    };
    if every.is_some() {
        return fields.value.problem("both `every` and `rate`", "one of them", None);
    }
    let rate = rate?;
    let Some(max_rate) = rules.max_rate else {
        let hint = "the api opts in to load with `max_rate`";
        return at.problem(
            "`rate` on an api without `max_rate`",
            "`max_rate` at the api, or `every`",
            Some(hint),
        );
    };
    // The load on the api is what counts, and a probe per zone asks once in each.
    #[expect(clippy::cast_precision_loss, reason = "a handful of zones")]
    let total = rate * targets.max(1) as f64;
    if total > max_rate + 1e-9 {
        let found = match targets {
            0 | 1 => at.found(),
            _ => format!("{} in each of {targets} zones", at.found()),
        };
        return at.problem(found, format!("at most the api's `max_rate` of {}", rate_text(max_rate)), None);
    }
    Some(Cadence::PerSecond(rate))
}

fn read_body(
    fields: &Fields<'_>,
    method: Option<&Method>,
    headers: &mut Vec<(HeaderName, ConfiguredText)>,
) -> Option<ConfiguredText> {
    let (json, text) = (fields.get("json"), fields.get("body"));
    if json.is_some() && text.is_some() {
        return fields.value.problem("both `json` and `body`", "one of them", None);
    }
    let at = json.as_ref().or(text.as_ref())?;
    if let Some(method) = method.filter(|method| **method == Method::GET || **method == Method::HEAD) {
        // Intermediaries drop such bodies or refuse them, and the signature covers it.
        return at.problem(format!("a body for {method}"), "no body, or another method", None);
    }
    let body = match &json {
        Some(json) => {
            let (value, from_environment) = json.json()?;
            if !headers.iter().any(|(name, _)| *name == CONTENT_TYPE) {
                headers.push((CONTENT_TYPE, ConfiguredText::Plain("application/json".to_owned())));
            }
            let text = value.to_string();
            if from_environment {
                ConfiguredText::FromEnvironment(Secret::new(text))
            } else {
                ConfiguredText::Plain(text)
            }
        }
        None => configured(at.text("a text")?),
    };
    if body.expose().len() > MAX_BODY_BYTES {
        return at.problem("a body of more than 1 MiB", "at most 1 MiB", None);
    }
    Some(body)
}
