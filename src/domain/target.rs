//! A probe resolved: what the timetable holds and the metrics are labelled by.

use crate::domain::account::AccountId;
use crate::domain::api::{Addressing, ApiName};
use crate::domain::arn::RoleArn;
use crate::domain::expectation::Expectation;
use crate::domain::identity::{Identity, Signer};
use crate::domain::name::{LabelName, Name};
use crate::domain::region::{Region, ZoneId};
use crate::domain::request::RequestTemplate;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A target is its label set: counters live exactly as long as it does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId {
    /// The spoke.
    pub spoke: Name,
    /// The api in the spoke.
    pub api: Name,
    /// The probe of the api.
    pub probe: Name,
    /// The zone, for `per_zone: true` targets only.
    pub zone: Option<ZoneId>,
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.spoke, self.api, self.probe)?;
        if let Some(zone) = &self.zone {
            write!(f, "@{zone}")?;
        }
        Ok(())
    }
}

/// How often a target is due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cadence {
    /// `every`: one attempt in each interval.
    Every(Duration),
    /// `rate`: open-model arrivals, this many a second.
    PerSecond(f64),
}

impl Cadence {
    /// The mean time between two attempts.
    #[must_use]
    pub fn interval(self) -> Duration {
        match self {
            Self::Every(interval) => interval,
            Self::PerSecond(rate) => Duration::from_secs_f64(1.0 / rate),
        }
    }

    /// The mean number of attempts a second.
    #[must_use]
    pub fn per_second(self) -> f64 {
        match self {
            Self::Every(interval) => 1.0 / interval.as_secs_f64(),
            Self::PerSecond(rate) => rate,
        }
    }
}

/// Which of its replicas a target is, where several agents probe it (`members.replicas`).
///
/// Those of an interval fire evenly within it: replica `index` comes `index` × interval / `of` after the phase
/// that the target's name gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Replica {
    /// From 0.
    pub index: u32,
    /// How many there are, at least 1.
    pub of: u32,
}

impl Replica {
    /// The only one.
    pub const ONLY: Self = Self { index: 0, of: 1 };

    /// How far it is behind the first one within an interval.
    #[must_use]
    pub fn offset(self, interval: Duration) -> Duration {
        let of = self.of.max(1);
        interval / of * self.index.min(of - 1)
    }
}

impl Default for Replica {
    fn default() -> Self {
        Self::ONLY
    }
}

/// One request of one api under one identity, with what is expected of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The labels.
    pub id: TargetId,
    /// The account the api lives in.
    pub account: AccountId,
    /// The api's name on the wire.
    pub api: ApiName,
    /// How the api is addressed through the endpoint.
    pub addressing: Addressing,
    /// The identity as configured.
    pub identity: Identity,
    /// The identity resolved to what signs.
    pub signer: Signer,
    /// The account of the signing role where it is known; `None` for `hub` before the agent has asked, and
    /// for anonymous calls.
    pub signer_account: Option<AccountId>,
    /// The request.
    pub request: RequestTemplate,
    /// What the answer must be.
    pub expectation: Expectation,
    /// How often it is due.
    pub cadence: Cadence,
    /// Which of the agents that probe it this one is; it shifts the phase.
    pub replica: Replica,
    /// The longest time from sending to the last byte.
    pub timeout: Duration,
    /// True when each attempt must open its own connection (`connection: fresh`).
    pub fresh_connection: bool,
    /// For an anonymous guard: the signed probe of the same api, method and path that expects a 2xx.
    pub positive_control: Option<TargetId>,
    /// True when twins of this request may be sent although it is neither GET nor HEAD.
    pub twins: bool,
}

impl Target {
    /// True when the other one puts the same question: request, identity, addressing and expectation are alike, so that
    /// what was learnt from the answers to one holds for the other. How often and how long is no part of it.
    #[must_use]
    pub fn asks_the_same(&self, other: &Self) -> bool {
        self.request == other.request
            && self.identity == other.identity
            && self.signer == other.signer
            && self.account == other.account
            && self.api == other.api
            && self.addressing == other.addressing
            && self.expectation == other.expectation
    }
}

/// What `spoke_info` says of a spoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpokeInfo {
    /// The spoke.
    pub name: Name,
    /// Its account.
    pub account: AccountId,
    /// The region of the endpoint and so of its apis.
    pub region: Region,
    /// The role the agent assumes in it.
    pub role: RoleArn,
    /// The configured labels.
    pub labels: BTreeMap<LabelName, String>,
}
