//! Runs of load that the agent makes by itself, each at its time of day, and what of them reaches health: nothing.

use crate::stage::{Stage, plan_of, quiet_world};
use std::time::Duration;

const MINUTE: u64 = 60;

/// A health probe each minute, and a load of 20 requests a second for a minute at five past midnight.
fn plan(load: &str) -> spokeprobe::plan::Plan {
    plan_of(&format!(
        "
spokes:
  - name: payments
    account: \"012345678901\"
    external_id: spokeprobe-payments
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        max_rate: 50/s
        probes: [{{name: hello, request: GET /, every: 1m}}]
loads:
  - {{name: nightly, probe: payments/hoot/hello, stages: [{{at: 20/s, for: 1m}}], at: \"00:05\"}}
  - {{name: by-command, probe: payments/hoot/hello, stages: [{{at: 20/s, for: 1m}}]}}
{load}"
    ))
}

#[tokio::test(start_paused = true)]
async fn a_load_runs_at_its_time_and_health_does_not_see_it() {
    let stage = Stage::start(quiet_world(), &plan(""));
    stage.after_seconds(4 * MINUTE).await;
    let sent = || stage.seen.sent().len();
    let before = sent();
    assert!((4..=5).contains(&before), "{before}: no load runs yet");
    stage.after_seconds(3 * MINUTE).await;
    let loaded = sent() - before;
    assert!((1_200..=1_204).contains(&loaded), "{loaded}");
    // 7 minutes of health and not one attempt more.
    assert!((7..=8).contains(&stage.count("payments/hoot/hello", "none")));
    let of = [("load", "nightly")];
    assert_eq!(stage.metric("spokeprobe_load_requests_total", &of), Some(1_200.0));
    assert_eq!(stage.metric("spokeprobe_load_requests_total", &[("load", "by-command")]), None);
    stage.after(Duration::from_secs(86_400)).await;
    assert_eq!(stage.metric("spokeprobe_load_requests_total", &of), Some(2_400.0), "the next day again");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_ends_ends_its_loads_within_its_drain() {
    let stage = Stage::start(quiet_world(), &plan("load: {cool_down: 1m, in_flight: 10}\n"));
    stage.after_seconds(5 * MINUTE + 30).await;
    let told = stage.seen.sent().len();
    assert!(told > 500, "{told}");
    let seen = std::sync::Arc::clone(&stage.seen);
    let took = stage.stop().await;
    assert!(took <= Duration::from_secs(8), "{took:?}");
    // At most what was due in the moment of the signal: it does not go down slowly.
    assert!(seen.sent().len() <= told + 2);
}
