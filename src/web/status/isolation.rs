//! The isolation of spokes from each other, as `GET /api/v1/status` shows it.

use crate::recording::{IsolationStatus, PairState};
use crate::web::status::{owned, rfc3339};
use serde::Serialize;

/// What is known of the pairs of a spoke's role and an api of another spoke.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IsolationView {
    /// Within which each pair is to be tried.
    pub period_seconds: f64,
    /// The pairs by state.
    pub pairs: PairsView,
    /// The open doors, at most 1,000.
    pub open: Vec<OpenPairView>,
    /// What is not known, and why.
    pub inconclusive: InconclusiveView,
    /// The attempts by api. They are in no other count.
    pub attempts: Vec<AttemptsView>,
}

/// Pairs by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PairsView {
    /// The endpoint or the far side refused.
    pub closed: u64,
    /// The role was let in.
    pub open: u64,
    /// The last check says nothing of the door.
    pub inconclusive: u64,
    /// No check within the period.
    pub due: u64,
}

/// An open door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenPairView {
    /// The spoke whose role was let in.
    pub from: String,
    /// The spoke that owns the api.
    pub spoke: String,
    /// The api.
    pub api: String,
    /// When it was first found open.
    pub since: Option<String>,
    /// When it was last found open.
    pub last_seen: Option<String>,
    /// The status code of the last answer.
    pub code: Option<u16>,
}

/// What is not known, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InconclusiveView {
    /// All inconclusive pairs by reason, the most frequent first.
    pub reasons: Vec<ReasonCountView>,
    /// The last 50 of them, newest first.
    pub sample: Vec<SampleView>,
}

/// How many pairs one reason keeps from being known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReasonCountView {
    /// The reason.
    pub reason: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// How many pairs.
    pub pairs: u64,
}

/// One inconclusive check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SampleView {
    /// The spoke whose role was tried.
    pub from: String,
    /// The spoke that owns the api.
    pub spoke: String,
    /// The api.
    pub api: String,
    /// Why the check says nothing.
    pub reason: &'static str,
    /// When it ended.
    pub at: Option<String>,
    /// What the gateway or the transport said.
    pub message: Option<String>,
}

/// The attempts on one api.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptsView {
    /// The spoke that owns it.
    pub spoke: String,
    /// The api.
    pub api: String,
    /// Attempts begun.
    pub begun: u64,
    /// Attempts that ended.
    pub ended: u64,
    /// Attempts that were answered, or timed out after the request was written.
    pub answered: u64,
    /// Attempts and quick retries that broke off, before or after the request was read.
    pub cut_off: u64,
}

pub(super) fn view(status: &IsolationStatus) -> IsolationView {
    let counts = &status.counts;
    let mut reasons: Vec<ReasonCountView> = counts
        .inconclusive
        .iter()
        .map(|(reason, pairs)| ReasonCountView {
            reason: reason.as_str(),
            meaning: reason.meaning(),
            pairs: *pairs,
        })
        .collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.pairs));
    IsolationView {
        period_seconds: status.period.as_secs_f64(),
        pairs: PairsView {
            closed: counts.of(PairState::Closed),
            open: counts.of(PairState::Open),
            inconclusive: counts.of(PairState::Inconclusive),
            due: counts.of(PairState::Due),
        },
        open: status
            .open
            .iter()
            .map(|door| OpenPairView {
                from: door.pair.from.to_string(),
                spoke: door.pair.spoke.to_string(),
                api: door.pair.api.to_string(),
                since: rfc3339(door.since),
                last_seen: rfc3339(door.seen),
                code: door.code,
            })
            .collect(),
        inconclusive: InconclusiveView {
            reasons,
            sample: status
                .inconclusive
                .iter()
                .map(|check| SampleView {
                    from: check.pair.from.to_string(),
                    spoke: check.pair.spoke.to_string(),
                    api: check.pair.api.to_string(),
                    reason: check.reason.as_str(),
                    at: rfc3339(check.at),
                    message: owned(check.message.as_deref()),
                })
                .collect(),
        },
        attempts: status
            .attempts
            .iter()
            .map(|checks| AttemptsView {
                spoke: checks.api.id.spoke.to_string(),
                api: checks.api.id.api.to_string(),
                begun: checks.begun,
                ended: checks.ended,
                answered: checks.answered,
                cut_off: checks.cut_off,
            })
            .collect(),
    }
}
