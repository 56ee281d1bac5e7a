//! What probes and guards make of answers: what is expected, and what is evidence about a door.

use super::*;
use crate::domain::expectation::ExpectedRefusal;
use crate::domain::observation::Door;
use serde_json::json;

const GATEWAY_DENIAL: &str = r#"{"Message":"User: anonymous is not authorized to perform: execute-api:Invoke on resource: x because no VPC endpoint policy allows the execute-api:Invoke action"}"#;

fn ok(body: &str) -> Response {
    by_gateway(200, None, body)
}

#[test]
fn a_probe_asks_for_status_then_headers_then_body_then_time() {
    let any = Expectation::default;
    let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
    let request_id = ("x-amzn-requestid".to_owned(), IDS[0].1.to_owned());
    let (missing, other) =
        (("x-a".to_owned(), "1".to_owned()), ("x-amzn-requestid".to_owned(), "1".to_owned()));
    let status = |status| Expectation { status: vec![status], ..any() };
    let hello = json!({"hello": "world"});
    for (row, (expectation, answer, reason, expected)) in [
        (any(), ok(""), Reason::None, true),
        (any(), by_gateway(204, None, ""), Reason::None, true),
        (any(), by_gateway(301, None, ""), Reason::UnexpectedStatus, false),
        (any(), by_gateway(404, None, ""), Reason::BackendStatus, false),
        (status(201), ok(""), Reason::UnexpectedStatus, false),
        (status(404), by_gateway(404, None, ""), Reason::None, true),
        (status(404), by_gateway(500, None, ""), Reason::BackendStatus, false),
        (status(429), by_gateway(429, None, ""), Reason::None, true),
        // The gateway's own refusal keeps its reason, also when its status was asked for.
        (status(403), by_gateway(403, Some("ForbiddenException"), ""), Reason::Forbidden, true),
        (any(), by_gateway(403, Some("ForbiddenException"), ""), Reason::Forbidden, false),
        (any(), by_gateway(200, Some("ForbiddenException"), ""), Reason::Forbidden, false),
        (
            Expectation { body: Some("no".into()), ..status(403) },
            by_gateway(403, Some("ForbiddenException"), "yes"),
            Reason::Forbidden,
            false,
        ),
        (status(200), response(200, &[], b""), Reason::NotApiGateway, false),
        (Expectation { headers: vec![request_id], ..any() }, ok(""), Reason::None, true),
        (Expectation { headers: vec![missing.clone()], ..any() }, ok(""), Reason::UnexpectedHeader, false),
        (Expectation { headers: vec![other], ..any() }, ok(""), Reason::UnexpectedHeader, false),
        (
            Expectation { json: Some(hello.clone()), ..any() },
            ok(r#"{"hello":"world","at":1}"#),
            Reason::None,
            true,
        ),
        (
            Expectation { json: Some(hello.clone()), ..any() },
            ok(r#"{"hello":"you"}"#),
            Reason::UnexpectedBody,
            false,
        ),
        (Expectation { json: Some(hello.clone()), ..any() }, ok("hello"), Reason::UnexpectedBody, false),
        (Expectation { body: Some("llo".into()), ..any() }, ok("hello"), Reason::None, true),
        (Expectation { body: Some("x".into()), ..any() }, ok("hello"), Reason::UnexpectedBody, false),
        // The answer was there one second after it was due.
        (Expectation { within: seconds(1.0), ..any() }, ok(""), Reason::None, true),
        (Expectation { within: seconds(0.9), ..any() }, ok(""), Reason::TooSlow, false),
        (
            Expectation { headers: vec![missing], json: Some(hello), within: seconds(0.1), ..status(200) },
            ok(""),
            Reason::UnexpectedHeader,
            false,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let target = target(expectation, false);
        let verdict = classify(&exchange(Ok(answer)), &context(&target)).verdict;
        assert_eq!((verdict.reason, verdict.expected), (reason, expected), "row {row}");
        assert_eq!((verdict.door, verdict.unconfirmed), (None, false), "row {row}");
    }
}

#[test]
fn a_body_past_the_read_limit_is_judged_by_what_was_read() {
    let target = target(Expectation { body: Some("hello".into()), ..Expectation::default() }, false);
    let cut = Response { truncated: true, ..ok("hello wor") };
    let found = classify(&exchange(Ok(cut)), &context(&target));
    assert!(found.truncated && found.verdict.expected);
}

fn guard(refusal: ExpectedRefusal) -> Expectation {
    Expectation { refusal: Some(refusal), ..Expectation::default() }
}

/// An answer that the classifier reads as the given reason.
fn refusing(reason: Reason) -> Response {
    let denied = |tail: &str| {
        let text = format!(
            "User: arn:aws:sts::222233334444:assumed-role/a/b is not authorized to perform: x on resource: y{tail}"
        );
        by_gateway(403, Some("AccessDeniedException"), &json!({ "Message": text }).to_string())
    };
    let typed = |status, error_type| by_gateway(status, Some(error_type), "{}");
    let answer = match reason {
        Reason::VpcEndpointPolicy => denied(" because no VPC endpoint policy allows the x action"),
        Reason::ResourcePolicy => denied(" with an explicit deny in a resource-based policy"),
        Reason::ResourceOrIdentityPolicy => denied(" because no resource-based policy allows the x action"),
        Reason::IdentityPolicy => denied(" because no identity-based policy allows the x action"),
        Reason::UnattributedPolicy => denied(""),
        Reason::Unauthorized => typed(401, "UnauthorizedException"),
        Reason::Forbidden => typed(403, "ForbiddenException"),
        Reason::MissingAuthenticationToken => typed(403, "MissingAuthenticationTokenException"),
        Reason::SignatureMismatch => typed(403, "InvalidSignatureException"),
        Reason::TokenExpired => typed(403, "ExpiredTokenException"),
        Reason::Rate => typed(429, "TooManyRequestsException"),
        Reason::IntegrationError => typed(500, "InternalServerErrorException"),
        Reason::BackendStatus => by_gateway(403, None, "{}"),
        Reason::NotApiGateway => response(403, &[], b""),
        other => panic!("no answer for {other}"),
    };
    assert_eq!(classified(answer.clone()).verdict.reason, reason);
    answer
}

const CLOSED: Option<Door> = Some(Door::Closed);

#[test]
fn denied_true_is_met_by_policy_reasons_only() {
    for (reason, expected, door) in [
        (Reason::VpcEndpointPolicy, true, CLOSED),
        (Reason::ResourcePolicy, true, CLOSED),
        (Reason::ResourceOrIdentityPolicy, true, CLOSED),
        (Reason::IdentityPolicy, true, CLOSED),
        (Reason::UnattributedPolicy, true, CLOSED),
        (Reason::Unauthorized, true, CLOSED),
        (Reason::Forbidden, false, None),
        (Reason::MissingAuthenticationToken, false, None),
        (Reason::SignatureMismatch, false, None),
        (Reason::TokenExpired, false, None),
        (Reason::Rate, false, None),
        (Reason::IntegrationError, false, None),
        (Reason::BackendStatus, false, None),
        (Reason::NotApiGateway, false, None),
    ] {
        let target = target(guard(ExpectedRefusal::AnyPolicy), false);
        let verdict = classify(&exchange(Ok(refusing(reason))), &context(&target)).verdict;
        let found = (verdict.reason, verdict.expected, verdict.door, verdict.unconfirmed);
        assert_eq!(found, (reason, expected, door, false));
    }
}

#[test]
fn a_missing_token_closes_the_door_for_an_anonymous_guard_beside_a_working_signed_probe() {
    for (anonymous, positive_control_ok, met) in
        [(true, true, true), (true, false, false), (false, true, false)]
    {
        let target = target(guard(ExpectedRefusal::AnyPolicy), anonymous);
        let context = Context { positive_control_ok, ..context(&target) };
        let answer = exchange(Ok(refusing(Reason::MissingAuthenticationToken)));
        let verdict = classify(&answer, &context).verdict;
        assert_eq!((verdict.expected, verdict.door.is_some()), (met, met));
    }
}

#[test]
fn denied_by_is_met_by_the_named_reasons_and_unconfirmed_by_vague_ones() {
    use Reason::{
        Forbidden, IdentityPolicy, MissingAuthenticationToken, ResourceOrIdentityPolicy, ResourcePolicy,
        SignatureMismatch, TokenExpired, UnattributedPolicy, VpcEndpointPolicy,
    };
    for (named, reason, expected, unconfirmed, door) in [
        (vec![VpcEndpointPolicy], VpcEndpointPolicy, true, false, CLOSED),
        (vec![ResourcePolicy, VpcEndpointPolicy], VpcEndpointPolicy, true, false, CLOSED),
        (vec![VpcEndpointPolicy], UnattributedPolicy, true, true, CLOSED),
        (vec![ResourcePolicy], ResourceOrIdentityPolicy, true, true, CLOSED),
        (vec![UnattributedPolicy], UnattributedPolicy, true, false, CLOSED),
        (vec![VpcEndpointPolicy], ResourceOrIdentityPolicy, false, false, CLOSED),
        (vec![VpcEndpointPolicy], IdentityPolicy, false, false, CLOSED),
        (vec![Reason::LambdaAuthorizer], UnattributedPolicy, false, false, CLOSED),
        (vec![Forbidden], Forbidden, true, false, CLOSED),
        (vec![Forbidden], UnattributedPolicy, false, false, CLOSED),
        (vec![VpcEndpointPolicy], Forbidden, false, false, None),
        (vec![MissingAuthenticationToken], MissingAuthenticationToken, true, false, CLOSED),
        (vec![VpcEndpointPolicy], MissingAuthenticationToken, false, false, None),
        (vec![VpcEndpointPolicy], SignatureMismatch, false, false, None),
        (vec![SignatureMismatch], SignatureMismatch, false, false, None),
        (vec![TokenExpired], TokenExpired, false, false, None),
        (vec![VpcEndpointPolicy], Reason::Rate, false, false, None),
        (vec![VpcEndpointPolicy], Reason::BackendStatus, false, false, None),
    ] {
        let label = format!("{named:?} {reason}");
        let target = target(guard(ExpectedRefusal::By(named)), false);
        let verdict = classify(&exchange(Ok(refusing(reason))), &context(&target)).verdict;
        assert_eq!(verdict.reason, reason, "{label}");
        let found = (verdict.expected, verdict.unconfirmed, verdict.door);
        assert_eq!(found, (expected, unconfirmed, door), "{label}");
    }
}

#[test]
fn a_guard_that_is_let_in_finds_the_door_open() {
    for anonymous in [true, false] {
        for refusal in [ExpectedRefusal::AnyPolicy, ExpectedRefusal::By(vec![Reason::VpcEndpointPolicy])] {
            let target = target(guard(refusal), anonymous);
            let found = classify(&exchange(Ok(ok("{}"))), &context(&target));
            let verdict = found.verdict;
            let facts = (verdict.reason, verdict.expected, verdict.door);
            assert_eq!(facts, (Reason::None, false, Some(Door::Open)));
            assert!(found.body.is_some());
        }
    }
}

#[test]
fn a_guard_may_ask_for_more_than_the_refusal() {
    let met = guard(ExpectedRefusal::AnyPolicy);
    let slow = Expectation { within: Some(Duration::from_millis(900)), ..met.clone() };
    for (expectation, expected) in [
        (met.clone(), true),
        (slow, false),
        (Expectation { status: vec![403], ..met.clone() }, true),
        (Expectation { status: vec![401], ..met }, false),
    ] {
        let target = target(expectation, true);
        let answer = by_gateway(403, Some("AccessDeniedException"), GATEWAY_DENIAL);
        let verdict = classify(&exchange(Ok(answer)), &context(&target)).verdict;
        let found = (verdict.reason, verdict.expected, verdict.door);
        assert_eq!(found, (Reason::VpcEndpointPolicy, expected, CLOSED));
    }
}

#[test]
fn what_was_never_sent_or_never_answered_is_no_evidence() {
    let target = target(guard(ExpectedRefusal::AnyPolicy), false);
    let failure = TransportFailure { kind: FailureKind::Reset, detail: String::new() };
    let lost = classify(&exchange(Err(failure)), &context(&target)).verdict;
    let refused = unsent(Reason::AssumeRoleDenied, Some("not\nyou".into()), &target);
    for verdict in [&lost, &refused] {
        assert_eq!((verdict.expected, verdict.door), (false, None));
    }
    assert_eq!((refused.message.as_deref(), lost.message), (Some("not you"), None));
}
