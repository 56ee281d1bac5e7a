//! What is watched: the names that the addressing styles in use lead to, and the zones. Pure.

use crate::domain::api::{Addressing, ApiName, DnsName};
use crate::domain::request::ConnectTarget;
use crate::domain::target::Target;
use crate::endpoint::{Settings, address};
use crate::recording::WatchedPlace;
use std::sync::Arc;

const HTTPS_PORT: u16 = 443;

/// The places that stand for the whole endpoint, then the zones.
///
/// With private DNS every api's own name leads to the endpoint, also the name of an api that is gone, so the first
/// stands for all. The endpoint's own name is watched where a style goes to it. Only where neither is in use, the name
/// of one api (an alias, a custom domain) stands for the endpoint: it may vanish with its api. With `url` there is one
/// place, and none at all with plain http, which has nothing to shake hands with.
#[must_use]
pub fn places(settings: &Settings, targets: &[Arc<Target>]) -> Vec<WatchedPlace> {
    let names = names(settings, targets);
    let Some(tls_name) = names.first().map(|name| name.tls_name.clone()) else { return Vec::new() };
    let zones = settings.zones.iter().map(|(zone, place)| WatchedPlace {
        zone: Some(zone.clone()),
        host: place.host.clone(),
        port: place.port,
        tls_name: tls_name.clone(),
    });
    names.iter().cloned().chain(zones).collect()
}

fn names(settings: &Settings, targets: &[Arc<Target>]) -> Vec<WatchedPlace> {
    let first = |wanted: &dyn Fn(&Target) -> bool| {
        let target = targets.iter().find(|target| wanted(target))?;
        // Without its zone: where a client goes that pins none.
        Some(place(&address(settings, &target.api, target.addressing, None).ok()?.connect))
    };
    let by_id = |target: &Target| matches!(target.api, ApiName::Id { .. });
    let own = first(&|target| target.addressing == Addressing::PrivateDns && by_id(target));
    let any = || first(&|_| true);
    if let Some(url) = &settings.url {
        return own.or_else(any).filter(|_| url.tls).into_iter().collect();
    }
    let goes_to_the_endpoint =
        |target: &Target| matches!(target.addressing, Addressing::EndpointDns | Addressing::ApiIdHeader);
    let mut names: Vec<WatchedPlace> = own.into_iter().collect();
    if let Some(name) = &settings.dns_name
        && (names.is_empty() || targets.iter().any(|target| goes_to_the_endpoint(target)))
    {
        names.push(of_the_endpoint(name));
    }
    if names.is_empty() {
        names.extend(any());
    }
    names
}

fn of_the_endpoint(name: &DnsName) -> WatchedPlace {
    WatchedPlace { zone: None, host: name.to_string(), port: HTTPS_PORT, tls_name: name.to_string() }
}

fn place(connect: &ConnectTarget) -> WatchedPlace {
    let ConnectTarget { host, port, tls_name, .. } = connect.clone();
    WatchedPlace { zone: None, host, port, tls_name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{UrlOverride, ZoneAddress};
    use crate::recording::examples::target;

    const VPCE: &str = "vpce-0123456789abcdef0-abcdefgh.execute-api.eu-west-1.vpce.amazonaws.com";

    fn settings(dns_name: bool, zones: &[(&str, &str)], url: Option<&str>) -> Settings {
        Settings {
            region: "eu-west-1".parse().unwrap(),
            id: "vpce-0123456789abcdef0".parse().unwrap(),
            dns_name: dns_name.then(|| VPCE.parse().unwrap()),
            zones: zones
                .iter()
                .map(|(zone, host)| (zone.parse().unwrap(), host.parse::<ZoneAddress>().unwrap()))
                .collect(),
            url: url.map(|url| url.parse::<UrlOverride>().unwrap()),
        }
    }

    fn by(id: &str, addressing: Addressing) -> Arc<Target> {
        let api = ApiName::Id { id: id.parse().unwrap(), stage: "api".parse().unwrap() };
        Arc::new(Target { api, addressing, ..target("payments/hoot/hello") })
    }

    fn by_domain(addressing: Addressing) -> Arc<Target> {
        let api =
            ApiName::Domain { domain: "private.example.com".parse().unwrap(), base_path: String::new() };
        Arc::new(Target { api, addressing, ..target("payments/hoot/hello") })
    }

    fn hosts(settings: &Settings, targets: &[Arc<Target>]) -> Vec<String> {
        places(settings, targets).into_iter().map(|place| format!("{}:{}", place.host, place.port)).collect()
    }

    #[test]
    fn the_names_in_use_stand_for_the_endpoint() {
        let own = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com:443";
        let vpce = format!("{VPCE}:443");
        let alias = "a1b2c3d4e5-vpce-0123456789abcdef0.execute-api.eu-west-1.amazonaws.com:443";
        let domain = "private.example.com:443";
        let private = || by("a1b2c3d4e5", Addressing::PrivateDns);
        let other = || by("b2c3d4e5f6", Addressing::PrivateDns);
        let header = || by("a1b2c3d4e5", Addressing::ApiIdHeader);
        let by_alias = || by("a1b2c3d4e5", Addressing::Alias);
        let custom = || by_domain(Addressing::PrivateDns);
        for (dns_name, targets, expected) in [
            (false, vec![private(), other()], vec![own]),
            (true, vec![private()], vec![own]),
            (true, vec![private(), header()], vec![own, &vpce]),
            (true, vec![header()], vec![&vpce]),
            (true, vec![by_domain(Addressing::EndpointDns)], vec![&vpce]),
            (true, vec![by_alias()], vec![&vpce]),
            (false, vec![by_alias()], vec![alias]),
            (false, vec![custom(), private()], vec![own]),
            (false, vec![custom()], vec![domain]),
            (false, vec![], vec![]),
        ] {
            assert_eq!(hosts(&settings(dns_name, &[], None), &targets), expected);
        }
    }

    #[test]
    fn zones_and_the_override_go_where_requests_go() {
        let targets = [by("a1b2c3d4e5", Addressing::PrivateDns)];
        let zones = [("euw1-az1", "10.0.1.17"), ("euw1-az2", "zone.example.com:444")];
        let found = places(&settings(true, &zones, None), &targets);
        assert_eq!(found.len(), 3);
        assert_eq!((found[2].host.as_str(), found[2].port), ("zone.example.com", 444));
        assert!(found.iter().all(|place| place.tls_name.starts_with("a1b2c3d4e5.execute-api.")));
        assert_eq!(found[1].literal(), Some("10.0.1.17".parse().unwrap()));

        let moved = places(&settings(true, &zones, Some("https://127.0.0.1:8443")), &targets);
        assert_eq!((moved[0].host.as_str(), moved[0].port), ("127.0.0.1", 8443));
        assert!(moved[0].tls_name.starts_with("a1b2c3d4e5.") && moved.len() == 3);
        assert_eq!(places(&settings(true, &zones, Some("http://127.0.0.1:8080")), &targets), []);
    }
}
