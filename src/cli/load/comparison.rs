//! A run beside an earlier one: the figures of both, and the words for them that text and page share. `baseline`
//! makes it, and the document carries it.

use super::figures::{UNKNOWN, latency_or_unknown, rate, share};
use serde::Serialize;

/// A run beside an earlier one; part of the JSON report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::cli) struct Comparison {
    /// The name of the earlier load.
    pub(super) load: String,
    pub(super) began_at: Option<String>,
    /// True when any figure is worse beyond the tolerance.
    pub(in crate::cli) worse: bool,
    pub(super) warnings: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// One figure of both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) figure: String,
    pub(super) unit: Unit,
    pub(super) before: Option<f64>,
    pub(super) now: Option<f64>,
    /// Now over before; none where it was zero or unknown.
    pub(super) ratio: Option<f64>,
    /// False where one of the runs has too few attempts to say, and for the rate reached where other rates were asked
    /// for.
    pub(super) judged: bool,
    pub(super) worse: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    Seconds,
    Share,
    PerSecond,
}

impl Row {
    /// Its cells: figure, before, now, ratio, verdict.
    pub(super) fn cells(&self) -> [String; 5] {
        let shown = |number: Option<f64>| match self.unit {
            Unit::Seconds => latency_or_unknown(number),
            Unit::Share => number.map_or_else(|| UNKNOWN.to_owned(), share),
            Unit::PerSecond => number.map_or_else(|| UNKNOWN.to_owned(), rate),
        };
        let verdict = match (self.worse, self.judged) {
            (true, _) => "WORSE",
            (false, true) => "",
            (false, false) if self.unit == Unit::PerSecond => "not judged: other rates were asked for",
            (false, false) => "too few attempts to judge",
        };
        [
            self.figure.clone(),
            shown(self.before),
            shown(self.now),
            self.ratio.map_or_else(|| UNKNOWN.to_owned(), |ratio| format!("{ratio:.2}×")),
            verdict.to_owned(),
        ]
    }
}

impl Comparison {
    /// The sentence above the table.
    pub(super) fn headline(&self) -> String {
        let began: String = self.began_at.iter().map(|at| format!(" of {at}")).collect();
        let word = if self.worse { "WORSE than" } else { "no worse than" };
        format!("{word} load {}{began}", self.load)
    }
}
