//! From the `isolation` section to callers, apis and pairs, and to how fast they can be gone through.
//!
//! An api is tried with its own first signed probe of an allowed method that expects a 2xx: a request that is
//! known to be let in under the right role, so that only the caller differs. Left out are pairs that are not
//! foreign: caller and owner share a session, the caller's spoke has the same api itself, or a probe of the
//! configuration expects this very caller to be let in.

use crate::config::units::{duration_text, rate_text};
use crate::config::{Config, Isolation, Spoke};
use crate::domain::account::AccountId;
use crate::domain::api::ApiName;
use crate::domain::credentials::RoleSession;
use crate::domain::identity::{Identity, Signer};
use crate::domain::name::Name;
use crate::domain::target::{Target, TargetId};
use crate::isolation::{Caller, MOST_PAIRS, Pair, Settings};
use crate::members::{Kind, Share};
use crate::plan::targets::rates_by_account;
use crate::plan::{Plan, Warning};
use crate::yaml::Problem;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// A round that takes longer than this proves nothing any more.
const LONGEST_ROUND: Duration = Duration::from_secs(30 * 86_400);
/// Open doors are tried again this often at most, and the limits keep room for it.
const RECHECKS_PER_SECOND: f64 = 1.0;

/// Resolves the section.
///
/// # Errors
/// When there are too many pairs, or the limits leave no room for them.
pub(super) fn resolve(
    config: &Config,
    targets: &[Arc<Target>],
    replicas: u32,
) -> Result<Option<Settings>, Vec<Problem>> {
    let Some(isolation) = &config.isolation else { return Ok(None) };
    let spokes = participants(config, isolation);
    let callers = callers(&spokes);
    let apis = requests(&spokes, isolation, targets);
    if callers.len().max(apis.len()) > usize::from(u16::MAX) || callers.len() * apis.len() > MOST_PAIRS {
        let found = format!("{} roles to be tried at {} apis", callers.len(), apis.len());
        let hint = "name fewer `spokes`".to_owned();
        return Err(vec![isolation.place.problem(found, format!("at most {MOST_PAIRS} pairs"), Some(hint))]);
    }
    let pairs = foreign(config, targets, &callers, &apis);
    let room = Room::left_by(config, targets, replicas, &apis, &pairs);
    let Some(round) = room.round(isolation.period) else {
        let found = format!("limits that leave no room for {} pairs", pairs.len());
        let wanted = format!("room for one round in {}", duration_text(LONGEST_ROUND));
        let hint =
            "raise `limits.requests_per_second` and its `_per_account`, or probe less often".to_owned();
        return Err(vec![isolation.place.problem(found, wanted, Some(hint))]);
    };
    let recheck_pace = room.recheck_pace();
    Ok(Some(Settings { period: isolation.period, round, recheck_pace, callers, apis, pairs }))
}

/// The spokes that take part. Names of spokes that are left out with their file are passed over.
fn participants<'a>(config: &'a Config, isolation: &Isolation) -> Vec<&'a Spoke> {
    let named: Option<HashSet<&Name>> = isolation.spokes.as_ref().map(|names| names.iter().collect());
    config
        .spokes
        .iter()
        .filter(|spoke| named.as_ref().is_none_or(|named| named.contains(&spoke.name)))
        .collect()
}

/// Each session once.
fn callers(spokes: &[&Spoke]) -> Vec<Caller> {
    let mut seen: HashSet<&RoleSession> = HashSet::new();
    spokes
        .iter()
        .filter(|spoke| seen.insert(&spoke.session))
        .map(|spoke| Caller { spoke: spoke.name.clone(), session: Arc::clone(&spoke.session) })
        .collect()
}

/// The probe whose request is sent, for each api that has one; without its zone, since the door is the same in
/// all of them.
fn requests(spokes: &[&Spoke], isolation: &Isolation, targets: &[Arc<Target>]) -> Vec<Arc<Target>> {
    let takes_part: HashSet<&Name> = spokes.iter().map(|spoke| &spoke.name).collect();
    let mut seen = HashSet::new();
    targets
        .iter()
        .filter(|target| takes_part.contains(&target.id.spoke))
        .filter(|target| target.identity != Identity::Anonymous && expects_2xx(target))
        .filter(|target| isolation.methods.contains(&target.request.method))
        .filter(|target| seen.insert((&target.id.spoke, &target.id.api)))
        .map(|target| {
            Arc::new(Target { id: TargetId { zone: None, ..target.id.clone() }, ..Target::clone(target) })
        })
        .collect()
}

fn expects_2xx(target: &Target) -> bool {
    let expectation = &target.expectation;
    !expectation.is_guard() && expectation.status.iter().all(|status| (200..300).contains(status))
}

fn foreign(config: &Config, targets: &[Arc<Target>], callers: &[Caller], apis: &[Arc<Target>]) -> Vec<Pair> {
    let sessions: HashMap<&Name, &RoleSession> =
        config.spokes.iter().map(|spoke| (&spoke.name, spoke.session.as_ref())).collect();
    // Who may call what: the owners, and whom a probe expects to be let in.
    let mut at_home: HashSet<(&RoleSession, &ApiName)> = HashSet::new();
    for spoke in &config.spokes {
        at_home.extend(spoke.apis.iter().map(|api| (spoke.session.as_ref(), &api.api)));
    }
    for target in targets.iter().filter(|target| expects_2xx(target)) {
        if let Signer::Role(session) = &target.signer {
            at_home.insert((session.as_ref(), &target.api));
        }
    }
    let places = |count: usize| 0..u16::try_from(count).unwrap_or(u16::MAX);
    let mut pairs = Vec::new();
    for (caller, api) in callers.iter().zip(places(callers.len())).flat_map(|(caller, at)| {
        apis.iter().zip(places(apis.len())).map(move |(api, place)| ((caller, at), (api, place)))
    }) {
        let session = caller.0.session.as_ref();
        let owner = sessions.get(&api.0.id.spoke).copied();
        if owner != Some(session) && !at_home.contains(&(session, &api.0.api)) {
            pairs.push(Pair { caller: caller.1, api: api.1 });
        }
    }
    pairs
}

/// What the limits leave over when all probes have theirs.
struct Room {
    /// Pairs, and requests a second that are left for them: the agent's and each account's.
    shares: Vec<(f64, f64)>,
}

impl Room {
    fn left_by(
        config: &Config,
        targets: &[Arc<Target>],
        replicas: u32,
        apis: &[Arc<Target>],
        pairs: &[Pair],
    ) -> Self {
        let steady = rates_by_account(targets, replicas);
        let limits = &config.limits;
        let total: f64 = steady.values().sum();
        let mut shares = vec![(count(pairs.len()), limits.requests_per_second - total)];
        for (account, pairs) in pairs_by_account(apis, pairs) {
            let taken = steady.get(&account).copied().unwrap_or(0.0);
            shares.push((pairs, limits.requests_per_second_per_account - taken));
        }
        Self { shares }
    }

    /// How long a round takes; `None` if it would prove nothing.
    fn round(&self, period: Duration) -> Option<Duration> {
        let mut round = period;
        for (pairs, left) in self.shares.iter().filter(|(pairs, _)| *pairs > 0.0) {
            let for_rounds = (left - RECHECKS_PER_SECOND).max(left / 2.0);
            let needed = Duration::try_from_secs_f64(pairs / for_rounds).ok()?;
            round = round.max(needed);
        }
        (round <= LONGEST_ROUND.max(period)).then_some(round)
    }

    /// How far two tries of open doors are apart at least.
    fn recheck_pace(&self) -> Duration {
        let used = self.shares.iter().filter(|(pairs, _)| *pairs > 0.0);
        let left = used.map(|(_, left)| *left).fold(f64::INFINITY, f64::min);
        let rate = (left / 2.0).min(RECHECKS_PER_SECOND);
        Duration::try_from_secs_f64(1.0 / rate).unwrap_or(LONGEST_ROUND)
    }
}

/// The pairs whose api is in each account.
fn pairs_by_account(apis: &[Arc<Target>], pairs: &[Pair]) -> BTreeMap<AccountId, f64> {
    let mut of_api = vec![0_usize; apis.len()];
    for pair in pairs {
        if let Some(pairs) = of_api.get_mut(usize::from(pair.api)) {
            *pairs += 1;
        }
    }
    let mut counted = BTreeMap::new();
    for (api, pairs) in apis.iter().zip(of_api) {
        *counted.entry(api.account.clone()).or_insert(0.0) += count(pairs);
    }
    counted
}

#[expect(clippy::cast_precision_loss, reason = "at most a million")]
fn count(pairs: usize) -> f64 {
    pairs as f64
}

/// The callers that are this member's, with their pairs, in the same time for a round: all members together ask what
/// one would. The apis stay, since a caller meets nearly all of them.
pub(super) fn shared(settings: &Settings, share: &Share) -> Settings {
    // A spoke's name alone, which no target's `SPOKE/API` is.
    let first = |caller: &Caller| share.owns(caller.spoke.as_str()).is_some_and(|replica| replica.index == 0);
    let mut places = vec![None; settings.callers.len()];
    let mut callers: Vec<Caller> = Vec::new();
    for (place, caller) in places.iter_mut().zip(&settings.callers).filter(|(_, caller)| first(caller)) {
        *place = u16::try_from(callers.len()).ok();
        callers.push(caller.clone());
    }
    let of = |pair: &Pair| {
        let caller = (*places.get(usize::from(pair.caller))?)?;
        Some(Pair { caller, ..*pair })
    };
    let members = if share.kind() == Kind::Member { share.count() } else { 1 };
    Settings {
        pairs: settings.pairs.iter().filter_map(of).collect(),
        callers,
        recheck_pace: settings.recheck_pace * members,
        ..settings.clone()
    }
}

/// What isolation asks of others.
#[derive(Debug, Clone, PartialEq)]
pub struct IsolationEstimate {
    /// Pairs of a role and a foreign api.
    pub pairs: usize,
    /// Within which each is to be tried.
    pub period: Duration,
    /// How long a round really takes.
    pub round: Duration,
    /// Requests a second.
    pub requests_per_second: f64,
    /// Requests a second by the account whose apis are tried.
    pub requests_per_second_by_account: BTreeMap<AccountId, f64>,
}

/// Estimates a plan's isolation, open doors apart.
pub(super) fn estimate(settings: &Settings) -> IsolationEstimate {
    let seconds = settings.round.as_secs_f64();
    let by_account = pairs_by_account(&settings.apis, &settings.pairs);
    IsolationEstimate {
        pairs: settings.pairs.len(),
        period: settings.period,
        round: settings.round,
        requests_per_second: count(settings.pairs.len()) / seconds,
        requests_per_second_by_account: by_account
            .into_iter()
            .map(|(account, pairs)| (account, pairs / seconds))
            .collect(),
    }
}

/// What is allowed but probably not meant.
pub(super) fn warnings(config: &Config, plan: &Plan) -> Vec<Warning> {
    let (Some(isolation), Some(settings)) = (&config.isolation, &plan.isolation) else { return Vec::new() };
    let mut warnings = Vec::new();
    let mut warn = |path: &str, message: String| warnings.push(Warning { path: path.to_owned(), message });
    if settings.pairs.is_empty() {
        warn("isolation", "there is no role to be tried at a foreign api; add spokes".to_owned());
    }
    let tried: HashSet<(&Name, &Name)> =
        settings.apis.iter().map(|api| (&api.id.spoke, &api.id.api)).collect();
    for spoke in participants(config, isolation) {
        for api in spoke.apis.iter().filter(|api| !tried.contains(&(&spoke.name, &api.name))) {
            let methods: Vec<&str> = isolation.methods.iter().map(|method| method.as_str()).collect();
            let message = format!(
                "no role is tried at this api, since it has no signed {} probe that expects a 2xx; add one",
                methods.join(" or ")
            );
            warn(&format!("spokes.{}.apis.{}", spoke.name, api.name), message);
        }
    }
    if settings.round > settings.period {
        let message = format!(
            "{} pairs cannot be tried in {} within the limits; a round will take {} at {}; raise \
             `limits.requests_per_second` or its `_per_account`, or the period",
            settings.pairs.len(),
            duration_text(settings.period),
            duration_text(Duration::from_secs(settings.round.as_secs())),
            rate_text(count(settings.pairs.len()) / settings.round.as_secs_f64()),
        );
        warn("isolation.period", message);
    }
    if config.limits.in_flight.min(config.limits.in_flight_per_account) < 2 {
        let message = "a check is made only while more than half of the permits are free, which they never are \
                       with a single one; set `in_flight` and `in_flight_per_account` to 2 or more";
        warn("limits", message.to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests;
