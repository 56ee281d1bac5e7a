//! The first two steps: the name, and the way to each address behind it.

use super::report::{Finding, Step, StepReport};
use super::{Outside, STEP_MAX, certificate, plain, within};
use crate::domain::outcome::Reason;
use crate::domain::region::ZoneId;
use crate::domain::request::{Address, ConnectTarget, FailureKind, TransportFailure};
use crate::domain::target::Target;
use crate::endpoint::certificate::Certificate;
use crate::plan::Settings;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The longest that one connection and its handshake may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The most addresses of one answer that are tried.
const ADDRESSES_MAX: usize = 8;

/// A step that ended, and what stops the path there.
pub(super) struct Walked {
    pub(super) report: StepReport,
    pub(super) stop: Option<Stop>,
}

/// What stops a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) reason: Reason,
    pub(super) evidence: Vec<String>,
    /// True when only some addresses are dead: the walk goes on.
    pub(super) passable: bool,
}

impl Stop {
    fn of(failure: &TransportFailure, what: &str) -> Self {
        let evidence = vec![format!("{what}: {}", plain::line(&failure.detail))];
        Self { reason: failure.kind.reason(), evidence, passable: false }
    }
}

/// Asks for the name; gives the addresses that may be connected to.
pub(super) async fn resolve(
    outside: &Outside,
    settings: &Settings,
    target: &Target,
    address: &Address,
) -> (Walked, Vec<IpAddr>) {
    let begun = outside.seams.clock.now();
    let connect = &address.connect;
    let mut findings = vec![Finding::new("addressing", addressing(settings, target, address))];
    let zones = zones(outside, settings).await;
    let found = match connect.host.parse::<IpAddr>() {
        Ok(literal) => {
            findings.push(Finding::new("name", format!("{literal} is an address: no name to ask for")));
            Ok(vec![literal])
        }
        Err(_) => lookup(outside, connect.host.clone()).await,
    };
    let mut private = Vec::new();
    let stop = match found {
        Err(failure) => Some(Stop::of(&failure, &connect.host)),
        Ok(found) => {
            for ip in &found {
                let is_private = settings.transport.counts_as_private(*ip);
                let zone = zones.iter().find(|(_, addresses)| addresses.contains(ip)).map(|(zone, _)| zone);
                let place = match zone {
                    Some(zone) => format!(", zone {zone}"),
                    None if zones.is_empty() => String::new(),
                    None => ", in no configured zone".to_owned(),
                };
                let word = if is_private { "private" } else { "public" };
                findings.push(Finding {
                    about: "address",
                    text: format!("{ip} {word}{place}"),
                    warning: !is_private,
                });
                if is_private {
                    private.push(*ip);
                }
            }
            for (zone, addresses) in &zones {
                if target.id.zone.is_none()
                    && settings.endpoint.url.is_none()
                    && !found.iter().any(|ip| addresses.contains(ip))
                {
                    findings.push(Finding::warning("zone", format!("{zone} is not in the answer")));
                }
            }
            private.is_empty().then(|| {
                let shown: Vec<String> = found.iter().take(4).map(ToString::to_string).collect();
                let evidence = vec![format!(
                    "{} resolves to {} only, which lies outside of the private ranges; nothing was sent there",
                    connect.host,
                    shown.join(", ")
                )];
                Stop { reason: Reason::DnsPublicAddress, evidence, passable: false }
            })
        }
    };
    (walked(Step::Resolve, outside.seams.clock.now().since(begun), findings, stop), private)
}

fn addressing(settings: &Settings, target: &Target, address: &Address) -> String {
    let ConnectTarget { host, port, tls_name, .. } = &*address.connect;
    let pinned = if target.id.zone.is_some() {
        ", by its zone"
    } else if settings.endpoint.url.is_some() {
        ", by hub.endpoint.url"
    } else {
        ""
    };
    format!(
        "{}: connects to {host}:{port}{pinned}, TLS asks for {tls_name}, Host is {}",
        target.addressing, address.host
    )
}

/// The addresses of every configured zone, those of zonal names asked for.
async fn zones(outside: &Outside, settings: &Settings) -> BTreeMap<ZoneId, Vec<IpAddr>> {
    let asked = settings.endpoint.zones.iter().map(|(zone, place)| async move {
        let addresses = match place.host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => lookup(outside, place.host.clone()).await.unwrap_or_default(),
        };
        (zone.clone(), addresses)
    });
    join_all(asked).await.into_iter().collect()
}

async fn lookup(outside: &Outside, host: String) -> Result<Vec<IpAddr>, TransportFailure> {
    within(outside, STEP_MAX, outside.link.resolve(host)).await.unwrap_or_else(|| {
        Err(TransportFailure {
            kind: FailureKind::Dns,
            detail: format!("no answer within {}", plain::span(STEP_MAX)),
        })
    })
}

/// Connects to each address and shakes hands.
pub(super) async fn connect(outside: &Outside, connect: &ConnectTarget, addresses: &[IpAddr]) -> Walked {
    let begun = outside.seams.clock.now();
    if !connect.tls {
        let text = "plain http to this machine: no TLS, no certificate";
        return walked(Step::Connect, Duration::ZERO, vec![Finding::new("tls", text)], None);
    }
    let tried = addresses.iter().take(ADDRESSES_MAX);
    let results =
        join_all(tried.map(|ip| one(outside, SocketAddr::new(*ip, connect.port), &connect.tls_name))).await;
    let mut findings = Vec::new();
    let mut stops = Vec::new();
    let count = results.len();
    for (found, stop) in results {
        // The same chain at every address is said once.
        for finding in found {
            if finding.about != "certificate" || !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        stops.extend(stop);
    }
    let dead = stops.len();
    let stop = stops.into_iter().reduce(|mut first, other| {
        first.evidence.extend(other.evidence);
        first
    });
    let stop = stop.map(|mut stop| {
        stop.passable = dead < count;
        if stop.passable {
            stop.evidence.push(format!("{dead} of {count} addresses do not answer as they should"));
        }
        stop
    });
    walked(Step::Connect, outside.seams.clock.now().since(begun), findings, stop)
}

async fn one(outside: &Outside, address: SocketAddr, tls_name: &str) -> (Vec<Finding>, Option<Stop>) {
    // The seam keeps its own time; the second bound is for one that does not.
    let shaken =
        within(outside, 2 * CONNECT_MAX, outside.link.handshake(address, tls_name.to_owned(), CONNECT_MAX));
    let result = shaken.await.unwrap_or_else(|| {
        Err(TransportFailure { kind: FailureKind::ConnectTimeout, detail: "no connection in time".into() })
    });
    let now = outside.seams.clock.wall();
    let read = |chain: &[Vec<u8>]| chain.iter().filter_map(|der| Certificate::read(der)).collect::<Vec<_>>();
    let findings_of = |chain: &[Certificate]| -> Vec<Finding> {
        let each = chain.iter().enumerate();
        each.flat_map(|(place, certificate)| certificate::findings(certificate, place, now)).collect()
    };
    match result {
        Ok(shaken) => {
            let text = format!(
                "{address}: connected in {}, {} in {}",
                plain::span(shaken.connect),
                plain::line(&shaken.tls_version),
                plain::span(shaken.tls)
            );
            let mut findings = vec![Finding::new("tls", text)];
            findings.extend(findings_of(&read(&shaken.chain)));
            (findings, None)
        }
        Err(failure) => {
            let mut findings =
                vec![Finding::warning("tls", format!("{address}: {}", plain::line(&failure.detail)))];
            let mut stop = Stop::of(&failure, &address.to_string());
            if failure.kind == FailureKind::Certificate {
                // The chain of a handshake that failed is only shown when it is asked for by itself.
                let asked = outside.link.presented_chain(address, tls_name.to_owned(), CONNECT_MAX);
                let chain = within(outside, 2 * CONNECT_MAX, asked).await.and_then(Result::ok);
                let chain = read(&chain.unwrap_or_default());
                findings.extend(findings_of(&chain));
                if let Some(own) = chain.first() {
                    stop.evidence.push(own.fault(tls_name, now).unwrap_or_else(|| {
                        format!(
                            "no authority that this machine trusts has issued it (issued by {}); \
                             hub.endpoint.ca_file names further ones",
                            own.issuer
                        )
                    }));
                }
            }
            (findings, Some(stop))
        }
    }
}

pub(super) fn walked(step: Step, took: Duration, findings: Vec<Finding>, stop: Option<Stop>) -> Walked {
    Walked { report: StepReport { step, ok: stop.is_none(), took, findings }, stop }
}
