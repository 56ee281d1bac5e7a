//! From the runs of load of a configuration to what the engine is told: none of them exceeds a ceiling.
//!
//! What all health probes and isolation ask steadily is taken from the ceilings first: a run adds to it.

use crate::config::units::{duration_text, rate_text};
use crate::config::{Config, Load, probe_of};
use crate::domain::account::AccountId;
use crate::domain::region::Region;
use crate::domain::target::{Target, TargetId};
use crate::load::{Guards, Settings};
use crate::plan::targets::rates_by_account;
use crate::plan::{Plan, Warning, isolation};
use crate::yaml::Problem;
use http::Method;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// What health probes and isolation ask steadily, in requests a second.
pub(super) struct Steady {
    total: f64,
    by_account: BTreeMap<AccountId, f64>,
}

impl Steady {
    /// Of a plan, and of what other members ask beside it.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut steady = Self::of_all(&plan.targets, plan.isolation.as_ref(), 1);
        for (account, rate) in &plan.elsewhere {
            steady.total += rate;
            *steady.by_account.entry(account.clone()).or_insert(0.0) += rate;
        }
        steady
    }

    /// Of all these targets, each interval with so many replicas.
    pub(super) fn of_all(
        targets: &[Arc<Target>],
        isolation: Option<&crate::isolation::Settings>,
        replicas: u32,
    ) -> Self {
        let mut by_account = rates_by_account(targets, replicas);
        let mut total: f64 = by_account.values().sum();
        if let Some(isolation) = isolation.map(isolation::estimate) {
            total += isolation.requests_per_second;
            for (account, rate) in isolation.requests_per_second_by_account {
                *by_account.entry(account).or_insert(0.0) += rate;
            }
        }
        Self { total, by_account }
    }

    /// Takes another's part away.
    pub(super) fn without(&mut self, part: &Self) {
        self.total = (self.total - part.total).max(0.0);
        for (account, rate) in &part.by_account {
            if let Some(all) = self.by_account.get_mut(account) {
                *all = (*all - rate).max(0.0);
            }
        }
    }

    /// By account; what is nothing but rounding is left out.
    pub(super) fn by_account(self) -> BTreeMap<AccountId, f64> {
        self.by_account.into_iter().filter(|(_, rate)| *rate > 1e-9).collect()
    }

    fn in_account(&self, account: &AccountId) -> f64 {
        self.by_account.get(account).copied().unwrap_or(0.0)
    }
}

/// All runs of a configuration.
///
/// # Errors
/// Every ceiling that a run exceeds.
pub(super) fn resolve(
    config: &Config,
    targets: &[Arc<Target>],
    steady: &Steady,
) -> Result<Vec<Arc<Settings>>, Vec<Problem>> {
    let (mut runs, mut problems) = (Vec::new(), in_flight_problems(config));
    for load in &config.loads {
        match one(config, targets, steady, load) {
            Ok(settings) => runs.push(Arc::new(settings)),
            Err(mut found) => problems.append(&mut found),
        }
    }
    if problems.is_empty() { Ok(runs) } else { Err(problems) }
}

/// What health probes and isolation of all members ask of each account steadily, in requests a second.
#[must_use]
pub fn steady_rates(plan: &Plan) -> BTreeMap<AccountId, f64> {
    Steady::of(plan).by_account
}

/// One run that is not in the configuration: what the command was asked for.
///
/// # Errors
/// Why it may not be made: the probe is not known or not opted in, or a ceiling would be exceeded.
pub fn load_settings(config: &Config, plan: &Plan, load: &Load) -> Result<Settings, Vec<Problem>> {
    let steady = Steady::of(plan);
    one(config, &plan.targets, &steady, load)
}

fn one(
    config: &Config,
    targets: &[Arc<Target>],
    steady: &Steady,
    load: &Load,
) -> Result<Settings, Vec<Problem>> {
    let found = probe_of(load, &config.spokes).map_err(|problem| vec![problem.into_problem()])?;
    let same = |target: &&Arc<Target>| {
        let id = &target.id;
        (&id.spoke, &id.api, &id.probe) == (&load.probe.spoke, &load.probe.api, &load.probe.probe)
    };
    let Some(target) = targets.iter().find(same) else {
        let what = format!("`{}`, which has no target", load.probe);
        return Err(vec![load.probe_place.problem(what, "a probe that runs", None)]);
    };
    // A run goes to the endpoint's own name, as applications do, also where health watches each zone.
    let target = match &target.id.zone {
        None => Arc::clone(target),
        Some(_) => {
            let id = TargetId { zone: None, ..target.id.clone() };
            Arc::new(Target { id, ..Target::clone(target) })
        }
    };
    let problems = over_ceilings(config, steady, load, &found.spoke.account);
    if !problems.is_empty() {
        return Err(problems);
    }
    let limits = &config.limits;
    Ok(Settings {
        name: load.name.clone(),
        target,
        profile: load.profile.clone(),
        guards: load.guards,
        at: load.at,
        in_flight: config
            .load
            .in_flight
            .unwrap_or_else(|| limits.in_flight.min(limits.in_flight_per_account)),
        reuse_signatures: config.load.reuse_signatures,
        ramp_down: load.ramp_down,
    })
}

fn over_ceilings(config: &Config, steady: &Steady, load: &Load, account: &AccountId) -> Vec<Problem> {
    let peak = load.profile.peak();
    let limits = &config.limits;
    let in_account = steady.in_account(account);
    let ceilings = [
        (steady.total, limits.requests_per_second, "requests_per_second", String::new()),
        (
            in_account,
            limits.requests_per_second_per_account,
            "requests_per_second_per_account",
            format!(" in account {account}"),
        ),
    ];
    let over = ceilings.into_iter().filter(|(taken, limit, ..)| taken + peak > limit + 1e-9);
    over.map(|(taken, limit, key, place)| {
        load.peak_place.problem(
            format!(
                "ceilings exceeded: a peak of {} beside {} of probes{place}",
                rate_text(peak),
                rate_text(taken)
            ),
            format!("at most {} together", rate_text(limit)),
            Some(format!("lower the rate, or raise `limits.{key}`")),
        )
    })
    .collect()
}

fn in_flight_problems(config: &Config) -> Vec<Problem> {
    let (Some(asked), Some(place)) = (config.load.in_flight, &config.load.in_flight_place) else {
        return Vec::new();
    };
    let limits = &config.limits;
    let ceilings = [(limits.in_flight, "in_flight"), (limits.in_flight_per_account, "in_flight_per_account")];
    let over = ceilings.into_iter().filter(|(limit, _)| asked > *limit);
    over.map(|(limit, key)| {
        place.problem(
            format!("ceilings exceeded: {asked} requests in flight"),
            format!("at most {limit}"),
            Some(format!("lower it, or raise `limits.{key}`")),
        )
    })
    .collect()
}

/// What is allowed but probably not meant.
pub(super) fn warnings(config: &Config, plan: &Plan) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for run in &plan.loads {
        let path = format!("loads.{}", run.name);
        of_run(run, &config.hub.region, &mut |message| {
            warnings.push(Warning { path: path.clone(), message });
        });
        if let Some(at) = run.at
            && run.profile.lasts() + config.load.cool_down > DAY
        {
            let message = format!(
                "it lasts {}, so after a run that was stopped the next one at {} falls into the cool-down of {} and is \
                 left out; shorten one of them",
                duration_text(run.profile.lasts()),
                time_text(at),
                duration_text(config.load.cool_down)
            );
            warnings.push(Warning { path, message });
        }
    }
    warnings.extend(overlaps(config, plan));
    warnings
}

/// Warnings of one run, in the words of the configuration.
pub fn of_run(run: &Settings, region: &Region, warn: &mut impl FnMut(String)) {
    let (peak, quota) = (run.profile.peak(), account_quota(region));
    if peak > quota / 10.0 {
        warn(format!(
            "a peak of {} is {} of the quota of account {} for the region, {}, which its real traffic shares; \
             above a tenth, ask the account's owner first",
            rate_text(peak),
            percent_text(peak / quota),
            run.target.account,
            rate_text(quota)
        ));
    }
    let method = &run.target.request.method;
    if ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
        warn(format!(
            "{method} {} may change something, and the run repeats it about {:.0} times; make sure that the backend \
             bears that",
            run.target.request.path(),
            arrivals(run)
        ));
    }
    let Guards { errors, throttled, p99, missed, .. } = run.guards;
    if errors.is_none() && throttled.is_none() && missed.is_none() && p99.is_none() {
        warn("every guard is off, so only a person stops this run; leave at least `errors` on".to_owned());
    }
}

/// Runs of the same hours whose peaks together exceed a ceiling: then the engine stops one of them.
fn overlaps(config: &Config, plan: &Plan) -> Vec<Warning> {
    let steady = Steady::of(plan);
    let limits = &config.limits;
    let scheduled: Vec<(&Arc<Settings>, Duration)> =
        plan.loads.iter().filter_map(|run| Some((run, run.at?))).collect();
    let mut warnings = Vec::new();
    for (nth, (one, at)) in scheduled.iter().enumerate() {
        for (other, other_at) in &scheduled[nth + 1..] {
            if !meet((*at, one.profile.lasts()), (*other_at, other.profile.lasts())) {
                continue;
            }
            let peaks = one.profile.peak() + other.profile.peak();
            let account = &one.target.account;
            let over_api = same_api(&one.target.id, &other.target.id)
                .then(|| max_rate(config, &one.target.id))
                .flatten()
                .filter(|most| peaks > most + 1e-9);
            if let Some(most) = over_api {
                let message = format!(
                    "it runs at the same time as `{}`, and their peaks together exceed the api's `max_rate` of {}: \
                     move `at`, or lower the rates",
                    other.name,
                    rate_text(most)
                );
                warnings.push(Warning { path: format!("loads.{}", one.name), message });
            }
            let over = if *account == other.target.account
                && peaks + steady.in_account(account) > limits.requests_per_second_per_account + 1e-9
            {
                "requests_per_second_per_account"
            } else if peaks + steady.total > limits.requests_per_second + 1e-9 {
                "requests_per_second"
            } else {
                continue;
            };
            let message = format!(
                "it runs at the same time as `{}`, and their peaks together exceed `limits.{over}`; one of them will \
                 be stopped or left out: move `at`",
                other.name
            );
            warnings.push(Warning { path: format!("loads.{}", one.name), message });
        }
    }
    warnings
}

fn same_api(one: &TargetId, other: &TargetId) -> bool {
    (&one.spoke, &one.api) == (&other.spoke, &other.api)
}

/// What the api of a target has opted in to.
fn max_rate(config: &Config, id: &TargetId) -> Option<f64> {
    let spoke = config.spokes.iter().find(|spoke| spoke.name == id.spoke)?;
    spoke.apis.iter().find(|api| api.name == id.api)?.max_rate
}

/// Whether two spans of each day meet; a span may go past midnight.
fn meet((one, one_lasts): (Duration, Duration), (other, other_lasts): (Duration, Duration)) -> bool {
    let after = |from: Duration, to: Duration| if to >= from { to - from } else { to + DAY - from };
    after(one, other) < one_lasts || after(other, one) < other_lasts
}

/// How many requests a run makes in all, if nothing stops it; a random one about as many.
#[must_use]
pub fn arrivals(run: &Settings) -> f64 {
    run.profile.expected_arrivals(Duration::ZERO, run.profile.lasts())
}

/// Requests a second that an account may be asked in a region, all its APIs together, unless it was given more.
#[must_use]
pub fn account_quota(region: &Region) -> f64 {
    f64::from(crate::load::account_quota(region).requests_per_second)
}

/// A time of day, `HH:MM`.
pub fn time_text(at: Duration) -> String {
    let minutes = at.as_secs() / 60;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// A share in percent, with two digits that say something.
pub fn percent_text(share: f64) -> String {
    let percent = share * 100.0;
    let text = if percent >= 10.0 { format!("{percent:.0}") } else { format!("{percent:.2}") };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_the_day_meet_past_midnight_too() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        for (one, other, wanted) in [
            ((120, 10), (125, 10), true),
            ((120, 10), (130, 10), false),
            ((130, 10), (120, 10), false),
            ((120, 10), (120, 1), true),
            ((1_435, 10), (2, 1), true),
            ((1_435, 10), (5, 1), false),
            ((2, 1), (1_435, 10), true),
            ((0, 1_440), (700, 1), true),
        ] {
            let span = |(at, lasts)| (minutes(at), minutes(lasts));
            assert_eq!(meet(span(one), span(other)), wanted, "{one:?} {other:?}");
        }
    }

    #[test]
    fn shares_and_times_are_short() {
        assert_eq!(percent_text(0.002), "0.2%");
        assert_eq!(percent_text(0.05), "5%");
        assert_eq!(percent_text(0.104), "10%");
        assert_eq!(percent_text(1.0), "100%");
        assert_eq!(percent_text(0.000_012), "0%");
        assert_eq!(time_text(Duration::from_secs(7_500)), "02:05");
    }
}
