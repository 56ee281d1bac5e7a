//! Which twins explain which refusal, how they differ from the target, and what their answers are worth.

use super::Diagnoser;
use super::case::Case;
use crate::attempt::{Attempted, PreparedTarget};
use crate::classify::Wording;
use crate::classify::narrowing::{Evidence, Subject, TwinAnswer, is_vague, narrow};
use crate::domain::api::{Addressing, ApiName};
use crate::domain::expectation::Expectation;
use crate::domain::identity::{Identity, Signer};
use crate::domain::observation::Twin;
use crate::domain::outcome::{Outcome, Reason};
use crate::domain::target::Target;
use crate::recording::TwinEnd;
use std::sync::Arc;
use std::time::Duration;

/// The longest that a twin may take: an integration timeout teaches nothing that is worth a permit for longer.
const TWIN_TIMEOUT: Duration = Duration::from_secs(10);

impl Diagnoser {
    /// What is known about a refusal before anything is sent.
    pub(super) fn recorded_evidence(&self, case: &Case, wording: Wording) -> Evidence {
        let target = case.target();
        let session_policy = match &target.signer {
            Signer::Role(session) => session.session_policy.is_some(),
            Signer::Hub | Signer::Anonymous => false,
        };
        Evidence {
            subject: Subject {
                reason: wording.reason,
                signed: target.signer != Signer::Anonymous,
                explicit: wording.explicit,
                session_policy,
            },
            twins: Vec::new(),
            controls: case.relatives().controls(self.clock.now()),
        }
    }

    /// The twins worth sending: none where they may not be sent, and none where the record decides already.
    pub(super) fn twins_for(&self, case: &Case, evidence: &Evidence) -> Vec<Twin> {
        let target = case.target();
        let allowed = target.request.is_safe() || target.twins;
        if !allowed || !is_vague(narrow(evidence).reason) {
            return Vec::new();
        }
        let signed = evidence.subject.signed;
        let wanted: &[Twin] = match (evidence.subject.reason, signed) {
            (Reason::UnattributedPolicy | Reason::ResourceOrIdentityPolicy, true) => {
                &[Twin::Anonymous, Twin::Hub]
            }
            (Reason::UnattributedPolicy | Reason::ResourceOrIdentityPolicy, false) => {
                &[Twin::Spoke, Twin::Hub]
            }
            (Reason::Forbidden, true) => &[Twin::Anonymous, Twin::Addressing, Twin::Path],
            (Reason::Forbidden, false) => &[Twin::Addressing, Twin::Path],
            (Reason::MissingAuthenticationToken, true) => &[Twin::Path],
            (Reason::MissingAuthenticationToken, false) => &[Twin::Spoke],
            _ => &[],
        };
        let useful = |twin: &Twin| match twin {
            // The record says the same without a request.
            Twin::Path => !evidence.controls.same_api,
            Twin::Anonymous | Twin::Hub | Twin::Spoke | Twin::Addressing => true,
        };
        wanted.iter().copied().filter(useful).filter(|twin| self.twin_target(case, *twin).is_some()).collect()
    }

    /// The twin, addressed and ready; its signature is made when it is sent.
    pub(super) fn prepare(&self, case: &Case, twin: Twin) -> Option<PreparedTarget> {
        let target = self.twin_target(case, twin)?;
        PreparedTarget::new(Arc::new(target), &self.endpoint, &self.store, None).ok()
    }

    /// The target with one thing changed. `None` where there is no such twin: no session to sign with, no other
    /// addressing or path configured.
    fn twin_target(&self, case: &Case, twin: Twin) -> Option<Target> {
        let target = case.target();
        let mut changed = Target {
            expectation: Expectation::default(),
            positive_control: None,
            timeout: target.timeout.min(TWIN_TIMEOUT),
            ..Target::clone(target)
        };
        match twin {
            Twin::Anonymous => {
                (changed.identity, changed.signer) = (Identity::Anonymous, Signer::Anonymous);
                changed.signer_account = None;
            }
            Twin::Hub => {
                if !self.settings.hub_twins || target.signer == Signer::Hub {
                    return None;
                }
                (changed.identity, changed.signer) = (Identity::Hub, Signer::Hub);
                changed.signer_account = None;
            }
            Twin::Spoke => {
                let session = case.relatives().spoke_session.as_ref()?;
                changed.signer_account = Some(session.role_arn.account().clone());
                (changed.identity, changed.signer) = (Identity::Spoke, Signer::Role(Arc::clone(session)));
            }
            Twin::Addressing => changed.addressing = self.other_addressing(target)?,
            Twin::Path => changed.request = case.relatives().other_path.clone()?,
        }
        Some(changed)
    }

    /// Naming the api by its id leaves names and private DNS out of it; where that is what fails, its own name at
    /// the endpoint is the other way. Both need the endpoint's name, and neither works for a custom domain.
    fn other_addressing(&self, target: &Target) -> Option<Addressing> {
        self.endpoint.dns_name.as_ref()?;
        match (&target.api, target.addressing) {
            (ApiName::Domain { .. }, _) => None,
            (ApiName::Id { .. }, Addressing::ApiIdHeader) => Some(Addressing::EndpointDns),
            (ApiName::Id { .. }, _) => Some(Addressing::ApiIdHeader),
        }
    }
}

/// What a twin's answer says; `None` where nothing was sent.
pub(super) fn answer(twin: Twin, attempted: &Attempted) -> Option<TwinAnswer> {
    let reason = attempted.observation.verdict.reason;
    let explicit = attempted.wording.and_then(|wording| wording.explicit);
    (reason.outcome() != Outcome::Unsent).then_some(TwinAnswer { twin, reason, explicit })
}

/// How far a twin got.
pub(super) fn end(attempted: &Attempted) -> TwinEnd {
    match attempted.observation.verdict.reason {
        Reason::Reset | Reason::Protocol => TwinEnd::CutOff,
        reason if reason.outcome() == Outcome::Unreachable => TwinEnd::Unreached,
        _ => TwinEnd::Answered,
    }
}
