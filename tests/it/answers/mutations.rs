//! Answers by chance: recorded ones with something broken, and headers thrown together.
//!
//! Whatever comes, there is a verdict; no text lends the gateway's authority to a stranger; nothing gets out.

use super::fixture::{Fixture, all, judged};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use spokeprobe::classify::narrowing::{
    Controls, Evidence, Finding, Subject, TwinAnswer, is_vague, may_become, narrow,
};
use spokeprobe::classify::{Classified, MESSAGE_CHARS_MAX};
use spokeprobe::domain::observation::Twin;
use spokeprobe::domain::outcome::{Outcome, Reason};
use spokeprobe::domain::request::Response;
use std::sync::LazyLock;

const TOKEN: &str = "IQoJb3JpZ2luX2VjEJv//////////wEaCWV1LXdlc3QtMSJHMEUCIQDx7vzK8planted+9token==";

static RECORDED: LazyLock<Vec<(Fixture, Response)>> = LazyLock::new(|| {
    all()
        .into_iter()
        .filter_map(|fixture| fixture.answer.clone().ok().map(|answer| (fixture, answer)))
        .collect()
});

/// Headers that mean something to the classifier, with values that do.
const HEADERS: &[(&str, &str)] = &[
    ("x-amzn-errortype", "AccessDeniedException"),
    ("x-amzn-errortype", "AccessDeniedException:http://internal.amazon.com/"),
    ("x-amzn-errortype", "ForbiddenException"),
    ("x-amzn-errortype", "InvalidSignatureException"),
    ("x-amzn-errortype", "InternalServerErrorException"),
    ("x-amzn-errortype", "accessdeniedexception"),
    ("x-amzn-errortype", ""),
    ("x-amzn-requestid", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"),
    ("x-amz-apigw-id", "AbCdEfGhIjKlMnO="),
    ("x-amzn-trace-id", "Root=1-2-3"),
    ("x-amzn-remapped-date", "Sat, 21 Nov 2026 19:25:00 GMT"),
    ("via", "1.1 x.cloudfront.net (CloudFront)"),
    ("via", "1.1 squid"),
    ("x-amz-cf-id", "x"),
    ("x-cache", "Miss from cloudfront"),
    ("server", "CloudFront"),
    ("date", "Sat, 21 Nov 2026 19:25:00 GMT"),
    ("date", "99999999999999999999"),
    ("content-encoding", "gzip"),
];

/// Pieces of AWS's texts, which a body may be made of or broken by.
const PIECES: &[&str] = &[
    "User: ",
    "anonymous",
    " is not authorized to perform: ",
    " because no ",
    " with an explicit deny in ",
    "a VPC endpoint policy",
    "identity-based policy",
    " allows the execute-api:Invoke action",
    ": arn:aws:iam::222233334444:policy/",
    "The Canonical String for this request should have been '",
    "x-amz-security-token:",
    "{\"Message\":\"",
    "\",\"message\":\"",
    "\\u0000",
    "\\ud800",
    "\"}",
];

/// One thing that is done to an answer.
#[derive(Debug, Clone)]
enum Change {
    Status(u16),
    Add(usize),
    Drop(Index),
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, &'static str),
    Repeat(Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        select(vec![200u16, 302, 400, 401, 403, 404, 413, 429, 500, 503, 99, 600]).prop_map(Change::Status),
        (0..HEADERS.len()).prop_map(Change::Add),
        any::<Index>().prop_map(Change::Drop),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Flip(at, byte)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), select(PIECES)).prop_map(|(at, piece)| Change::Insert(at, piece)),
        any::<Index>().prop_map(Change::Repeat),
    ]
}

fn changed(response: &Response, changes: &[Change]) -> Response {
    let mut response = response.clone();
    let mut body = response.body.to_vec();
    for change in changes {
        match change {
            Change::Status(status) => response.status = *status,
            Change::Add(at) => {
                let (name, value) = HEADERS[*at];
                response.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            Change::Drop(at) if !response.headers.is_empty() => {
                let names: Vec<HeaderName> = response.headers.keys().cloned().collect();
                response.headers.remove(at.get(&names));
            }
            Change::Flip(at, byte) if !body.is_empty() => {
                let at = at.index(body.len());
                body[at] ^= byte;
            }
            Change::Cut(at) => body.truncate(at.index(body.len() + 1)),
            Change::Insert(at, piece) => {
                let at = at.index(body.len() + 1);
                body.splice(at..at, piece.bytes());
            }
            Change::Repeat(at) => body.extend_from_within(at.index(body.len() + 1)..),
            Change::Drop(_) | Change::Flip(..) => {}
        }
    }
    response.body = body.into();
    response
}

/// A recorded answer after up to six changes.
fn broken() -> impl Strategy<Value = Response> {
    (any::<Index>(), proptest::collection::vec(change(), 0..6))
        .prop_map(|(at, changes)| changed(&at.get(RECORDED.as_slice()).1, &changes))
}

/// An answer of headers thrown together and a body of pieces.
fn thrown_together() -> impl Strategy<Value = Response> {
    (
        select(vec![200u16, 401, 403, 404, 429, 500, 504]),
        proptest::collection::vec(select(HEADERS), 0..8),
        proptest::collection::vec(select(PIECES), 0..12),
    )
        .prop_map(|(status, headers, pieces)| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            Response { status, headers: map, body: Bytes::from(pieces.concat()), truncated: false }
        })
}

fn any_answer() -> impl Strategy<Value = Response> {
    prop_oneof![3 => broken(), 1 => thrown_together()]
}

fn found(answer: Response) -> Classified {
    judged(Ok(answer), false, None)
}

fn has(answer: &Response, names: &[&str]) -> bool {
    answer.headers.keys().any(|name| names.iter().any(|prefix| name.as_str().starts_with(prefix)))
}

/// An answer that leaves several layers open, or anything else.
fn any_subject() -> impl Strategy<Value = Response> {
    let vague: Vec<Response> = RECORDED
        .iter()
        .filter(|(_, answer)| is_vague(found(answer.clone()).verdict.reason))
        .map(|(_, answer)| answer.clone())
        .collect();
    prop_oneof![3 => select(vague), 1 => any_answer()]
}

/// What follows for a refused call, signed or not, from the whole answers to its twins.
fn narrowed(subject: &Classified, signed: bool, twins: &[(Twin, Response)], controls: Controls) -> Finding {
    let answer = |(twin, answer): &(Twin, Response)| {
        let said = judged(Ok(answer.clone()), *twin == Twin::Anonymous, None);
        let explicit = said.wording.and_then(|wording| wording.explicit);
        TwinAnswer { twin: *twin, reason: said.verdict.reason, explicit }
    };
    narrow(&Evidence {
        subject: Subject {
            reason: subject.verdict.reason,
            signed,
            explicit: subject.wording.and_then(|wording| wording.explicit),
            session_policy: false,
        },
        twins: twins.iter().map(answer).collect(),
        controls,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_is_judged_within_bounds(answer in any_answer(), same_account: Option<bool>, anonymous: bool) {
        let status = answer.status;
        let found = judged(Ok(answer), anonymous, same_account);
        prop_assert_eq!(found.code.is_some(), (100..=599).contains(&status));
        let verdict = &found.verdict;
        prop_assert!(!verdict.expected || verdict.reason == Reason::None);
        if let Some(message) = &verdict.message {
            prop_assert!(message.chars().count() <= MESSAGE_CHARS_MAX);
            prop_assert!(!message.chars().any(char::is_control), "{:?}", message);
        }
        if let Some(arn) = &verdict.policy_arn {
            prop_assert!(verdict.reason.is_policy());
            prop_assert!(arn.starts_with("arn:") && arn.contains(":policy/") && arn.len() <= 516);
            prop_assert!(arn.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"'`{}\\".contains(&byte)), "{}", arn);
        }
    }

    #[test]
    fn only_an_error_type_of_the_gateway_blames_a_policy(answer in any_answer(), cut in 0u8..4) {
        let mut answer = answer;
        // Take one of the three things away that the gateway's own refusals have.
        match cut {
            0 => {
                answer.headers.remove("x-amzn-errortype");
            }
            1 => {
                answer.headers.remove("x-amzn-requestid");
                answer.headers.remove("x-amz-apigw-id");
            }
            2 => {
                answer.headers.insert("x-amzn-remapped-server", HeaderValue::from_static("nginx"));
            }
            _ => {
                answer.headers.insert("x-amz-cf-pop", HeaderValue::from_static("FRA56-P1"));
            }
        }
        let remapped = has(&answer, &["x-amzn-remapped-"]);
        let found = found(answer);
        prop_assert_ne!(found.verdict.outcome(), Outcome::Denied, "{:?} {}", found, remapped);
        prop_assert_eq!(found.verdict.policy_arn, None);
        prop_assert_eq!(found.verdict.message.is_some(), found.code.is_none());
    }

    #[test]
    fn a_token_put_into_any_text_stays_in(at in any::<Index>(), place in any::<Index>(), before in select(vec!["", " ", "'", ":", "=", "/", "("])) {
        let (_, answer) = at.get(RECORDED.as_slice());
        let Ok(serde_json::Value::Object(mut body)) = serde_json::from_slice::<serde_json::Value>(&answer.body) else {
            return Ok(());
        };
        for value in body.values_mut() {
            if let Some(text) = value.as_str() {
                let places: Vec<usize> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
                let at = *place.get(&places);
                *value = format!("{}{before}{TOKEN} {}", &text[..at], &text[at..]).into();
            }
        }
        let body = serde_json::Value::Object(body).to_string();
        let shown = format!("{:?}", found(Response { body: body.into(), ..answer.clone() }));
        for secret in ["IQoJb3", "V1LXdlc3", "vzK8planted"] {
            prop_assert!(!shown.contains(secret), "{}", shown);
        }
    }

    #[test]
    fn whatever_twins_are_answered_nothing_is_found_that_the_text_does_not_leave_open(
        subject in any_subject(),
        anonymous: bool,
        twins in proptest::collection::vec((select(&Twin::ALL[..]), any_answer()), 0..4),
        controls: [bool; 3],
    ) {
        let subject = judged(Ok(subject), anonymous, None);
        let reason = subject.verdict.reason;
        let [same_route, same_api, same_signer] = controls;
        let finding = narrowed(&subject, !anonymous, &twins, Controls { same_route, same_api, same_signer });
        prop_assert!(may_become(reason, finding.reason), "{} {:?}", reason, finding);
        prop_assert_eq!(finding.suspects.is_empty(), !is_vague(reason));
    }

    #[test]
    fn answers_that_are_not_the_gateways_strike_out_nothing(
        subject in any_subject(),
        anonymous: bool,
        twins in proptest::collection::vec((select(&Twin::ALL[..]), any_answer()), 0..4),
        from_cloudfront: bool,
    ) {
        let mut twins = twins;
        for (_, answer) in &mut twins {
            if from_cloudfront {
                answer.headers.insert("x-amz-cf-pop", HeaderValue::from_static("FRA56-P1"));
            } else {
                answer.headers.remove("x-amzn-requestid");
                answer.headers.remove("x-amz-apigw-id");
            }
        }
        let subject = judged(Ok(subject), anonymous, None);
        let alone = narrowed(&subject, !anonymous, &[], Controls::default());
        let finding = narrowed(&subject, !anonymous, &twins, Controls::default());
        prop_assert_eq!(finding, alone);
    }
}
