//! Times and numbers as people read them.

use crate::web::page::summary::Health;
use crate::web::status::{LatencyView, StatusView};
use jiff::Timestamp;
use maud::{Markup, html};

/// `1 spoke`, `3 spokes`.
pub(super) fn count(number: usize, thing: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {thing}{s}", grouped(number as u64))
}

/// `1 234 567`, with spaces that do not break.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// `12 ms`, `1.25 s`.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.1}\u{a0}ms", seconds * 1e3)
    } else if seconds < 0.9995 {
        format!("{:.0}\u{a0}ms", seconds * 1e3)
    } else {
        format!("{seconds:.2}\u{a0}s")
    }
}

/// The time from one moment to another; negative if the second is earlier.
pub(super) fn seconds_between(from: Option<&str>, to: Option<&str>) -> Option<f64> {
    let (from, to) = (from?.parse::<Timestamp>().ok()?, to?.parse::<Timestamp>().ok()?);
    Some(to.duration_since(from).as_secs_f64())
}

/// `12 s`, `3 min`, `5 h`, `4 d`: one unit is enough to judge by, the rest is in the title.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds.abs();
    match whole {
        _ if whole < 90.0 => format!("{whole:.0}\u{a0}s"),
        _ if whole < 5_400.0 => format!("{:.0}\u{a0}min", whole / 60.0),
        _ if whole < 172_800.0 => format!("{:.0}\u{a0}h", whole / 3_600.0),
        _ => format!("{:.0}\u{a0}d", whole / 86_400.0),
    }
}

/// How long ago something was, with the moment itself in the title.
pub(super) fn ago(at: Option<&str>, status: &StatusView) -> Markup {
    moment(at, |at| {
        let seconds = seconds_between(Some(at), status.agent.now.as_deref()).unwrap_or(0.0).max(0.0);
        format!("{} ago", span(seconds))
    })
}

/// How long something has been so.
pub(super) fn lasting(since: Option<&str>, status: &StatusView) -> Markup {
    moment(since, |since| {
        span(seconds_between(Some(since), status.agent.now.as_deref()).unwrap_or(0.0).max(0.0))
    })
}

/// How far off something is.
pub(super) fn until(at: Option<&str>, status: &StatusView) -> Markup {
    moment(at, |at| {
        let seconds = seconds_between(status.agent.now.as_deref(), Some(at)).unwrap_or(0.0);
        if seconds < 0.0 { format!("ended {} ago", span(seconds)) } else { format!("in {}", span(seconds)) }
    })
}

fn moment(at: Option<&str>, words: impl FnOnce(&str) -> String) -> Markup {
    html! {
        @if let Some(at) = at { time datetime=(at) title=(at) { (words(at)) } }
        @else { (nothing()) }
    }
}

/// What stands where nothing is known.
pub(super) fn nothing() -> Markup {
    html! { span.none { "\u{2013}" } }
}

/// Median and 99th percentile, or nothing.
pub(super) fn latency(latency: Option<&LatencyView>) -> Markup {
    html! {
        @if let Some(latency) = latency {
            span title=(format!("{} samples, slowest {}", grouped(latency.samples), duration(latency.max_seconds))) {
                (duration(latency.p50_seconds)) span.of { " / " } (duration(latency.p99_seconds))
            }
        } @else { (nothing()) }
    }
}

/// A state as sign and word.
pub(super) fn state(health: Health, words: &str) -> Markup {
    html! {
        span class={ "state " (health.key()) } { span.sign aria-hidden="true" { (health.sign()) } " " (words) }
    }
}

/// `denied: vpc_endpoint_policy`; of a guard that was passed, `ok: let in`.
pub(super) fn outcome(outcome: &str, reason: &str, expected: bool) -> String {
    match reason {
        "none" | "" if expected => outcome.to_owned(),
        "none" | "" => format!("{outcome}: let in"),
        _ => format!("{outcome}: {reason}"),
    }
}

/// The few numbers that sum everything up.
pub(super) fn tiles(status: &StatusView) -> Markup {
    let totals = &status.totals;
    let open_pairs = status.isolation.as_ref().map(|isolation| isolation.pairs.open);
    let next_session = status.spokes.iter().filter_map(|spoke| spoke.credentials.expires_at.as_deref()).min();
    let certificates =
        status.endpoint.iter().flat_map(|endpoint| endpoint.names.iter().chain(&endpoint.zones));
    let certificates =
        certificates.flat_map(|place| &place.addresses).filter_map(|at| at.certificate.as_ref());
    let next_certificate = certificates.filter_map(|certificate| certificate.not_after.as_deref()).min();
    html! {
        dl.tiles {
            div {
                dt { "Targets as expected" }
                dd { (grouped(totals.as_expected as u64)) small { " of " (grouped(totals.targets as u64)) } }
            }
            div {
                dt { "Open doors" }
                dd class=(if totals.doors_open > 0 { "bad" } else { "" }) { (totals.doors_open) }
            }
            @if let Some(open) = open_pairs {
                div { dt { "Isolation broken" } dd class=(if open > 0 { "bad" } else { "" }) { (open) small { " pairs" } } }
            }
            @if let Some(endpoint) = &status.endpoint {
                @let up = endpoint.zones.iter().filter(|zone| zone.up == Some(true)).count();
                div {
                    dt { "Endpoint" }
                    dd class=(if endpoint.up == Some(false) || up < endpoint.zones.len() { "bad" } else { "" }) {
                        @match endpoint.up { Some(true) => "up", Some(false) => "down", None => "\u{2026}" }
                        @if !endpoint.zones.is_empty() { small { " " (up) " of " (count(endpoint.zones.len(), "zone")) } }
                    }
                }
            }
            div { dt { "Next session ends" } dd { (until(next_session, status)) } }
            @if next_certificate.is_some() {
                div { dt { "Next certificate ends" } dd { (until(next_certificate, status)) } }
            }
            div {
                dt { "Attempts due" }
                dd { (grouped(totals.due)) small { " " (grouped(totals.missed)) " missed" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_short_and_right() {
        let spans = [
            (0.0, "0 s"),
            (89.0, "89 s"),
            (90.0, "2 min"),
            (5_399.0, "90 min"),
            (7_200.0, "2 h"),
            (1e6, "12 d"),
        ];
        for (seconds, wanted) in spans {
            assert_eq!(span(seconds).replace('\u{a0}', " "), wanted);
        }
        for (seconds, wanted) in [
            (0.000_45, "0.5 ms"),
            (0.012, "12 ms"),
            (0.9994, "999 ms"),
            (0.9999, "1.00 s"),
            (29.0, "29.00 s"),
        ] {
            assert_eq!(duration(seconds).replace('\u{a0}', " "), wanted);
        }
        let groups = [(0, "0"), (999, "999"), (1_000, "1 000"), (12_345_678, "12 345 678")];
        for (number, wanted) in groups {
            assert_eq!(grouped(number).replace('\u{a0}', " "), wanted);
        }
        assert_eq!(
            seconds_between(Some("2026-01-01T00:00:00.000Z"), Some("2026-01-01T00:01:00.500Z")),
            Some(60.5)
        );
        assert_eq!(seconds_between(Some("soon"), None), None);
    }
}
