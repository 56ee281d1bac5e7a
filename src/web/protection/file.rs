//! The web configuration file as values: every one checked, nothing else opened. Pure.
//!
//! The format is that of the Prometheus exporter toolkit ("Web configuration", version 1 of its documentation), so that
//! one file serves every exporter of a machine. Where this server cannot do what the format offers, the file is
//! refused with the reason rather than read half: a setting of security that has no effect is a trap. What has no
//! effect and does no harm is a `Note`.

use super::reading::{Fields, Problems, Value};
use super::tls_section::{self, TlsSection};
use super::users::PasswordHash;
use crate::yaml::{self, Problem, shown};
use axum::http::{HeaderName, HeaderValue, header};
use std::collections::BTreeMap;
use std::time::Duration;

const SECTIONS: [&str; 4] = ["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"];
/// More users than this want a proxy that knows people.
const MAX_USERS: usize = 100;
/// The longest name of a user that can come in a header of a bearable size.
const MAX_USER_BYTES: usize = 256;

/// The headers that the toolkit lets a file set, and the values it allows for them.
const HEADERS: [(&str, HeaderName, &[&str]); 5] = [
    ("Strict-Transport-Security", header::STRICT_TRANSPORT_SECURITY, &[]),
    ("X-Content-Type-Options", header::X_CONTENT_TYPE_OPTIONS, &["nosniff"]),
    ("X-Frame-Options", header::X_FRAME_OPTIONS, &["deny", "sameorigin"]),
    ("X-XSS-Protection", header::X_XSS_PROTECTION, &[]),
    ("Content-Security-Policy", header::CONTENT_SECURITY_POLICY, &[]),
];

/// What is allowed and probably not meant, or has no effect here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The path within the web configuration file.
    pub path: String,
    /// What there is to say.
    pub message: String,
}

/// A file without problems of its own; what it names is not read yet.
#[derive(Debug, Default)]
pub(super) struct WebFile {
    pub(super) tls: Option<TlsSection>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) users: BTreeMap<String, PasswordHash>,
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) notes: Vec<Note>,
}

/// Requests of everybody together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RateLimit {
    /// The time that one request takes to be forgotten.
    pub(super) interval: Duration,
    /// So many may come at once.
    pub(super) burst: u32,
}

/// Checks the text of a web configuration file, without opening what it names.
///
/// # Errors
/// All problems, by place. None of them repeats a key or a password's hash.
pub fn check_file(file: &str, text: &str) -> Result<Vec<Note>, Vec<Problem>> {
    read(file, text).map(|file| file.notes)
}

/// Reads a text.
pub(super) fn read(file: &str, text: &str) -> Result<WebFile, Vec<Problem>> {
    let tree = yaml::parse(file, text)?;
    let problems = Problems::of(file);
    let read = sections(&Value::root(&problems, &tree));
    problems.into_result()?;
    Ok(read)
}

fn sections(root: &Value<'_>) -> WebFile {
    let Some(fields) = root.fields(&SECTIONS) else { return WebFile::default() };
    let mut notes = Vec::new();
    let tls = fields.get("tls_server_config").and_then(|value| tls_section::read(value, &mut notes));
    let headers = fields.get("http_server_config").map(|value| http(value, tls.is_some(), &mut notes));
    let users = fields.get("basic_auth_users").map(users).unwrap_or_default();
    if tls.is_none() && !users.is_empty() {
        let message = "passwords without TLS: whoever sees the traffic can read them".to_owned();
        notes.push(Note { path: "basic_auth_users".to_owned(), message });
    }
    let rate_limit = fields.get("rate_limit").and_then(rate_limit);
    WebFile { tls, headers: headers.unwrap_or_default(), users, rate_limit, notes }
}

fn http(value: &Value<'_>, tls: bool, notes: &mut Vec<Note>) -> Vec<(HeaderName, HeaderValue)> {
    let Some(fields) = value.fields(&["http2", "headers"]) else { return Vec::new() };
    if let Some(http2) = fields.get("http2")
        && http2.boolean() == Some(true)
    {
        let message = "no effect: this server speaks HTTP/1.1 only, as scrapes need no more".to_owned();
        notes.push(Note { path: http2.place().path().to_owned(), message });
    }
    let entries = fields.get("headers").and_then(Value::entries).unwrap_or_default();
    let headers = entries.iter().filter_map(|(name, value)| header(name, value));
    let headers: Vec<_> = headers.collect();
    if !tls && headers.iter().any(|(name, _)| name == header::STRICT_TRANSPORT_SECURITY) {
        let message =
            "no effect: browsers ignore Strict-Transport-Security that comes without TLS".to_owned();
        notes.push(Note { path: "http_server_config.headers".to_owned(), message });
    }
    headers
}

/// One header. A blank value leaves it to this server.
fn header(name: &str, value: &Value<'_>) -> Option<(HeaderName, HeaderValue)> {
    let Some((_, known, allowed)) = HEADERS.iter().find(|(known, ..)| *known == name) else {
        let names: Vec<&str> = HEADERS.iter().map(|(name, ..)| *name).collect();
        let found = format!("the header `{}`, which cannot be set here", shown(name));
        return value.problem(found, format!("one of {}", names.join(", ")), None);
    };
    let wanted = if allowed.is_empty() {
        "a header value of visible characters".to_owned()
    } else {
        format!("one of {}", allowed.join(", "))
    };
    let text = value.text(&wanted)?;
    if text.trim().is_empty() {
        return None;
    }
    let fits = allowed.is_empty() || allowed.contains(&text);
    match HeaderValue::from_str(text) {
        Ok(value) if fits => Some((known.clone(), value)),
        _ => value.problem(format!("`{}`", shown(text)), wanted, None),
    }
}

fn users(value: &Value<'_>) -> BTreeMap<String, PasswordHash> {
    let entries = value.entries().unwrap_or_default();
    if entries.len() > MAX_USERS {
        value.problem::<()>(format!("{} users", entries.len()), format!("at most {MAX_USERS}"), None);
        return BTreeMap::new();
    }
    let mut users = BTreeMap::new();
    for (name, value) in entries {
        // RFC 7617, section 2: a name with a colon could never be sent.
        if name.is_empty() || name.len() > MAX_USER_BYTES || name.contains([':', '\0']) {
            let wanted = format!("a name of at most {MAX_USER_BYTES} bytes, without a colon");
            value.problem::<()>("a name that nobody can log in with", wanted, None);
            continue;
        }
        let wanted = "a bcrypt hash such as htpasswd -nBC 10 makes, $2y$ and 57 characters more";
        let Some(text) = value.text(wanted) else { continue };
        match PasswordHash::read(text) {
            Ok(hash) => drop(users.insert(name.to_owned(), hash)),
            // Whatever stands here, perhaps the password itself, is not repeated.
            Err(found) => drop(value.problem::<()>(found, wanted, None)),
        }
    }
    users
}

fn rate_limit(value: &Value<'_>) -> Option<RateLimit> {
    let fields: Fields<'_> = value.fields(&["interval", "burst"])?;
    let wanted = "a duration such as 100ms or 1s, at most 1h";
    let interval = fields.get("interval").and_then(|value| {
        let text = value.text(wanted)?;
        match go_duration(text).filter(|span| *span <= Duration::from_secs(3_600)) {
            Some(span) => Some(span),
            None => value.problem(format!("`{}`", shown(text)), wanted, None),
        }
    });
    let burst = fields.get("burst").and_then(|value| value.integer(0, 1_000_000));
    let interval = interval.filter(|span| !span.is_zero())?;
    match burst {
        Some(burst) if burst > 0 => {
            Some(RateLimit { interval, burst: u32::try_from(burst).unwrap_or(u32::MAX) })
        }
        // With a problem of its own, or none: then every request would be refused.
        Some(_) | None => value.problem(
            "an interval and no burst",
            "a burst of at least 1",
            Some("without one every request would be refused"),
        ),
    }
}

/// A duration as Go writes it ("ParseDuration" of its package time): `1m30s`, `1.5s`, `100ms`; a bare number is
/// nanoseconds.
fn go_duration(text: &str) -> Option<Duration> {
    if let Ok(nanoseconds) = text.parse::<u64>() {
        return Some(Duration::from_nanos(nanoseconds));
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let factor = match &rest[..unit] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return None,
        };
        seconds += number * factor;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}
