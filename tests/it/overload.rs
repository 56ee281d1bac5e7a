//! More is due than may be in flight, or the far side is slower than the interval: what waits, what is
//! missed, and who must not notice.

use crate::stage::{Stage, api_of, plan_of, quiet_world};
use spokeprobe::domain::observation::MissCause;
use spokeprobe::simulator::world::{Fault, Route, Span};
use spokeprobe::simulator::{WireFault, World};

const PAYMENTS: &str = "012345678901";

/// Payments with a second method, `GET /held`, which can be made to hang by itself.
fn world() -> World {
    let mut world = quiet_world();
    let api = api_of(&mut world, PAYMENTS);
    let held = Route { path: "/held".into(), ..api.routes[0].clone() };
    api.routes.push(held);
    world
}

fn hold(stage: &Stage, fault: Option<Fault>) {
    stage.hub.change(|world| api_of(world, PAYMENTS).routes.last_mut().unwrap().fault = fault);
}

#[tokio::test(start_paused = true)]
async fn an_interval_waits_for_its_permit_and_then_says_overloaded_which_says_nothing_of_the_target() {
    let plan = plan_of(
        "
limits: {in_flight_per_account: 2}
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        probes:
          - {name: held, request: GET /held, every: 1m, timeout: 55s}
          - {name: held-too, request: GET /held, every: 1m, timeout: 55s}
          - {name: hello, request: GET /, every: 5s, timeout: 2s}
          - {name: refused, request: GET /, as: anonymous, every: 5s, timeout: 2s, expect: {denied: true}}
  - name: orders
    account: '222233334444'
    external_id: spokeprobe-orders
    apis: [{name: orders, id: b2c3d4e5f6, stage: api, probes: [{name: hello, request: GET /, every: 5s}]}]
",
    );
    let stage = Stage::start(world(), &plan);
    stage.after_seconds(60).await;

    // Both permits of the account are held for most of each minute.
    hold(&stage, Some(Fault::Wire(WireFault::Hang)));
    stage.after_seconds(300).await;
    for target in ["payments/hoot/hello", "payments/hoot/refused"] {
        let overloaded = stage.count(target, "overloaded");
        assert!(overloaded >= 20, "{target}: {overloaded}");
        assert_eq!(stage.target(target).counts.missed_total(), 0, "{target}: an interval waits");
        assert!(stage.last(target).ends_with(", expected"), "{target}: {}", stage.last(target));
    }
    let hello = [("spoke", "payments"), ("probe", "hello")];
    assert_eq!(stage.metric("spokeprobe_up", &hello), Some(1.0));
    assert_eq!(stage.metric("spokeprobe_unexpected_results_total", &hello), Some(0.0));
    assert_eq!(stage.metric("spokeprobe_door_open", &[("probe", "refused")]), Some(0.0));
    let last = stage.target("payments/hoot/hello").last.unwrap();
    assert_eq!(last.streak, stage.count("payments/hoot/hello", "none"), "unbroken");
    let unsent = [("probe", "hello"), ("outcome", "unsent"), ("reason", "overloaded"), ("code", "none")];
    assert!(stage.metric("spokeprobe_requests_total", &unsent) >= Some(20.0));

    // The other account has permits of its own.
    let orders = stage.target("orders/orders/hello").counts;
    assert_eq!((orders.ended(), orders.missed_total()), (stage.count("orders/orders/hello", "none"), 0));

    hold(&stage, None);
    stage.after_seconds(60).await;
    let before = stage.count("payments/hoot/hello", "overloaded");
    stage.after_seconds(60).await;
    assert_eq!(stage.count("payments/hoot/hello", "overloaded"), before);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_rate_never_waits() {
    let plan = plan_of(
        "
limits: {in_flight_per_account: 8}
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        max_rate: 50/s
        probes:
          - {name: steady, request: GET /held, rate: 10/s, timeout: 5s}
          - {name: hello, request: GET /, every: 5s}
",
    );
    let stage = Stage::start(world(), &plan);
    stage.after_seconds(30).await;
    assert_eq!(stage.target("payments/hoot/steady").counts.missed_total(), 0);

    hold(&stage, Some(Fault::Wire(WireFault::Hang)));
    stage.after_seconds(100).await;
    // Half of the account's permits, each held for 5 s: 4 in 5 s are made, 46 are missed.
    let missed = stage.missed("payments/hoot/steady", MissCause::Overloaded);
    assert!((900..=925).contains(&missed), "{missed}");
    assert_eq!(stage.count("payments/hoot/steady", "overloaded"), 0, "a rate does not wait to be unsent");
    assert_eq!(stage.target("payments/hoot/steady").counts.waiting, 0);
    // The account's other probe finds a permit at once.
    let hello = stage.target("payments/hoot/hello").counts;
    assert_eq!((hello.ended(), hello.missed_total()), (stage.count("payments/hoot/hello", "none"), 0));
    let lag = stage.metric("spokeprobe_schedule_lag_seconds_bucket", &[("le", "0.0025")]);
    assert_eq!(lag, stage.metric("spokeprobe_schedule_lag_seconds_count", &[]));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_slower_than_the_interval_is_overrun() {
    let plan = plan_of(
        "
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis: [{name: hoot, id: a1b2c3d4e5, stage: api, probes: [{name: hello, request: GET /, every: 10s}]}]
",
    );
    let mut world = world();
    api_of(&mut world, PAYMENTS).latency = Span::from_seconds(25);
    let stage = Stage::start(world, &plan);
    stage.after_seconds(600).await;
    let counts = stage.target("payments/hoot/hello").counts;
    // One of three arrivals is made, two find it still running.
    assert!(counts.missed_by(MissCause::Overrun).abs_diff(40) <= 1, "{counts:?}");
    assert!(counts.ended().abs_diff(20) <= 1, "{counts:?}");
    assert_eq!(counts.missed_total(), counts.missed_by(MissCause::Overrun));
    assert_eq!(stage.last("payments/hoot/hello"), "ok/none, expected");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_spoke_that_hangs_delays_nobody() {
    let mut plan = crate::stage::demo_plan();
    plan.limits.in_flight = 60;
    plan.limits.in_flight_per_account = 10;
    let mut world = quiet_world();
    api_of(&mut world, PAYMENTS).fault = Some(Fault::Wire(WireFault::Hang));
    let stage = Stage::start(world, &plan);
    for _ in 0..12 {
        stage.after_seconds(10).await;
    }
    let hung = stage.count("payments/hoot/hello", "response_timeout");
    assert!(hung >= 2, "{hung}");
    for status in stage.recorder.snapshot().targets {
        let (id, counts) = (&status.target.id, &status.counts);
        if id.spoke.as_str() == "payments" {
            continue;
        }
        // `crm/silent` takes its own second, `late` its own 1.5 s; nobody misses anything.
        assert_eq!(counts.missed_total(), 0, "{id}");
        assert!(counts.due >= 20 && counts.due - counts.ended() <= 4, "{id}: {counts:?}");
        assert!(
            status.counts.results.iter().all(|each| each.reason.as_str() != "overloaded" || each.count == 0)
        );
    }
    let lag = stage.metric("spokeprobe_schedule_lag_seconds_bucket", &[("le", "0.0025")]);
    assert_eq!(lag, stage.metric("spokeprobe_schedule_lag_seconds_count", &[]), "sent when due");

    // Told to stop, the agent does not wait for who hangs: 8 s, and then these attempts have no verdict.
    let took = stage.stop().await;
    assert!((7..=9).contains(&took.as_secs()), "{took:?}");
}
