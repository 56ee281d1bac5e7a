//! The agent's clock and the gateway's differ: a refusal that looks like a wrong key and is none.

use crate::stage::{Stage, plan_of, quiet_world};

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_is_called_so_and_by_how_much() {
    let plan = plan_of(
        "
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        probes:
          - {name: hello, request: GET /, every: 10s}
          - {name: orders-is-refused, request: GET /, every: 10s, as: spoke:orders, expect: {denied: true}}
  - name: orders
    account: '222233334444'
    external_id: spokeprobe-orders
    apis: []
",
    );
    let stage = Stage::start(quiet_world(), &plan);
    stage.after_seconds(20).await;
    let refused = "payments/hoot/orders-is-refused";
    assert_eq!(stage.last(refused), "denied/resource_or_identity_policy, expected");
    let skew = |stage: &Stage| stage.metric("spokeprobe_clock_skew_seconds", &[]).unwrap();
    assert!(skew(&stage).abs() < 1.5, "{}", skew(&stage));

    for seconds in [-600, 600] {
        stage.hub.change(|world| world.endpoint.clock_offset_seconds = seconds);
        stage.after_seconds(200).await;
        assert_eq!(stage.last("payments/hoot/hello"), "denied/clock_skew, unexpected", "{seconds}");
        // Refused, but not for the reason that the guard stands for: no evidence, and so not as expected.
        assert_eq!(stage.last(refused), "denied/clock_skew, unexpected");
        assert_eq!(stage.metric("spokeprobe_door_open", &[("probe", "orders-is-refused")]), Some(0.0));
        assert!((skew(&stage) - f64::from(seconds as i32)).abs() < 1.5, "{seconds}: {}", skew(&stage));
    }

    // Four minutes are within what SigV4 allows: it works, and the gauge warns.
    stage.hub.change(|world| world.endpoint.clock_offset_seconds = 240);
    stage.after_seconds(200).await;
    assert_eq!(stage.last("payments/hoot/hello"), "ok/none, expected");
    assert!((skew(&stage) - 240.0).abs() < 1.5);
    stage.end().await;
}
