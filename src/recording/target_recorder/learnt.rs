//! What a target's record is asked for and told by those who explain refusals.

use super::TargetRecorder;
use crate::domain::identity::Identity;
use crate::domain::moment::Moment;
use crate::domain::observation::Twin;
use crate::domain::outcome::Reason;
use crate::recording::board::SKEW_HOLDS_FOR;
use crate::recording::conditions::TargetCondition;
use crate::recording::diagnosis::{KnownDiagnosis, TwinEnd};
use crate::recording::locked;
use std::time::Duration;

/// How long a success proves something about other targets at least; two intervals where they are longer.
const RECENT_AT_LEAST: Duration = Duration::from_secs(120);

impl TargetRecorder {
    /// True when the last attempt worked, was as expected, and is of a few minutes ago at most: what explains
    /// another target's refusal may not be old.
    #[must_use]
    pub fn was_ok_recently(&self, now: Moment) -> bool {
        let state = locked(&self.state);
        let recent = RECENT_AT_LEAST.max(2 * state.target.cadence.interval());
        state.last.as_ref().is_some_and(|last| {
            last.expected && last.reason == Reason::None && now.since(last.done) <= recent
        })
    }

    /// Counts an attempt that was made only to explain a refusal, with the quick retries within it.
    pub fn twin_ended(&self, twin: Twin, end: TwinEnd, retries: u8) {
        let mut state = locked(&self.state);
        state.twins.sent += 1;
        state.twins.answered += u64::from(end == TwinEnd::Answered);
        state.twins.cut_off += u64::from(end == TwinEnd::CutOff) + u64::from(retries);
        state.books.twins[twin as usize] += 1;
    }

    /// Replaces what is known about the target's refusals; `None` when it no longer holds. Without effect for a form
    /// that is not asked any more.
    pub fn set_diagnosis(&self, diagnosis: Option<KnownDiagnosis>) {
        if let Some(mut state) = self.remembered() {
            state.diagnosis = diagnosis.map(Box::new);
        }
    }

    /// How it stands, for what many targets share.
    pub(in crate::recording) fn condition(&self, now: Moment) -> TargetCondition {
        let state = locked(&self.state);
        TargetCondition {
            spoke: self.id.spoke.clone(),
            plain: state.target.identity == Identity::Spoke && !state.target.expectation.is_guard(),
            last: state.last.as_ref().map(|last| (last.reason, last.expected, last.since)),
            recent: state.last.as_ref().is_some_and(|last| now.since(last.done) <= SKEW_HOLDS_FOR),
        }
    }
}
