//! The table of spokes: sorted and filtered by the address, so that it works without a script and for hundreds.

use crate::web::page::figures::{count, lasting, latency, nothing, outcome, state, until};
use crate::web::page::history;
use crate::web::page::query::{Query, Sort, spoke_href};
use crate::web::page::summary::{Health, Summary};
use crate::web::status::{LatencyView, StatusView};
use maud::{Markup, html};
use std::cmp::Ordering;

/// The rows of one page of the table.
pub(super) const ROWS: usize = 200;

/// The table with its heading and its filter.
pub(super) fn section(status: &StatusView, spokes: &[Summary<'_>], query: &Query) -> Markup {
    let shown = chosen(spokes, query);
    let skip = if query.skip < shown.len() { query.skip } else { 0 };
    html! {
        section #spokes aria-labelledby="spokes-title" {
            div.bar {
                h2 #spokes-title { "Spokes" }
                // Outside of what the script replaces, so that nobody's typing is disturbed.
                form action="/" method="get" role="search" aria-label="Filter the spokes" {
                    label {
                        span { "Filter" } " "
                        input type="search" name="filter" value=(query.filter) autocomplete="off"
                            placeholder="name, account, label, reason";
                    }
                    label {
                        span { "State" } " "
                        select name="state" {
                            option value="" { "any" }
                            @for state in Health::ALL {
                                option value=(state.key()) selected[query.state == Some(state)] { (state.words()) }
                            }
                        }
                    }
                    @if query.sort != Sort::default() { input type="hidden" name="sort" value=(query.sort.as_str()); }
                    @if query.reversed { input type="hidden" name="reversed" value="yes"; }
                    button type="submit" { "Apply" }
                    @if !query.filter.is_empty() || query.state.is_some() {
                        a href=(Query { filter: String::new(), state: None, skip: 0, ..query.clone() }.href()) { "Clear" }
                    }
                }
            }
            div #table data-live {
                @if shown.is_empty() {
                    p.note { "No spoke matches." }
                } @else {
                    (table(status, shown.get(skip..).unwrap_or_default(), query))
                    (pages(shown.len(), skip, query))
                }
            }
        }
    }
}

/// The spokes that are asked for, in the order that is asked for.
fn chosen<'a, 'b>(spokes: &'b [Summary<'a>], query: &Query) -> Vec<&'b Summary<'a>> {
    let words: Vec<String> = query.filter.split_whitespace().map(str::to_lowercase).collect();
    let mut chosen: Vec<&Summary<'_>> = spokes
        .iter()
        .filter(|spoke| query.state.is_none_or(|state| spoke.health == state))
        .filter(|spoke| words.is_empty() || matches(spoke, &words))
        .collect();
    // The sort is stable, so equals stay in the order of names.
    chosen.sort_by(|a, b| {
        let order = compare(a, b, query.sort);
        if query.reversed { order.reverse() } else { order }
    });
    chosen
}

fn matches(spoke: &Summary<'_>, words: &[String]) -> bool {
    let view = spoke.view;
    let mut text = format!("{} {} ", view.name, spoke.health.words());
    for part in [&view.account, &view.region, &view.role_arn].into_iter().flatten() {
        text.push_str(part);
        text.push(' ');
    }
    for (key, value) in &view.labels {
        text.push_str(&format!("{key}={value} "));
    }
    for (outcome, reason, _) in &spoke.reasons {
        text.push_str(&format!("{outcome} {reason} "));
    }
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word))
}

fn compare(a: &Summary<'_>, b: &Summary<'_>, sort: Sort) -> Ordering {
    let p99 = |latency: &Option<LatencyView>| latency.map_or(-1.0, |latency| latency.p99_seconds);
    match sort {
        Sort::State => a.health.cmp(&b.health),
        Sort::Name => a.view.name.cmp(&b.view.name),
        Sort::Since => b.since.cmp(&a.since),
        Sort::Now => p99(&b.view.latency_now).total_cmp(&p99(&a.view.latency_now)),
        Sort::Hour => p99(&b.view.latency_last_hour).total_cmp(&p99(&a.view.latency_last_hour)),
        Sort::Session => {
            // Who has none comes last.
            let end =
                |spoke: &Summary<'_>| spoke.view.credentials.expires_at.clone().unwrap_or_else(|| "~".into());
            end(a).cmp(&end(b))
        }
    }
}

fn table(status: &StatusView, rows: &[&Summary<'_>], query: &Query) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-labelledby="spokes-title" {
            table.spokes {
                caption.hidden { "Spokes: state, targets as expected, response times and session. Headings sort." }
                thead {
                    tr {
                        (heading("Spoke", Sort::Name, query))
                        (heading("State", Sort::State, query))
                        (heading("For", Sort::Since, query))
                        th scope="col" { "Why" }
                        th.number scope="col" { "Targets" }
                        (heading("Now, p50 / p99", Sort::Now, query))
                        (heading("Last hour, p50 / p99", Sort::Hour, query))
                        th scope="col" { "Last hour" }
                        (heading("Session ends", Sort::Session, query))
                    }
                }
                tbody { @for spoke in rows.iter().take(ROWS) { (row(status, spoke)) } }
            }
        }
    }
}

fn heading(text: &str, sort: Sort, query: &Query) -> Markup {
    let by_this = query.sort == sort;
    let direction = if sort.ascends() != query.reversed { "ascending" } else { "descending" };
    let href = Query { sort, reversed: by_this && !query.reversed, skip: 0, ..query.clone() }.href();
    html! {
        th scope="col" aria-sort=[by_this.then_some(direction)] {
            a href=(href) {
                (text)
                @if by_this {
                    span.arrow aria-hidden="true" {
                        @if direction == "ascending" { " \u{2191}" } @else { " \u{2193}" }
                    }
                }
            }
        }
    }
}

fn row(status: &StatusView, spoke: &Summary<'_>) -> Markup {
    let view = spoke.view;
    html! {
        tr {
            th scope="row" {
                a href=(spoke_href(&view.name)) { (view.name) }
                @if let Some(account) = &view.account { small { (account) } }
            }
            td { (state(spoke.health, spoke.health.words())) }
            td { (lasting(spoke.since, status)) }
            td.why {
                @match spoke.reasons.first() {
                    Some((result, reason, _)) => {
                        (outcome(result, reason, false))
                        @if spoke.reasons.len() > 1 { small { "and " (count(spoke.reasons.len() - 1, "other reason")) } }
                    }
                    None => (nothing()),
                }
            }
            td.number { (spoke.expected) span.of { " / " (spoke.targets.len()) } }
            td.number { (latency(view.latency_now.as_ref())) }
            td.number { (latency(view.latency_last_hour.as_ref())) }
            td { (history::small(&view.minutes)) }
            td {
                @match view.credentials.state {
                    "valid" => (until(view.credentials.expires_at.as_deref(), status)),
                    other => span.weak { (other.replace('_', " ")) },
                }
            }
        }
    }
}

fn pages(found: usize, skip: usize, query: &Query) -> Markup {
    let at = |skip: usize| Query { skip, ..query.clone() }.href();
    html! {
        @if found > ROWS {
            nav.pages aria-label="Pages of the table" {
                span { "Rows " (skip + 1) " to " (found.min(skip + ROWS)) " of " (found) }
                @if skip > 0 { " " a href=(at(skip.saturating_sub(ROWS))) { "Previous" } }
                @if skip + ROWS < found { " " a href=(at(skip + ROWS)) { "Next" } }
            }
        }
    }
}
