//! The four styles of addressing, custom domain names, zones and the `url` override.
//!
//! Source: API Gateway developer guide, "Invoke a private API" and "Private custom domain names".

use crate::domain::Invalid;
use crate::domain::api::{Addressing, ApiName, DnsName};
use crate::domain::region::ZoneId;
use crate::domain::request::{Address, ConnectTarget};
use crate::endpoint::Settings;
use http::HeaderName;
use std::fmt;
use std::sync::Arc;

const HTTPS_PORT: u16 = 443;

/// Why an api cannot be addressed in the style that is asked for. The configuration finds these before
/// anything runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressingProblem {
    /// The style goes to the endpoint's own name, and `dns_name` is not set.
    NeedsEndpointName,
    /// The style names an api by its id, and a custom domain has none.
    NeedsApiId,
    /// The zone is not among the endpoint's zones.
    UnknownZone,
}

impl fmt::Display for AddressingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeedsEndpointName => "this addressing needs hub.endpoint.dns_name",
            Self::NeedsApiId => "this addressing needs the api's id; a custom domain has none",
            Self::UnknownZone => "this zone is not among hub.endpoint.zones",
        })
    }
}

impl std::error::Error for AddressingProblem {}

/// Where an api is and how it wants to be spoken to.
///
/// # Errors
/// When the style does not fit the api or the settings.
pub fn address(
    settings: &Settings,
    api: &ApiName,
    addressing: Addressing,
    zone: Option<&ZoneId>,
) -> Result<Address, AddressingProblem> {
    let suffix = settings.region.partition().dns_suffix();
    let region = &settings.region;
    let own_name = match api {
        ApiName::Id { id, .. } => format!("{id}.execute-api.{region}.{suffix}"),
        ApiName::Domain { domain, .. } => domain.to_string(),
    };
    let endpoint_name =
        || settings.dns_name.as_ref().map(DnsName::to_string).ok_or(AddressingProblem::NeedsEndpointName);
    let api_id = || match api {
        ApiName::Id { id, .. } => Ok(id),
        ApiName::Domain { .. } => Err(AddressingProblem::NeedsApiId),
    };
    let mut headers = Vec::new();
    let (host, tls_name) = match addressing {
        Addressing::PrivateDns => (own_name.clone(), own_name),
        // An API whose security policy has endpoint access mode STRICT refuses this style, since SNI and
        // Host differ; how it refuses is UNCONFIRMED.
        Addressing::EndpointDns => (own_name, endpoint_name()?),
        Addressing::ApiIdHeader => {
            headers.push((HeaderName::from_static("x-apigw-api-id"), api_id()?.to_string()));
            (endpoint_name()?, endpoint_name()?)
        }
        Addressing::Alias => {
            let alias = format!("{}-{}.execute-api.{region}.{suffix}", api_id()?, settings.id);
            (alias.clone(), alias)
        }
    };
    Ok(Address { host, path_prefix: path_prefix(api), headers, connect: connect(settings, tls_name, zone)? })
}

fn path_prefix(api: &ApiName) -> String {
    match api {
        ApiName::Id { stage, .. } => format!("/{stage}"),
        ApiName::Domain { base_path, .. } if base_path.is_empty() => String::new(),
        ApiName::Domain { base_path, .. } => format!("/{base_path}"),
    }
}

/// A zone goes before the override: whoever pins a zone wants that zone.
fn connect(
    settings: &Settings,
    tls_name: String,
    zone: Option<&ZoneId>,
) -> Result<Arc<ConnectTarget>, AddressingProblem> {
    let target = match (zone, &settings.url) {
        (Some(zone), url) => {
            let pinned = settings.zones.get(zone).ok_or(AddressingProblem::UnknownZone)?;
            let tls = url.as_ref().is_none_or(|url| url.tls);
            ConnectTarget { tls, tls_name, host: pinned.host.clone(), port: pinned.port }
        }
        (None, Some(url)) => ConnectTarget { tls: url.tls, tls_name, host: url.host.clone(), port: url.port },
        (None, None) => ConnectTarget { tls: true, host: tls_name.clone(), tls_name, port: HTTPS_PORT },
    };
    Ok(Arc::new(target))
}

/// Reads the `url` override: `https://HOST[:PORT]`, or `http://` for a loopback host.
impl std::str::FromStr for crate::endpoint::UrlOverride {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        const WANTED: Invalid = Invalid::new(crate::endpoint::UrlOverride::WANTED);
        let (tls, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(WANTED),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_host_port(authority, if tls { HTTPS_PORT } else { 80 }).ok_or(WANTED)?;
        let loopback = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if tls || loopback {
            Ok(Self { tls, host, port })
        } else {
            Err(Invalid::new("https, or plain http to a loopback address"))
        }
    }
}

impl std::str::FromStr for crate::endpoint::ZoneAddress {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (host, port) = split_host_port(text, HTTPS_PORT)
            .ok_or(Invalid::new("an IP address or a DNS name, with an optional :PORT"))?;
        Ok(Self { host, port })
    }
}

/// Splits `HOST[:PORT]` where the host is a DNS name, an IPv4 address, or an IPv6 address (in brackets when
/// a port follows).
fn split_host_port(text: &str, default_port: u16) -> Option<(String, u16)> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Some((address.to_string(), default_port));
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return (address.port() > 0).then(|| (address.ip().to_string(), address.port()));
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: std::net::Ipv6Addr = inner.parse().ok()?;
        return Some((address.to_string(), default_port));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)?),
        None => (text, default_port),
    };
    let name: DnsName = host.parse().ok()?;
    Some((name.to_string(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{UrlOverride, ZoneAddress};

    fn settings(region: &str) -> Settings {
        Settings {
            region: region.parse().unwrap(),
            id: "vpce-0123456789abcdef0".parse().unwrap(),
            dns_name: Some(
                "vpce-0123456789abcdef0-abcdefgh.execute-api.eu-west-1.vpce.amazonaws.com".parse().unwrap(),
            ),
            zones: [("euw1-az1".parse().unwrap(), "10.0.1.17".parse().unwrap())].into(),
            url: None,
        }
    }

    fn by_id() -> ApiName {
        ApiName::Id { id: "a1b2c3d4e5".parse().unwrap(), stage: "api".parse().unwrap() }
    }

    fn by_domain(base_path: &str) -> ApiName {
        ApiName::Domain { domain: "private.example.com".parse().unwrap(), base_path: base_path.into() }
    }

    #[test]
    fn every_style_signs_the_host_it_sends() {
        let vpce = "vpce-0123456789abcdef0-abcdefgh.execute-api.eu-west-1.vpce.amazonaws.com";
        let own = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com";
        let alias = "a1b2c3d4e5-vpce-0123456789abcdef0.execute-api.eu-west-1.amazonaws.com";
        for (style, host, connect) in [
            (Addressing::PrivateDns, own, own),
            (Addressing::EndpointDns, own, vpce),
            (Addressing::ApiIdHeader, vpce, vpce),
            (Addressing::Alias, alias, alias),
        ] {
            let address = address(&settings("eu-west-1"), &by_id(), style, None).unwrap();
            assert_eq!(address.host, host, "{style}");
            assert_eq!(address.connect.host, connect, "{style}");
            assert_eq!(address.connect.tls_name, connect, "{style}");
            assert_eq!(address.connect.port, 443);
            assert!(address.connect.tls);
            assert_eq!(address.path_prefix, "/api");
            assert_eq!(address.headers.len(), usize::from(style == Addressing::ApiIdHeader));
        }
    }

    #[test]
    fn the_suffix_follows_the_partition() {
        for (region, host) in [
            ("cn-north-1", "a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", "a1b2c3d4e5.execute-api.us-gov-west-1.amazonaws.com"),
        ] {
            let address = address(&settings(region), &by_id(), Addressing::PrivateDns, None).unwrap();
            assert_eq!(address.host, host);
        }
    }

    #[test]
    fn a_custom_domain_keeps_its_name_and_has_no_stage() {
        let settings = settings("eu-west-1");
        let plain = address(&settings, &by_domain(""), Addressing::PrivateDns, None).unwrap();
        assert_eq!((plain.host.as_str(), plain.path_prefix.as_str()), ("private.example.com", ""));
        let mapped = address(&settings, &by_domain("v1"), Addressing::EndpointDns, None).unwrap();
        assert_eq!((mapped.host.as_str(), mapped.path_prefix.as_str()), ("private.example.com", "/v1"));
        assert!(mapped.connect.host.starts_with("vpce-"));
        for style in [Addressing::ApiIdHeader, Addressing::Alias] {
            assert_eq!(
                address(&settings, &by_domain(""), style, None).unwrap_err(),
                AddressingProblem::NeedsApiId
            );
        }
    }

    #[test]
    fn zone_and_override_change_only_where_the_connection_goes() {
        let mut settings = settings("eu-west-1");
        let own = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com";
        let zone = "euw1-az1".parse().unwrap();
        let pinned = address(&settings, &by_id(), Addressing::PrivateDns, Some(&zone)).unwrap();
        assert_eq!((pinned.host.as_str(), pinned.connect.tls_name.as_str()), (own, own));
        assert_eq!((pinned.connect.host.as_str(), pinned.connect.port), ("10.0.1.17", 443));
        settings.url = Some("https://127.0.0.1:8443".parse().unwrap());
        let moved = address(&settings, &by_id(), Addressing::PrivateDns, None).unwrap();
        assert_eq!((moved.host.as_str(), moved.connect.tls_name.as_str()), (own, own));
        assert_eq!((moved.connect.host.as_str(), moved.connect.port), ("127.0.0.1", 8443));
        assert_eq!(
            address(&settings, &by_id(), Addressing::PrivateDns, Some(&"euw1-az9".parse().unwrap()))
                .unwrap_err(),
            AddressingProblem::UnknownZone
        );
    }

    #[test]
    fn an_endpoint_without_a_name_cannot_be_called_by_it() {
        let mut settings = settings("eu-west-1");
        settings.dns_name = None;
        for style in [Addressing::EndpointDns, Addressing::ApiIdHeader] {
            assert_eq!(
                address(&settings, &by_id(), style, None).unwrap_err(),
                AddressingProblem::NeedsEndpointName
            );
        }
    }

    #[test]
    fn overrides_and_zones_read_hosts_and_ports() {
        let url = |text: &str| text.parse::<UrlOverride>();
        assert_eq!(url("https://[::1]:8443").unwrap().host, "::1");
        assert_eq!(url("https://hub.example.com").unwrap().port, 443);
        assert!(!url("http://127.0.0.1:8080/").unwrap().tls);
        for bad in [
            "127.0.0.1:8443",
            "http://10.0.0.1",
            "ftp://a.b",
            "https://a.b/path",
            "https://a.b:0",
            "https://10.0.1.17:0",
            "https://user@a.b",
            "https://a.b?x",
            "https://",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
        assert_eq!("10.0.1.17:8443".parse::<ZoneAddress>().unwrap().port, 8443);
        assert_eq!("fd00::1".parse::<ZoneAddress>().unwrap().host, "fd00::1");
        assert_eq!("[fd00::1]".parse::<ZoneAddress>().unwrap().port, 443);
        assert_eq!("zone.example.com:444".parse::<ZoneAddress>().unwrap().host, "zone.example.com");
        for bad in [
            "",
            ":443",
            "10.0.1.17:0",
            "10.0.1.17:70000",
            "10.0.1.300",
            "a b.c",
            "[10.0.0.1]",
            "user@host.example",
        ] {
            assert!(bad.parse::<ZoneAddress>().is_err(), "{bad}");
        }
    }
}
