//! What `GET /api/v1/status` answers: recording's picture of this moment, turned into views.

mod configuration;
mod endpoint;
mod isolation;
mod loads;
mod members;
mod view;

pub use configuration::{ConfigurationTroubleView, ConfigurationView};
pub use endpoint::{AddressView, CertificateView, EndpointView, PlaceView};
pub use isolation::{
    AttemptsView, InconclusiveView, IsolationView, OpenPairView, PairsView, ReasonCountView, SampleView,
};
pub use loads::{LoadLatencyView, LoadRunView, LoadView};
pub use members::MembersView;
pub use view::{
    AgentView, CadenceView, CountsView, CredentialsView, DiagnosisView, FailureView, FaultView, IncludeView,
    LatencyView, MissedView, RefusalView, RequestIdsView, ResultView, SpokeView, StatusView, TargetView,
    TotalsView,
};

use crate::domain::observation::{Door, MissCause, RequestIds};
use crate::domain::target::Cadence;
use crate::recording::{
    Counts, CredentialsState, Failure, FaultPlace, Hour, IncludeStatus, KnownDiagnosis, KnownFault,
    Percentiles, Recorder, Snapshot, SpokeStatus, TargetStatus, build,
};
use crate::web::State;
use std::time::SystemTime;

/// The whole answer at this moment.
pub(super) fn view(state: &State) -> StatusView {
    of(&state.recorder, state.readiness.missing(), state.started_at, (state.now)())
}

fn of(
    recorder: &Recorder,
    missing: Vec<&'static str>,
    started_at: SystemTime,
    now: SystemTime,
) -> StatusView {
    let snapshot = recorder.snapshot();
    let hours = recorder.hours(now);
    StatusView {
        agent: AgentView {
            version: build::VERSION,
            revision: (!build::REVISION.is_empty()).then_some(build::REVISION),
            started_at: rfc3339(started_at),
            now: rfc3339(now),
            ready: missing.is_empty(),
            missing,
            clock_skew_seconds: snapshot.clock_skew_seconds,
            task_panics: snapshot.task_panics,
            cluster: snapshot.agent.cluster.clone(),
            task: snapshot.agent.task.clone(),
            availability_zone: snapshot.agent.availability_zone.clone(),
        },
        configuration: configuration::view(&snapshot.configuration),
        totals: totals(&snapshot),
        members: snapshot.members.as_ref().map(members::view),
        includes: snapshot.includes.iter().map(include_view).collect(),
        isolation: snapshot.isolation.as_ref().map(isolation::view),
        endpoint: snapshot
            .endpoint
            .as_ref()
            .filter(|endpoint| !endpoint.places.is_empty())
            .map(endpoint::view),
        spokes: snapshot.spokes.iter().map(|spoke| spoke_view(spoke, hours.get(&spoke.name), now)).collect(),
        targets: snapshot.targets.iter().map(target_view).collect(),
        loads: snapshot.loads.iter().map(loads::view).collect(),
        faults: snapshot.faults.iter().map(fault_view).collect(),
        failures: snapshot.failures.iter().map(|failure| failure_view(failure)).collect(),
    }
}

#[cfg(test)]
pub(super) fn status_for_tests(recorder: &Recorder, now: SystemTime) -> StatusView {
    of(recorder, Vec::new(), now, now)
}

fn fault_view(fault: &KnownFault) -> FaultView {
    let (scope, spoke) = match &fault.place {
        FaultPlace::Shared(scope) => (scope.as_str(), None),
        FaultPlace::Spoke(name) => ("spoke", Some(name.to_string())),
    };
    FaultView { scope, spoke, cause: fault.cause, since: rfc3339(fault.since), detail: fault.detail.clone() }
}

fn diagnosis_view(known: &KnownDiagnosis) -> DiagnosisView {
    DiagnosisView {
        reason: known.reason.as_str(),
        since: rfc3339(known.since),
        confirmed_at: rfc3339(known.confirmed_at),
        because: known.because.clone(),
        suspects: known.suspects.clone(),
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

fn include_view(include: &IncludeStatus) -> IncludeView {
    let IncludeStatus { file, problems } = include.clone();
    IncludeView { file, successful: problems.is_empty(), problems }
}

fn spoke_view(spoke: &SpokeStatus, hour: Option<&Hour>, now: SystemTime) -> SpokeView {
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
        latency_now: hour.and_then(|hour| hour.now).map(latency_view),
        latency_last_hour: hour.and_then(|hour| hour.hour).map(latency_view),
        minutes: hour.map(|hour| hour.minutes.to_vec()).unwrap_or_default(),
    }
}

fn credentials_view(state: &CredentialsState, now: SystemTime) -> CredentialsView {
    CredentialsView {
        state: state.word(now),
        expires_at: state.expires_at.and_then(rfc3339),
        refusal: state.refusal.as_ref().map(|refusal| RefusalView {
            code: owned(refusal.code.as_deref()),
            message: refusal.message.to_string(),
            cause: refusal.cause,
            meaning: refusal.meaning,
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
        response_seconds: last.and_then(|last| last.response_time).map(|took| took.as_secs_f64()),
        message: last.and_then(|last| owned(last.message.as_deref())),
        policy_arn: last.and_then(|last| owned(last.policy_arn.as_deref())),
        request_ids: last.map(|last| ids_view(&last.ids)).unwrap_or_default(),
        door: status.door.map(|door| if door == Door::Open { "open" } else { "closed" }),
        diagnosis: status.diagnosis.as_ref().map(diagnosis_view),
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
        twins: counts.twins.sent,
    }
}

fn failure_view(failure: &Failure) -> FailureView {
    FailureView {
        target: failure.target.to_string(),
        at: rfc3339(failure.at),
        code: failure.code,
        outcome: failure.reason.outcome().as_str(),
        reason: failure.reason.as_str(),
        expected: false,
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
    let RequestIds { request_id, extended_request_id, trace_id, sent_trace_id } = ids.clone();
    RequestIdsView { request_id, extended_request_id, trace_id, sent_trace_id }
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
