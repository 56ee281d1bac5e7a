//! A row per rule, and what must hold for every evidence whatever.

use super::*;
use proptest::prelude::*;

const IMPLICIT: Option<bool> = Some(false);
const EXPLICIT: Option<bool> = Some(true);

const fn subject(reason: Reason, signed: bool, explicit: Option<bool>) -> Subject {
    Subject { reason, signed, explicit, session_policy: false }
}

const fn twin(twin: Twin, reason: Reason) -> TwinAnswer {
    TwinAnswer { twin, reason, explicit: None }
}

fn found(subject: Subject, twins: &[TwinAnswer], controls: Controls) -> Finding {
    narrow(&Evidence { subject, twins: twins.to_vec(), controls })
}

#[test]
fn each_row_strikes_out_what_it_says() {
    use Reason as R;
    let none = Controls::default();
    let same_route = Controls { same_route: true, ..none };
    let same_api = Controls { same_api: true, ..none };
    let old = R::UnattributedPolicy;
    let either = R::ResourceOrIdentityPolicy;
    let missing = R::MissingAuthenticationToken;
    let by_resource = |explicit| TwinAnswer { explicit, ..twin(Twin::Anonymous, R::ResourcePolicy) };
    let anonymous = |reason| twin(Twin::Anonymous, reason);
    let rows: &[(&str, Subject, &[TwinAnswer], Controls, Reason)] = &[
        ("nothing", subject(old, true, IMPLICIT), &[], none, old),
        ("S1", subject(old, true, IMPLICIT), &[anonymous(missing)], none, either),
        ("S2", subject(old, true, EXPLICIT), &[anonymous(missing)], none, old),
        ("S2", subject(old, true, None), &[anonymous(missing)], none, old),
        ("S3", subject(old, true, EXPLICIT), &[anonymous(R::None)], none, old),
        ("S4", subject(old, true, IMPLICIT), &[anonymous(R::None)], none, old),
        ("S6", subject(old, true, IMPLICIT), &[by_resource(IMPLICIT)], none, R::ResourcePolicy),
        ("S5", subject(old, true, EXPLICIT), &[by_resource(EXPLICIT)], none, old),
        ("S5", subject(either, true, IMPLICIT), &[by_resource(IMPLICIT)], none, R::ResourcePolicy),
        ("S7", subject(old, true, IMPLICIT), &[by_resource(EXPLICIT)], none, old),
        ("S7", subject(either, true, IMPLICIT), &[by_resource(EXPLICIT)], none, either),
        ("not said", subject(old, true, IMPLICIT), &[anonymous(R::VpcEndpointPolicy)], none, old),
        ("not said", subject(old, true, IMPLICIT), &[anonymous(old)], none, old),
        ("not said", subject(old, true, IMPLICIT), &[anonymous(R::BackendStatus)], none, old),
        ("not said", subject(old, true, IMPLICIT), &[anonymous(R::LambdaAuthorizer)], none, old),
        ("not said", subject(old, true, IMPLICIT), &[twin(Twin::Hub, R::None)], none, old),
        ("not said", subject(old, true, IMPLICIT), &[], same_api, old),
        ("not said", subject(either, true, IMPLICIT), &[anonymous(missing)], none, either),
        ("A1", subject(old, false, IMPLICIT), &[twin(Twin::Spoke, R::None)], none, R::VpcEndpointPolicy),
        (
            "A1",
            subject(old, false, EXPLICIT),
            &[twin(Twin::Hub, R::IntegrationTimeout)],
            none,
            R::VpcEndpointPolicy,
        ),
        ("A1", subject(old, false, None), &[], same_route, R::VpcEndpointPolicy),
        (
            "A2",
            subject(old, false, IMPLICIT),
            &[twin(Twin::Spoke, R::IdentityPolicy)],
            none,
            R::VpcEndpointPolicy,
        ),
        ("not said", subject(old, false, IMPLICIT), &[twin(Twin::Spoke, R::ResourcePolicy)], none, old),
        ("not said", subject(old, false, IMPLICIT), &[twin(Twin::Spoke, R::ServiceControlPolicy)], none, old),
        ("not said", subject(old, false, IMPLICIT), &[twin(Twin::Spoke, R::BackendStatus)], none, old),
        ("M1", subject(missing, true, None), &[], same_api, R::NotFound),
        ("M1", subject(missing, true, None), &[twin(Twin::Path, R::None)], none, R::NotFound),
        ("M1+M2", subject(missing, true, None), &[twin(Twin::Path, R::None)], same_route, missing),
        ("stays", subject(missing, true, None), &[twin(Twin::Path, missing)], none, missing),
        ("M2", subject(missing, false, None), &[twin(Twin::Spoke, R::None)], none, missing),
        ("M3", subject(missing, false, None), &[twin(Twin::Spoke, missing)], same_api, R::NotFound),
        ("stays", subject(missing, false, None), &[twin(Twin::Spoke, missing)], none, missing),
        ("stays", subject(missing, false, None), &[], same_api, missing),
        (
            "M2+M3",
            subject(missing, false, None),
            &[twin(Twin::Spoke, missing)],
            Controls { same_route: true, same_api: true, same_signer: false },
            missing,
        ),
        (
            "specific",
            subject(R::IdentityPolicy, true, IMPLICIT),
            &[anonymous(R::None)],
            same_api,
            R::IdentityPolicy,
        ),
    ];
    for (row, subject, twins, controls, reason) in rows {
        let finding = found(*subject, twins, *controls);
        assert_eq!(finding.reason, *reason, "{row}: {subject:?} {twins:?} {controls:?} gave {finding:?}");
    }
}

#[test]
fn a_contradiction_is_said_and_every_cause_is_open_again() {
    let finding = found(
        subject(Reason::UnattributedPolicy, true, IMPLICIT),
        &[twin(Twin::Anonymous, Reason::None)],
        Controls::default(),
    );
    assert!(finding.because.contains(&Because::Conflict));
    assert_eq!(finding.suspects.first(), Some(&S::EndpointPolicy));
    assert!(!finding.suspects.contains(&S::SessionPolicy), "no session policy was sent");
}

#[test]
fn an_identity_that_passes_elsewhere_makes_the_endpoint_the_last_suspect() {
    let denied = subject(Reason::UnattributedPolicy, true, IMPLICIT);
    for controls in [
        Controls { same_signer: true, ..Controls::default() },
        Controls { same_api: true, ..Controls::default() },
    ] {
        let finding = found(denied, &[], controls);
        assert_eq!(finding.reason, Reason::UnattributedPolicy);
        assert_eq!(finding.suspects.last(), Some(&S::EndpointPolicy), "{controls:?}");
    }
    assert_eq!(found(denied, &[], Controls::default()).suspects.first(), Some(&S::EndpointPolicy));
}

#[test]
fn a_bare_forbidden_keeps_its_word_and_loses_suspects() {
    let none = Controls::default();
    let forbidden = subject(Reason::Forbidden, true, None);
    for (twins, controls, suspects) in [
        (&[][..], none, &[S::ApiKey, S::Waf, S::Stage, S::Addressing, S::PublicApi][..]),
        (&[twin(Twin::Addressing, Reason::None)][..], none, &[S::Addressing][..]),
        (
            &[twin(Twin::Addressing, Reason::Forbidden)][..],
            none,
            &[S::ApiKey, S::Waf, S::Stage, S::PublicApi][..],
        ),
        (&[][..], Controls { same_api: true, ..none }, &[S::ApiKey, S::Waf][..]),
        (&[twin(Twin::Anonymous, Reason::MissingAuthenticationToken)][..], none, &[S::ApiKey, S::Waf][..]),
        (
            &[twin(Twin::Anonymous, Reason::VpcEndpointPolicy)][..],
            none,
            &[S::ApiKey, S::Waf, S::Stage, S::Addressing, S::PublicApi][..],
        ),
    ] {
        let finding = found(forbidden, twins, controls);
        assert_eq!((finding.reason, finding.suspects.as_slice()), (Reason::Forbidden, suspects), "{twins:?}");
    }
}

fn any_reason() -> impl Strategy<Value = Reason> {
    proptest::sample::select(Reason::ALL)
}

fn any_twin() -> impl Strategy<Value = TwinAnswer> {
    (proptest::sample::select(&Twin::ALL[..]), any_reason(), any::<Option<bool>>())
        .prop_map(|(twin, reason, explicit)| TwinAnswer { twin, reason, explicit })
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    let subject = (any_reason(), any::<bool>(), any::<Option<bool>>(), any::<bool>()).prop_map(
        |(reason, signed, explicit, session_policy)| Subject { reason, signed, explicit, session_policy },
    );
    let controls = any::<[bool; 3]>().prop_map(|[same_route, same_api, same_signer]| Controls {
        same_route,
        same_api,
        same_signer,
    });
    (subject, proptest::collection::vec(any_twin(), 0..5), controls)
        .prop_map(|(subject, twins, controls)| Evidence { subject, twins, controls })
}

fn vague_evidence() -> impl Strategy<Value = Evidence> {
    let vague: Vec<Reason> = Reason::ALL.iter().copied().filter(|reason| is_vague(*reason)).collect();
    (any_evidence(), proptest::sample::select(vague)).prop_map(|(mut evidence, reason)| {
        evidence.subject.reason = reason;
        evidence
    })
}

proptest! {
    #[test]
    fn no_finding_leaves_its_set(evidence in prop_oneof![any_evidence(), vague_evidence()]) {
        let finding = narrow(&evidence);
        prop_assert!(may_become(evidence.subject.reason, finding.reason), "{:?}", finding);
        if !is_vague(evidence.subject.reason) {
            prop_assert!(finding.suspects.is_empty() && finding.because.is_empty());
        } else {
            prop_assert!(!finding.suspects.is_empty());
        }
    }

    #[test]
    fn more_evidence_narrows_or_conflicts(evidence in vague_evidence(), more in any_twin()) {
        let before = narrow(&evidence);
        let mut longer = evidence.clone();
        longer.twins.push(more);
        let after = narrow(&longer);
        if after.because.contains(&Because::Conflict) {
            prop_assert_eq!(after.reason, evidence.subject.reason);
        } else {
            prop_assert!(!before.because.contains(&Because::Conflict), "a conflict does not go away");
            prop_assert!(after.suspects.iter().all(|suspect| before.suspects.contains(suspect)));
            // From one specific reason never to another.
            let specific = |reason: Reason| !is_vague(reason);
            prop_assert!(!specific(before.reason) || before.reason == after.reason, "{:?} {:?}", before, after);
        }
    }

    #[test]
    fn the_order_of_the_twins_does_not_matter(evidence in vague_evidence()) {
        let mut turned = evidence.clone();
        turned.twins.reverse();
        prop_assert_eq!(narrow(&evidence).reason, narrow(&turned).reason);
    }
}
