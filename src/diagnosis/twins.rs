//! Which twins explain which refusal, how they differ from the target, and what their answers are worth. Pure: the
//! agent's rounds and the doctor send what this makes.

use super::{Relatives, Settings};
use crate::attempt::Attempted;
use crate::classify::Wording;
use crate::classify::narrowing::{Evidence, Subject, TwinAnswer, is_vague, narrow};
use crate::domain::api::{Addressing, ApiName};
use crate::domain::expectation::Expectation;
use crate::domain::identity::{Identity, Signer};
use crate::domain::moment::Moment;
use crate::domain::observation::Twin;
use crate::domain::outcome::{Outcome, Reason};
use crate::domain::target::Target;
use crate::endpoint;
use std::sync::Arc;
use std::time::Duration;

/// The longest that a twin may take: an integration timeout teaches nothing that is worth a permit for longer.
const TWIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The twins of one target.
#[derive(Clone, Copy)]
pub struct Twins<'a> {
    /// The target whose refusal is to be explained.
    pub target: &'a Target,
    /// The targets that explain it.
    pub relatives: &'a Relatives,
    /// Which identities twins may use.
    pub settings: Settings,
    /// How apis are addressed.
    pub endpoint: &'a endpoint::Settings,
}

impl Twins<'_> {
    /// What is known about a refusal before anything is sent.
    #[must_use]
    pub fn recorded_evidence(&self, wording: Wording, now: Moment) -> Evidence {
        let target = self.target;
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
            controls: self.relatives.controls(now),
        }
    }

    /// The twins worth sending: none where they may not be sent, and none where the record decides already.
    #[must_use]
    pub fn worth_sending(&self, evidence: &Evidence) -> Vec<Twin> {
        let target = self.target;
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
        wanted.iter().copied().filter(useful).filter(|twin| self.target(*twin).is_some()).collect()
    }

    /// The target with one thing changed. `None` where there is no such twin: no session to sign with, no other
    /// addressing or path configured.
    #[must_use]
    pub fn target(&self, twin: Twin) -> Option<Target> {
        let target = self.target;
        let mut changed = Target {
            expectation: Expectation::default(),
            positive_control: None,
            timeout: target.timeout.min(TWIN_TIMEOUT),
            ..target.clone()
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
                let session = self.relatives.spoke_session.as_ref()?;
                changed.signer_account = Some(session.role_arn.account().clone());
                (changed.identity, changed.signer) = (Identity::Spoke, Signer::Role(Arc::clone(session)));
            }
            Twin::Addressing => changed.addressing = self.other_addressing(target)?,
            Twin::Path => changed.request = self.relatives.other_path.clone()?,
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

/// What a twin's answer says; `None` where nothing was sent, or nobody answered it: lost or throttled on the way.
#[must_use]
pub fn answer(twin: Twin, attempted: &Attempted) -> Option<TwinAnswer> {
    let reason = attempted.observation.verdict.reason;
    let explicit = attempted.wording.and_then(|wording| wording.explicit);
    let is_one = !matches!(reason.outcome(), Outcome::Unsent | Outcome::Unreachable | Outcome::Throttled)
        && reason != Reason::ResponseTimeout;
    is_one.then_some(TwinAnswer { twin, reason, explicit })
}
