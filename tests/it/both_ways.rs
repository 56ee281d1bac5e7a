//! The same scenario in memory and over sockets gives the same outcomes; and over sockets the agent's counts
//! are the hub's, quick retries included.

use crate::sockets::{Agent, demo_head, demo_plan_against, hub_on_sockets, plan_against};
use crate::stage::{Stage, api_of, demo_plan, metric_in, quiet_world, status_of};
use spokeprobe::domain::api::ApiName;
use spokeprobe::domain::outcome::{Outcome, Reason};
use spokeprobe::domain::target::Cadence;
use spokeprobe::plan::Plan;
use spokeprobe::recording::{self, Recorder};
use spokeprobe::simulator::world::Fault;
use spokeprobe::simulator::{Counts, ServerOptions, WireFault};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Every target each second, and without haste: nothing depends on which arrival meets a throttle, nor on
/// how busy this machine is.
fn each_second(mut plan: Plan) -> Plan {
    for target in &mut plan.targets {
        let target = Arc::make_mut(target);
        target.cadence = Cadence::Every(Duration::from_secs(1));
        target.expectation.within = target.expectation.within.map(|_| Duration::from_secs(20));
    }
    plan
}

/// In which ways each target ended.
fn results(recorder: &Recorder) -> BTreeMap<String, BTreeSet<String>> {
    let one = |code: Option<u16>, reason: Reason| {
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        format!("{code} {}/{reason}", reason.outcome())
    };
    let targets = recorder.snapshot().targets;
    targets
        .into_iter()
        .map(|status| {
            let seen = status.counts.results.iter().filter(|result| result.count > 0);
            (status.target.id.to_string(), seen.map(|result| one(result.code, result.reason)).collect())
        })
        .collect()
}

/// Holds the agent's counts against the hub's. What was reset may or may not have been read.
fn counts_agree(recorder: &Recorder, counts: &Counts) {
    let mut apis: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for status in recorder.snapshot().targets {
        let ApiName::Id { id, .. } = &status.target.api else { panic!("no domain names here") };
        let (answered, perhaps) = apis.entry(id.to_string()).or_default();
        // Twins are in no other count of the agent.
        *answered += status.counts.twins.answered;
        *perhaps += status.counts.retries + status.counts.twins.cut_off;
        for result in &status.counts.results {
            match result.reason.outcome() {
                Outcome::Unsent => {}
                Outcome::Unreachable if result.reason == Reason::Reset => *perhaps += result.count,
                _ => *answered += result.count,
            }
        }
    }
    for (api, (answered, perhaps)) in apis {
        let read = counts.of_api(&api);
        assert!(
            (answered..=answered + perhaps).contains(&read),
            "{api}: the hub read {read}, the agent counted {answered} and perhaps {perhaps} more"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn in_memory_every_target_ends_as_over_sockets() {
    let stage = Stage::start(quiet_world(), &each_second(demo_plan()));
    stage.after_seconds(4).await;
    let recorder = Arc::clone(&stage.recorder);
    let counts = stage.end().await;
    counts_agree(&recorder, &counts);

    // A paused clock must not see a socket, so the other half has a runtime of its own.
    let over_sockets = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let simulator = hub_on_sockets(quiet_world(), ServerOptions::default()).await;
            let plan = each_second(demo_plan_against(&simulator));
            let agent = Agent::start(simulator, &plan, |seams| seams).await;
            agent.until_all_ended(2).await;
            let (recorder, counts) = agent.end().await;
            counts_agree(&recorder, &counts);
            results(&recorder)
        })
    });
    let (in_memory, over_sockets) = (results(&recorder), over_sockets.join().unwrap());
    assert_eq!(in_memory.len(), 50);
    assert!(in_memory.values().all(|seen| !seen.is_empty()), "{in_memory:?}");
    for (target, seen) in &in_memory {
        assert_eq!(Some(seen), over_sockets.get(target), "{target}");
    }
}

const TWO_TARGETS: &str = "
defaults: {every: 1s}
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        probes:
          - {name: hello, request: GET /, expect: {json: {hello: world}}}
          - {name: greet, request: POST /greet, json: {name: buddy}, expect: {json: {hello: buddy}}}
";

/// A hub that closes connections which are idle for so long, and a probe each second.
async fn idle_connections_are_closed_after(idle_ms: u64) {
    let options = ServerOptions { idle_timeout: Duration::from_millis(idle_ms), ..ServerOptions::default() };
    let simulator = hub_on_sockets(quiet_world(), options).await;
    let text = format!("{}{TWO_TARGETS}", demo_head());
    // GET alone: a POST is not sent twice, so one that meets a closing connection may fail.
    let mut plan = plan_against(&simulator, &text, &[]);
    plan.targets.retain(|target| target.id.probe.as_str() == "hello");
    let agent = Agent::start(simulator, &plan, |seams| seams).await;
    agent.until_all_ended(4).await;
    let scrape = agent.get("/metrics").await;
    let (recorder, counts) = agent.end().await;
    let hello = status_of(&recorder, "payments/hoot/hello").counts;
    let ok = hello.results.iter().filter(|each| each.reason == Reason::None).map(|each| each.count);
    assert_eq!(ok.sum::<u64>(), hello.ended(), "{hello:?}");
    assert!(hello.ended() >= 3, "{hello:?}");
    let retries = metric_in(&scrape, "spokeprobe_connection_retries_total", &[("spoke", "payments")]);
    assert!(retries.is_some_and(|seen| seen <= hello.retries as f64), "{retries:?} of {hello:?}");
    counts_agree(&recorder, &counts);
}

#[tokio::test]
async fn a_server_that_closes_idle_connections_fails_nobody() {
    idle_connections_are_closed_after(300).await;
}

#[tokio::test]
async fn nor_one_that_closes_them_just_when_the_next_request_comes() {
    idle_connections_are_closed_after(1_000).await;
}

/// One probe that first works on a connection that is kept, then meets a hub that reads each request and
/// closes. Gives the probe's books and what the hub read.
async fn a_hub_that_begins_to_close(probe: &str) -> (recording::Counts, u64) {
    let simulator = hub_on_sockets(quiet_world(), ServerOptions::default()).await;
    let mut plan = plan_against(&simulator, &format!("{}{TWO_TARGETS}", demo_head()), &[]);
    plan.targets.retain(|target| target.id.probe.as_str() == probe);
    let agent = Agent::start(simulator, &plan, |seams| seams).await;
    agent.until_all_ended(2).await;
    agent.hub().change(|world| api_of(world, "012345678901").fault = Some(Fault::Wire(WireFault::Close)));
    agent.until_last(&format!("payments/hoot/{probe}"), "reset").await;
    agent.after_ms(1_500).await;
    let (recorder, counts) = agent.end().await;
    (status_of(&recorder, &format!("payments/hoot/{probe}")).counts, counts.of_api("a1b2c3d4e5"))
}

#[tokio::test]
async fn a_quick_retry_is_counted_and_the_hub_counted_it_too() {
    let (hello, read) = a_hub_that_begins_to_close("hello").await;
    // Only the first one came over a kept connection.
    assert_eq!(hello.retries, 1, "{hello:?}");
    // All of these requests were read, so the counts must agree to the last one.
    assert_eq!(read, hello.ended() + 1, "{hello:?}");
}

#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let (greet, read) = a_hub_that_begins_to_close("greet").await;
    assert_eq!((greet.retries, read), (0, greet.ended()), "{greet:?}");
}
