//! What a target's record is asked for and told by those who explain refusals.

use super::{TargetRecorder, labels, unlisted_counter};
use crate::domain::identity::Identity;
use crate::domain::moment::Moment;
use crate::domain::observation::Twin;
use crate::domain::outcome::Reason;
use crate::recording::diagnosis::{KnownDiagnosis, TargetCondition, TwinEnd, TwinSeries};
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
        if let Some(series) = state.twin_series.iter().find(|series| series.twin == twin) {
            series.counter.inc();
            return;
        }
        let counter = if state.removed {
            unlisted_counter()
        } else {
            let [spoke, api, probe, _] = labels(&self.id);
            self.families.twins.with_label_values(&[spoke, api, probe, twin.as_str()])
        };
        counter.inc();
        state.twin_series.push(TwinSeries { twin, counter });
    }

    /// Replaces what is known about the target's refusals; `None` when it no longer holds.
    pub fn set_diagnosis(&self, diagnosis: Option<KnownDiagnosis>) {
        locked(&self.state).diagnosis = diagnosis.map(Box::new);
    }

    /// How it stands, for what many targets share.
    pub(in crate::recording) fn condition(&self) -> TargetCondition {
        let state = locked(&self.state);
        TargetCondition {
            spoke: self.id.spoke.clone(),
            plain: state.target.identity == Identity::Spoke && !state.target.expectation.is_guard(),
            last: state.last.as_ref().map(|last| (last.reason, last.expected, last.since)),
        }
    }
}
