//! A line chart as SVG: axes, lines, places to point at, and words for who cannot see it.
//!
//! Made by hand: a charting crate brings fonts, colours of its own and inline styles, which neither follow a dark
//! page nor pass the page's content security policy, to draw what are a few paths.

use super::escaping::escape;
use std::fmt::Write as _;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 34.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 44.0;

/// A chart.
pub(super) struct Chart<'a> {
    /// Part of the ids within the page.
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    /// What it shows, in a sentence with its main numbers.
    pub(super) description: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line<'a>>,
    /// Where to point: the middle, and what is there.
    pub(super) hits: Vec<(f64, String)>,
}

/// One axis.
pub(super) struct Axis {
    pub(super) label: String,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) log: bool,
    pub(super) ticks: Vec<(f64, String)>,
}

/// One line. A point without a value is a gap.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    /// Which of the colours, 0 to 3.
    pub(super) colour: usize,
    pub(super) dashed: bool,
    /// True for one whose space below is tinted.
    pub(super) area: bool,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

impl Axis {
    /// From zero to a little above `most`, with ticks at round numbers.
    pub(super) fn linear(label: &str, most: f64, shown: fn(f64) -> String) -> Self {
        let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
        let step = round_step(most / 5.0);
        // A line along the upper edge would read as one that was cut off.
        let to = (most * 1.04 / step).ceil() * step;
        let mut ticks = Vec::new();
        // At most ten steps: `most` is five to ten of them.
        for at in 0..=10 {
            let value = f64::from(at) * step;
            if value <= to * 1.000_001 {
                ticks.push((value, shown(value)));
            }
        }
        Self { label: label.to_owned(), from: 0.0, to, log: false, ticks }
    }

    /// From the next 1, 2 or 5 below `least` to the next above `most`, each tenfold as high as the last.
    pub(super) fn logarithmic(label: &str, least: f64, most: f64, shown: fn(f64) -> String) -> Self {
        // Times and rates lie between 10^-6 and 10^9; the bounds keep the loop short whatever is given.
        let bounded = |value: f64| if value.is_finite() { value.clamp(1e-6, 1e9) } else { 1.0 };
        let (least, most) = (bounded(least), bounded(most));
        let mut round = Vec::new();
        for exponent in -7..=10 {
            let decade = 10_f64.powi(exponent);
            round.extend([1.0, 2.0, 5.0].map(|factor| factor * decade));
        }
        let from = round.iter().copied().rfind(|value| *value <= least * 0.999_999).unwrap_or(1e-7);
        let to =
            round.iter().copied().find(|value| *value >= most * 1.000_001 && *value > from).unwrap_or(1e10);
        let within = |value: &f64| (from * 0.999_999..=to * 1.000_001).contains(value);
        let whole_decades = to / from > 200.0;
        let ticks = (0..).zip(&round).filter(|(at, value)| within(value) && (!whole_decades || at % 3 == 0));
        let ticks = ticks.map(|(_, value)| (*value, shown(*value))).collect();
        Self { label: format!("{label} (logarithmic)"), from, to, log: true, ticks }
    }

    /// The place of a value, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let place = if self.log {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor =
        [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * 0.999_999).unwrap_or(10.0);
    factor * power
}

impl Chart<'_> {
    fn x(&self, value: f64) -> f64 {
        self.x.place(value).mul_add(WIDTH - LEFT - RIGHT, LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        (1.0 - self.y.place(value)).mul_add(HEIGHT - TOP - BOTTOM, TOP)
    }

    /// Legend and picture.
    pub(super) fn write(&self, html: &mut String) -> std::fmt::Result {
        self.write_keys(html)?;
        let (id, title, description) = (escape(self.id), escape(self.title), escape(&self.description));
        write!(
            html,
            "<div class=\"scroll\"><svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\
             <title id=\"{id}-title\">{title}</title><desc id=\"{id}-desc\">{description}</desc>"
        )?;
        self.write_axes(html)?;
        for line in &self.lines {
            self.write_line(html, line)?;
        }
        self.write_hits(html)?;
        html.push_str("</svg></div>");
        Ok(())
    }

    fn write_keys(&self, html: &mut String) -> std::fmt::Result {
        html.push_str("<ul class=\"keys\">");
        for line in &self.lines {
            let dash = if line.dashed { " dash" } else { "" };
            write!(
                html,
                "<li><svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><line class=\"s{}{dash}\" x1=\"1\" y1=\"5\" x2=\"25\" \
                 y2=\"5\"/></svg>{}</li>",
                line.colour,
                escape(line.name)
            )?;
        }
        html.push_str("</ul>");
        Ok(())
    }

    fn write_axes(&self, html: &mut String) -> std::fmt::Result {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for (value, label) in &self.y.ticks {
            let y = self.y(*value);
            write!(
                html,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                escape(label)
            )?;
        }
        for (value, label) in &self.x.ticks {
            let x = self.x(*value);
            write!(
                html,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 17.0,
                escape(label)
            )?;
        }
        write!(
            html,
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{bottom}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(13 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, right),
            HEIGHT - 6.0,
            escape(&self.x.label),
            f64::midpoint(TOP, bottom),
            escape(&self.y.label)
        )
    }

    fn write_line(&self, html: &mut String, line: &Line<'_>) -> std::fmt::Result {
        let dash = if line.dashed { " dash" } else { "" };
        for part in line.points.split(|(_, value)| value.is_none()) {
            let places: Vec<(f64, f64)> =
                part.iter().filter_map(|(x, value)| Some((self.x(*x), self.y((*value)?)))).collect();
            let (Some(first), Some(last)) = (places.first(), places.last()) else { continue };
            let mut path = String::new();
            for (at, (x, y)) in places.iter().enumerate() {
                write!(path, "{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' })?;
            }
            if line.area {
                let bottom = HEIGHT - BOTTOM;
                write!(
                    html,
                    "<path class=\"area s{}\" d=\"{path}L{:.1} {bottom}L{:.1} {bottom}Z\"/>",
                    line.colour, last.0, first.0
                )?;
            }
            // A single point would be no line at all; a short one with round ends is a dot.
            let dot = if places.len() == 1 { "h.1" } else { "" };
            write!(html, "<path class=\"s{}{dash}\" d=\"{path}{dot}\"/>", line.colour)?;
        }
        Ok(())
    }

    /// A strip around each place, halfway to its neighbours: browsers show its title under the pointer.
    fn write_hits(&self, html: &mut String) -> std::fmt::Result {
        for (at, (middle, words)) in self.hits.iter().enumerate() {
            let neighbour = |at: Option<usize>, edge: f64| {
                at.and_then(|at| self.hits.get(at))
                    .map_or(edge, |(other, _)| f64::midpoint(self.x(*other), self.x(*middle)))
            };
            let from = neighbour(at.checked_sub(1), LEFT);
            let to = neighbour(Some(at + 1), WIDTH - RIGHT);
            write!(
                html,
                "<rect class=\"hit\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
                (to - from).max(0.0),
                HEIGHT - TOP - BOTTOM,
                escape(words)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_over_the_highest_value() {
        let shown: fn(f64) -> String = |value| format!("{value}");
        let ticks =
            |axis: &Axis| axis.ticks.iter().map(|(_, label)| label.clone()).collect::<Vec<_>>().join(" ");
        assert_eq!(ticks(&Axis::linear("", 20.0, shown)), "0 5 10 15 20 25");
        assert_eq!(ticks(&Axis::linear("", 23.0, shown)), "0 5 10 15 20 25");
        assert_eq!(
            ticks(&Axis::linear("", 0.0, shown)),
            "0 0.2 0.4 0.6000000000000001 0.8 1 1.2000000000000002"
        );
        assert_eq!(ticks(&Axis::logarithmic("", 30.0, 900.0, shown)), "20 50 100 200 500 1000");
        assert_eq!(ticks(&Axis::logarithmic("", 3.0, 4_000.0, shown)), "10 100 1000");
        for odd in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(Axis::linear("", odd, shown).ticks.len() <= 11);
            assert!(Axis::logarithmic("", odd, odd, shown).ticks.len() <= 60);
        }
    }

    #[test]
    fn a_gap_parts_a_line_and_words_are_escaped() {
        let shown: fn(f64) -> String = |value| format!("{value}");
        let chart = Chart {
            id: "a",
            title: "<b>",
            description: "\"&".into(),
            x: Axis::linear("x", 4.0, shown),
            y: Axis::linear("y", 4.0, shown),
            lines: vec![Line {
                name: "<i>",
                colour: 0,
                dashed: false,
                area: false,
                points: vec![(0.0, Some(1.0)), (1.0, Some(2.0)), (2.0, None), (3.0, Some(f64::NAN))],
            }],
            hits: vec![(0.0, "<u>".into())],
        };
        let mut html = String::new();
        chart.write(&mut html).unwrap();
        assert_eq!(html.matches("<path").count(), 2, "{html}");
        assert!(
            !html.contains("<b>") && !html.contains("<i>") && !html.contains("<u>") && !html.contains("NaN"),
            "{html}"
        );
    }
}
