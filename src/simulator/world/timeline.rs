//! Changes to a world while it runs.
//!
//! Nothing waits for them: whoever asks the world at a moment first applies what has become due. So a
//! timeline needs no task and no clock, and works the same under a paused one.

use super::World;
use super::apis::{Authorization, Throttle};
use super::pieces::{DnsFault, Document, Fault, Span};
use serde::Deserialize;
use std::time::{Duration, SystemTime};

/// A change with its times.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The first time, from the start.
    pub after: Span,
    /// The span between repetitions, if it repeats.
    #[serde(default)]
    pub every: Option<Span>,
    /// What changes.
    pub change: Change,
}

/// What changes; several at once are allowed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The endpoint's policy is replaced.
    #[serde(default)]
    pub endpoint_policy: Option<Document>,
    /// A fault of the whole endpoint begins or ends.
    #[serde(default)]
    pub endpoint_fault: Option<OnOff>,
    /// A zone of the endpoint dies or comes back.
    #[serde(default)]
    pub zone: Option<ZoneChange>,
    /// The endpoint has another certificate, which ends in so many days; 0 and less for one that has expired. In
    /// memory only: over sockets the certificate of the start stays.
    #[serde(default)]
    pub certificate_days: Option<i32>,
    /// DNS begins to answer wrongly, or ends to. In memory only.
    #[serde(default)]
    pub dns: Option<DnsChange>,
    /// The credentials endpoint hands out none, or does so again.
    #[serde(default)]
    pub credentials_gone: Option<bool>,
    /// STS begins or ends to throttle.
    #[serde(default)]
    pub sts_throttled: Option<bool>,
    /// The gateway's clock moves, in seconds ahead of the real one.
    #[serde(default)]
    pub clock_offset_seconds: Option<i64>,
    /// A role's trust policy is replaced or removed.
    #[serde(default)]
    pub trust: Option<TrustChange>,
    /// An API's resource policy is replaced or removed.
    #[serde(default)]
    pub resource_policy: Option<PolicyChange>,
    /// The authorization type of all methods of an API.
    #[serde(default)]
    pub authorization: Option<AuthorizationChange>,
    /// An API's throttle is set or, without a rate, removed.
    #[serde(default)]
    pub throttle: Option<ThrottleChange>,
    /// An API's latency.
    #[serde(default)]
    pub latency: Option<LatencyChange>,
    /// A fault of an API begins or, without a fault, ends.
    #[serde(default)]
    pub fault: Option<FaultChange>,
}

/// A fault or its end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnOff {
    /// The fault; absent ends it.
    #[serde(default)]
    pub to: Option<Fault>,
}

/// What DNS answers.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsChange {
    /// The fault; absent ends it.
    #[serde(default)]
    pub to: Option<DnsFault>,
}

/// The end of a zone, or its return.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneChange {
    /// The zone.
    pub zone: String,
    /// Whether it is dead now.
    pub dead: bool,
}

/// A new trust policy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustChange {
    /// The role's account.
    pub account: String,
    /// The role's name.
    pub role: String,
    /// The new policy; absent removes it.
    #[serde(default)]
    pub to: Option<Document>,
}

/// A new resource policy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// The API's id.
    pub api: String,
    /// The new policy; absent removes it.
    #[serde(default)]
    pub to: Option<Document>,
}

/// A new authorization type.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationChange {
    /// The API's id.
    pub api: String,
    /// The new type.
    pub to: Authorization,
}

/// A new throttle.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThrottleChange {
    /// The API's id.
    pub api: String,
    /// The new throttle; absent removes it.
    #[serde(default)]
    pub to: Option<Throttle>,
}

/// A new latency.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyChange {
    /// The API's id.
    pub api: String,
    /// The new latency.
    pub to: Span,
}

/// A new fault.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultChange {
    /// The API's id.
    pub api: String,
    /// The fault; absent ends it.
    #[serde(default)]
    pub to: Option<Fault>,
}

impl Change {
    /// The APIs it names.
    pub(super) fn apis(&self) -> impl Iterator<Item = &str> {
        [
            self.resource_policy.as_ref().map(|change| change.api.as_str()),
            self.authorization.as_ref().map(|change| change.api.as_str()),
            self.throttle.as_ref().map(|change| change.api.as_str()),
            self.latency.as_ref().map(|change| change.api.as_str()),
            self.fault.as_ref().map(|change| change.api.as_str()),
        ]
        .into_iter()
        .flatten()
    }

    fn apply(&self, world: &mut World) {
        if let Some(policy) = &self.endpoint_policy {
            world.endpoint.policy = Some(policy.clone());
        }
        if let Some(OnOff { to }) = &self.endpoint_fault {
            world.endpoint.fault = *to;
        }
        if let Some(ZoneChange { zone, dead }) = &self.zone {
            if *dead {
                world.endpoint.dead_zones.insert(zone.clone());
            } else {
                world.endpoint.dead_zones.remove(zone);
            }
        }
        if let Some(days) = self.certificate_days {
            world.endpoint.certificate_days = days;
            world.endpoint.certificate_renewals += 1;
        }
        if let Some(DnsChange { to }) = self.dns {
            world.endpoint.dns = to;
        }
        if let Some(gone) = self.credentials_gone {
            world.hub.credentials_gone = gone;
        }
        if let Some(throttled) = self.sts_throttled {
            world.sts.throttled = throttled;
        }
        if let Some(seconds) = self.clock_offset_seconds {
            world.endpoint.clock_offset_seconds = seconds;
        }
        if let Some(TrustChange { account, role, to }) = &self.trust {
            let roles =
                world.accounts.iter_mut().filter(|each| each.id == *account).flat_map(|each| &mut each.roles);
            for found in roles.filter(|each| each.name == *role) {
                found.trust.clone_from(to);
            }
        }
        let apis = world.accounts.iter_mut().flat_map(|account| &mut account.apis);
        for api in apis {
            if let Some(change) = self.resource_policy.as_ref().filter(|change| change.api == api.id) {
                api.resource_policy.clone_from(&change.to);
            }
            if let Some(change) = self.authorization.as_ref().filter(|change| change.api == api.id) {
                for route in &mut api.routes {
                    route.authorization = change.to;
                }
            }
            if let Some(change) = self.throttle.as_ref().filter(|change| change.api == api.id) {
                api.throttle = change.to;
            }
            if let Some(change) = self.latency.as_ref().filter(|change| change.api == api.id) {
                api.latency = change.to;
            }
            if let Some(change) = self.fault.as_ref().filter(|change| change.api == api.id) {
                api.fault = change.to;
            }
        }
    }
}

/// How far a timeline has come.
#[derive(Debug, Clone)]
pub struct Progress {
    started: SystemTime,
    /// How often each event has happened.
    happened: Vec<u64>,
}

impl Progress {
    /// A timeline that begins at a moment.
    #[must_use]
    pub fn from(started: SystemTime, world: &World) -> Self {
        Self { started, happened: vec![0; world.timeline.len()] }
    }

    /// Applies what has become due since the last call. Of an event that repeated meanwhile only the last
    /// time counts, since every change sets and none adds.
    pub fn advance(&mut self, world: &mut World, now: SystemTime) {
        if world.timeline.is_empty() {
            return;
        }
        let elapsed = now.duration_since(self.started).unwrap_or_default();
        let mut due: Vec<(Duration, usize)> = Vec::new();
        for (index, event) in world.timeline.iter().enumerate() {
            let (times, last) = occurrences(event, elapsed);
            if let Some(happened) = self.happened.get_mut(index).filter(|happened| **happened < times) {
                *happened = times;
                due.push((last, index));
            }
        }
        due.sort_unstable();
        for (_, index) in due {
            if let Some(change) = world.timeline.get(index).map(|event| event.change.clone()) {
                change.apply(world);
            }
        }
    }
}

/// How often an event has happened by now, and when last.
fn occurrences(event: &Event, elapsed: Duration) -> (u64, Duration) {
    let first = event.after.get();
    let Some(since) = elapsed.checked_sub(first) else { return (0, first) };
    let every = event.every.map(Span::get).filter(|every| !every.is_zero());
    let Some(every) = every else { return (1, first) };
    let repeated = since.as_nanos() / every.as_nanos();
    let last = since - Duration::from_nanos(u64::try_from(since.as_nanos() % every.as_nanos()).unwrap_or(0));
    (u64::try_from(repeated).unwrap_or(u64::MAX - 1).saturating_add(1), first + last)
}
