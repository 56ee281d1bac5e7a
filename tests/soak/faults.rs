//! The faults: what each changes in the world, and by which reasons the agent may tell of it. Pure.
//!
//! [`Fault::reasons`] is the check of attribution: written from the design's table of reasons, not from the agent. A
//! vague reason is allowed beside the exact one, a specific reason of another layer never is.

use crate::setting::{self, Kind, Subject};
use crate::troubles::{ApiTrouble, RoleTrouble, Spoil, StsTrouble, document};
use serde_json::json;
use spokeprobe::domain::outcome::Reason;
use spokeprobe::simulator::World;
use spokeprobe::simulator::world::DnsFault;
use std::fmt;
use std::time::Duration;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// The endpoint's policy lets in another organisation, in today's words or in the older ones.
    EndpointPolicyForOthers { old_words: bool },
    /// The endpoint's policy denies the apis of one spoke.
    EndpointPolicyWithout(usize),
    /// The endpoint's policy lets everybody in.
    EndpointPolicyOpen,
    /// Every answer through the endpoint is spoilt.
    EndpointSpoils(Spoil),
    /// The gateway's clock is off.
    GatewayClock(i64),
    /// Private DNS is off, or answers with public addresses, or with one among private ones.
    Names(DnsFault),
    /// The private hosted zone is gone.
    PrivateDnsOff,
    /// Zones are dead.
    ZonesDead(usize),
    /// A zone has another address than the configuration says.
    ZoneMoved(usize),
    /// The certificate expired.
    CertificateExpired,
    /// The certificate was renewed in time: nothing may be seen of it.
    CertificateRenewed,
    /// STS is broken.
    Sts(StsTrouble),
    /// The hub's role gives no credentials.
    HubCredentialsGone,
    /// The agent's wall clock is off by seconds.
    AgentClock(i64),
    /// The process stands still, and both clocks go on: a stopped process, a frozen machine.
    Frozen(Duration),
    /// The machine is suspended: the wall clock goes on, the monotonic one does not.
    Suspended(Duration),
    /// An api has trouble.
    Api(usize, ApiTrouble),
    /// A role has trouble.
    Role(usize, RoleTrouble),
}

/// Faults at one place never overlap, so that the end of one restores what was there in peace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    EndpointPolicy,
    EndpointAnswers,
    GatewayClock,
    Names,
    Zones,
    Certificate,
    Sts,
    HubCredentials,
    AgentClocks,
    Api(usize),
    Role(usize),
}

/// A word for what happens, by which it is counted.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(spoke, trouble) => write!(f, "{} {trouble:?}", setting::spoke_name(*spoke)),
            Self::Role(spoke, trouble) => write!(f, "{} role {trouble:?}", setting::spoke_name(*spoke)),
            other => write!(f, "{other:?}"),
        }
    }
}

impl Fault {
    /// Its kind, without the particulars.
    pub(crate) fn kind(&self) -> String {
        let text = match self {
            Self::Api(_, trouble) => format!("Api {trouble:?}"),
            Self::Role(_, trouble) => format!("Role {trouble:?}"),
            other => format!("{other:?}"),
        };
        let end = text.find(|c: char| c.is_ascii_digit() || c == '{').unwrap_or(text.len());
        text[..end].trim_end_matches(['(', ' ', '-']).replace('(', " ").replace(')', "").trim().to_owned()
    }

    pub(crate) const fn place(&self) -> Place {
        match self {
            Self::EndpointPolicyForOthers { .. }
            | Self::EndpointPolicyWithout(_)
            | Self::EndpointPolicyOpen => Place::EndpointPolicy,
            Self::EndpointSpoils(_) => Place::EndpointAnswers,
            Self::GatewayClock(_) => Place::GatewayClock,
            Self::Names(_) | Self::PrivateDnsOff => Place::Names,
            Self::ZonesDead(_) | Self::ZoneMoved(_) => Place::Zones,
            Self::CertificateExpired | Self::CertificateRenewed => Place::Certificate,
            Self::Sts(_) => Place::Sts,
            Self::HubCredentialsGone => Place::HubCredentials,
            Self::AgentClock(_) | Self::Frozen(_) | Self::Suspended(_) => Place::AgentClocks,
            Self::Api(spoke, _) => Place::Api(*spoke),
            Self::Role(spoke, _) => Place::Role(*spoke),
        }
    }

    /// Over at once; what follows of it is in [`Self::lingers`].
    pub(crate) const fn is_a_moment(&self) -> bool {
        matches!(self, Self::Frozen(_) | Self::Suspended(_) | Self::CertificateRenewed)
    }

    /// Changes the world. The agent's clocks are the driver's to change.
    pub(crate) fn begin(&self, world: &mut World) {
        let endpoint = &mut world.endpoint;
        match *self {
            Self::EndpointPolicyForOthers { old_words } => {
                endpoint.policy = Some(document(setting::endpoint_policy("o-zyxwvuts98", None)));
                endpoint.old_wording = old_words;
            }
            Self::EndpointPolicyWithout(spoke) => {
                endpoint.policy =
                    Some(document(setting::endpoint_policy(setting::ORGANIZATION, Some(spoke))));
            }
            Self::EndpointPolicyOpen => endpoint.policy = None,
            Self::EndpointSpoils(spoil) => endpoint.fault = Some(spoil.as_world()),
            Self::GatewayClock(seconds) => endpoint.clock_offset_seconds = seconds,
            Self::Names(fault) => endpoint.dns = Some(fault),
            Self::PrivateDnsOff => endpoint.private_dns = false,
            Self::ZonesDead(count) => {
                endpoint.dead_zones =
                    setting::ZONES.iter().take(count).map(|(zone, _)| (*zone).to_owned()).collect();
            }
            Self::ZoneMoved(zone) => {
                let address = format!("10.0.{}.99", zone + 1).parse().unwrap();
                endpoint.zones.insert(setting::ZONES[zone].0.to_owned(), address);
            }
            Self::CertificateExpired => {
                endpoint.certificate_days = -1;
                endpoint.certificate_renewals += 1;
            }
            Self::CertificateRenewed => endpoint.certificate_renewals += 1,
            Self::Sts(trouble) => trouble.begin(world),
            Self::HubCredentialsGone => world.hub.credentials_gone = true,
            Self::AgentClock(_) | Self::Frozen(_) | Self::Suspended(_) => {}
            Self::Api(spoke, trouble) => trouble.begin(&mut world.accounts[spoke + 1].apis[0], spoke),
            Self::Role(spoke, RoleTrouble::OrganisationDenies) => {
                let deny = json!({"Version": "2012-10-17", "Statement": [
                    {"Effect": "Allow", "Action": "*", "Resource": "*"},
                    {"Effect": "Deny", "Action": "execute-api:*", "Resource": "*"},
                ]});
                world.accounts[spoke + 1].service_control_policies = vec![document(deny)];
            }
            Self::Role(spoke, trouble) => trouble.begin(&mut world.accounts[spoke + 1].roles[0]),
        }
    }

    /// By which reasons attempts of a target may end while it lasts; none where it does not touch the target.
    pub(crate) fn reasons(&self, subject: &Subject) -> &'static [Reason] {
        use Reason as R;
        let by_name = !matches!(subject.kind, Kind::Zonal(_));
        match *self {
            Self::EndpointPolicyForOthers { old_words: false } => &[R::VpcEndpointPolicy],
            Self::EndpointPolicyForOthers { old_words: true } => {
                &[R::VpcEndpointPolicy, R::UnattributedPolicy]
            }
            Self::EndpointPolicyWithout(spoke) if spoke == subject.spoke => &[R::VpcEndpointPolicy],
            Self::EndpointPolicyOpen if !subject.is_signed() => &[R::MissingAuthenticationToken],
            Self::EndpointSpoils(spoil) => spoil.reasons(subject),
            // Within the window of signatures nothing may be seen; at its edge either.
            Self::GatewayClock(seconds) if subject.is_signed() && seconds.abs() > 290 => &[R::ClockSkew],
            Self::Names(DnsFault::Gone) if by_name => &[R::Dns],
            Self::Names(DnsFault::Public) if by_name => &[R::DnsPublicAddress],
            Self::PrivateDnsOff if by_name => &[R::Dns],
            Self::ZonesDead(count) => match subject.kind {
                Kind::Zonal(zone) if zone < count => &[R::ConnectTimeout],
                _ if count == setting::ZONES.len() => &[R::ConnectTimeout],
                _ => &[],
            },
            Self::ZoneMoved(moved) => match subject.kind {
                Kind::Zonal(zone) if zone == moved => &[R::ConnectTimeout],
                _ => &[],
            },
            Self::CertificateExpired => &[R::Certificate],
            Self::Sts(StsTrouble::Slow) => &[],
            Self::Sts(_) if subject.role().is_some() => &[R::AssumeRoleFailed],
            Self::HubCredentialsGone if subject.is_signed() => &[R::NoHubCredentials],
            // With a clock that is off by more than sessions live, every session looks as if it had ended.
            Self::AgentClock(seconds) if subject.is_signed() && seconds > 290 => {
                &[R::ClockSkew, R::CredentialsExpired, R::AssumeRoleFailed, R::NoHubCredentials]
            }
            Self::AgentClock(seconds) if subject.is_signed() && seconds < -290 => {
                &[R::ClockSkew, R::TokenExpired, R::CredentialsExpired]
            }
            // What was on its way when all stood still has run out of time.
            Self::Frozen(_) => &[
                R::CredentialsExpired,
                R::ResponseTimeout,
                R::ConnectTimeout,
                R::AssumeRoleFailed,
                R::NoHubCredentials,
                R::TooSlow,
                R::Overloaded,
            ],
            Self::Suspended(_) if subject.is_signed() => {
                &[R::CredentialsExpired, R::NoHubCredentials, R::TokenExpired, R::ClockSkew]
            }
            Self::Api(spoke, trouble) if spoke == subject.spoke => trouble.reasons(subject),
            Self::Role(spoke, trouble) if subject.role() == Some(spoke) => trouble.reasons(),
            _ => &[],
        }
    }

    /// The same where the endpoint lets an unsigned caller in, whom it shields from the api's own troubles otherwise.
    pub(crate) fn reasons_where_open(&self, subject: &Subject) -> &'static [Reason] {
        match *self {
            Self::Api(spoke, trouble) if spoke == subject.spoke && !subject.is_signed() => {
                trouble.reasons(&Subject { kind: Kind::Plain, ..subject.clone() })
            }
            _ => self.reasons(subject),
        }
    }

    /// True while it may keep the session of a target from being renewed.
    pub(crate) fn keeps_sessions_from(&self, subject: &Subject) -> bool {
        match *self {
            // STS refuses a caller whose clock is that far off.
            Self::AgentClock(seconds) if seconds.abs() > 290 => subject.is_signed(),
            // Nothing is renewed either while all stands still.
            Self::Sts(_) | Self::HubCredentialsGone | Self::Frozen(_) | Self::Suspended(_) => {
                subject.is_signed()
            }
            Self::Role(spoke, RoleTrouble::TrustGone) => subject.role() == Some(spoke),
            _ => false,
        }
    }

    /// How long after its end its reasons may still be met.
    pub(crate) const fn lingers(&self) -> Duration {
        let seconds = match self {
            // A role that was refused for long is asked again every five minutes, a fifth more at most.
            Self::Role(_, RoleTrouble::TrustGone) => 370,
            // The sessions of that time live on until they are renewed.
            Self::Role(_, RoleTrouble::SessionsRevoked) => 2_000,
            Self::Sts(_) | Self::HubCredentialsGone => 200,
            Self::AgentClock(_) | Self::Frozen(_) | Self::Suspended(_) => 120,
            // What was learnt of a wording holds for a quarter of an hour.
            Self::EndpointPolicyForOthers { old_words: true }
            | Self::Api(_, ApiTrouble::PolicyDenies { old_words: true }) => 1_000,
            _ => 0,
        };
        Duration::from_secs(seconds)
    }

    /// How long it must have lasted before it must be seen; `None` where it need not be.
    pub(crate) const fn seen_after(&self) -> Option<Duration> {
        let seconds = match self {
            // As long as sessions live that were there before.
            Self::Role(_, RoleTrouble::TrustGone) | Self::Sts(_) => 3_700,
            Self::HubCredentialsGone => 7 * 3_600,
            Self::Role(_, RoleTrouble::SessionsRevoked) => return None,
            Self::AgentClock(seconds) | Self::GatewayClock(seconds) if seconds.unsigned_abs() < 310 => {
                return None;
            }
            fault if fault.is_a_moment() => return None,
            _ => 0,
        };
        Some(Duration::from_secs(seconds))
    }

    /// True where a guard may be refused by its own policies first, and never show it.
    pub(crate) const fn may_hide_behind_a_refusal(&self) -> bool {
        matches!(
            self,
            Self::Role(
                _,
                RoleTrouble::IdentityDenies | RoleTrouble::BoundaryDenies | RoleTrouble::OrganisationDenies
            )
        )
    }
}

impl Place {
    /// Puts back what was there in peace.
    pub(crate) fn restore(self, world: &mut World, peace: &World) {
        let (endpoint, was) = (&mut world.endpoint, &peace.endpoint);
        match self {
            Self::EndpointPolicy => {
                endpoint.policy.clone_from(&was.policy);
                endpoint.old_wording = was.old_wording;
            }
            Self::EndpointAnswers => endpoint.fault = was.fault,
            Self::GatewayClock => endpoint.clock_offset_seconds = was.clock_offset_seconds,
            Self::Names => (endpoint.dns, endpoint.private_dns) = (was.dns, was.private_dns),
            Self::Zones => {
                endpoint.zones.clone_from(&was.zones);
                endpoint.dead_zones.clone_from(&was.dead_zones);
            }
            Self::Certificate => {
                endpoint.certificate_days = was.certificate_days;
                endpoint.certificate_renewals += 1;
            }
            Self::Sts => world.sts.clone_from(&peace.sts),
            Self::HubCredentials => world.hub.credentials_gone = peace.hub.credentials_gone,
            Self::AgentClocks => {}
            Self::Api(spoke) => world.accounts[spoke + 1].apis.clone_from(&peace.accounts[spoke + 1].apis),
            Self::Role(spoke) => {
                let (account, was) = (&mut world.accounts[spoke + 1], &peace.accounts[spoke + 1]);
                account.roles.clone_from(&was.roles);
                account.service_control_policies.clone_from(&was.service_control_policies);
            }
        }
    }
}
