//! An hour of a spoke in a few pixels: a line of its response times over a strip of its minutes.

use crate::recording::Minute;
use crate::web::page::figures::{count, duration};
use maud::{Markup, html};
use std::fmt::Write as _;

/// The width of a minute.
const MINUTE: usize = 2;
/// The height of the line's field, and the place of the strip under it.
const FIELD: f64 = 14.0;

/// The small picture of a row.
pub(super) fn small(minutes: &[Minute]) -> Markup {
    let strip = strip(minutes);
    html! {
        svg.hour viewBox="0 0 120 22" width="120" height="22" role="img" aria-label=(words(minutes)) {
            path.line d=(line(minutes, slowest_mean(minutes), FIELD)) {}
            path.none d=(strip.none) {}
            path.ok d=(strip.ok) {}
            path.bad d=(strip.bad) {}
        }
    }
}

/// The large picture of a spoke's page, with its scale.
pub(super) fn large(minutes: &[Minute]) -> Markup {
    let top = slowest_mean(minutes);
    let strip = strip(minutes);
    html! {
        figure.hour {
            svg viewBox="0 0 120 22" preserveAspectRatio="none" role="img" aria-label=(words(minutes)) {
                path.line d=(line(minutes, top, FIELD)) {}
                path.none d=(strip.none) {}
                path.ok d=(strip.ok) {}
                path.bad d=(strip.bad) {}
            }
            figcaption {
                span { "60 minutes ago" }
                span {
                    "Line: mean response time of each minute, at most " (duration(top))
                    ". Strip: " span.key.ok { "as expected" } " " span.key.bad { "something not" }
                }
                span { "now" }
            }
        }
    }
}

/// The same for those who do not see it.
fn words(minutes: &[Minute]) -> String {
    let with = minutes.iter().filter(|minute| minute.ended > 0).count();
    let bad = minutes.iter().filter(|minute| minute.unexpected > 0).count();
    if with == 0 {
        return "Nothing in the last hour".to_owned();
    }
    let slowest = minutes.iter().map(|minute| minute.longest_us).max().unwrap_or(0);
    format!(
        "Last hour: results in {}, in {bad} of them something not as expected; the slowest took {}",
        count(with, "minute"),
        duration(f64::from(slowest) / 1e6)
    )
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of minutes are far below 2^52")]
fn mean(minute: &Minute) -> Option<f64> {
    (minute.sent > 0).then(|| minute.sum_us as f64 / 1e6 / f64::from(minute.sent))
}

fn slowest_mean(minutes: &[Minute]) -> f64 {
    minutes.iter().filter_map(mean).fold(0.0, f64::max)
}

/// The path of the means; a minute without any is a gap.
fn line(minutes: &[Minute], top: f64, height: f64) -> String {
    let mut path = String::new();
    let mut drawn = false;
    for (at, minute) in minutes.iter().enumerate() {
        let Some(mean) = mean(minute) else {
            drawn = false;
            continue;
        };
        let y = height - (height - 2.0) * mean / top.max(1e-6);
        let x = at * MINUTE;
        // Half a minute of flat line on both sides, so that a lone minute is seen as well.
        let _done = if drawn { write!(path, "L{x} {y:.1}") } else { write!(path, "M{x} {y:.1}") };
        let _done = write!(path, "h{MINUTE}");
        drawn = true;
    }
    path
}

/// The paths of the strip, by what its minutes held.
#[derive(Debug, Default, PartialEq, Eq)]
struct Strip {
    none: String,
    ok: String,
    bad: String,
}

fn strip(minutes: &[Minute]) -> Strip {
    let kind = |minute: &Minute| match (minute.ended, minute.unexpected) {
        (0, _) => 0,
        (_, 0) => 1,
        _ => 2,
    };
    let mut strip = Strip::default();
    let mut begin = 0;
    for run in minutes.chunk_by(|a, b| kind(a) == kind(b)) {
        let path = match run.first().map_or(0, kind) {
            0 => &mut strip.none,
            1 => &mut strip.ok,
            _ => &mut strip.bad,
        };
        // What is wrong stands taller, so that it shows without colour.
        let _done = write!(path, "M{} 20h{}", begin * MINUTE, run.len() * MINUTE);
        begin += run.len();
    }
    strip
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_minutes_are_drawn_as_one_and_gaps_stay_gaps() {
        let none = Minute::default();
        let ok = Minute { ended: 4, sent: 4, sum_us: 40_000, longest_us: 20_000, ..none };
        let bad = Minute { unexpected: 1, sum_us: 80_000, ..ok };
        let unsent = Minute { ended: 1, unexpected: 1, ..none };
        let minutes = [none, none, ok, ok, bad, unsent, ok];
        let strip = strip(&minutes);
        assert_eq!(
            (strip.none.as_str(), strip.ok.as_str(), strip.bad.as_str()),
            ("M0 20h4", "M4 20h4M12 20h2", "M8 20h4")
        );
        assert_eq!(line(&minutes, slowest_mean(&minutes), 14.0), "M4 8.0h2L6 8.0h2L8 2.0h2M12 8.0h2");
        assert!(words(&minutes).starts_with("Last hour: results in 5 minutes, in 2 of them"));
        assert_eq!(words(&[none; 60]), "Nothing in the last hour");
    }
}
