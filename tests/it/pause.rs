//! The agent is held up: a machine that slept, a process that was stopped. It must not catch up by a stampede.

use crate::stage::{Stage, plan_of, quiet_world};
use spokeprobe::domain::observation::MissCause;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn what_came_too_late_is_counted_and_not_made_up_for() {
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
        max_rate: 10/s
        probes:
          - {name: hello, request: GET /, every: 10s}
          - {name: steady, request: GET /, rate: 2/s}
",
    );
    let stage = Stage::start(quiet_world(), &plan);
    stage.after_seconds(60).await;
    let before = stage.seen.sent().len();
    let made = stage.target("payments/hoot/hello").counts.ended();

    // Ten minutes in which nobody looks at a clock.
    tokio::time::advance(Duration::from_secs(600)).await;
    stage.after(Duration::from_millis(20)).await;
    let late = stage.seen.sent().len() - before;
    assert!((2..=4).contains(&late), "one arrival of the interval and the rate's last ones, not {late}");
    let counts = stage.target("payments/hoot/hello").counts;
    assert_eq!((counts.ended() - made, stage.missed("payments/hoot/hello", MissCause::Paused)), (1, 59));
    let skipped = stage.missed("payments/hoot/steady", MissCause::Paused);
    assert!((1_195..=1_200).contains(&skipped), "{skipped}");
    // The late one is as slow as it was: latency counts from when it was due.
    let latency = stage.metric("spokeprobe_request_duration_seconds_sum", &[("probe", "hello")]);
    assert!(latency.is_some_and(|sum| sum < 10.5), "{latency:?}");

    // Afterwards the phase is what it was.
    stage.after_seconds(600).await;
    let counts = stage.target("payments/hoot/hello").counts;
    assert_eq!((counts.ended() - made, counts.missed_total()), (61, 59));
    assert_eq!(stage.last("payments/hoot/hello"), "ok/none, expected");
    stage.end().await;
}
