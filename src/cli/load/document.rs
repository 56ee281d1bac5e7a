//! A load report as a document: plain values in the order and under the names of the JSON report, which
//! `report.schema.json` describes. Text and page are written from it too, so that the three cannot
//! tell three stories. `measured` turns distributions and seconds into it; `baseline` reads an earlier one back.

use super::comparison::Comparison;
use super::guards::{self, GuardRow};
use super::measured::{self, Latencies, Rate, Second, Times};
use super::verdict::{self, Verdict};
use crate::load::{Ended, Report};
use crate::recording::LoadResult;
use crate::schedule;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// The version of the form. It rises when a field changes its meaning or goes; new fields do not raise it.
pub(in crate::cli) const SCHEMA_VERSION: u32 = 1;

/// The JSON report. Times are in seconds, rates in arrivals a second, shares from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::cli) struct Document {
    pub(super) schema_version: u32,
    pub(super) spokeprobe_version: &'static str,
    pub(super) load: String,
    pub(super) target: TargetPart,
    pub(super) request: RequestPart,
    pub(super) verdict: Verdict,
    pub(super) end: End,
    /// RFC 3339, UTC; none for a time that no calendar has.
    pub(super) began_at: Option<String>,
    pub(super) planned_seconds: f64,
    pub(super) lasted_seconds: f64,
    pub(super) rate: Rate,
    pub(super) arrivals: Arrivals,
    pub(super) stages: Vec<Stage>,
    pub(super) in_flight_limit: usize,
    pub(super) signatures: Signatures,
    pub(super) due: u64,
    pub(super) sent: u64,
    pub(super) ended: u64,
    pub(super) missed: u64,
    pub(super) missed_by_cause: MissedByCause,
    pub(super) unsent: u64,
    pub(super) aborted: u64,
    pub(super) unexpected: u64,
    pub(super) throttled: u64,
    pub(super) results: Vec<ResultRow>,
    pub(super) latency: Latencies,
    pub(super) lateness: Times,
    pub(super) guards: Vec<GuardRow>,
    /// The comparison with an earlier report, where one was asked for.
    pub(super) baseline: Option<Comparison>,
    pub(super) timeline: Vec<Second>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "a target")]
pub(super) struct TargetPart {
    pub(super) spoke: String,
    pub(super) api: String,
    pub(super) probe: String,
    pub(super) zone: Option<String>,
}

/// What was sent. Headers and body are left out on purpose: they may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "a request")]
pub(super) struct RequestPart {
    pub(super) method: String,
    pub(super) path: String,
    /// Who signed: `spoke`, `hub`, `anonymous` or `spoke:NAME`.
    pub(super) identity: String,
    pub(super) addressing: String,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub(super) enum End {
    Completed,
    Stopped { guard: &'static str, after_seconds: f64, measured: f64, allowed: f64 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", expecting = "a kind of arrivals")]
pub(super) enum Arrivals {
    Even,
    Poisson { seed: u64 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", expecting = "a stage")]
pub(super) enum Stage {
    Hold { rate_per_second: f64, lasts_seconds: f64 },
    Ramp { from_per_second: f64, to_per_second: f64, lasts_seconds: f64 },
    Sine { low_per_second: f64, high_per_second: f64, period_seconds: f64, lasts_seconds: f64 },
}

/// Whether one signature served all attempts of its second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Signatures {
    #[serde(rename = "reused within their second")]
    Reused,
    #[serde(rename = "each anew")]
    Anew,
    /// Nothing signs an anonymous call.
    #[serde(rename = "none")]
    None,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct MissedByCause {
    pub(super) overloaded: u64,
    pub(super) paused: u64,
}

/// Attempts that ended alike. One code and reason gives two rows where some were as expected and some were not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ResultRow {
    pub(super) code: Option<u16>,
    pub(super) outcome: &'static str,
    pub(super) reason: &'static str,
    pub(super) expected: bool,
    pub(super) count: u64,
    #[serde(skip)]
    pub(super) meaning: &'static str,
}

impl Document {
    /// The document of a run that has ended.
    pub(in crate::cli) fn of(report: &Report) -> Self {
        let Report { settings, began_at, lasted, ended, record, .. } = report;
        let target = &settings.target;
        let unexpected: u64 =
            record.results.iter().map(|result| result.count - result.expected.min(result.count)).sum();
        let end = End::of(ended);
        Self {
            schema_version: SCHEMA_VERSION,
            spokeprobe_version: env!("CARGO_PKG_VERSION"),
            load: settings.name.to_string(),
            target: TargetPart {
                spoke: target.id.spoke.to_string(),
                api: target.id.api.to_string(),
                probe: target.id.probe.to_string(),
                zone: target.id.zone.as_ref().map(ToString::to_string),
            },
            request: RequestPart {
                method: target.request.method.to_string(),
                path: target.request.path_and_query.clone(),
                identity: target.identity.to_string(),
                addressing: target.addressing.to_string(),
            },
            verdict: verdict::of(report, unexpected),
            end,
            began_at: rfc3339(*began_at),
            planned_seconds: settings.profile.lasts().as_secs_f64(),
            lasted_seconds: lasted.as_secs_f64(),
            rate: measured::rate(report),
            arrivals: match settings.profile.arrivals {
                schedule::Arrivals::Even => Arrivals::Even,
                schedule::Arrivals::Poisson { seed } => Arrivals::Poisson { seed },
            },
            stages: settings.profile.stages.iter().map(Stage::of).collect(),
            in_flight_limit: settings.in_flight,
            signatures: Signatures::of(report),
            due: record.due,
            sent: record.sent,
            ended: record.ended,
            missed: record.missed(),
            missed_by_cause: MissedByCause {
                overloaded: record.missed_overloaded,
                paused: record.missed_paused,
            },
            unsent: record.unsent,
            aborted: record.aborted,
            unexpected,
            throttled: measured::throttled(&record.results),
            results: rows(&record.results),
            latency: Latencies { response: Times::of(&record.response), service: Times::of(&record.service) },
            lateness: Times::of(&record.lateness),
            guards: guards::of(report),
            baseline: None,
            timeline: record.timeline.iter().map(Second::of).collect(),
        }
    }

    /// The same with a comparison in it.
    pub(in crate::cli) fn compared(self, comparison: Comparison) -> Self {
        Self { baseline: Some(comparison), ..self }
    }

    /// True when the run came out as asked for, and no worse than the baseline.
    pub(in crate::cli) fn is_as_expected(&self) -> bool {
        self.verdict.expected && !self.baseline.as_ref().is_some_and(|comparison| comparison.worse)
    }

    /// The JSON report.
    pub(in crate::cli) fn json(&self) -> serde_json::Value {
        // Maps with text as keys and numbers that JSON has: a number that is none becomes null.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// `SPOKE/API/PROBE`, with the zone behind an `@`.
    pub(super) fn target_path(&self) -> String {
        let TargetPart { spoke, api, probe, zone } = &self.target;
        let zone = zone.as_ref().map(|zone| format!("@{zone}")).unwrap_or_default();
        format!("{spoke}/{api}/{probe}{zone}")
    }

    /// Attempts that ended with a verdict, unsent ones included.
    pub(super) fn judged(&self) -> u64 {
        self.results.iter().map(|row| row.count).sum()
    }
}

impl End {
    fn of(ended: &Ended) -> Self {
        match *ended {
            Ended::Completed => Self::Completed,
            Ended::Stopped { guard, after, measured, allowed } => {
                Self::Stopped { guard: guard.as_str(), after_seconds: after.as_secs_f64(), measured, allowed }
            }
        }
    }
}

impl Stage {
    fn of(stage: &schedule::Stage) -> Self {
        let lasts_seconds = stage.lasts().as_secs_f64();
        match *stage {
            schedule::Stage::Hold { rate, .. } => Self::Hold { rate_per_second: rate, lasts_seconds },
            schedule::Stage::Ramp { from, to, .. } => {
                Self::Ramp { from_per_second: from, to_per_second: to, lasts_seconds }
            }
            schedule::Stage::Sine { low, high, period, .. } => Self::Sine {
                low_per_second: low,
                high_per_second: high,
                period_seconds: period.as_secs_f64(),
                lasts_seconds,
            },
        }
    }
}

impl Signatures {
    fn of(report: &Report) -> Self {
        use crate::domain::identity::Signer;
        match (&report.settings.target.signer, report.settings.reuse_signatures) {
            (Signer::Anonymous, _) => Self::None,
            (_, true) => Self::Reused,
            (_, false) => Self::Anew,
        }
    }

    /// The words in text and page.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Reused => "reused within their second",
            Self::Anew => "each anew",
            Self::None => "none",
        }
    }
}

/// The kinds of result, the most frequent first.
pub(super) fn rows(results: &[LoadResult]) -> Vec<ResultRow> {
    let mut rows: Vec<ResultRow> = Vec::with_capacity(results.len());
    for result in results {
        let expected = result.expected.min(result.count);
        for (as_expected, count) in [(true, expected), (false, result.count - expected)] {
            if count > 0 {
                rows.push(ResultRow {
                    code: result.code,
                    outcome: result.reason.outcome().as_str(),
                    reason: result.reason.as_str(),
                    expected: as_expected,
                    count,
                    meaning: result.reason.meaning(),
                });
            }
        }
    }
    rows.sort_by(|a, b| {
        b.count
            .cmp(&a.count)
            .then_with(|| (a.code, a.reason, a.expected).cmp(&(b.code, b.reason, b.expected)))
    });
    rows
}

fn rfc3339(at: SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(at).ok().map(|at| format!("{at:.3}"))
}
