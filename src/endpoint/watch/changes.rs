//! What is new since the last look: one line of the log for each change, and since when a place is as it is.

use crate::domain::outcome::Reason;
use crate::recording::{AddressSeen, PlaceSeen, WatchedPlace};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

/// The certificates of a place that are remembered: servers behind one address may present several in turn, and each
/// is news once.
const KNOWN_CERTIFICATES: usize = 32;

/// What a place was like at the last look.
#[derive(Debug, Default)]
pub(super) struct Memory {
    last: Option<Last>,
    /// Addresses that are watched as zones too.
    elsewhere: BTreeSet<IpAddr>,
    certificates: VecDeque<String>,
}

#[derive(Debug)]
struct Last {
    up: bool,
    since: SystemTime,
    trouble: Option<Reason>,
    found: Vec<IpAddr>,
    addresses: BTreeMap<SocketAddr, Option<Reason>>,
}

/// A place as the log shows it.
pub(super) struct Shown<'a>(pub(super) &'a WatchedPlace);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.zone {
            Some(zone) => write!(f, "zone {zone}"),
            None => f.write_str(&self.0.host),
        }
    }
}

impl Memory {
    /// Knows of nothing yet. The log says nothing of single addresses of `elsewhere`.
    pub(super) fn new(elsewhere: BTreeSet<IpAddr>) -> Self {
        Self { elsewhere, ..Self::default() }
    }

    /// Compares with the last look, logs what changed, and sets `since`. `endpoint_is_up` is how the names stand.
    pub(super) fn learn(&mut self, place: &WatchedPlace, seen: &mut PlaceSeen, endpoint_is_up: Option<bool>) {
        let up = seen.is_up();
        let trouble = seen.trouble().map(|trouble| trouble.reason);
        if let Some(last) = self.last.as_ref().filter(|last| last.up == up) {
            seen.since = last.since;
        }
        let stands = self.last.as_ref().map(|last| (last.up, last.trouble));
        if stands != Some((up, trouble)) {
            log_state(place, seen, stands.map(|(up, _)| up), endpoint_is_up);
        }
        if let Some(last) = self.last.as_ref() {
            if seen.unresolved.is_none() && !last.found.is_empty() && last.found != seen.found {
                tracing::info!(
                    place = %Shown(place), before = %listed(&last.found), now = %listed(&seen.found),
                    "the endpoint has other addresses"
                );
            }
            // Where the whole place is down, that was said.
            if up && last.up {
                self.told_here(seen)
                    .for_each(|one| log_address(place, one, last.addresses.get(&one.address)));
            }
        } else if up {
            self.told_here(seen).for_each(|one| log_address(place, one, None));
        }
        self.learn_certificates(place, seen);
        let addresses = seen.addresses.iter().map(|address| (address.address, reason_of(address)));
        // An unanswered question says nothing of the addresses.
        let found = match (&seen.unresolved, self.last.take()) {
            (Some(_), Some(last)) => last.found,
            _ => seen.found.clone(),
        };
        self.last = Some(Last { up, since: seen.since, trouble, found, addresses: addresses.collect() });
    }

    fn told_here<'a>(&'a self, seen: &'a PlaceSeen) -> impl Iterator<Item = &'a AddressSeen> {
        seen.addresses.iter().filter(|one| !self.elsewhere.contains(&one.address.ip()))
    }

    fn learn_certificates(&mut self, place: &WatchedPlace, seen: &PlaceSeen) {
        for certificate in seen.addresses.iter().filter_map(|address| address.certificate.as_ref()) {
            if self.certificates.contains(&certificate.sha256) {
                continue;
            }
            if !self.certificates.is_empty() {
                tracing::info!(
                    place = %Shown(place), sha256 = %certificate.sha256, issuer = %certificate.issuer,
                    until = %until(certificate.not_after), issues = ?certificate.issues,
                    "the endpoint presents a new certificate"
                );
            }
            if self.certificates.len() == KNOWN_CERTIFICATES {
                self.certificates.pop_front();
            }
            self.certificates.push_back(certificate.sha256.clone());
        }
    }
}

fn log_state(place: &WatchedPlace, seen: &PlaceSeen, before: Option<bool>, endpoint_is_up: Option<bool>) {
    let shown = Shown(place);
    match seen.trouble() {
        Some(trouble) => {
            let meaning = match (&place.zone, endpoint_is_up) {
                (Some(_), Some(true)) => "a zone of the endpoint does not answer while its name still works",
                (Some(_), _) => "a zone of the endpoint does not answer",
                (None, _) => "the endpoint does not answer",
            };
            tracing::warn!(place = %shown, reason = %trouble.reason, message = trouble.message, "{meaning}");
        }
        None if before == Some(false) => {
            tracing::info!(place = %shown, "the endpoint answers again");
        }
        None => tracing::info!(place = %shown, addresses = %listed(&seen.found), "the endpoint answers"),
    }
}

/// One of several addresses that went, or came back. `before` is absent for one that is new.
fn log_address(place: &WatchedPlace, address: &AddressSeen, before: Option<&Option<Reason>>) {
    let reason = reason_of(address);
    if before == Some(&reason) || before.is_none() && reason.is_none() {
        return;
    }
    let shown = Shown(place);
    match &address.shaken {
        Ok(_) => tracing::info!(place = %shown, address = %address.address, "an address answers again"),
        Err(trouble) => tracing::warn!(
            place = %shown, address = %address.address, reason = %trouble.reason, message = trouble.message,
            "one of the endpoint's addresses does not answer while another does"
        ),
    }
}

fn reason_of(address: &AddressSeen) -> Option<Reason> {
    address.shaken.as_ref().err().map(|trouble| trouble.reason)
}

fn listed(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn until(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at).map_or_else(|_| "beyond the calendar".to_owned(), |at| format!("{at:.0}"))
}
