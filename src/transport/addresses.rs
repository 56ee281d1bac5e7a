//! Which addresses may be connected to: the answer of DNS, checked before anything is sent.
//!
//! A private name that suddenly resolves to a public address means that the hub's private DNS is broken; a
//! signed request must not leave the network then. `clients` gives each reqwest client a `CheckedResolver`.

use crate::seams::{can_open_a_file, is_own_shortage, spawn};
use futures_util::future::BoxFuture;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The most addresses of one answer that are looked at.
const MAX_ADDRESSES: usize = 1024;

/// Where DNS answers come from.
pub trait Lookup: Send + Sync {
    /// All addresses of a name, in the order of the answer.
    fn lookup(&self, host: String) -> BoxFuture<'_, io::Result<Vec<IpAddr>>>;
}

/// Questions to the machine's resolver at once. It blocks a thread for each, for half a minute where the name
/// servers are dead, and goes on after the attempt that asked has given up. The runtime has 512 such threads,
/// and scrapes and pages are made on them too.
const LOOKUPS: usize = 256;

/// The machine's resolver, asked anew each time: what the applications beside the agent would get.
#[derive(Debug, Clone)]
pub struct SystemLookup(Arc<Semaphore>);

impl Default for SystemLookup {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS)))
    }
}

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> BoxFuture<'_, io::Result<Vec<IpAddr>>> {
        Box::pin(bounded(&self.0, async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).take(MAX_ADDRESSES).collect())
        }))
    }
}

/// Asks as soon as a permit is free, and keeps the permit until the question has ended, also when nobody waits
/// for the answer any more.
async fn bounded<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    question: impl Future<Output = io::Result<T>> + Send + 'static,
) -> io::Result<T> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let asking = spawn("lookup", async move {
        let answer = question.await;
        drop(permit);
        answer
    });
    asking.await.map_err(io::Error::other)?
}

/// The ranges that count as private (RFC 1918, RFC 6598, RFC 4193, loopback), and those the user added.
#[derive(Debug)]
pub(super) struct PrivateRanges(Vec<IpNet>);

impl PrivateRanges {
    const BUILT_IN: [IpNet; 5] = [
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8)),
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12)),
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16)),
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10)),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7)),
    ];

    pub(super) fn new(further: Vec<IpNet>) -> Self {
        Self(further)
    }

    /// True when a connection to the address stays within the network. An IPv4 address in IPv6 clothes
    /// counts as what it is.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || Self::BUILT_IN.iter().chain(&self.0).any(|range| range.contains(&address))
    }
}

/// Why an address may not be connected to; found again in reqwest's chain of errors by `failure`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The name did not resolve.
    NotResolved(String),
    /// The name could not be asked for: this process or machine has no file left.
    NoFiles,
    /// Only addresses outside of the private ranges.
    Public(String),
    /// Plain http asked for, and the address is not a loopback address.
    PlainBeyondLoopback,
}

impl Refusal {
    /// What a question without an answer means. A resolver without a file says that it should be asked again, so
    /// whether there are files is looked at.
    pub(super) fn of_lookup(error: &io::Error) -> Self {
        if is_own_shortage(error) || !can_open_a_file() {
            Self::NoFiles
        } else {
            Self::NotResolved(error.to_string())
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotResolved(why) => write!(f, "the name does not resolve: {why}"),
            Self::NoFiles => f.write_str("too many open files to ask for the name"),
            Self::Public(found) => write!(f, "only public addresses: {found}; nothing was sent"),
            Self::PlainBeyondLoopback => {
                f.write_str("plain http goes to loopback addresses only; nothing was sent")
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// Of `found`, the addresses that may be connected to.
pub(super) fn permitted(
    found: &[IpAddr],
    ranges: &PrivateRanges,
    loopback_only: bool,
) -> Result<Vec<IpAddr>, Refusal> {
    if found.is_empty() {
        return Err(Refusal::NotResolved("the answer holds no address".into()));
    }
    let private: Vec<IpAddr> = found.iter().copied().filter(|ip| ranges.contains(*ip)).collect();
    if private.is_empty() {
        let mut shown: Vec<String> = found.iter().take(4).map(ToString::to_string).collect();
        if found.len() > shown.len() {
            shown.push("…".into());
        }
        return Err(Refusal::Public(shown.join(", ")));
    }
    if !loopback_only {
        return Ok(private);
    }
    let loopback: Vec<IpAddr> = private.into_iter().filter(|ip| ip.to_canonical().is_loopback()).collect();
    if loopback.is_empty() { Err(Refusal::PlainBeyondLoopback) } else { Ok(loopback) }
}

/// Resolves for one reqwest client and lets only permitted addresses through.
pub(super) struct CheckedResolver {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) ranges: Arc<PrivateRanges>,
    /// What is looked up whatever name is asked for: a DNS name or an address. `None`: the asked name.
    pub(super) pinned: Option<String>,
    /// True for the client that speaks plain http.
    pub(super) loopback_only: bool,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = self.pinned.clone().unwrap_or_else(|| name.as_str().to_owned());
        let lookup = Arc::clone(&self.lookup);
        let ranges = Arc::clone(&self.ranges);
        let loopback_only = self.loopback_only;
        Box::pin(async move {
            let found = match literal(&host) {
                Some(address) => vec![address],
                None => lookup.lookup(host).await.map_err(|error| Refusal::of_lookup(&error))?,
            };
            let permitted = permitted(&found, &ranges, loopback_only)?;
            // Port 0 stands for "the port of the URL".
            Ok(Box::new(permitted.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

/// The address that a host is, if it is one; IPv6 with or without brackets.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn private_is_what_the_design_lists_and_nothing_else() {
        let ranges = PrivateRanges::new(vec!["203.0.113.0/24".parse().unwrap()]);
        for private in [
            "10.0.0.1",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "fc00::1",
            "fdff::1",
            "::ffff:10.0.0.1",
            "203.0.113.7",
        ] {
            assert!(ranges.contains(private.parse().unwrap()), "{private}");
        }
        for public in [
            "11.0.0.1",
            "9.255.255.255",
            "172.15.0.1",
            "172.32.0.1",
            "192.169.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "169.254.169.254",
            "8.8.8.8",
            "::ffff:8.8.8.8",
            "2001:db8::1",
            "fe80::1",
            "0.0.0.0",
            "203.0.114.1",
        ] {
            assert!(!ranges.contains(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn of_a_mixed_answer_only_the_private_part_is_used() {
        let ranges = PrivateRanges::new(vec![]);
        let ips = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let mixed = ips(&["52.1.2.3", "10.0.0.5", "127.0.0.1"]);
        assert_eq!(permitted(&mixed, &ranges, false).unwrap(), ips(&["10.0.0.5", "127.0.0.1"]));
        assert_eq!(permitted(&mixed, &ranges, true).unwrap(), ips(&["127.0.0.1"]));
        assert_eq!(permitted(&ips(&["10.0.0.5"]), &ranges, true), Err(Refusal::PlainBeyondLoopback));
        assert!(matches!(permitted(&ips(&["52.1.2.3"]), &ranges, false), Err(Refusal::Public(_))));
        assert!(matches!(permitted(&[], &ranges, false), Err(Refusal::NotResolved(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_nobody_waits_for_still_counts() {
        let permits = Arc::new(Semaphore::new(1));
        let hanging = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            Ok(())
        };
        let second = Duration::from_secs(1);
        assert!(tokio::time::timeout(second, bounded(&permits, hanging)).await.is_err());
        assert!(tokio::time::timeout(second, bounded(&permits, async { Ok(()) })).await.is_err());
        assert!(tokio::time::timeout(second * 30, bounded(&permits, async { Ok(()) })).await.is_ok());
    }

    #[test]
    fn hosts_that_are_addresses() {
        assert_eq!(literal("[::1]"), Some("::1".parse().unwrap()));
        assert_eq!(literal("10.0.0.1"), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(literal("vpce-1.example"), None);
    }
}
