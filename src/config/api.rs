//! An api of a spoke: one private REST API and stage, or a private custom domain name.

use crate::config::hub::read_addressing;
use crate::config::keys::{Key, Section, Shape};
use crate::config::probe::{self, Probe};
use crate::config::reader::{Fields, Place, Value};
use crate::config::shapes;
use crate::config::surroundings::{Surroundings, refuse_repeated};
use crate::domain::api::{Addressing, ApiName, DnsName};
use crate::domain::name::Name;

pub(crate) static API: Section = Section {
    about: "One private REST API and stage, or a private custom domain name.",
    keys: &[
        Key::required("name", shapes::NAME, "hoot", "The api's name, a label of its metrics."),
        Key::optional(
            "id",
            shapes::API_ID,
            "a1b2c3d4e5",
            "The id of the REST API; with `stage`, or else `domain`.",
        ),
        Key::optional("stage", shapes::STAGE, "api", "The stage that is called."),
        Key::optional(
            "domain",
            shapes::DNS_NAME,
            "private.example.com",
            "A private custom domain name, instead of `id` and `stage`.",
        ),
        Key::optional(
            "base_path",
            shapes::BASE_PATH,
            "orders",
            "The base path of the mapping, with `domain` only.",
        ),
        Key::optional(
            "addressing",
            shapes::ADDRESSING,
            "private_dns",
            "How this api is addressed. Default: hub.endpoint.addressing.",
        ),
        Key::optional(
            "max_rate",
            Shape::Rate,
            "50/s",
            "Opts in to load: the highest rate that `rate` and runs of load may ask for.",
        ),
        Key::optional("probes", Shape::List(&Shape::Section(&probe::PROBE)), "", "What is asked of the api."),
    ],
};

/// An api, as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// Its name.
    pub name: Name,
    /// Its name on the wire.
    pub api: ApiName,
    /// How it is addressed.
    pub addressing: Addressing,
    /// The highest rate that may be asked of it, per second; `None` without opt-in.
    pub max_rate: Option<f64>,
    /// Its probes.
    pub probes: Vec<Probe>,
    /// Where it is.
    pub place: Place,
}

/// Reads one api.
pub(crate) fn read(value: &Value<'_>, around: &Surroundings<'_>) -> Option<Api> {
    let fields = value.fields(&API)?;
    let name: Option<Name> = fields.get("name").and_then(|v| v.parsed(Name::WANTED));
    let api = read_name(&fields);
    let own = fields.get("addressing").map(|v| read_addressing(&v));
    let addressing = match own {
        Some(own) => own,
        None => Some(around.endpoint.map(|endpoint| endpoint.addressing).unwrap_or_default()),
    };
    if let (Some(addressing), Some(api)) = (addressing, &api) {
        check_addressing(&fields, addressing, api, around);
    }
    // A rate that could not be read has its own problem, and must not cause another at each probe and load.
    let max_rate = fields.get("max_rate").map(|v| v.rate().unwrap_or(f64::INFINITY));
    let rules = probe::Rules { max_rate, addressing: addressing.unwrap_or_default() };
    let probes = fields.get("probes").and_then(|v| v.named_items("probe")).unwrap_or_default();
    let probes: Vec<Probe> = probes.iter().filter_map(|item| probe::read(item, &rules, around)).collect();
    refuse_repeated(value, probes.iter().map(|probe| (&probe.name, &probe.place)), "probe");
    Some(Api { name: name?, api: api?, addressing: addressing?, max_rate, probes, place: value.place() })
}

fn read_name(fields: &Fields<'_>) -> Option<ApiName> {
    let id = fields.get("id").map(|v| v.parsed("an api id"));
    let stage = fields.get("stage").map(|v| v.parsed("a stage name"));
    let domain = fields.get("domain").map(|v| v.parsed::<DnsName>(DnsName::WANTED));
    let base_path = fields.get("base_path").map(|v| read_base_path(&v));
    let value = &fields.value;
    match (id, stage, domain, base_path) {
        (Some(id), Some(stage), None, None) => Some(ApiName::Id { id: id?, stage: stage? }),
        (None, None, Some(domain), base_path) => {
            let base_path = base_path.unwrap_or_else(|| Some(String::new()));
            Some(ApiName::Domain { domain: domain?, base_path: base_path? })
        }
        (None, None, None, _) => {
            value.problem("neither `id` nor `domain`", "`id` and `stage`, or `domain`", None)
        }
        (Some(_), None, None, _) => value.problem("no `stage`", "the stage that is called", None),
        (None, Some(_), None, _) => value.problem("no `id`", "the id of the REST API", None),
        (Some(_), Some(_), None, Some(_)) => {
            value.problem("`base_path` beside `id`", "`base_path` with `domain` only", None)
        }
        (_, _, Some(_), _) => {
            value.problem("`domain` beside `id` or `stage`", "`id` and `stage`, or `domain`", None)
        }
    }
}

/// A base path may have several levels (API Gateway developer guide, "API mappings").
fn read_base_path(value: &Value<'_>) -> Option<String> {
    let wanted = shapes::BASE_PATH.wanted();
    let text = value.text(&wanted)?.text;
    let part = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"$-_.!*'()".contains(&b))
    };
    if text.len() <= 300 && text.split('/').all(part) {
        Some(text)
    } else {
        let hint =
            (text.starts_with('/') || text.ends_with('/')).then_some("leave the slashes around it out");
        value.refuse(wanted, hint)
    }
}

/// Source: API Gateway developer guide, "Invoke a private API" and "Invoke a private custom domain name":
/// the alias and the id header name an API, and a custom domain name has no id to put there.
fn check_addressing(fields: &Fields<'_>, addressing: Addressing, api: &ApiName, around: &Surroundings<'_>) {
    let at = fields.get("addressing").unwrap_or_else(|| fields.value.clone());
    let found = format!("the addressing {addressing}");
    let by_id = matches!(addressing, Addressing::Alias | Addressing::ApiIdHeader);
    if by_id && matches!(api, ApiName::Domain { .. }) {
        let wanted = "private_dns or endpoint_dns for a custom domain name";
        at.problem::<()>(found.clone(), wanted, Some("set `addressing` of the api"));
    }
    let by_name = matches!(addressing, Addressing::EndpointDns | Addressing::ApiIdHeader);
    if by_name && around.endpoint.is_some_and(|endpoint| endpoint.dns_name.is_none()) {
        at.problem::<()>(
            found,
            "`hub.endpoint.dns_name` with it",
            Some("add the endpoint's regional DNS name"),
        );
    }
}
