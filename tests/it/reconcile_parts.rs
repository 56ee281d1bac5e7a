//! Another plan for what is no target: loads that run, pairs of isolation, the watch over the endpoint, replicas; and
//! tasks that panic.

use crate::stage::{Stage, dawn, plan_of, quiet_world};
use futures_util::future::BoxFuture;
use spokeprobe::app::{App, Seams};
use spokeprobe::domain::moment::Moment;
use spokeprobe::domain::target::{Replica, Target};
use spokeprobe::plan::Plan;
use spokeprobe::recording::PairState;
use spokeprobe::seams::{Clock, SystemClock, TokioWait, Wait};
use spokeprobe::simulator::{Hub, InMemory};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const MINUTE: u64 = 60;

/// A health probe each minute, and loads; `stage` is the rest of the first load.
fn with_loads(probe: &str, loads: &[&str]) -> Plan {
    let loads: String = loads.iter().map(|load| format!("  - {{{load}}}\n")).collect();
    let loads = if loads.is_empty() { String::new() } else { format!("loads:\n{loads}") };
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
        probes: [{{{probe}}}]
{loads}"
    ))
}

const HELLO: &str = "name: hello, request: GET /, every: 1m";
const NIGHTLY: &str =
    "name: nightly, probe: payments/hoot/hello, stages: [{at: 10/s, for: 10m}], at: \"00:05\"";

#[tokio::test(start_paused = true)]
async fn a_load_that_would_be_the_same_goes_on_and_another_goes_down() {
    let sent = |stage: &Stage| stage.seen.sent().len();
    let running = |stage: &Stage| stage.metric("spokeprobe_load_running", &[("load", "nightly")]);
    let stage = Stage::start(quiet_world(), &with_loads(HELLO, &[NIGHTLY]));
    stage.after_seconds(6 * MINUTE).await;
    assert_eq!(running(&stage), Some(1.0));
    // Another interval of the probe, another time of day, another load beside it.
    let later = NIGHTLY.replace("00:05", "03:00");
    let slower = HELLO.replace("1m", "2m");
    stage.reconcile(&with_loads(&slower, &[&later, &later.replace("nightly", "second")])).await;
    stage.after_seconds(MINUTE).await;
    assert_eq!(running(&stage), Some(1.0), "what runs would be the same");
    assert_eq!(stage.metric("spokeprobe_load_rate_asked", &[("load", "second")]), Some(0.0), "at zero");
    let before = sent(&stage);
    stage.after_seconds(MINUTE).await;
    assert!((sent(&stage) - before).abs_diff(600) <= 2);

    // Another rate.
    stage.reconcile(&with_loads(HELLO, &[&later.replace("10/s", "5/s")])).await;
    let before = sent(&stage);
    stage.after_seconds(MINUTE).await;
    let after = sent(&stage) - before;
    assert!((5..40).contains(&after), "it goes down in good order: {after}");
    assert_eq!(running(&stage), Some(0.0));
    let requested = [("load", "nightly"), ("guard", "requested")];
    assert_eq!(stage.metric("spokeprobe_load_stopped_total", &requested), Some(1.0));
    assert_eq!(stage.metric("spokeprobe_load_running", &[("load", "second")]), None, "gone with its series");

    // Its new time comes, with the new rate; and then there is no load any more.
    stage.after_seconds(3 * 3_600 + 120).await;
    let before = sent(&stage);
    stage.after_seconds(MINUTE).await;
    assert!((sent(&stage) - before).abs_diff(1) <= 1, "it is over: ten minutes at 5/s from 03:00");
    let asked = stage.metric("spokeprobe_load_requests_total", &[("load", "nightly")]).unwrap();
    stage.after(Duration::from_secs(86_400)).await;
    let again = stage.metric("spokeprobe_load_requests_total", &[("load", "nightly")]).unwrap();
    assert!((again - asked - 3_000.0).abs() < 3.0, "{asked} {again}");
    stage.reconcile(&with_loads(HELLO, &[])).await;
    stage.after(Duration::from_secs(86_400)).await;
    assert_eq!(running(&stage), None);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_load_whose_time_has_passed_today_does_not_begin_again_with_another_plan() {
    let short = NIGHTLY.replace("10m", "1m");
    let stage = Stage::start(quiet_world(), &with_loads(HELLO, &[&short]));
    stage.after_seconds(10 * MINUTE).await;
    for guards in ["errors: 5%", "errors: 6%", "errors: 5%"] {
        stage.reconcile(&with_loads(HELLO, &[&format!("{short}, guards: {{{guards}}}")])).await;
        stage.after_seconds(10 * MINUTE).await;
    }
    assert_eq!(stage.metric("spokeprobe_load_requests_total", &[("load", "nightly")]), Some(600.0));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_to_begin_the_loads_now_begins_them_though_nothing_else_is_different() {
    for (before, now) in [(false, true), (true, false)] {
        let with = |begins_loads| Plan { begins_loads, ..with_loads(HELLO, &[NIGHTLY]) };
        let stage = Stage::start(quiet_world(), &with(before));
        stage.after_seconds(2 * MINUTE).await;
        stage.reconcile(&with(now)).await;
        stage.after_seconds(4 * MINUTE).await;
        let running = stage.metric("spokeprobe_load_running", &[("load", "nightly")]);
        assert_eq!(running, Some(f64::from(u8::from(now))));
        stage.end().await;
    }
}

/// Spokes of the demo's world, each of which must be refused by the others.
fn isolated(spokes: &[&str]) -> Plan {
    let demo = crate::stage::demo_plan();
    let mut text = String::from("isolation: {period: 1h}\ndefaults: {every: 1h}\nspokes:\n");
    for name in spokes {
        let target = demo.targets.iter().find(|target| target.id.spoke.as_str() == *name).unwrap();
        let spokeprobe::domain::api::ApiName::Id { id, stage } = &target.api else { panic!("by id") };
        let session = demo.roles.iter().find(|role| role.spokes[0].as_str() == *name).unwrap();
        let external = session
            .session
            .external_id
            .as_ref()
            .map_or(String::new(), |id| format!(", external_id: {}", id.expose()));
        text.push_str(&format!(
            "  - {{name: {name}, account: \"{}\"{external}, apis: [{{name: x, id: {id}, stage: {stage}, \
             probes: [{{name: hello, request: GET /}}]}}]}}\n",
            target.account
        ));
    }
    plan_of(&text)
}

#[tokio::test(start_paused = true)]
async fn pairs_keep_what_is_known_while_both_ends_stay() {
    let states = |stage: &Stage| {
        let counts = stage.recorder.snapshot().isolation.unwrap().counts;
        (counts.total(), counts.of(PairState::Due))
    };
    let three = ["payments", "orders", "billing"];
    let stage = Stage::start(quiet_world(), &isolated(&three));
    stage.after_seconds(3_700).await;
    assert_eq!(states(&stage), (6, 0));
    let begun = |stage: &Stage| -> u64 {
        stage.recorder.snapshot().isolation.unwrap().attempts.iter().map(|api| api.begun).sum()
    };
    let before = begun(&stage);
    // A fourth one: its six pairs are due, the six of before are known.
    stage.reconcile(&isolated(&["payments", "orders", "billing", "crm"])).await;
    assert_eq!((states(&stage), begun(&stage)), ((12, 6), before));
    stage.after_seconds(3_700).await;
    assert_eq!(states(&stage), (12, 0));
    let orders = |stage: &Stage| {
        let attempts = stage.recorder.snapshot().isolation.unwrap().attempts;
        attempts.iter().find(|api| api.api.id.spoke.as_str() == "orders").map(|api| api.begun)
    };
    let of_orders = orders(&stage);
    stage.reconcile(&isolated(&["orders", "crm"])).await;
    assert_eq!((states(&stage), orders(&stage)), ((2, 0), of_orders));
    // The same api is asked for otherwise: what was known of it falls, in one direction.
    let mut other = isolated(&["orders", "crm"]);
    let isolation = other.isolation.as_mut().unwrap();
    let api = Arc::make_mut(&mut isolation.apis[0]);
    api.request.path_and_query = "/other".into();
    stage.reconcile(&other).await;
    assert_eq!(states(&stage), (2, 1));
    other.isolation = None;
    stage.reconcile(&other).await;
    assert!(stage.recorder.snapshot().isolation.is_none() && !stage.scrape().contains("isolation"));
    stage.after_seconds(3_700).await;
    stage.reconcile(&isolated(&three)).await;
    assert_eq!(states(&stage), (6, 6));
    stage.after_seconds(3_700).await;
    assert_eq!(states(&stage), (6, 0));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn places_of_the_endpoint_that_stay_are_watched_on() {
    let with = |zones: &str| {
        let text = format!(
            "
hub:
  region: eu-west-1
  role_arn: arn:aws:iam::111122223333:role/spokeprobe-hub
  endpoint: {{id: vpce-0123456789abcdef0, zones: {{{zones}}}}}
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis: [{{name: hoot, id: a1b2c3d4e5, stage: api, probes: [{{name: hello, request: GET /, per_zone: true}}]}}]
"
        );
        spokeprobe::sources::load_plan_text("story", &text, &|_| None).unwrap().plan
    };
    let world = quiet_world();
    let zones: Vec<String> =
        world.endpoint.zones.iter().map(|(zone, address)| format!("{zone}: {address}")).collect();
    let names: Vec<String> = world.endpoint.zones.keys().map(ToString::to_string).collect();
    let up = |stage: &Stage, zone: usize| stage.metric("spokeprobe_endpoint_up", &[("zone", &names[zone])]);
    let stage = Stage::start(world.clone(), &with(&zones[0]));
    stage.after_seconds(40).await;
    assert_eq!((up(&stage, 0), up(&stage, 1)), (Some(1.0), None));
    let since =
        |stage: &Stage| stage.recorder.snapshot().endpoint.unwrap().places[1].1.as_ref().unwrap().since;
    let first = since(&stage);
    assert_eq!(stage.reconcile(&with(&format!("{}, {}", zones[0], zones[1]))).await.added, 1);
    assert_eq!((up(&stage, 0), since(&stage)), (Some(1.0), first), "no gap");
    stage.after_seconds(40).await;
    assert_eq!((up(&stage, 0), up(&stage, 1), since(&stage)), (Some(1.0), Some(1.0), first));
    stage.reconcile(&with(&zones[1])).await;
    assert_eq!((up(&stage, 0), up(&stage, 1)), (None, Some(1.0)));
    stage.after_seconds(40).await;
    assert_eq!((up(&stage, 0), up(&stage, 1)), (None, Some(1.0)));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_fires_at_its_own_place_of_the_interval() {
    let whole = plan_of(
        "
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis: [{name: hoot, id: a1b2c3d4e5, stage: api, probes: [{name: hello, request: GET /, every: 30s}]}]
",
    );
    let as_replica = |index, of| {
        let mut plan = whole.clone();
        let target = Target { replica: Replica { index, of }, ..(*plan.targets[0]).clone() };
        plan.targets = vec![Arc::new(target)];
        plan
    };
    let stage = Stage::start(quiet_world(), &whole);
    let mut phases = Vec::new();
    for plan in [whole.clone(), as_replica(0, 3), as_replica(1, 3), as_replica(2, 3), as_replica(1, 2)] {
        stage.reconcile(&plan).await;
        let before = stage.seen.sent().len();
        stage.after_seconds(90).await;
        let sent = stage.seen.sent()[before..].to_vec();
        assert!(sent.len().abs_diff(3) <= 1);
        let of: BTreeSet<u128> = sent.iter().map(|at| at.since_origin().as_millis() % 30_000).collect();
        assert_eq!(of.len(), 1, "{of:?}");
        phases.extend(of);
    }
    let behind: Vec<u128> = phases.iter().map(|phase| (30_000 + phase - phases[0]) % 30_000).collect();
    assert_eq!(behind, [0, 0, 10_000, 20_000, 15_000]);
    assert!(stage.target("payments/hoot/hello").last.unwrap().streak >= 14, "it is one target");
    stage.end().await;
}

/// Waits for the driver of the timetable and panics in one of its waits.
struct Rotten {
    inner: TokioWait,
    waits: AtomicU32,
}

impl Wait for Rotten {
    fn until(&self, at: Moment) -> BoxFuture<'_, ()> {
        let wait = self.waits.fetch_add(1, Ordering::Relaxed);
        assert!(wait != 40 && wait != 41, "on purpose");
        self.inner.until(at)
    }
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_panics_is_counted_and_goes_on_from_its_timetable() {
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
          - {name: hello, request: GET /, every: 3s}
          - {name: daily, request: GET /, every: 24h}
",
    );
    let clock = SystemClock::simulated(dawn());
    let hub = Arc::new(Hub::new(quiet_world(), dawn()));
    let wait: Arc<dyn Wait> = Arc::new(TokioWait::new(clock));
    let any_clock: Arc<dyn Clock> = Arc::new(clock);
    let memory = Arc::new(InMemory::new(hub, Arc::clone(&any_clock), Arc::clone(&wait)));
    let seams = Seams {
        precise_wait: Arc::new(Rotten { inner: TokioWait::new(clock), waits: AtomicU32::new(0) }),
        ..Seams::shared(any_clock, wait, Arc::clone(&memory) as _, Arc::clone(&memory) as _, memory)
    };
    let app = App::build(&plan, seams).unwrap();
    let (recorder, handle, shutdown) = (Arc::clone(app.recorder()), app.handle(), CancellationToken::new());
    let agent = spokeprobe::seams::spawn("agent", app.run(None, shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(recorder.snapshot().task_panics, 2);
    assert_eq!(recorder.imbalances(), []);
    let due = |probe: &str| {
        let targets = recorder.snapshot().targets;
        targets.iter().find(|status| status.target.id.probe.as_str() == probe).unwrap().counts.due
    };
    // One second and two: not more than one interval is late.
    assert!(due("hello").abs_diff(100) <= 2, "{}", due("hello"));
    assert_eq!(due("daily"), 1, "what was in the timetable did not begin anew");
    // And it listens.
    let mut less = plan.clone();
    less.targets.remove(0);
    assert_eq!(handle.reconcile(less).await.unwrap().removed, 1);
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    assert_eq!(due("daily"), 2);
    shutdown.cancel();
    agent.await.unwrap().unwrap();
}
