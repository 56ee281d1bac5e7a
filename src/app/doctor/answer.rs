//! An answer as findings: its status, its verdict, the marks by which it is found again.

use super::plain;
use super::report::Finding;
use crate::attempt::Attempted;
use crate::domain::observation::Twin;
use crate::domain::target::Target;

/// A clock that is off by more is worth a warning; signatures fail at five minutes.
const SKEW_SECONDS_MAX: f64 = 60.0;

/// How a twin differs, for people.
pub(super) const fn way(twin: Twin) -> &'static str {
    match twin {
        Twin::Anonymous => "unsigned",
        Twin::Hub => "signed as the hub",
        Twin::Spoke => "signed as the spoke's role",
        Twin::Addressing => "addressed in another way",
        Twin::Path => "another path of the api",
    }
}

/// A probe in a line.
pub(super) fn shown(target: &Target) -> String {
    let (method, path) = (&target.request.method, &target.request.path_and_query);
    format!("{}: {method} {} as {}", target.id, plain::line(path), target.identity)
}

/// What the answer calls its own error.
pub(super) fn error_type(attempted: &Attempted) -> Option<String> {
    let response = attempted.exchange.as_ref()?.result.as_ref().ok()?;
    let text = String::from_utf8_lossy(response.headers.get("x-amzn-errortype")?.as_bytes()).into_owned();
    let text = text.split(':').next().unwrap_or_default();
    let is_word =
        !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then(|| text.to_owned())
}

/// What there is to say of an answer, whoever asked.
pub(super) fn findings(attempted: &Attempted, error_type: Option<&str>) -> Vec<Finding> {
    let observation = &attempted.observation;
    let verdict = &observation.verdict;
    let mut findings = Vec::new();
    if let Some(code) = observation.code {
        let error_type = error_type.map(|text| format!(" {text}")).unwrap_or_default();
        findings.push(Finding::new("status", format!("{code}{error_type}")));
    }
    let expected = if verdict.expected { "expected" } else { "not expected" };
    let unconfirmed = if verdict.unconfirmed { ", unconfirmed" } else { "" };
    let text = format!("{}/{}, {expected}{unconfirmed}", verdict.outcome(), verdict.reason);
    findings.push(Finding { about: "verdict", text, warning: !verdict.expected });
    if let Some(message) = &verdict.message {
        findings.push(Finding::new("message", plain::line(message)));
    }
    if let Some(arn) = &verdict.policy_arn {
        findings.push(Finding::new("policy", plain::line(arn)));
    }
    if let Some(body) = &observation.body {
        findings.push(Finding::new("body", format!("{} bytes, SHA-256 {}", body.bytes, body.sha256)));
    }
    let ids = &observation.ids;
    for (about, id) in [
        ("request_id", &ids.request_id),
        ("extended_request_id", &ids.extended_request_id),
        ("sent_trace_id", &ids.sent_trace_id),
    ] {
        if let Some(id) = id {
            findings.push(Finding::new(about, plain::line(id)));
        }
    }
    if let Some(peer) = observation.peer {
        findings.push(Finding::new("peer", peer.to_string()));
    }
    if let Some(first) = observation.first_byte.zip(observation.sent).map(|(first, sent)| first.since(sent)) {
        findings.push(Finding::new("first_byte", plain::span(first)));
    }
    if let Some(seconds) = observation.clock_skew_seconds {
        let off = seconds.abs() > SKEW_SECONDS_MAX;
        // The gateway's Date is in whole seconds.
        let text = if seconds.abs() < 2.0 {
            "the agent's and the gateway's agree".to_owned()
        } else {
            format!("the gateway's is {seconds:+.0} s from the agent's")
        };
        findings.push(Finding { about: "clock", text, warning: off });
    }
    findings
}
