//! What `plan` says about time series, held against real scrapes.

#![cfg(target_os = "linux")]

use crate::stage::{Stage, demo_plan, plan_of_documents, quiet_world};
use spokeprobe::plan::{estimate, report};
use spokeprobe::simulator::World;
use std::time::Duration;

/// The series of a scrape: its lines that are no comments.
fn series(scrape: &str) -> usize {
    scrape.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count()
}

const HEALTHY: &str = "
hub:
  region: eu-west-1
  role_arn: arn:aws:iam::111122223333:role/spokeprobe-hub
  endpoint:
    id: vpce-0123456789abcdef0
    zones: {euw1-az1: 10.0.1.17, euw1-az2: 10.0.2.23}
metrics: {buckets: [0.1, 0.5, 2.5]}
defaults: {every: 10s}
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    labels: {team: money, env: prod}
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        max_rate: 5/s
        probes:
          - {name: hello, request: GET /, per_zone: true}
          - {name: steady, request: GET /, rate: 1/s}
          - {name: unsigned, request: GET /, as: anonymous, per_zone: true, expect: {denied_by: [vpc_endpoint_policy, forbidden]}}
          - {name: orders, request: GET /, as: spoke:orders, expect: {denied: true}}
  - name: orders
    account: '222233334444'
    external_id: spokeprobe-orders
    labels: {team: shop}
    apis: [{name: orders, id: b2c3d4e5f6, stage: api, probes: [{name: hello, request: GET /}]}]
  - name: notes
    account: '999900001111'
    external_id: spokeprobe-notes
    apis: [{name: notes, id: i9j0k1l2m3, stage: api, probes: [{name: open, request: GET /, as: anonymous}]}]
";

#[tokio::test(start_paused = true)]
async fn a_scrape_where_all_is_as_expected_has_the_series_that_plan_tells() {
    let plan = plan_of_documents(HEALTHY, &[], &|_| None);
    let told = report::report(&plan, &estimate(&plan), &[], &plan.warnings);
    let stage = Stage::start(quiet_world(), &plan);
    for minutes in [1, 60] {
        stage.after(Duration::from_secs(60 * minutes)).await;
        for status in stage.recorder.snapshot().targets {
            assert!(status.last.is_some_and(|last| last.expected), "{}", status.target.id);
        }
        assert_eq!(series(&stage.scrape()), told.time_series, "{}", stage.scrape());
    }
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_demo_stays_below_the_worst_case() {
    let plan = demo_plan();
    let told = estimate(&plan);
    let stage = Stage::start(World::default_world().unwrap(), &plan);
    stage.after(Duration::from_secs(150)).await;
    let found = series(&stage.scrape());
    let told = told.time_series;
    assert!(found > told.expected && found <= told.worst, "{found}, told {told:?}");
    stage.end().await;
}
