//! The agent itself: whose share this page shows, which configuration is in use, and where the agent runs.

use crate::web::page::figures::{ago, count, lasting, nothing};
use crate::web::status::{ConfigurationView, MembersView, StatusView};
use maud::{Markup, html};

/// The members that are named here; the status API has all.
const NAMES: usize = 16;

/// Whose share the page shows, for the line under its heading; nothing for an agent that does all.
pub(super) fn share(members: Option<&MembersView>) -> Markup {
    html! {
        @match members.map(|members| members.state) {
            None => {}
            Some("waiting") => " The members are not known yet; until they are, an agent that has just started probes nothing.",
            Some("stand_in") => " The members are not known, so it probes every target, as others may do.",
            Some(_) => {
                " It is one of " (members.map_or(0, |members| members.names.len()))
                " members, and this page shows its share."
            }
        }
    }
}

/// The section at the end of the page.
pub(super) fn section(status: &StatusView) -> Markup {
    let agent = &status.agent;
    let places =
        [("Cluster", &agent.cluster), ("Task", &agent.task), ("Availability zone", &agent.availability_zone)];
    html! {
        section #this-agent aria-labelledby="this-agent-title" data-live {
            h2 #this-agent-title { "This agent" }
            dl.facts {
                (configuration(status, &status.configuration))
                @if let Some(members) = &status.members { (of_members(status, members)) }
                @for (what, place) in places {
                    @if let Some(place) = place { div { dt { (what) } dd { (place) } } }
                }
            }
        }
    }
}

fn configuration(status: &StatusView, configuration: &ConfigurationView) -> Markup {
    let (words, class) = match (&configuration.refused, &configuration.unreadable) {
        (Some(_), _) => ("a newer one is refused", "bad"),
        (None, Some(_)) => ("it cannot be read again", "bad"),
        (None, None) => ("in use", ""),
    };
    html! {
        div.wide {
            dt { "Configuration" }
            dd {
                @if configuration.source.is_empty() { (nothing()) } @else { (configuration.source) }
                @if configuration.read_at.is_some() {
                    ", read " (ago(configuration.read_at.as_deref(), status))
                    ", " span class=(class) { (words) }
                }
            }
        }
    }
}

fn of_members(status: &StatusView, members: &MembersView) -> Markup {
    let shown = members.names.iter().take(NAMES);
    let replicas = usize::try_from(members.replicas).unwrap_or(usize::MAX);
    html! {
        div.wide {
            dt { "Members" }
            dd {
                @if members.names.is_empty() { (nothing()) }
                @for (nth, name) in shown.enumerate() {
                    @if nth > 0 { ", " }
                    @if members.me.contains(name) { strong { (name) } " (this one)" } @else { (name) }
                }
                @if members.names.len() > NAMES { ", and " (members.names.len() - NAMES) " more" }
            }
        }
        div {
            dt { "Its share" }
            dd {
                @match members.state {
                    "waiting" => "not known yet",
                    "stand_in" => span.bad { "everything" },
                    _ => {
                        "some targets, each probed by " (count(replicas, "member"))
                        ", for " (lasting(members.since.as_deref(), status))
                    }
                }
            }
        }
        div {
            dt { "Scheduled loads" }
            dd { @if members.first { "begun by this agent" } @else { "not begun by this agent" } }
        }
    }
}
