//! One row of the table: a name, a median with its extremes, a unit, and what the figure includes.

use std::fmt::Write as _;

/// A measured thing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    name: String,
    median: f64,
    min: f64,
    max: f64,
    unit: String,
    includes: String,
    /// The most it may be; the measurement fails beyond.
    bound: Option<f64>,
}

impl Figure {
    /// A figure from the values of its batches, each multiplied by `scale` to be in `unit`.
    pub(crate) fn of(name: &str, values: &[f64], scale: f64, unit: &str, includes: &str) -> Self {
        let mut sorted: Vec<f64> = values.iter().map(|value| value * scale).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first().expect("a value"), *sorted.last().expect("a value"));
        let median = sorted[sorted.len() / 2];
        let (name, unit, includes) = (name.to_owned(), unit.to_owned(), includes.to_owned());
        Self { name, median, min, max, unit, includes, bound: None }
    }

    /// With a bound that the median must keep.
    pub(crate) fn at_most(self, bound: f64) -> Self {
        Self { bound: Some(bound), ..self }
    }

    pub(crate) fn is_beyond_its_bound(&self) -> bool {
        self.bound.is_some_and(|bound| self.median > bound)
    }

    /// The form in which a part hands its figures to the table.
    pub(crate) fn to_line(&self) -> String {
        let Self { name, median, min, max, unit, includes, bound } = self;
        let bound = bound.map_or_else(String::new, |bound| bound.to_string());
        format!("figure\t{name}\t{median}\t{min}\t{max}\t{unit}\t{bound}\t{includes}")
    }

    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        if fields.next() != Some("figure") {
            return None;
        }
        let name = fields.next()?.to_owned();
        let mut number = || fields.next()?.parse().ok();
        let (median, min, max) = (number()?, number()?, number()?);
        let unit = fields.next()?.to_owned();
        let bound = fields.next()?.parse().ok();
        Some(Self { name, median, min, max, unit, bound, includes: fields.next()?.to_owned() })
    }
}

/// All figures as a table in Markdown.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut text =
        String::from("| figure | median | min – max | unit | includes |\n|---|---:|---:|---|---|\n");
    for figure in figures {
        let Figure { name, median, min, max, unit, includes, bound } = figure;
        let range = if min == max { String::new() } else { format!("{} – {}", short(*min), short(*max)) };
        let verdict = bound.map_or_else(String::new, |bound| {
            let word = if figure.is_beyond_its_bound() { "FAIL" } else { "pass" };
            format!("; bound {}: **{word}**", short(bound))
        });
        let _written =
            writeln!(text, "| {name} | {} | {range} | {unit} | {includes}{verdict} |", short(*median));
    }
    text
}

/// Three significant digits, thousands apart.
fn short(value: f64) -> String {
    if value != 0.0 && value.abs() < 10.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
