//! Forty spokes, half of which hang until the timeout: what the others notice. Nothing.
//!
//! And the agent's own overload: it is shared out evenly, and is never told as the failing of spokes.

use crate::stage::{Stage, plan_of};
use spokeprobe::domain::name::Name;
use spokeprobe::domain::observation::MissCause;
use spokeprobe::plan::Plan;
use spokeprobe::recording::TargetStatus;
use spokeprobe::simulator::world::{Fault, Span};
use spokeprobe::simulator::{WireFault, World};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

const SPOKES: usize = 40;

fn account(spoke: usize) -> String {
    format!("{:012}", 100_000 + spoke)
}

fn world() -> World {
    let allow = "Version: '2012-10-17', Statement: [{Effect: Allow,";
    let mut text = format!(
        "region: eu-west-1\nhub: {{account: '999999999999', role: hub}}\nendpoint: {{id: vpce-0a1b2c3d}}\naccounts:\n\
         - id: '999999999999'\n  name: hub\n  roles: [{{name: hub, policies: [{{{allow} Action: 'sts:*', Resource: '*'}}]}}]}}]\n"
    );
    for spoke in 0..SPOKES {
        write!(
            text,
            "- id: '{account}'\n  name: s{spoke}\n  roles: [{{name: spokeprobe, trust: {{{allow} Principal: {{AWS: '*'}}, \
             Action: 'sts:AssumeRole'}}]}}, policies: [{{{allow} Action: 'execute-api:Invoke', Resource: '*'}}]}}]}}]\n  \
             apis: [{{id: a{spoke:09}, name: x, stages: [s], resource_policy: {{{allow} Principal: '*', Action: \
             'execute-api:Invoke', Resource: 'execute-api:/*'}}]}}, routes: [{{method: GET, path: /, authorization: \
             AWS_IAM, integration: {{json: {{a: 1}}}}}}]}}]\n",
            account = account(spoke)
        )
        .unwrap();
    }
    World::parse(&text).unwrap()
}

/// Each spoke with five probes of half a minute, and one at a rate.
fn plan(limits: &str, with_rates: bool) -> Plan {
    let mut text = format!("limits: {{{limits}}}\nspokes:\n");
    for spoke in 0..SPOKES {
        write!(
            text,
            "- name: s{spoke}\n  account: '{}'\n  apis:\n  - name: x\n    id: a{spoke:09}\n    stage: s\n    max_rate: 10/s\n    probes:\n",
            account(spoke)
        )
        .unwrap();
        for probe in 0..5 {
            writeln!(text, "    - {{name: p{probe}, request: GET /, every: 30s, timeout: 31s}}").unwrap();
        }
        if with_rates {
            writeln!(text, "    - {{name: steady, request: GET /, rate: 12/m, timeout: 31s}}").unwrap();
        }
    }
    plan_of(&text)
}

/// Every second spoke hangs.
fn hang(stage: &Stage, on: bool) {
    stage.hub.change(|world| {
        for account in &mut world.accounts {
            let odd = account.id.parse::<usize>().unwrap() % 2 == 1;
            for api in account.apis.iter_mut().filter(|_| odd) {
                api.fault = on.then_some(Fault::Wire(WireFault::Hang));
            }
        }
    });
}

fn hangs(status: &TargetStatus) -> bool {
    let spoke = status.target.id.spoke.as_str();
    spoke[1..].parse::<usize>().unwrap() % 2 == 1
}

/// Attempts that were sent within these many seconds of their due time, and all.
fn lag(stage: &Stage, within: &str) -> (f64, f64) {
    let bucket = stage.metric("spokeprobe_schedule_lag_seconds_bucket", &[("le", within)]).unwrap();
    (bucket, stage.metric("spokeprobe_schedule_lag_seconds_count", &[]).unwrap())
}

#[tokio::test(start_paused = true)]
async fn half_of_forty_spokes_hang_and_the_others_notice_nothing() {
    // Hanging rates may take half of an account's permits, and half of the agent's together: 20 × 4 of 300.
    let limits = "in_flight: 300, in_flight_per_account: 9, requests_per_second: 1000";
    let stage = Stage::start(world(), &plan(limits, true));
    stage.after_seconds(60).await;
    hang(&stage, true);
    stage.after_seconds(35).await;
    let before = stage.recorder.snapshot().targets;
    let (_, sent_before) = lag(&stage, "0.0025");
    let mut most = 0;
    for _ in 0..20 {
        stage.after_seconds(12).await;
        let mut held: BTreeMap<Name, i64> = BTreeMap::new();
        for status in stage.recorder.snapshot().targets {
            *held.entry(status.target.id.spoke.clone()).or_default() += status.counts.in_flight;
        }
        most = most.max(held.values().copied().max().unwrap());
    }
    assert_eq!(most, 9, "an account that hangs has all of its permits out, and no more");
    for (status, old) in stage.recorder.snapshot().targets.iter().zip(&before) {
        let (id, counts) = (&status.target.id, &status.counts);
        let (due, ended) = (counts.due - old.counts.due, counts.ended() - old.counts.ended());
        if hangs(status) {
            assert!(counts.in_flight <= 4, "{id}: {counts:?}");
            continue;
        }
        let every = if id.probe.as_str() == "steady" { 5 } else { 30 };
        assert!(due.abs_diff(240 / every) <= 1, "{id}: {due}");
        assert_eq!((due - ended, counts.missed_total(), counts.waiting), (0, 0, 0), "{id}");
        let last = status.last.as_ref().unwrap();
        assert!(last.expected && last.streak == counts.ended(), "{id}: {last:?}");
    }
    // Whatever waited for an account's permits is of an account that hangs. The others went out when due.
    let (soon, sent) = lag(&stage, "0.0025");
    let healthy: u64 = 20 * (5 * 8 + 48);
    assert!(soon - sent_before >= healthy as f64 - 100.0, "{soon} of {sent} since {sent_before}");
    hang(&stage, false);
    stage.after_seconds(60).await;
    stage.end().await;
}

/// Each answer takes four seconds, and twelve may be under way: three a second go out.
async fn overload(stage: &Stage, plan: &mut Plan) {
    stage.hub.change(|world| {
        for api in world.accounts.iter_mut().flat_map(|account| &mut account.apis) {
            api.latency = Span::from_seconds(4);
        }
    });
    plan.limits.in_flight = 12;
    stage.reconcile(plan).await;
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_agent_says_so_and_calls_no_spoke_bad() {
    let limits = "in_flight: 300, in_flight_per_account: 30, requests_per_second: 1000";
    let mut narrow = plan(limits, true);
    let stage = Stage::start(world(), &narrow);
    stage.after_seconds(60).await;
    let last = |status: &TargetStatus| {
        let last = status.last.clone().unwrap();
        (last.reason, last.expected, last.since)
    };
    let before: Vec<_> = stage.recorder.snapshot().targets.iter().map(last).collect();
    let unexpected = stage.metric("spokeprobe_unexpected_results_total", &[]);
    overload(&stage, &mut narrow).await;
    stage.after_seconds(300).await;
    let targets = stage.recorder.snapshot().targets;
    let after: Vec<_> = targets.iter().map(last).collect();
    assert_eq!(before, after, "up, reason and since when are those of before");
    assert_eq!(stage.metric("spokeprobe_unexpected_results_total", &[]), unexpected);
    let unsent = [("outcome", "unsent"), ("reason", "overloaded")];
    let overloaded = stage.metric("spokeprobe_requests_total", &unsent).unwrap();
    let missed = stage.metric("spokeprobe_missed_attempts_total", &[("cause", "overloaded")]).unwrap();
    assert!(overloaded > 150.0 && missed > 1_500.0, "{overloaded} unsent, {missed} missed");
    let (soon, sent) = lag(&stage, "1");
    assert!(soon < sent, "and its schedule is late");
    assert_eq!(stage.metric("spokeprobe_fault", &[("scope", "agent")]), Some(1.0));
    assert_eq!(stage.metric("spokeprobe_spoke_fault", &[]), Some(0.0));
    assert!(targets.iter().all(|status| status.counts.missed_by(MissCause::Paused) == 0));

    narrow.limits.in_flight = 300;
    stage.reconcile(&narrow).await;
    stage.after_seconds(60).await;
    let again = stage.metric("spokeprobe_requests_total", &unsent).unwrap();
    stage.after(Duration::from_secs(60)).await;
    assert_eq!(stage.metric("spokeprobe_requests_total", &unsent), Some(again), "and then it is over");
    assert_eq!(stage.metric("spokeprobe_fault", &[("scope", "agent")]), Some(0.0));
    stage.end().await;
}

/// How often each target went out between two looks: whatever ended but `unsent`.
fn served(stage: &Stage) -> Vec<u64> {
    let went_out = |status: &TargetStatus| {
        let results = status.counts.results.iter();
        let sent = results.filter(|result| result.reason.outcome().as_str() != "unsent");
        sent.map(|result| result.count).sum()
    };
    stage.recorder.snapshot().targets.iter().map(went_out).collect()
}

/// Twelve permits for two hundred targets, which wait for half of the time that a turn of all takes: each gives up and
/// asks again, at the same places of its interval for ever, and each has its turn.
#[tokio::test(start_paused = true)]
async fn under_overload_every_target_is_served_as_often_as_every_other() {
    let limits = "in_flight: 300, in_flight_per_account: 30, requests_per_second: 1000";
    let mut narrow = plan(limits, false);
    for (n, target) in narrow.targets.iter_mut().enumerate() {
        // Some wait long, some for a moment.
        Arc::make_mut(target).timeout = Duration::from_secs([31, 20, 10, 6, 5][n % 5]);
    }
    let stage = Stage::start(world(), &narrow);
    stage.after_seconds(60).await;
    overload(&stage, &mut narrow).await;
    stage.after_seconds(60).await;
    let before = served(&stage);
    stage.after_seconds(600).await;
    let times: Vec<u64> = served(&stage).iter().zip(before).map(|(now, before)| now - before).collect();
    let (least, most) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    let all: u64 = times.iter().sum();
    assert_eq!(times.len(), 200);
    assert!(all.abs_diff(1_800) <= 24, "no permit lies idle: {all}");
    assert!(least >= 6 && most <= 2 * least, "{least} to {most}: {times:?}");
    let unsent = [("outcome", "unsent"), ("reason", "overloaded")];
    assert!(stage.metric("spokeprobe_requests_total", &unsent).unwrap() > 300.0);
    narrow.limits.in_flight = 300;
    stage.reconcile(&narrow).await;
    stage.after_seconds(60).await;
    stage.end().await;
}
