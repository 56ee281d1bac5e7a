//! The page at `/` and, as `/?spoke=NAME`, the page of a spoke: what the status API says, made for eyes.
//!
//! ```text
//! query      what is asked for: spoke, filter, order, rows   attention  what somebody has to look at
//! summary    a spoke's targets as one state                  map        hub, endpoint and spokes as a picture
//! figures    times and numbers as people read them           table      the spokes, sorted and filtered
//! history    an hour in a few pixels                         details    endpoint, isolation, loads, failures
//! spoke      the page of a spoke                             agent      the agent: configuration, members, place
//! assets     style and script, known by their hashes
//! ```
//!
//! Everything is rendered here: without its script the page is whole and merely stands still. `maud` escapes
//! every value; nothing from outside is ever marked as markup. Lists are cut, with a note, so that a page stays
//! of a size that a browser likes whatever the configuration is.

mod agent;
mod assets;
mod attention;
mod details;
mod figures;
mod history;
mod map;
mod query;
mod spoke;
mod summary;
mod table;

pub(super) use assets::content_security_policy;

use crate::domain::outcome::Reason;
use crate::web::Explanation;
use crate::web::status::StatusView;
use figures::{ago, count};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use query::Query;
use summary::{Health, Summary};

/// A page, and whether it is of something that there is.
#[derive(Debug)]
pub(super) struct Page {
    /// False for a spoke that is not known.
    pub(super) found: bool,
    /// The whole document.
    pub(super) html: String,
}

/// The page for this query.
pub(super) fn render(status: &StatusView, query: &str, explain: fn(Reason) -> Explanation) -> Page {
    let query = Query::parse(query);
    let spokes = summary::of(status);
    let (found, title, content) = match &query.spoke {
        None => (true, title(&spokes), front(status, &spokes, &query)),
        Some(name) => match spokes.iter().find(|spoke| spoke.view.name == *name) {
            Some(known) => (true, format!("{name} · spokeprobe"), spoke::page(status, known, explain)),
            None => (false, "No such spoke · spokeprobe".to_owned(), spoke::unknown(name)),
        },
    };
    Page { found, html: without_direction_marks(shell(status, &title, &content).into_string()) }
}

/// What a tab shows when many are open.
fn title(spokes: &[Summary<'_>]) -> String {
    let bad = summary::number_of(spokes, Health::Unexpected) + summary::number_of(spokes, Health::Unsent);
    if bad == 0 { "spokeprobe".to_owned() } else { format!("({bad}) spokeprobe") }
}

fn shell(status: &StatusView, title: &str, content: &Markup) -> Markup {
    let agent = &status.agent;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(assets::STYLE)) }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    a.brand href="/" { (logo()) "spokeprobe" }
                    // Shown by the script: without it there is nothing to pause.
                    div.refresh #refresh hidden {
                        span #refreshed role="status" { "Refreshes every 5 s" }
                        button #pause type="button" { "Pause" }
                    }
                }
                main #content tabindex="-1" { (content) }
                footer #agent data-live {
                    p {
                        "spokeprobe " (agent.version)
                        @if let Some(revision) = agent.revision { " (" (revision) ")" }
                        " · started " (ago(agent.started_at.as_deref(), status))
                        " · as of " time datetime=[agent.now.as_deref()] { (agent.now.as_deref().unwrap_or("?")) }
                        @if let Some(skew) = agent.clock_skew_seconds {
                            " · the far side's clock is " (format!("{:+.1} s", skew)) " from ours"
                        }
                    }
                    nav aria-label="For machines" {
                        a href="/metrics" { "Metrics" } " "
                        a href="/api/v1/status" { "Status as JSON" } " "
                        a href="/-/healthy" { "Healthy" } " "
                        a href="/-/ready" { "Ready" }
                    }
                }
                script { (PreEscaped(assets::SCRIPT)) }
            }
        }
    }
}

/// A hub and its spokes, to be found again among tabs and windows.
fn logo() -> Markup {
    html! {
        svg.logo viewBox="-12 -12 24 24" aria-hidden="true" focusable="false" {
            path d="M0-9V9M-7.8-4.5L7.8 4.5M-7.8 4.5L7.8-4.5" {}
            circle r="4" {}
        }
    }
}

fn front(status: &StatusView, spokes: &[Summary<'_>], query: &Query) -> Markup {
    let bad = summary::number_of(spokes, Health::Unexpected) + summary::number_of(spokes, Health::Unsent);
    let waiting = summary::number_of(spokes, Health::Waiting);
    let agent = &status.agent;
    html! {
        div #head data-live {
            h1 {
                @if spokes.is_empty() { "No spokes" }
                @else if bad > 0 {
                    (bad) " of " (count(spokes.len(), "spoke"))
                    @if bad == 1 { " is" } @else { " are" } " not as expected"
                }
                @else if waiting == spokes.len() { "No results yet" }
                @else if waiting > 0 {
                    "All results are as expected, " (waiting) " of " (count(spokes.len(), "spoke")) " to come"
                }
                @else if spokes.len() == 1 { "The one spoke is as expected" }
                @else { "All " (count(spokes.len(), "spoke")) " are as expected" }
            }
            p.lead {
                @if agent.ready { "The agent is ready." }
                @else { "Not ready: " (agent.missing.join("; ")) "." }
                (agent::share(status.members.as_ref()))
            }
            (figures::tiles(status))
        }
        div.split {
            section #map aria-labelledby="map-title" data-live { (map::section(status, spokes)) }
            section #attention aria-labelledby="attention-title" data-live { (attention::section(status)) }
        }
        (table::section(status, spokes, query))
        (details::targets(status))
        @if let Some(endpoint) = &status.endpoint { (details::endpoint(status, endpoint)) }
        @if let Some(isolation) = &status.isolation { (details::isolation(status, isolation)) }
        @if !status.loads.is_empty() { (details::loads(status)) }
        (details::failures(status, status.failures.iter(), "Last failures", true))
        (agent::section(status))
    }
}

/// Marks that turn the direction of text around could show one name as another, and control characters are of
/// no use to a reader; both become the sign for what cannot be shown.
fn without_direction_marks(html: String) -> String {
    let unwanted = |c: char| {
        matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
            || (c.is_control() && c != '\n' && c != '\t')
    };
    if html.contains(unwanted) { html.replace(unwanted, "\u{fffd}") } else { html }
}

#[cfg(test)]
mod tests;
