//! What somebody has to look at, the widest first: one line each, with since when, and where to read on.

use crate::web::page::figures::{ago, count, seconds_between, until};
use crate::web::page::query::spoke_href;
use crate::web::status::{CertificateView, ConfigurationTroubleView, EndpointView, PlaceView, StatusView};
use maud::{Markup, html};

/// The lines of one kind.
const LINES: usize = 8;
/// A clock as wrong as this is near the five minutes at which AWS refuses signatures.
const SKEW_SECONDS: f64 = 60.0;
/// A certificate that ends so soon should have been renewed.
const CERTIFICATE_DAYS: f64 = 14.0;

/// The lines with their heading.
pub(super) fn section(status: &StatusView) -> Markup {
    let lines = lines(status);
    html! {
        h2 #attention-title { "Needs attention" }
        @if lines.is_empty() {
            p.calm { span.sign aria-hidden="true" { "\u{2713}" } " No fault that spokes share, no open door, no session refused." }
        } @else {
            ul.lines { @for line in &lines { (line) } }
        }
    }
}

fn lines(status: &StatusView) -> Vec<Markup> {
    let mut lines = Vec::new();
    let mut add = |kind: Vec<Markup>| {
        let left_out = kind.len().saturating_sub(LINES);
        lines.extend(kind.into_iter().take(LINES));
        if left_out > 0 {
            lines.push(html! { li.more { "and " (left_out) " more like this, in the " a href="/api/v1/status" { "JSON" } } });
        }
    };
    add(faults(status));
    add(status.endpoint.as_ref().map(|endpoint| places(status, endpoint)).unwrap_or_default());
    add(doors(status));
    add(isolation(status));
    add(sessions(status));
    add(configuration(status));
    add(left_out(status));
    add(members(status));
    add(agent(status));
    lines
}

fn line(kind: &str, what: &Markup, since: Option<&str>, status: &StatusView) -> Markup {
    html! {
        li {
            span.kind { (kind) } " "
            span.what { (what) }
            @if since.is_some() { " " span.since { (ago(since, status)) } }
        }
    }
}

fn spoke_link(name: &str, text: &str) -> Markup {
    html! { a href=(spoke_href(name)) { (text) } }
}

fn faults(status: &StatusView) -> Vec<Markup> {
    let fault = |fault: &crate::web::status::FaultView| {
        let what = html! {
            @if let Some(spoke) = &fault.spoke { (spoke_link(spoke, spoke)) ": " }
            @else { strong { (fault.scope) } ": " }
            (fault.cause.replace('_', " ")) ", " (fault.detail)
        };
        line("shared fault", &what, fault.since.as_deref(), status)
    };
    status.faults.iter().map(fault).collect()
}

fn places(status: &StatusView, endpoint: &EndpointView) -> Vec<Markup> {
    let mut found = Vec::new();
    for place in endpoint.names.iter().chain(&endpoint.zones) {
        if place.up == Some(false) {
            let what = html! {
                @if let Some(zone) = &place.zone { strong { (zone) } " (" (place.host) ")" } @else { strong { (place.host) } }
                " is down: " (place.meaning.unwrap_or("it does not answer"))
            };
            found.push(line(
                if place.zone.is_some() { "zone" } else { "endpoint" },
                &what,
                place.since.as_deref(),
                status,
            ));
        }
    }
    let certificates =
        endpoint.names.iter().chain(&endpoint.zones).flat_map(|place| certificates(place, status));
    let mut seen = Vec::new();
    for (place, certificate, what) in certificates {
        // The same certificate lies at every address.
        if seen.contains(&&certificate.sha256) {
            continue;
        }
        seen.push(&certificate.sha256);
        let what = html! { strong { (place.zone.as_deref().unwrap_or(&place.host)) } ": " (what) };
        found.push(line("certificate", &what, None, status));
    }
    found
}

/// The certificates of a place that end soon or have something wrong with them.
fn certificates<'a>(
    place: &'a PlaceView,
    status: &'a StatusView,
) -> impl Iterator<Item = (&'a PlaceView, &'a CertificateView, Markup)> {
    place.addresses.iter().filter_map(|at| at.certificate.as_ref()).filter_map(move |certificate| {
        let left = seconds_between(status.agent.now.as_deref(), certificate.not_after.as_deref());
        let ends_soon = left.is_some_and(|left| left < CERTIFICATE_DAYS * 86_400.0);
        let what = html! {
            @if !certificate.issues.is_empty() { (certificate.issues.join("; ")) }
            @else { "it ends " (until(certificate.not_after.as_deref(), status)) }
        };
        (ends_soon || !certificate.issues.is_empty()).then_some((place, certificate, what))
    })
}

fn doors(status: &StatusView) -> Vec<Markup> {
    let open = status.targets.iter().filter(|target| target.door == Some("open"));
    open.map(|target| {
        let path = format!("{}/{}/{}", target.spoke, target.api, target.probe);
        let what = html! { (spoke_link(&target.spoke, &path)) " let in " (target.identity) };
        line("open door", &what, target.since.as_deref(), status)
    })
    .collect()
}

fn isolation(status: &StatusView) -> Vec<Markup> {
    let Some(isolation) = status.isolation.as_ref().filter(|isolation| isolation.pairs.open > 0) else {
        return Vec::new();
    };
    let first = isolation.open.iter().filter_map(|door| door.since.as_deref()).min();
    let what = html! {
        (count(usize::try_from(isolation.pairs.open).unwrap_or(usize::MAX), "pair")) " of a role and a foreign api: "
        a href="#isolation" { "the open doors" }
    };
    vec![line("isolation", &what, first, status)]
}

fn sessions(status: &StatusView) -> Vec<Markup> {
    let lost = status.spokes.iter().filter(|spoke| !matches!(spoke.credentials.state, "valid" | "waiting"));
    lost.map(|spoke| {
        let credentials = &spoke.credentials;
        let refusal = credentials.refusal.as_ref();
        let what = html! {
            (spoke_link(&spoke.name, &spoke.name)) ": " (credentials.state.replace('_', " "))
            @if let Some(refusal) = refusal {
                span title=(refusal.meaning) { ", " (refusal.cause.replace('_', " ")) }
                @if let Some(code) = &refusal.code { " (" (code) ")" }
            }
        };
        line("session", &what, refusal.and_then(|refusal| refusal.at.as_deref()), status)
    })
    .collect()
}

/// Why the configuration in use is not the newest.
fn configuration(status: &StatusView) -> Vec<Markup> {
    let configuration = &status.configuration;
    let troubles = [
        (&configuration.refused, "A newer configuration is refused; the one before runs on"),
        (&configuration.unreadable, "The configuration cannot be read; what was read before runs on"),
    ];
    let trouble = |(trouble, words): (&Option<ConfigurationTroubleView>, &str)| {
        let trouble = trouble.as_ref()?;
        let what = html! {
            (words) ": " strong { (configuration.source) }
            ul { @for problem in &trouble.problems { li { (problem) } } }
        };
        Some(line("configuration", &what, trouble.since.as_deref(), status))
    };
    troubles.into_iter().filter_map(trouble).collect()
}

/// While the members are not known, or do not know of this agent, targets are probed twice, or by nobody.
fn members(status: &StatusView) -> Vec<Markup> {
    let Some(members) = &status.members else { return Vec::new() };
    // The share's own beginning, which is the trouble's only where the trouble made the share.
    let since = members.since.as_deref().filter(|_| members.state == "stand_in");
    members.problem.iter().map(|problem| line("members", &html! { (problem) }, since, status)).collect()
}

fn left_out(status: &StatusView) -> Vec<Markup> {
    let bad = status.includes.iter().filter(|include| !include.successful);
    bad.map(|include| {
        let what = html! {
            "Left out: " strong { (include.file) }
            ul { @for problem in &include.problems { li { (problem) } } }
        };
        line("configuration", &what, None, status)
    })
    .collect()
}

fn agent(status: &StatusView) -> Vec<Markup> {
    let mut found = Vec::new();
    if let Some(skew) = status.agent.clock_skew_seconds.filter(|skew| skew.abs() >= SKEW_SECONDS) {
        let what = html! { "The far side's clock is " (format!("{skew:+.0} s")) " from ours; AWS refuses signatures at 300." };
        found.push(line("clock", &what, None, status));
    }
    if status.agent.task_panics > 0 {
        let what =
            html! { (status.agent.task_panics) " tasks of the agent panicked: a defect, please report it." };
        found.push(line("agent", &what, None, status));
    }
    found
}
