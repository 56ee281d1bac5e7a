//! Every way to address a private API leads to it, in memory and over sockets; zones are reached one by one.

use crate::sockets::{Agent, demo_head, hub_on_sockets, plan_against};
use crate::stage::{Stage, api_of, plan_of_documents, quiet_world};
use spokeprobe::recording::Recorder;
use spokeprobe::simulator::world::CustomDomain;
use spokeprobe::simulator::{ServerOptions, World};
use std::sync::Arc;

const SPOKES: &str = "
defaults: {every: 1s}
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis:
      - {name: by-private-dns, id: a1b2c3d4e5, stage: api, addressing: private_dns, probes: &probes-1}
      - {name: by-endpoint-dns, id: a1b2c3d4e5, stage: api, addressing: endpoint_dns, probes: &probes-2}
      - {name: by-header, id: a1b2c3d4e5, stage: api, addressing: api_id_header, probes: &probes-3}
      - {name: by-alias, id: a1b2c3d4e5, stage: api, addressing: alias, probes: &probes-4}
      - {name: by-domain, domain: payments.internal.example.com, base_path: v1, probes: &probes-5}
      - {name: by-domain-and-endpoint, domain: payments.internal.example.com, base_path: v1, addressing: endpoint_dns, probes: &probes-6}
";

/// Signed GET with a query as it is, and POST with a body, for each api.
const PROBES: &str = "
          - {name: get, request: 'GET /?b=2&a=x%2Fy&a=', expect: {json: {hello: world}}}
          - {name: post, request: POST /greet, json: {name: buddy}, expect: {json: {hello: buddy}}}
";

fn spokes() -> String {
    let mut text = SPOKES.to_owned();
    for number in 1..=6 {
        // The list belongs to the api, so it is written in flow style: anchors are refused.
        let flow = PROBES.trim().replace("\n          - ", ", ").replacen("- ", "", 1);
        text = text.replace(&format!("&probes-{number}"), &format!("[{flow}]"));
    }
    text
}

fn world() -> World {
    let mut world = quiet_world();
    api_of(&mut world, "012345678901").domain = Some(CustomDomain {
        name: "payments.internal.example.com".into(),
        base_path: "v1".into(),
        stage: "api".into(),
    });
    world
}

fn all_are_ok(recorder: &Recorder) {
    let targets = recorder.snapshot().targets;
    assert_eq!(targets.len(), 12);
    for status in targets {
        let last = status.last.unwrap();
        assert!(last.expected, "{}: {} {:?}", status.target.id, last.reason, last.message);
    }
}

#[tokio::test(start_paused = true)]
async fn in_memory_every_address_leads_to_the_api() {
    let head: String = demo_head().lines().filter(|line| !line.contains("${") && *line != "  sts:").fold(
        String::new(),
        |mut head, line| {
            head.push_str(line);
            head.push('\n');
            head
        },
    );
    let plan = plan_of_documents(&format!("{head}{}", spokes()), &[], &|_| None);
    let stage = Stage::start(world(), &plan);
    stage.after_seconds(3).await;
    all_are_ok(&stage.recorder);
    stage.end().await;
}

#[tokio::test]
async fn over_sockets_every_address_leads_to_the_api() {
    let simulator = hub_on_sockets(world(), ServerOptions::default()).await;
    let plan = plan_against(&simulator, &format!("{}{}", demo_head(), spokes()), &[]);
    let agent = Agent::start(simulator, &plan, |seams| seams).await;
    agent.until_all_ended(2).await;
    all_are_ok(&agent.recorder);
    agent.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_goes_dark_is_seen_alone() {
    let plan = plan_of_documents(
        "
hub:
  region: eu-west-1
  role_arn: arn:aws:iam::111122223333:role/spokeprobe-hub
  endpoint:
    id: vpce-0123456789abcdef0
    zones: {euw1-az1: 10.0.1.17, euw1-az2: 10.0.2.23}
defaults: {every: 10s, timeout: 5s}
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        probes:
          - {name: hello, request: GET /, per_zone: true, connection: fresh}
          - {name: unsigned, request: GET /, as: anonymous, per_zone: true, expect: {denied: true}}
",
        &[],
        &|_| None,
    );
    let stage = Stage::start(quiet_world(), &plan);
    stage.after_seconds(20).await;
    let (one, two) = ("payments/hoot/hello@euw1-az1", "payments/hoot/hello@euw1-az2");
    assert_eq!(
        (stage.last(one).as_str(), stage.last(two).as_str()),
        ("ok/none, expected", "ok/none, expected")
    );

    let mut gone = None;
    stage.hub.change(|world| gone = world.endpoint.zones.remove("euw1-az2"));
    stage.after_seconds(20).await;
    assert_eq!(stage.last(one), "ok/none, expected");
    assert_eq!(stage.last(two), "unreachable/connect_timeout, unexpected");
    let zone = |zone| [("probe", "hello"), ("zone", zone)];
    assert_eq!(stage.metric("spokeprobe_up", &zone("euw1-az1")), Some(1.0));
    assert_eq!(stage.metric("spokeprobe_up", &zone("euw1-az2")), Some(0.0));
    // A door is a door whatever the zone, and silence is no evidence.
    assert_eq!(stage.metric("spokeprobe_door_open", &[("probe", "unsigned")]), Some(0.0));

    stage.hub.change(|world| {
        world.endpoint.zones.insert("euw1-az2".into(), gone.unwrap());
    });
    stage.after_seconds(20).await;
    assert_eq!(stage.last(two), "ok/none, expected");
    let recorder = Arc::clone(&stage.recorder);
    let counts = stage.end().await;
    let answered = recorder.snapshot().targets.into_iter().flat_map(|status| status.counts.results);
    let answered: u64 = answered.filter(|each| each.code.is_some()).map(|each| each.count).sum();
    assert_eq!(counts.total(), answered, "what met a dead address was never read");
}
