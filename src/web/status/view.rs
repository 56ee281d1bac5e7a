//! The view types of `GET /api/v1/status`, with stable names.
//!
//! Words are those of the metrics. Times are RFC 3339 in UTC with milliseconds, spans are seconds. What is
//! not known is `null`. Every text from outside was cut to length and scrubbed when it was recorded; lists are
//! as long as the configuration, or rings.

use crate::recording::Minute;
use crate::web::status::configuration::ConfigurationView;
use crate::web::status::endpoint::EndpointView;
use crate::web::status::isolation::IsolationView;
use crate::web::status::loads::LoadView;
use crate::web::status::members::MembersView;
use serde::Serialize;
use std::collections::BTreeMap;

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusView {
    /// The agent itself.
    pub agent: AgentView,
    /// The configuration.
    pub configuration: ConfigurationView,
    /// Sums over all targets.
    pub totals: TotalsView,
    /// The agents that share the targets, where several do: all else here is this agent's share.
    pub members: Option<MembersView>,
    /// The included files of the configuration, by name.
    pub includes: Vec<IncludeView>,
    /// The isolation of spokes from each other, where it is checked.
    pub isolation: Option<IsolationView>,
    /// The endpoint, where it is watched.
    pub endpoint: Option<EndpointView>,
    /// The spokes, by name.
    pub spokes: Vec<SpokeView>,
    /// The targets, by spoke, api, probe and zone.
    pub targets: Vec<TargetView>,
    /// The loads that are announced or run, by name.
    pub loads: Vec<LoadView>,
    /// Faults that many targets share, by place.
    pub faults: Vec<FaultView>,
    /// The last 256 attempts that were not as expected, newest first.
    pub failures: Vec<FailureView>,
}

/// A fault that many targets share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FaultView {
    /// `endpoint`, `sts`, `agent` or `spoke`.
    pub scope: &'static str,
    /// The spoke, for scope `spoke`.
    pub spoke: Option<String>,
    /// A closed word: a reason, or what is wrong with STS or the agent.
    pub cause: &'static str,
    /// Since when.
    pub since: Option<String>,
    /// How many.
    pub detail: String,
}

/// What twin attempts taught about a target's refusals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiagnosisView {
    /// The reason that refusals of this wording take: narrower than the text's, or the same.
    pub reason: &'static str,
    /// When it was made.
    pub since: Option<String>,
    /// When twins confirmed it last.
    pub confirmed_at: Option<String>,
    /// What it rests on.
    pub because: Vec<&'static str>,
    /// What may be at fault, the likelier first.
    pub suspects: Vec<&'static str>,
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
    /// The ECS cluster it runs in, where that is known.
    pub cluster: Option<String>,
    /// The id of its ECS task.
    pub task: Option<String>,
    /// The name of its availability zone, such as `eu-west-1a`; not the AZ ID that `zone` stands for elsewhere.
    pub availability_zone: Option<String>,
}

/// An included file of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IncludeView {
    /// The file.
    pub file: String,
    /// False when it was left out.
    pub successful: bool,
    /// Why it was left out.
    pub problems: Vec<String>,
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
    /// The same of the last 5 to 10 minutes.
    pub latency_now: Option<LatencyView>,
    /// The same of the last 55 to 60 minutes.
    pub latency_last_hour: Option<LatencyView>,
    /// Its last 60 minutes, the oldest first: for the page alone.
    #[serde(skip)]
    pub minutes: Vec<Minute>,
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
    /// What STS meant, as a word of a closed set.
    pub cause: &'static str,
    /// The same in words.
    pub meaning: &'static str,
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
    /// From due to the last byte of the last attempt; `null` where nothing was sent.
    pub response_seconds: Option<f64>,
    /// What the gateway or the transport said.
    pub message: Option<String>,
    /// The policy that the message names.
    pub policy_arn: Option<String>,
    /// The marks of AWS on the last answer.
    pub request_ids: RequestIdsView,
    /// A guard's door by its last evidence: `closed` or `open`.
    pub door: Option<&'static str>,
    /// What twins taught about its refusals.
    pub diagnosis: Option<DiagnosisView>,
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
    /// `X-Amzn-Trace-Id` of the answer.
    pub trace_id: Option<String>,
    /// `X-Amzn-Trace-Id` as the agent sent it.
    pub sent_trace_id: Option<String>,
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
    /// Attempts made only to explain a refusal; in no other count.
    pub twins: u64,
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
    /// Always false here: a verdict shows all three.
    pub expected: bool,
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
