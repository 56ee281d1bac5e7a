//! The `hub` section: where the agent is, and the shared endpoint.

use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::{Fields, Place, Value, quoted};
use crate::config::{FileReader, shapes};
use crate::domain::Invalid;
use crate::domain::api::{Addressing, DnsName, VpcEndpointId};
use crate::domain::arn::RoleArn;
use crate::domain::region::{Region, ZoneId};
use crate::endpoint::{UrlOverride, ZoneAddress};
use ipnet::IpNet;
use std::collections::BTreeMap;

pub(crate) static HUB: Section = Section {
    about: "The account and VPC that the agent runs in.",
    keys: &[
        Key::required("region", shapes::REGION, "eu-west-1", "The region of the endpoint and of all apis."),
        Key::optional(
            "role_arn",
            shapes::ROLE_ARN,
            "arn:aws:iam::111122223333:role/spokeprobe-hub",
            "The agent's own role. Without it the agent asks STS who it is.",
        ),
        Key::optional(
            "organization",
            Shape::Section(&ORGANIZATION),
            "",
            "The AWS organisation, for policies that name roles by a pattern.",
        ),
        Key::required(
            "endpoint",
            Shape::Section(&ENDPOINT),
            "",
            "The shared execute-api interface VPC endpoint.",
        ),
        Key::optional("sts", Shape::Section(&STS), "", "Where STS is."),
        Key::optional(
            "twins",
            Shape::Bool,
            "true",
            "Whether vague refusals may be explained with attempts under the agent's own identity, default false; \
             always so if some probe says `as: hub`.",
        ),
    ],
};

static ORGANIZATION: Section = Section {
    about: "The AWS organisation, for policies that name it.",
    keys: &[
        Key::required("id", shapes::ORGANIZATION_ID, "o-a1b2c3d4e5", "The id of the organisation."),
        Key::optional(
            "paths",
            Shape::List(&shapes::ORGANIZATION_PATH),
            "",
            "Paths of organisational units, if only some may call.",
        ),
    ],
};

static ENDPOINT: Section = Section {
    about: "The shared execute-api interface VPC endpoint.",
    keys: &[
        Key::required("id", shapes::ENDPOINT_ID, "vpce-0123456789abcdef0", "The endpoint's id."),
        Key::optional(
            "addressing",
            shapes::ADDRESSING,
            "private_dns",
            "How apis are addressed through the endpoint, default private_dns; an api may override it.",
        ),
        Key::optional(
            "dns_name",
            shapes::DNS_NAME,
            "vpce-0123456789abcdef0-abcdefgh.execute-api.eu-west-1.vpce.amazonaws.com",
            "The endpoint's regional DNS name, needed for endpoint_dns and api_id_header.",
        ),
        Key::optional(
            "zones",
            Shape::Map(&shapes::ZONE_ADDRESS),
            "",
            "The zones by AZ ID, each with its address or zonal DNS name; a port is allowed.",
        ),
        Key::optional("cidrs", Shape::List(&shapes::CIDR), "", "Further ranges that count as private."),
        Key::optional(
            "url",
            shapes::ENDPOINT_URL,
            "https://127.0.0.1:8443",
            "Where to connect instead; signed host and TLS name stay. Plain http only to loopback.",
        ),
        Key::optional(
            "ca_file",
            shapes::FILE,
            "ca.pem",
            "A PEM file with certificate authorities to trust besides the system's, relative to this file.",
        ),
    ],
};

static STS: Section = Section {
    about: "Where STS is.",
    keys: &[Key::optional(
        "endpoint_url",
        shapes::STS_URL,
        "https://sts.eu-west-1.amazonaws.com",
        "Another address of STS than the regional one. Plain http only to loopback.",
    )],
};

/// The hub, as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Hub {
    /// The region of endpoint and apis.
    pub region: Region,
    /// The agent's own role, where it is named.
    pub role_arn: Option<RoleArn>,
    /// The organisation.
    pub organization: Option<Organization>,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Another address of STS.
    pub sts_endpoint_url: Option<String>,
    /// Twins may be signed with the agent's own credentials.
    pub twins: bool,
}

/// The AWS organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id, `o-…`.
    pub id: String,
    /// Paths of organisational units.
    pub paths: Vec<String>,
}

/// The shared endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Its id.
    pub id: VpcEndpointId,
    /// The style for apis that do not say another.
    pub addressing: Addressing,
    /// Its regional DNS name.
    pub dns_name: Option<DnsName>,
    /// Its zones.
    pub zones: BTreeMap<ZoneId, ZoneAddress>,
    /// Further private ranges.
    pub cidrs: Vec<IpNet>,
    /// Where to connect instead.
    pub url: Option<UrlOverride>,
    /// PEM text of further authorities.
    pub ca_pem: Option<String>,
    /// Where the section is, for problems of apis that inherit from it.
    pub place: Place,
}

/// Reads the section.
pub(crate) fn read(value: &Value<'_>, files: FileReader<'_>) -> Option<Hub> {
    let fields = value.fields(&HUB)?;
    let region: Option<Region> = fields.get("region").and_then(|v| v.parsed("a region code"));
    let role_arn = fields.get("role_arn").and_then(|v| {
        let arn: RoleArn = v.parsed("a role ARN")?;
        match &region {
            Some(region) if region.partition() != arn.partition() => {
                let wanted = format!("a role in the partition {} of the region", region.partition());
                v.refuse(wanted, None)
            }
            _ => Some(arn),
        }
    });
    let organization = fields.get("organization").and_then(|v| read_organization(&v));
    let endpoint = fields.get("endpoint").and_then(|v| read_endpoint(&v, files));
    let sts_endpoint_url = fields.get("sts").and_then(|v| v.fields(&STS)).and_then(|sts| {
        let url = sts.get("endpoint_url")?;
        let text = url.text("an https URL")?.text;
        read_url(&url, &text)?;
        Some(text.trim_end_matches('/').to_owned())
    });
    let twins = fields.get("twins").and_then(|v| v.boolean()).unwrap_or(false);
    Some(Hub { region: region?, role_arn, organization, endpoint: endpoint?, sts_endpoint_url, twins })
}

fn read_organization(value: &Value<'_>) -> Option<Organization> {
    let fields = value.fields(&ORGANIZATION)?;
    let id = fields.get("id").and_then(|v| {
        let text = v.text("an organisation id")?.text;
        // Organizations API reference, `Organization`: `o-` and 10 to 32 lower-case letters and digits.
        let fits = text.strip_prefix("o-").is_some_and(|id| {
            (10..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
        if fits { Some(text) } else { v.refuse(shapes::ORGANIZATION_ID.wanted(), None) }
    });
    let paths = texts(&fields, "paths", |v, text| {
        let fits =
            text.starts_with("o-") && text.len() <= 1_024 && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Some(text) } else { v.refuse(shapes::ORGANIZATION_PATH.wanted(), None) }
    });
    Some(Organization { id: id?, paths })
}

fn read_endpoint(value: &Value<'_>, files: FileReader<'_>) -> Option<Endpoint> {
    let fields = value.fields(&ENDPOINT)?;
    let id = fields.get("id").and_then(|v| v.parsed("an endpoint id"));
    let addressing = fields.get("addressing").and_then(|v| read_addressing(&v)).unwrap_or_default();
    let dns_name = fields.get("dns_name").and_then(|v| v.parsed("a DNS name"));
    let mut zones = BTreeMap::new();
    for (key, address) in fields.get("zones").and_then(|v| v.entries("a map of AZ IDs")).unwrap_or_default() {
        let zone = key.parse::<ZoneId>();
        if zone.is_err() {
            address.problem::<()>(format!("the key {}", quoted(key)), ZoneId::WANTED, None);
        }
        if let (Some(address), Ok(zone)) = (read_zone_address(&address), zone) {
            zones.insert(zone, address);
        }
    }
    let cidrs = texts(&fields, "cidrs", |v, text| {
        text.parse::<IpNet>().ok().or_else(|| v.refuse(shapes::CIDR.wanted(), None))
    });
    let url = fields.get("url").and_then(|v| {
        let text = v.text("a URL")?.text;
        read_url(&v, &text)
            .and_then(|(url, path)| if path { v.refuse("a URL without a path", None) } else { Some(url) })
    });
    let ca_pem = fields.get("ca_file").and_then(|v| {
        let pem = files(&v)?;
        if pem.contains("-----BEGIN CERTIFICATE-----") {
            Some(pem)
        } else {
            v.problem("a file without a certificate", "a PEM file with certificates", None)
        }
    });
    Some(Endpoint { id: id?, addressing, dns_name, zones, cidrs, url, ca_pem, place: value.place() })
}

/// Reads an addressing style.
pub(crate) fn read_addressing(value: &Value<'_>) -> Option<Addressing> {
    value.word(&shapes::ADDRESSING_WORDS)?.parse().ok()
}

/// The texts of a list, each checked.
fn texts<T>(
    fields: &Fields<'_>,
    key: &'static str,
    check: impl Fn(&Value<'_>, String) -> Option<T>,
) -> Vec<T> {
    let items = fields.get(key).and_then(|v| v.items("a list")).unwrap_or_default();
    items.iter().filter_map(|item| check(item, item.text("a text")?.text)).collect()
}

fn read_zone_address(value: &Value<'_>) -> Option<ZoneAddress> {
    let text = value.text("an address")?.text;
    text.parse().ok().or_else(|| value.refuse(shapes::ZONE_ADDRESS.wanted(), None))
}

/// An http or https URL without user, query and fragment; the flag tells whether it has a path.
///
/// Credentials or session tokens go to these addresses, so plain http stays on this machine.
fn read_url(value: &Value<'_>, text: &str) -> Option<(UrlOverride, bool)> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    match format!("{scheme}://{authority}").parse() {
        Ok(_) if path.contains(['?', '#', ' ']) => value.refuse(UrlOverride::WANTED, None),
        Ok(url) => Some((url, !path.is_empty())),
        Err(Invalid { wanted }) => value.refuse(wanted, None),
    }
}
