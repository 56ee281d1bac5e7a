//! Another network for an agent that runs: other authorities, private ranges, addresses and names. What was counted
//! stays.

use crate::sockets::{Agent, demo_head, hub_on_sockets, plan_against};
use crate::stage::{Stage, plan_of, quiet_world, status_of};
use spokeprobe::domain::api::Addressing;
use spokeprobe::plan::Plan;
use spokeprobe::simulator::ServerOptions;
use std::net::TcpListener;
use std::sync::Arc;

const HELLO: &str = "payments/hoot/hello";

const SPOKE: &str = "
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        probes: [{name: hello, request: GET /, every: 1s, timeout: 1s}]
";

#[tokio::test]
async fn other_authorities_ranges_and_addresses_take_effect_at_once_and_no_count_is_lost() {
    let other = hub_on_sockets(quiet_world(), ServerOptions::default()).await;
    let simulator = hub_on_sockets(quiet_world(), ServerOptions::default()).await;
    let right = plan_against(&simulator, &format!("{}{SPOKE}", demo_head()), &[]);
    let with = |url: Option<&str>, ca: Option<&str>, range: Option<&str>| -> Plan {
        let mut plan = right.clone();
        if let Some(url) = url {
            plan.settings.endpoint.url = Some(url.parse().unwrap());
        }
        if let Some(ca) = ca {
            plan.settings.transport.extra_roots_pem = Some(ca.to_owned());
        }
        if let Some(range) = range {
            plan.settings.transport.private_ranges.push(range.parse().unwrap());
        }
        plan
    };
    // A port that was free a moment ago, and an address of RFC 5737 that is nowhere.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("https://{closed}");
    let nowhere = Some("https://192.0.2.1:9");
    let foreign = Some(other.ca_pem.as_str());

    let agent = Agent::start(simulator, &with(Some(&closed), foreign, None), |seams| seams).await;
    agent.until_last(HELLO, "connect_refused").await;
    let mut ended = 0;
    let steps = [
        (with(None, foreign, None), "certificate"),
        (right.clone(), "none"),
        (with(nowhere, None, None), "dns_public_address"),
        (right.clone(), "none"),
    ];
    for (plan, reason) in steps {
        agent.handle.reconcile(plan).await.unwrap();
        assert!(status_of(&agent.recorder, HELLO).counts.ended() >= ended, "counters live with the labels");
        agent.until_last(HELLO, reason).await;
        let counts = status_of(&agent.recorder, HELLO).counts;
        assert!(counts.ended() > ended, "{counts:?}");
        ended = counts.ended();
    }
    // A range that was not private before: now there is an attempt to connect.
    agent.handle.reconcile(with(nowhere, None, Some("192.0.2.0/24"))).await.unwrap();
    let public = |agent: &Agent| -> u64 {
        let results = status_of(&agent.recorder, HELLO).counts.results;
        results
            .iter()
            .filter(|each| each.reason.as_str() == "dns_public_address")
            .map(|each| each.count)
            .sum()
    };
    let before = public(&agent);
    while status_of(&agent.recorder, HELLO).counts.ended() < ended + 2 {
        agent.after_ms(100).await;
    }
    assert_eq!(public(&agent), before);
    let results = status_of(&agent.recorder, HELLO).counts.results;
    let seen: Vec<_> =
        results.iter().filter(|each| each.count > 0).map(|each| each.reason.as_str()).collect();
    for reason in ["connect_refused", "certificate", "none", "dns_public_address"] {
        assert!(seen.contains(&reason), "{seen:?}");
    }
    agent.end().await;
    other.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn another_dns_name_is_asked_from_then_on_and_what_was_learnt_there_falls() {
    let mut plan = plan_of(&SPOKE.replace("every: 1s", "every: 10s"));
    Arc::make_mut(&mut plan.targets[0]).addressing = Addressing::EndpointDns;
    let mut named = |suffix: &str| {
        let name = format!("vpce-0123456789abcdef0-{suffix}.execute-api.eu-west-1.vpce.amazonaws.com");
        plan.settings.endpoint.dns_name = Some(name.parse().unwrap());
        plan.clone()
    };
    let stage = Stage::start(quiet_world(), &named("00000000"));
    stage.after_seconds(60).await;
    assert_eq!(stage.last(HELLO), "unreachable/dns, unexpected");
    let before = stage.target(HELLO).counts;
    let changes = stage.reconcile(&named("abcdefgh")).await;
    assert_eq!(changes.to_string(), "0 added, 0 removed, 1 changed, 0 kept");
    assert!(stage.target(HELLO).last.is_none());
    stage.after_seconds(60).await;
    let counts = stage.target(HELLO).counts;
    assert_eq!((counts.due - before.due, counts.ended() - before.ended()), (6, 6), "at its old places");
    assert_eq!(stage.count(HELLO, "none"), 6);
    assert_eq!(stage.last(HELLO), "ok/none, expected");
    stage.end().await;
}
