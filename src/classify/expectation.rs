//! Whether an answer is what the configuration asked for, and what a guard learnt about its door.
//!
//! `mod.rs` has read the answer into a reason; here it meets the target's expectation. Two questions are
//! kept apart: for a probe that wants an answer, is it the right one; for a guard, was it refused by a
//! policy, or let in, or is there no evidence of either.

use super::answer::Answer;
use crate::domain::expectation::{Expectation, ExpectedRefusal};
use crate::domain::identity::Signer;
use crate::domain::observation::Door;
use crate::domain::outcome::Reason;
use serde_json::Value;
use std::time::Duration;

/// The part of a verdict that depends on the expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) reason: Reason,
    pub(super) expected: bool,
    pub(super) door: Option<Door>,
    pub(super) unconfirmed: bool,
}

impl Judgement {
    /// Not what was asked for, and no evidence about a door.
    pub(super) const fn unexpected(reason: Reason) -> Self {
        Self { reason, expected: false, door: None, unconfirmed: false }
    }
}

/// An answer together with what was asked of it.
pub(super) struct Asked<'a> {
    pub(super) expectation: &'a Expectation,
    pub(super) signer: &'a Signer,
    pub(super) positive_control_ok: bool,
    pub(super) answer: &'a Answer<'a>,
    /// From due to the last byte.
    pub(super) response_time: Duration,
}

impl Asked<'_> {
    /// Judges an answer that came through: from the backend, or from a gateway that says nothing of itself.
    /// `by_status` is what its status alone says.
    pub(super) fn through(&self, by_status: Option<Reason>) -> Judgement {
        let status = self.answer.response.status;
        if self.expectation.is_guard() {
            // A status that is listed for a guard is that of the refusal it waits for, unless it is no error.
            let let_in =
                (200..300).contains(&status) || (status < 400 && self.expectation.status.contains(&status));
            return if let_in {
                Judgement { door: Some(Door::Open), ..Judgement::unexpected(Reason::None) }
            } else {
                // A backend's own 403 or 500 proves neither that policies refuse nor that they let in the
                // right caller: `failed` is no evidence.
                Judgement::unexpected(by_status.unwrap_or(Reason::UnexpectedStatus))
            };
        }
        if !self.expectation.wants_status(status) {
            return Judgement::unexpected(by_status.unwrap_or(Reason::UnexpectedStatus));
        }
        match self.first_mismatch() {
            Some(reason) => Judgement::unexpected(reason),
            None => Judgement { expected: true, ..Judgement::unexpected(Reason::None) },
        }
    }

    /// Judges an answer in which the gateway itself refused or failed. It keeps its reason; whether it is
    /// expected depends on the guard, or on the status that was asked for by number.
    pub(super) fn by_gateway(&self, reason: Reason) -> Judgement {
        let wanted_by_number = self.expectation.status.contains(&self.answer.response.status);
        match &self.expectation.refusal {
            None => Judgement {
                expected: wanted_by_number && self.first_mismatch().is_none(),
                ..Judgement::unexpected(reason)
            },
            Some(refusal) => {
                let judgement = self.by_guard(refusal, reason);
                let rest = (self.expectation.status.is_empty() || wanted_by_number)
                    && self.first_mismatch().is_none();
                Judgement { expected: judgement.expected && rest, ..judgement }
            }
        }
    }

    fn by_guard(&self, refusal: &ExpectedRefusal, reason: Reason) -> Judgement {
        let closed =
            |expected, unconfirmed| Judgement { reason, expected, door: Some(Door::Closed), unconfirmed };
        match refusal {
            ExpectedRefusal::AnyPolicy if reason.is_policy() => closed(true, false),
            // The gateway says the same to an unsigned caller where a signature is needed and where there is
            // no such route; that the signed probe of this route works rules the second out.
            ExpectedRefusal::AnyPolicy
                if reason == Reason::MissingAuthenticationToken
                    && *self.signer == Signer::Anonymous
                    && self.positive_control_ok =>
            {
                closed(true, false)
            }
            ExpectedRefusal::By(named) if named.contains(&reason) && can_be_named(reason) => {
                closed(true, false)
            }
            ExpectedRefusal::By(named) if named.iter().any(|named| reason.is_compatible_with(*named)) => {
                closed(true, true)
            }
            // Another policy than the named one refused: not what was asked for, but the door is closed.
            ExpectedRefusal::By(_) if reason.is_policy() => closed(false, false),
            // Skew, scope, signature, token, Forbidden, throttling, failures: the door was not tried.
            _ => Judgement::unexpected(reason),
        }
    }

    /// The first thing that is wrong with an answer of the right status.
    fn first_mismatch(&self) -> Option<Reason> {
        let headers = &self.answer.response.headers;
        let expectation = self.expectation;
        if !expectation.headers.iter().all(|(name, value)| {
            headers.get_all(name.as_str()).iter().any(|given| given.as_bytes() == value.as_bytes())
        }) {
            return Some(Reason::UnexpectedHeader);
        }
        if let Some(wanted) = &expectation.json
            && !self.answer.body_json().is_some_and(|given| contains(&given, wanted))
        {
            return Some(Reason::UnexpectedBody);
        }
        if let Some(wanted) = &expectation.body
            && !self.answer.body_text().contains(wanted.as_str())
        {
            return Some(Reason::UnexpectedBody);
        }
        expectation.within.filter(|within| self.response_time > *within).map(|_| Reason::TooSlow)
    }
}

/// The reasons that `denied_by` can be met by. Those about signature, time and credentials say that the
/// caller was broken, not that the door is closed, so naming one does not make it evidence.
const fn can_be_named(reason: Reason) -> bool {
    reason.is_policy() || matches!(reason, Reason::Forbidden | Reason::MissingAuthenticationToken)
}

/// True when `given` contains `wanted`: objects by key, arrays element by element from the start, numbers by
/// value, everything else equal.
fn contains(given: &Value, wanted: &Value) -> bool {
    match (given, wanted) {
        (Value::Object(given), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| given.get(key).is_some_and(|given| contains(given, wanted)))
        }
        (Value::Array(given), Value::Array(wanted)) => {
            given.len() >= wanted.len()
                && given.iter().zip(wanted).all(|(given, wanted)| contains(given, wanted))
        }
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        _ => given == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_is_contained_by_key_and_from_the_start() {
        for (given, wanted, holds) in [
            (json!({"hello": "world", "n": 1}), json!({"hello": "world"}), true),
            (json!({"hello": "world"}), json!({"hello": "buddy"}), false),
            (json!({"hello": "world"}), json!({"bye": null}), false),
            (json!({"a": {"b": [1, 2, {"c": 3, "d": 4}]}}), json!({"a": {"b": [1, 2, {"c": 3}]}}), true),
            (json!([1, 2]), json!([2]), false),
            (json!([1]), json!([1, 2]), false),
            (json!([]), json!([]), true),
            (json!(1), json!(1.0), true),
            (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_993_u64), true),
            (json!("1"), json!(1), false),
            (json!(null), json!({}), false),
        ] {
            assert_eq!(contains(&given, &wanted), holds, "{given} {wanted}");
        }
    }
}
