//! A plan for people and for programs: what `spokeprobe plan` prints. `text` writes it for people, `members` says who
//! shares it.

mod members;
mod text;

pub use members::{MembersView, ShareView};

use crate::config::IncludeFailure;
use crate::config::units::{duration_text, rate_text};
use crate::domain::account::AccountId;
use crate::domain::expectation::{Expectation, ExpectedRefusal};
use crate::domain::region::Region;
use crate::domain::target::{Cadence, Target};
use crate::load;
use crate::plan::{
    ENDPOINT_ZONE_USD, Estimate, MonthlyCost, PRICES, Plan, SCRAPE_INTERVAL, Warning, account_quota,
    arrivals, time_text,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// A plan as `--json` shows it; holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The targets, in the order of the configuration.
    pub targets: Vec<TargetView>,
    /// The agents that share the targets, where several do; all figures are those of all members together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<MembersView>,
    /// Requests a second.
    pub requests_per_second: RatesView,
    /// What of it is asked of each account, beside what API Gateway lets through for it.
    pub account_quota: QuotaView,
    /// The roles tried at foreign apis, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<IsolationView>,
    /// The runs of load, scheduled or by command; the rates above are without them.
    pub loads: Vec<LoadView>,
    /// Time series of a scrape in which every target is as expected.
    pub time_series: usize,
    /// The same with eight results per target.
    pub time_series_worst: usize,
    /// Samples that scrapes of the expected series make in 30 days.
    pub samples: SamplesView,
    /// The sessions.
    pub roles: Vec<RoleView>,
    /// AssumeRole calls in an hour.
    pub sts_calls_per_hour: f64,
    /// US dollars in 30 days.
    pub monthly_cost_usd: CostView,
    /// What is probably not meant.
    pub warnings: Vec<WarningView>,
    /// Included files that are left out.
    pub include_failures: Vec<IncludeFailureView>,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetView {
    /// The spoke.
    pub spoke: String,
    /// The api.
    pub api: String,
    /// The probe.
    pub probe: String,
    /// The zone, for targets per zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The account of the api.
    pub account: String,
    /// Method, path and query.
    pub request: String,
    /// Who signs.
    #[serde(rename = "as")]
    pub identity: String,
    /// How the api is addressed.
    pub addressing: String,
    /// The interval or the rate, as it would be written.
    pub cadence: String,
    /// Attempts a second.
    pub requests_per_second: f64,
    /// The longest time from sending to the last byte.
    pub timeout_seconds: f64,
    /// What is expected, in words.
    pub expect: String,
}

/// Requests a second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RatesView {
    /// All together, isolation included.
    pub total: f64,
    /// By the account whose apis are called.
    pub by_account: BTreeMap<String, f64>,
}

/// What accounts are asked, beside what they may be asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuotaView {
    /// The default quota of an account in the region, in requests a second; AWS may have given an account another.
    pub requests_per_second: f64,
    /// The share of it that is steadily asked, by account, from 0 to 1.
    pub share_by_account: BTreeMap<String, f64>,
}

/// Samples in 30 days.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SamplesView {
    /// How often is scraped.
    pub scrape_interval_seconds: f64,
    /// Samples in 30 days.
    pub per_month: f64,
}

/// What isolation asks of others, while all doors are closed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IsolationView {
    /// Pairs of a role and a foreign api.
    pub pairs: usize,
    /// Within which each is to be tried.
    pub period_seconds: f64,
    /// How long a round over all pairs takes.
    pub round_seconds: f64,
    /// Its requests a second, which are part of the totals above.
    pub requests_per_second: RatesView,
}

/// A run of load.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadView {
    /// Its name.
    pub name: String,
    /// The probe that it drives, as `SPOKE/API/PROBE`.
    pub probe: String,
    /// The account of the api.
    pub account: String,
    /// When it begins each day in UTC, as `HH:MM`; null where it begins by command only.
    pub at: Option<String>,
    /// How long its stages last.
    pub duration_seconds: f64,
    /// The highest rate.
    pub peak_per_second: f64,
    /// Requests in all, if nothing stops it.
    pub requests: f64,
    /// The highest rate as a share of what the account may be asked in the region, from 0 to 1.
    pub share_of_quota: f64,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoleView {
    /// The role.
    pub role_arn: String,
    /// The session's name.
    pub session_name: String,
    /// How long it is asked for.
    pub duration_seconds: u64,
    /// The spokes it belongs to.
    pub spokes: Vec<String>,
}

/// US dollars in 30 days.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostView {
    /// Where and of when the prices are.
    pub prices: &'static str,
    /// What the probes add to the bill: calls and data.
    pub total: f64,
    /// Calls of REST APIs.
    pub api_calls: f64,
    /// How many of them are charged; refused ones are not.
    pub charged_calls: f64,
    /// Data through the endpoint.
    pub data: f64,
    /// How much that is, both directions.
    pub data_gb: f64,
    /// What the endpoint costs itself, with or without probes.
    pub endpoint: EndpointView,
    /// The same probes as CloudWatch Synthetics canaries.
    pub synthetics: SyntheticsView,
}

/// What the endpoint costs in 30 days, with or without probes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointView {
    /// In one zone.
    pub per_zone: f64,
    /// The zones that the configuration names; null when it names none.
    pub zones: Option<usize>,
    /// In all zones; null when the zones are not known.
    pub total: Option<f64>,
}

/// The probes as CloudWatch Synthetics canaries, in 30 days, without the function, storage and logs of each canary.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SyntheticsView {
    /// US dollars with one check a canary.
    pub one_check_a_canary: f64,
    /// How many canaries that are.
    pub canaries: usize,
    /// Their runs.
    pub runs: f64,
    /// US dollars with up to ten checks a canary.
    pub ten_checks_a_canary: f64,
    /// How many canaries that are.
    pub fewest_canaries: usize,
    /// Targets that are probed more often than the once a minute of a canary, and are counted at that.
    pub slowed_down: usize,
}

/// A warning.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WarningView {
    /// The path in the configuration.
    pub path: String,
    /// What is the matter, and what to do.
    pub message: String,
}

/// An included file that is left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncludeFailureView {
    /// The file.
    pub file: String,
    /// Its problems, as printed.
    pub problems: Vec<String>,
}

/// The report of a plan.
#[must_use]
pub fn report(plan: &Plan, estimate: &Estimate, failures: &[IncludeFailure], warnings: &[Warning]) -> Report {
    let rates = |total: f64, by_account: &BTreeMap<AccountId, f64>| RatesView {
        total: rounded(total),
        by_account: by_account.iter().map(|(id, rate)| (id.to_string(), rounded(*rate))).collect(),
    };
    Report {
        targets: plan.targets.iter().map(|target| target_view(target)).collect(),
        members: members::view(plan),
        requests_per_second: rates(estimate.requests_per_second, &estimate.requests_per_second_by_account),
        account_quota: QuotaView {
            requests_per_second: estimate.quota.requests_per_second,
            share_by_account: estimate
                .quota
                .share_by_account
                .iter()
                .map(|(id, share)| (id.to_string(), rounded(*share)))
                .collect(),
        },
        isolation: estimate.isolation.as_ref().map(|isolation| IsolationView {
            pairs: isolation.pairs,
            period_seconds: isolation.period.as_secs_f64(),
            round_seconds: isolation.round.as_secs_f64(),
            requests_per_second: rates(
                isolation.requests_per_second,
                &isolation.requests_per_second_by_account,
            ),
        }),
        loads: plan.loads.iter().map(|run| load_view(run, &plan.settings.endpoint.region)).collect(),
        time_series: estimate.time_series.expected,
        time_series_worst: estimate.time_series.worst,
        samples: SamplesView {
            scrape_interval_seconds: SCRAPE_INTERVAL.as_secs_f64(),
            per_month: estimate.samples_per_month.round(),
        },
        roles: plan
            .roles
            .iter()
            .map(|role| RoleView {
                role_arn: role.session.role_arn.to_string(),
                session_name: role.session.session_name.clone(),
                duration_seconds: role.session.duration.as_secs(),
                spokes: role.spokes.iter().map(ToString::to_string).collect(),
            })
            .collect(),
        sts_calls_per_hour: rounded(estimate.sts_calls_per_hour),
        monthly_cost_usd: cost_view(&estimate.monthly_cost),
        warnings: warnings
            .iter()
            .map(|warning| WarningView { path: warning.path.clone(), message: warning.message.clone() })
            .collect(),
        include_failures: failures
            .iter()
            .map(|failure| IncludeFailureView {
                file: failure.file.clone(),
                problems: failure.problems.iter().map(ToString::to_string).collect(),
            })
            .collect(),
    }
}

fn cost_view(cost: &MonthlyCost) -> CostView {
    let zones = Some(cost.endpoint_zones).filter(|zones| *zones > 0);
    let synthetics = &cost.synthetics;
    #[expect(clippy::cast_precision_loss, reason = "zones are few")]
    let in_all = |zones: usize| zones as f64 * ENDPOINT_ZONE_USD;
    CostView {
        prices: PRICES,
        total: rounded(cost.total_usd()),
        api_calls: rounded(cost.api_calls_usd),
        charged_calls: cost.charged_calls.round(),
        data: rounded(cost.data_usd),
        data_gb: rounded(cost.data_gb),
        endpoint: EndpointView {
            per_zone: rounded(ENDPOINT_ZONE_USD),
            zones,
            total: zones.map(|zones| rounded(in_all(zones))),
        },
        synthetics: SyntheticsView {
            one_check_a_canary: rounded(synthetics.usd),
            canaries: synthetics.canaries,
            runs: synthetics.runs.round(),
            ten_checks_a_canary: rounded(synthetics.least_usd),
            fewest_canaries: synthetics.fewest_canaries,
            slowed_down: synthetics.slowed_down,
        },
    }
}

/// Sums of thirtieths and sixtieths should not print sixteen digits.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

fn target_view(target: &Target) -> TargetView {
    TargetView {
        spoke: target.id.spoke.to_string(),
        api: target.id.api.to_string(),
        probe: target.id.probe.to_string(),
        zone: target.id.zone.as_ref().map(ToString::to_string),
        account: target.account.to_string(),
        request: format!("{} {}", target.request.method, target.request.path_and_query),
        identity: target.identity.to_string(),
        addressing: target.addressing.to_string(),
        cadence: match target.cadence {
            Cadence::Every(interval) => format!("every {}", duration_text(interval)),
            Cadence::PerSecond(rate) => rate_text(rate),
        },
        requests_per_second: rounded(target.cadence.per_second()),
        timeout_seconds: target.timeout.as_secs_f64(),
        expect: expectation_text(&target.expectation),
    }
}

fn load_view(run: &load::Settings, region: &Region) -> LoadView {
    let peak = run.profile.peak();
    LoadView {
        name: run.name.to_string(),
        probe: run.target.id.to_string(),
        account: run.target.account.to_string(),
        at: run.at.map(time_text),
        duration_seconds: run.profile.lasts().as_secs_f64(),
        peak_per_second: rounded(peak),
        requests: arrivals(run).round(),
        share_of_quota: rounded(peak / account_quota(region)),
    }
}

/// What is expected, short. Texts to be found in a body are named, not shown: they may be from the environment.
fn expectation_text(expectation: &Expectation) -> String {
    let mut parts = Vec::new();
    match &expectation.refusal {
        Some(ExpectedRefusal::AnyPolicy) => parts.push("denied".to_owned()),
        Some(ExpectedRefusal::By(reasons)) => {
            let reasons: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
            parts.push(format!("denied by {}", reasons.join(" or ")));
        }
        None if expectation.status.is_empty() => parts.push("2xx".to_owned()),
        None => {
            let statuses: Vec<String> = expectation.status.iter().map(ToString::to_string).collect();
            parts.push(statuses.join(" or "));
        }
    }
    let named = [
        ("json", expectation.json.is_some()),
        ("body", expectation.body.is_some()),
        ("headers", !expectation.headers.is_empty()),
    ];
    parts.extend(named.iter().filter(|(_, there)| *there).map(|(name, _)| (*name).to_owned()));
    parts.extend(expectation.within.map(|within| format!("within {}", duration_text(within))));
    parts.join(", ")
}
