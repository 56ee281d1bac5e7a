//! Where the play is set: so many spokes as a simulated world, and the configuration of an agent that probes them.
//! Pure.
//!
//! Two styles of spokes take turns. An open one lets every caller of the organisation in whose own policies allow it;
//! a narrow one names the one role that may call. Every few spokes one has guards, zones, a rate or a short session.

use serde_json::{Value, json};
use spokeprobe::domain::outcome::Reason;
use spokeprobe::simulator::World;
use std::fmt::Write as _;
use std::time::Duration;

pub(crate) const ZONES: [(&str, &str); 3] =
    [("euw1-az1", "10.0.1.17"), ("euw1-az2", "10.0.2.23"), ("euw1-az3", "10.0.3.29")];
pub(crate) const HUB_ROLE: &str = "arn:aws:iam::111122223333:role/spokeprobe-hub";
const ENDPOINT: &str = "vpce-0123456789abcdef0";
const REGION: &str = "eu-west-1";
pub(crate) const ORGANIZATION: &str = "o-a1b2c3d4e5";

/// How large it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) spokes: usize,
    pub(crate) every: Duration,
}

/// How a spoke is written in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    Usual,
    /// Probed half as often.
    Slower,
    /// Another request: one more header.
    Header,
    /// Other labels, which are on `spoke_info` only.
    Labels,
    /// Shorter sessions, which are other sessions.
    OtherSession,
}

impl Variant {
    pub(crate) const ALL: [Self; 5] =
        [Self::Usual, Self::Slower, Self::Header, Self::Labels, Self::OtherSession];
}

/// True for a spoke under whose role another one's guard asks.
pub(crate) const fn is_needed_by_another(spoke: usize, scale: Scale) -> bool {
    spoke < scale.spokes && (spoke % 5 == 1 || spoke % 5 == 2 || spoke == 0)
}

/// What one target is, as far as the checks need to know.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// As the agent writes it: `SPOKE/API/PROBE` or `SPOKE/API/PROBE@ZONE`.
    pub(crate) id: String,
    /// The spoke whose api is called.
    pub(crate) spoke: usize,
    pub(crate) kind: Kind,
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Signed by the spoke's own role, expects an answer.
    Plain,
    /// The same, pinned to a zone.
    Zonal(usize),
    /// A guard without a signature.
    Unsigned,
    /// A guard with another spoke's role.
    Other(usize),
    /// A guard with the hub's own credentials.
    Hub,
}

impl Subject {
    /// The spoke whose role signs.
    pub(crate) const fn role(&self) -> Option<usize> {
        match self.kind {
            Kind::Plain | Kind::Zonal(_) => Some(self.spoke),
            Kind::Other(spoke) => Some(spoke),
            Kind::Unsigned | Kind::Hub => None,
        }
    }

    pub(crate) const fn is_signed(&self) -> bool {
        !matches!(self.kind, Kind::Unsigned)
    }

    pub(crate) const fn is_guard(&self) -> bool {
        matches!(self.kind, Kind::Unsigned | Kind::Other(_) | Kind::Hub)
    }

    /// How it ends while nothing is wrong.
    pub(crate) const fn in_peace(&self) -> &'static [Reason] {
        match self.kind {
            Kind::Plain | Kind::Zonal(_) => &[Reason::None],
            Kind::Unsigned => &[Reason::VpcEndpointPolicy],
            // The vaguer one until the narrower is known.
            Kind::Other(_) | Kind::Hub => {
                &[Reason::ResourcePolicy, Reason::ResourceOrIdentityPolicy, Reason::IdentityPolicy]
            }
        }
    }
}

pub(crate) fn spoke_name(spoke: usize) -> String {
    format!("s{spoke:03}")
}

pub(crate) fn account(spoke: usize) -> String {
    format!("2{spoke:011}")
}

pub(crate) fn api_id(spoke: usize) -> String {
    format!("api{spoke:07}")
}

pub(crate) fn role_arn(spoke: usize) -> String {
    format!("arn:aws:iam::{}:role/spokeprobe", account(spoke))
}

/// True for a spoke whose api names the one role that may call.
pub(crate) const fn is_narrow(spoke: usize) -> bool {
    spoke % 2 == 1
}

/// The world in peace. Place `n + 1` of the accounts is spoke `n`; the hub comes first.
pub(crate) fn world(scale: Scale) -> World {
    let mut accounts = vec![json!({
        "id": "111122223333", "name": "hub", "organization": ORGANIZATION,
        "roles": [{
            "name": "spokeprobe-hub",
            "policies": [{"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": "arn:aws:iam::*:role/spokeprobe"}
            ]}],
        }],
    })];
    accounts.extend((0..scale.spokes + crate::reloads::reserve(scale)).map(spoke_account));
    let zones: serde_json::Map<String, Value> =
        ZONES.iter().map(|(zone, address)| ((*zone).to_owned(), json!(address))).collect();
    let world = json!({
        "region": REGION,
        "hub": {"account": "111122223333", "role": "spokeprobe-hub", "credentials_life": "6h"},
        "endpoint": {
            "id": ENDPOINT, "suffix": "abcdefgh", "vpc": "vpc-0123456789abcdef0", "zones": zones,
            "policy": endpoint_policy(ORGANIZATION, None), "certificate_days": 395,
        },
        "sts": {"latency": "60ms"},
        "accounts": accounts,
    });
    World::parse(&world.to_string()).unwrap_or_else(|problem| panic!("{problem}"))
}

/// The policy of the endpoint: callers of one organisation, and perhaps nobody at one account's apis.
pub(crate) fn endpoint_policy(organization: &str, without: Option<usize>) -> Value {
    let mut statements = vec![json!({
        "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": organization}},
    })];
    statements.extend(without.map(|spoke| {
        let resource = format!("arn:aws:execute-api:{REGION}:{}:*", account(spoke));
        json!({"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": resource})
    }));
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn spoke_account(spoke: usize) -> Value {
    let (id, name) = (account(spoke), spoke_name(spoke));
    let vpce = json!({"aws:SourceVpce": ENDPOINT});
    let statements = if is_narrow(spoke) {
        json!([
            {"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{id}:root")}, "Action": "execute-api:Invoke",
             "Resource": "execute-api:/*",
             "Condition": {"StringEquals": vpce, "ArnEquals": {"aws:PrincipalArn": role_arn(spoke)}}},
            {"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
             "Condition": {"ArnNotEquals": {"aws:PrincipalArn": role_arn(spoke)}}},
        ])
    } else {
        json!([{"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
                "Condition": {"StringEquals": vpce}}])
    };
    json!({
        "id": id, "name": name, "organization": ORGANIZATION,
        "roles": [{
            "name": "spokeprobe",
            "trust": {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {
                    "ArnEquals": {"aws:PrincipalArn": HUB_ROLE},
                    "StringEquals": {"sts:ExternalId": format!("spokeprobe-{name}")},
                },
            }]},
            "policies": [{"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Action": "execute-api:Invoke",
                "Resource": format!("arn:aws:execute-api:{REGION}:{id}:*"),
            }]}],
        }],
        "apis": [{
            "id": api_id(spoke), "name": "hoot", "stages": ["api"],
            "resource_policy": {"Version": "2012-10-17", "Statement": statements},
            "latency": format!("{}ms", 8 + spoke % 40),
            "routes": [
                {"method": "GET", "path": "/", "authorization": "AWS_IAM", "integration": {"json": {"hello": "world"}}},
                {"method": "POST", "path": "/greet", "authorization": "AWS_IAM", "integration": "greet"},
            ],
        }],
    })
}

/// The part of the configuration that stands before the spokes.
pub(crate) fn head(scale: Scale) -> String {
    let zones: Vec<String> = ZONES.iter().map(|(zone, address)| format!("{zone}: {address}")).collect();
    format!(
        "hub:
  region: {REGION}
  role_arn: {HUB_ROLE}
  organization: {{id: {ORGANIZATION}}}
  endpoint:
    id: {ENDPOINT}
    addressing: private_dns
    dns_name: {ENDPOINT}-abcdefgh.execute-api.{REGION}.vpce.amazonaws.com
    zones: {{{}}}
defaults: {{role: spokeprobe, session_name: spokeprobe, duration: 1h, every: {}s, timeout: 10s}}
",
        zones.join(", "),
        scale.every.as_secs(),
    )
}

/// One spoke of the configuration, and its targets.
pub(crate) fn spoke(spoke: usize, scale: Scale, variant: Variant) -> (String, Vec<Subject>) {
    let (name, seldom) = (spoke_name(spoke), scale.every * 6);
    let usual = if variant == Variant::Slower { scale.every * 2 } else { scale.every };
    let header = if variant == Variant::Header { ", headers: {x-variant: '1'}" } else { "" };
    let mut probes = String::new();
    let mut subjects = Vec::new();
    let mut add =
        |probe: &str, rest: &str, kind: Kind, every: Duration, timeout: u64| {
            let _written = writeln!(
                probes,
                "          - {{name: {probe}, every: {}s, timeout: {timeout}s, {rest}}}",
                every.as_secs()
            );
            let id = format!("{name}/hoot/{probe}");
            let timeout = Duration::from_secs(timeout);
            match kind {
                Kind::Zonal(_) => subjects.extend(ZONES.iter().enumerate().map(|(zone, (word, _))| {
                    Subject { id: format!("{id}@{word}"), spoke, kind: Kind::Zonal(zone), every, timeout }
                })),
                kind => subjects.push(Subject { id, spoke, kind, every, timeout }),
            }
        };
    let timeout = if spoke % 7 == 6 { 31 } else { 10 };
    add(
        "hello",
        &format!("request: GET /, expect: {{status: 200, json: {{hello: world}}}}{header}"),
        Kind::Plain,
        usual,
        timeout,
    );
    if spoke.is_multiple_of(5) {
        let rest = "request: GET /, as: anonymous, expect: {denied_by: vpc_endpoint_policy}";
        add("unsigned-is-refused", rest, Kind::Unsigned, seldom, 10);
    }
    if spoke % 5 < 2 && scale.spokes > 1 {
        let other = if spoke < scale.spokes { (spoke + 1) % scale.spokes } else { 1 };
        let rest = format!("request: GET /, as: 'spoke:{}', expect: {{denied: true}}", spoke_name(other));
        add("other-is-refused", &rest, Kind::Other(other), seldom, 10);
    }
    if spoke % 10 == 2 {
        let rest = "request: GET /, as: hub, expect: {denied: true}";
        add("hub-is-refused", rest, Kind::Hub, seldom, 10);
    }
    if spoke % 10 == 3 {
        add("zones", "request: GET /, per_zone: true", Kind::Zonal(0), scale.every * 4, 10);
    }
    if spoke % 10 == 4 {
        let rest = "request: POST /greet, json: {name: buddy}, expect: {status: 200, json: {hello: buddy}}";
        add("greet", rest, Kind::Plain, seldom, 10);
    }
    let duration = match variant {
        Variant::OtherSession => "\n    duration: 30m",
        _ if spoke % 6 == 5 => "\n    duration: 15m",
        _ => "",
    };
    let team = if variant == Variant::Labels { 7 } else { spoke % 4 };
    let text = format!(
        "  - name: {name}
    account: '{}'
    external_id: spokeprobe-{name}{duration}
    labels: {{team: t{}}}
    apis:
      - name: hoot
        id: {}
        stage: api
        probes:
{probes}",
        account(spoke),
        team,
        api_id(spoke),
    );
    (text, subjects)
}
