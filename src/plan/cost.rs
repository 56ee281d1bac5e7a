//! What a plan costs in a month, and what CloudWatch Synthetics would cost for the same probes.
//!
//! All prices are list prices of us-east-1 in US dollars, as read in November 2026; other regions differ by some tens
//! of percent. `PRICES` says so wherever a figure is shown. What is not here: the backends behind the apis, the agent's
//! own task or instance, taxes, discounts.

use crate::domain::target::{Cadence, Target};
use crate::plan::targets::rates_by_account;
use crate::plan::{Plan, arrivals};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where and of when the prices are.
pub const PRICES: &str = "us-east-1 list prices as read in November 2026";
/// A month of 30 days, as prices are usually compared.
const SECONDS_PER_MONTH: f64 = 2_592_000.0;
const HOURS_PER_MONTH: f64 = 720.0;
const DAYS_PER_MONTH: f64 = 30.0;
/// What a small signed request and its answer weigh on the wire, both directions, TLS included.
const BYTES_PER_REQUEST: f64 = 10_000.0;
/// Up to how many GB a month, at how much each (AWS PrivateLink pricing, data processed, both directions).
const DATA_TIERS: [(f64, f64); 3] = [(1e6, 0.01), (5e6, 0.006), (f64::INFINITY, 0.004)];
/// An interface endpoint in one zone for an hour (same page).
const USD_PER_ENDPOINT_HOUR: f64 = 0.01;
/// REST API calls: up to how many a month, at how much per million (AWS whitepaper "Best practices for designing
/// Amazon API Gateway private APIs and private integration", cost optimization).
const CALL_TIERS: [(f64, f64); 4] = [(333.0, 3.50), (1_000.0, 2.80), (20_000.0, 2.38), (f64::INFINITY, 1.51)];
/// A run of a canary (Amazon CloudWatch pricing, canaries; read indirectly, from published worked examples).
const USD_PER_CANARY_RUN: f64 = 0.0012;
/// A canary runs at most once a minute (Amazon CloudWatch user guide, "Creating a canary": schedule).
const FASTEST_CANARY: Duration = Duration::from_secs(60);
/// The most checks of one canary of the blueprint for several checks (same guide, "multi checks blueprint").
const CHECKS_PER_CANARY: usize = 10;
/// How often the files in `deploy/` let Prometheus or a collector scrape.
pub const SCRAPE_INTERVAL: Duration = Duration::from_secs(15);

/// A month of 30 days in US dollars, and what it is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MonthlyCost {
    /// Calls of REST APIs that are charged.
    pub charged_calls: f64,
    /// Their price.
    pub api_calls_usd: f64,
    /// GB through the endpoint, both directions.
    pub data_gb: f64,
    /// Their price.
    pub data_usd: f64,
    /// The zones that the configuration names for the endpoint; none when it names none.
    pub endpoint_zones: usize,
    /// The same checks as canaries.
    pub synthetics: Synthetics,
}

/// What the endpoint costs in one zone, with or without probes, in US dollars a month.
pub const ENDPOINT_ZONE_USD: f64 = USD_PER_ENDPOINT_HOUR * HOURS_PER_MONTH;

/// The probes of a plan as CloudWatch Synthetics canaries. Isolation and loads have no counterpart there.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Synthetics {
    /// Canaries with one check each.
    pub canaries: usize,
    /// Their runs in a month.
    pub runs: f64,
    /// The price of these runs. The function, storage and logs of each canary come on top.
    pub usd: f64,
    /// Canaries with up to ten checks each, those that run equally often together.
    pub fewest_canaries: usize,
    /// The price of their runs.
    pub least_usd: f64,
    /// Targets that are probed more often than a canary can run; counted as once a minute.
    pub slowed_down: usize,
}

impl MonthlyCost {
    /// What the probes add to the bill.
    #[must_use]
    pub fn total_usd(&self) -> f64 {
        self.api_calls_usd + self.data_usd
    }
}

/// The cost of a whole plan that sends this many requests a second steadily, isolation included, where so many members
/// probe each target.
pub(super) fn monthly_cost(plan: &Plan, requests_per_second: f64, replicas: u32) -> MonthlyCost {
    // Refused calls are not charged (AWS support answers; the price list is silent), so guards are free, and
    // isolation is while its doors are closed.
    let charged: Vec<Arc<Target>> =
        plan.targets.iter().filter(|target| !target.expectation.is_guard()).cloned().collect();
    let charged: f64 = rates_by_account(&charged, replicas).values().sum();
    // A run by command is for who gives it to know.
    let scheduled = plan.loads.iter().filter(|run| run.at.is_some());
    let by_schedule: f64 = scheduled.map(|run| arrivals(run)).sum::<f64>() * DAYS_PER_MONTH;
    let charged_calls = charged * SECONDS_PER_MONTH + by_schedule;
    let data_gb = (requests_per_second * SECONDS_PER_MONTH + by_schedule) * BYTES_PER_REQUEST / 1e9;
    MonthlyCost {
        charged_calls,
        api_calls_usd: tiered(charged_calls / 1e6, &CALL_TIERS),
        data_gb,
        data_usd: tiered(data_gb, &DATA_TIERS),
        endpoint_zones: plan.settings.endpoint.zones.len(),
        synthetics: synthetics(&plan.targets),
    }
}

/// Samples that a scrape of so many series makes in a month.
#[expect(clippy::cast_precision_loss, reason = "series are far fewer than 2^53")]
pub(super) fn samples_per_month(series: usize) -> f64 {
    series as f64 * SECONDS_PER_MONTH / SCRAPE_INTERVAL.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "targets are far fewer than 2^53")]
fn synthetics(targets: &[Arc<Target>]) -> Synthetics {
    let mut by_interval: BTreeMap<Duration, usize> = BTreeMap::new();
    let mut found = Synthetics::default();
    for target in targets {
        let interval = interval(target);
        found.slowed_down += usize::from(interval < FASTEST_CANARY);
        *by_interval.entry(interval.max(FASTEST_CANARY)).or_insert(0) += 1;
    }
    for (interval, checks) in by_interval {
        let runs = SECONDS_PER_MONTH / interval.as_secs_f64();
        let canaries = checks.div_ceil(CHECKS_PER_CANARY);
        found.canaries += checks;
        found.runs += runs * checks as f64;
        found.fewest_canaries += canaries;
        found.least_usd += runs * canaries as f64 * USD_PER_CANARY_RUN;
    }
    found.usd = found.runs * USD_PER_CANARY_RUN;
    found
}

fn interval(target: &Target) -> Duration {
    match target.cadence {
        Cadence::Every(interval) => interval,
        Cadence::PerSecond(rate) => Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX),
    }
}

/// A price by tiers: up to how much, at how much each. They count what all accounts of an organisation use together.
fn tiered(amount: f64, tiers: &[(f64, f64)]) -> f64 {
    let mut from = 0.0;
    let mut price = 0.0;
    for (to, usd) in tiers {
        price += (amount.min(*to) - from).max(0.0) * usd;
        from = *to;
    }
    price
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-6 * wanted.max(1.0), "{found}, wanted {wanted}");
    }

    #[test]
    fn prices_follow_their_tiers() {
        let calls = |number: f64| tiered(number / 1e6, &CALL_TIERS);
        close(calls(0.0), 0.0);
        // One target every 30 s.
        close(calls(86_400.0), 0.3024);
        close(calls(333e6), 1_165.5);
        close(calls(1_000e6), 1_165.5 + 667.0 * 2.80);
        close(calls(21_000e6), 1_165.5 + 667.0 * 2.80 + 19_000.0 * 2.38 + 1_000.0 * 1.51);
        close(tiered(6e6, &DATA_TIERS), 10_000.0 + 24_000.0 + 4_000.0);
    }

    #[test]
    fn canaries_run_once_a_minute_at_most_and_take_ten_checks() {
        let probes = |cadence: &str, number: usize| -> String {
            (0..number)
                .map(|n| format!("{{name: p{cadence}-{n}, request: GET /, every: {cadence}}}, "))
                .collect()
        };
        let text = format!(
            "
hub: {{region: eu-west-1, role_arn: arn:aws:iam::111122223333:role/hub, endpoint: {{id: vpce-0123456789abcdef0}}}}
spokes:
  - name: one
    account: '012345678901'
    apis: [{{name: api, id: a1b2c3d4e5, stage: live, probes: [{}{}{}]}}]
",
            probes("30s", 1),
            probes("1m", 10),
            probes("1h", 1)
        );
        let plan = crate::sources::load_plan_text("test", &text, &|_| None).unwrap().plan;
        let found = synthetics(&plan.targets);
        // 11 at one a minute are two canaries of the larger kind, the hourly one is a third.
        assert_eq!((found.canaries, found.fewest_canaries, found.slowed_down), (12, 3, 1));
        close(found.runs, 11.0 * 43_200.0 + 720.0);
        close(found.usd, found.runs * 0.0012);
        close(found.least_usd, (2.0 * 43_200.0 + 720.0) * 0.0012);
    }
}
