//! A plan for people and for programs: what `spokeprobe plan` prints.

use crate::config::IncludeFailure;
use crate::config::units::{duration_text, rate_text};
use crate::domain::account::AccountId;
use crate::domain::expectation::{Expectation, ExpectedRefusal};
use crate::domain::region::Region;
use crate::domain::target::{Cadence, Target};
use crate::load;
use crate::plan::{Estimate, Plan, Warning, account_quota, arrivals, percent_text, time_text};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// A plan as `--json` shows it; holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The targets, in the order of the configuration.
    pub targets: Vec<TargetView>,
    /// Requests a second.
    pub requests_per_second: RatesView,
    /// The roles tried at foreign apis, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<IsolationView>,
    /// The runs of load, scheduled or by command; the rates above are without them.
    pub loads: Vec<LoadView>,
    /// Time series of a scrape in which every target is as expected.
    pub time_series: usize,
    /// The same with eight results per target.
    pub time_series_worst: usize,
    /// The sessions.
    pub roles: Vec<RoleView>,
    /// AssumeRole calls in an hour.
    pub sts_calls_per_hour: f64,
    /// US dollars in 30 days, by US list prices.
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
    /// All together.
    pub total: f64,
    /// Calls of REST APIs.
    pub api_calls: f64,
    /// Data through the endpoint.
    pub data: f64,
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
    let cost = &estimate.monthly_cost;
    let rates = |total: f64, by_account: &BTreeMap<AccountId, f64>| RatesView {
        total: rounded(total),
        by_account: by_account.iter().map(|(id, rate)| (id.to_string(), rounded(*rate))).collect(),
    };
    Report {
        targets: plan.targets.iter().map(|target| target_view(target)).collect(),
        requests_per_second: rates(estimate.requests_per_second, &estimate.requests_per_second_by_account),
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
        monthly_cost_usd: CostView {
            total: rounded(cost.total_usd()),
            api_calls: rounded(cost.api_calls_usd),
            data: rounded(cost.data_usd),
        },
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

impl Report {
    /// The report as a text of several lines, without colours.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let mut line = |args: std::fmt::Arguments<'_>| writeln!(text, "{args}").unwrap_or_default();
        line(format_args!("{} targets", self.targets.len()));
        for row in table(&self.targets) {
            line(format_args!("  {row}"));
        }
        line(format_args!(""));
        line(format_args!("requests         {:.2}/s", self.requests_per_second.total));
        for (account, rate) in &self.requests_per_second.by_account {
            line(format_args!("  {account}   {rate:.2}/s"));
        }
        if let Some(isolation) = &self.isolation {
            line(format_args!(
                "isolation        {} pairs of a role and a foreign api, {} of the above; a round takes {}",
                isolation.pairs,
                slow_rate_text(isolation.requests_per_second.total),
                duration_text(Duration::from_secs_f64(isolation.round_seconds.round())),
            ));
        }
        for (nth, load) in self.loads.iter().enumerate() {
            line(format_args!(
                "{:<17}{}: {} up to {}, {:.0} requests in {}, {}; {} of the account's quota",
                if nth == 0 { "loads" } else { "" },
                load.name,
                load.probe,
                rate_text(load.peak_per_second),
                load.requests,
                duration_text(Duration::from_secs_f64(load.duration_seconds)),
                load.at.as_ref().map_or("by command".to_owned(), |at| format!("daily at {at} UTC")),
                percent_text(load.share_of_quota),
            ));
        }
        line(format_args!(
            "time series      {} when all is as expected, {} at worst",
            self.time_series, self.time_series_worst
        ));
        line(format_args!(
            "STS calls        {:.1}/h for {} sessions",
            self.sts_calls_per_hour,
            self.roles.len()
        ));
        line(format_args!(
            "monthly cost     ${:.2} (calls ${:.2}, endpoint data ${:.2}; US list prices, without backends)",
            self.monthly_cost_usd.total, self.monthly_cost_usd.api_calls, self.monthly_cost_usd.data
        ));
        if !self.warnings.is_empty() {
            line(format_args!("\n{} warnings", self.warnings.len()));
            for warning in &self.warnings {
                line(format_args!("  {}: {}", warning.path, warning.message));
            }
        }
        for failure in &self.include_failures {
            line(format_args!("\nleft out: {}", failure.file));
            for problem in &failure.problems {
                line(format_args!("  {problem}"));
            }
        }
        text
    }
}

/// A few pairs a day would be 0.00 a second.
fn slow_rate_text(per_second: f64) -> String {
    if per_second < 0.1 { format!("{:.2}/h", per_second * 3_600.0) } else { format!("{per_second:.2}/s") }
}

/// The targets in columns.
fn table(targets: &[TargetView]) -> Vec<String> {
    let head = ["TARGET", "REQUEST", "AS", "CADENCE", "EXPECT"].map(str::to_owned);
    let rows = targets.iter().map(|target| {
        let zone = target.zone.as_ref().map(|zone| format!("@{zone}")).unwrap_or_default();
        let name = format!("{}/{}/{}{zone}", target.spoke, target.api, target.probe);
        let cells = [&name, &target.request, &target.identity, &target.cadence, &target.expect];
        cells.map(Clone::clone)
    });
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    let print = |row: &[String; 5]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(print).collect()
}
