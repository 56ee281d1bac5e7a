//! STS or the hub's own credentials fail while sessions live and end: who still has a session goes on.

use crate::stage::{Stage, plan_of, quiet_world, role_of};
use spokeprobe::plan::Plan;
use spokeprobe::simulator::world::{Fault, Span};
use spokeprobe::simulator::{WireFault, World};

/// Sessions of payments live 20 minutes, those of orders an hour.
fn world() -> World {
    let mut world = quiet_world();
    role_of(&mut world, "012345678901").session_life = Some(Span::from_seconds(1_200));
    world
}

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
          - {name: hello, request: GET /}
          - {name: as-hub, request: GET /, as: hub}
          - {name: unsigned-is-refused, request: GET /, as: anonymous, expect: {denied_by: vpc_endpoint_policy}}
  - name: orders
    account: '222233334444'
    external_id: spokeprobe-orders
    apis: [{name: orders, id: b2c3d4e5f6, stage: api, probes: [{name: hello, request: GET /}]}]
",
    )
}

async fn an_outage(change: impl Fn(&mut World, bool), result: &str) {
    let stage = Stage::start(world(), &plan());
    stage.after_seconds(60).await;
    stage.hub.change(|world| change(world, true));

    // Refreshes fail from the tenth minute on; both sessions are still good.
    stage.after_seconds(1_080).await;
    let failed = [("spoke", "payments"), ("result", result)];
    assert!(stage.metric("spokeprobe_assume_role_total", &failed) >= Some(3.0));
    assert_eq!(stage.last("payments/hoot/hello"), "ok/none, expected");

    // The short session ends, the long one goes on; the unsigned guard needs none.
    stage.after_seconds(600).await;
    assert_eq!(stage.last("payments/hoot/hello"), "unsent/assume_role_failed, unexpected");
    assert_eq!(stage.last("orders/orders/hello"), "ok/none, expected");
    assert_eq!(stage.last("payments/hoot/unsigned-is-refused"), "denied/vpc_endpoint_policy, expected");

    // STS is back: within a minute, and a fifth more, so is the session.
    stage.hub.change(|world| change(world, false));
    stage.after_seconds(90).await;
    assert_eq!(stage.last("payments/hoot/hello"), "ok/none, expected");
    let orders = stage.target("orders/orders/hello").counts;
    assert_eq!(orders.ended(), stage.count("orders/orders/hello", "none"));

    // However long a call takes, nobody waits for it: what was due was made, or unsent at its due time.
    for status in stage.recorder.snapshot().targets {
        assert_eq!(status.counts.missed_total(), 0, "{}", status.target.id);
    }
    // A capped backoff asks gently, and no more often for one role than for another.
    let calls = stage.seen.assume_role_calls();
    let asked = calls.iter().filter(|call| call.account == "012345678901").count();
    assert!((10..60).contains(&asked), "{asked} calls in 30 minutes");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn sts_is_down_across_the_end_of_a_session() {
    an_outage(|world, down| world.sts.fault = down.then_some(Fault::Wire(WireFault::Close)), "failed").await;
}

#[tokio::test(start_paused = true)]
async fn sts_hangs_across_the_end_of_a_session() {
    an_outage(|world, down| world.sts.fault = down.then_some(Fault::Wire(WireFault::Hang)), "failed").await;
}

#[tokio::test(start_paused = true)]
async fn sts_throttles_across_the_end_of_a_session() {
    an_outage(|world, down| world.sts.throttled = down, "throttled").await;
}

/// What a scrape says of the probe of payments: due, ok, unsent for want of a session, missed, and whether it is up.
fn books(stage: &Stage) -> [f64; 5] {
    let target = [("spoke", "payments"), ("probe", "hello")];
    let ended = |reason| {
        let labels = [target[0], target[1], ("reason", reason)];
        stage.metric("spokeprobe_requests_total", &labels).unwrap_or(0.0)
    };
    [
        stage.metric("spokeprobe_due_attempts_total", &target).unwrap(),
        ended("none"),
        ended("assume_role_failed"),
        stage.metric("spokeprobe_missed_attempts_total", &target).unwrap(),
        stage.metric("spokeprobe_up", &target).unwrap(),
    ]
}

#[tokio::test(start_paused = true)]
async fn sts_is_down_for_two_lifetimes_of_a_session() {
    let stage = Stage::start(world(), &plan());
    stage.after_seconds(600).await;
    let before = books(&stage);
    let [due, ok, unsent, missed, up] = before;
    assert!((58.0..=60.0).contains(&due), "{before:?}");
    assert_eq!([ok, unsent, missed, up], [due, 0.0, 0.0, 1.0], "before");

    stage.hub.change(|world| world.sts.fault = Some(Fault::Wire(WireFault::Close)));
    stage.after_seconds(2_400).await;
    let down = books(&stage);
    assert_eq!(down[0] - due, 240.0, "what is due is due: {down:?}");
    assert_eq!(down[0], down[1] + down[2], "and each is accounted for: {down:?}");
    assert_eq!(down[3..], [0.0, 0.0], "nobody waited");
    // Asked first within seconds and for 20 minutes, so the session ended 20 minutes after at the most.
    assert!((120.0..=240.0).contains(&down[2]), "{down:?}");
    let asked = stage.seen.assume_role_calls().len();

    stage.hub.change(|world| world.sts.fault = None);
    stage.after_seconds(600).await;
    let after = books(&stage);
    assert_eq!(after[0] - down[0], 60.0);
    assert_eq!(after[0], after[1] + after[2]);
    assert!(after[2] - down[2] <= 8.0, "a minute and a fifth at most until it is asked again: {after:?}");
    assert_eq!(after[3..], [0.0, 1.0]);
    let asked_after = stage.seen.assume_role_calls().len() - asked;
    assert!(asked_after <= 4, "each role once, one of them once more at half of its life: {asked_after}");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_hub_loses_its_own_credentials() {
    let mut world = world();
    world.hub.credentials_life = Span::from_seconds(3_600);
    let stage = Stage::start(world, &plan());
    stage.after_seconds(60).await;
    assert_eq!(stage.last("payments/hoot/as-hub"), "denied/resource_or_identity_policy, unexpected");

    // The container's endpoint has nothing to hand out any more.
    stage.hub.change(|world| world.hub.role = "gone".into());
    // Its credentials are good for an hour, the sessions made with them as long as they are.
    stage.after_seconds(1_500).await;
    assert_eq!(stage.last("orders/orders/hello"), "ok/none, expected");
    stage.after_seconds(4_200).await;
    for target in ["payments/hoot/hello", "payments/hoot/as-hub", "orders/orders/hello"] {
        assert_eq!(stage.last(target), "unsent/no_hub_credentials, unexpected", "{target}");
    }
    assert_eq!(stage.last("payments/hoot/unsigned-is-refused"), "denied/vpc_endpoint_policy, expected");

    stage.hub.change(|world| world.hub.role = "spokeprobe-hub".into());
    stage.after_seconds(160).await;
    assert_eq!(stage.last("payments/hoot/hello"), "ok/none, expected");
    assert_eq!(stage.last("payments/hoot/as-hub"), "denied/resource_or_identity_policy, unexpected");
    stage.end().await;
}
