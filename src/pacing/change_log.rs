//! One line in the log per change of a target's state.

use crate::domain::moment::Moment;
use crate::domain::observation::{Door, Observation};
use crate::domain::outcome::Reason;
use crate::domain::target::TargetId;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a target that was just logged stays silent.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// What the log knows of one target.
#[derive(Default)]
pub(super) struct ChangeLog(Mutex<Logged>);

#[derive(Default)]
struct Logged {
    /// Reason and expectedness last heard of.
    state: Option<(Reason, bool)>,
    at: Option<Moment>,
    /// When an open door was last told.
    opened_at: Option<Moment>,
    /// Attempts since then that differed and were not logged.
    silent: u64,
}

/// A change worth a line.
struct Change {
    was: &'static str,
    silent: u64,
}

impl ChangeLog {
    /// One line per change of state; what stays as it is stays silent, and a target that goes to and fro is
    /// heard of once in [`LOG_PAUSE`]. A door that opens is told at once, whatever was told before it, and once in
    /// that time as well. Messages are scrubbed already.
    pub(super) fn observed(&self, target: &TargetId, observation: &Observation) {
        let verdict = &observation.verdict;
        let Some(Change { was, silent }) = self.change(observation) else { return };
        let (outcome, reason) = (verdict.outcome(), verdict.reason);
        if verdict.door == Some(Door::Open) {
            tracing::error!(
                %target,
                was,
                silent,
                code = observation.code,
                request_id = observation.ids.request_id.as_deref(),
                extended_request_id = observation.ids.extended_request_id.as_deref(),
                sent_trace_id = observation.ids.sent_trace_id.as_deref(),
                "DOOR OPEN: what must be refused was let in"
            );
        } else if verdict.expected {
            tracing::info!(%target, %outcome, %reason, was, silent, "as expected");
        } else {
            tracing::warn!(
                %target,
                %outcome,
                %reason,
                was,
                silent,
                code = observation.code,
                said = verdict.message.as_deref(),
                policy_arn = verdict.policy_arn.as_deref(),
                request_id = observation.ids.request_id.as_deref(),
                extended_request_id = observation.ids.extended_request_id.as_deref(),
                sent_trace_id = observation.ids.sent_trace_id.as_deref(),
                "not as expected"
            );
        }
    }

    fn change(&self, observation: &Observation) -> Option<Change> {
        let verdict = &observation.verdict;
        if verdict.reason == Reason::Overloaded {
            return None;
        }
        let state = (verdict.reason, verdict.expected);
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first_and_fine = logged.state.is_none() && verdict.expected;
        if logged.state == Some(state) || first_and_fine {
            logged.state = Some(state);
            return None;
        }
        let opens = verdict.door == Some(Door::Open);
        let told_at = if opens { logged.opened_at } else { logged.at };
        if told_at.is_some_and(|at| observation.done.since(at) < LOG_PAUSE) {
            logged.silent += 1;
            return None;
        }
        let was = logged.state.map_or("unknown", |(reason, _)| reason.as_str());
        let silent = logged.silent;
        let at = Some(observation.done);
        let opened_at = if opens { at } else { logged.opened_at };
        *logged = Logged { state: Some(state), at, opened_at, silent: 0 };
        Some(Change { was, silent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::examples::seen;

    #[test]
    fn a_door_that_opens_is_told_at_once_and_to_and_fro_seldom() {
        let log = ChangeLog::default();
        let told = |second, reason, expected, door| {
            let mut observation = seen(reason, Some(403), Duration::from_secs(second), Duration::ZERO);
            (observation.verdict.expected, observation.verdict.door) = (expected, door);
            log.change(&observation).is_some()
        };
        let closed = Some(Door::Closed);
        assert!(!told(0, Reason::ResourcePolicy, true, closed), "fine from the beginning");
        assert!(told(1, Reason::Rate, false, None));
        assert!(!told(2, Reason::ResourcePolicy, true, closed), "to and fro");
        assert!(told(3, Reason::None, false, Some(Door::Open)), "at once");
        assert!(!told(4, Reason::ResourcePolicy, true, closed));
        assert!(!told(5, Reason::None, false, Some(Door::Open)), "told already");
        assert!(told(14, Reason::ResourcePolicy, true, closed));
        assert!(told(15, Reason::None, false, Some(Door::Open)));
    }
}
