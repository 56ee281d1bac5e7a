//! Answers nobody foresaw: whatever comes, there is a verdict, and nothing secret is in it.

use super::*;
use proptest::prelude::*;

const TOKEN: &str = "IQoJb3JpZ2luX2VjEJv//////////wEaCWV1LXdlc3QtMSJHMEUCIQDx7planted";

proptest! {
    #[test]
    fn any_answer_has_a_verdict(
        status in 0u16..1000,
        headers in proptest::collection::vec(
            (
                prop_oneof![
                    Just("x-amzn-errortype"), Just("x-amzn-requestid"), Just("x-amz-apigw-id"), Just("date"),
                    Just("via"), Just("x-cache"), Just("x-amzn-trace-id"), Just("x-amzn-remapped-date"),
                ],
                prop_oneof![
                    proptest::collection::vec(0x20u8..0x7f, 0..40),
                    proptest::collection::vec(0x80u8..=0xff, 0..40),
                    Just(b"AccessDeniedException".to_vec()),
                    Just(b"InvalidSignatureException:".to_vec()),
                ],
            ),
            0..8,
        ),
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..400),
            ".{0,200}".prop_map(|text| serde_json::json!({ "message": text }).to_string().into_bytes()),
            ".{0,80}".prop_map(|text| {
                let text = format!("User: x is not authorized to perform: y{text} because no {text}");
                serde_json::json!({ "Message": text }).to_string().into_bytes()
            }),
        ],
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(&value).unwrap());
        }
        let found = classified(Response { status, headers: map, body: body.into(), truncated: false });
        prop_assert_eq!(found.code.is_some(), (100..=599).contains(&status));
        if let Some(message) = found.verdict.message {
            prop_assert!(message.chars().count() <= MESSAGE_CHARS_MAX);
            prop_assert!(!message.chars().any(char::is_control));
        }
    }

    #[test]
    fn the_echo_of_a_canonical_string_never_gets_out(
        error_type in prop_oneof![
            Just("InvalidSignatureException"), Just("IncompleteSignatureException"),
            Just("AccessDeniedException"), Just("InternalServerErrorException"),
        ],
        head in prop_oneof![
            Just("The request signature we calculated does not match the signature you provided. ".to_owned()),
            ".{0,60}",
        ],
        path in "/[a-z/]{0,40}",
    ) {
        let text = format!(
            "{head}\n\nThe Canonical String for this request should have been\n'GET\n{path}\n\nhost:planted\n\
             x-amz-security-token:{TOKEN}\n\nhost;x-amz-security-token\nplanted'\n\nThe String-to-Sign should \
             have been\n'AWS4-HMAC-SHA256\nplanted'\n"
        );
        let body = serde_json::json!({ "message": text }).to_string();
        let found = classified(by_gateway(403, Some(error_type), &body));
        let shown = format!("{found:?}");
        for secret in ["planted", "IQoJ", "AWS4", "host;"] {
            prop_assert!(!shown.contains(secret), "{}", shown);
        }
    }
}

#[test]
fn deep_json_and_broken_text_are_read_as_no_message() {
    let deep = "[".repeat(100_000);
    let found = classified(by_gateway(403, Some("AccessDeniedException"), &deep));
    assert_eq!(found.verdict.reason, Reason::UnattributedPolicy);
    let broken =
        response(500, &[IDS[0], ("x-amzn-errortype", "ForbiddenException")], b"{\"message\":\"\xff\"}");
    assert_eq!(classified(broken).verdict.reason, Reason::Forbidden);
}
