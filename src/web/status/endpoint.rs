//! The endpoint as its watch last saw it, as `GET /api/v1/status` shows it.

use crate::recording::{AddressSeen, CertificateSeen, EndpointStatus, PlaceSeen, WatchedPlace};
use crate::web::status::rfc3339;
use serde::Serialize;

/// The endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointView {
    /// Whether every name leads to it; `null` until each was looked at.
    pub up: Option<bool>,
    /// Since when.
    pub since: Option<String>,
    /// How often each place is looked at.
    pub interval_seconds: f64,
    /// How many addresses the names have together.
    pub addresses: Option<usize>,
    /// Its names.
    pub names: Vec<PlaceView>,
    /// Its zones.
    pub zones: Vec<PlaceView>,
}

/// A name or a zone of the endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlaceView {
    /// The zone; `null` for a name.
    pub zone: Option<String>,
    /// The DNS name or the address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The name that TLS asks for.
    pub tls_name: String,
    /// Whether one of its addresses accepts a handshake; `null` before the first look.
    pub up: Option<bool>,
    /// Since when.
    pub since: Option<String>,
    /// When it was last looked at.
    pub checked_at: Option<String>,
    /// What is the matter, if it is not up.
    pub reason: Option<&'static str>,
    /// The same in words.
    pub meaning: Option<&'static str>,
    /// What the network said.
    pub message: Option<String>,
    /// What the question for the name took.
    pub resolve_seconds: Option<f64>,
    /// Its addresses, at most 16.
    pub addresses: Vec<AddressView>,
    /// Addresses of the answer that were not tried, since there were too many.
    pub untried: usize,
}

/// An address.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AddressView {
    /// The address and its port.
    pub address: String,
    /// The configured zones whose address it is.
    pub zones: Vec<String>,
    /// Whether it accepts a handshake.
    pub up: bool,
    /// Why not.
    pub reason: Option<&'static str>,
    /// What the network said.
    pub message: Option<String>,
    /// What the TCP connection took.
    pub connect_seconds: Option<f64>,
    /// What the TLS handshake took.
    pub tls_seconds: Option<f64>,
    /// The negotiated version.
    pub tls_version: Option<&'static str>,
    /// Its own certificate, also when nobody would trust it.
    pub certificate: Option<CertificateView>,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateView {
    /// The names it is for.
    pub names: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// When it begins to be valid.
    pub not_before: Option<String>,
    /// When it ends.
    pub not_after: Option<String>,
    /// SHA-256 of it.
    pub sha256: String,
    /// What is wrong with it, or with one that was presented with it.
    pub issues: Vec<String>,
}

pub(super) fn view(status: &EndpointStatus) -> EndpointView {
    let of = |zonal: bool| {
        let places = status.places.iter().filter(move |(place, _)| place.zone.is_some() == zonal);
        places.map(|(place, seen)| place_view(place, seen.as_deref(), status)).collect()
    };
    EndpointView {
        up: status.is_up(),
        since: status.since().and_then(rfc3339),
        interval_seconds: status.interval.as_secs_f64(),
        addresses: status.addresses().map(|addresses| addresses.len()),
        names: of(false),
        zones: of(true),
    }
}

fn place_view(place: &WatchedPlace, seen: Option<&PlaceSeen>, status: &EndpointStatus) -> PlaceView {
    let trouble = seen.and_then(PlaceSeen::trouble);
    PlaceView {
        zone: place.zone.as_ref().map(ToString::to_string),
        host: place.host.clone(),
        port: place.port,
        tls_name: place.tls_name.clone(),
        up: seen.map(PlaceSeen::is_up),
        since: seen.and_then(|seen| rfc3339(seen.since)),
        checked_at: seen.and_then(|seen| rfc3339(seen.at)),
        reason: trouble.map(|trouble| trouble.reason.as_str()),
        meaning: trouble.map(|trouble| trouble.reason.meaning()),
        message: trouble.map(|trouble| trouble.message.clone()),
        resolve_seconds: seen.and_then(|seen| seen.resolve).map(|took| took.as_secs_f64()),
        addresses: seen
            .into_iter()
            .flat_map(|seen| &seen.addresses)
            .map(|address| address_view(address, status))
            .collect(),
        untried: seen.map_or(0, |seen| seen.found.len().saturating_sub(seen.addresses.len())),
    }
}

fn address_view(seen: &AddressSeen, status: &EndpointStatus) -> AddressView {
    let (shaken, trouble) = (seen.shaken.as_ref().ok(), seen.shaken.as_ref().err());
    let zones = status.places.iter().filter_map(|(place, zone_seen)| {
        let zone = place.zone.as_ref()?;
        let here = |address: &AddressSeen| address.address.ip() == seen.address.ip();
        let found = zone_seen.as_ref().is_some_and(|zone| zone.addresses.iter().any(here));
        (found || place.literal() == Some(seen.address.ip())).then(|| zone.to_string())
    });
    AddressView {
        address: seen.address.to_string(),
        zones: zones.collect(),
        up: shaken.is_some(),
        reason: trouble.map(|trouble| trouble.reason.as_str()),
        message: trouble.map(|trouble| trouble.message.clone()),
        connect_seconds: shaken.map(|shaken| shaken.connect.as_secs_f64()),
        tls_seconds: shaken.map(|shaken| shaken.tls.as_secs_f64()),
        tls_version: shaken.map(|shaken| shaken.tls_version),
        certificate: seen.certificate.as_ref().map(certificate_view),
    }
}

fn certificate_view(seen: &CertificateSeen) -> CertificateView {
    let CertificateSeen { names, issuer, not_before, not_after, sha256, issues } = seen.clone();
    CertificateView {
        names,
        issuer,
        not_before: rfc3339(not_before),
        not_after: rfc3339(not_after),
        sha256,
        issues,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Reason;
    use crate::recording::examples::{recorder, wall};
    use crate::recording::{Shaken, Trouble};
    use std::time::Duration;

    #[test]
    fn the_view_tells_a_dead_zone_from_a_dead_endpoint() {
        let recorder = recorder();
        let place = |zone: Option<&str>, host: &str| WatchedPlace {
            zone: zone.map(|zone| zone.parse().unwrap()),
            host: host.into(),
            port: 443,
            tls_name: "vpce.test".into(),
        };
        let places = vec![
            place(None, "vpce.test"),
            place(Some("euw1-az1"), "10.0.1.17"),
            place(Some("euw1-az2"), "10.0.2.23"),
        ];
        let watched = recorder.begin_endpoint(Duration::from_secs(10), places);
        let second = Duration::from_secs(1);
        let well = |ip: &str| AddressSeen {
            address: format!("{ip}:443").parse().unwrap(),
            shaken: Ok(Shaken { connect: second, tls: second / 2, tls_version: "TLSv1.3" }),
            certificate: Some(CertificateSeen {
                names: vec!["vpce.test".into()],
                issuer: "an authority".into(),
                not_before: wall(Duration::ZERO),
                not_after: wall(second),
                sha256: "ab".into(),
                issues: vec!["it is odd".into()],
            }),
        };
        let dead = |ip: &str| AddressSeen {
            shaken: Err(Trouble { reason: Reason::ConnectTimeout, message: "no connection in time".into() }),
            certificate: None,
            ..well(ip)
        };
        let seen = |addresses: Vec<AddressSeen>| PlaceSeen {
            at: wall(second * 2),
            since: wall(second),
            resolve: None,
            found: addresses.iter().map(|address| address.address.ip()).collect(),
            addresses,
            unresolved: None,
        };
        let json = || serde_json::to_value(view(&recorder.snapshot().endpoint.unwrap())).unwrap();
        assert_eq!(json()["up"], serde_json::Value::Null, "not known yet");
        watched.saw(0, Some(seen(vec![well("10.0.1.17"), dead("10.0.2.23")])));
        watched.saw(1, Some(seen(vec![well("10.0.1.17")])));
        watched.saw(2, Some(seen(vec![dead("10.0.2.23")])));
        let json = json();
        assert_eq!((&json["up"], &json["addresses"]), (&true.into(), &2.into()));
        let name = &json["names"][0];
        assert_eq!(name["addresses"][0]["certificate"]["issues"][0], "it is odd");
        assert_eq!(name["addresses"][1]["zones"], serde_json::json!(["euw1-az2"]));
        assert_eq!(name["reason"], serde_json::Value::Null);
        let zone = &json["zones"][1];
        assert_eq!((&zone["up"], &zone["reason"]), (&false.into(), &"connect_timeout".into()));
        assert_eq!(zone["since"], "2026-01-01T00:00:01.000Z");
        assert_eq!(json["zones"][0]["addresses"][0]["connect_seconds"], 1.0);
    }
}
