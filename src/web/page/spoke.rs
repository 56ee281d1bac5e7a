//! The page of one spoke: its targets, what their reasons mean and what to do, its last failures.

use crate::domain::outcome::Reason;
use crate::domain::scrub::scrub;
use crate::web::Explanation;
use crate::web::page::details::{failures, framed, target_headings, target_row};
use crate::web::page::figures::{ago, count, lasting, latency, nothing, state, until};
use crate::web::page::history;
use crate::web::page::query::spoke_href;
use crate::web::page::summary::{Health, Summary};
use crate::web::status::{FailureView, OpenPairView, StatusView};
use maud::{Markup, html};

/// The targets that are shown; the status API has all.
const TARGETS: usize = 300;
/// The reasons that are explained.
const EXPLAINED: usize = 8;

/// The page of a spoke that is not known.
pub(super) fn unknown(name: &str) -> Markup {
    // Whoever pastes a token into the address is not to find it on the page as well.
    let shown: String = scrub(name).chars().take(80).collect();
    html! {
        h1 { "No such spoke" }
        p.lead {
            "This agent knows no spoke named \u{201c}" (shown)
            "\u{201d}. It may be another member's, or left out of the configuration."
        }
        p { a href="/" { "All spokes" } }
    }
}

/// The page of a spoke.
pub(super) fn page(status: &StatusView, spoke: &Summary<'_>, explain: fn(Reason) -> Explanation) -> Markup {
    let view = spoke.view;
    let mut failed: Vec<&FailureView> = spoke.targets.iter().flat_map(|target| &target.failures).collect();
    failed.sort_by(|a, b| b.at.cmp(&a.at));
    let title = format!("Last failures of {}", view.name);
    html! {
        nav.crumbs aria-label="Where you are" { a href="/" { "All spokes" } " / " span aria-current="page" { (view.name) } }
        div #head data-live {
            h1 { (view.name) " " (state(spoke.health, spoke.health.words())) }
            p.lead {
                (spoke.expected) " of " (count(spoke.targets.len(), "target")) " as expected"
                @if spoke.since.is_some() { ", like this for " (lasting(spoke.since, status)) } "."
            }
        }
        section #hour aria-labelledby="hour-title" data-live {
            h2 #hour-title { "The last hour" }
            (history::large(&view.minutes))
            (facts(status, spoke))
        }
        (session_refusal(status, spoke))
        section #targets aria-labelledby="targets-title" data-live {
            h2 #targets-title { "Targets" }
            @if spoke.targets.is_empty() { p.note { "None here." } }
            @else {
                (framed("Targets", &html! {
                    table {
                        caption.hidden { "The targets of this spoke, the worst first" }
                        thead { (target_headings()) }
                        tbody { @for target in worst_first(spoke) { (target_row(status, target, false)) } }
                    }
                }))
                @if spoke.targets.len() > TARGETS { p.note { (spoke.targets.len() - TARGETS) " more are in the JSON." } }
            }
        }
        (open_doors(status, spoke))
        (explanations(spoke, explain))
        (failures(status, failed.into_iter(), &title, false))
    }
}

fn worst_first<'a>(spoke: &Summary<'a>) -> Vec<&'a crate::web::status::TargetView> {
    let mut targets = spoke.targets.clone();
    targets.sort_by_key(|target| Health::of_target(target));
    targets.truncate(TARGETS);
    targets
}

fn facts(status: &StatusView, spoke: &Summary<'_>) -> Markup {
    let view = spoke.view;
    let shown = |text: &Option<String>| html! { @if let Some(text) = text { (text) } @else { (nothing()) } };
    html! {
        dl.facts {
            div { dt { "Now, p50 / p99" } dd { (latency(view.latency_now.as_ref())) } }
            div { dt { "Last hour, p50 / p99" } dd { (latency(view.latency_last_hour.as_ref())) } }
            div { dt { "Since the start, p50 / p99" } dd { (latency(view.latency.as_ref())) } }
            div {
                dt { "Session" }
                dd {
                    (view.credentials.state.replace('_', " "))
                    @if let Some(end) = &view.credentials.expires_at { ", ends " (until(Some(end), status)) }
                }
            }
            div { dt { "Account" } dd { (shown(&view.account)) } }
            div { dt { "Region" } dd { (shown(&view.region)) } }
            div.wide { dt { "Role" } dd { (shown(&view.role_arn)) } }
            @if !view.labels.is_empty() {
                div.full {
                    dt { "Labels" }
                    dd { @for (key, value) in &view.labels { span.label { (key) "=" (value) } " " } }
                }
            }
        }
    }
}

fn session_refusal(status: &StatusView, spoke: &Summary<'_>) -> Markup {
    html! {
        @if let Some(refusal) = &spoke.view.credentials.refusal {
            section #session aria-labelledby="session-title" data-live {
                h2 #session-title { "STS gives no session" }
                p { strong { (refusal.cause.replace('_', " ")) } ": " (refusal.meaning) }
                p.note {
                    @if let Some(code) = &refusal.code { (code) ": " } (refusal.message) " (" (ago(refusal.at.as_deref(), status)) ")"
                }
            }
        }
    }
}

fn open_doors(status: &StatusView, spoke: &Summary<'_>) -> Markup {
    let name = &spoke.view.name;
    let doors = || status.isolation.iter().flat_map(|isolation| &isolation.open);
    let here: Vec<&OpenPairView> = doors().filter(|door| door.spoke == *name).take(TARGETS).collect();
    let away: Vec<&OpenPairView> = doors().filter(|door| door.from == *name).take(TARGETS).collect();
    html! {
        @if !here.is_empty() || !away.is_empty() {
            section #isolation aria-labelledby="isolation-title" data-live {
                h2 #isolation-title { "Isolation is broken" }
                @if !here.is_empty() {
                    p {
                        "Roles of other spokes were let in here: "
                        @for (at, door) in here.iter().enumerate() {
                            @if at > 0 { ", " }
                            a href=(spoke_href(&door.from)) { (door.from) } " at " (door.api)
                        }
                        "."
                    }
                }
                @if !away.is_empty() {
                    p {
                        "The role of this spoke was let in at: "
                        @for (at, door) in away.iter().enumerate() {
                            @if at > 0 { ", " }
                            a href=(spoke_href(&door.spoke)) { (door.spoke) "/" (door.api) }
                        }
                        "."
                    }
                }
            }
        }
    }
}

fn explanations(spoke: &Summary<'_>, explain: fn(Reason) -> Explanation) -> Markup {
    let reasons = spoke.reasons.iter().take(EXPLAINED);
    // A reason that is none at all, an open door, has its explanation in the door.
    let known = reasons.filter_map(|(_, reason, targets)| Some((reason.parse::<Reason>().ok()?, *targets)));
    let known: Vec<(Reason, usize)> = known.collect();
    html! {
        @if !known.is_empty() {
            section #meaning aria-labelledby="meaning-title" data-live {
                h2 #meaning-title { "What it means, and what to do" }
                @for (reason, targets) in known {
                    @if reason == Reason::None {
                        article {
                            h3 { "open door" span.weak { " at " (count(targets, "target")) } }
                            p {
                                "A caller that should have been refused was let in. Whoever owns the API's resource policy, and the "
                                "endpoint's policy in the hub, should say who is meant to pass."
                            }
                        }
                    } @else {
                        (explained(reason, targets, &explain(reason)))
                    }
                }
            }
        }
    }
}

fn explained(reason: Reason, targets: usize, explanation: &Explanation) -> Markup {
    html! {
        article {
            h3 { code { (reason) } span.weak { " at " (count(targets, "target")) } }
            p { (reason.meaning()) " " (explanation.more) }
            p { strong { "Who can change it: " } (explanation.owners.join("; ")) "." }
            @if !explanation.causes.is_empty() {
                h4 { "Usually" }
                ul { @for cause in explanation.causes { li { (cause) } } }
            }
            @if !explanation.steps.is_empty() {
                h4 { "What to do" }
                ol {
                    @for step in &explanation.steps {
                        li { (step.text) @if let Some(command) = step.command { pre tabindex="0" { code { (command) } } } }
                    }
                }
            }
            p.note { "The whole story, with what AWS says: " code { "spokeprobe explain " (reason) } }
        }
    }
}
