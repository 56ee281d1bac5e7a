//! Any sequence of plans, with attempts in flight at each change: the books balance at every moment, and nothing of a
//! target that is gone is left anywhere.

use crate::stage::{Stage, api_of, plan_of, quiet_world};
use proptest::prelude::*;
use spokeprobe::domain::target::{Cadence, Target};
use spokeprobe::plan::Plan;
use spokeprobe::simulator::WireFault;
use spokeprobe::simulator::world::{Fault, Span};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const SPOKES: [&str; 2] = ["012345678901", "222233334444"];

/// Two spokes with probes of every kind.
fn whole() -> Plan {
    plan_of(
        "
limits: {in_flight: 6, in_flight_per_account: 4}
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
          - {name: hello, request: GET /, every: 3s, timeout: 4s}
          - {name: greet, request: POST /greet, json: {name: buddy}, every: 2s, timeout: 3s}
          - {name: refused, request: GET /, as: anonymous, every: 2s, timeout: 2s, expect: {denied: true}}
          - {name: other, request: GET /, as: 'spoke:orders', every: 3s, timeout: 2s, expect: {denied: true}}
          - {name: steady, request: GET /, rate: 3/s, timeout: 2s}
  - name: orders
    account: '222233334444'
    external_id: spokeprobe-orders
    apis:
      - name: orders
        id: b2c3d4e5f6
        stage: api
        probes:
          - {name: hello, request: GET /, every: 2s, timeout: 5s}
          - {name: hub, request: GET /, as: hub, every: 3s, timeout: 2s, expect: {denied: true}}
",
    )
}

/// What becomes of one target in one plan.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Gone,
    AsItWas,
    Slower,
    Faster,
    AsRate,
    Elsewhere,
    Patient,
    Picky,
}

/// One plan, the world it meets, and how long it is in force.
#[derive(Debug, Clone)]
struct Step {
    fates: Vec<Fate>,
    in_flight: usize,
    hangs: [bool; 2],
    lasts_ms: u64,
}

fn step() -> impl Strategy<Value = Step> {
    use Fate::{AsItWas, AsRate, Elsewhere, Faster, Gone, Patient, Picky, Slower};
    let fate = prop_oneof![
        3 => Just(Gone), 4 => Just(AsItWas), 1 => Just(Slower), 1 => Just(Faster), 1 => Just(AsRate),
        1 => Just(Elsewhere), 1 => Just(Patient), 1 => Just(Picky)
    ];
    let lasts = prop_oneof![Just(0), 1_u64..300, 300_u64..9_000];
    (proptest::collection::vec(fate, 7), 1_usize..8, any::<[bool; 2]>(), lasts)
        .prop_map(|(fates, in_flight, hangs, lasts_ms)| Step { fates, in_flight, hangs, lasts_ms })
}

fn changed(target: &Target, fate: Fate) -> Option<Target> {
    let mut target = target.clone();
    match fate {
        Fate::Gone => return None,
        Fate::AsItWas => {}
        Fate::Slower => target.cadence = Cadence::Every(Duration::from_secs(5)),
        Fate::Faster => target.cadence = Cadence::Every(Duration::from_secs(1)),
        Fate::AsRate => target.cadence = Cadence::PerSecond(5.0),
        Fate::Elsewhere => target.request.path_and_query = "/nowhere".into(),
        Fate::Patient => target.timeout = Duration::from_secs(8),
        Fate::Picky => target.expectation.within = Some(Duration::from_millis(1)),
    }
    Some(target)
}

fn plan_at(step: &Step) -> Plan {
    let mut plan = whole();
    let fates = plan.targets.iter().zip(&step.fates);
    plan.targets = fates.filter_map(|(target, fate)| changed(target, *fate).map(Arc::new)).collect();
    let ids: BTreeSet<String> = plan.targets.iter().map(|target| target.id.to_string()).collect();
    for target in &mut plan.targets {
        if target.positive_control.as_ref().is_some_and(|id| !ids.contains(&id.to_string())) {
            let mut without = (**target).clone();
            without.positive_control = None;
            *target = Arc::new(without);
        }
    }
    plan.limits.in_flight = step.in_flight;
    plan.limits.in_flight_per_account = step.in_flight.div_ceil(2);
    plan
}

/// The law of every living target, of the sum of all, and that nobody else is shown.
fn check(stage: &Stage, living: &BTreeSet<String>) {
    assert_eq!(stage.recorder.imbalances(), []);
    let snapshot = stage.recorder.snapshot();
    let shown: BTreeSet<String> =
        snapshot.targets.iter().map(|status| status.target.id.to_string()).collect();
    assert_eq!(&shown, living);
    let under_way: i64 =
        snapshot.targets.iter().map(|status| status.counts.in_flight + status.counts.waiting).sum();
    assert_eq!(snapshot.in_flight, under_way, "the sum is that of the living");
    assert!(snapshot.targets.iter().all(|status| status.counts.in_flight >= 0 && status.counts.waiting >= 0));
}

async fn play(steps: Vec<Step>) {
    let mut world = quiet_world();
    for spoke in SPOKES {
        api_of(&mut world, spoke).latency = Span::from_seconds(1);
    }
    let stage = Stage::start(world, &plan_at(&steps[0]));
    for step in &steps {
        let plan = plan_at(step);
        let living: BTreeSet<String> = plan.targets.iter().map(|target| target.id.to_string()).collect();
        let before = stage.recorder.snapshot().targets.len();
        let changes = stage.reconcile(&plan).await;
        assert_eq!(changes.added + changes.changed + changes.kept, living.len());
        assert_eq!(changes.removed + changes.changed + changes.kept, before);
        check(&stage, &living);
        for (spoke, hangs) in SPOKES.iter().zip(step.hangs) {
            let fault = hangs.then_some(Fault::Wire(WireFault::Hang));
            stage.hub.change(|world| api_of(world, spoke).fault = fault);
        }
        let mut left = step.lasts_ms;
        while left > 0 {
            let now = left.min(137);
            tokio::time::sleep(Duration::from_millis(now)).await;
            check(&stage, &living);
            left -= now;
        }
    }
    // All that was under way, of whatever form of whatever target, ends.
    let mut nobody = whole();
    nobody.targets.clear();
    stage.reconcile(&nobody).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    check(&stage, &BTreeSet::new());
    assert!(!stage.scrape().contains("probe="), "a series of nobody");
    stage.end().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_books_balance_through_any_sequence_of_plans(steps in proptest::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(play(steps));
    }
}
