//! One look at one place: the name, then each address behind it, all at once.

use super::Watch;
use crate::domain::request::{FailureKind, TransportFailure};
use crate::domain::scrub::scrub;
use crate::endpoint::certificate::Certificate;
use crate::recording::{AddressSeen, CertificateSeen, PlaceSeen, Shaken, Trouble, WatchedPlace};
use crate::seams::Handshake;
use futures_util::future::{Either, join_all, select};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::{Duration, SystemTime};

/// The longest that a name may take to resolve.
pub const RESOLVE_MAX: Duration = Duration::from_secs(5);
/// The longest that a connection and its handshake may take.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// The most addresses of one name that are tried: an endpoint has one for each zone, and a region few zones.
pub const ADDRESSES_MAX: usize = 16;
/// The most addresses of one answer that are looked at, whatever the resolver gives.
const FOUND_MAX: usize = 64;

/// Looks at a place once.
pub(super) async fn look(watch: &Watch, place: &WatchedPlace) -> PlaceSeen {
    let at = watch.clock.wall();
    let (resolve, found) = match place.literal() {
        Some(address) => (None, Ok(vec![address])),
        None => resolve(watch, &place.host).await,
    };
    let (found, unresolved) = match found {
        Ok(found) => (each_once(found), None),
        Err(failure) => (Vec::new(), Some(trouble(&failure))),
    };
    let tried = found.iter().take(ADDRESSES_MAX).map(|ip| SocketAddr::new(*ip, place.port));
    let addresses = join_all(tried.map(|address| shake(watch, address, &place.tls_name))).await;
    PlaceSeen { at, since: at, resolve, found, addresses, unresolved }
}

async fn resolve(watch: &Watch, host: &str) -> (Option<Duration>, Result<Vec<IpAddr>, TransportFailure>) {
    let begun = watch.clock.now();
    let answer = within(watch, RESOLVE_MAX, watch.link.resolve(host.to_owned())).await;
    let found =
        answer.unwrap_or_else(|| Err(failure(FailureKind::Dns, "the resolver did not answer in time")));
    let found = found.and_then(|found| {
        if found.is_empty() {
            Err(failure(FailureKind::Dns, "the answer holds no address"))
        } else {
            Ok(found)
        }
    });
    (found.is_ok().then(|| watch.clock.now().since(begun)), found)
}

/// In ascending order, so that a resolver that turns its answers about changes nothing.
fn each_once(mut found: Vec<IpAddr>) -> Vec<IpAddr> {
    found.truncate(FOUND_MAX);
    found.sort_unstable();
    found.dedup();
    found
}

async fn shake(watch: &Watch, address: SocketAddr, tls_name: &str) -> AddressSeen {
    // The seam keeps its own time; the second bound is for one that does not.
    let bound = HANDSHAKE_MAX + Duration::from_secs(1);
    let asked = watch.link.handshake(address, tls_name.to_owned(), HANDSHAKE_MAX);
    let shaken = within(watch, bound, asked)
        .await
        .unwrap_or_else(|| Err(failure(FailureKind::ConnectTimeout, "no connection in time")));
    let now = watch.clock.wall();
    match shaken {
        Ok(Handshake { connect, tls, tls_version, chain }) => AddressSeen {
            address,
            shaken: Ok(Shaken { connect, tls, tls_version: known_version(&tls_version) }),
            certificate: read(&chain, tls_name, now),
        },
        Err(failed) if failed.kind == FailureKind::Certificate => {
            // What nobody trusts is shown only when it is asked for by itself.
            let asked = watch.link.presented_chain(address, tls_name.to_owned(), HANDSHAKE_MAX);
            let chain = within(watch, bound, asked).await.and_then(Result::ok).unwrap_or_default();
            let mut certificate = read(&chain, tls_name, now);
            let mut trouble = trouble(&failed);
            if let Some(own) = &mut certificate {
                if own.issues.is_empty() {
                    own.issues.push(format!(
                        "no authority that this machine trusts has issued it (issued by {})",
                        own.issuer
                    ));
                }
                trouble.message = scrub(&own.issues.join("; "));
            }
            AddressSeen { address, shaken: Err(trouble), certificate }
        }
        Err(failed) => AddressSeen { address, shaken: Err(trouble(&failed)), certificate: None },
    }
}

/// The server's own certificate, with what is wrong with it and with those above it.
fn read(chain: &[Vec<u8>], tls_name: &str, now: SystemTime) -> Option<CertificateSeen> {
    let mut chain = chain.iter().map(|der| Certificate::read(der));
    let own = chain.next()??;
    let above = (1..).zip(chain).filter_map(|(place, certificate)| match certificate {
        None => Some(format!("{place} above: not a certificate")),
        Some(certificate) => {
            let fault = certificate.outdated(now)?;
            Some(format!("{place} above ({}): {fault}", certificate.shown_names()))
        }
    });
    let issues = own.fault(tls_name, now).into_iter().chain(above).collect();
    let Certificate { names, issuer, not_before, not_after, sha256 } = own;
    Some(CertificateSeen { names, issuer, not_before, not_after, sha256, issues })
}

/// The version as a label: one of a closed set.
fn known_version(version: &str) -> &'static str {
    match version {
        "TLSv1.2" => "TLSv1.2",
        "TLSv1.3" => "TLSv1.3",
        _ => "other",
    }
}

fn failure(kind: FailureKind, detail: &str) -> TransportFailure {
    TransportFailure { kind, detail: detail.to_owned() }
}

fn trouble(failure: &TransportFailure) -> Trouble {
    Trouble { reason: failure.kind.reason(), message: scrub(&failure.detail) }
}

/// One call of the network, bounded; `None` when time ran out.
async fn within<F: Future>(watch: &Watch, bound: Duration, work: F) -> Option<F::Output> {
    let end = watch.clock.now() + bound;
    match select(pin!(work), pin!(watch.wait.until(end))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}
