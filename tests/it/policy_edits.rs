//! Policies are edited while the agent runs: what was let in is refused, what must be refused is let in, and
//! a guard does not change its mind about its door without evidence.

use crate::stage::{Stage, api_of, plan_of, policy, quiet_world};
use serde_json::json;
use spokeprobe::domain::observation::Door;
use spokeprobe::plan::Plan;
use spokeprobe::simulator::WireFault;
use spokeprobe::simulator::world::{Authorization, Fault, Throttle};

const PAYMENTS: &str = "012345678901";
const HELLO: &str = "payments/hoot/hello";
const UNSIGNED: &str = "payments/hoot/unsigned-is-refused";
const OTHER: &str = "payments/hoot/orders-is-refused";

fn plan() -> Plan {
    plan_of(
        "
defaults: {every: 10s}
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        probes:
          - {name: hello, request: GET /, timeout: 5s}
          - {name: unsigned-is-refused, request: GET /, as: anonymous, timeout: 5s, expect: {denied: true}}
          - {name: orders-is-refused, request: GET /, as: spoke:orders, timeout: 5s, expect: {denied: true}}
  - name: orders
    account: '222233334444'
    external_id: spokeprobe-orders
    apis: [{name: orders, id: b2c3d4e5f6, stage: api, probes: [{name: hello, request: GET /}]}]
",
    )
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_policy_loses_the_organisation() {
    let stage = Stage::start(quiet_world(), &plan());
    stage.after_seconds(20).await;
    assert_eq!(stage.last(HELLO), "ok/none, expected");
    assert_eq!(stage.last(UNSIGNED), "denied/vpc_endpoint_policy, expected");

    let mut before = None;
    stage.hub.change(|world| {
        before = world.endpoint.policy.replace(policy(json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "*",
                "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-z9y8x7w6v5"}},
            }],
        })));
    });
    stage.after_seconds(20).await;
    assert_eq!(stage.last(HELLO), "denied/vpc_endpoint_policy, unexpected");
    assert_eq!(stage.last("orders/orders/hello"), "denied/vpc_endpoint_policy, unexpected");
    // What must be refused is refused: the same text is good news here.
    assert_eq!(stage.last(UNSIGNED), "denied/vpc_endpoint_policy, expected");
    assert_eq!(stage.target(UNSIGNED).door, Some(Door::Closed));
    let unsigned = [("probe", "unsigned-is-refused")];
    assert_eq!(stage.metric("spokeprobe_up", &unsigned), Some(1.0));
    assert_eq!(stage.metric("spokeprobe_door_open", &unsigned), Some(0.0));
    assert_eq!(stage.metric("spokeprobe_up", &[("spoke", "payments"), ("probe", "hello")]), Some(0.0));

    stage.hub.change(|world| world.endpoint.policy = before);
    stage.after_seconds(20).await;
    assert_eq!(stage.last(HELLO), "ok/none, expected");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_door_opens_and_is_told_of_only_by_evidence() {
    let stage = Stage::start(quiet_world(), &plan());
    let unsigned = [("probe", "unsigned-is-refused")];
    let door = |stage: &Stage| {
        let up = stage.metric("spokeprobe_up", &unsigned).unwrap();
        (up, stage.metric("spokeprobe_door_open", &unsigned).unwrap())
    };
    stage.after_seconds(20).await;
    assert_eq!(door(&stage), (1.0, 0.0));

    // Opened on both sides: the full-access policy at the endpoint, no authorization at the API.
    let mut endpoint_policy = None;
    stage.hub.change(|world| {
        endpoint_policy = world.endpoint.policy.take();
        api_of(world, PAYMENTS).routes[0].authorization = Authorization::None;
    });
    stage.after_seconds(20).await;
    assert_eq!(stage.last(UNSIGNED), "ok/none, unexpected");
    assert_eq!(door(&stage), (0.0, 1.0));
    assert_eq!(stage.last(HELLO), "ok/none, expected");
    assert_eq!(stage.last(OTHER), "ok/none, unexpected", "an API without authorization lets any role in");

    // No answer, a throttle and a proxy say nothing about the door.
    for (fault, throttle, reason) in [
        (Some(Fault::Wire(WireFault::Reset)), None, "unreachable/reset"),
        (Some(Fault::Wire(WireFault::Hang)), None, "failed/response_timeout"),
        (Some(Fault::Html(403)), None, "failed/not_api_gateway"),
        (None, Some(Throttle { rate: 0.0, burst: 0.0 }), "throttled/rate"),
    ] {
        stage.hub.change(|world| {
            let api = api_of(world, PAYMENTS);
            (api.fault, api.throttle) = (fault, throttle);
        });
        stage.after_seconds(20).await;
        assert_eq!(stage.last(UNSIGNED), format!("{reason}, unexpected"));
        assert_eq!(door(&stage), (0.0, 1.0), "{reason}");
    }

    // Closed again: up at once; and a fault does not open what is closed.
    stage.hub.change(|world| {
        world.endpoint.policy = endpoint_policy;
        let api = api_of(world, PAYMENTS);
        (api.fault, api.throttle) = (None, None);
        api.routes[0].authorization = Authorization::Iam;
    });
    stage.after_seconds(20).await;
    assert_eq!(stage.last(UNSIGNED), "denied/vpc_endpoint_policy, expected");
    assert_eq!(door(&stage), (1.0, 0.0));
    stage.hub.change(|world| api_of(world, PAYMENTS).fault = Some(Fault::Wire(WireFault::Garbage)));
    stage.after_seconds(20).await;
    assert_eq!(stage.last(UNSIGNED), "unreachable/protocol, unexpected");
    assert_eq!(door(&stage), (0.0, 0.0));
    stage.end().await;
}
