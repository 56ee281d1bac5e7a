//! An agent gets another plan while it runs: what lives on, what falls, what is counted nowhere.

use crate::stage::{Stage, api_of, plan_of, quiet_world};
use spokeprobe::app::{Changes, ReconcileProblem};
use spokeprobe::domain::moment::Moment;
use spokeprobe::members;
use spokeprobe::plan::Plan;
use spokeprobe::simulator::WireFault;
use spokeprobe::simulator::world::{Fault, Route};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PAYMENTS: &str = "012345678901";
const HELLO: &str = "payments/hoot/hello";

/// A spoke with these probes, one a line, and what else the configuration says.
fn plan(probes: &str, rest: &str) -> Plan {
    let probes: String = probes.lines().map(|line| format!("          - {}\n", line.trim())).collect();
    plan_of(&format!(
        "{rest}
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
{probes}"
    ))
}

fn changes(added: usize, removed: usize, changed: usize, kept: usize) -> Changes {
    Changes { added, removed, changed, kept }
}

fn hang(stage: &Stage, on: bool) {
    stage.hub.change(|world| api_of(world, PAYMENTS).fault = on.then_some(Fault::Wire(WireFault::Hang)));
}

/// A scrape without what the kernel says of the process.
fn shown(stage: &Stage) -> Vec<String> {
    let text = stage.scrape();
    text.lines().filter(|line| line.starts_with("spokeprobe_")).map(str::to_owned).collect()
}

/// The series of a target in a scrape.
fn series(stage: &Stage, probe: &str) -> usize {
    stage.scrape().lines().filter(|line| line.contains(&format!("probe=\"{probe}\""))).count()
}

#[tokio::test(start_paused = true)]
async fn counters_live_with_the_labels_and_what_was_learnt_with_the_question() {
    let first =
        plan("{name: hello, request: GET /, every: 30s}\n{name: again, request: GET /, every: 1m}", "");
    let stage = Stage::start(quiet_world(), &first);
    stage.after_seconds(120).await;
    let due = stage.target(HELLO).counts.due;
    assert!(due >= 3 && stage.target(HELLO).last.unwrap().streak >= 3);

    // The same, written anew.
    let same =
        plan("{name: hello, request: GET /, every: 30s}\n{name: again, request: GET /, every: 1m}", "");
    assert_eq!(stage.reconcile(&same).await, changes(0, 0, 0, 2));
    assert!(stage.target(HELLO).last.is_some());

    // How long it may take is no part of the question.
    let patient = plan(
        "{name: hello, request: GET /, every: 30s, timeout: 50s}\n{name: again, request: GET /, every: 1m}",
        "",
    );
    assert_eq!(stage.reconcile(&patient).await, changes(0, 0, 1, 1));
    assert!(stage.target(HELLO).last.is_some_and(|last| last.streak >= 3));

    // What is expected is.
    let picky = plan(
        "{name: hello, request: GET /, every: 30s, expect: {status: 418}}\n{name: new, request: GET /, every: 1m}",
        "",
    );
    assert_eq!(stage.reconcile(&picky).await, changes(1, 1, 1, 0));
    let status = stage.target(HELLO);
    assert!(status.last.is_none() && status.counts.due >= due && status.latency.is_none());
    assert_eq!(stage.metric("spokeprobe_up", &[("probe", "hello")]), None, "absent until known");
    assert_eq!(stage.metric("spokeprobe_requests_total", &[("probe", "hello"), ("code", "418")]), Some(0.0));
    assert_eq!(series(&stage, "again"), 0, "a removed target leaves no series");
    assert_eq!(stage.metric("spokeprobe_due_attempts_total", &[("probe", "new")]), Some(0.0));
    stage.after_seconds(60).await;
    assert_eq!(stage.metric("spokeprobe_up", &[("probe", "hello")]), Some(0.0));
    assert_eq!(stage.last("payments/hoot/new"), "ok/none, expected");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_interval_keeps_its_due_times_whatever_else_changes() {
    let texts = ["expect: {status: 200}", "timeout: 20s", "request: GET /x", "expect: {status: 404}"];
    let with = |text: &str| {
        let request = if text.starts_with("request") { "" } else { "request: GET /, " };
        plan(&format!("{{name: hello, {request}every: 10s, {text}}}"), "")
    };
    let stage = Stage::start(quiet_world(), &with(texts[0]));
    stage.after_seconds(60).await;
    let sent = || stage.seen.sent();
    let before = sent().len();
    for round in 0..100 {
        stage.after(Duration::from_millis(2_700)).await;
        stage.reconcile(&with(texts[round % texts.len()])).await;
    }
    let all = sent();
    let grid = |moment: &Moment| moment.since_origin().as_millis() % 10_000;
    let phases: BTreeSet<u128> = all.iter().map(grid).collect();
    assert_eq!(phases.len(), 1, "{phases:?}");
    assert!((all.len() - before).abs_diff(27) <= 1, "one in each interval, not {}", all.len() - before);

    // Another interval has another place, from the same labels: as if it had never been otherwise.
    stage.reconcile(&plan("{name: hello, request: GET /, every: 7s}", "")).await;
    let before = sent().len();
    stage.after_seconds(70).await;
    assert!((sent().len() - before).abs_diff(10) <= 1);
    let fresh = Stage::start(quiet_world(), &plan("{name: hello, request: GET /, every: 7s}", ""));
    fresh.after_seconds(70).await;
    let phase = |sent: &[Moment], origin: Duration| {
        sent.iter().map(|at| (at.since_origin() - origin).as_millis() % 7_000).collect::<BTreeSet<_>>()
    };
    assert_eq!(phase(&sent()[before..], Duration::ZERO).len(), 1);
    assert_eq!(phase(&sent()[before..], Duration::ZERO), phase(&fresh.seen.sent(), Duration::ZERO));
    stage.end().await;
    fresh.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_attempt_of_a_removed_target_is_counted_nowhere() {
    let with = plan(
        "{name: hello, request: GET /, every: 30s, timeout: 20s}\n{name: stays, request: GET /, every: 5m}",
        "",
    );
    let without = plan("{name: stays, request: GET /, every: 5m}", "");
    let stage = Stage::start(quiet_world(), &with);
    stage.after_seconds(65).await;
    hang(&stage, true);
    let in_flight = || stage.metric("spokeprobe_in_flight_requests", &[]).unwrap();
    while stage.target(HELLO).counts.in_flight == 0 {
        stage.after_seconds(1).await;
    }
    let failures = stage.recorder.snapshot().failures.len();
    let lag = stage.metric("spokeprobe_schedule_lag_seconds_count", &[]);
    assert_eq!(stage.reconcile(&without).await, changes(0, 1, 0, 1));
    assert_eq!((in_flight(), series(&stage, "hello")), (0.0, 0));
    // Removed, and there again before the attempt ends: another target by the same name.
    assert_eq!(stage.reconcile(&with).await, changes(1, 0, 0, 1));
    stage.hub.change(|world| api_of(world, PAYMENTS).fault = None);
    stage.after_seconds(10).await;
    let before = stage.target(HELLO).counts;
    stage.after_seconds(11).await;
    let counts = stage.target(HELLO).counts;
    assert_eq!(stage.count(HELLO, "response_timeout"), 0, "{before:?} {counts:?}");
    assert_eq!(stage.recorder.snapshot().failures.len(), failures);
    let sent = counts.ended();
    assert_eq!(stage.metric("spokeprobe_schedule_lag_seconds_count", &[]), lag.map(|lag| lag + sent as f64));
    assert_eq!(in_flight(), counts.in_flight as f64);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_attempt_of_an_earlier_form_counts_and_is_not_remembered() {
    let hello = |expect: &str| {
        plan(&format!("{{name: hello, request: GET /, every: 1m, timeout: 20s, {expect}}}"), "")
    };
    let stage = Stage::start(quiet_world(), &hello("expect: {status: 200}"));
    stage.after_seconds(65).await;
    hang(&stage, true);
    while stage.target(HELLO).counts.in_flight == 0 {
        stage.after_seconds(1).await;
    }
    stage.reconcile(&hello("expect: {status: 204}")).await;
    stage.after_seconds(21).await;
    let status = stage.target(HELLO);
    assert_eq!(stage.count(HELLO, "response_timeout"), 1, "its due time was counted, so is its end");
    assert!(status.last.is_none() && status.latency.is_none() && status.failures.is_empty());
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_permit_goes_out_as_it_is_configured_then() {
    let with = |hello: &str| {
        plan(
            &format!(
                "{{name: first, request: GET /held, every: 1m, timeout: 40s}}\n\
                 {{name: hello, request: {hello}, every: 10s, timeout: 50s, expect: {{status: 200}}}}"
            ),
            "limits: {in_flight: 1}",
        )
    };
    let mut world = quiet_world();
    let api = api_of(&mut world, PAYMENTS);
    let held = Route { path: "/held".into(), ..api.routes[0].clone() };
    api.routes.push(held);
    let stage = Stage::start(world, &with("GET /"));
    stage.after_seconds(60).await;
    stage.hub.change(|world| {
        api_of(world, PAYMENTS).routes.last_mut().unwrap().fault = Some(Fault::Wire(WireFault::Hang));
    });
    while stage.target(HELLO).counts.waiting == 0 {
        stage.after_seconds(1).await;
    }
    assert_eq!(stage.reconcile(&with("GET /?x=1")).await, changes(0, 0, 1, 1));
    while stage.target(HELLO).counts.waiting > 0 {
        assert!(stage.target(HELLO).last.is_none());
        stage.after(Duration::from_millis(100)).await;
    }
    let last = stage.target(HELLO).last.expect("what waited is the first of the new form");
    assert_eq!((last.streak, last.expected), (1, true));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_needs_a_restart_changes_nothing_and_names_all_keys() {
    let first = plan("{name: hello, request: GET /, every: 30s}", "");
    let stage = Stage::start(quiet_world(), &first);
    stage.after_seconds(60).await;
    let before = shown(&stage);
    let mut other = plan("{name: other, request: GET /, every: 30s}", "metrics: {buckets: [1, 2]}");
    other.settings.web.listen = "127.0.0.1:1".parse().unwrap();
    let problem = stage.handle.reconcile(other.clone()).await.unwrap_err();
    let text = problem.to_string();
    for part in
        ["metrics.buckets: [", "[1.0, 2.0] was asked for", "web.listen: ", "127.0.0.1:1 was", "restart"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(text.lines().count(), 2);
    let mut other_file = first.clone();
    other_file.settings.web.config_file = Some("web.yaml".into());
    let text = stage.handle.reconcile(other_file).await.unwrap_err().to_string();
    assert!(text.contains("web.config_file: ") && text.contains("web.yaml"), "{text}");
    let mut other_hub = first.clone();
    other_hub.settings.credentials.hub_role_arn =
        Some("arn:aws:iam::111122223333:role/other".parse().unwrap());
    let text = stage.handle.reconcile(other_hub).await.unwrap_err().to_string();
    assert!(text.contains("hub.role_arn: ") && text.contains("role/other was asked for"), "{text}");
    // Who the members are is the affair of who gives the agent its share.
    let (mut shared, one) = (first.clone(), std::num::NonZeroU32::MIN);
    shared.settings.members =
        Some(members::Settings { source: members::Source::Shard { index: one, of: one }, replicas: one });
    assert_eq!(stage.handle.reconcile(shared).await.unwrap(), changes(0, 0, 0, 1));
    assert!(matches!(problem, ReconcileProblem::Restart(_)));
    assert_eq!(shown(&stage), before);

    // A target that cannot be addressed: nothing of the plan is taken, also not what could be.
    let mut bad =
        plan("{name: hello, request: GET /, every: 5s}\n{name: new, request: GET /, every: 30s}", "");
    let broken = bad.targets.last_mut().unwrap();
    let mut target = (**broken).clone();
    target.addressing = spokeprobe::domain::api::Addressing::EndpointDns;
    *broken = Arc::new(target);
    let problem = stage.handle.reconcile(bad).await.unwrap_err().to_string();
    assert!(problem.contains("payments/hoot/new") && problem.contains("dns_name"), "{problem}");
    assert_eq!(shown(&stage), before);
    stage.after_seconds(60).await;

    let handle = stage.handle.clone();
    stage.end().await;
    assert!(matches!(handle.reconcile(first).await, Err(ReconcileProblem::Ended)));
}

#[tokio::test(start_paused = true)]
async fn another_signer_is_asked_for_first_and_nothing_is_unsent_meanwhile() {
    let with = |session: &str| {
        let mut plan = plan(
            "{name: hello, request: GET /, every: 5s}\n{name: refused, request: GET /, as: anonymous, every: 5s, expect: {denied: true}}",
            &format!("defaults: {{session_name: {session}}}"),
        );
        plan.isolation = None;
        plan
    };
    let mut world = quiet_world();
    world.sts.latency = spokeprobe::simulator::world::Span::from_seconds(2);
    let stage = Stage::start(world, &with("one"));
    stage.after_seconds(30).await;
    let asked = stage.seen.assume_role_calls().len();
    let phase = |at: &Moment| at.since_origin().as_millis() % 5_000;
    let before: BTreeSet<u128> = stage.seen.sent().iter().map(phase).collect();
    for session in ["two", "one", "two"] {
        assert_eq!(stage.reconcile(&with(session)).await, changes(0, 0, 1, 1));
        stage.after_seconds(30).await;
    }
    assert_eq!(stage.seen.assume_role_calls().len(), asked + 3, "a role that comes back is asked for again");
    let unsent = stage.metric("spokeprobe_requests_total", &[("outcome", "unsent")]);
    assert_eq!(unsent, None);
    assert_eq!(stage.last(HELLO), "ok/none, expected");
    assert_eq!(stage.last("payments/hoot/refused"), "denied/vpc_endpoint_policy, expected");
    let after: BTreeSet<u128> = stage.seen.sent().iter().map(phase).collect();
    assert_eq!(before, after, "each at its place of the interval");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn other_limits_take_effect_at_once() {
    let limited = |most: usize| {
        let probes: Vec<String> =
            (0..12).map(|n| format!("{{name: p{n}, request: GET /, every: 10s, timeout: 9s}}")).collect();
        plan(&probes.join("\n"), &format!("limits: {{in_flight_per_account: {most}}}"))
    };
    let stage = Stage::start(quiet_world(), &limited(3));
    stage.after_seconds(30).await;
    hang(&stage, true);
    let in_flight =
        || stage.recorder.snapshot().targets.iter().map(|target| target.counts.in_flight).sum::<i64>();
    stage.after_seconds(30).await;
    assert_eq!(in_flight(), 3);
    assert_eq!(stage.reconcile(&limited(8)).await, changes(0, 0, 0, 12));
    stage.after_seconds(20).await;
    assert_eq!(in_flight(), 8);
    stage.reconcile(&limited(2)).await;
    assert_eq!(in_flight(), 8, "what is in flight stays so");
    stage.after_seconds(20).await;
    assert_eq!(in_flight(), 2);
    hang(&stage, false);
    stage.after_seconds(20).await;
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_begins_with_nothing_gets_its_targets_later() {
    let whole = plan("{name: hello, request: GET /, every: 30s}", "");
    let mut nothing = whole.clone();
    (nothing.targets, nothing.roles, nothing.spokes) = (Vec::new(), Vec::new(), Vec::new());
    let stage = Stage::start(quiet_world(), &nothing);
    stage.after_seconds(60).await;
    assert_eq!(stage.reconcile(&whole).await, changes(1, 0, 0, 0));
    stage.after_seconds(60).await;
    assert_eq!(stage.last(HELLO), "ok/none, expected");
    assert_eq!(stage.reconcile(&nothing).await, changes(0, 1, 0, 0));
    assert!(!stage.scrape().contains("payments"), "{}", stage.scrape());
    stage.after_seconds(60).await;
    stage.end().await;
}

/// The bound is far above what it takes, so that a busy machine does not fail it.
#[tokio::test(start_paused = true)]
async fn ten_thousand_targets_and_nothing_to_do_is_done_soon() {
    let mut plan = plan("{name: hello, request: GET /, every: 1h}", "");
    let one = Arc::clone(&plan.targets[0]);
    plan.targets = (0..10_000)
        .map(|n| {
            let mut target = (*one).clone();
            target.id.spoke = format!("spoke-{}", n / 10).parse().unwrap();
            target.id.probe = format!("hello-{n}").parse().unwrap();
            Arc::new(target)
        })
        .collect();
    plan.limits.requests_per_second = 1e6;
    plan.limits.requests_per_second_per_account = 1e6;
    let stage = Stage::start(quiet_world(), &plan);
    stage.after_seconds(1).await;
    // Not the same values, as after a reload.
    let mut again = plan.clone();
    again.targets = plan.targets.iter().map(|target| Arc::new((**target).clone())).collect();
    let from = now();
    assert_eq!(stage.handle.reconcile(again.clone()).await.unwrap(), changes(0, 0, 0, 10_000));
    let equal = now() - from;
    again.targets.pop();
    let from = now();
    assert_eq!(stage.handle.reconcile(again).await.unwrap(), changes(0, 1, 0, 9_999));
    let one_less = now() - from;
    println!("equal {equal:?}, one less {one_less:?}");
    assert!(
        equal < Duration::from_millis(200) && one_less < Duration::from_secs(5),
        "{equal:?} {one_less:?}"
    );
    stage.end().await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time that the machine takes, beside a clock that stands still"
)]
fn now() -> Instant {
    Instant::now()
}
