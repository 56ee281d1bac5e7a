//! One question to DNS: who the members are, and which of them is this agent.

use super::view::Answer;
use super::watch::Around;
use super::{DnsName, MOST_MEMBERS};
use crate::domain::scrub::scrub;
use crate::seams::ServicePlace;
use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt as _};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

/// The longest that a question may take, all that belong to it together.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Questions for the addresses of a service's hosts at once.
const AT_ONCE: usize = 16;
/// RFC 1035, 2.3.4.
const LONGEST_NAME: usize = 253;

/// What was learnt.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) answer: Answer,
    /// There were more than [`MOST_MEMBERS`].
    pub(super) cut: bool,
}

/// Asks once. `known_me` are names that are known to be this agent's, so that nothing has to be asked for them again.
///
/// # Errors
/// What went wrong, for people, scrubbed.
pub(super) async fn ask(
    around: &Around,
    name: &DnsName,
    known_me: &BTreeSet<String>,
) -> Result<Asked, String> {
    let asking = async {
        match name {
            DnsName::Host(name) => hosts(around, name).await,
            DnsName::Service(name) => service(around, name, known_me).await,
        }
    };
    let end = around.clock.now() + ANSWER_MAX;
    match select(pin!(asking), pin!(around.wait.until(end))).await {
        Either::Left((asked, _)) => asked,
        Either::Right(_) => Err("no answer in time".to_owned()),
    }
}

/// Each address is a member.
async fn hosts(around: &Around, name: &str) -> Result<Asked, String> {
    let found = around.link.resolve(name.to_owned()).await.map_err(|failure| scrub(&failure.detail))?;
    let usable = found
        .into_iter()
        .map(|address| address.to_canonical())
        .filter(|address| !address.is_unspecified() && !address.is_multicast());
    let (four, six): (BTreeSet<IpAddr>, BTreeSet<IpAddr>) = usable.partition(IpAddr::is_ipv4);
    // A member of both families would be two: one family names them all.
    let addresses = if four.is_empty() { six } else { four };
    let named = addresses.into_iter().map(|address| (address.to_string(), is_own(around, address)));
    Ok(asked(named.collect()))
}

/// Each place is a member, by the name of its host: whose addresses are asked for only until this agent is found.
async fn service(around: &Around, name: &str, known_me: &BTreeSet<String>) -> Result<Asked, String> {
    let places = around.link.services(name.to_owned()).await.map_err(|failure| scrub(&failure.detail))?;
    let named: BTreeSet<(String, u16)> = places.iter().filter_map(place).collect();
    let found = named.iter().any(|(host, port)| known_me.contains(&text(host, *port)));
    // With the port of this agent; on another one is somebody else on the same machine.
    let candidates: Vec<String> = named
        .iter()
        .filter(|(_, port)| !found && *port == around.listen.port())
        .map(|(host, _)| host.clone())
        .collect();
    let asking = candidates.into_iter().map(|host| async move {
        let addresses = around.link.resolve(host.clone()).await.unwrap_or_default();
        let mut addresses = addresses.into_iter().map(|address| address.to_canonical());
        addresses.any(|address| is_own(around, address)).then(|| text(&host, around.listen.port()))
    });
    let mine: BTreeSet<String> =
        stream::iter(asking).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
    let is_me = |name: &String| known_me.contains(name) || mine.contains(name);
    let names = named.iter().map(|(host, port)| text(host, *port));
    Ok(asked(names.map(|name| (name.clone(), is_me(&name))).collect()))
}

fn text(host: &str, port: u16) -> String {
    format!("{host}:{port}")
}

/// A place with its host's name in one spelling; `None` for what is no name of a host. The answer is a stranger's, and
/// its names go into logs and pages.
fn place(place: &ServicePlace) -> Option<(String, u16)> {
    let host = place.host.strip_suffix('.').unwrap_or(&place.host).to_ascii_lowercase();
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    ((1..=LONGEST_NAME).contains(&host.len()) && host.bytes().all(fine)).then_some((host, place.port))
}

/// Whether an address that is this machine's can be this agent's. One that listens on all addresses, or on a loopback
/// address for a neighbour that scrapes it, goes by any address of its machine; one that listens on a certain address
/// goes by that. A loopback address is every machine's, so it counts only where the agent listens on this very one.
fn is_own(around: &Around, address: IpAddr) -> bool {
    let listens_on = around.listen.ip().to_canonical();
    let fits = listens_on == address
        || (!address.is_loopback() && (listens_on.is_unspecified() || listens_on.is_loopback()));
    fits && around.link.is_own(address)
}

/// The first ones by name where there are too many: every member cuts off the same.
fn asked(mut names: Vec<(String, bool)>) -> Asked {
    names.sort();
    let cut = names.len() > MOST_MEMBERS;
    names.truncate(MOST_MEMBERS);
    if names.is_empty() {
        return Asked { answer: Answer::Nothing, cut };
    }
    let me = names.iter().filter(|(_, mine)| *mine).map(|(name, _)| name.clone()).collect();
    Asked { answer: Answer::Members { names: names.into_iter().map(|(name, _)| name).collect(), me }, cut }
}

#[cfg(test)]
mod tests;
