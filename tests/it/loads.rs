//! Runs of load that the agent makes by itself, each at its time of day, and what of them reaches health: nothing.

use crate::stage::{Stage, api_of, metric_in, plan_of, quiet_world};
use spokeprobe::simulator::world::Throttle;
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

/// One scrape's figures of the load: requests, responses timed, services timed, missed, asked, running.
fn figures(scrape: &str) -> [f64; 6] {
    [
        "load_requests_total",
        "load_response_seconds_count",
        "load_service_seconds_count",
        "load_missed_total",
        "load_rate_asked",
        "load_running",
    ]
    .map(|name| metric_in(scrape, &format!("spokeprobe_{name}"), &[("load", "nightly")]).unwrap_or(0.0))
}

#[tokio::test(start_paused = true)]
async fn each_scrape_of_a_run_adds_up_and_the_server_counted_the_same() {
    let stage = Stage::start(quiet_world(), &plan(""));
    stage.after_seconds(5 * MINUTE).await;
    // Half a second behind the run's own seconds, so that nothing is due at the moment of a scrape.
    stage.after(Duration::from_millis(490)).await;
    let mut before = 0.0;
    for second in 0_u32..70 {
        let scrape = stage.scrape();
        let [requests, timed, served, missed, asked, running] = figures(&scrape);
        assert_eq!([timed, served], [requests; 2], "every request was sent and is in both histograms");
        assert!(requests >= before, "a counter never falls");
        before = requests;
        let due = (f64::from(second) * 20.0 + 10.0).min(1_200.0);
        assert!((due - requests - missed).abs() <= 12.0, "{due} due, {requests} ended, {missed} missed");
        match second {
            1..60 => assert_eq!([asked, running], [20.0, 1.0], "{second}"),
            62.. => assert_eq!([asked, running], [0.0, 0.0], "{second}"),
            _ => {}
        }
        // Health runs beside it and is not mixed with it: one attempt a minute.
        let health = metric_in(&scrape, "spokeprobe_requests_total", &[("probe", "hello")]);
        assert!(health.unwrap() <= 8.0, "{health:?}");
        stage.after_seconds(1).await;
    }
    assert_eq!(figures(&stage.scrape()), [1_200.0, 1_200.0, 1_200.0, 0.0, 0.0, 0.0]);
    let health = stage.metric("spokeprobe_requests_total", &[("probe", "hello")]).unwrap();
    let counts = stage.end().await;
    assert_eq!(counts.total() as f64, 1_200.0 + health, "what the server counted is what both series say");
}

#[tokio::test(start_paused = true)]
async fn a_guard_stops_a_load_of_the_agent_and_its_series_say_so() {
    let stage = Stage::start(quiet_world(), &plan(""));
    stage.after_seconds(5 * MINUTE + 20).await;
    stage
        .hub
        .change(|world| api_of(world, "012345678901").throttle = Some(Throttle { rate: 10.0, burst: 5.0 }));
    stage.after_seconds(MINUTE).await;
    let scrape = stage.scrape();
    let of = |name: &str, label: (&str, &str)| {
        metric_in(&scrape, &format!("spokeprobe_{name}"), &[("load", "nightly"), label]).unwrap_or(0.0)
    };
    assert_eq!(of("load_stopped_total", ("guard", "throttled")), 1.0);
    assert_eq!(
        stage.metric("spokeprobe_load_stopped_total", &[("load", "nightly")]),
        Some(1.0),
        "one guard only"
    );
    let throttled = of("load_requests_total", ("outcome", "throttled"));
    let all = stage.metric("spokeprobe_load_requests_total", &[("load", "nightly")]).unwrap();
    assert!(throttled >= 1.0 && all < 600.0, "{throttled} of {all}");
    assert_eq!(stage.metric("spokeprobe_load_running", &[("load", "nightly")]), Some(0.0));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn signatures_are_reused_within_their_second_unless_the_configuration_says_no() {
    for (rule, made) in [("", 60..=70), ("load: {reuse_signatures: false}\n", 1_200..=1_210)] {
        let stage = Stage::start(quiet_world(), &plan(rule));
        stage.after_seconds(7 * MINUTE).await;
        assert!((1_200..=1_210).contains(&stage.seen.sent().len()), "{}", stage.seen.sent().len());
        let signatures = stage.seen.signatures_made();
        assert!(made.contains(&signatures), "{rule:?}: {signatures} signatures");
        stage.end().await;
    }
}
