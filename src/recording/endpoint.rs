//! The endpoint as its watch last saw it: by its names, by its zones, by its addresses; and its metrics.
//!
//! `endpoint::watch` writes, one place after each look; status and scrapes read. Addresses, names and messages are
//! for status only: no label holds one. A place without a zone is the endpoint as a whole and has no `zone` label,
//! so a zone that is dead while the name still works is one series at 0 beside one at 1.

use crate::domain::outcome::Reason;
use crate::domain::region::ZoneId;
use crate::recording::families::{Families, series};
use crate::recording::locked;
use prometheus::proto::{Metric, MetricFamily};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is watched: a name of the endpoint, or one of its zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedPlace {
    /// The zone; `None` for a name of the endpoint as a whole.
    pub zone: Option<ZoneId>,
    /// A DNS name, or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The name that TLS asks for and checks.
    pub tls_name: String,
}

impl WatchedPlace {
    /// The address that the host is, if it is one: then there is no name to ask for.
    #[must_use]
    pub fn literal(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// What one look at a place showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceSeen {
    /// When.
    pub at: SystemTime,
    /// Since when it is up, or is not.
    pub since: SystemTime,
    /// What the question for the name took; `None` where none was asked or answered.
    pub resolve: Option<Duration>,
    /// The addresses that were found, each once, in their order.
    pub found: Vec<IpAddr>,
    /// Those of them that were tried.
    pub addresses: Vec<AddressSeen>,
    /// Why no address was found.
    pub unresolved: Option<Trouble>,
}

/// What one address showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressSeen {
    /// The address.
    pub address: SocketAddr,
    /// The handshake, or why there was none.
    pub shaken: Result<Shaken, Trouble>,
    /// The server's own certificate, also when nobody would trust it.
    pub certificate: Option<CertificateSeen>,
}

/// A handshake that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shaken {
    /// What the TCP connection took.
    pub connect: Duration,
    /// What the TLS handshake took.
    pub tls: Duration,
    /// The negotiated version, `TLSv1.2` or `TLSv1.3`; `other` for what is neither.
    pub tls_version: &'static str,
}

/// Why a name has no address, or an address no handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// A reason of outcome `unreachable`, or `overloaded`.
    pub reason: Reason,
    /// What the network said or the certificate shows, at most 300 characters, scrubbed.
    pub message: String,
}

/// A server's own certificate. Texts are bounded and harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSeen {
    /// The names it is for.
    pub names: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// When it begins to be valid.
    pub not_before: SystemTime,
    /// When it ends.
    pub not_after: SystemTime,
    /// SHA-256 of the whole of it, in hexadecimal.
    pub sha256: String,
    /// What is wrong with it, or with one that was presented with it.
    pub issues: Vec<String>,
}

impl PlaceSeen {
    /// True when a client finds an address that it can speak to.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.addresses.iter().any(|seen| seen.shaken.is_ok())
    }

    /// True when this machine had no file left for a connection or a question: then nothing was seen of the place.
    #[must_use]
    pub fn is_own_shortage(&self) -> bool {
        let of_addresses = self.addresses.iter().filter_map(|seen| seen.shaken.as_ref().err());
        of_addresses.chain(&self.unresolved).any(|trouble| trouble.reason == Reason::Overloaded)
    }

    /// What is the matter with a place that is not up.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        if self.is_up() {
            return None;
        }
        let of_addresses = self.addresses.iter().filter_map(|seen| seen.shaken.as_ref().err());
        self.unresolved.as_ref().or_else(|| of_addresses.into_iter().next())
    }
}

/// The endpoint at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStatus {
    /// How often each place is looked at.
    pub interval: Duration,
    /// The places, the names first, each with its last look.
    pub places: Vec<(Arc<WatchedPlace>, Option<Arc<PlaceSeen>>)>,
}

impl EndpointStatus {
    /// The last looks at the names; `None` until each was looked at, and where there is none.
    fn names(&self) -> Option<Vec<&PlaceSeen>> {
        let names = self.places.iter().filter(|(place, _)| place.zone.is_none());
        let seen: Option<Vec<&PlaceSeen>> = names.map(|(_, seen)| seen.as_deref()).collect();
        seen.filter(|seen| !seen.is_empty())
    }

    /// Whether every name of the endpoint leads to it; `None` until each was looked at.
    #[must_use]
    pub fn is_up(&self) -> Option<bool> {
        self.names().map(|names| names.iter().all(|seen| seen.is_up()))
    }

    /// Since when it is up, or is not.
    #[must_use]
    pub fn since(&self) -> Option<SystemTime> {
        let names = self.names()?;
        let up = names.iter().all(|seen| seen.is_up());
        // Down since the first of those that are; up since the last of all came up.
        let since = names.iter().filter(|seen| up || !seen.is_up()).map(|seen| seen.since);
        if up { since.max() } else { since.min() }
    }

    /// The addresses behind the names, each once; `None` until each was looked at.
    #[must_use]
    pub fn addresses(&self) -> Option<BTreeSet<IpAddr>> {
        Some(self.names()?.iter().flat_map(|seen| &seen.found).copied().collect())
    }
}

/// What the watch writes to.
#[derive(Debug)]
pub struct EndpointRecorder {
    interval: Duration,
    places: Mutex<Vec<Looked>>,
}

/// A place, with the last look at it.
type Looked = (Arc<WatchedPlace>, Option<Arc<PlaceSeen>>);

impl EndpointRecorder {
    pub(super) fn new(interval: Duration, places: Vec<WatchedPlace>) -> Self {
        let recorder = Self { interval, places: Mutex::default() };
        recorder.set_places(places);
        recorder
    }

    /// The places, the names first.
    #[must_use]
    pub fn places(&self) -> Vec<Arc<WatchedPlace>> {
        locked(&self.places).iter().map(|(place, _)| Arc::clone(place)).collect()
    }

    /// Sets the places, the names first. What was seen of those that were among them before stays.
    pub fn set_places(&self, places: Vec<WatchedPlace>) {
        let mut known = locked(&self.places);
        let place = |place| {
            let same = known.iter().find(|(old, _)| **old == place);
            same.cloned().unwrap_or_else(|| (Arc::new(place), None))
        };
        let places = places.into_iter().map(place).collect();
        *known = places;
    }

    /// Sets the last look at a place, by its number; `None` where nothing is known of it any more.
    pub fn saw(&self, place: usize, seen: Option<PlaceSeen>) {
        if let Some((_, slot)) = locked(&self.places).get_mut(place) {
            *slot = seen.map(Arc::new);
        }
    }

    /// The same, by what it is; nothing, if it is not among the places any more.
    pub fn saw_at(&self, place: &WatchedPlace, seen: Option<PlaceSeen>) {
        let mut places = locked(&self.places);
        if let Some((_, slot)) = places.iter_mut().find(|(known, _)| **known == *place) {
            *slot = seen.map(Arc::new);
        }
    }

    /// The endpoint at this moment.
    #[must_use]
    pub fn status(&self) -> EndpointStatus {
        EndpointStatus { interval: self.interval, places: locked(&self.places).clone() }
    }
}

/// The series of a scrape in which every place is up.
pub(super) fn series_count(places: &[WatchedPlace]) -> usize {
    /// `endpoint_up`, two phases beside `resolve`, `endpoint_certificate_expiry_timestamp_seconds`,
    /// `endpoint_tls_info`.
    const OF_A_ZONE: usize = 5;
    /// The same, and `endpoint_addresses`.
    const OF_ALL: usize = OF_A_ZONE + 1;
    let resolved = |place: &&WatchedPlace| usize::from(place.literal().is_none());
    let (names, zones): (Vec<_>, Vec<_>) = places.iter().partition(|place| place.zone.is_none());
    let of_names = if names.is_empty() { 0 } else { OF_ALL + names.iter().map(resolved).max().unwrap_or(0) };
    of_names + zones.iter().map(|zone| OF_A_ZONE + resolved(zone)).sum::<usize>()
}

/// The series of each family.
#[derive(Default)]
struct Series {
    up: Vec<Metric>,
    phases: Vec<Metric>,
    expiry: Vec<Metric>,
    tls: Vec<Metric>,
}

impl Series {
    /// Adds those of a zone, or of all names together: of several durations the longest, of several certificates the
    /// one that ends first, of several versions the oldest.
    fn add(&mut self, zone: &str, seen: &[&PlaceSeen]) {
        let zone = ("zone", zone);
        self.up.push(series(&[zone], f64::from(seen.iter().all(|place| place.is_up()))));
        let addresses = || seen.iter().flat_map(|place| &place.addresses);
        let shaken = || addresses().filter_map(|address| address.shaken.as_ref().ok());
        for (phase, took) in [
            ("resolve", seen.iter().filter_map(|place| place.resolve).max()),
            ("connect", shaken().map(|shaken| shaken.connect).max()),
            ("tls", shaken().map(|shaken| shaken.tls).max()),
        ] {
            self.phases.extend(took.map(|took| series(&[("phase", phase), zone], took.as_secs_f64())));
        }
        let ends = addresses().filter_map(|address| Some(address.certificate.as_ref()?.not_after)).min();
        self.expiry.extend(ends.map(|at| {
            let seconds = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
            series(&[zone], seconds)
        }));
        let version = shaken().map(|shaken| shaken.tls_version).min();
        self.tls.extend(version.map(|version| series(&[("version", version), zone], 1.0)));
    }
}

/// What a scrape shows of the endpoint.
pub(super) fn families(f: &Families, status: Option<&EndpointStatus>) -> Vec<MetricFamily> {
    let mut of = Series::default();
    if let Some(names) = status.and_then(EndpointStatus::names) {
        of.add("", &names);
    }
    for (place, seen) in status.iter().flat_map(|status| &status.places) {
        if let (Some(zone), Some(seen)) = (&place.zone, seen) {
            of.add(zone.as_str(), &[seen]);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a resolver's answer holds few addresses")]
    let addresses =
        status.and_then(EndpointStatus::addresses).map(|addresses| series(&[], addresses.len() as f64));
    vec![
        f.endpoint_up.family(of.up),
        f.endpoint_phase.family(of.phases),
        f.endpoint_expiry.family(of.expiry),
        f.endpoint_tls.family(of.tls),
        f.endpoint_addresses.family(addresses.into_iter().collect()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn seen(since: u64, up: bool) -> PlaceSeen {
        let took = Duration::from_millis(since);
        let shaken =
            Shaken { connect: took, tls: took, tls_version: if since > 5 { "TLSv1.2" } else { "TLSv1.3" } };
        let trouble = Trouble { reason: Reason::Reset, message: String::new() };
        PlaceSeen {
            at: at(100),
            since: at(since),
            resolve: Some(took),
            found: vec!["10.0.0.1".parse().unwrap()],
            addresses: vec![AddressSeen {
                address: "10.0.0.1:443".parse().unwrap(),
                shaken: if up { Ok(shaken) } else { Err(trouble) },
                certificate: None,
            }],
            unresolved: None,
        }
    }

    #[test]
    fn the_endpoint_is_up_while_all_its_names_are() {
        let name =
            |host: &str| WatchedPlace { zone: None, host: host.into(), port: 443, tls_name: host.into() };
        let recorder = EndpointRecorder::new(Duration::from_secs(10), vec![name("a.test"), name("b.test")]);
        let status = || {
            let status = recorder.status();
            (status.is_up(), status.since(), status.addresses().map(|addresses| addresses.len()))
        };
        recorder.saw(0, Some(seen(3, true)));
        assert_eq!(status(), (None, None, None), "half of it is not known");
        for (first, second, expected) in [
            ((3, true), (7, true), (true, 7)),
            ((3, true), (7, false), (false, 7)),
            ((3, false), (7, true), (false, 3)),
            ((9, false), (7, false), (false, 7)),
        ] {
            recorder.saw(0, Some(seen(first.0, first.1)));
            recorder.saw(1, Some(seen(second.0, second.1)));
            let (up, since) = expected;
            assert_eq!(status(), (Some(up), Some(at(since)), Some(1)));
        }
        let nothing = EndpointRecorder::new(Duration::from_secs(10), Vec::new()).status();
        assert_eq!((nothing.is_up(), nothing.since(), nothing.addresses()), (None, None, None));
    }

    #[test]
    fn of_several_addresses_the_worst_is_shown() {
        let mut of = Series::default();
        of.add("", &[&seen(3, true), &seen(7, true)]);
        let label = of.tls[0].get_label().iter().find(|pair| pair.name() == "version").unwrap();
        assert_eq!(label.value(), "TLSv1.2");
        assert!(of.phases.iter().all(|phase| (phase.get_gauge().get_value() - 0.007).abs() < 1e-9));
        assert_eq!(of.phases.len(), 3);
        of = Series::default();
        of.add("", &[&seen(3, true), &seen(7, false)]);
        assert!(of.up[0].get_gauge().get_value().abs() < 1e-9 && of.phases.len() == 3);
    }
}
