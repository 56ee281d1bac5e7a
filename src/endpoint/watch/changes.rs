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
    /// Compares with the last look, logs what changed, and sets `since`. `endpoint_is_up` is how the names stand. The
    /// log says nothing of single addresses of `elsewhere`, which are watched as zones too.
    pub(super) fn learn(
        &mut self,
        place: &WatchedPlace,
        seen: &mut PlaceSeen,
        endpoint_is_up: Option<bool>,
        elsewhere: &BTreeSet<IpAddr>,
    ) {
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
                told_here(seen, elsewhere)
                    .for_each(|one| log_address(place, one, last.addresses.get(&one.address)));
            }
        } else if up {
            told_here(seen, elsewhere).for_each(|one| log_address(place, one, None));
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

fn told_here<'a>(
    seen: &'a PlaceSeen,
    elsewhere: &'a BTreeSet<IpAddr>,
) -> impl Iterator<Item = &'a AddressSeen> {
    seen.addresses.iter().filter(|one| !elsewhere.contains(&one.address.ip()))
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
            tracing::warn!(place = %shown, reason = %trouble.reason, said = trouble.message, "{meaning}");
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
            place = %shown, address = %address.address, reason = %trouble.reason, said = trouble.message,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{CertificateSeen, Shaken, Trouble};
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, UNIX_EPOCH};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A place with these addresses: the last part of each, and the hash of its certificate or nothing if it is dead.
    fn seen(second: u64, addresses: &[(u8, Option<&str>)]) -> PlaceSeen {
        let at = UNIX_EPOCH + Duration::from_secs(second);
        let one = |(last, sha256): &(u8, Option<&str>)| AddressSeen {
            address: SocketAddr::from(([10, 0, 0, *last], 443)),
            shaken: match sha256 {
                Some(_) => {
                    Ok(Shaken { connect: Duration::ZERO, tls: Duration::ZERO, tls_version: "TLSv1.3" })
                }
                None => Err(Trouble { reason: Reason::ConnectTimeout, message: "nobody".into() }),
            },
            certificate: sha256.map(|sha256| CertificateSeen {
                names: Vec::new(),
                issuer: "one".into(),
                not_before: at,
                not_after: at,
                sha256: sha256.to_owned(),
                issues: Vec::new(),
            }),
        };
        PlaceSeen {
            at,
            since: at,
            resolve: None,
            found: addresses.iter().map(|(last, _)| IpAddr::from([10, 0, 0, *last])).collect(),
            addresses: addresses.iter().map(one).collect(),
            unresolved: None,
        }
    }

    fn unresolved(second: u64) -> PlaceSeen {
        let trouble = Trouble { reason: Reason::Dns, message: "no such host".into() };
        PlaceSeen { unresolved: Some(trouble), ..seen(second, &[]) }
    }

    #[test]
    fn each_change_is_told_once() {
        let zone = |zone: Option<&str>| WatchedPlace {
            zone: zone.map(|zone| zone.parse().unwrap()),
            host: "vpce.test".into(),
            port: 443,
            tls_name: "vpce.test".into(),
        };
        let (mut memory, elsewhere) = (Memory::default(), [IpAddr::from([10, 0, 0, 9])].into());
        let mut told = |place: &WatchedPlace, mut look: PlaceSeen, up: Option<bool>| {
            let written = Written::default();
            let sink = written.clone();
            let subscriber =
                tracing_subscriber::fmt().with_writer(move || sink.clone()).with_ansi(false).finish();
            tracing::subscriber::with_default(subscriber, || memory.learn(place, &mut look, up, &elsewhere));
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            let since = look.since.duration_since(UNIX_EPOCH).unwrap().as_secs();
            (text, since)
        };
        let name = zone(None);
        let (a, b) = (Some("a"), Some("b"));
        for (second, look, expected, since) in [
            (
                0,
                seen(0, &[(1, a), (2, a)]),
                vec!["the endpoint answers place=vpce.test addresses=10.0.0.1, 10.0.0.2"],
                0,
            ),
            (1, seen(1, &[(1, a), (2, a)]), vec![], 0),
            (
                2,
                seen(2, &[(1, a), (2, None)]),
                vec!["does not answer while another does", "address=10.0.0.2:443"],
                0,
            ),
            (3, seen(3, &[(1, a), (2, None)]), vec![], 0),
            (4, seen(4, &[(1, a), (2, a)]), vec!["an address answers again"], 0),
            (
                5,
                seen(5, &[(1, a), (2, b)]),
                vec!["a new certificate", "sha256=b", "until=1970-01-01T00:00:05Z"],
                0,
            ),
            (6, seen(6, &[(1, b), (2, a)]), vec![], 0),
            (7, unresolved(7), vec!["WARN", "the endpoint does not answer", "reason=dns"], 7),
            (8, unresolved(8), vec![], 7),
            (9, seen(9, &[(1, a), (2, a)]), vec!["answers again"], 9),
            (
                10,
                seen(10, &[(1, a), (3, a)]),
                vec!["other addresses place=vpce.test before=10.0.0.1, 10.0.0.2 now=10.0.0.1, 10.0.0.3"],
                9,
            ),
            // A zone of its own tells of this one, or will.
            (11, seen(11, &[(1, a), (3, a), (9, a)]), vec!["other addresses"], 9),
            (12, seen(12, &[(1, a), (3, a), (9, None)]), vec![], 9),
            (13, seen(13, &[(1, None), (3, None), (9, None)]), vec!["the endpoint does not answer"], 13),
        ] {
            let (text, from) = told(&name, look, Some(true));
            assert_eq!(text.lines().count(), usize::from(!expected.is_empty()), "{second}: {text}");
            assert!(expected.iter().all(|part| text.contains(part)), "{second}: {text}");
            assert_eq!(from, since, "{second}");
        }
        let zone = zone(Some("euw1-az2"));
        for (up, expected) in [
            (
                Some(true),
                "a zone of the endpoint does not answer while its name still works place=zone euw1-az2",
            ),
            (Some(false), "a zone of the endpoint does not answer place"),
            (None, "a zone of the endpoint does not answer place"),
        ] {
            drop(told(&zone, seen(20, &[(2, a)]), up));
            let (text, _) = told(&zone, seen(21, &[(2, None)]), up);
            assert!(text.contains(expected), "{text}");
        }
    }
}
