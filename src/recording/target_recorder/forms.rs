//! What becomes of a target's record when the configuration gives it another form, or takes it away.
//!
//! Attempts take their time, so some end after that. They write through the recorder of the form they were made in: an
//! earlier form still counts, so that the books balance, and remembers nothing; a removed target does neither.

use super::{State, TargetRecorder, begin_at_zero, window_for};
use crate::domain::target::Target;
use crate::recording::locked;
use std::sync::{Arc, MutexGuard};

impl TargetRecorder {
    /// The recorder of another form of the same target. Counters go on. What was remembered of the answers stays only
    /// if the form asks the same.
    pub(in crate::recording) fn reformed(&self, target: &Arc<Target>, asks_the_same: bool) -> Self {
        let mut state = locked(&self.state);
        let before = std::mem::replace(&mut state.target, Arc::clone(target)).cadence;
        if !asks_the_same {
            state.form += 1;
            forget(&mut state);
        }
        if !asks_the_same || std::mem::discriminant(&before) != std::mem::discriminant(&target.cadence) {
            state.window = window_for(target.cadence);
        }
        begin_at_zero(&mut state);
        Self {
            id: self.id.clone(),
            form: state.form,
            families: Arc::clone(&self.families),
            board: Arc::clone(&self.board),
            spoke: Arc::clone(&self.spoke),
            retries: self.retries.clone(),
            lag: self.lag.clone(),
            state: Arc::clone(&self.state),
        }
    }

    /// The target is no more: what is still under way of it is taken out of the sum of all, and counts nowhere when
    /// it ends.
    pub(in crate::recording) fn retire(&self) {
        let mut state = locked(&self.state);
        if !std::mem::replace(&mut state.gone, true) {
            self.families.in_flight.sub(state.waiting + state.in_flight);
            forget(&mut state);
        }
    }

    /// The form that is in use.
    pub(in crate::recording) fn target(&self) -> Arc<Target> {
        Arc::clone(&locked(&self.state).target)
    }

    /// What is remembered, for who may write it: the last form of a target that is there.
    pub(super) fn remembered(&self) -> Option<MutexGuard<'_, State>> {
        let state = locked(&self.state);
        (!state.gone && state.form == self.form).then_some(state)
    }
}

/// Forgets what was learnt from the answers.
fn forget(state: &mut State) {
    state.last = None;
    state.door = None;
    state.diagnosis = None;
    state.signed_header_bytes = None;
}
