//! From the configuration to what runs: targets, roles, limits, warnings. Pure.
//!
//! `targets` resolves probes, `loads` the runs of load, `share` takes one member's part, `warnings` says what is probably not
//! meant, `estimate` what it asks of others, `cost` for how much,
//! `report` shows all of it as text and JSON. `app` runs the result.

mod cost;
mod estimate;
mod isolation;
mod loads;
pub mod report;
mod share;
mod targets;
#[cfg(test)]
mod tests;
mod warnings;

pub use cost::{ENDPOINT_ZONE_USD, MonthlyCost, PRICES, SCRAPE_INTERVAL, Synthetics};
pub use estimate::{Estimate, QuotaUse, SeriesCount, estimate};
pub use isolation::IsolationEstimate;
pub use loads::{
    account_quota, arrivals, load_settings, of_run as load_warnings, percent_text, steady_rates, time_text,
};

use crate::config::Config;
use crate::domain::account::AccountId;
use crate::domain::credentials::RoleInUse;
use crate::domain::identity::Identity;
use crate::domain::target::{Cadence, SpokeInfo, Target};
use crate::yaml::Problem;
use crate::{credentials, diagnosis, endpoint, members, recording, transport, web};
use ipnet::IpNet;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// All that the agent needs to run; building one touches neither network nor clock.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is probed, in the order of the configuration.
    pub targets: Vec<Arc<Target>>,
    /// The sessions that sign, each with the spokes it belongs to.
    pub roles: Vec<RoleInUse>,
    /// The spokes, for `spoke_info`.
    pub spokes: Vec<SpokeInfo>,
    /// Which roles are tried at which foreign apis.
    pub isolation: Option<crate::isolation::Settings>,
    /// The runs of load, scheduled or by command.
    pub loads: Vec<Arc<crate::load::Settings>>,
    /// Whether this agent begins the scheduled ones: of several members the first by name.
    pub begins_loads: bool,
    /// What all of them share.
    pub load_rules: LoadRules,
    /// The ceilings, which hold for all members together but `in_flight`, which are this agent's own.
    pub limits: Limits,
    /// What other members ask of each account beside this plan, in requests a second.
    pub elsewhere: BTreeMap<AccountId, f64>,
    /// Settings of the components.
    pub settings: Settings,
    /// The included files, each once.
    pub includes: Vec<Included>,
    /// What a user should know before running this.
    pub warnings: Vec<Warning>,
}

/// An included file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Included {
    /// The file.
    pub file: String,
    /// Why it was left out, or runs on as it was last read; empty for one that is in use as it is.
    pub problems: Vec<Problem>,
}

/// The settings of every component, filled by the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addressing.
    pub endpoint: endpoint::Settings,
    /// Sending.
    pub transport: transport::Settings,
    /// Identities.
    pub credentials: credentials::Settings,
    /// The agent's own HTTP server.
    pub web: web::Settings,
    /// Metrics.
    pub recording: recording::Settings,
    /// Twins.
    pub diagnosis: diagnosis::Settings,
    /// The agents that share the targets; `None` where one agent does all.
    pub members: Option<members::Settings>,
}

/// The ceilings of the whole agent and of each account.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Requests a second, all targets together.
    pub requests_per_second: f64,
    /// Requests a second to one account.
    pub requests_per_second_per_account: f64,
    /// Attempts in flight, all targets together.
    pub in_flight: usize,
    /// Attempts in flight to one account.
    pub in_flight_per_account: usize,
}

/// What all runs of load share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRules {
    /// While this file exists, every run is stopped and none begins.
    pub stop_file: Option<PathBuf>,
    /// How long no run begins on an account after a guard stopped one there.
    pub cool_down: Duration,
}

/// Something that is allowed but probably not meant; ends with what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The path in the configuration, such as `spokes.payments.apis.hoot.probes.hello`.
    pub path: String,
    /// What is the matter, and what to do.
    pub message: String,
}

impl Plan {
    /// How many places are connected to, and how many requests can be in flight at once: a target with an interval has
    /// one at most, one with a rate, and a load, as many as the ceiling allows.
    #[must_use]
    pub fn connections(&self) -> (usize, usize) {
        let address = |target: &Arc<Target>| {
            let zone = target.id.zone.as_ref();
            endpoint::address(&self.settings.endpoint, &target.api, target.addressing, zone).ok()
        };
        let names: HashSet<_> = self.targets.iter().filter_map(address).map(|found| found.connect).collect();
        let all_wait = self.targets.iter().all(|target| matches!(target.cadence, Cadence::Every(_)))
            && self.loads.is_empty();
        let in_flight = if all_wait { self.targets.len() } else { usize::MAX };
        (names.len(), in_flight.min(self.limits.in_flight))
    }
}

/// Resolves a configuration into what runs.
///
/// # Errors
/// When there is no target at all, the steady rate of the targets exceeds a ceiling, isolation has no room, or a
/// run of load exceeds a ceiling.
pub fn plan(config: &Config) -> Result<Plan, Vec<Problem>> {
    let targets = targets::resolve(config);
    let replicas = config.members.as_ref().map_or(1, members::Settings::replicas_of_each);
    let problems = targets::problems(config, &targets, replicas);
    if !problems.is_empty() {
        return Err(problems);
    }
    let isolation = isolation::resolve(config, &targets, replicas)?;
    let steady = loads::Steady::of_all(&targets, isolation.as_ref(), replicas);
    let loads = loads::resolve(config, &targets, &steady)?;
    let callers = isolation.iter().flat_map(|isolation| &isolation.callers).map(|caller| &caller.session);
    let limits = &config.limits;
    let mut plan = Plan {
        roles: targets::roles(config, &targets, callers),
        spokes: targets::spokes(config),
        isolation,
        loads,
        begins_loads: true,
        load_rules: LoadRules { stop_file: config.load.stop_file.clone(), cool_down: config.load.cool_down },
        limits: Limits {
            requests_per_second: limits.requests_per_second,
            requests_per_second_per_account: limits.requests_per_second_per_account,
            in_flight: limits.in_flight,
            in_flight_per_account: limits.in_flight_per_account,
        },
        settings: settings(config),
        elsewhere: share::beside_the_first(&targets, replicas),
        includes: includes(config),
        warnings: Vec::new(),
        targets,
    };
    plan.warnings = warnings::warnings(config, &plan);
    plan.warnings.extend(isolation::warnings(config, &plan));
    plan.warnings.extend(loads::warnings(config, &plan));
    Ok(plan)
}

fn includes(config: &Config) -> Vec<Included> {
    let mut problems: BTreeMap<&String, Vec<Problem>> =
        config.included_files.iter().map(|file| (file, Vec::new())).collect();
    for failure in config.include_failures.iter().chain(&config.includes_as_last_read) {
        problems.entry(&failure.file).or_default().extend(failure.problems.iter().cloned());
    }
    problems.into_iter().map(|(file, problems)| Included { file: file.clone(), problems }).collect()
}

fn settings(config: &Config) -> Settings {
    let (hub, endpoint) = (&config.hub, &config.hub.endpoint);
    // An address that the configuration names is one that the user vouches for.
    let zones = endpoint.zones.values().filter_map(|zone| zone.host.parse::<IpAddr>().ok());
    let private_ranges = endpoint.cidrs.iter().copied().chain(zones.map(IpNet::from)).collect();
    Settings {
        endpoint: endpoint::Settings {
            region: hub.region.clone(),
            id: endpoint.id.clone(),
            dns_name: endpoint.dns_name.clone(),
            zones: endpoint.zones.clone(),
            url: endpoint.url.clone(),
        },
        transport: transport::Settings { extra_roots_pem: endpoint.ca_pem.clone(), private_ranges },
        credentials: credentials::Settings {
            region: hub.region.clone(),
            sts_endpoint_url: hub.sts_endpoint_url.clone(),
            hub_role_arn: hub.role_arn.clone(),
            environment: None,
        },
        web: web::Settings {
            listen: config.web.listen,
            status: config.web.status,
            config_file: config.web.config_file.clone(),
        },
        recording: recording::Settings { buckets: config.buckets.clone() },
        diagnosis: diagnosis::Settings { hub_twins: hub.twins || some_probe_signs_as_the_hub(config) },
        members: config.members.clone(),
    }
}

fn some_probe_signs_as_the_hub(config: &Config) -> bool {
    let apis = config.spokes.iter().flat_map(|spoke| &spoke.apis);
    apis.flat_map(|api| &api.probes).any(|probe| probe.identity == Identity::Hub)
}
