//! One line in the log per change of a target's state, and now and then one for what stays bad.

use crate::domain::moment::Moment;
use crate::domain::observation::{Door, Observation};
use crate::domain::outcome::Reason;
use crate::domain::target::TargetId;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a target that was just logged stays silent.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// How often a target that goes on failing in one way is heard of.
const REMINDER: Duration = Duration::from_secs(600);

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
    /// Attempts since then that failed in the same way.
    repeated: u64,
}

/// Something worth a line.
#[derive(Debug, PartialEq)]
enum News {
    /// Another state than before.
    Change { was: &'static str, silent: u64, repeated: u64 },
    /// The same failure as told of before, so many times since.
    Still { repeated: u64 },
}

impl ChangeLog {
    /// One line per change of state; what stays as expected stays silent, what goes on failing in one way is heard of
    /// once in [`REMINDER`] with how often it did, and a target that goes to and fro once in [`LOG_PAUSE`]. A door
    /// that opens is told at once, whatever was told before it, and once in that time as well. Messages are scrubbed
    /// already. Each attempt is a debug line.
    pub(super) fn observed(&self, target: &TargetId, observation: &Observation) {
        let verdict = &observation.verdict;
        let (outcome, reason) = (verdict.outcome(), verdict.reason);
        tracing::debug!(
            %target,
            %outcome,
            %reason,
            expected = verdict.expected,
            code = observation.code,
            response_seconds = observation.response_time().as_secs_f64(),
            service_seconds = observation.service_time().map(|time| time.as_secs_f64()),
            retries = observation.retries,
            said = verdict.message.as_deref(),
            request_id = observation.ids.request_id.as_deref(),
            "attempt"
        );
        let (was, silent, repeated) = match self.news(observation) {
            None => return,
            Some(News::Change { was, silent, repeated }) => (was, silent, repeated),
            Some(News::Still { repeated }) => {
                let open = verdict.door == Some(Door::Open);
                tracing::warn!(%target, %outcome, %reason, code = observation.code, repeated, open, "still not as expected");
                return;
            }
        };
        if verdict.door == Some(Door::Open) {
            tracing::error!(
                %target,
                was,
                silent,
                repeated,
                code = observation.code,
                request_id = observation.ids.request_id.as_deref(),
                extended_request_id = observation.ids.extended_request_id.as_deref(),
                sent_trace_id = observation.ids.sent_trace_id.as_deref(),
                "DOOR OPEN: what must be refused was let in"
            );
        } else if verdict.expected {
            tracing::info!(%target, %outcome, %reason, was, silent, repeated, "as expected");
        } else {
            tracing::warn!(
                %target,
                %outcome,
                %reason,
                was,
                silent,
                repeated,
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

    fn news(&self, observation: &Observation) -> Option<News> {
        let verdict = &observation.verdict;
        if verdict.reason == Reason::Overloaded {
            return None;
        }
        let state = (verdict.reason, verdict.expected);
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first_and_fine = logged.state.is_none() && verdict.expected;
        if first_and_fine || (logged.state == Some(state) && verdict.expected) {
            logged.state = Some(state);
            return None;
        }
        if logged.state == Some(state) {
            logged.repeated += 1;
            if logged.at.is_some_and(|at| observation.done.since(at) < REMINDER) {
                return None;
            }
            logged.at = Some(observation.done);
            return Some(News::Still { repeated: std::mem::take(&mut logged.repeated) });
        }
        let opens = verdict.door == Some(Door::Open);
        let told_at = if opens { logged.opened_at } else { logged.at };
        if told_at.is_some_and(|at| observation.done.since(at) < LOG_PAUSE) {
            logged.silent += 1;
            return None;
        }
        let was = logged.state.map_or("unknown", |(reason, _)| reason.as_str());
        let (silent, repeated) = (logged.silent, logged.repeated);
        let at = Some(observation.done);
        let opened_at = if opens { at } else { logged.opened_at };
        *logged = Logged { state: Some(state), at, opened_at, silent: 0, repeated: 0 };
        Some(News::Change { was, silent, repeated })
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
            log.news(&observation).is_some()
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

    #[test]
    fn what_goes_on_failing_is_heard_of_seldom_with_how_often() {
        let log = ChangeLog::default();
        let told = |second, reason: Reason| {
            let mut observation = seen(reason, Some(403), Duration::from_secs(second), Duration::ZERO);
            observation.verdict.expected = reason == Reason::None;
            log.news(&observation)
        };
        let change = |was, silent, repeated| Some(News::Change { was, silent, repeated });
        assert_eq!(told(0, Reason::VpcEndpointPolicy), change("unknown", 0, 0));
        let reminders: Vec<_> =
            (1..=41).filter_map(|half| told(half * 30, Reason::VpcEndpointPolicy)).collect();
        assert_eq!(reminders, [News::Still { repeated: 20 }, News::Still { repeated: 20 }]);
        assert_eq!(told(1_260, Reason::None), change("vpc_endpoint_policy", 0, 1));
        assert!((43..200).all(|half| told(half * 30, Reason::None).is_none()), "fine stays silent");
    }
}
