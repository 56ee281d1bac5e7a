//! A round of twins as the agent sends it: which, with whose sessions, and how far each got.

use super::Diagnoser;
use super::case::Case;
use super::twins::Twins;
use crate::attempt::{Attempted, PreparedTarget};
use crate::classify::Wording;
use crate::classify::narrowing::Evidence;
use crate::domain::observation::Twin;
use crate::domain::outcome::{Outcome, Reason};
use crate::recording::TwinEnd;
use std::sync::Arc;

impl Diagnoser {
    /// As the configuration of this moment has it.
    fn with_twins<T>(&self, case: &Case, ask: impl FnOnce(&Twins<'_>) -> T) -> T {
        let (ground, relatives) = (self.ground.load(), case.relatives());
        ask(&Twins {
            target: case.target(),
            relatives: &relatives,
            settings: ground.settings,
            endpoint: &ground.endpoint,
        })
    }

    /// What is known about a refusal before anything is sent.
    pub(super) fn recorded_evidence(&self, case: &Case, wording: Wording) -> Evidence {
        self.with_twins(case, |twins| twins.recorded_evidence(wording, self.clock.now()))
    }

    /// The twins worth sending: none where they may not be sent, and none where the record decides already.
    pub(super) fn twins_for(&self, case: &Case, evidence: &Evidence) -> Vec<Twin> {
        self.with_twins(case, |twins| twins.worth_sending(evidence))
    }

    /// The twin, addressed and ready; its signature is made when it is sent.
    pub(super) fn prepare(&self, case: &Case, twin: Twin) -> Option<PreparedTarget> {
        let target = self.with_twins(case, |twins| twins.target(twin))?;
        PreparedTarget::new(Arc::new(target), &self.ground.load().endpoint, &self.store, None).ok()
    }
}

/// How far a twin got.
pub(super) fn end(attempted: &Attempted) -> TwinEnd {
    match attempted.observation.verdict.reason {
        Reason::Reset | Reason::Protocol => TwinEnd::CutOff,
        reason if reason.outcome() == Outcome::Unreachable => TwinEnd::Unreached,
        _ => TwinEnd::Answered,
    }
}
