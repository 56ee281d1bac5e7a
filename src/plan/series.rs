//! How many time series a plan makes: the arithmetic over the list of metrics.
//!
//! A series is one line of a scrape that is not a comment; a histogram of B buckets has B + 3 (the buckets,
//! `+Inf`, `_sum`, `_count`). `expected` counts a scrape after every target had one attempt and each was as
//! expected; `worst` the same with eight different results per target. Per target:
//!
//! | family | expected | worst |
//! |---|---|---|
//! | `due_attempts_total` | 1 | 1 |
//! | `requests_total` | one per expected result, at least 1 | at least 8 |
//! | `unexpected_results_total` | 1, there from the start | 8 |
//! | `missed_attempts_total` | 3 causes | 3 |
//! | `request_duration_seconds` | B + 3, of the one outcome | 5 × (B + 3), of the outcomes that were sent |
//! | `up` `last_outcome` `last_attempt_timestamp_seconds` `probe_interval_seconds` | 4 | 4 |
//!
//! Per guard `door_open` (1, without a zone). Per spoke `spoke_info` and `spoke_fault` (2). Per spoke with targets
//! `connection_retries_total` (1, there from the start); per spoke with signed targets `signed_header_bytes`
//! (1). Per spoke whose role is in use `assume_role_total` (1; worst 4 results) and
//! `credentials_expiry_timestamp_seconds` (1). For the agent: `schedule_lag_seconds` (15 + 3) and
//! `assume_role_duration_seconds` (10 + 3), whose buckets are recording's own, `in_flight_requests`,
//! `task_panics_total`, `clock_skew_seconds`, `build_info`, `fault` (3 scopes) and the `process_*` family (7).
//! `twin_attempts_total` is left out: only a probe with vague refusals has it, with two or three series.
//!
//! With `isolation` four states of `isolation_pairs`, at worst one `isolation_open` per pair up to a bound.
//!
//! Recording may not be asked, as it counts only what has happened; a test of the whole agent compares this
//! with a real scrape.

use crate::domain::expectation::Expectation;
use crate::domain::identity::Signer;
use crate::domain::outcome::Outcome;
use crate::domain::target::Target;
use crate::plan::Plan;
use crate::recording::{LISTED_OPEN_PAIRS, PairState};
use std::collections::HashSet;

/// Different results that one target shows at worst.
const WORST_RESULTS: usize = 8;
/// `overrun`, `overloaded`, `paused`.
const MISS_CAUSES: usize = 3;
/// `up`, `last_outcome`, `last_attempt_timestamp_seconds`, `probe_interval_seconds`.
const GAUGES: usize = 4;
/// `ok`, `denied`, `throttled`, `failed` of `assume_role_total`.
const ASSUME_ROLE_RESULTS: usize = 4;
/// `schedule_lag_seconds` has 15 buckets, `assume_role_duration_seconds` 10.
const AGENT_HISTOGRAMS: usize = (15 + 3) + (10 + 3);
/// `in_flight_requests`, `task_panics_total`, `clock_skew_seconds`, `build_info`, three scopes of `fault`.
const AGENT_SINGLES: usize = 7;
/// `process_cpu_seconds_total`, `_open_fds`, `_max_fds`, `_virtual_memory_bytes`, `_resident_memory_bytes`,
/// `_start_time_seconds`, `_threads`.
const PROCESS: usize = 7;

/// The number of time series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesCount {
    /// In a scrape where every target is as expected.
    pub expected: usize,
    /// With eight results per target.
    pub worst: usize,
}

/// Counts the series of a plan.
pub(super) fn count(plan: &Plan) -> SeriesCount {
    let histogram = plan.settings.recording.buckets.len() + 3;
    let mut expected = AGENT_HISTOGRAMS + AGENT_SINGLES + PROCESS;
    let mut worst = expected;
    for target in &plan.targets {
        expected += of_target(&target.expectation, histogram);
        worst += worst_of_target(&target.expectation, histogram);
    }
    let spokes = plan.spokes.len();
    let signing: usize = plan.roles.iter().map(|role| role.spokes.len()).sum();
    let doors = doors(plan);
    // spoke_info, spoke_fault, assume_role_total, credentials_expiry, door_open
    expected += 2 * spokes + 2 * signing + doors;
    worst += 2 * spokes + (ASSUME_ROLE_RESULTS + 1) * signing + doors;
    // connection_retries_total, signed_header_bytes
    let called =
        called_spokes(plan, |_| true) + called_spokes(plan, |target| target.signer != Signer::Anonymous);
    expected += called;
    worst += called;
    if let Some(isolation) = &plan.isolation {
        expected += PairState::ALL.len();
        worst += PairState::ALL.len() + isolation.pairs.len().min(LISTED_OPEN_PAIRS);
    }
    SeriesCount { expected, worst }
}

fn of_target(expectation: &Expectation, histogram: usize) -> usize {
    let due = 1;
    let requests = expectation.expected_results().len().max(1);
    let unexpected = 1;
    due + requests + unexpected + MISS_CAUSES + histogram + GAUGES
}

fn worst_of_target(expectation: &Expectation, histogram: usize) -> usize {
    let due = 1;
    let requests = expectation.expected_results().len().max(WORST_RESULTS);
    let sent_outcomes = Outcome::ALL.iter().filter(|outcome| **outcome != Outcome::Unsent).count();
    due + requests + WORST_RESULTS + MISS_CAUSES + sent_outcomes * histogram + GAUGES
}

/// Guards have one door each, whatever their zones.
fn doors(plan: &Plan) -> usize {
    let guards = plan.targets.iter().filter(|target| target.expectation.is_guard());
    guards.map(|target| (&target.id.spoke, &target.id.api, &target.id.probe)).collect::<HashSet<_>>().len()
}

fn called_spokes(plan: &Plan, counts: impl Fn(&Target) -> bool) -> usize {
    let targets = plan.targets.iter().filter(|target| counts(target));
    targets.map(|target| &target.id.spoke).collect::<HashSet<_>>().len()
}
