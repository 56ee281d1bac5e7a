//! From a vague refusal and what its twins were answered to a narrower reason, or honestly to the same one.
//!
//! Pure. `diagnosis` gathers an `Evidence` and calls [`narrow`]. The method is elimination: the subject leaves
//! a set of possible causes open, each row of evidence strikes some out, and nothing is ever added. So more
//! evidence can make a finding narrower or, where the answers contradict each other (no cause is left), vague
//! again with `conflict`; it never turns one specific reason into another.
//!
//! **The logic** rests on API Gateway's developer guide. "Use VPC endpoint policies for private APIs": the
//! endpoint's policy is asked first, with the signer as principal, an unsigned caller being anonymous, whatever
//! the method's authorization type. "How API Gateway resource policies affect authorization workflow": a
//! method with `AWS_IAM` wants a known caller before any policy of the api is asked, one with `NONE` asks the
//! resource policy alone, which then sees no principal. The rows are DERIVED from these two pages; no row was
//! seen confirmed by AWS itself. One thing is taken for granted, since no sane policy does it: no `Allow` of
//! an endpoint's policy asks that a principal be *absent*.
//!
//! | row | subject | evidence | strikes out | because |
//! |---|---|---|---|---|
//! | S1 | signed, implicit | unsigned gets `missing_authentication_token` | endpoint policy | nobody passed the endpoint, so any principal does |
//! | S2 | signed, explicit or unknown | the same | – | a `Deny` of the endpoint may name the signer |
//! | S3 | signed | unsigned reaches the backend | all of api and caller | the method is open: its policies see no principal |
//! | S4 | signed, implicit | the same | endpoint policy too: a conflict | as S1 |
//! | S5 | signed | unsigned is refused by `resource_policy` | all of the caller | only a method without `AWS_IAM` says so to an unsigned caller |
//! | S6 | signed, implicit | the same | endpoint policy too | as S1 |
//! | S7 | signed | as S5, but one text is explicit and the other implicit | resource policy | it sees no principal, so it says the same to both |
//! | A1 | unsigned | any signed call of the route gets through | resource policy | with `NONE` it would refuse both alike; with `AWS_IAM` it is asked after the signature, and an unsigned caller reads `missing_authentication_token` |
//! | A2 | unsigned | a signed call is refused by a policy of its caller | resource policy | the method has `AWS_IAM`: as A1 |
//! | M1 | signed | another path answers the same identity | a needed signature | the signature is good, so the route is missing |
//! | M2 | any | a signed call of this very route gets through | a missing route | it exists |
//! | M3 | unsigned | the signed twin is told the same, and another path answers it | a needed signature | as M1, for the twin |
//! | F1 | `forbidden` | another addressing is not answered `forbidden` | all but addressing | |
//! | F2 | `forbidden` | another addressing is answered `forbidden` | addressing | |
//! | F3 | `forbidden` | another path of the api answers | addressing, stage, public api | they are the same for every path |
//! | F4 | `forbidden`, signed | unsigned gets past the front door (a token is missing, a policy of the api or an authorizer refuses, the backend answers) | addressing, stage, public api | the gateway found the api |
//!
//! What an unsigned twin reads from the *endpoint's* policy strikes out nothing: it says who refused the twin.

mod evidence;
#[cfg(test)]
mod tests;

pub use evidence::{Because, Controls, Evidence, Finding, Subject, Suspect, TwinAnswer};

use crate::domain::observation::Twin;
use crate::domain::outcome::Reason;

/// The reasons whose text leaves several layers open, for which twins are sent.
#[must_use]
pub const fn is_vague(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UnattributedPolicy
            | Reason::ResourceOrIdentityPolicy
            | Reason::Forbidden
            | Reason::MissingAuthenticationToken
    )
}

/// True when a finding about an answer whose text says `vague` may give `reason`.
#[must_use]
pub const fn may_become(vague: Reason, reason: Reason) -> bool {
    match vague {
        Reason::UnattributedPolicy => matches!(
            reason,
            Reason::UnattributedPolicy
                | Reason::VpcEndpointPolicy
                | Reason::ResourcePolicy
                | Reason::ResourceOrIdentityPolicy
        ),
        Reason::ResourceOrIdentityPolicy => {
            matches!(reason, Reason::ResourceOrIdentityPolicy | Reason::ResourcePolicy)
        }
        Reason::MissingAuthenticationToken => {
            matches!(reason, Reason::MissingAuthenticationToken | Reason::NotFound)
        }
        _ => vague as u8 == reason as u8,
    }
}

/// Narrows a vague refusal as far as the evidence entails, and no further. A reason that is not vague comes
/// back as it is.
#[must_use]
pub fn narrow(evidence: &Evidence) -> Finding {
    let mut inquiry = Inquiry::open(evidence);
    match evidence.subject.reason {
        Reason::UnattributedPolicy | Reason::ResourceOrIdentityPolicy => inquiry.policies(),
        Reason::MissingAuthenticationToken => inquiry.token(),
        Reason::Forbidden => inquiry.forbidden(),
        _ => {}
    }
    inquiry.close()
}

use Suspect as S;

/// The policies on the caller's own side. A resource control policy is left out: execute-api is not known to
/// be subject to any.
const OF_THE_CALLER: [Suspect; 4] =
    [S::IdentityPolicy, S::SessionPolicy, S::PermissionsBoundary, S::ServiceControlPolicy];

/// The causes left open so far.
struct Inquiry<'e> {
    evidence: &'e Evidence,
    open: Vec<Suspect>,
    because: Vec<Because>,
}

impl<'e> Inquiry<'e> {
    fn open(evidence: &'e Evidence) -> Self {
        let subject = &evidence.subject;
        let open = match (subject.reason, subject.signed) {
            (Reason::UnattributedPolicy, true) => [S::EndpointPolicy, S::ResourcePolicy]
                .into_iter()
                .chain(OF_THE_CALLER)
                .filter(|cause| *cause != S::SessionPolicy || subject.session_policy)
                .collect(),
            (Reason::UnattributedPolicy, false) => vec![S::EndpointPolicy, S::ResourcePolicy],
            (Reason::ResourceOrIdentityPolicy, _) => vec![S::ResourcePolicy, S::IdentityPolicy],
            (Reason::MissingAuthenticationToken, true) => vec![S::Route, S::Signature],
            (Reason::MissingAuthenticationToken, false) => vec![S::Signature, S::Route],
            (Reason::Forbidden, _) => vec![S::ApiKey, S::Waf, S::Stage, S::Addressing, S::PublicApi],
            _ => Vec::new(),
        };
        Self { evidence, open, because: Vec::new() }
    }

    fn strike(&mut self, causes: &[Suspect]) {
        self.open.retain(|cause| !causes.contains(cause));
    }

    fn note(&mut self, because: Because) {
        if !self.because.contains(&because) {
            self.because.push(because);
        }
    }

    fn answers(&self, twin: Twin) -> impl Iterator<Item = TwinAnswer> + 'e {
        self.evidence.twins.iter().copied().filter(move |answer| answer.twin == twin)
    }

    fn policies(&mut self) {
        let subject = self.evidence.subject;
        if subject.explicit == Some(true) {
            self.note(Because::DenyIsExplicit);
        }
        if subject.signed {
            self.signed_denial(subject);
        } else {
            self.unsigned_denial();
        }
        if self.evidence.controls.same_signer {
            self.note(Because::SameIdentityPassesElsewhere);
        }
        if subject.signed && self.answers(Twin::Hub).any(|answer| got_through(answer.reason)) {
            // Says that the endpoint and the resource policy let somebody in, not that they let in the caller.
            self.note(Because::HubPasses);
        }
        if subject.signed && (self.evidence.controls.same_api || self.path_answers()) {
            // A policy may name a path, so this strikes out nothing.
            self.note(Because::OtherPathAnswers);
        }
        let passes = [Because::SameIdentityPassesElsewhere, Because::OtherPathAnswers];
        if subject.signed && passes.iter().any(|because| self.because.contains(because)) {
            // The endpoint lets this identity through, if not to everything: the others are likelier.
            self.open.sort_by_key(|cause| *cause == S::EndpointPolicy);
        }
    }

    fn signed_denial(&mut self, subject: Subject) {
        let implicit = subject.explicit == Some(false);
        for unsigned in self.answers(Twin::Anonymous) {
            match unsigned.reason {
                // S1, S2
                Reason::MissingAuthenticationToken => {
                    self.note(Because::UnsignedPassesEndpoint);
                }
                // S3, S4. That an SCP refuses through the endpoint is a documented form, so it stays open.
                reason if got_through(reason) => {
                    self.note(Because::UnsignedReachesBackend);
                    self.strike(&[
                        S::ResourcePolicy,
                        S::IdentityPolicy,
                        S::SessionPolicy,
                        S::PermissionsBoundary,
                    ]);
                    if implicit {
                        self.strike(&[S::ServiceControlPolicy]);
                    }
                }
                // S5, S6, S7
                Reason::ResourcePolicy => {
                    self.note(Because::UnsignedRefusedByResourcePolicy);
                    self.strike(&OF_THE_CALLER);
                    if let (Some(one), Some(other)) = (subject.explicit, unsigned.explicit)
                        && one != other
                    {
                        self.strike(&[S::ResourcePolicy]);
                    }
                }
                reason if reason.is_policy() => {
                    self.note(Because::UnsignedRefused);
                    continue;
                }
                _ => continue,
            }
            if implicit {
                self.strike(&[S::EndpointPolicy]);
            }
        }
    }

    fn unsigned_denial(&mut self) {
        let signed: Vec<Reason> = [Twin::Spoke, Twin::Hub]
            .into_iter()
            .flat_map(|twin| self.answers(twin))
            .map(|a| a.reason)
            .collect();
        // A1
        if self.evidence.controls.same_route || signed.iter().any(|reason| got_through(*reason)) {
            self.note(Because::SignedCallPasses);
            self.strike(&[S::ResourcePolicy]);
        }
        // A2. Not for a service control policy, which may refuse at the endpoint already.
        if signed.iter().any(|reason| {
            matches!(reason, Reason::IdentityPolicy | Reason::SessionPolicy | Reason::PermissionsBoundary)
        }) {
            self.note(Because::SignedCallRefusedByItsCaller);
            self.strike(&[S::ResourcePolicy]);
        }
    }

    fn token(&mut self) {
        let Evidence { subject, controls, .. } = self.evidence;
        let other_path = controls.same_api || self.path_answers();
        let signed: Vec<Reason> = [Twin::Spoke, Twin::Hub]
            .into_iter()
            .flat_map(|twin| self.answers(twin))
            .map(|a| a.reason)
            .collect();
        // M2
        if controls.same_route || signed.iter().any(|reason| got_through(*reason)) {
            self.note(Because::SignedCallPasses);
            self.strike(&[S::Route]);
        }
        if self.answers(Twin::Path).any(|answer| answer.reason == Reason::MissingAuthenticationToken) {
            self.note(Because::OtherPathToldTheSame);
        }
        let told_the_same =
            self.answers(Twin::Spoke).any(|answer| answer.reason == Reason::MissingAuthenticationToken);
        if told_the_same {
            self.note(Because::SignedTwinToldTheSame);
        }
        // M1, M3. For an unsigned subject another path says nothing by itself: it may be open.
        if other_path {
            self.note(Because::OtherPathAnswers);
            if subject.signed || (told_the_same && controls.same_api) {
                self.strike(&[S::Signature]);
            }
        }
    }

    fn forbidden(&mut self) {
        let Evidence { subject, controls, .. } = self.evidence;
        // F1, F2
        for other in self.answers(Twin::Addressing) {
            if other.reason == Reason::Forbidden {
                self.note(Because::OtherAddressingForbiddenToo);
                self.strike(&[S::Addressing]);
            } else if past_front_door(other.reason) {
                self.note(Because::OtherAddressingPasses);
                self.strike(&[S::ApiKey, S::Waf, S::Stage, S::PublicApi]);
            }
        }
        // F3
        if controls.same_api || controls.same_route || self.path_answers() {
            self.note(Because::OtherPathAnswers);
            self.strike(&[S::Addressing, S::Stage, S::PublicApi]);
        }
        // F4. That a web ACL looks at the signature's headers is possible, so it stays open.
        for unsigned in self.answers(Twin::Anonymous).filter(|_| subject.signed) {
            if unsigned.reason == Reason::Forbidden {
                self.note(Because::UnsignedForbiddenToo);
            } else if past_front_door(unsigned.reason) {
                self.note(Because::UnsignedPassesFrontDoor);
                self.strike(&[S::Addressing, S::Stage, S::PublicApi]);
            }
        }
        if controls.same_signer {
            self.note(Because::SameIdentityPassesElsewhere);
        }
    }

    fn path_answers(&self) -> bool {
        self.answers(Twin::Path).any(|answer| got_through(answer.reason))
    }

    fn close(mut self) -> Finding {
        let vague = self.evidence.subject.reason;
        if self.open.is_empty() && is_vague(vague) {
            let nothing =
                Evidence { twins: Vec::new(), controls: Controls::default(), ..self.evidence.clone() };
            let all = Inquiry::open(&nothing).open;
            self.note(Because::Conflict);
            return Finding { reason: vague, suspects: all, because: self.because };
        }
        let reason = match (vague, self.open.as_slice()) {
            (Reason::UnattributedPolicy, [S::EndpointPolicy]) => Reason::VpcEndpointPolicy,
            (Reason::UnattributedPolicy | Reason::ResourceOrIdentityPolicy, [S::ResourcePolicy]) => {
                Reason::ResourcePolicy
            }
            (Reason::UnattributedPolicy, open)
                if !open.contains(&S::EndpointPolicy) && open.contains(&S::ResourcePolicy) =>
            {
                Reason::ResourceOrIdentityPolicy
            }
            (Reason::MissingAuthenticationToken, [S::Route]) => Reason::NotFound,
            _ => vague,
        };
        Finding { reason, suspects: self.open, because: self.because }
    }
}

/// True for answers that only come after every policy has let the caller in. An error status without an error
/// type is not among them: it may be a refusal in an owner's own words.
const fn got_through(reason: Reason) -> bool {
    matches!(reason, Reason::None | Reason::IntegrationTimeout | Reason::IntegrationNetwork)
}

/// True for answers that only come once the gateway has found the api and its stage. A refusal by the
/// endpoint's policy is not among them: the endpoint is asked first.
const fn past_front_door(reason: Reason) -> bool {
    got_through(reason)
        || matches!(
            reason,
            Reason::MissingAuthenticationToken
                | Reason::ResourcePolicy
                | Reason::ResourceOrIdentityPolicy
                | Reason::IdentityPolicy
                | Reason::SessionPolicy
                | Reason::PermissionsBoundary
                | Reason::LambdaAuthorizer
                | Reason::Unauthorized
                | Reason::AuthorizerError
        )
}
