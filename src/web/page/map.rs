//! The picture: the hub in the middle, the endpoint around it zone by zone, the spokes around both, each joined
//! to the endpoint by a line of its state. Every state has a sign of its own beside its colour. The table of
//! spokes says the same in words.

use crate::web::page::figures::{count, duration, grouped};
use crate::web::page::query::spoke_href;
use crate::web::page::summary::{Health, Summary};
use crate::web::status::{PlaceView, StatusView};
use maud::{Markup, html};
use std::f64::consts::TAU;

/// The spokes that find room around the hub; more are shown as cells.
const AROUND: usize = 60;
/// The cells that are shown.
const CELLS: usize = 2_000;
/// Zones whose arcs are long enough for their names, and for the time of a handshake beside them.
const NAMED_ZONES: usize = 6;
const TIMED_ZONES: usize = 4;

/// With more spokes than this their names would be too small on a telephone, where they are left out.
const DENSE: usize = 24;

const WIDTH: f64 = 760.0;
/// The endpoint's ring: the middle of its stroke, and its outer edge.
const RING: f64 = 88.0;
const EDGE: f64 = 103.0;

/// The picture with its heading.
pub(super) fn section(status: &StatusView, spokes: &[Summary<'_>]) -> Markup {
    html! {
        h2 #map-title { "Hub, endpoint and spokes" }
        @if spokes.len() <= AROUND {
            (picture(status, spokes))
        } @else {
            (picture(status, &[]))
            (cells(spokes))
        }
        ul.legend {
            @for state in Health::ALL.into_iter().rev() {
                li {
                    span class={ "state " (state.key()) } { span.sign aria-hidden="true" { (state.sign()) } }
                    " " (spokes.iter().filter(|spoke| spoke.health == state).count()) " " (state.words())
                }
            }
        }
    }
}

/// A place in the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spot {
    x: f64,
    y: f64,
    on_the_right: bool,
}

/// Where each of so many spokes lies in a picture of this height: down the right side and up the left one, so
/// that they go around by name and their names lie one under the other.
fn spots(spokes: usize, height: f64) -> Vec<Spot> {
    let right = spokes.div_ceil(2);
    (0..spokes)
        .map(|at| {
            let on_the_right = at < right;
            let rows = if on_the_right { right } else { spokes - right };
            let row = if on_the_right { at } else { spokes - 1 - at };
            let dy = (as_f64(row) - (as_f64(rows) - 1.0) / 2.0) * pitch(spokes);
            let dx = 218.0 * (1.0 - (dy / (height / 2.0)).powi(2)).max(0.0).sqrt();
            Spot {
                x: if on_the_right { WIDTH / 2.0 + dx } else { WIDTH / 2.0 - dx },
                y: height / 2.0 + dy,
                on_the_right,
            }
        })
        .collect()
}

const fn pitch(spokes: usize) -> f64 {
    match spokes {
        0..=6 => 72.0,
        7..=12 => 48.0,
        13..=24 => 34.0,
        25..=40 => 26.0,
        _ => 21.0,
    }
}

fn picture(status: &StatusView, spokes: &[Summary<'_>]) -> Markup {
    let rows = as_f64(spokes.len().div_ceil(2));
    let height = (rows * pitch(spokes.len()) + 56.0).max(264.0);
    let middle = format!("translate({} {})", WIDTH / 2.0, height / 2.0);
    let spots = spots(spokes.len(), height);
    let expected = status.totals.as_expected;
    html! {
        svg.map.dense[spokes.len() > DENSE] viewBox=(format!("0 0 {WIDTH} {height}")) role="group"
            aria-label=(format!("The hub, its endpoint and {}; the table below says the same", count(status.spokes.len(), "spoke"))) {
            g aria-hidden="true" {
                @for (spoke, spot) in spokes.iter().zip(&spots) {
                    path class={ "link " (spoke.health.key()) } d=(link(*spot, height)) {}
                }
            }
            g transform=(middle) {
                (ring(status))
                circle.hub r="58" {}
                text.hub y="-6" { "hub" }
                text.under y="14" { (grouped(expected as u64)) " of " (grouped(status.totals.targets as u64)) }
                text.under y="29" { "as expected" }
            }
            @for (spoke, spot) in spokes.iter().zip(&spots) {
                (node(spoke, *spot))
            }
        }
    }
}

/// The line from the ring's edge to a spoke.
fn link(spot: Spot, height: f64) -> String {
    let (cx, cy) = (WIDTH / 2.0, height / 2.0);
    let angle = (spot.y - cy).atan2(spot.x - cx);
    let (sx, sy) = (cx + EDGE * angle.cos(), cy + EDGE * angle.sin());
    format!("M{sx:.1} {sy:.1}Q{:.1} {:.1} {:.1} {:.1}", f64::midpoint(sx, spot.x), spot.y, spot.x, spot.y)
}

fn node(spoke: &Summary<'_>, spot: Spot) -> Markup {
    let name = &spoke.view.name;
    let reason = spoke.reasons.first().map_or("", |(_, reason, _)| *reason);
    let told = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let (x, anchor) = if spot.on_the_right { ("16", "start") } else { ("-16", "end") };
    let shown: String = if name.chars().count() > 22 {
        name.chars().take(21).chain(['\u{2026}']).collect()
    } else {
        name.clone()
    };
    html! {
        a class={ "spoke " (spoke.health.key()) } href=(spoke_href(name))
            transform=(format!("translate({:.1} {:.1})", spot.x, spot.y))
            aria-label=(format!("{name}: {}{told}", spoke.health.words())) {
            title { (name) ": " (spoke.health.words()) (told) }
            circle r="9.5" {}
            path d=(sign(spoke.health)) {}
            text x=(x) y="4" text-anchor=(anchor) { (shown) }
        }
    }
}

/// The sign of a state, drawn.
const fn sign(health: Health) -> &'static str {
    match health {
        Health::Expected => "M-4 .5l2.8 2.8L4-3",
        Health::Unexpected => "M-3.5-3.5l7 7m0-7l-7 7",
        Health::Unsent => "M-4 0h8",
        Health::Waiting => "M-4 0h.1M0 0h.1M4 0h.1",
    }
}

/// The endpoint: an arc for each zone, or one ring.
fn ring(status: &StatusView) -> Markup {
    let endpoint = status.endpoint.as_ref();
    let zones: &[PlaceView] = endpoint.map_or(&[], |endpoint| &endpoint.zones);
    let whole = endpoint.and_then(|endpoint| endpoint.up);
    html! {
        @if zones.is_empty() {
            circle class={ "zone " (key(whole)) } r=(RING) { title { "endpoint" } }
            path #arc fill="none" d=(arc(-TAU / 2.0, 0.0, RING - 4.0)) {}
            text.zone { textPath href="#arc" startOffset="50%" { "endpoint" (mark(whole)) } }
        }
        @for (at, zone) in zones.iter().enumerate() {
            @let (from, to) = arc_of(at, zones.len());
            @let below = zones.len() > 1 && ((from + to) / 2.0).sin() > 0.01;
            @let name = zone.zone.as_deref().unwrap_or("zone");
            path class={ "zone " (key(zone.up)) } d=(arc(from, to, RING)) {
                title { "zone " (name) ": " (zone_words(zone)) }
            }
            @if zones.len() <= NAMED_ZONES {
                // Below the hub the text runs the other way, so that it stands upright.
                path id={ "arc-" (at) } fill="none"
                    d=(if below { arc(to, from, RING + 4.0) } else { arc(from, to, RING - 4.0) }) {}
                text.zone {
                    textPath href={ "#arc-" (at) } startOffset="50%" {
                        (name) (mark(zone.up))
                        @if zones.len() <= TIMED_ZONES && let Some(took) = handshake(zone) { (duration(took)) }
                    }
                }
            }
        }
    }
}

/// The angles between which a zone's arc lies: the first is centred above.
fn arc_of(at: usize, zones: usize) -> (f64, f64) {
    let span = TAU / as_f64(zones.max(1));
    let gap = if zones > 1 { 0.06 } else { 0.001 };
    let middle = as_f64(at).mul_add(span, -TAU / 4.0);
    (middle - span / 2.0 + gap, middle + span / 2.0 - gap)
}

fn arc(from: f64, to: f64, radius: f64) -> String {
    let large = i32::from((to - from).abs() > TAU / 2.0);
    let clockwise = i32::from(to > from);
    format!(
        "M{:.2} {:.2}A{radius} {radius} 0 {large} {clockwise} {:.2} {:.2}",
        radius * from.cos(),
        radius * from.sin(),
        radius * to.cos(),
        radius * to.sin()
    )
}

const fn key(up: Option<bool>) -> &'static str {
    match up {
        Some(true) => "ok",
        Some(false) => "bad",
        None => "waiting",
    }
}

const fn mark(up: Option<bool>) -> &'static str {
    match up {
        Some(true) => " \u{2713} ",
        Some(false) => " \u{2715} down",
        None => " \u{2026}",
    }
}

/// What the fastest connection and handshake of a zone took.
pub(super) fn handshake(zone: &PlaceView) -> Option<f64> {
    let took = zone.addresses.iter().filter_map(|at| Some(at.connect_seconds? + at.tls_seconds?));
    took.min_by(f64::total_cmp)
}

fn zone_words(zone: &PlaceView) -> String {
    match (zone.up, zone.reason) {
        (Some(true), _) => "accepts handshakes".to_owned(),
        (Some(false), reason) => format!("down, {}", reason.unwrap_or("unknown")),
        (None, _) => "not looked at yet".to_owned(),
    }
}

/// Many spokes: a field of cells, the worst first.
fn cells(spokes: &[Summary<'_>]) -> Markup {
    let mut order: Vec<&Summary<'_>> = spokes.iter().collect();
    order.sort_by_key(|spoke| spoke.health);
    html! {
        ul.cells aria-label="Spokes, the worst first" {
            @for spoke in order.iter().take(CELLS) {
                li {
                    a class=(spoke.health.key()) href=(spoke_href(&spoke.view.name)) title=(spoke.view.name)
                        aria-label={ (spoke.view.name) ": " (spoke.health.words()) } { (spoke.health.sign()) }
                }
            }
        }
        @if order.len() > CELLS { p.note { (order.len() - CELLS) " more are in the table." } }
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most a few thousand")]
const fn as_f64(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spokes_never_lie_on_each_other_nor_in_the_endpoint() {
        for spokes in 1..=AROUND {
            let height = (as_f64(spokes.div_ceil(2)) * pitch(spokes) + 56.0).max(264.0);
            let spots = spots(spokes, height);
            for (at, spot) in spots.iter().enumerate() {
                let from_hub = (spot.x - WIDTH / 2.0).hypot(spot.y - height / 2.0);
                assert!(from_hub > EDGE + 14.0, "{spokes}: {spot:?} is {from_hub} from the hub");
                assert!(spot.y > 12.0 && spot.y < height - 12.0, "{spokes}: {spot:?}");
                assert!((spot.x > WIDTH / 2.0) == spot.on_the_right);
                for other in &spots[at + 1..] {
                    let apart = (spot.x - other.x).hypot(spot.y - other.y);
                    assert!(apart >= 20.9, "{spokes}: {spot:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn zones_share_the_ring_evenly() {
        for zones in 1..=8 {
            let arcs: Vec<_> = (0..zones).map(|at| arc_of(at, zones)).collect();
            let covered: f64 = arcs.iter().map(|(from, to)| to - from).sum();
            assert!(covered > TAU * 0.8 && covered < TAU, "{zones}");
            assert!(arcs.windows(2).all(|two| two[0].1 < two[1].0), "{zones}");
        }
    }
}
