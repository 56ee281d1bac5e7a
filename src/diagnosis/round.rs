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
    fn twins<'a>(&'a self, case: &'a Case) -> Twins<'a> {
        Twins {
            target: case.target(),
            relatives: case.relatives(),
            settings: self.settings,
            endpoint: &self.endpoint,
        }
    }

    /// What is known about a refusal before anything is sent.
    pub(super) fn recorded_evidence(&self, case: &Case, wording: Wording) -> Evidence {
        self.twins(case).recorded_evidence(wording, self.clock.now())
    }

    /// The twins worth sending: none where they may not be sent, and none where the record decides already.
    pub(super) fn twins_for(&self, case: &Case, evidence: &Evidence) -> Vec<Twin> {
        self.twins(case).worth_sending(evidence)
    }

    /// The twin, addressed and ready; its signature is made when it is sent.
    pub(super) fn prepare(&self, case: &Case, twin: Twin) -> Option<PreparedTarget> {
        let target = self.twins(case).target(twin)?;
        PreparedTarget::new(Arc::new(target), &self.endpoint, &self.store, None).ok()
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
