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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Reason;
    use crate::recording::examples::{recorder, seen, target};
    use crate::recording::{IsolationCounts, PairName};
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn the_view_tells_what_is_open_since_when_and_what_is_not_known_and_why() {
        let second = Duration::from_secs(1);
        let recorder = recorder();
        let isolation = recorder.begin_isolation(second * 60, 9, &[Arc::new(target("payments/hoot/hello"))]);
        let pair = |from: &str| PairName {
            from: from.parse().unwrap(),
            spoke: "payments".parse().unwrap(),
            api: "hoot".parse().unwrap(),
        };
        let check = isolation.begun(0).unwrap();
        check.ended(&seen(Reason::None, Some(200), second, second));
        isolation.found_open(&pair("orders"), &seen(Reason::None, Some(200), second, second));
        isolation.inconclusive(&pair("maps"), &seen(Reason::Dns, None, second, second));
        isolation.inconclusive(&pair("crm"), &seen(Reason::IdentityPolicy, Some(403), second, second));
        let mut counts = IsolationCounts::default();
        counts.inconclusive = vec![(Reason::IdentityPolicy, 1), (Reason::Dns, 3)];
        for (state, pairs) in PairState::ALL.into_iter().zip([2, 1, 4, 2]) {
            counts.add(state, pairs);
        }
        isolation.set_counts(counts);
        let json = serde_json::to_value(view(&recorder.snapshot().isolation.unwrap())).unwrap();
        assert_eq!(json["pairs"], serde_json::json!({"closed": 2, "open": 1, "inconclusive": 4, "due": 2}));
        assert_eq!(
            json["open"],
            serde_json::json!([{
                "from": "orders", "spoke": "payments", "api": "hoot", "code": 200,
                "since": "2026-01-01T00:00:02.000Z", "last_seen": "2026-01-01T00:00:02.000Z",
            }])
        );
        assert_eq!(json["inconclusive"]["reasons"][0]["reason"], "dns");
        assert_eq!(json["inconclusive"]["sample"][0]["from"], "crm");
        assert_eq!(json["attempts"][0]["answered"], 1);
        assert_eq!(json["period_seconds"], 60.0);
    }
}
