//! What `GET /api/v1/status` answers: view types with stable names, made from recording's picture.
//!
//! Words are those of the metrics. Times are RFC 3339 in UTC with milliseconds, spans are seconds. What is
//! not known is `null`. Every text from outside was cut to length and scrubbed when it was recorded; lists are
//! as long as the configuration, or rings.

use crate::domain::observation::{Door, MissCause, RequestIds};
use crate::domain::target::Cadence;
use crate::recording::{
    Counts, CredentialsState, Failure, Percentiles, Snapshot, SpokeStatus, TargetStatus, build,
};
use crate::web::State;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusView {
    /// The agent itself.
    pub agent: AgentView,
    /// Sums over all targets.
    pub totals: TotalsView,
    /// The spokes, by name.
    pub spokes: Vec<SpokeView>,
    /// The targets, by spoke, api, probe and zone.
    pub targets: Vec<TargetView>,
    /// The last 256 attempts that were not as expected, newest first.
    pub failures: Vec<FailureView>,
}

/// The agent itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentView {
    /// Its version.
    pub version: &'static str,
    /// The revision of its sources, if it was built with one.
    pub revision: Option<&'static str>,
    /// When it started.
    pub started_at: Option<String>,
    /// When this answer was made.
    pub now: Option<String>,
    /// Whether `/-/ready` says so.
    pub ready: bool,
    /// What is missing before it is ready.
    pub missing: Vec<&'static str>,
    /// The far side's clock minus ours.
    pub clock_skew_seconds: Option<f64>,
    /// Panics of its tasks; each is a defect.
    pub task_panics: u64,
}

/// Sums over all targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TotalsView {
    /// Targets.
    pub targets: usize,
    /// Targets whose last attempt was as expected.
    pub as_expected: usize,
    /// Targets whose last attempt was not.
    pub unexpected: usize,
    /// Targets that no attempt has ended for yet.
    pub unknown: usize,
    /// Targets whose door is open.
    pub doors_open: usize,
    /// Attempts that became due.
    pub due: u64,
    /// Attempts that ended.
    pub ended: u64,
    /// Due attempts that were never made.
    pub missed: u64,
    /// Attempts that are due and wait for a permit.
    pub waiting: i64,
    /// Attempts that have a permit and have not ended.
    pub in_flight: i64,
}

/// One spoke.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpokeView {
    /// Its name.
    pub name: String,
    /// Its account.
    pub account: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// The role that is assumed in it.
    pub role_arn: Option<String>,
    /// Its configured labels.
    pub labels: BTreeMap<String, String>,
    /// The session that signs for it.
    pub credentials: CredentialsView,
    /// Response times of all its targets since the spoke is known.
    pub latency: Option<LatencyView>,
}

/// The session that signs for a spoke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CredentialsView {
    /// `waiting`, `valid`, `renewal_failed` (the old session still lives), `refused` or `expired`.
    pub state: &'static str,
    /// When the last session ends or ended.
    pub expires_at: Option<String>,
    /// What STS said last, if that was a no.
    pub refusal: Option<RefusalView>,
}

/// What STS said instead of giving a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusalView {
    /// The error code; `null` when STS was not reached.
    pub code: Option<String>,
    /// The message.
    pub message: String,
    /// When.
    pub at: Option<String>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetView {
    /// The spoke.
    pub spoke: String,
    /// The api.
    pub api: String,
    /// The probe.
    pub probe: String,
    /// The zone, for `per_zone` targets.
    pub zone: Option<String>,
    /// Who signs: `spoke`, `hub`, `anonymous` or `spoke:NAME`.
    pub identity: String,
    /// Method and path, without the query.
    pub request: String,
    /// How often it is due.
    pub cadence: CadenceView,
    /// True for a probe that expects a refusal.
    pub guard: bool,
    /// Whether the last attempt was as expected.
    pub up: Option<bool>,
    /// How the last attempt ended.
    pub outcome: Option<&'static str>,
    /// Why.
    pub reason: Option<&'static str>,
    /// Whether that is what the configuration asked for.
    pub expected: Option<bool>,
    /// What the reason means.
    pub meaning: Option<&'static str>,
    /// True when a guard is satisfied by a vague reason that is merely compatible with the one it names.
    pub unconfirmed: bool,
    /// The status code of the last attempt.
    pub code: Option<u16>,
    /// Since when attempts end with this outcome, reason and `expected`.
    pub since: Option<String>,
    /// When the last attempt ended.
    pub last_attempt: Option<String>,
    /// How many attempts in a row ended like this.
    pub streak: u64,
    /// What the gateway or the transport said.
    pub message: Option<String>,
    /// The policy that the message names.
    pub policy_arn: Option<String>,
    /// The marks of AWS on the last answer.
    pub request_ids: RequestIdsView,
    /// A guard's door by its last evidence: `closed` or `open`.
    pub door: Option<&'static str>,
    /// Response times: the last 256 of an interval target, all of a rate target.
    pub latency: Option<LatencyView>,
    /// What was counted.
    pub counts: CountsView,
    /// Its last 8 attempts that were not as expected, newest first.
    pub failures: Vec<FailureView>,
}

/// How often a target is due.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CadenceView {
    /// `{"every_seconds": 30.0}`.
    EverySeconds(f64),
    /// `{"per_second": 20.0}`.
    PerSecond(f64),
}

/// The marks that find a request again in the logs of AWS.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RequestIdsView {
    /// `x-amzn-RequestId`.
    pub request_id: Option<String>,
    /// `x-amz-apigw-id`.
    pub extended_request_id: Option<String>,
    /// `X-Amzn-Trace-Id`.
    pub trace_id: Option<String>,
}

/// Response times in seconds, from due to the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencyView {
    /// The samples that this rests on.
    pub samples: u64,
    /// Half were faster.
    pub p50_seconds: f64,
    /// 90 % were faster.
    pub p90_seconds: f64,
    /// 99 % were faster.
    pub p99_seconds: f64,
    /// The slowest.
    pub max_seconds: f64,
}

/// What was counted of a target: due = Σ results + missed + waiting + in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountsView {
    /// Attempts that became due.
    pub due: u64,
    /// Attempts that ended.
    pub results: Vec<ResultView>,
    /// Due attempts that were never made.
    pub missed: MissedView,
    /// Attempts that are due and wait for a permit.
    pub waiting: i64,
    /// Attempts that have a permit and have not ended.
    pub in_flight: i64,
}

/// How often attempts ended in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ResultView {
    /// The status code.
    pub code: Option<u16>,
    /// The outcome.
    pub outcome: &'static str,
    /// Why.
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

/// Due attempts that were never made, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MissedView {
    /// The previous attempt was still running.
    pub overrun: u64,
    /// There was no permit.
    pub overloaded: u64,
    /// The agent was held up.
    pub paused: u64,
}

/// An attempt that was not as expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailureView {
    /// `SPOKE/API/PROBE`, with `@ZONE` where there is one.
    pub target: String,
    /// When it ended.
    pub at: Option<String>,
    /// The status code.
    pub code: Option<u16>,
    /// How it ended.
    pub outcome: &'static str,
    /// Why.
    pub reason: &'static str,
    /// What the gateway or the transport said.
    pub message: Option<String>,
    /// The policy that the message names.
    pub policy_arn: Option<String>,
    /// The marks of AWS.
    pub request_ids: RequestIdsView,
    /// The address that answered.
    pub peer: Option<String>,
    /// From due to the last byte; `null` where nothing was sent.
    pub response_seconds: Option<f64>,
    /// The bytes of a backend's body that were read; the body itself is never kept.
    pub body_bytes: Option<usize>,
    /// SHA-256 of them.
    pub body_sha256: Option<String>,
    /// True when the answer was longer than the read limit.
    pub truncated: bool,
}

/// The whole answer at this moment.
pub(super) fn view(state: &State) -> StatusView {
    let now = (state.now)();
    let snapshot = state.recorder.snapshot();
    let missing = state.readiness.missing();
    StatusView {
        agent: AgentView {
            version: build::VERSION,
            revision: (!build::REVISION.is_empty()).then_some(build::REVISION),
            started_at: rfc3339(state.started_at),
            now: rfc3339(now),
            ready: missing.is_empty(),
            missing,
            clock_skew_seconds: snapshot.clock_skew_seconds,
            task_panics: snapshot.task_panics,
        },
        totals: totals(&snapshot),
        spokes: snapshot.spokes.iter().map(|spoke| spoke_view(spoke, now)).collect(),
        targets: snapshot.targets.iter().map(target_view).collect(),
        failures: snapshot.failures.iter().map(|failure| failure_view(failure)).collect(),
    }
}

fn totals(snapshot: &Snapshot) -> TotalsView {
    let mut totals = TotalsView { targets: snapshot.targets.len(), ..TotalsView::default() };
    for target in &snapshot.targets {
        match target.last.as_ref().map(|last| last.expected) {
            Some(true) => totals.as_expected += 1,
            Some(false) => totals.unexpected += 1,
            None => totals.unknown += 1,
        }
        totals.doors_open += usize::from(target.door == Some(Door::Open));
        totals.due += target.counts.due;
        totals.ended += target.counts.ended();
        totals.missed += target.counts.missed_total();
        totals.waiting += target.counts.waiting;
        totals.in_flight += target.counts.in_flight;
    }
    totals
}

fn spoke_view(spoke: &SpokeStatus, now: SystemTime) -> SpokeView {
    let info = spoke.info.as_ref();
    let labels = info.map(|info| info.labels.iter().map(|(k, v)| (k.to_string(), v.clone())).collect());
    SpokeView {
        name: spoke.name.to_string(),
        account: info.map(|info| info.account.to_string()),
        region: info.map(|info| info.region.to_string()),
        role_arn: info.map(|info| info.role.to_string()),
        labels: labels.unwrap_or_default(),
        credentials: credentials_view(&spoke.credentials, now),
        latency: spoke.latency.map(latency_view),
    }
}

fn credentials_view(state: &CredentialsState, now: SystemTime) -> CredentialsView {
    CredentialsView {
        state: state.word(now),
        expires_at: state.expires_at.and_then(rfc3339),
        refusal: state.refusal.as_ref().map(|refusal| RefusalView {
            code: owned(refusal.code.as_deref()),
            message: refusal.message.to_string(),
            at: rfc3339(refusal.at),
        }),
    }
}

fn target_view(status: &TargetStatus) -> TargetView {
    let target = &status.target;
    let last = status.last.as_ref();
    TargetView {
        spoke: target.id.spoke.to_string(),
        api: target.id.api.to_string(),
        probe: target.id.probe.to_string(),
        zone: target.id.zone.as_ref().map(ToString::to_string),
        identity: target.identity.to_string(),
        request: format!("{} {}", target.request.method, target.request.path()),
        cadence: match target.cadence {
            Cadence::Every(interval) => CadenceView::EverySeconds(interval.as_secs_f64()),
            Cadence::PerSecond(rate) => CadenceView::PerSecond(rate),
        },
        guard: target.expectation.is_guard(),
        up: last.map(|last| last.expected),
        outcome: last.map(|last| last.reason.outcome().as_str()),
        reason: last.map(|last| last.reason.as_str()),
        expected: last.map(|last| last.expected),
        meaning: last.map(|last| last.reason.meaning()),
        unconfirmed: last.is_some_and(|last| last.unconfirmed),
        code: last.and_then(|last| last.code),
        since: last.and_then(|last| rfc3339(last.since)),
        last_attempt: last.and_then(|last| rfc3339(last.at)),
        streak: last.map_or(0, |last| last.streak),
        message: last.and_then(|last| owned(last.message.as_deref())),
        policy_arn: last.and_then(|last| owned(last.policy_arn.as_deref())),
        request_ids: last.map(|last| ids_view(&last.ids)).unwrap_or_default(),
        door: status.door.map(|door| if door == Door::Open { "open" } else { "closed" }),
        latency: status.latency.map(latency_view),
        counts: counts_view(&status.counts),
        failures: status.failures.iter().map(|failure| failure_view(failure)).collect(),
    }
}

fn counts_view(counts: &Counts) -> CountsView {
    let results = counts.results.iter().map(|result| ResultView {
        code: result.code,
        outcome: result.reason.outcome().as_str(),
        reason: result.reason.as_str(),
        count: result.count,
    });
    CountsView {
        due: counts.due,
        results: results.collect(),
        missed: MissedView {
            overrun: counts.missed_by(MissCause::Overrun),
            overloaded: counts.missed_by(MissCause::Overloaded),
            paused: counts.missed_by(MissCause::Paused),
        },
        waiting: counts.waiting,
        in_flight: counts.in_flight,
    }
}

fn failure_view(failure: &Failure) -> FailureView {
    FailureView {
        target: failure.target.to_string(),
        at: rfc3339(failure.at),
        code: failure.code,
        outcome: failure.reason.outcome().as_str(),
        reason: failure.reason.as_str(),
        message: owned(failure.message.as_deref()),
        policy_arn: owned(failure.policy_arn.as_deref()),
        request_ids: ids_view(&failure.ids),
        peer: failure.peer.map(|peer| peer.to_string()),
        response_seconds: failure.response_time.map(|took| took.as_secs_f64()),
        body_bytes: failure.body.as_ref().map(|(bytes, _)| *bytes),
        body_sha256: failure.body.as_ref().map(|(_, sha256)| sha256.to_string()),
        truncated: failure.truncated,
    }
}

fn ids_view(ids: &RequestIds) -> RequestIdsView {
    let RequestIds { request_id, extended_request_id, trace_id } = ids.clone();
    RequestIdsView { request_id, extended_request_id, trace_id }
}

const fn latency_view(latency: Percentiles) -> LatencyView {
    let Percentiles { samples, p50_seconds, p90_seconds, p99_seconds, max_seconds } = latency;
    LatencyView { samples, p50_seconds, p90_seconds, p99_seconds, max_seconds }
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// `2026-01-01T00:00:00.000Z`; `None` for times no calendar has.
fn rfc3339(at: SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(at).ok().map(|at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn times_are_utc_with_milliseconds() {
        let at = UNIX_EPOCH + Duration::from_micros(1_767_225_600_012_999);
        assert_eq!(rfc3339(at).as_deref(), Some("2026-01-01T00:00:00.012Z"));
        assert_eq!(rfc3339(UNIX_EPOCH).as_deref(), Some("1970-01-01T00:00:00.000Z"));
    }
}
