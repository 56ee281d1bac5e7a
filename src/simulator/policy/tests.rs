//! Stories of callers and policies: who is let in, and which layer is named when they are not.

use super::*;

const API: &str = "arn:aws:execute-api:eu-west-1:222233334444:a1b2c3d4e5/api/GET/";
const ROLE: &str = "arn:aws:iam::222233334444:role/team/probe";
const SESSION: &str = "arn:aws:sts::222233334444:assumed-role/probe/spokeprobe";
const ALLOW_INVOKE: &str = r#"{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}"#;
const DENY_INVOKE: &str = r#"{"Effect":"Deny","Action":"execute-api:Invoke","Resource":"*"}"#;
const ALLOW_OTHER: &str = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#;

fn policy(statements: &str) -> Policy {
    Policy::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)).unwrap()
}

/// A statement of a resource policy, from the text of its principal and its condition.
fn about(effect: &str, principal: &str, condition: &str) -> Policy {
    policy(&format!(
        r#"{{"Effect":"{effect}","Principal":{principal},"Action":"execute-api:Invoke","Resource":"execute-api:/*","Condition":{condition}}}"#
    ))
}

fn probe() -> CallerSession {
    CallerSession {
        account: "222233334444".parse().unwrap(),
        role_arn: ROLE.into(),
        session_arn: SESSION.into(),
        organization: Some("o-a1b2c3d4e5".into()),
        tags: BTreeMap::from([("team".to_owned(), "payments".to_owned())]),
    }
}

fn invoke() -> Request<'static> {
    Request {
        action: "execute-api:Invoke",
        resource: API,
        context: BTreeMap::from([
            ("aws:SourceVpce".to_owned(), vec!["vpce-0123456789abcdef0".to_owned()]),
            ("aws:VpcSourceIp".to_owned(), vec!["10.0.1.17".to_owned()]),
        ]),
    }
}

const fn denied(layer: Layer, explicit: bool) -> Decision {
    Decision::Denied { layer, explicit }
}

#[test]
fn the_endpoint_lets_in_whom_its_policy_names() {
    let organization = r#"{"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}}"#;
    let member = probe();
    let stranger = CallerSession { organization: None, ..probe() };
    let closed = denied(Layer::VpcEndpoint, false);
    for (principal, condition, caller, wanted) in [
        (r#""*""#, organization, Caller::Session(&member), Decision::Allowed),
        (r#""*""#, organization, Caller::Session(&stranger), closed),
        (r#""*""#, organization, Caller::Anonymous, closed),
        (r#""*""#, "{}", Caller::Anonymous, Decision::Allowed),
        (r#"{"AWS":"*"}"#, "{}", Caller::Anonymous, Decision::Allowed),
        (r#"{"AWS":"222233334444"}"#, "{}", Caller::Session(&member), Decision::Allowed),
        (r#"{"AWS":"arn:aws:iam::222233334444:root"}"#, "{}", Caller::Session(&member), Decision::Allowed),
        (r#"{"AWS":"222233334444"}"#, "{}", Caller::Anonymous, closed),
        (r#"{"AWS":"333344445555"}"#, "{}", Caller::Session(&member), closed),
        (
            r#""*""#,
            r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/team/pro*"}}"#,
            Caller::Session(&member),
            Decision::Allowed,
        ),
        (
            r#""*""#,
            r#"{"StringEquals":{"aws:PrincipalAccount":"anonymous"}}"#,
            Caller::Anonymous,
            Decision::Allowed,
        ),
        (
            r#""*""#,
            r#"{"StringEquals":{"aws:PrincipalTag/team":"payments","aws:PrincipalType":"AssumedRole"}}"#,
            Caller::Session(&member),
            Decision::Allowed,
        ),
    ] {
        let decision = through_endpoint(Some(&about("Allow", principal, condition)), caller, &invoke());
        assert_eq!(decision, wanted, "{principal} {condition} {caller:?}");
    }
    assert_eq!(through_endpoint(None, Caller::Anonymous, &invoke()), Decision::Allowed);
    let deny = about("Deny", r#""*""#, r#"{"StringNotEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}}"#);
    assert_eq!(through_endpoint(Some(&deny), Caller::Anonymous, &invoke()), denied(Layer::VpcEndpoint, true));
}

#[test]
fn a_request_cannot_bring_the_keys_of_its_principal_along() {
    let mut request = invoke();
    request.context.insert("AWS:principalorgid".into(), vec!["o-a1b2c3d4e5".into()]);
    let policy = about("Allow", r#""*""#, r#"{"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}}"#);
    assert_eq!(
        through_endpoint(Some(&policy), Caller::Anonymous, &request),
        denied(Layer::VpcEndpoint, false)
    );
}

#[test]
fn a_method_without_authorization_sees_nobody() {
    let caller = probe();
    let signed = Caller::Session(&caller);
    let vpce = r#"{"StringEquals":{"aws:SourceVpce":"vpce-0123456789abcdef0"}}"#;
    let role = format!(r#"{{"AWS":"{ROLE}"}}"#);
    for (policy, wanted) in [
        (None, denied(Layer::Resource, false)),
        (Some(about("Allow", r#""*""#, vpce)), Decision::Allowed),
        (Some(about("Allow", &role, "{}")), denied(Layer::Resource, false)),
        (
            Some(about("Allow", r#""*""#, r#"{"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}}"#)),
            denied(Layer::Resource, false),
        ),
        (
            Some(about("Deny", r#""*""#, r#"{"StringNotEquals":{"aws:SourceVpce":"vpce-other"}}"#)),
            denied(Layer::Resource, true),
        ),
    ] {
        for caller in [signed, Caller::Anonymous] {
            assert_eq!(
                invoke_without_authorization(policy.as_ref(), caller, &invoke()),
                wanted,
                "{policy:?}"
            );
        }
    }
}

/// Row by row: identity policy, resource policy, whether caller and API share an account, the decision.
#[test]
fn identity_and_resource_policies_decide_together() {
    let none: Option<&str> = None;
    let role = format!(r#"{{"AWS":"{ROLE}"}}"#);
    let session = format!(r#"{{"AWS":"{SESSION}"}}"#);
    let account = r#"{"AWS":"222233334444"}"#;
    let same = true;
    let across = false;
    let allowed = Decision::Allowed;
    let identity = |explicit| denied(Layer::Identity, explicit);
    let resource = |explicit| denied(Layer::Resource, explicit);
    for (row, (own, far, same_account, wanted)) in [
        // Within one account either suffices; the account as principal only delegates.
        (Some(ALLOW_INVOKE), none, same, allowed),
        (None, Some(role.as_str()), same, allowed),
        (None, Some(session.as_str()), same, allowed),
        (None, Some(r#""*""#), same, allowed),
        (None, Some(account), same, identity(false)),
        (Some(ALLOW_INVOKE), Some(account), same, allowed),
        (None, none, same, identity(false)),
        (Some(DENY_INVOKE), Some(session.as_str()), same, identity(true)),
        // Across accounts both must allow; these are the six rows of the measured table.
        (None, Some(account), across, resource(false)),
        (None, Some(role.as_str()), across, identity(false)),
        (Some(ALLOW_INVOKE), none, across, resource(false)),
        (None, none, across, resource(false)),
        (Some(DENY_INVOKE), Some(role.as_str()), across, identity(true)),
        (Some(ALLOW_INVOKE), Some(role.as_str()), across, allowed),
        (Some(ALLOW_INVOKE), Some(account), across, allowed),
        (None, Some(r#""*""#), across, resource(false)),
        (None, Some(session.as_str()), across, identity(false)),
    ]
    .into_iter()
    .enumerate()
    {
        let own: Vec<Policy> = own.map(policy).into_iter().collect();
        let far = far.map(|principal| about("Allow", principal, "{}"));
        let policies = CallerPolicies { identity: &own, ..CallerPolicies::default() };
        let decision = invoke_with_iam(&probe(), policies, far.as_ref(), same_account, &invoke());
        assert_eq!(decision, wanted, "row {row}");
    }
    for (own, wanted) in [(ALLOW_INVOKE, resource(true)), (DENY_INVOKE, identity(true))] {
        let own = [policy(own)];
        let policies = CallerPolicies { identity: &own, ..CallerPolicies::default() };
        let far = about("Deny", account, "{}");
        for same_account in [true, false] {
            assert_eq!(invoke_with_iam(&probe(), policies, Some(&far), same_account, &invoke()), wanted);
        }
    }
}

#[test]
fn boundary_session_and_organisation_limit_the_role() {
    let identity = [policy(ALLOW_INVOKE)];
    let (silent, deny) = (policy(ALLOW_OTHER), policy(DENY_INVOKE));
    let base = CallerPolicies { identity: &identity, ..CallerPolicies::default() };
    for (limit, explicit) in [(&silent, false), (&deny, true)] {
        for (policies, layer) in [
            (CallerPolicies { boundary: Some(limit), ..base }, Layer::PermissionsBoundary),
            (CallerPolicies { session: Some(limit), ..base }, Layer::Session),
            (CallerPolicies { service_control: std::slice::from_ref(limit), ..base }, Layer::ServiceControl),
        ] {
            assert_eq!(
                invoke_with_iam(&probe(), policies, None, true, &invoke()),
                denied(layer, explicit),
                "{layer:?}"
            );
        }
    }
    let levels = [policy(ALLOW_OTHER), policy(ALLOW_INVOKE)];
    let policies = CallerPolicies { service_control: &levels, boundary: Some(&identity[0]), ..base };
    assert_eq!(invoke_with_iam(&probe(), policies, None, true, &invoke()), Decision::Allowed);
}

#[test]
fn a_grant_to_the_session_or_to_everyone_passes_implicit_denies_and_a_grant_to_the_role_does_not() {
    let silent = policy(ALLOW_OTHER);
    let deny = policy(DENY_INVOKE);
    let role = about("Allow", &format!(r#"{{"AWS":"{ROLE}"}}"#), "{}");
    let session = about("Allow", &format!(r#"{{"AWS":"{SESSION}"}}"#), "{}");
    let by_condition =
        about("Allow", r#""*""#, &format!(r#"{{"ArnEquals":{{"aws:PrincipalArn":"{ROLE}"}}}}"#));
    let narrowed = CallerPolicies { session: Some(&silent), ..CallerPolicies::default() };
    let bounded = CallerPolicies { boundary: Some(&silent), ..CallerPolicies::default() };
    let forbidden = CallerPolicies { session: Some(&deny), ..CallerPolicies::default() };
    let ask = |policies, far: &Policy| invoke_with_iam(&probe(), policies, Some(far), true, &invoke());

    assert_eq!(ask(narrowed, &role), denied(Layer::Session, false));
    assert_eq!(ask(bounded, &role), denied(Layer::PermissionsBoundary, false));
    for far in [&session, &by_condition] {
        assert_eq!(ask(narrowed, far), Decision::Allowed);
        assert_eq!(ask(bounded, far), Decision::Allowed);
        assert_eq!(ask(forbidden, far), denied(Layer::Session, true));
    }
}

#[test]
fn a_recreated_or_foreign_role_is_not_the_named_one() {
    for principal in [
        r#"{"AWS":"AROAEXAMPLEEXAMPLE"}"#,
        r#"{"AWS":"arn:aws:iam::222233334444:role/probe"}"#,
        r#"{"AWS":"arn:aws:sts::222233334444:assumed-role/probe/somebody"}"#,
        r#"{"Service":"apigateway.amazonaws.com"}"#,
    ] {
        let far = about("Allow", principal, "{}");
        assert_eq!(
            invoke_with_iam(&probe(), CallerPolicies::default(), Some(&far), false, &invoke()),
            denied(Layer::Resource, false),
            "{principal}"
        );
    }
}

#[test]
fn not_principal_spares_only_who_is_listed_in_full() {
    let text = |list: &str| {
        policy(&format!(
            r#"{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}},
               {{"Effect":"Deny","NotPrincipal":{{"AWS":[{list}]}},"Action":"*","Resource":"*"}}"#
        ))
    };
    let account = r#""arn:aws:iam::222233334444:root""#;
    let full = text(&format!(r#"{account},"{ROLE}","{SESSION}""#));
    let caller = probe();
    let ask = |policy: &Policy, caller| through_endpoint(Some(policy), caller, &invoke());
    assert_eq!(ask(&full, Caller::Session(&caller)), Decision::Allowed);
    assert_eq!(ask(&full, Caller::Anonymous), denied(Layer::VpcEndpoint, true));
    let partial = text(&format!(r#"{account},"{ROLE}""#));
    assert_eq!(ask(&partial, Caller::Session(&caller)), denied(Layer::VpcEndpoint, true));
}

#[test]
fn not_principal_spares_nobody_who_has_a_boundary() {
    let all = format!(r#""arn:aws:iam::222233334444:root","{ROLE}","{SESSION}","*""#);
    let far = policy(&format!(
        r#"{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}},
           {{"Effect":"Deny","NotPrincipal":{{"AWS":[{all}]}},"Action":"*","Resource":"*"}}"#
    ));
    let caller = probe();
    let boundary = policy(ALLOW_INVOKE);
    let bounded = CallerPolicies { boundary: Some(&boundary), ..CallerPolicies::default() };
    for (policies, wanted) in
        [(CallerPolicies::default(), Decision::Allowed), (bounded, denied(Layer::Resource, true))]
    {
        assert_eq!(invoke_with_iam(&caller, policies, Some(&far), true, &invoke()), wanted);
    }
    let ask = |caller| through_endpoint(Some(&far), caller, &invoke());
    assert_eq!(ask(Caller::Session(&caller)), Decision::Allowed);
    assert_eq!(ask(Caller::Bounded(&caller)), denied(Layer::VpcEndpoint, true));
}

#[test]
fn an_incomplete_resource_is_completed_only_on_the_callers_side() {
    let incomplete = r#"{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api"}"#;
    let far = policy(&incomplete.replace(r#""Action""#, r#""Principal":"*","Action""#));
    let own = [policy(incomplete)];
    let policies = CallerPolicies { identity: &own, ..CallerPolicies::default() };
    assert_eq!(invoke_with_iam(&probe(), policies, None, true, &invoke()), Decision::Allowed);
    assert_eq!(
        invoke_with_iam(&probe(), policies, Some(&far), false, &invoke()),
        denied(Layer::Resource, false)
    );
    let caller = probe();
    assert_eq!(
        through_endpoint(Some(&far), Caller::Session(&caller), &invoke()),
        denied(Layer::VpcEndpoint, false)
    );
}

#[test]
fn not_action_and_not_resource_are_everything_else() {
    let rest = policy(
        r#"{"Effect":"Allow","Principal":"*","NotAction":"execute-api:ManageConnections","NotResource":"execute-api:/api/DELETE/*"}"#,
    );
    let ask = |action, resource| {
        through_endpoint(Some(&rest), Caller::Anonymous, &Request { action, resource, ..invoke() })
    };
    let closed = denied(Layer::VpcEndpoint, false);
    assert_eq!(ask("execute-api:Invoke", API), Decision::Allowed);
    assert_eq!(ask("execute-api:ManageConnections", API), closed);
    assert_eq!(
        ask("execute-api:Invoke", "arn:aws:execute-api:eu-west-1:222233334444:a1b2c3d4e5/api/DELETE/x"),
        closed
    );
}

/// Whether the role may be assumed, by the trust policy's principal and the hub role's own policies.
#[test]
fn a_role_is_assumed_when_it_trusts_and_the_caller_may() {
    let hub = CallerSession {
        account: "111122223333".parse().unwrap(),
        role_arn: "arn:aws:iam::111122223333:role/hub".into(),
        session_arn: "arn:aws:sts::111122223333:assumed-role/hub/task".into(),
        organization: None,
        tags: BTreeMap::new(),
    };
    let mut request = Request {
        action: "sts:AssumeRole",
        resource: ROLE,
        context: BTreeMap::from([("sts:ExternalId".to_owned(), vec!["spokeprobe-payments".to_owned()])]),
    };
    let trust = |principal: &str| {
        policy(&format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":"{principal}"}},"Action":"sts:AssumeRole",
                "Condition":{{"StringEquals":{{"sts:ExternalId":"spokeprobe-payments"}}}}}}"#
        ))
    };
    let may =
        [policy(r#"{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::*:role/team/*"}"#)];
    let with = CallerPolicies { identity: &may, ..CallerPolicies::default() };
    let without = CallerPolicies::default();
    let (role, root, other) =
        (trust("arn:aws:iam::111122223333:role/hub"), trust("111122223333"), trust("333344445555"));
    let identity = denied(Layer::Identity, false);
    let untrusted = denied(Layer::Trust, false);
    for (row, (trust, policies, same_account, wanted)) in [
        (&role, with, false, Decision::Allowed),
        (&root, with, false, Decision::Allowed),
        (&other, with, false, untrusted),
        (&role, without, false, identity),
        (&root, without, false, identity),
        (&role, without, true, Decision::Allowed),
        (&root, without, true, identity),
        (&root, with, true, Decision::Allowed),
        (&other, with, true, untrusted),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(assume_role(trust, &hub, policies, same_account, &request), wanted, "row {row}");
    }
    request.context.clear();
    assert_eq!(assume_role(&role, &hub, with, false, &request), untrusted, "external id missing");
    let deny = policy(r#"{"Effect":"Deny","Principal":"*","Action":"sts:*"}"#);
    assert_eq!(assume_role(&deny, &hub, with, false, &request), denied(Layer::Trust, true));
}
