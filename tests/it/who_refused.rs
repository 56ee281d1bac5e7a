//! Four hands take a call away, or let one in that must be refused, and give it back: the endpoint's policy loses
//! a role, a resource policy loses the endpoint, a role's trust changes, an api opens itself to anyone. Outcome,
//! metric, status and page say who it was within two intervals, and nobody else is blamed.

use crate::conservation::both_counted_the_same;
use crate::stage::{Stage, dawn, plan_of, policy, quiet_world, role_of};
use serde_json::{Value, json};
use spokeprobe::recording::Recorder;
use spokeprobe::seams::Clock as _;
use spokeprobe::simulator::World;
use spokeprobe::simulator::world::Span;
use spokeprobe::web;
use std::sync::Arc;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(15);
/// A change takes place so long after its chapter begins, and is mended so long after that.
const HOLDS: Duration = Duration::from_secs(75);
const CHAPTER: Duration = Duration::from_secs(150);

const ENDPOINT: &str = "vpce-0123456789abcdef0";
const KIOSK: &str = "135713571357";

const PLAN: &str = "
defaults: {every: 15s}
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis: [{name: hoot, id: a1b2c3d4e5, stage: api, probes: [{name: hello, request: GET /}]}]
  - name: orders
    account: '222233334444'
    external_id: spokeprobe-orders
    apis: [{name: orders, id: b2c3d4e5f6, stage: api, probes: [{name: hello, request: GET /}]}]
  - name: kiosk
    account: '135713571357'
    external_id: spokeprobe-kiosk
    apis: [{name: kiosk, id: s9t0u1v2w3, stage: api, probes: [{name: hello, request: GET /}]}]
  - name: notes
    account: '999900001111'
    external_id: spokeprobe-notes
    apis:
      - name: notes
        id: i9j0k1l2m3
        stage: api
        probes:
          - {name: hello, request: GET /}
          - {name: unsigned-is-refused, request: GET /, as: anonymous, expect: {denied: true}}
          - {name: orders-is-refused, request: GET /, as: spoke:orders, expect: {denied: true}}
";

/// Who is told of in a chapter, and how.
struct Told {
    target: &'static str,
    outcome: &'static str,
    reason: &'static str,
    code: &'static str,
}

/// Every target, and what is told of it while a chapter's change holds; all others are as expected.
const CHAPTERS: [&[Told]; 4] = [
    &[Told { target: "payments/hoot/hello", outcome: "denied", reason: "vpc_endpoint_policy", code: "403" }],
    &[Told { target: "orders/orders/hello", outcome: "denied", reason: "resource_policy", code: "403" }],
    &[Told { target: "kiosk/kiosk/hello", outcome: "unsent", reason: "assume_role_denied", code: "none" }],
    &[
        Told { target: "notes/notes/unsigned-is-refused", outcome: "ok", reason: "none", code: "200" },
        Told { target: "notes/notes/orders-is-refused", outcome: "ok", reason: "none", code: "200" },
    ],
];

/// The endpoint lets these spokes' roles pass, and everybody to the notes.
fn endpoint_policy(accounts: &[&str]) -> Value {
    let roles: Vec<String> =
        accounts.iter().map(|account| format!("arn:aws:iam::{account}:role/spokeprobe")).collect();
    json!({"Version": "2012-10-17", "Statement": [
        {
            "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "*",
            "Condition": {"ArnEquals": {"aws:PrincipalArn": roles}},
        },
        {
            "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke",
            "Resource": "arn:aws:execute-api:eu-west-1:999900001111:*",
        },
    ]})
}

/// A resource policy for one endpoint, and for one role if an account is given.
fn resource_policy(endpoint: &str, account: Option<&str>) -> Value {
    let deny = |condition: Value| {
        json!({
            "Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
            "Condition": condition,
        })
    };
    let mut statements = vec![
        json!({"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}),
        deny(json!({"StringNotEquals": {"aws:SourceVpce": endpoint}})),
    ];
    if let Some(account) = account {
        let role = format!("arn:aws:iam::{account}:role/spokeprobe");
        statements.push(deny(json!({"ArnNotEquals": {"aws:PrincipalArn": role}})));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn trust(hub_role: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {
            "ArnEquals": {"aws:PrincipalArn": format!("arn:aws:iam::111122223333:role/{hub_role}")},
            "StringEquals": {"sts:ExternalId": "spokeprobe-kiosk"},
        },
    }]})
}

/// The demo's world with policies that name roles, and the four stories one after the other.
fn world() -> World {
    let all = ["012345678901", "222233334444", KIOSK, "999900001111"];
    let mut world = quiet_world();
    world.endpoint.policy = Some(policy(endpoint_policy(&all)));
    // Sessions so short that a lost trust shows within an interval.
    role_of(&mut world, KIOSK).session_life = Some(Span::from_seconds(10));
    let closed = resource_policy(ENDPOINT, Some("999900001111"));
    let notes = |policy: &Value, authorization: &str| {
        json!({
            "resource_policy": {"api": "i9j0k1l2m3", "to": policy},
            "authorization": {"api": "i9j0k1l2m3", "to": authorization},
        })
    };
    let orders = |endpoint: &str| {
        let policy = resource_policy(endpoint, Some("222233334444"));
        json!({"resource_policy": {"api": "b2c3d4e5f6", "to": policy}})
    };
    let kiosk = |hub: &str| json!({"trust": {"account": KIOSK, "role": "spokeprobe", "to": trust(hub)}});
    let stories = [
        [
            json!({"endpoint_policy": endpoint_policy(&all[1..])}),
            json!({"endpoint_policy": endpoint_policy(&all)}),
        ],
        [orders("vpce-0fedcba9876543210"), orders(ENDPOINT)],
        [kiosk("somebody-else"), kiosk("spokeprobe-hub")],
        [notes(&resource_policy(ENDPOINT, None), "NONE"), notes(&closed, "AWS_IAM")],
    ];
    let mut timeline = vec![json!({"after": "0s", "change": notes(&closed, "AWS_IAM")})];
    for (chapter, [breaks, mends]) in (1..).zip(stories) {
        let at = CHAPTER * chapter;
        timeline.push(json!({"after": format!("{}s", at.as_secs()), "change": breaks}));
        timeline.push(json!({"after": format!("{}s", (at + HOLDS).as_secs()), "change": mends}));
    }
    world.timeline = serde_json::from_value(Value::Array(timeline)).unwrap();
    world
}

/// Everything that the agent shows, read at one moment.
struct Shown<'a> {
    stage: &'a Stage,
    status: Value,
    page: String,
}

impl<'a> Shown<'a> {
    fn by(stage: &'a Stage) -> Self {
        let clock = stage.clock;
        let state = web::State {
            stop_loads: Arc::new(|| 0),
            reload: None,
            recorder: Arc::<Recorder>::clone(&stage.recorder),
            readiness: web::Readiness::new(),
            now: Arc::new(move || clock.wall()),
            started_at: dawn(),
            explain: spokeprobe::app::explanation,
        };
        Self {
            stage,
            status: serde_json::to_value(web::status_of(&state)).unwrap(),
            page: web::page_of(&state, ""),
        }
    }

    /// Holds what is shown of one target against what it is.
    fn names(&self, target: &str, told: Option<&Told>) {
        let [spoke, api, probe]: [&str; 3] = target.split('/').collect::<Vec<_>>().try_into().unwrap();
        let labels = [("spoke", spoke), ("api", api), ("probe", probe)];
        let metric = |name: &str, more: &[(&str, &str)]| self.stage.metric(name, &[&labels, more].concat());
        let up = if told.is_some() { 0.0 } else { 1.0 };
        assert_eq!(metric("spokeprobe_up", &[]), Some(up), "{target} at {}", self.stage.clock.now());
        let targets = self.status["targets"].as_array().unwrap();
        let status = targets.iter().find(|each| {
            (&each["spoke"], &each["api"], &each["probe"]) == (&json!(spoke), &json!(api), &json!(probe))
        });
        let status = status.unwrap();
        assert_eq!(status["expected"], json!(told.is_none()), "{status}");
        let Some(Told { outcome, reason, code, .. }) = told else { return };

        assert_eq!(self.stage.last(target), format!("{outcome}/{reason}, unexpected"));
        let named = [("outcome", *outcome), ("reason", *reason)];
        assert_eq!(
            metric("spokeprobe_last_outcome", &[&named[..], &[("expected", "false")]].concat()),
            Some(1.0)
        );
        assert!(metric("spokeprobe_requests_total", &[&named[..], &[("code", code)]].concat()) >= Some(1.0));
        assert!(metric("spokeprobe_unexpected_results_total", &named) >= Some(1.0));
        assert_eq!((&status["outcome"], &status["reason"]), (&json!(outcome), &json!(reason)));
        let table = self.page.split("id=\"targets\"").nth(1).unwrap();
        let row = table.split("<tr").find(|row| row.contains(target)).unwrap();
        let guard = probe.ends_with("-refused");
        let word = if guard { ">open</strong>" } else { reason };
        let state = if *outcome == "unsent" { "nothing sent" } else { "not as expected" };
        assert!(row.contains(state) && row.contains(word), "{row}");
        assert_eq!(metric("spokeprobe_door_open", &[]), guard.then_some(1.0));
    }

    fn names_all(&self, told: &[Told]) {
        for status in self.stage.recorder.snapshot().targets {
            let target = status.target.id.to_string();
            self.names(&target, told.iter().find(|told| told.target == target));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_refusal_and_each_open_door_is_named_within_two_intervals() {
    let stage = Stage::start(world(), &plan_of(PLAN));
    stage.after(INTERVAL * 2).await;
    Shown::by(&stage).names_all(&[]);
    stage.after(CHAPTER - INTERVAL * 2).await;
    for told in CHAPTERS {
        // The change has just taken place.
        stage.after(INTERVAL * 2).await;
        Shown::by(&stage).names_all(told);
        stage.after(HOLDS - INTERVAL * 2).await;
        Shown::by(&stage).names_all(told);
        stage.after(CHAPTER - HOLDS).await;
        Shown::by(&stage).names_all(&[]);
    }
    let recorder = Arc::clone(&stage.recorder);
    both_counted_the_same(&recorder, &stage.end().await);
}

#[tokio::test(start_paused = true)]
async fn a_lost_trust_is_told_of_where_sts_said_so() {
    let stage = Stage::start(world(), &plan_of(PLAN));
    stage.after(CHAPTER * 3).await;
    let denied = [("spoke", "kiosk"), ("result", "denied")];
    assert_eq!(stage.metric("spokeprobe_assume_role_total", &denied), None);
    stage.after(INTERVAL).await;
    assert!(stage.metric("spokeprobe_assume_role_total", &denied) >= Some(1.0));
    let status = Shown::by(&stage).status;
    let kiosk = status["spokes"].as_array().unwrap().iter().find(|spoke| spoke["name"] == "kiosk").unwrap();
    let refusal = kiosk["credentials"]["refusal"].to_string();
    assert!(refusal.contains("AccessDenied") && refusal.contains("role/spokeprobe"), "{refusal}");
    stage.end().await;
}
