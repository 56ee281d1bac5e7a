//! What a plan asks of others: requests, sessions, series; `cost` says what that costs.

use crate::domain::account::AccountId;
use crate::domain::target::Target;
use crate::endpoint;
use crate::members;
use crate::plan::cost::{self, MonthlyCost};
use crate::plan::isolation::{self, IsolationEstimate};
use crate::plan::targets::rates_by_account;
use crate::plan::{Plan, account_quota};
use crate::recording::Recorded;
use std::collections::BTreeMap;
use std::time::Duration;

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

impl SeriesCount {
    /// With replicas each target has its series once for each. What an agent has of its own, some forty series, is left
    /// out of this: how many members there are is known to DNS alone.
    fn times(self, replicas: u32) -> Self {
        let replicas = usize::try_from(replicas).unwrap_or(1);
        Self { expected: self.expected * replicas, worst: self.worst * replicas }
    }
}

/// What is asked of accounts beside what they may be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaUse {
    /// The default quota of an account in the region, in requests a second. AWS may have given an account another.
    pub requests_per_second: f64,
    /// By account, of its own quota.
    pub share_by_account: BTreeMap<AccountId, f64>,
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
    /// AssumeRole calls in an hour; more where the apis of a spoke are divided among members.
    pub sts_calls_per_hour: f64,
    /// What is steadily asked of each account, as a share of what API Gateway lets through for it in the region, from 0
    /// to 1 and above.
    pub quota: QuotaUse,
    /// Samples that scrapes of the expected series make in 30 days, at `cost::SCRAPE_INTERVAL`.
    pub samples_per_month: f64,
    /// Money in 30 days.
    pub monthly_cost: MonthlyCost,
}

/// Estimates a plan.
#[must_use]
pub fn estimate(plan: &Plan) -> Estimate {
    let per_second = |targets: &mut dyn Iterator<Item = &Target>| -> f64 {
        targets.map(|target| target.cadence.per_second()).sum()
    };
    let isolation = plan.isolation.as_ref().map(isolation::estimate);
    let mut by_account = rates_by_account(&plan.targets, 1);
    for (account, rate) in &plan.elsewhere {
        *by_account.entry(account.clone()).or_insert(0.0) += rate;
    }
    for (account, rate) in isolation.iter().flat_map(|isolation| &isolation.requests_per_second_by_account) {
        *by_account.entry(account.clone()).or_insert(0.0) += rate;
    }
    let of_isolation = isolation.as_ref().map_or(0.0, |isolation| isolation.requests_per_second);
    let of_other_members: f64 = plan.elsewhere.values().sum();
    let total = of_isolation + per_second(&mut plan.targets.iter().map(AsRef::as_ref)) + of_other_members;
    let replicas = plan.settings.members.as_ref().map_or(1, members::Settings::replicas_of_each);
    let time_series = time_series(plan).times(replicas);
    let quota = account_quota(&plan.settings.endpoint.region);
    Estimate {
        requests_per_second: total,
        quota: QuotaUse {
            requests_per_second: quota,
            share_by_account: by_account.iter().map(|(id, rate)| (id.clone(), rate / quota)).collect(),
        },
        requests_per_second_by_account: by_account,
        isolation,
        time_series,
        samples_per_month: cost::samples_per_month(time_series.expected),
        sts_calls_per_hour: sts_calls_per_hour(plan) * f64::from(replicas),
        monthly_cost: cost::monthly_cost(plan, total, replicas),
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
        members: plan.settings.members.is_some(),
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
