//! Prints random access decisions as JSON lines: the policies, the request, and what our evaluator says.
//!
//! `policy-cases SEED COUNT [MUTANT]`. The same seed gives the same cases. With a mutant, the cases stay and the
//! evaluator is fed wrongly, as if it had forgotten a layer: `test_iam_differential.py` must notice every one.
//! `policies` writes the documents, `conditions` their conditions, `random` is the source of chance.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test tool fails by panicking and prints its result"
)]

mod conditions;
mod policies;
mod random;

use policies::{Place, policy};
use random::Random;
use serde_json::{Value, json};
use spokeprobe::simulator::policy::{
    Caller, CallerPolicies, CallerSession, Decision, Layer, Policy, Request, assume_role, invoke_with_iam,
    invoke_without_authorization, through_endpoint,
};
use std::collections::BTreeMap;

/// The account of the API and of the role that is assumed.
const SPOKE: &str = "222222222222";
/// Another account of the organisation.
const HUB: &str = "111111111111";
/// An account that nobody here belongs to.
const STRANGER: &str = "333333333333";

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A method with `AWS_IAM`.
    Iam,
    /// A method without authorization.
    Open,
    /// `sts:AssumeRole`.
    Assume,
}

/// Ways to feed the evaluator wrongly.
const MUTANTS: &[&str] = &[
    "endpoint",
    "identity",
    "boundary",
    "session",
    "service-control",
    "far",
    "account",
    "organization",
    "tags",
    "network",
    "action",
];

/// The policies of one case, as JSON.
struct Documents {
    identity: Vec<Value>,
    boundary: Option<Value>,
    session: Option<Value>,
    service_control: Vec<Value>,
    far: Option<Value>,
    endpoint: Option<Value>,
}

impl Documents {
    fn of(kind: Kind, random: &mut Random) -> Self {
        let mut maybe =
            |percent, place| random.chance(percent).then(|| policy(place, kind == Kind::Assume, random));
        Self {
            boundary: maybe(25, Place::Attached),
            session: maybe(25, Place::Attached),
            service_control: [maybe(30, Place::Attached), maybe(10, Place::Attached)]
                .into_iter()
                .flatten()
                .collect(),
            identity: [maybe(80, Place::Identity), maybe(20, Place::Identity)]
                .into_iter()
                .flatten()
                .collect(),
            // A role always has a trust policy.
            far: maybe(if kind == Kind::Assume { 100 } else { 85 }, Place::Far),
            endpoint: maybe(if kind == Kind::Assume { 0 } else { 60 }, Place::Endpoint),
        }
    }
}

/// Who asks, from where, for what.
struct Situation {
    caller: CallerSession,
    signed: bool,
    action: &'static str,
    resource: String,
    context: BTreeMap<String, Vec<String>>,
}

impl Situation {
    fn of(kind: Kind, random: &mut Random) -> Self {
        let account = if random.chance(60) { SPOKE } else { HUB };
        let role = random.pick(policies::ROLES);
        let name = role.rsplit('/').next().unwrap();
        let caller = CallerSession {
            account: account.parse().unwrap(),
            role_arn: format!("arn:aws:iam::{account}:role/{role}"),
            session_arn: format!(
                "arn:aws:sts::{account}:assumed-role/{name}/{}",
                random.pick(&["run-1", "run-2"])
            ),
            organization: random.chance(80).then(|| "o-a1b2c3d4e5".to_owned()),
            tags: if random.chance(70) {
                BTreeMap::from([("team".to_owned(), random.pick(&["payments", "orders"]).to_owned())])
            } else {
                BTreeMap::new()
            },
        };
        let mut context = BTreeMap::new();
        let mut set = |percent, key: &str, values: &[&str], random: &mut Random| {
            if random.chance(percent) {
                context.insert(key.to_owned(), vec![random.pick(values).to_owned()]);
            }
        };
        set(85, "aws:SourceVpce", &["vpce-0a1", "vpce-0a2"], random);
        set(85, "aws:SourceVpc", &["vpc-1", "vpc-2"], random);
        set(85, "aws:VpcSourceIp", &["10.0.1.17", "10.1.0.9"], random);
        set(90, "aws:SecureTransport", &["true", "true", "false"], random);
        set(90, "aws:CurrentTime", &["2026-11-21T19:25:00Z"], random);
        if kind == Kind::Assume {
            set(70, "sts:ExternalId", &["spokeprobe-payments", "spokeprobe-orders"], random);
            if random.chance(40) {
                context.insert("aws:TagKeys".to_owned(), vec!["team".to_owned(), "env".to_owned()]);
            }
        }
        let (action, resource) = match kind {
            Kind::Assume => ("sts:AssumeRole", format!("arn:aws:iam::{SPOKE}:role/team/probe")),
            _ => (
                "execute-api:Invoke",
                format!(
                    "arn:aws:execute-api:eu-west-1:{SPOKE}:a1b2c3d4e5/{}",
                    random.pick(&[
                        "prod/GET/orders",
                        "prod/GET/orders/7",
                        "prod/POST/orders",
                        "test/GET/health",
                        "prod/GET/a:b"
                    ])
                ),
            ),
        };
        let signed = kind != Kind::Open || random.chance(50);
        Self { caller, signed, action, resource, context }
    }

    /// All condition keys by their names, as AWS would fill them in for this caller. Written here a second time
    /// on purpose: the evaluator adds these by itself.
    fn all_keys(&self) -> BTreeMap<String, Vec<String>> {
        let mut keys = self.context.clone();
        if self.signed {
            let caller = &self.caller;
            keys.insert("aws:PrincipalArn".into(), vec![caller.role_arn.clone()]);
            keys.insert("aws:PrincipalAccount".into(), vec![caller.account.to_string()]);
            keys.insert("aws:PrincipalType".into(), vec!["AssumedRole".into()]);
            keys.insert("aws:PrincipalIsAWSService".into(), vec!["false".into()]);
            if let Some(organization) = &caller.organization {
                keys.insert("aws:PrincipalOrgID".into(), vec![organization.clone()]);
            }
            for (tag, value) in &caller.tags {
                keys.insert(format!("aws:PrincipalTag/{tag}"), vec![value.clone()]);
            }
        } else {
            keys.insert("aws:PrincipalAccount".into(), vec!["anonymous".into()]);
            keys.insert("aws:PrincipalType".into(), vec!["Anonymous".into()]);
        }
        keys
    }
}

fn read(document: &Value) -> Policy {
    Policy::parse(&document.to_string()).unwrap_or_else(|error| panic!("{error}: {document}"))
}

/// What our evaluator says: through the endpoint, and beyond it.
fn decide(
    kind: Kind,
    situation: &Situation,
    documents: &Documents,
    mutant: Option<&str>,
) -> (Decision, Decision) {
    let is = |name| mutant == Some(name);
    let kept = |name, document: &Option<Value>| document.as_ref().filter(|_| !is(name)).map(read);
    let list = |name, documents: &[Value]| -> Vec<Policy> {
        documents.iter().filter(|_| !is(name)).map(read).collect()
    };
    let (identity, service_control) =
        (list("identity", &documents.identity), list("service-control", &documents.service_control));
    let (boundary, session) = (kept("boundary", &documents.boundary), kept("session", &documents.session));
    let policies = CallerPolicies {
        identity: &identity,
        boundary: boundary.as_ref(),
        session: session.as_ref(),
        service_control: &service_control,
    };
    let mut caller = situation.caller.clone();
    if is("organization") {
        caller.organization = None;
    }
    if is("tags") {
        caller.tags.clear();
    }
    let request = Request {
        action: if is("action") { "execute-api:ManageConnections" } else { situation.action },
        resource: &situation.resource,
        context: if is("network") { BTreeMap::new() } else { situation.context.clone() },
    };
    let same_account = (caller.account.to_string() == SPOKE) != is("account");
    let far = kept("far", &documents.far);
    let who = match (situation.signed, &boundary) {
        (false, _) => Caller::Anonymous,
        (true, None) => Caller::Session(&caller),
        (true, Some(_)) => Caller::Bounded(&caller),
    };
    let endpoint = through_endpoint(kept("endpoint", &documents.endpoint).as_ref(), who, &request);
    let beyond = match (kind, &far) {
        (Kind::Iam, far) => invoke_with_iam(&caller, policies, far.as_ref(), same_account, &request),
        (Kind::Open, far) => invoke_without_authorization(far.as_ref(), who, &request),
        (Kind::Assume, Some(trust)) => assume_role(trust, &caller, policies, same_account, &request),
        (Kind::Assume, None) => Decision::Denied { layer: Layer::Trust, explicit: false },
    };
    (endpoint, beyond)
}

fn shown(decision: Decision) -> Value {
    match decision {
        Decision::Allowed => json!({ "result": "Allowed" }),
        Decision::Denied { layer, explicit } => json!({
            "result": if explicit { "ExplicitlyDenied" } else { "ImplicitlyDenied" },
            "layer": match layer {
                Layer::VpcEndpoint => "endpoint",
                Layer::Resource | Layer::Trust => "far",
                Layer::Identity => "identity",
                Layer::Session => "session",
                Layer::PermissionsBoundary => "boundary",
                Layer::ServiceControl => "service_control",
            },
        }),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (seed, count): (u64, u64) = (arguments[1].parse().unwrap(), arguments[2].parse().unwrap());
    let mutant = arguments.get(3).map(String::as_str);
    assert!(mutant.is_none_or(|mutant| MUTANTS.contains(&mutant)), "the mutants are {MUTANTS:?}");
    for id in 0..count {
        // Each case has a seed of its own, so that one can be looked at without those before it.
        let mut random = Random::new(seed ^ id.wrapping_mul(0xd134_2543_de82_ef95));
        let kind = random.pick(&[Kind::Iam, Kind::Iam, Kind::Iam, Kind::Open, Kind::Assume]);
        let situation = Situation::of(kind, &mut random);
        let documents = Documents::of(kind, &mut random);
        let (endpoint, beyond) = decide(kind, &situation, &documents, mutant);
        let case = json!({
            "id": id,
            "kind": match kind { Kind::Iam => "iam", Kind::Open => "open", Kind::Assume => "assume" },
            "signed": situation.signed,
            "caller_account": situation.caller.account.to_string(),
            "role": situation.caller.role_arn,
            "session_arn": situation.caller.session_arn,
            "action": situation.action,
            "resource": situation.resource,
            "resource_account": SPOKE,
            "network_keys": situation.context,
            "keys": situation.all_keys(),
            "identity": documents.identity,
            "boundary": documents.boundary,
            "session": documents.session,
            "service_control": documents.service_control,
            "far": documents.far,
            "endpoint": documents.endpoint,
            "ours": { "endpoint": shown(endpoint), "beyond": shown(beyond) },
        });
        println!("{case}");
    }
}
