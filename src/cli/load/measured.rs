//! From what was counted and timed to the numbers of the report: the one place that knows the distributions and
//! seconds of `recording`. Its neighbours all build on it, and it knows none of them.

use crate::domain::outcome::Outcome;
use crate::load::Report;
use crate::recording::{Distribution, LoadPercentiles, LoadResult, LoadSecond};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Both views of how long attempts took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "two sets of times")]
pub(super) struct Latencies {
    /// From due to the last byte: what a caller who keeps to the rate would see.
    pub(super) response: Times,
    /// From sent to the last byte: what the path took.
    pub(super) service: Times,
}

/// A distribution of durations, in seconds. Nothing is said of an empty one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(expecting = "times")]
pub(super) struct Times {
    pub(super) count: u64,
    pub(super) min_seconds: Option<f64>,
    pub(super) mean_seconds: Option<f64>,
    pub(super) p50_seconds: Option<f64>,
    pub(super) p90_seconds: Option<f64>,
    pub(super) p99_seconds: Option<f64>,
    pub(super) p999_seconds: Option<f64>,
    pub(super) p9999_seconds: Option<f64>,
    pub(super) p99999_seconds: Option<f64>,
    pub(super) max_seconds: Option<f64>,
    /// The curve of the percentile plot: [percentile, seconds], as far as the count carries it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) curve: Vec<(f64, f64)>,
}

/// One second of the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Second {
    pub(super) at_seconds: f64,
    pub(super) lasts_seconds: f64,
    pub(super) rate_asked_per_second: f64,
    pub(super) due: u64,
    pub(super) sent: u64,
    pub(super) ended: u64,
    pub(super) unexpected: u64,
    pub(super) throttled: u64,
    pub(super) missed: u64,
    pub(super) in_flight: u64,
    pub(super) response: SecondTimes,
}

/// Response times of the attempts that ended in a second.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct SecondTimes {
    pub(super) p50_seconds: Option<f64>,
    pub(super) p90_seconds: Option<f64>,
    pub(super) p99_seconds: Option<f64>,
    pub(super) max_seconds: Option<f64>,
}

/// Rates over the seconds in which something was asked for, so that the wait for the last answers does not thin
/// them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(expecting = "rates")]
pub(super) struct Rate {
    pub(super) asked_peak_per_second: f64,
    pub(super) asked_mean_per_second: f64,
    pub(super) reached_mean_per_second: f64,
}

/// Latencies of the last seconds, or so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Recent {
    pub(super) p50_seconds: Option<f64>,
    pub(super) p99_seconds: Option<f64>,
    pub(super) max_seconds: Option<f64>,
}

impl Times {
    pub(super) fn of(times: &Distribution) -> Self {
        let count = times.count();
        if count == 0 {
            return Self::default();
        }
        let at = |quantile: f64| Some(times.quantile(quantile).as_secs_f64());
        Self {
            count,
            min_seconds: Some(times.min().as_secs_f64()),
            mean_seconds: Some(times.mean().as_secs_f64()),
            p50_seconds: at(0.5),
            p90_seconds: at(0.9),
            p99_seconds: at(0.99),
            p999_seconds: at(0.999),
            p9999_seconds: at(0.9999),
            p99999_seconds: at(0.99999),
            max_seconds: Some(times.max().as_secs_f64()),
            curve: curve(times),
        }
    }

    /// The percentiles that `count` carries: above one in `count` there is nothing but the longest.
    pub(super) fn percentiles(&self) -> [(&'static str, f64, Option<f64>); 6] {
        let all = [
            ("p50", 0.5, self.p50_seconds),
            ("p90", 0.9, self.p90_seconds),
            ("p99", 0.99, self.p99_seconds),
            ("p99.9", 0.999, self.p999_seconds),
            ("p99.99", 0.9999, self.p9999_seconds),
            ("p99.999", 0.99999, self.p99999_seconds),
        ];
        all.map(|(name, quantile, value)| (name, quantile, value.filter(|_| self.carries(quantile))))
    }

    /// True when at least one attempt lies above the quantile.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(super) fn carries(&self, quantile: f64) -> bool {
        // What floating point leaves of 1,000 × (1 − 0.999) is a hair off 1.
        self.count as f64 * (1.0 - quantile) >= 1.0 - 1e-6
    }
}

/// The curve as percentiles and seconds.
fn curve(times: &Distribution) -> Vec<(f64, f64)> {
    // Three digits behind those that tell them apart.
    let percentile = |quantile: f64| (quantile * 100.0 * 1e6).round() / 1e6;
    times
        .percentile_curve()
        .into_iter()
        .map(|(quantile, took)| (percentile(quantile), took.as_secs_f64()))
        .collect()
}

impl Second {
    pub(super) fn of(second: &LoadSecond) -> Self {
        Self {
            at_seconds: second.at.as_secs_f64(),
            lasts_seconds: second.lasts.as_secs_f64(),
            rate_asked_per_second: second.rate_asked,
            due: second.due,
            sent: second.sent,
            ended: second.ended,
            unexpected: second.unexpected,
            throttled: second.throttled,
            missed: second.missed,
            in_flight: second.in_flight,
            response: SecondTimes::of(&second.response),
        }
    }
}

impl SecondTimes {
    fn of(times: &LoadPercentiles) -> Self {
        let known = |took: Duration| (times.count > 0).then_some(took.as_secs_f64());
        Self {
            p50_seconds: known(times.p50),
            p90_seconds: known(times.p90),
            p99_seconds: known(times.p99),
            max_seconds: known(times.max),
        }
    }
}

/// Rates over the seconds in which something was asked for.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn rate(report: &Report) -> Rate {
    let driven = report.record.timeline.iter().filter(|second| second.rate_asked > 0.0);
    let (mut seconds, mut asked, mut sent) = (0.0, 0.0, 0);
    for second in driven {
        seconds += second.lasts.as_secs_f64();
        asked += second.rate_asked * second.lasts.as_secs_f64();
        sent += second.sent;
    }
    let a_second = |number: f64| if seconds > 0.0 { number / seconds } else { 0.0 };
    Rate {
        asked_peak_per_second: report.settings.profile.peak(),
        asked_mean_per_second: a_second(asked),
        reached_mean_per_second: a_second(sent as f64),
    }
}

/// How many of the results were throttled.
pub(super) fn throttled(results: &[LoadResult]) -> u64 {
    results
        .iter()
        .filter(|result| result.reason.outcome() == Outcome::Throttled)
        .map(|result| result.count)
        .sum()
}

/// `part` of `whole`; none of nothing.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Response times of the last seconds. Seconds are not joined, so the median is that of the median second and the
/// longest that of any; `p99` is of all attempts in them.
pub(super) fn recent(timeline: &[LoadSecond], span: Duration, p99: Duration) -> Option<Recent> {
    let mut covered = Duration::ZERO;
    let last = timeline.iter().rev().take_while(|second| {
        let within = covered < span;
        covered += second.lasts;
        within
    });
    let times: Vec<LoadPercentiles> =
        last.map(|second| second.response).filter(|times| times.count > 0).collect();
    let mut medians: Vec<Duration> = times.iter().map(|times| times.p50).collect();
    medians.sort_unstable();
    Some(Recent {
        p50_seconds: Some(medians.get(medians.len() / 2)?.as_secs_f64()),
        p99_seconds: Some(p99.as_secs_f64()),
        max_seconds: times.iter().map(|times| times.max.as_secs_f64()).reduce(f64::max),
    })
}

/// The same of a whole run so far.
pub(super) fn so_far(times: &Distribution) -> Option<Recent> {
    (times.count() > 0).then(|| Recent {
        p50_seconds: Some(times.quantile(0.5).as_secs_f64()),
        p99_seconds: Some(times.quantile(0.99).as_secs_f64()),
        max_seconds: Some(times.max().as_secs_f64()),
    })
}
