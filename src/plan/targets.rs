//! Probes resolved: one target each, or one per zone, with signer and positive control.

use crate::config::units::rate_text;
use crate::config::{Api, Config, Probe, Spoke};
use crate::domain::account::AccountId;
use crate::domain::credentials::{RoleInUse, RoleSession};
use crate::domain::identity::{Identity, Signer};
use crate::domain::name::Name;
use crate::domain::region::ZoneId;
use crate::domain::target::{Cadence, Replica, SpokeInfo, Target, TargetId};
use crate::yaml::Problem;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// All targets, in the order of the configuration.
pub(super) fn resolve(config: &Config) -> Vec<Arc<Target>> {
    let sessions: HashMap<&Name, &Arc<RoleSession>> =
        config.spokes.iter().map(|spoke| (&spoke.name, &spoke.session)).collect();
    let mut targets: Vec<Target> = Vec::new();
    for spoke in &config.spokes {
        for api in &spoke.apis {
            let first = targets.len();
            for probe in &api.probes {
                // The configuration has refused unknown spokes.
                let Some(signer) = signer(&probe.identity, spoke, &sessions) else { continue };
                let zones: Vec<Option<&ZoneId>> = if probe.per_zone {
                    config.hub.endpoint.zones.keys().map(Some).collect()
                } else {
                    vec![None]
                };
                targets
                    .extend(zones.into_iter().map(|zone| target(config, spoke, api, probe, zone, &signer)));
            }
            connect_controls(&mut targets[first..]);
        }
    }
    targets.into_iter().map(Arc::new).collect()
}

fn signer(
    identity: &Identity,
    spoke: &Spoke,
    sessions: &HashMap<&Name, &Arc<RoleSession>>,
) -> Option<Signer> {
    Some(match identity {
        Identity::Anonymous => Signer::Anonymous,
        Identity::Hub => Signer::Hub,
        Identity::Spoke => Signer::Role(Arc::clone(&spoke.session)),
        Identity::OtherSpoke(name) => Signer::Role(Arc::clone(sessions.get(name)?)),
    })
}

fn target(
    config: &Config,
    spoke: &Spoke,
    api: &Api,
    probe: &Probe,
    zone: Option<&ZoneId>,
    signer: &Signer,
) -> Target {
    let id = TargetId {
        spoke: spoke.name.clone(),
        api: api.name.clone(),
        probe: probe.name.clone(),
        zone: zone.cloned(),
    };
    let signer_account = match signer {
        Signer::Anonymous => None,
        Signer::Hub => config.hub.role_arn.as_ref().map(|role| role.account().clone()),
        Signer::Role(session) => Some(session.role_arn.account().clone()),
    };
    Target {
        id,
        account: spoke.account.clone(),
        api: api.api.clone(),
        addressing: api.addressing,
        identity: probe.identity.clone(),
        signer: signer.clone(),
        signer_account,
        request: probe.request.clone(),
        expectation: probe.expectation.clone(),
        cadence: probe.cadence,
        replica: Replica::ONLY,
        timeout: probe.timeout,
        fresh_connection: probe.fresh_connection,
        positive_control: None,
        twins: probe.twins,
    }
}

/// Gives each anonymous guard of one api its positive control.
fn connect_controls(targets: &mut [Target]) {
    let controls: Vec<Option<TargetId>> = targets
        .iter()
        .map(|guard| {
            let wanted = guard.expectation.is_guard() && guard.identity == Identity::Anonymous;
            wanted.then(|| control_of(guard, targets.iter())).flatten()
        })
        .collect();
    for (target, control) in targets.iter_mut().zip(controls) {
        target.positive_control = control;
    }
}

/// The signed probe of the same api, method and path that expects a 2xx: in the guard's own zone if it can
/// be, else one without a zone, else any.
pub(super) fn control_of<'a>(guard: &Target, all: impl Iterator<Item = &'a Target>) -> Option<TargetId> {
    let controls = all.filter(|target| {
        target.id.spoke == guard.id.spoke
            && target.id.api == guard.id.api
            && target.request.method == guard.request.method
            && target.request.path() == guard.request.path()
            && target.identity != Identity::Anonymous
            && !target.expectation.is_guard()
            && target.expectation.status.iter().all(|status| (200..300).contains(status))
    });
    controls
        .min_by_key(|control| match (&control.id.zone, &guard.id.zone) {
            (one, other) if one == other => 0,
            (None, _) => 1,
            _ => 2,
        })
        .map(|control| control.id.clone())
}

/// The sessions that sign for any target, or are tried at foreign apis. Spokes that agree in all that is sent to AssumeRole share one.
pub(super) fn roles<'a>(
    config: &Config,
    targets: &'a [Arc<Target>],
    callers: impl Iterator<Item = &'a Arc<RoleSession>>,
) -> Vec<RoleInUse> {
    let mut spokes_of: BTreeMap<&RoleSession, Vec<Name>> = BTreeMap::new();
    for spoke in &config.spokes {
        spokes_of.entry(&spoke.session).or_default().push(spoke.name.clone());
    }
    let mut roles: Vec<RoleInUse> = Vec::new();
    let signing = targets.iter().filter_map(|target| match &target.signer {
        Signer::Role(session) => Some(session),
        Signer::Hub | Signer::Anonymous => None,
    });
    for session in signing.chain(callers) {
        // Removing it makes each session appear once, in the order of first use.
        if let Some(spokes) = spokes_of.remove(session.as_ref()) {
            roles.push(RoleInUse { session: Arc::clone(session), spokes });
        }
    }
    roles
}

/// What `spoke_info` says.
pub(super) fn spokes(config: &Config) -> Vec<SpokeInfo> {
    let info = |spoke: &Spoke| SpokeInfo {
        name: spoke.name.clone(),
        account: spoke.account.clone(),
        region: config.hub.region.clone(),
        role: spoke.session.role_arn.clone(),
        labels: spoke.labels.clone(),
    };
    config.spokes.iter().map(info).collect()
}

/// What makes a plan impossible: no target, or more requests than a ceiling allows.
pub(super) fn problems(config: &Config, targets: &[Arc<Target>], replicas: u32) -> Vec<Problem> {
    if targets.is_empty() {
        let hint = "add `probes` to an api of a spoke".to_owned();
        return vec![config.place.problem("no target", "at least one probe", Some(hint))];
    }
    let place = config.limits.place.as_ref().unwrap_or(&config.place);
    let over = |what: &str, found: f64, limit: f64, key: &str| {
        let at = format!("limits.{key}");
        let found = format!("limits exceeded: targets {what} need {}", rate_text(found));
        let mut problem = place.problem(
            found,
            format!("at most {}", rate_text(limit)),
            Some("probe less often, or raise the limit".to_owned()),
        );
        problem.path = at;
        problem
    };
    let mut problems = Vec::new();
    let by_account = rates_by_account(targets, replicas);
    let total: f64 = by_account.values().sum();
    if total > config.limits.requests_per_second + 1e-9 {
        problems.push(over(
            "of the whole agent",
            total,
            config.limits.requests_per_second,
            "requests_per_second",
        ));
    }
    for (account, rate) in by_account {
        let limit = config.limits.requests_per_second_per_account;
        if rate > limit + 1e-9 {
            let what = format!("in account {account}");
            problems.push(over(&what, rate, limit, "requests_per_second_per_account"));
        }
    }
    problems
}

/// Requests a second by the account whose apis are called, each interval with so many replicas; a rate is divided
/// among them.
pub(super) fn rates_by_account(targets: &[Arc<Target>], replicas: u32) -> BTreeMap<AccountId, f64> {
    let mut rates = BTreeMap::new();
    for target in targets {
        let times = match target.cadence {
            Cadence::Every(_) => f64::from(replicas),
            Cadence::PerSecond(_) => 1.0,
        };
        *rates.entry(target.account.clone()).or_insert(0.0) += times * target.cadence.per_second();
    }
    rates
}
