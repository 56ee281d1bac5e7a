//! How many time series a scrape will have: what `plan` tells before anything runs.

use crate::domain::name::Name;
use crate::domain::target::{SpokeInfo, Target, TargetId};
use crate::recording::Settings;
use crate::recording::families::{LAG_BUCKETS, STS_BUCKETS, usable_bounds};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Sum, count and the bucket `+Inf` of a histogram.
const BESIDE_BUCKETS: usize = 3;
/// Outcomes that a sent attempt can have; each has a histogram of its own per target.
const SENT_OUTCOMES: usize = 5;
/// `in_flight_requests`, `task_panics_total`, `clock_skew_seconds`, `build_info`, three scopes of `fault`.
const OF_THE_AGENT: usize = 7;
/// The `process_*` family on Linux.
const OF_THE_PROCESS: usize = 7;
/// `spoke_info`, `spoke_fault`, `credentials_expiry_timestamp_seconds`, `assume_role_total{result="ok"}`.
const OF_A_SPOKE: usize = 4;
/// `connection_retries_total` and `signed_header_bytes`.
const OF_A_SPOKE_WITH_TARGETS: usize = 2;
/// `due_attempts_total`, three causes of `missed_attempts_total`, `up`, `last_outcome`,
/// `last_attempt_timestamp_seconds`, `probe_interval_seconds`.
const OF_A_TARGET: usize = 8;

impl Settings {
    /// The series of a scrape in which every target has had this many different results; with 1, each target
    /// is as expected. An anonymous probe signs nothing, so a spoke with only such probes has one less.
    #[must_use]
    pub fn time_series(
        &self,
        targets: &[Arc<Target>],
        spokes: &[SpokeInfo],
        results_per_target: usize,
    ) -> usize {
        let results = results_per_target.max(1);
        let histogram = usable_bounds(&self.buckets).len() + BESIDE_BUCKETS;
        let of_targets: usize = targets
            .iter()
            .map(|target| {
                let requests = results.max(target.expectation.expected_results().len());
                // The one that begins at zero is there in any case.
                let unexpected = results;
                OF_A_TARGET + requests + unexpected + histogram * results.min(SENT_OUTCOMES)
            })
            .sum();
        let guard = |target: &&Arc<Target>| target.expectation.is_guard();
        let doors: BTreeSet<_> =
            targets.iter().filter(guard).map(|target| TargetId { zone: None, ..target.id.clone() }).collect();
        let probed: BTreeSet<&Name> = targets.iter().map(|target| &target.id.spoke).collect();
        LAG_BUCKETS.len()
            + STS_BUCKETS.len()
            + 2 * BESIDE_BUCKETS
            + OF_THE_AGENT
            + OF_THE_PROCESS
            + OF_A_SPOKE * spokes.len()
            + OF_A_SPOKE_WITH_TARGETS * probed.len()
            + of_targets
            + doors.len()
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::domain::observation::Door;
    use crate::domain::outcome::Reason;
    use crate::recording::examples::{attempt, guard, role, seen, spoke, target, wall};
    use crate::recording::{AssumeRoleResult, Recorder};
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn lines(recorder: &Recorder) -> usize {
        String::from_utf8(recorder.encode_text()).unwrap().lines().filter(|l| !l.starts_with('#')).count()
    }

    #[test]
    fn a_scrape_has_as_many_series_as_was_foretold() {
        let settings = Settings { buckets: vec![0.1, 1.0, 5.0, 10.0] };
        let recorder = Recorder::new(&settings);
        let spokes = [spoke("payments", &[("team", "a")]), spoke("orders", &[])];
        recorder.set_spokes(&spokes);
        let mut targets = vec![target("payments/hoot/hello"), target("orders/hoot/hello")];
        for zone in ["euw1-az1", "euw1-az2"] {
            let zonal = guard("payments/hoot/refused");
            targets.push(Target {
                id: TargetId { zone: Some(zone.parse().unwrap()), ..zonal.id.clone() },
                ..zonal
            });
        }
        let targets: Vec<_> = targets.into_iter().map(Arc::new).collect();
        let mut recorders = Vec::new();
        for target in &targets {
            let (reason, code) =
                target.expectation.expected_results().first().map(|(c, r)| (*r, *c)).unwrap();
            let mut seen = seen(reason, Some(code), SECOND, SECOND);
            seen.verdict.expected = true;
            seen.verdict.door = target.expectation.is_guard().then_some(Door::Closed);
            seen.signed_header_bytes = Some(1_000);
            seen.clock_skew_seconds = Some(0.0);
            let recorder = recorder.add_target(target);
            attempt(&recorder, &seen);
            recorders.push(recorder);
        }
        let role = role(&["payments", "orders"]);
        recorder.assume_role_ended(&role, AssumeRoleResult::Ok, SECOND);
        recorder.credentials_renewed(&role, Some(wall(SECOND)));
        assert_eq!(lines(&recorder), settings.time_series(&targets, &spokes, 1));

        // Eight results: the expected one and seven that are not, one of which began at zero.
        let more = [
            (Reason::UnexpectedStatus, Some(500)),
            (Reason::BackendStatus, Some(502)),
            (Reason::Rate, Some(429)),
            (Reason::Forbidden, Some(403)),
            (Reason::Dns, None),
            (Reason::Reset, None),
            (Reason::UnexpectedBody, Some(200)),
        ];
        for recorder in &recorders {
            more.iter().for_each(|(reason, code)| attempt(recorder, &seen(*reason, *code, SECOND, SECOND)));
        }
        let worst = settings.time_series(&targets, &spokes, 8);
        let found = lines(&recorder);
        assert!(found <= worst && found + 15 * targets.len() >= worst, "{found} of {worst}");
    }
}
