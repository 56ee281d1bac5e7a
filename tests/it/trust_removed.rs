//! A spoke's role stops trusting the hub while the agent runs: the session lives on, then it ends, and the
//! target says who refused what. The second walkthrough of ARCHITECTURE.md.

use crate::stage::{Stage, plan_of, quiet_world, role_of};
use spokeprobe::simulator::world::Span;

const PAYMENTS: &str = "012345678901";

#[tokio::test(start_paused = true)]
async fn the_session_lives_on_then_ends_and_comes_back() {
    let mut world = quiet_world();
    role_of(&mut world, PAYMENTS).session_life = Some(Span::from_seconds(1_200));
    let plan = plan_of(
        "
defaults: {every: 10s}
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis: [{name: hoot, id: a1b2c3d4e5, stage: api, probes: [{name: hello, request: GET /}]}]
  - name: orders
    account: '222233334444'
    external_id: spokeprobe-orders
    apis: [{name: orders, id: b2c3d4e5f6, stage: api, probes: [{name: hello, request: GET /}]}]
",
    );
    let stage = Stage::start(world, &plan);
    let denied = [("spoke", "payments"), ("result", "denied")];
    stage.after_seconds(60).await;
    assert_eq!(stage.last("payments/hoot/hello"), "ok/none, expected");

    // Somebody removes the trust. STS does not revoke what it gave.
    let mut trust = None;
    stage.hub.change(|world| trust = role_of(world, PAYMENTS).trust.take());
    stage.after_seconds(480).await;
    assert_eq!(
        stage.metric("spokeprobe_assume_role_total", &denied),
        None,
        "not asked before half of the life"
    );
    stage.after_seconds(180).await;
    assert!(stage.metric("spokeprobe_assume_role_total", &denied) >= Some(1.0), "asked early, and refused");
    assert_eq!(stage.last("payments/hoot/hello"), "ok/none, expected");
    let refusal =
        stage.recorder.snapshot().spokes.into_iter().find(|spoke| spoke.name.as_str() == "payments");
    let refusal = refusal.unwrap().credentials.refusal.unwrap();
    assert_eq!(refusal.code.as_deref(), Some("AccessDenied"));
    // At 1,180 s the session is still used, though STS has refused for ten minutes.
    stage.after_seconds(460).await;
    assert_eq!(stage.last("payments/hoot/hello"), "ok/none, expected");
    assert_eq!(stage.count("payments/hoot/hello", "assume_role_denied"), 0);

    // Then it ends, and nothing is sent: not under another identity either.
    stage.after_seconds(30).await;
    let read = stage.hub.counts().of_api("a1b2c3d4e5");
    assert_eq!(stage.last("payments/hoot/hello"), "unsent/assume_role_denied, unexpected");
    stage.after_seconds(290).await;
    assert_eq!(stage.hub.counts().of_api("a1b2c3d4e5"), read);
    let target = [("spoke", "payments"), ("probe", "hello")];
    assert_eq!(stage.metric("spokeprobe_up", &target), Some(0.0));
    let unsent =
        [("spoke", "payments"), ("outcome", "unsent"), ("reason", "assume_role_denied"), ("code", "none")];
    assert!(stage.metric("spokeprobe_requests_total", &unsent) >= Some(29.0));
    assert_eq!(stage.metric("spokeprobe_last_outcome", &target), Some(1.0), "one series for each target");

    // Repaired: at the next ask, at most five minutes and a fifth away, it is signed again.
    stage.hub.change(|world| role_of(world, PAYMENTS).trust = trust);
    stage.after_seconds(375).await;
    assert_eq!(stage.last("payments/hoot/hello"), "ok/none, expected");
    assert_eq!(stage.metric("spokeprobe_up", &target), Some(1.0));

    // The other spoke never noticed.
    let orders = stage.target("orders/orders/hello").counts;
    assert_eq!((orders.ended(), orders.missed_total()), (stage.count("orders/orders/hello", "none"), 0));
    let identities: Vec<String> = stage.end().await.requests.into_iter().map(|row| row.identity).collect();
    assert_eq!(
        identities,
        ["arn:aws:iam::012345678901:role/spokeprobe", "arn:aws:iam::222233334444:role/spokeprobe"],
        "never another identity's credentials"
    );
}

#[tokio::test(start_paused = true)]
async fn a_role_that_was_never_trusted_is_told_of_from_the_first_moment() {
    let plan = plan_of(
        "
spokes:
  - name: vendor
    account: '890189018901'
    external_id: spokeprobe-vendor
    apis: [{name: vendor, id: q7r8s9t0u1, stage: api, probes: [{name: hello, request: GET /, every: 10s}]}]
",
    );
    let stage = Stage::start(quiet_world(), &plan);
    stage.after_seconds(12).await;
    assert_eq!(stage.last("vendor/vendor/hello"), "unsent/assume_role_denied, unexpected");
    assert_eq!(stage.end().await.of_api("q7r8s9t0u1"), 0);
}
