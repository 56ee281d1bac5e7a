//! The tables under the spokes: targets that are not as expected, the endpoint, isolation, loads, failures.

use crate::web::page::figures::{
    ago, count, duration, grouped, lasting, latency, nothing, outcome, state, until,
};
use crate::web::page::map::handshake;
use crate::web::page::query::spoke_href;
use crate::web::page::summary::Health;
use crate::web::status::{
    EndpointView, FailureView, IsolationView, LoadView, PlaceView, StatusView, TargetView,
};
use maud::{Markup, html};

/// The rows of each of these tables; the status API has all.
pub(super) const ROWS: usize = 100;
/// The failures that are shown of a spoke, and of the whole agent.
const FAILURES: usize = 50;
const BRIEF_FAILURES: usize = 12;

/// A table in a frame that scrolls, reachable by keyboard.
pub(super) fn framed(title: &str, table: &Markup) -> Markup {
    html! { div.scroll tabindex="0" role="group" aria-label={ (title) ", a table that scrolls" } { (table) } }
}

fn cut(all: usize, shown: usize) -> Markup {
    html! {
        @if all > shown { p.note { (all - shown) " more are in the " a href="/api/v1/status" { "JSON" } "." } }
    }
}

/// `SPOKE/API/PROBE`, with `@ZONE` where there is one.
pub(super) fn path(target: &TargetView) -> String {
    let zone = target.zone.as_ref().map(|zone| format!("@{zone}")).unwrap_or_default();
    format!("{}/{}/{}{zone}", target.spoke, target.api, target.probe)
}

/// The targets that are not as expected, whoever's they are.
pub(super) fn targets(status: &StatusView) -> Markup {
    let mut wrong: Vec<&TargetView> =
        status.targets.iter().filter(|target| target.up == Some(false)).collect();
    // What changed last is what somebody is looking for.
    wrong.sort_by(|a, b| b.since.cmp(&a.since));
    html! {
        section #targets aria-labelledby="targets-title" data-live {
            h2 #targets-title { "Targets not as expected" }
            @if wrong.is_empty() {
                p.note {
                    @if status.totals.unknown > 0 { (count(status.totals.unknown, "target")) " without a result yet." }
                    @else { "None." }
                }
            } @else {
                (framed("Targets not as expected", &html! {
                    table.targets.brief {
                        caption.hidden { "Targets whose last attempt was not as expected, the latest change first" }
                        thead { (target_headings()) }
                        tbody { @for target in wrong.iter().take(ROWS) { (target_row(status, target, true)) } }
                    }
                }))
                (cut(wrong.len(), ROWS))
            }
        }
    }
}

/// The headings of `target_row`.
pub(super) fn target_headings() -> Markup {
    html! {
        tr {
            th scope="col" { "Target" }
            th scope="col" { "Signed by" }
            th scope="col" { "State" }
            th scope="col" { "Outcome" }
            th.number scope="col" { "Code" }
            th scope="col" { "Door" }
            th scope="col" { "For" }
            th.number scope="col" { "In a row" }
            th scope="col" { "p50 / p99" }
            th scope="col" { "What was said" }
        }
    }
}

/// One target. With `linked`, its name leads to its spoke's page.
pub(super) fn target_row(status: &StatusView, target: &TargetView, linked: bool) -> Markup {
    let health = Health::of_target(target);
    let words = if target.unconfirmed { "as expected (unconfirmed)" } else { health.words() };
    html! {
        tr {
            th scope="row" {
                @if linked { a href=(spoke_href(&target.spoke)) { (path(target)) } }
                @else { (path(target).strip_prefix(&format!("{}/", target.spoke)).unwrap_or_default()) }
                small { (target.request) }
            }
            td { (target.identity) }
            td { (state(health, words)) }
            td.why {
                @match (target.outcome, target.reason) {
                    (Some(result), Some(reason)) => span title=[target.meaning] { (outcome(result, reason, target.up != Some(false))) },
                    _ => (nothing()),
                }
            }
            td.number { @if let Some(code) = target.code { (code) } @else { (nothing()) } }
            td {
                @match target.door {
                    Some("open") => strong.bad { "open" },
                    Some(closed) => (closed),
                    None => (nothing()),
                }
            }
            td { (lasting(target.since.as_deref(), status)) }
            td.number { (grouped(target.streak)) }
            td.number { (latency(target.latency.as_ref())) }
            td.said {
                @if let Some(message) = &target.message { div.message { (message) } }
                @if let Some(policy) = &target.policy_arn { small { "policy " (policy) } }
                @if let Some(diagnosis) = &target.diagnosis {
                    small {
                        "Twins say: " (diagnosis.reason)
                        @if !diagnosis.because.is_empty() { ", because " (words_of(&diagnosis.because)) }
                        @if !diagnosis.suspects.is_empty() { "; suspects: " (words_of(&diagnosis.suspects)) }
                    }
                }
            }
        }
    }
}

fn words_of(all: &[&str]) -> String {
    all.join(", ").replace('_', " ")
}

/// The endpoint, place by place.
pub(super) fn endpoint(status: &StatusView, endpoint: &EndpointView) -> Markup {
    html! {
        section #endpoint aria-labelledby="endpoint-title" data-live {
            h2 #endpoint-title { "Endpoint" }
            (framed("Endpoint", &html! {
                table {
                    caption.hidden { "The endpoint's names and zones, by handshakes alone" }
                    thead {
                        tr {
                            th scope="col" { "Place" }
                            th scope="col" { "State" }
                            th scope="col" { "For" }
                            th scope="col" { "Addresses" }
                            th.number scope="col" { "Resolve" }
                            th.number scope="col" { "Connect + TLS" }
                            th scope="col" { "Certificate ends" }
                            th scope="col" { "What was said" }
                        }
                    }
                    tbody {
                        @for place in endpoint.names.iter().chain(&endpoint.zones).take(ROWS) { (place_row(status, place)) }
                    }
                }
            }))
        }
    }
}

fn place_row(status: &StatusView, place: &PlaceView) -> Markup {
    let health = match place.up {
        Some(true) => Health::Expected,
        Some(false) => Health::Unexpected,
        None => Health::Waiting,
    };
    let words = match place.up {
        Some(true) => "up",
        Some(false) => "down",
        None => "not looked at yet",
    };
    let certificates = || place.addresses.iter().filter_map(|at| at.certificate.as_ref());
    html! {
        tr {
            th scope="row" {
                @if let Some(zone) = &place.zone { (zone) small { (place.host) } } @else { (place.host) small { "name" } }
            }
            td { (state(health, words)) }
            td { (lasting(place.since.as_deref(), status)) }
            td.why {
                @for address in &place.addresses {
                    span.address {
                        (address.address)
                        @if !address.up { " " span.bad { "(" (address.reason.unwrap_or("down")) ")" } }
                    }
                    " "
                }
                @if place.untried > 0 { small { (place.untried) " more not tried" } }
            }
            td.number { @if let Some(took) = place.resolve_seconds { (duration(took)) } @else { (nothing()) } }
            td.number { @if let Some(took) = handshake(place) { (duration(took)) } @else { (nothing()) } }
            td { (until(certificates().filter_map(|certificate| certificate.not_after.as_deref()).min(), status)) }
            td.said {
                @if let Some(meaning) = place.meaning { (meaning) }
                @if let Some(message) = &place.message { small { (message) } }
                @if let Some(certificate) = certificates().find(|certificate| !certificate.issues.is_empty()) {
                    small { (certificate.issues.join("; ")) }
                }
            }
        }
    }
}

/// The isolation of spokes from each other.
pub(super) fn isolation(status: &StatusView, isolation: &IsolationView) -> Markup {
    let pairs = &isolation.pairs;
    html! {
        section #isolation aria-labelledby="isolation-title" data-live {
            h2 #isolation-title { "Isolation" }
            p {
                (grouped(pairs.closed + pairs.open + pairs.inconclusive + pairs.due)) " pairs of a role and a foreign api: "
                (grouped(pairs.closed)) " closed, "
                @if pairs.open > 0 { strong.bad { (pairs.open) " open" } } @else { "0 open" }
                ", " (grouped(pairs.inconclusive)) " inconclusive, " (grouped(pairs.due)) " due."
            }
            @if !isolation.open.is_empty() {
                (framed("Open doors between spokes", &html! {
                    table {
                        caption.hidden { "Roles that were let in at an api of another spoke" }
                        thead {
                            tr {
                                th scope="col" { "Role of" }
                                th scope="col" { "was let in at" }
                                th.number scope="col" { "Code" }
                                th scope="col" { "First seen" }
                                th scope="col" { "Last seen" }
                            }
                        }
                        tbody {
                            @for door in isolation.open.iter().take(ROWS) {
                                tr {
                                    th scope="row" { a href=(spoke_href(&door.from)) { (door.from) } }
                                    td { a href=(spoke_href(&door.spoke)) { (door.spoke) "/" (door.api) } }
                                    td.number { @if let Some(code) = door.code { (code) } }
                                    td { (ago(door.since.as_deref(), status)) }
                                    td { (ago(door.last_seen.as_deref(), status)) }
                                }
                            }
                        }
                    }
                }))
                (cut(isolation.open.len(), ROWS))
            }
            @if !isolation.inconclusive.reasons.is_empty() {
                p {
                    "Inconclusive, so not known to be closed: "
                    @for (at, reason) in isolation.inconclusive.reasons.iter().enumerate() {
                        @if at > 0 { ", " }
                        span title=(reason.meaning) { (reason.pairs) " " (reason.reason) }
                    }
                    "."
                }
            }
        }
    }
}

/// The loads that are announced or run.
pub(super) fn loads(status: &StatusView) -> Markup {
    let running = status.loads.iter().any(|load| load.running);
    html! {
        section #loads aria-labelledby="loads-title" data-live {
            h2 #loads-title { "Loads" }
            (framed("Loads", &html! {
                table {
                    caption.hidden { "Loads, whether they run, and how their last run ended" }
                    thead {
                        tr {
                            th scope="col" { "Load" }
                            th scope="col" { "State" }
                            th.number scope="col" { "Asked" }
                            th scope="col" { "Last run" }
                            th.number scope="col" { "Sent" }
                            th.number scope="col" { "Not as expected" }
                            th.number scope="col" { "p50 / p99" }
                        }
                    }
                    tbody { @for load in status.loads.iter().take(ROWS) { (load_row(status, load)) } }
                }
            }))
            (cut(status.loads.len(), ROWS))
            @if running {
                p.note {
                    code { "curl -X POST http://ADDRESS/-/loads/stop" }
                    " stops every load that runs at once; what is in flight still ends."
                }
            }
        }
    }
}

fn load_row(status: &StatusView, load: &LoadView) -> Markup {
    html! {
        tr {
            th scope="row" { (load.name) @if let Some(target) = &load.target { small { (target) } } }
            td {
                @if load.running { strong { "runs" } " for " (lasting(load.since.as_deref(), status)) } @else { "at rest" }
            }
            td.number { @if load.running { (format!("{:.1}/s", load.rate_asked)) } @else { (nothing()) } }
            @if let Some(run) = &load.last {
                td { (run.ended) " " (ago(run.ended_at.as_deref(), status)) }
                td.number { (grouped(run.sent)) small { "of " (grouped(run.due)) " due, " (grouped(run.missed)) " missed" } }
                td.number { (grouped(run.unexpected)) }
                td.number {
                    @if let Some(response) = &run.response {
                        (duration(response.p50_seconds)) span.of { " / " } (duration(response.p99_seconds))
                    } @else { (nothing()) }
                }
            } @else {
                td { (nothing()) } td {} td {} td {}
            }
        }
    }
}

/// Attempts that were not as expected, newest first.
pub(super) fn failures<'a>(
    status: &StatusView,
    failures: impl ExactSizeIterator<Item = &'a FailureView>,
    title: &str,
    brief: bool,
) -> Markup {
    let id = "failures";
    let all = failures.len();
    let rows = if brief { BRIEF_FAILURES } else { FAILURES };
    let title_id = format!("{id}-title");
    html! {
        section id=(id) aria-labelledby=(title_id) data-live {
            h2 id=(title_id) { (title) }
            @if all == 0 { p.note { "None." } }
            @else {
                (framed(title, &html! {
                    table.failures {
                        caption.hidden {
                            "Attempts that were not as expected, newest first, with what finds them in the logs of AWS"
                        }
                        thead {
                            tr {
                                th scope="col" { "When" }
                                th scope="col" { "Target" }
                                th scope="col" { "Outcome" }
                                th.number scope="col" { "Code" }
                                th.number scope="col" { "Took" }
                                th scope="col" { "What was said" }
                                th scope="col" { "Marks" }
                            }
                        }
                        tbody { @for failure in failures.take(rows) { (failure_row(status, failure)) } }
                    }
                }))
                (cut(all, rows))
            }
        }
    }
}

fn failure_row(status: &StatusView, failure: &FailureView) -> Markup {
    let ids = &failure.request_ids;
    let marks = [
        ("request", &ids.request_id),
        ("api gateway", &ids.extended_request_id),
        ("trace", &ids.trace_id),
        ("sent trace", &ids.sent_trace_id),
        ("peer", &failure.peer),
        ("body sha256", &failure.body_sha256),
    ];
    html! {
        tr {
            td { (ago(failure.at.as_deref(), status)) }
            th scope="row" { (failure.target) }
            td.why { (outcome(failure.outcome, failure.reason, false)) }
            td.number { @if let Some(code) = failure.code { (code) } @else { (nothing()) } }
            td.number { @if let Some(took) = failure.response_seconds { (duration(took)) } @else { (nothing()) } }
            td.said {
                @if let Some(message) = &failure.message { div.message { (message) } }
                @if let Some(policy) = &failure.policy_arn { small { "policy " (policy) } }
                @if let Some(bytes) = failure.body_bytes {
                    small { (grouped(bytes as u64)) " bytes of a backend's body" @if failure.truncated { ", cut" } }
                }
            }
            td.marks {
                details {
                    summary { "show" }
                    dl { @for (name, mark) in marks { @if let Some(mark) = mark { dt { (name) } dd { (mark) } } } }
                }
            }
        }
    }
}
