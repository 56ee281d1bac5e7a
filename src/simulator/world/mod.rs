//! What the simulated AWS consists of, read from YAML.
//!
//! The types are the file's own form; `check` finds what types cannot, `timeline` edits a world while it
//! runs. Everything else in the simulator only reads it.

mod apis;
mod check;
mod pieces;
mod timeline;

pub use apis::{
    Api, Authorization, Authorizer, Behaviour, CustomDomain, GatewayResponse, Integration, Mock, Route,
    Throttle,
};
pub use pieces::{DnsFault, Document, Fault, Span};
pub use timeline::{Change, Event, Progress};

use crate::domain::account::AccountId;
use crate::domain::region::Region;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A region, a hub, an endpoint, and the accounts behind it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// The region all of it lies in.
    pub region: String,
    /// The hub the agent runs in.
    pub hub: HubAccount,
    /// The shared interface endpoint.
    pub endpoint: Endpoint,
    /// How STS behaves.
    #[serde(default)]
    pub sts: Sts,
    /// All accounts, the hub's among them.
    pub accounts: Vec<Account>,
    /// What changes while it runs.
    #[serde(default)]
    pub timeline: Vec<Event>,
}

/// Where the agent runs and as whom.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubAccount {
    /// The hub's account, which is also listed among the accounts.
    pub account: String,
    /// The name of the role whose credentials the credentials endpoint hands out.
    pub role: String,
    /// The session name of those credentials.
    #[serde(default = "hub_session")]
    pub session: String,
    /// How long they live.
    #[serde(default = "six_hours")]
    pub credentials_life: Span,
    /// True while the credentials endpoint hands out none.
    #[serde(default)]
    pub credentials_gone: bool,
    /// Long-lived keys of a user in the hub, which are no role's session.
    #[serde(default)]
    pub static_keys: Option<StaticKeys>,
    /// The agent's address inside the VPC, which `aws:VpcSourceIp` holds.
    #[serde(default = "agent_address")]
    pub address: std::net::IpAddr,
}

/// Long-lived keys.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticKeys {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The user's name.
    #[serde(default = "user_name")]
    pub user: String,
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticKeys").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// `vpce-…`.
    pub id: String,
    /// What follows the id in the endpoint's DNS names.
    #[serde(default = "suffix")]
    pub suffix: String,
    /// The VPC it lies in.
    #[serde(default = "vpc")]
    pub vpc: String,
    /// Its policy; absent is the full-access policy.
    #[serde(default)]
    pub policy: Option<Document>,
    /// Whether the APIs' own names resolve in the VPC.
    #[serde(default = "yes")]
    pub private_dns: bool,
    /// The address in each zone.
    #[serde(default)]
    pub zones: BTreeMap<String, std::net::IpAddr>,
    /// Zones whose network interface is dead, though names still lead to it. In memory nothing answers there; over
    /// sockets the zone's listener closes every connection at once.
    #[serde(default)]
    pub dead_zones: BTreeSet<String>,
    /// In how many days after it was made its certificate ends; 0 and less for one that had expired before. Over
    /// sockets as it is at the start.
    #[serde(default = "certificate_days")]
    pub certificate_days: i32,
    /// How often the certificate was made anew; another number is another certificate.
    #[serde(default)]
    pub certificate_renewals: u64,
    /// What DNS answers for every name instead of the endpoint's addresses. In memory only: over sockets names are
    /// for the machine's resolver.
    #[serde(default)]
    pub dns: Option<DnsFault>,
    /// Whether denials keep the older wording that names no policy type.
    #[serde(default)]
    pub old_wording: bool,
    /// A fault of every answer.
    #[serde(default)]
    pub fault: Option<Fault>,
    /// How far the gateway's clock is ahead of the real one, in seconds; negative is behind.
    #[serde(default)]
    pub clock_offset_seconds: i64,
}

/// STS.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sts {
    /// A fault of every answer.
    #[serde(default)]
    pub fault: Option<Fault>,
    /// How long an answer takes.
    #[serde(default)]
    pub latency: Span,
    /// True when every call is throttled.
    #[serde(default)]
    pub throttled: bool,
    /// How far STS's clock is ahead of the real one, in seconds; negative is behind.
    #[serde(default)]
    pub clock_offset_seconds: i64,
}

/// An account with what lies in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// 12 digits.
    pub id: String,
    /// A word for people.
    #[serde(default)]
    pub name: Option<String>,
    /// `o-…`, if it belongs to one.
    #[serde(default)]
    pub organization: Option<String>,
    /// The service control policies over it; none means none apply.
    #[serde(default)]
    pub service_control_policies: Vec<Document>,
    /// Its roles.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// Its private REST APIs.
    #[serde(default)]
    pub apis: Vec<Api>,
}

/// A role.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The name, with its path before it if it has one.
    pub name: String,
    /// Who may assume it. Absent: nobody.
    #[serde(default)]
    pub trust: Option<Document>,
    /// Its identity policies.
    #[serde(default)]
    pub policies: Vec<Document>,
    /// Its permissions boundary.
    #[serde(default)]
    pub boundary: Option<Document>,
    /// The longest session it allows.
    #[serde(default = "one_hour")]
    pub max_session_duration: Span,
    /// Its own tags, which sessions carry as principal tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Ends sessions earlier than was asked for, openly: the answer says so.
    #[serde(default)]
    pub session_life: Option<Span>,
    /// Ends sessions after this time although the answer promised longer, as when they are revoked.
    #[serde(default)]
    pub revoked_after: Option<Span>,
    /// An error that STS gives for this role instead of an answer.
    #[serde(default)]
    pub sts_error: Option<StsError>,
}

/// An error of STS as configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StsError {
    /// The HTTP status.
    pub status: u16,
    /// The code, for example `RegionDisabledException`.
    pub code: String,
    /// The message.
    pub message: String,
}

/// Why a world cannot be used: every problem that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldError {
    /// The problems, each a line of text.
    pub problems: Vec<String>,
}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for WorldError {}

impl World {
    /// Reads a world from YAML.
    ///
    /// # Errors
    /// One problem with its line and column where the text has not the form of a world; otherwise all
    /// problems of meaning at once.
    pub fn parse(text: &str) -> Result<Self, WorldError> {
        let world: Self = crate::yaml::from_str(text).map_err(|error| {
            let place = match (error.line, error.column) {
                (Some(line), Some(column)) => format!("{line}:{column}: "),
                _ => String::new(),
            };
            WorldError { problems: vec![format!("{place}{}", error.message)] }
        })?;
        let problems = check::problems(&world);
        if problems.is_empty() { Ok(world) } else { Err(WorldError { problems }) }
    }

    /// The world that `demo` runs in.
    ///
    /// # Errors
    /// Never, as a test holds; the signature saves callers a second path.
    pub fn default_world() -> Result<Self, WorldError> {
        Self::parse(super::DEFAULT_WORLD)
    }

    /// The partition's word in ARNs.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        self.region.parse::<Region>().map_or("aws", |region| region.partition().as_str())
    }

    /// The DNS suffix of the partition's service names.
    #[must_use]
    pub fn dns_suffix(&self) -> &'static str {
        self.region.parse::<Region>().map_or("amazonaws.com", |region| region.partition().dns_suffix())
    }

    /// The endpoint's own DNS name.
    #[must_use]
    pub fn endpoint_name(&self) -> String {
        let Endpoint { id, suffix, .. } = &self.endpoint;
        format!("{id}-{suffix}.execute-api.{}.vpce.{}", self.region, self.dns_suffix())
    }

    /// The endpoint's DNS name in one zone.
    #[must_use]
    pub fn zonal_name(&self, zone: &str) -> String {
        let Endpoint { id, suffix, .. } = &self.endpoint;
        format!("{id}-{suffix}-{zone}.execute-api.{}.vpce.{}", self.region, self.dns_suffix())
    }

    /// An API's own DNS name.
    #[must_use]
    pub fn api_name(&self, id: &str) -> String {
        format!("{id}.execute-api.{}.{}", self.region, self.dns_suffix())
    }

    /// The Route 53 alias that an API gets for this endpoint.
    #[must_use]
    pub fn alias_name(&self, id: &str) -> String {
        format!("{id}-{}.execute-api.{}.{}", self.endpoint.id, self.region, self.dns_suffix())
    }

    /// The regional name of STS.
    #[must_use]
    pub fn sts_name(&self) -> String {
        format!("sts.{}.{}", self.region, self.dns_suffix())
    }

    /// The ARN of a role of this world.
    #[must_use]
    pub fn role_arn(&self, account: &str, role: &str) -> String {
        format!("arn:{}:iam::{account}:role/{role}", self.partition())
    }

    /// An account by its id.
    #[must_use]
    pub fn account(&self, id: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == id)
    }

    /// A role by account and name.
    #[must_use]
    pub fn role(&self, account: &str, name: &str) -> Option<&Role> {
        self.account(account)?.roles.iter().find(|role| role.name == name)
    }

    /// A role and its account by the role's ARN.
    #[must_use]
    pub fn role_by_arn(&self, arn: &str) -> Option<(&Account, &Role)> {
        let (account, name) =
            arn.strip_prefix(&format!("arn:{}:iam::", self.partition()))?.split_once(":role/")?;
        let account = self.account(account)?;
        Some((account, account.roles.iter().find(|role| role.name == name)?))
    }

    /// All APIs with their accounts.
    pub fn apis(&self) -> impl Iterator<Item = (&Account, &Api)> {
        self.accounts.iter().flat_map(|account| account.apis.iter().map(move |api| (account, api)))
    }

    /// An API and its account by the API's id.
    #[must_use]
    pub fn api(&self, id: &str) -> Option<(&Account, &Api)> {
        self.apis().find(|(_, api)| api.id == id)
    }
}

/// An account id that `check` has already found good.
pub(crate) fn account_id(text: &str) -> Option<AccountId> {
    text.parse().ok()
}

fn hub_session() -> String {
    "i-0123456789abcdef0".into()
}
fn user_name() -> String {
    "spokeprobe".into()
}
fn suffix() -> String {
    "abcdefgh".into()
}
fn vpc() -> String {
    "vpc-0123456789abcdef0".into()
}
const fn six_hours() -> Span {
    Span::from_seconds(6 * 3600)
}
const fn one_hour() -> Span {
    Span::from_seconds(3600)
}
const fn agent_address() -> std::net::IpAddr {
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 10, 5))
}
const fn certificate_days() -> i32 {
    90
}
const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests;
