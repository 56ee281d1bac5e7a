//! The conclusion: where the path stops, whose that is, how sure it is, and what to change. Pure.

use super::change::Names;
use super::identity::Refused;
use super::plain;
use super::reach::Stop;
use super::report::{Change, Confidence, Statement, Step, Verdict};
use crate::classify::narrowing::{Because, Finding, Suspect, is_vague};
use crate::domain::identity::Signer;
use crate::domain::observation::Observation;
use crate::domain::outcome::{Outcome, Reason};
use crate::domain::target::Target;
use crate::explain::{AssumeRoleCause, Owner, entry};

/// All went as it should.
pub(super) fn passed(evidence: Vec<String>) -> Verdict {
    Verdict {
        stopped_at: None,
        reason: Reason::None,
        owner: Owner::Nobody,
        confidence: Confidence::Certain,
        candidates: Vec::new(),
        evidence,
        change: Change::default(),
    }
}

/// The path stops before anything was sent.
pub(super) fn on_the_way(step: Step, stop: &Stop, names: Option<&Names>) -> Verdict {
    let (owner, confidence, candidates) = owners(stop.reason);
    Verdict {
        stopped_at: Some(step),
        reason: stop.reason,
        owner,
        confidence,
        candidates,
        evidence: stop.evidence.clone(),
        change: Change { text: what_to_do(stop.reason, names, false), statements: Vec::new() },
    }
}

/// There is no session to sign with.
pub(super) fn without_session(step: Step, refused: &Refused, names: Option<&Names>) -> Verdict {
    use AssumeRoleCause as Cause;
    let refusal = &refused.refusal;
    let mut evidence = refused.evidence.clone();
    evidence.push(refusal.meaning.to_owned());
    let candidates = match refusal.cause {
        _ if refusal.sure => Vec::new(),
        Cause::TrustExternalIdOrAbsentRole => {
            vec!["trust_policy", "external_id", "absent_role", "hub_identity_policy"]
        }
        // The text reads so across accounts where the hub's own policy is silent, too.
        Cause::TrustPolicy => vec!["trust_policy", "hub_identity_policy"],
        cause => vec![cause.as_str()],
    };
    // No statement that allows helps against one that denies.
    let explicit = refused.evidence.iter().any(|line| line.contains("with an explicit deny"));
    let names_of_role = names.filter(|_| step == Step::AssumeRole && !explicit);
    let statements = names_of_role.map_or_else(Vec::new, |names| match refusal.cause {
        Cause::TrustPolicy if refusal.sure => names.trust_statements(),
        Cause::TrustPolicy | Cause::TrustExternalIdOrAbsentRole | Cause::TagSession => {
            names.trust_statements().into_iter().chain([names.hub_statement()]).collect()
        }
        Cause::IdentityPolicy => vec![names.hub_statement()],
        Cause::PermissionsBoundary => vec![names.hub_boundary_statement()],
        _ => Vec::new(),
    });
    let fill = |text: &&str| names.map_or_else(|| (*text).to_owned(), |names| names.fill(text));
    Verdict {
        stopped_at: Some(step),
        reason: refused.reason,
        owner: refusal.owner,
        confidence: if refusal.sure { Confidence::Certain } else { Confidence::Open },
        candidates,
        evidence,
        change: Change {
            text: refusal.what_to_do.iter().map(fill).collect(),
            statements: statements.into_iter().flatten().collect(),
        },
    }
}

/// What is known about an answer that is not as expected.
pub(super) struct Answered<'a> {
    pub(super) target: &'a Target,
    pub(super) observation: &'a Observation,
    /// The error type that the answer carries.
    pub(super) error_type: Option<String>,
    /// Whether the text says that a policy denies explicitly.
    pub(super) explicit: Option<bool>,
    /// What twins taught.
    pub(super) finding: Option<&'a Finding>,
    /// What else was seen.
    pub(super) further: Vec<String>,
}

/// The answer is not as expected.
pub(super) fn answered(answered: &Answered<'_>, names: &Names) -> Verdict {
    let Answered { target, observation, explicit, finding, .. } = answered;
    let said = observation.verdict.reason;
    if said == Reason::None && target.expectation.is_guard() {
        return open_door(answered);
    }
    let reason = finding.map_or(said, |finding| finding.reason);
    let suspects: &[Suspect] = finding.map_or(&[], |finding| &finding.suspects);
    let still_vague = is_vague(reason) && suspects.len() != 1;
    let (owner, confidence, candidates) = if still_vague {
        let owner = suspects.first().map_or_else(|| owners(reason).0, |suspect| owner_of(*suspect));
        let candidates = suspects.iter().map(|suspect| suspect.as_str()).collect();
        (owner, Confidence::Open, candidates)
    } else if let ([suspect], true) = (suspects, is_vague(said)) {
        (owner_of(*suspect), Confidence::Likely, Vec::new())
    } else if reason != said {
        (owners(reason).0, Confidence::Likely, Vec::new())
    } else {
        owners(reason)
    };
    let explicit = *explicit == Some(true);
    let statements = if explicit { Vec::new() } else { statements(reason, suspects, &target.signer, names) };
    let mut text = Vec::new();
    if explicit && reason.outcome() == Outcome::Denied {
        text.push(deny_in_the_way(reason, names));
    }
    text.extend(what_to_do(reason, Some(names), !statements.is_empty()));
    // The call stops where it was answered; twins only say by whom.
    Verdict {
        stopped_at: Some(Step::Invoke),
        reason,
        owner,
        confidence,
        candidates,
        evidence: evidence(answered),
        change: Change { text, statements },
    }
}

fn open_door(answered: &Answered<'_>) -> Verdict {
    let unsigned = answered.target.signer == Signer::Anonymous;
    let mut evidence = vec![format!(
        "{} must be refused, and was let in",
        if unsigned { "an unsigned call" } else { "a call under this identity" }
    )];
    evidence.extend(self::evidence(answered));
    let text = if unsigned {
        vec![
            "Look at the authorization of the method in the spoke: with NONE nobody is asked for a signature. Set \
             AWS_IAM and deploy the stage again.",
            "Look for an Allow with the principal \"*\" in the policy of the endpoint and in the resource policy of \
             the api, and give it a condition such as aws:PrincipalOrgID.",
        ]
    } else {
        vec![
            "Look in the resource policy of the api for the Allow that lets this role in, and narrow it with a \
             condition on aws:PrincipalArn.",
            "Look in the policy of the endpoint for an Allow that is as wide, and narrow it to the roles that are \
             meant.",
        ]
    };
    Verdict {
        stopped_at: Some(Step::Invoke),
        reason: Reason::None,
        owner: Owner::Spoke,
        confidence: Confidence::Likely,
        candidates: vec![Suspect::ResourcePolicy.as_str(), Suspect::EndpointPolicy.as_str()],
        evidence,
        change: Change { text: text.into_iter().map(str::to_owned).collect(), statements: Vec::new() },
    }
}

fn evidence(answered: &Answered<'_>) -> Vec<String> {
    let Observation { code, verdict, ids, clock_skew_seconds, .. } = answered.observation;
    let mut lines = Vec::new();
    let error_type = answered.error_type.as_deref().map(|text| format!(" {text}")).unwrap_or_default();
    match code {
        Some(code) => lines.push(format!("the answer is {code}{error_type}")),
        None => lines.push(format!("no answer: {}", verdict.reason)),
    }
    if let Some(message) = &verdict.message {
        lines.push(format!("it says: {}", plain::line(message)));
    }
    if let Some(arn) = &verdict.policy_arn {
        lines.push(format!("it names the policy {}", plain::line(arn)));
    }
    if let Some(finding) = answered.finding {
        lines.extend(finding.because.iter().map(|because| because_in_words(*because).to_owned()));
    }
    lines.extend(answered.further.iter().cloned());
    if verdict.reason == Reason::ClockSkew
        && let Some(seconds) = clock_skew_seconds
    {
        lines.push(format!("the gateway's clock is {seconds:+.0} s from the agent's"));
    }
    if let Some(id) = &ids.request_id {
        lines.push(format!("the request id is {}", plain::line(id)));
    }
    lines
}

const fn because_in_words(because: Because) -> &'static str {
    match because {
        Because::UnsignedPassesEndpoint => {
            "unsigned, the same call is told that a token is missing: it passes the endpoint"
        }
        Because::UnsignedReachesBackend => "unsigned, the same call reaches the backend",
        Because::UnsignedRefusedByResourcePolicy => {
            "unsigned, the same call is refused by the resource policy: the method has no IAM authorization"
        }
        Because::UnsignedRefused => "unsigned, the same call is refused by some policy as well",
        Because::UnsignedPassesFrontDoor => "unsigned, the same call gets past the front door of the gateway",
        Because::UnsignedForbiddenToo => "unsigned, the same call is answered with the same bare Forbidden",
        Because::SignedCallPasses => "a signed call of this route gets through",
        Because::SignedCallRefusedByItsCaller => {
            "a signed call of this route is refused by a policy of its own caller"
        }
        Because::SignedTwinToldTheSame => "signed, the same call is told that a token is missing as well",
        Because::OtherPathAnswers => "another path of the api answers the same identity",
        Because::OtherPathToldTheSame => "another path of the api is told the same",
        Because::OtherAddressingPasses => "addressed in another way, the call is not answered Forbidden",
        Because::OtherAddressingForbiddenToo => {
            "addressed in another way, the call is answered Forbidden as well"
        }
        Because::SameIdentityPassesElsewhere => "another api lets the same identity in",
        Because::HubPasses => "under the hub's own identity the same call gets through",
        Because::DenyIsExplicit => "the text says that a policy denies explicitly",
        Because::Conflict => "the answers contradict each other, so nothing is concluded from them",
    }
}

/// The owner, how sure that is, and who else it may be.
fn owners(reason: Reason) -> (Owner, Confidence, Vec<&'static str>) {
    let owners = entry(reason).owners;
    let first = owners.first().copied().unwrap_or(Owner::Agent);
    if is_vague(reason) {
        return (first, Confidence::Open, owners.iter().map(|owner| owner.as_str()).collect());
    }
    match owners {
        [_] => (first, Confidence::Certain, Vec::new()),
        _ => (first, Confidence::Likely, owners.iter().map(|owner| owner.as_str()).collect()),
    }
}

const fn owner_of(suspect: Suspect) -> Owner {
    match suspect {
        Suspect::EndpointPolicy => Owner::Hub,
        Suspect::ResourcePolicy
        | Suspect::IdentityPolicy
        | Suspect::PermissionsBoundary
        | Suspect::ApiKey
        | Suspect::Waf
        | Suspect::PublicApi
        | Suspect::Route => Owner::Spoke,
        Suspect::ServiceControlPolicy => Owner::Organisation,
        Suspect::SessionPolicy | Suspect::Stage | Suspect::Addressing | Suspect::Signature => Owner::Agent,
    }
}

fn statements(reason: Reason, suspects: &[Suspect], signer: &Signer, names: &Names) -> Vec<Statement> {
    if *signer == Signer::Anonymous {
        // An unsigned caller has no ARN; a statement for it would let in everybody.
        return Vec::new();
    }
    let of = |suspect: Suspect| match suspect {
        Suspect::EndpointPolicy => names.endpoint_statement(),
        Suspect::ResourcePolicy => names.resource_statement(),
        Suspect::IdentityPolicy => names.identity_statement(),
        Suspect::SessionPolicy => Some(names.session_statement()),
        Suspect::PermissionsBoundary => names.boundary_statement(),
        _ => None,
    };
    match reason {
        Reason::VpcEndpointPolicy => of(Suspect::EndpointPolicy).into_iter().collect(),
        Reason::ResourcePolicy => of(Suspect::ResourcePolicy).into_iter().collect(),
        Reason::IdentityPolicy => of(Suspect::IdentityPolicy).into_iter().collect(),
        Reason::SessionPolicy => of(Suspect::SessionPolicy).into_iter().collect(),
        Reason::PermissionsBoundary => of(Suspect::PermissionsBoundary).into_iter().collect(),
        Reason::ResourceOrIdentityPolicy if suspects.is_empty() => {
            [Suspect::ResourcePolicy, Suspect::IdentityPolicy].into_iter().filter_map(of).collect()
        }
        Reason::UnattributedPolicy | Reason::ResourceOrIdentityPolicy => {
            suspects.iter().copied().filter_map(of).collect()
        }
        _ => Vec::new(),
    }
}

fn deny_in_the_way(reason: Reason, names: &Names) -> String {
    let place = match reason {
        Reason::ResourcePolicy => format!(
            " Look for StringNotEquals on aws:SourceVpce or ArnNotEquals on aws:PrincipalArn, and add endpoint {} and \
             the role to what it spares.",
            names.endpoint()
        ),
        Reason::VpcEndpointPolicy => {
            " Look for a Deny in the policy of the endpoint that this role should be spared by.".to_owned()
        }
        _ => String::new(),
    };
    format!(
        "A Deny statement matches, and no Allow overrides it: it is to be narrowed where it stands.{place}"
    )
}

fn what_to_do(reason: Reason, names: Option<&Names>, has_statement: bool) -> Vec<String> {
    let steps =
        entry(reason).steps.iter().filter(|step| has_statement || !step.text.contains("statement below"));
    steps
        .map(|step| {
            let text = match step.command {
                Some(command) => format!("{}\n$ {command}", step.text),
                None => step.text.to_owned(),
            };
            names.map_or_else(|| text.clone(), |names| names.fill(&text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(text: &str) -> Verdict {
        let configuration = "
hub: {region: eu-west-1, role_arn: arn:aws:iam::111122223333:role/hub, endpoint: {id: vpce-0123456789abcdef0}}
spokes:
  - name: one
    account: '012345678901'
    apis: [{name: api, id: a1b2c3d4e5, stage: api, probes: [{name: hello, request: GET /}]}]
";
        let plan = crate::sources::load_plan_text("test", configuration, &|_| None).unwrap().plan;
        let names = Names::new(&plan, &plan.targets[0], None);
        let text = format!("User: x is not authorized to perform: sts:AssumeRole on resource: y {text}");
        let refusal = crate::explain::assume_role(Some("AccessDenied"), &text, false);
        let refused = Refused { reason: Reason::AssumeRoleDenied, refusal, evidence: vec![text] };
        without_session(Step::AssumeRole, &refused, Some(&names))
    }

    #[test]
    fn a_statement_goes_where_the_layer_that_refused_reads_it_and_none_against_a_deny() {
        for (text, candidates, places) in [
            ("because no identity-based policy allows the action", &[][..], &["to a policy of"][..]),
            (
                "because no permissions boundary allows the action",
                &[],
                &["to the policy that is the permissions boundary of arn:aws:iam::111122223333:role/hub"],
            ),
            ("because no role trust policy allows the action", &[], &["to the trust policy of"]),
            (
                "because no resource-based policy allows the action",
                &["trust_policy", "hub_identity_policy"],
                &["to the trust policy of", "to a policy of"],
            ),
            ("with an explicit deny in an identity-based policy", &[], &[]),
            ("with an explicit deny in a permissions boundary", &[], &[]),
        ] {
            let verdict = without(text);
            assert_eq!(verdict.candidates, candidates, "{text}");
            let statements = &verdict.change.statements;
            assert_eq!(statements.len(), places.len(), "{text}");
            for (statement, place) in statements.iter().zip(places) {
                assert!(statement.goes_into.contains(place), "{text}: {}", statement.goes_into);
            }
            assert!(!verdict.change.text.is_empty());
        }
    }
}
