//! A day of the agent in the demo's world, in moments: time is paused and nothing leaves the process.
//!
//! What is checked is what must be true on any day: the books balance at every moment, agent and hub count
//! the same, sessions are renewed early and gently, and every target is told for what it is.

use crate::conservation::{both_counted_the_same, sent_by_api};
use crate::stage::{AssumeRoleCall, Stage, demo_plan, status_of};
use spokeprobe::domain::moment::Moment;
use spokeprobe::domain::outcome::Reason;
use spokeprobe::domain::target::{Cadence, Target};
use spokeprobe::plan::Plan;
use spokeprobe::recording::Recorder;
use spokeprobe::simulator::World;
use spokeprobe::simulator::world::Span;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Odd against the minute in which the demo's timeline repeats, so every target meets every state of it.
const EVERY: Duration = Duration::from_secs(211);
const DAY: Duration = Duration::from_secs(86_400);

/// The demo's plan at a pace that makes a day affordable, without its isolation: hundreds of pairs each minute
/// would be nearly all that happens.
fn slowed_plan() -> Plan {
    let mut plan = demo_plan();
    plan.isolation = None;
    for target in &mut plan.targets {
        let cadence = match target.cadence {
            Cadence::Every(_) => Cadence::Every(EVERY),
            Cadence::PerSecond(_) => Cadence::PerSecond(1.0 / EVERY.as_secs_f64()),
        };
        *target = Arc::new(Target { cadence, ..(**target).clone() });
    }
    plan
}

#[tokio::test(start_paused = true)]
async fn a_day_in_the_demo() {
    let plan = slowed_plan();
    let targets = plan.targets.len();
    let mut world = World::default_world().unwrap();
    // Slow enough that all 22 roles would be asked for at once at the start.
    world.sts.latency = Span::from_seconds(2);
    let stage = Stage::start(world, &plan);

    // Many moments, none of them a multiple of an interval.
    let step = Duration::from_millis(601_303);
    let mut passed = Duration::ZERO;
    while passed + step < DAY {
        stage.after(step).await;
        passed += step;
    }
    stage.after(DAY - passed).await;

    let (recorder, seen) = (Arc::clone(&stage.recorder), Arc::clone(&stage.seen));
    let counted = stage.end().await;
    both_counted_the_same(&recorder, &counted);
    let due: u64 = recorder.snapshot().targets.iter().map(|status| status.counts.due).sum();
    let foreseen = targets as u64 * DAY.as_secs() / EVERY.as_secs();
    assert!(due.abs_diff(foreseen) <= 2 * targets as u64, "{due} due, {foreseen} foreseen");

    nothing_starts_at_once(&seen.sent(), targets);
    sessions_are_renewed_early_and_gently(&seen.assume_role_calls());
    assert_eq!(results(&recorder), RESULTS.trim_start());
}

/// At its own pace the demo also shows a throttle, and rates beside intervals.
#[tokio::test(start_paused = true)]
async fn three_minutes_of_the_demo_at_its_own_pace() {
    let stage = Stage::start(World::default_world().unwrap(), &demo_plan());
    for _ in 0..600 {
        stage.after(Duration::from_millis(303)).await;
    }
    let recorder = Arc::clone(&stage.recorder);
    let counted = stage.end().await;
    both_counted_the_same(&recorder, &counted);
    let sent = sent_by_api(&recorder);
    let twins: u64 = sent.values().map(|api| api.twins).sum();
    assert!(twins >= 7, "each vague refusal is asked about at least once: {twins}");
    // Every role at every foreign api in each minute, but for the two roles that nobody can assume and the
    // kiosk's, which is trusted for a part of it.
    let checks: u64 = sent.values().map(|api| api.checks).sum();
    assert!((3 * 19 * 21..=3 * 20 * 21 + 400).contains(&checks), "{checks} checks");
    let throttled =
        RESULTS.trim_start().replace("hello: ok/none\nshipping", "hello: ok/none throttled/rate\nshipping");
    assert_eq!(results(&recorder), throttled);
    // 10 a second ask, 6 a second pass, and 1 a second for 10 s of each minute.
    let search = status_of(&recorder, "search/search/hello").counts;
    let passed = search.results.iter().filter(|result| result.reason == Reason::None);
    let passed: u64 = passed.map(|result| result.count).sum();
    assert!((850..=1_000).contains(&passed) && search.due.abs_diff(1_818) < 15, "{search:?}");
}

/// What is sent in the first interval is spread over it.
fn nothing_starts_at_once(sent: &[Moment], targets: usize) {
    for second in 0..EVERY.as_secs() {
        let within = |at: &&Moment| at.since_origin().as_secs() == second;
        let count = sent.iter().filter(within).count();
        assert!(count <= targets / 6, "{count} of {targets} targets sent in second {second}");
    }
}

fn sessions_are_renewed_early_and_gently(calls: &[AssumeRoleCall]) {
    assert_eq!(calls.iter().map(|call| call.at_once).max(), Some(10), "as many as may be, and no more");
    let of = |account: &str| calls.iter().filter(|call| call.account == account).collect::<Vec<_>>();
    let accounts: BTreeSet<&str> = calls.iter().map(|call| call.account.as_str()).collect();
    assert_eq!(accounts.len(), 22);
    for account in accounts {
        let calls = of(account);
        let expected = match account {
            // Sessions of 30 s and refusals for a while of each minute: 6 a minute, fewer after many refusals.
            "135713571357" => 1_500..=8_640,
            // Refused all day, so asked for each 5 minutes.
            "890189018901" | "901290129012" => 230..=380,
            // An hour, renewed after half of it, 10% more or less.
            _ => 43..=54,
        };
        assert!(expected.contains(&calls.len()), "{account}: {} calls", calls.len());
        if *expected.end() == 54 {
            assert!(calls.iter().all(|call| call.ok), "{account}");
            // Never so late that a session of an hour would have ended.
            let spans = calls.windows(2).map(|pair| pair[1].at.since(pair[0].at));
            assert!(spans.max() < Some(Duration::from_secs(34 * 60)), "{account}");
        }
    }
}

/// Every target with all the ways in which it ended, in the order of reasons.
fn results(recorder: &Recorder) -> String {
    let mut text = String::new();
    for status in recorder.snapshot().targets {
        let reasons: BTreeSet<Reason> = status
            .counts
            .results
            .iter()
            .filter(|result| result.count > 0)
            .map(|result| result.reason)
            .collect();
        let words: Vec<String> =
            reasons.iter().map(|reason| format!("{}/{reason}", reason.outcome())).collect();
        text += &format!("{}: {}\n", status.target.id, words.join(" "));
    }
    text
}

/// What the names of the targets, the comments of the world and its timeline promise. `search` is throttled
/// only at the demo's own pace.
const RESULTS: &str = "
archive/archive/hello: unsent/assume_role_denied
badge/badge/hello: ok/none denied/token_expired
billing/billing/hello: denied/session_policy
billing/billing/status: ok/none
catalog/catalog/hello: denied/identity_policy
catalog/catalog/status: ok/none
clinic/clinic/hello: ok/none
clinic/clinic/mistyped: denied/missing_authentication_token failed/not_found
clinic/clinic/unsigned-is-refused: denied/vpc_endpoint_policy denied/unattributed_policy
crm/crm/binary: ok/none
crm/crm/busy: failed/backend_status
crm/crm/cut: unreachable/protocol
crm/crm/garbage: unreachable/protocol
crm/crm/hello: ok/none
crm/crm/proxy: failed/not_api_gateway
crm/crm/silent: failed/response_timeout
inventory/inventory/hello: denied/permissions_boundary
kiosk/kiosk/hello: ok/none unsent/assume_role_denied
ledger/ledger/hello: denied/resource_policy
legacy/legacy/hello: denied/unattributed_policy
login/login/hello: denied/lambda_authorizer
login/login/open: ok/none
login/login/token: denied/unauthorized
maps/maps/with-key: ok/none
maps/maps/without-key: denied/forbidden
media/media/hello: denied/service_control_policy
museum/museum/hello: denied/resource_or_identity_policy denied/unattributed_policy
museum/museum/tour: ok/none
notes/notes/hello: ok/none
notes/notes/unsigned-is-refused: ok/none denied/missing_authentication_token
orders/orders/hello: ok/none denied/resource_policy
orders/orders/one-order: ok/none denied/resource_policy
orders/orders/payments-is-refused: denied/resource_policy
orders/orders/unsigned-is-refused: denied/vpc_endpoint_policy
partner/rates/hello: denied/vpc_endpoint_policy
partner/rates/is-kept-out: denied/vpc_endpoint_policy
payments/hoot/greet: ok/none
payments/hoot/greet-stranger: ok/none
payments/hoot/hello: ok/none
payments/hoot/orders-is-refused: denied/resource_or_identity_policy
payments/hoot/steady: ok/none
payments/hoot/unsigned-is-refused: denied/vpc_endpoint_policy
reports/reports/hello: ok/none failed/too_slow
search/search/hello: ok/none
shipping/shipping/failing: failed/integration_error unreachable/reset
shipping/shipping/hello: ok/none unreachable/reset
shipping/shipping/late: failed/integration_timeout unreachable/reset
shipping/shipping/misconfigured: failed/integration_error unreachable/reset
shipping/shipping/unplugged: failed/integration_network unreachable/reset
vendor/vendor/hello: unsent/assume_role_denied
";
