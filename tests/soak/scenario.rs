//! From a seed to what happens and when. Pure: the same seed, the same scenario.

use crate::faults::{Fault, Place};
use crate::random::Random;
use crate::setting::Scale;
use crate::troubles::{ApiTrouble, RoleTrouble, Spoil, StsTrouble};
use spokeprobe::simulator::world::DnsFault;
use std::collections::BTreeMap;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// Peace at the beginning, so that every role was asked for and every target attempted.
const PRELUDE: Duration = Duration::from_secs(20 * 60);

/// One fault with its times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Act {
    pub(crate) at: Duration,
    /// `None` for what is over at once.
    pub(crate) until: Option<Duration>,
    pub(crate) fault: Fault,
}

/// All that happens, by its beginning.
pub(crate) fn scenario(seed: u64, scale: Scale, lasts: Duration, faults_a_day: f64) -> Vec<Act> {
    let mut random = Random::seeded(seed);
    let mut free_from: BTreeMap<Place, Duration> = BTreeMap::new();
    let mut acts = Vec::new();
    let mean = Duration::from_secs_f64(86_400.0 / faults_a_day);
    let mut at = PRELUDE;
    loop {
        // A Poisson process: faults come in pairs and heaps, as they do.
        at += mean.mul_f64(-(1.0 - random.fraction()).ln());
        at = Duration::from_millis(u64::try_from(at.as_millis()).unwrap());
        if at >= lasts {
            return acts;
        }
        let (fault, lasting) = choose(&mut random, scale);
        let place = fault.place();
        if free_from.get(&place).is_some_and(|free| *free > at) {
            continue;
        }
        let until = (!fault.is_a_moment()).then_some(at + lasting);
        let pause = fault.lingers() + scale.every * 4;
        free_from.insert(place, until.unwrap_or(at + lasting) + pause);
        acts.push(Act { at, until, fault });
    }
}

/// A fault and how long it lasts.
fn choose(random: &mut Random, scale: Scale) -> (Fault, Duration) {
    let spoke = random.below(scale.spokes);
    // Long enough that every target meets it a few times, or too short to be met at all.
    let short = scale.every.div_f64(3.0).max(Duration::from_secs(5));
    let usual = random.span(short..4 * HOUR);
    let brief = random.span(short..40 * MINUTE);
    let sign = if random.below(2) == 0 { 1 } else { -1 };
    match random.below(100) {
        0..=3 => (Fault::EndpointPolicyForOthers { old_words: random.below(2) == 0 }, brief),
        4..=6 => (Fault::EndpointPolicyWithout(spoke), usual),
        7..=8 => (Fault::EndpointPolicyOpen, usual),
        9..=11 => (Fault::EndpointSpoils(*random.pick(&Spoil::ALL)), brief),
        12..=13 => (Fault::GatewayClock(sign * skew(random)), usual),
        14..=15 => (Fault::Names(*random.pick(&[DnsFault::Gone, DnsFault::Public, DnsFault::Mixed])), brief),
        16 => (Fault::PrivateDnsOff, brief),
        17..=20 => (Fault::ZonesDead(1 + random.below(3)), usual),
        21 => (Fault::ZoneMoved(random.below(3)), usual),
        22 => (Fault::CertificateExpired, brief),
        23..=24 => (Fault::CertificateRenewed, MINUTE),
        // Every third outlasts two lives of credentials.
        25..=28 => {
            let long = random.below(3) == 0;
            let lasts = if long { random.span(125 * MINUTE..4 * HOUR) } else { brief };
            (Fault::Sts(*random.pick(&StsTrouble::ALL)), lasts)
        }
        29 => (Fault::HubCredentialsGone, random.span(short..10 * HOUR)),
        30..=33 => (Fault::AgentClock(sign * skew(random)), usual),
        34..=35 => (Fault::Frozen(random.span(Duration::from_secs(20)..3 * HOUR)), MINUTE),
        36..=37 => (Fault::Suspended(random.span(Duration::from_secs(20)..9 * HOUR)), MINUTE),
        38..=52 => {
            let trouble = [
                RoleTrouble::TrustGone,
                RoleTrouble::TrustGone,
                RoleTrouble::IdentityDenies,
                RoleTrouble::BoundaryDenies,
                RoleTrouble::OrganisationDenies,
                RoleTrouble::SessionsRevoked,
            ];
            (Fault::Role(spoke, *random.pick(&trouble)), usual)
        }
        _ => (Fault::Api(spoke, api_trouble(random)), usual),
    }
}

/// Seconds by which a clock is off: a little, about the tolerance, hours.
fn skew(random: &mut Random) -> i64 {
    let span = random.span(Duration::from_secs(20)..5 * HOUR);
    i64::try_from(span.as_secs()).unwrap()
}

fn api_trouble(random: &mut Random) -> ApiTrouble {
    if random.below(3) == 0 {
        return ApiTrouble::Spoils(*random.pick(&Spoil::ALL));
    }
    *random.pick(&[
        ApiTrouble::Slow,
        ApiTrouble::Throttled,
        ApiTrouble::QuotaUsedUp,
        ApiTrouble::BlockedByWaf,
        ApiTrouble::StageGone,
        ApiTrouble::RouteGone,
        ApiTrouble::MethodOpen,
        ApiTrouble::BackendFails,
        ApiTrouble::BackendMisconfigured,
        ApiTrouble::BackendUnplugged,
        ApiTrouble::BackendTimesOut,
        ApiTrouble::BackendStatus,
        ApiTrouble::PolicyDenies { old_words: false },
        ApiTrouble::PolicyDenies { old_words: true },
        ApiTrouble::PolicyGone,
    ])
}
