//! The comparison of a run with an earlier one: `--baseline FILE`, where FILE is an earlier JSON report.
//!
//! A difference counts only when it is large in proportion *and* in itself, and when both runs had attempts
//! enough to carry the percentile: a p99.9 of two hundred attempts is one unlucky attempt.

use super::comparison::{Comparison, Row, Unit};
use super::document::{Arrivals, Document, RequestPart, SCHEMA_VERSION, Signatures, Stage, TargetPart};
use super::figures::rate;
use super::measured::{self, Latencies, Rate, Times};
use serde::Deserialize;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr;

/// The longest report that is read: a day by the second takes about 30 MB.
const BYTES_AT_MOST: u64 = 64 << 20;

/// More attempts than any run has, and few enough that sums and shares of them are exact.
const MOST_ATTEMPTS: u64 = 1 << 52;

/// Rates asked for that differ by less are the same for a reader.
const ASKED_ALIKE: f64 = 0.01;

/// Attempts above a percentile that both runs need, or it is shown and not judged.
const ATTEMPTS_ABOVE: f64 = 5.0;

/// What is left of an earlier report: all that is compared.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(expecting = "the report of a load")]
pub(in crate::cli) struct Baseline {
    load: String,
    began_at: Option<String>,
    target: TargetPart,
    request: RequestPart,
    rate: Rate,
    arrivals: Arrivals,
    stages: Vec<Stage>,
    signatures: Signatures,
    due: u64,
    missed: u64,
    ended: u64,
    unsent: u64,
    unexpected: u64,
    latency: Latencies,
}

#[derive(Deserialize)]
struct Form {
    schema_version: u32,
}

/// How much worse than the baseline is still the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::cli) struct Tolerance {
    /// A percentile may be longer by this share of the earlier one…
    pub(in crate::cli) slower: f64,
    /// …or by this many seconds, whichever is more.
    pub(in crate::cli) slower_seconds: f64,
    /// The share of attempts not as expected may be higher by this, from 0 to 1.
    pub(in crate::cli) errors: f64,
    /// The share of missed arrivals may be higher by this, from 0 to 1.
    pub(in crate::cli) missed: f64,
    /// The rate reached may be lower by this share of the earlier one.
    pub(in crate::cli) rate: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { slower: 0.2, slower_seconds: 0.002, errors: 0.001, missed: 0.001, rate: 0.01 }
    }
}

impl FromStr for Tolerance {
    type Err = String;

    /// Reads `slower=20%,by=2ms,errors=0.1%,missed=0.1%,rate=1%`; what is not named keeps its default.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut tolerance = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wanted = "one of slower=20%, by=2ms, errors=0.1%, missed=0.1%, rate=1%, joined by commas";
            let (name, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is not {wanted}"))?;
            let percent =
                || parse_percent(value).ok_or_else(|| format!("`{value}` is no percentage such as 20%"));
            match name {
                "slower" => tolerance.slower = percent()?,
                "by" => {
                    tolerance.slower_seconds = crate::config::units::duration(value)
                        .ok_or_else(|| format!("`{value}` is no duration such as 2ms"))?
                        .as_secs_f64();
                }
                "errors" => tolerance.errors = percent()?,
                "missed" => tolerance.missed = percent()?,
                "rate" => tolerance.rate = percent()?,
                _ => return Err(format!("`{name}` is not {wanted}")),
            }
        }
        Ok(tolerance)
    }
}

fn parse_percent(text: &str) -> Option<f64> {
    let number: f64 = text.strip_suffix('%')?.parse().ok()?;
    (number.is_finite() && (0.0..=1_000.0).contains(&number)).then_some(number / 100.0)
}

impl Baseline {
    /// Reads an earlier report. An error says what is wrong with the file.
    pub(in crate::cli) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| format!("{shown}: cannot be opened: {error}"))?;
        file.take(BYTES_AT_MOST + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("{shown}: cannot be read: {error}"))?;
        if bytes.len() as u64 > BYTES_AT_MOST {
            return Err(format!("{shown}: is longer than {} MiB: no report of a load", BYTES_AT_MOST >> 20));
        }
        Self::parse(&bytes).map_err(|problem| format!("{shown}: {problem}"))
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let Form { schema_version } = serde_json::from_slice(bytes).map_err(|error| {
            let why = if error.is_data() {
                "it has no `schema_version`".to_owned()
            } else {
                format!("no JSON: {error}")
            };
            format!("is no report of `spokeprobe load … --json`: {why}")
        })?;
        if schema_version != SCHEMA_VERSION {
            return Err(format!(
                "is a report of schema version {schema_version}, and this spokeprobe compares version {SCHEMA_VERSION}: \
                 run the earlier load again, or compare with the version that wrote it"
            ));
        }
        let baseline: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("is not a whole report: {error}"))?;
        baseline.check()?;
        Ok(baseline)
    }

    /// A file that people may have edited: numbers that no run has would give ratios that mean nothing.
    fn check(&self) -> Result<(), String> {
        for (name, times) in [("response", &self.latency.response), ("service", &self.latency.service)] {
            let in_order = [
                times.p50_seconds,
                times.p90_seconds,
                times.p99_seconds,
                times.p999_seconds,
                times.max_seconds,
            ];
            let known: Vec<f64> = in_order.iter().copied().flatten().collect();
            if known.iter().any(|seconds| !(0.0..=1e6).contains(seconds)) || !known.is_sorted() {
                return Err(format!("latency.{name} holds percentiles that no run has"));
            }
        }
        let counts = [self.due, self.missed, self.ended, self.unsent, self.unexpected];
        if counts.iter().any(|count| *count > MOST_ATTEMPTS)
            || !(0.0..=1e9).contains(&self.rate.reached_mean_per_second)
            || self.missed > self.due
            || self.unexpected > self.ended + self.unsent
        {
            return Err("holds counts or rates that no run has".to_owned());
        }
        Ok(())
    }

    /// Compares the run of `now` with this one.
    pub(in crate::cli) fn compare(&self, now: &Document, tolerance: &Tolerance) -> Comparison {
        let mut rows = Vec::new();
        let sides = [
            ("response", &self.latency.response, &now.latency.response),
            ("service", &self.latency.service, &now.latency.service),
        ];
        for (name, before, after) in sides {
            for percentile in PERCENTILES {
                rows.push(latency_row(name, percentile, (before, after), tolerance));
            }
        }
        let errors = |unexpected, ended, unsent| measured::share(unexpected, ended + unsent);
        rows.push(share_row(
            "error share",
            errors(self.unexpected, self.ended, self.unsent),
            errors(now.unexpected, now.ended, now.unsent),
            tolerance.errors,
        ));
        rows.push(share_row(
            "missed share",
            measured::share(self.missed, self.due),
            measured::share(now.missed, now.due),
            tolerance.missed,
        ));
        rows.push(rate_row(&self.rate, &now.rate, tolerance.rate));
        let worse = rows.iter().any(|row| row.worse);
        Comparison {
            load: printable(&self.load),
            began_at: self.began_at.as_deref().map(printable),
            worse,
            warnings: self.warnings(now).iter().map(|warning| printable(warning)).collect(),
            rows,
        }
    }

    /// What makes the two runs hard to compare.
    fn warnings(&self, now: &Document) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.target != now.target || self.request != now.request {
            warnings.push(format!(
                "the earlier run drove another request: {}/{}/{} {} {} as {}",
                self.target.spoke,
                self.target.api,
                self.target.probe,
                self.request.method,
                self.request.path,
                self.request.identity
            ));
        }
        if !asked_alike(&self.rate, &now.rate, ASKED_ALIKE) {
            let (before, after) = (self.rate.asked_mean_per_second, now.rate.asked_mean_per_second);
            warnings.push(format!(
                "the earlier run asked for {}, this one for {}",
                rate(before),
                rate(after)
            ));
        } else if self.stages != now.stages || self.arrivals != now.arrivals {
            warnings.push("the stages or the kind of arrivals differ".to_owned());
        }
        if self.signatures != now.signatures {
            warnings.push(format!(
                "signatures differ: {} earlier, {} now",
                self.signatures.as_str(),
                now.signatures.as_str()
            ));
        }
        warnings
    }
}

/// A text of the file as it may go to a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// A figure, the quantile behind it, and where it stands.
type Percentile = (&'static str, f64, fn(&Times) -> Option<f64>);

const PERCENTILES: [Percentile; 4] = [
    ("p50", 0.5, |times| times.p50_seconds),
    ("p90", 0.9, |times| times.p90_seconds),
    ("p99", 0.99, |times| times.p99_seconds),
    ("p99.9", 0.999, |times| times.p999_seconds),
];

fn latency_row(
    name: &str,
    (percentile, quantile, of): Percentile,
    (before, now): (&Times, &Times),
    tolerance: &Tolerance,
) -> Row {
    let judged = [before, now].iter().all(|times| attempts_above(times, quantile) >= ATTEMPTS_ABOVE);
    let (before, now) = (of(before), of(now));
    let slower = |before: f64, now: f64| {
        now - before > tolerance.slower_seconds && now - before > before * tolerance.slower
    };
    Row {
        figure: format!("{name} {percentile}"),
        unit: Unit::Seconds,
        before,
        now,
        ratio: ratio(before, now),
        judged,
        worse: judged && before.zip(now).is_some_and(|(before, now)| slower(before, now)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn attempts_above(times: &Times, quantile: f64) -> f64 {
    // What floating point leaves of 1,000 × (1 − 0.99) is a hair off 10.
    (times.count as f64).mul_add(1.0 - quantile, 1e-6)
}

fn share_row(figure: &str, before: Option<f64>, now: Option<f64>, tolerance: f64) -> Row {
    Row {
        figure: figure.to_owned(),
        unit: Unit::Share,
        before,
        now,
        ratio: ratio(before, now),
        judged: before.is_some() && now.is_some(),
        worse: before.zip(now).is_some_and(|(before, now)| now - before > tolerance),
    }
}

/// Reached rates compare only where as much was asked for: who asks for less reaches less.
fn rate_row(before: &Rate, now: &Rate, tolerance: f64) -> Row {
    let judged = asked_alike(before, now, tolerance.min(ASKED_ALIKE));
    let (before, now) = (before.reached_mean_per_second, now.reached_mean_per_second);
    Row {
        figure: "rate reached".to_owned(),
        unit: Unit::PerSecond,
        before: Some(before),
        now: Some(now),
        ratio: ratio(Some(before), Some(now)),
        judged,
        worse: judged && now < before * (1.0 - tolerance),
    }
}

/// True when the rates that were asked for differ by no more than this share.
fn asked_alike(before: &Rate, now: &Rate, share: f64) -> bool {
    let (before, now) = (before.asked_mean_per_second, now.asked_mean_per_second);
    (before - now).abs() <= share * before.max(now)
}

fn ratio(before: Option<f64>, now: Option<f64>) -> Option<f64> {
    let (before, now) = before.zip(now)?;
    (before > 0.0).then(|| now / before).filter(|ratio| ratio.is_finite())
}
