//! How many time series a scrape will have: what `plan` tells before anything runs.
//!
//! A series is one line of a scrape that is not a comment; a histogram of B buckets has B + 3 (the buckets,
//! `+Inf`, `_sum`, `_count`). With R results per target, and 1 standing for a scrape where every target had one
//! attempt and every load a run, each as expected, a target has
//!
//! | family | series |
//! |---|---|
//! | `due_attempts_total` | 1 |
//! | `requests_total` | R, at least one per expected result |
//! | `unexpected_results_total` | R; the first is there from the start |
//! | `missed_attempts_total` | 3 causes |
//! | `request_duration_seconds` | B + 3 for each outcome that was sent, R of them but at most 5 |
//! | `up` `last_outcome` `last_attempt_timestamp_seconds` `probe_interval_seconds` | 4 |
//!
//! and a guard `door_open` (1, whatever its zones). `twin_attempts_total` has a series for each way in which a probe's
//! refusals were asked about: at worst all of them, and where all is as expected those of the guards whose refusal
//! AWS words vaguely even when it is the right one. An announced load that ran has R of `load_requests_total`, two
//! histograms of B + 3, and `OF_A_LOAD`. What stands beside the targets is in the constants.

use crate::domain::credentials::RoleInUse;
use crate::domain::expectation::ExpectedRefusal;
use crate::domain::identity::Signer;
use crate::domain::load::Guard;
use crate::domain::name::Name;
use crate::domain::outcome::{Outcome, Reason};
use crate::domain::target::{SpokeInfo, Target};
use crate::recording::families::{LAG_BUCKETS, STS_BUCKETS, usable_bounds};
use crate::recording::{AssumeRoleResult, LISTED_OPEN_PAIRS, PairState, Settings, WatchedPlace, endpoint};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sum, count and the bucket `+Inf` of a histogram.
const BESIDE_BUCKETS: usize = 3;
/// `in_flight_requests`, `task_panics_total`, `clock_skew_seconds`, `build_info`, three scopes of `fault`, two of
/// `config_last_reload_*`.
const OF_THE_AGENT: usize = 9;
/// The `process_*` family on Linux.
const OF_THE_PROCESS: usize = 7;
/// `spoke_info`, `spoke_fault`.
const OF_A_SPOKE: usize = 2;
/// `credentials_expiry_timestamp_seconds`, beside one `assume_role_total` for each result.
const OF_A_SIGNING_SPOKE: usize = 1;
/// `connection_retries_total`.
const OF_A_CALLED_SPOKE: usize = 1;
/// `signed_header_bytes`.
const OF_A_SPOKE_WITH_SIGNED_CALLS: usize = 1;
/// `due_attempts_total`, three causes of `missed_attempts_total`, `up`, `last_outcome`,
/// `last_attempt_timestamp_seconds`, `probe_interval_seconds`.
const OF_A_TARGET: usize = 8;
/// `load_missed_total`, `load_rate_asked`, `load_running`, and `load_stopped_total` for each guard.
const OF_A_LOAD: usize = 3 + Guard::ALL.len();
/// Kinds of `twin_attempts_total` for one probe: it is either signed, and never its own twin by being signed, or
/// unsigned, and never its own twin by being unsigned.
const TWINS_AT_WORST: usize = 4;

/// What is recorded, for counting its series.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// The targets.
    pub targets: &'a [Arc<Target>],
    /// The announced spokes.
    pub spokes: &'a [SpokeInfo],
    /// The sessions in use.
    pub roles: &'a [RoleInUse],
    /// Included files, each a `config_include_successful`.
    pub includes: usize,
    /// The pairs of isolation, where they are checked: each state is a series, and at worst many doors are open.
    pub isolation_pairs: Option<usize>,
    /// Whether several agents share the targets.
    pub members: bool,
    /// Whether refusals may be asked about under the agent's own identity.
    pub hub_twins: bool,
    /// The announced loads.
    pub loads: usize,
    /// The places where the endpoint is watched.
    pub watched: &'a [WatchedPlace],
}

impl Settings {
    /// The series of a scrape in which every target has had this many different results; with 1, each target
    /// is as expected.
    #[must_use]
    pub fn time_series(&self, recorded: &Recorded<'_>, results_per_target: usize) -> usize {
        let Recorded {
            targets,
            spokes,
            roles,
            includes,
            isolation_pairs,
            members,
            hub_twins,
            loads,
            watched,
        } = recorded;
        let results = results_per_target.max(1);
        let histogram = usable_bounds(&self.buckets).len() + BESIDE_BUCKETS;
        let sent_outcomes = Outcome::ALL.iter().filter(|outcome| **outcome != Outcome::Unsent).count();
        let of_targets: usize = targets
            .iter()
            .map(|target| {
                let requests = results.max(target.expectation.expected_results().len());
                OF_A_TARGET + requests + results + histogram * results.min(sent_outcomes)
            })
            .sum();
        let guards = targets.iter().filter(|target| target.expectation.is_guard());
        let doors: BTreeSet<_> =
            guards.map(|target| (&target.id.spoke, &target.id.api, &target.id.probe)).collect();
        let twins = |target: &&Arc<Target>| match (target.request.is_safe() || target.twins, results) {
            (false, _) => 0,
            (true, 1) => expected_twins(target, *hub_twins),
            (true, _) => TWINS_AT_WORST,
        };
        // The zones of a probe share its series.
        let of_twins: BTreeMap<_, usize> = targets
            .iter()
            .map(|target| ((&target.id.spoke, &target.id.api, &target.id.probe), twins(&target)))
            .collect();
        let called: BTreeSet<&Name> = targets.iter().map(|target| &target.id.spoke).collect();
        let signed = targets.iter().filter(|target| target.signer != Signer::Anonymous);
        let signed: BTreeSet<&Name> = signed.map(|target| &target.id.spoke).collect();
        let signing: usize = roles.iter().map(|role| role.spokes.len()).sum();
        let open_pairs = |pairs: usize| if results > 1 { pairs.min(LISTED_OPEN_PAIRS) } else { 0 };
        let of_isolation = isolation_pairs.map_or(0, |pairs| PairState::ALL.len() + open_pairs(pairs));
        LAG_BUCKETS.len()
            + STS_BUCKETS.len()
            + 2 * BESIDE_BUCKETS
            + OF_THE_AGENT
            + OF_THE_PROCESS
            + OF_A_SPOKE * spokes.len()
            + (OF_A_SIGNING_SPOKE + results.min(AssumeRoleResult::ALL.len())) * signing
            + OF_A_CALLED_SPOKE * called.len()
            + OF_A_SPOKE_WITH_SIGNED_CALLS * signed.len()
            + of_targets
            + doors.len()
            + of_twins.values().sum::<usize>()
            + includes
            + usize::from(*members)
            + of_isolation
            + loads * (OF_A_LOAD + results + 2 * histogram)
            + endpoint::series_count(watched)
    }
}

/// The kinds of twins that a probe which is as expected sends all the same. A signed caller whom nothing allows is
/// refused in words that leave open who did it; what refuses the unsigned is nearly always named.
fn expected_twins(target: &Target, hub_twins: bool) -> usize {
    let vague = match &target.expectation.refusal {
        None => false,
        Some(ExpectedRefusal::AnyPolicy) => true,
        Some(ExpectedRefusal::By(reasons)) => reasons.iter().any(|reason| {
            matches!(
                reason,
                Reason::UnattributedPolicy | Reason::ResourceOrIdentityPolicy | Reason::Forbidden
            )
        }),
    };
    match target.signer {
        Signer::Role(_) if vague => 1 + usize::from(hub_twins),
        Signer::Hub if vague => 1,
        Signer::Role(_) | Signer::Hub | Signer::Anonymous => 0,
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::domain::expectation::Expectation;
    use crate::domain::moment::Moment;
    use crate::domain::observation::Door;
    use crate::domain::outcome::Reason;
    use crate::domain::target::TargetId;
    use crate::recording::examples::{attempt, guard, role, seen, spoke, target, wall};
    use crate::recording::{
        AssumeRoleResult, IncludeStatus, LoadInfo, MembersState, MembersStatus, Recorder,
    };
    use http::Method;
    use std::time::{Duration, SystemTime};

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
        recorder.set_members(Some(MembersStatus {
            state: MembersState::Sharing,
            names: ["a", "b"].map(Arc::from).into(),
            me: vec!["a".into()],
            first: true,
            replicas: 1,
            since: SystemTime::UNIX_EPOCH,
            problem: None,
        }));
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
        recorder.set_includes(vec![IncludeStatus { file: "a.yaml".into(), problems: Vec::new() }]);
        recorder.configuration_read(wall(SECOND));
        let info = LoadInfo { name: "night".parse().unwrap(), target: targets.first().unwrap().id.clone() };
        recorder.set_loads(std::slice::from_ref(&info));
        let load = recorder.begin_load(&info.name, Moment::ZERO);
        let load_saw = |reason, code| {
            load.due(1);
            load.sent();
            load.ended(&seen(reason, code, SECOND, SECOND));
        };
        load_saw(Reason::None, Some(200));
        let recorded = Recorded {
            targets: &targets,
            spokes: &spokes,
            roles: &[role],
            includes: 1,
            isolation_pairs: None,
            members: true,
            hub_twins: false,
            loads: 1,
            watched: &[],
        };
        assert_eq!(lines(&recorder), settings.time_series(&recorded, 1));

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
        more.iter().for_each(|(reason, code)| load_saw(*reason, *code));
        let worst = settings.time_series(&recorded, 8);
        let found = lines(&recorder);
        assert!(found <= worst && found + 15 * targets.len() + 6 >= worst, "{found} of {worst}");
    }

    #[test]
    fn twins_are_series_of_a_probe_and_not_of_its_zones() {
        let series = |method: &Method, results, hub_twins| {
            let guard = Target {
                signer: Signer::Role(role(&["payments"]).session),
                expectation: Expectation {
                    refusal: Some(ExpectedRefusal::AnyPolicy),
                    ..Expectation::default()
                },
                ..guard("payments/hoot/refused")
            };
            let zones = ["euw1-az1", "euw1-az2"].map(|zone| {
                let mut zonal = guard.clone();
                zonal.id.zone = Some(zone.parse().unwrap());
                zonal.request.method = method.clone();
                Arc::new(zonal)
            });
            let recorded = Recorded {
                targets: &zones,
                spokes: &[],
                roles: &[],
                includes: 0,
                isolation_pairs: None,
                members: false,
                hub_twins,
                loads: 0,
                watched: &[],
            };
            Settings { buckets: vec![1.0] }.time_series(&recorded, results)
        };
        let of = |results, hub_twins| {
            series(&Method::GET, results, hub_twins) - series(&Method::POST, results, hub_twins)
        };
        assert_eq!(of(1, false), 1);
        assert_eq!(of(1, true), 2);
        assert_eq!(of(8, false), TWINS_AT_WORST);
    }
}
