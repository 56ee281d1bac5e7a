//! What the configuration asks of an answer.

use crate::domain::outcome::Reason;
use std::fmt;
use std::time::Duration;

/// What an attempt must bring to be as expected. The default asks for any 2xx.
///
/// What a body or a header must hold may have come from the environment, so its `Debug` only says that
/// something is wanted of them.
#[derive(Clone, PartialEq, Default)]
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

impl fmt::Debug for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expectation")
            .field("status", &self.status)
            .field("json", &self.json.as_ref().map(|_| "***"))
            .field("body", &self.body.as_ref().map(|_| "***"))
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("within", &self.within)
            .field("refusal", &self.refusal)
            .finish()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_text_that_is_looked_for() {
        let expectation = Expectation {
            json: Some(serde_json::json!({"key": "sesame"})),
            body: Some("sesame".into()),
            headers: vec![("x-key".into(), "sesame".into())],
            ..Expectation::default()
        };
        let text = format!("{expectation:?}");
        assert!(!text.contains("sesame") && text.contains("x-key"), "{text}");
    }
}
