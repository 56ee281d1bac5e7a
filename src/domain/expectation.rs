//! What the configuration asks of an answer.

use crate::domain::outcome::Reason;
use std::time::Duration;

/// What an attempt must bring to be as expected. The default asks for any 2xx.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Expectation {
    /// The statuses that are right; empty means any 2xx.
    pub status: Vec<u16>,
    /// A JSON value the body must contain: objects by key, arrays element by element from the start,
    /// everything else equal.
    pub json: Option<serde_json::Value>,
    /// A text the body must contain.
    pub body: Option<String>,
    /// Headers that must be there with exactly this value; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The longest time from due to the last byte.
    pub within: Option<Duration>,
    /// Set for a guard: a probe that expects to be refused.
    pub refusal: Option<ExpectedRefusal>,
}

/// The refusal a guard expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedRefusal {
    /// `denied: true`: any policy reason (for an anonymous guard under a condition also
    /// `missing_authentication_token`).
    AnyPolicy,
    /// `denied_by`: one of these reasons.
    By(Vec<Reason>),
}

impl Expectation {
    /// True for a probe that expects to be refused.
    #[must_use]
    pub const fn is_guard(&self) -> bool {
        self.refusal.is_some()
    }

    /// True when the status is one that is asked for.
    #[must_use]
    pub fn wants_status(&self, status: u16) -> bool {
        if self.status.is_empty() { (200..300).contains(&status) } else { self.status.contains(&status) }
    }

    /// The results, as code and reason, that are counted from zero because they are what is expected.
    #[must_use]
    pub fn expected_results(&self) -> Vec<(u16, Reason)> {
        match &self.refusal {
            None => vec![(self.status.first().copied().unwrap_or(200), Reason::None)],
            Some(ExpectedRefusal::By(reasons)) => reasons.iter().map(|r| (403, *r)).collect(),
            // `denied: true` names no reason; the set appears when first seen.
            Some(ExpectedRefusal::AnyPolicy) => Vec::new(),
        }
    }
}
