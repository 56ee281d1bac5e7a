//! What a plan asks of others: requests, sessions, series, money.

use crate::domain::account::AccountId;
use crate::domain::target::Target;
use crate::endpoint;
use crate::plan::isolation::{self, IsolationEstimate};
use crate::plan::targets::rates_by_account;
use crate::plan::{Plan, arrivals};
use crate::recording::Recorded;
use std::collections::BTreeMap;
use std::time::Duration;

/// A month of 30 days, as prices are usually compared.
const SECONDS_PER_MONTH: f64 = 2_592_000.0;
const DAYS_PER_MONTH: f64 = 30.0;
/// What a small signed request and its answer weigh on the wire, both directions, TLS included.
const BYTES_PER_REQUEST: f64 = 10_000.0;
/// PrivateLink data processing, US list price per GB of the first petabyte.
const USD_PER_GB: f64 = 0.01;
/// REST API calls, US list prices: up to how many calls a month, at how much per million.
const CALL_TIERS: [(f64, f64); 4] = [(333e6, 3.50), (1_000e6, 2.80), (20_000e6, 2.38), (f64::INFINITY, 1.51)];
/// Different results that one target shows at worst.
const WORST_RESULTS: usize = 8;
/// From a role's session STS gives an hour at most (IAM user guide, "Role chaining").
const CHAINED_SESSION: Duration = Duration::from_secs(3_600);

/// The number of time series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesCount {
    /// In a scrape where every target is as expected.
    pub expected: usize,
    /// With eight results per target.
    pub worst: usize,
}

/// What a plan asks of others, when all is as expected. Runs of load are in the money, where they are scheduled,
/// and not in the rates.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Requests a second, all together, those of isolation included.
    pub requests_per_second: f64,
    /// Requests a second by the account whose apis are called, those of isolation included.
    pub requests_per_second_by_account: BTreeMap<AccountId, f64>,
    /// Those of isolation.
    pub isolation: Option<IsolationEstimate>,
    /// Time series of a scrape.
    pub time_series: SeriesCount,
    /// AssumeRole calls in an hour.
    pub sts_calls_per_hour: f64,
    /// US dollars in 30 days, by US list prices; the endpoint's hourly price is there anyway and left out.
    pub monthly_cost: MonthlyCost,
}

/// US dollars in 30 days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MonthlyCost {
    /// Calls of REST APIs.
    pub api_calls_usd: f64,
    /// Data through the endpoint.
    pub data_usd: f64,
}

impl MonthlyCost {
    /// All together.
    #[must_use]
    pub fn total_usd(&self) -> f64 {
        self.api_calls_usd + self.data_usd
    }
}

/// Estimates a plan.
#[must_use]
pub fn estimate(plan: &Plan) -> Estimate {
    let per_second = |targets: &mut dyn Iterator<Item = &Target>| -> f64 {
        targets.map(|target| target.cadence.per_second()).sum()
    };
    let isolation = plan.isolation.as_ref().map(isolation::estimate);
    let mut by_account = rates_by_account(&plan.targets);
    for (account, rate) in isolation.iter().flat_map(|isolation| &isolation.requests_per_second_by_account) {
        *by_account.entry(account.clone()).or_insert(0.0) += rate;
    }
    let of_isolation = isolation.as_ref().map_or(0.0, |isolation| isolation.requests_per_second);
    let total = of_isolation + per_second(&mut plan.targets.iter().map(AsRef::as_ref));
    // Refused calls are not charged (AWS support answers; the price list is silent), so guards are free, and
    // isolation is while its doors are closed.
    let charged = per_second(
        &mut plan.targets.iter().map(AsRef::as_ref).filter(|target| !target.expectation.is_guard()),
    );
    // A run by command is for who gives it to know.
    let scheduled = plan.loads.iter().filter(|run| run.at.is_some());
    let by_schedule: f64 = scheduled.map(|run| arrivals(run)).sum::<f64>() * DAYS_PER_MONTH;
    Estimate {
        requests_per_second: total,
        requests_per_second_by_account: by_account,
        isolation,
        time_series: time_series(plan),
        sts_calls_per_hour: sts_calls_per_hour(plan),
        monthly_cost: MonthlyCost {
            api_calls_usd: price_of_calls(charged * SECONDS_PER_MONTH + by_schedule),
            data_usd: (total * SECONDS_PER_MONTH + by_schedule) * BYTES_PER_REQUEST / 1e9 * USD_PER_GB,
        },
    }
}

/// Only recording knows its metrics.
fn time_series(plan: &Plan) -> SeriesCount {
    let watched = endpoint::places(&plan.settings.endpoint, &plan.targets);
    let recorded = Recorded {
        targets: &plan.targets,
        spokes: &plan.spokes,
        roles: &plan.roles,
        includes: plan.includes.len(),
        isolation_pairs: plan.isolation.as_ref().map(|isolation| isolation.pairs.len()),
        hub_twins: plan.settings.diagnosis.hub_twins,
        loads: plan.loads.iter().filter(|run| run.at.is_some()).count(),
        watched: &watched,
    };
    let recording = &plan.settings.recording;
    SeriesCount {
        expected: recording.time_series(&recorded, 1),
        worst: recording.time_series(&recorded, WORST_RESULTS),
    }
}

/// A session is renewed at half of its life, on average.
fn sts_calls_per_hour(plan: &Plan) -> f64 {
    let chained = plan.settings.credentials.hub_role_arn.is_some();
    let calls = plan.roles.iter().map(|role| {
        let life = if chained { role.session.duration.min(CHAINED_SESSION) } else { role.session.duration };
        3_600.0 / (life.as_secs_f64() / 2.0)
    });
    calls.sum()
}

/// The tiers count the calls of all accounts of an organisation together.
fn price_of_calls(calls: f64) -> f64 {
    let mut from = 0.0;
    let mut price = 0.0;
    for (to, usd_per_million) in CALL_TIERS {
        price += (calls.min(to) - from).max(0.0) / 1e6 * usd_per_million;
        from = to;
    }
    price
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_follows_the_tiers() {
        let close = |calls: f64, usd: f64| {
            assert!(
                (price_of_calls(calls) - usd).abs() < 1e-6 * usd.max(1.0),
                "{calls}: {}",
                price_of_calls(calls)
            );
        };
        close(0.0, 0.0);
        // One target every 30 s.
        close(86_400.0, 0.3024);
        close(333e6, 1_165.5);
        close(1_000e6, 1_165.5 + 667.0 * 2.80);
        close(21_000e6, 1_165.5 + 667.0 * 2.80 + 19_000.0 * 2.38 + 1_000.0 * 1.51);
    }
}
