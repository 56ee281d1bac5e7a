//! The hub by its answers: each layer of the default world, STS, ids, counts.

use super::*;
use crate::simulator::signature::signer::{Signer, sign};
use crate::simulator::sts_answers::element;
use std::time::Duration;

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn hub() -> Hub {
    Hub::new(World::default_world().unwrap(), start())
}

fn raw(method: &str, target: &str, host: &str, body: &str) -> RawRequest {
    RawRequest {
        method: method.into(),
        target: target.into(),
        headers: vec![("host".into(), host.into())],
        body: body.into(),
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

fn hub_signer(hub: &Hub, now: SystemTime) -> Signer {
    let mut request = raw("GET", hub.credentials_path(), "169.254.170.2", "");
    request.headers.push(("authorization".into(), hub.credentials_token().into()));
    let reply = hub.respond(Door::Credentials, &request, &Connection::default(), now);
    let value: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    let part = |name: &str| value[name].as_str().unwrap().to_owned();
    Signer {
        id: part("AccessKeyId"),
        secret: part("SecretAccessKey"),
        token: Some(part("Token")),
        service: "sts",
    }
}

fn sts(hub: &Hub, signer: &Signer, form: &str, now: SystemTime) -> Reply {
    let mut request = raw("POST", "/", "sts.eu-west-1.amazonaws.com", form);
    sign(&mut request, &Signer { service: "sts", ..signer.clone() }, now);
    hub.respond(Door::Sts, &request, &Connection::default(), now)
}

fn assume_form(account: &str, more: &str) -> String {
    format!(
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A{account}%3Arole%2Fspokeprobe\
         &RoleSessionName=probe{more}"
    )
}

fn assumed(hub: &Hub, account: &str, more: &str, now: SystemTime) -> Signer {
    let reply = sts(hub, &hub_signer(hub, now), &assume_form(account, more), now);
    let xml = text(&reply);
    let part = |name| element(&xml, name).unwrap_or_else(|| panic!("{account}: {xml}"));
    Signer {
        id: part("AccessKeyId"),
        secret: part("SecretAccessKey"),
        token: Some(part("SessionToken")),
        service: "execute-api",
    }
}

fn call(hub: &Hub, signer: Option<&Signer>, api: &str, target: &str, now: SystemTime) -> Reply {
    let mut request = raw("GET", target, &format!("{api}.execute-api.eu-west-1.amazonaws.com"), "");
    if let Some(signer) = signer {
        sign(&mut request, signer, now);
    }
    hub.respond(Door::Endpoint, &request, &Connection::default(), now)
}

#[test]
fn each_spoke_of_the_default_world_shows_its_layer() {
    let hub = hub();
    let narrow = "&Policy=".to_owned()
        + &percent_encoding::utf8_percent_encode(
            include_str!("../worlds/narrow.json"),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string();
    for (account, name, api, target, status, part) in [
        ("012345678901", "payments", "a1b2c3d4e5", "/api/", 200, r#"{"hello":"world"}"#),
        ("222233334444", "orders", "b2c3d4e5f6", "/api/", 200, "world"),
        ("222233334444", "orders", "b2c3d4e5f6", "/api/orders/7", 200, "shipped"),
        ("222233334444", "orders", "a1b2c3d4e5", "/api/", 403, "because no"),
        ("012345678901", "payments", "b2c3d4e5f6", "/api/", 403, "explicit deny in a resource-based policy"),
        ("333344445555", "partner", "c3d4e5f6g7", "/api/", 403, "because no VPC endpoint policy allows"),
        (
            "444455556666",
            "ledger",
            "d4e5f6g7h8",
            "/api/",
            403,
            "with an explicit deny in a resource-based policy",
        ),
        (
            "555566667777",
            "catalog",
            "e5f6g7h8i9",
            "/api/",
            403,
            "with an explicit deny in an identity-based policy",
        ),
        ("555566667777", "catalog", "e5f6g7h8i9", "/api/status", 200, "good"),
        ("666677778888", "billing", "f6g7h8i9j0", "/api/", 403, "because no session policy allows"),
        ("666677778888", "billing", "f6g7h8i9j0", "/api/status", 200, "good"),
        ("777788889999", "inventory", "g7h8i9j0k1", "/api/", 403, "because no permissions boundary allows"),
        (
            "888899990000",
            "media",
            "h8i9j0k1l2",
            "/api/",
            403,
            "with an explicit deny in a service control policy",
        ),
        ("999900001111", "notes", "i9j0k1l2m3", "/api/", 200, "anyone"),
        ("123412341234", "legacy", "j0k1l2m3n4", "/api/", 403, r#"j0k1l2m3n4/api/GET/"}"#),
        (
            "234523452345",
            "login",
            "k1l2m3n4o5",
            "/api/",
            403,
            "User is not authorized to access this resource",
        ),
        ("234523452345", "login", "k1l2m3n4o5", "/api/open", 200, "world"),
        ("234523452345", "login", "k1l2m3n4o5", "/api/token", 401, "Unauthorized"),
        ("345634563456", "maps", "l2m3n4o5p6", "/api/", 403, r#"{"message":"Forbidden"}"#),
        ("678967896789", "shipping", "o5p6q7r8s9", "/api/misconfigured", 500, "Internal server error"),
        ("678967896789", "shipping", "o5p6q7r8s9", "/api/failing", 502, "Internal server error"),
        ("678967896789", "shipping", "o5p6q7r8s9", "/api/late", 504, "Endpoint request timed out"),
        ("678967896789", "shipping", "o5p6q7r8s9", "/api/unplugged", 504, "Network error"),
        ("789078907890", "crm", "p6q7r8s9t0", "/api/busy", 503, "busy"),
        ("789078907890", "crm", "p6q7r8s9t0", "/api/proxy", 502, "proxy error"),
        ("012345678901", "payments", "a1b2c3d4e5", "/api/nothing", 403, "Missing Authentication Token"),
        ("012345678901", "payments", "a1b2c3d4e5", "/nostage/", 403, r#"{"message":"Forbidden"}"#),
        ("012345678901", "payments", "zzzzzzzzzz", "/api/", 403, r#"{"message":"Forbidden"}"#),
    ] {
        let mut more = format!("&ExternalId=spokeprobe-{name}");
        if name == "billing" {
            more += &narrow;
        }
        let signer = assumed(&hub, account, &more, start());
        let reply = call(&hub, Some(&signer), api, target, start());
        assert!(reply.status == status && text(&reply).contains(part), "{name} {target}: {reply:?}");
    }
}

#[test]
fn unsigned_callers_meet_the_endpoint_or_an_open_door() {
    let hub = hub();
    let reply = call(&hub, None, "a1b2c3d4e5", "/api/", start());
    assert_eq!(
        text(&reply),
        "{\"Message\":\"User: anonymous is not authorized to perform: execute-api:Invoke on resource: \
         arn:aws:execute-api:eu-west-1:********8901:a1b2c3d4e5/api/GET/ because no VPC endpoint policy allows the \
         execute-api:Invoke action\"}"
    );
    assert_eq!(reply.header("x-amzn-ErrorType"), Some("AccessDeniedException"));
    assert_eq!(call(&hub, None, "i9j0k1l2m3", "/api/", start()).status, 200);
    let closed = call(&hub, None, "i9j0k1l2m3", "/api/", start() + Duration::from_secs(31));
    assert_eq!(text(&closed), r#"{"message":"Missing Authentication Token"}"#);
}

#[test]
fn signatures_and_tokens_are_refused_in_their_words() {
    let hub = hub();
    let signer = assumed(&hub, "012345678901", "&ExternalId=spokeprobe-payments", start());
    for (signer, now, error_type, part) in [
        (
            Signer { secret: "x".into(), ..signer.clone() },
            0,
            "InvalidSignatureException",
            "The Canonical String",
        ),
        (Signer { id: "ASIAX".into(), ..signer.clone() }, 0, "UnrecognizedClientException", "is invalid"),
        (Signer { token: None, ..signer.clone() }, 0, "UnrecognizedClientException", "is invalid"),
        (
            Signer { service: "s3", ..signer.clone() },
            0,
            "InvalidSignatureException",
            "correct service: 'execute-api'",
        ),
        (signer, 3601, "ExpiredTokenException", "is expired"),
    ] {
        let reply = call(&hub, Some(&signer), "a1b2c3d4e5", "/api/", start() + Duration::from_secs(now));
        assert_eq!(reply.header("x-amzn-ErrorType"), Some(error_type), "{reply:?}");
        assert!(text(&reply).contains(part), "{}", text(&reply));
    }
    hub.change(|world| world.endpoint.clock_offset_seconds = 600);
    let signer = assumed(&hub, "012345678901", "&ExternalId=spokeprobe-payments", start());
    let reply = call(&hub, Some(&signer), "a1b2c3d4e5", "/api/", start());
    assert!(text(&reply).contains("Signature expired: "), "{}", text(&reply));
}

#[test]
fn sts_refuses_in_its_words() {
    let hub = hub();
    let signer = hub_signer(&hub, start());
    let external = "&ExternalId=spokeprobe-payments";
    for (account, more, status, code, part) in [
        (
            "012345678901",
            String::new(),
            403,
            "AccessDenied",
            "assumed-role/spokeprobe-hub/i-0123456789abcdef0 is not",
        ),
        ("012345678901", "&ExternalId=wrong".into(), 403, "AccessDenied", "sts:AssumeRole on resource"),
        ("890189018901", "&ExternalId=spokeprobe-vendor".into(), 403, "AccessDenied", "not authorized"),
        ("000000000000", external.into(), 403, "AccessDenied", "not authorized"),
        ("012345678901", format!("{external}&DurationSeconds=3601"), 400, "ValidationError", "role chaining"),
        ("012345678901", format!("{external}&DurationSeconds=899"), 400, "ValidationError", "900"),
        ("012345678901", format!("{external}&Policy=%7B"), 400, "MalformedPolicyDocument", ""),
        (
            "012345678901",
            format!("{external}&RoleSessionName=a%20b"),
            400,
            "ValidationError",
            "roleSessionName",
        ),
        (
            "012345678901",
            format!("{external}&DurationSeconds=3600"),
            200,
            "",
            "<Expiration>2027-01-15T09:00:00Z<",
        ),
    ] {
        let reply = sts(&hub, &signer, &assume_form(account, &more), start());
        let xml = text(&reply);
        assert_eq!(
            (reply.status, element(&xml, "Code").unwrap_or_default().as_str()),
            (status, code),
            "{xml}"
        );
        assert!(xml.contains(part), "{xml}");
    }
    let expired =
        sts(&hub, &signer, &assume_form("012345678901", external), start() + Duration::from_secs(6 * 3600));
    assert_eq!(element(&text(&expired), "Code").as_deref(), Some("ExpiredToken"));
    let identity = sts(&hub, &signer, "Action=GetCallerIdentity&Version=2011-06-15", start());
    assert_eq!(
        element(&text(&identity), "Arn").as_deref(),
        Some("arn:aws:sts::111122223333:assumed-role/spokeprobe-hub/i-0123456789abcdef0")
    );
    hub.change(|world| world.sts.throttled = true);
    let throttled = sts(&hub, &signer, &assume_form("012345678901", external), start());
    assert_eq!((throttled.status, element(&text(&throttled), "Code").as_deref()), (400, Some("Throttling")));
}

#[test]
fn sessions_can_end_early_openly_or_not() {
    let hub = hub();
    let kiosk = assumed(&hub, "135713571357", "&ExternalId=spokeprobe-kiosk", start());
    let badge = assumed(&hub, "246824682468", "&ExternalId=spokeprobe-badge", start());
    for (at, kiosk_status, badge_status) in [(5, 200, 200), (21, 200, 403), (31, 403, 403)] {
        let now = start() + Duration::from_secs(at);
        assert_eq!(
            call(&hub, Some(&kiosk), "s9t0u1v2w3", "/api/", now).status,
            kiosk_status,
            "kiosk at {at}"
        );
        assert_eq!(
            call(&hub, Some(&badge), "t0u1v2w3x4", "/api/", now).status,
            badge_status,
            "badge at {at}"
        );
    }
}

#[test]
fn answers_bear_ids_and_requests_are_counted() {
    let hub = hub();
    let signer = assumed(&hub, "012345678901", "&ExternalId=spokeprobe-payments", start());
    let mut request = raw("GET", "/api/", "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com", "");
    request.headers.push(("x-amzn-requestid".into(), b"our-own-id".to_vec()));
    sign(&mut request, &signer, start());
    let reply = hub.respond(Door::Endpoint, &request, &Connection::default(), start());
    assert_eq!((reply.status, reply.header("x-amzn-requestid")), (200, Some("our-own-id")));
    assert_eq!(reply.header("x-amz-apigw-id").map(str::len), Some(16));
    assert_eq!(reply.header("date"), Some("Fri, 15 Jan 2027 08:00:00 GMT"));
    let _answer = call(&hub, None, "a1b2c3d4e5", "/api/", start());
    let wrong = Signer { secret: "x".into(), ..signer };
    let _answer = call(&hub, Some(&wrong), "a1b2c3d4e5", "/api/", start());
    hub.change(|world| world.endpoint.fault = Some(serde_json::from_str("\"reset\"").unwrap()));
    let _answer = call(&hub, None, "a1b2c3d4e5", "/api/", start());

    let counts = hub.counts();
    let rows: Vec<(&str, &str, u64)> =
        counts.requests.iter().map(|row| (row.identity.as_str(), row.code.as_str(), row.count)).collect();
    let role = "arn:aws:iam::012345678901:role/spokeprobe";
    assert_eq!(
        rows,
        [("anonymous", "403", 1), ("anonymous", "none", 1), (role, "200", 1), ("invalid", "403", 1)]
    );
    assert_eq!((counts.of_api("a1b2c3d4e5"), counts.total(), counts.sts[0].result.as_str()), (4, 4, "ok"));
}

#[test]
fn every_way_to_address_an_api_arrives() {
    let hub = hub();
    hub.change(|world| {
        let api = &mut world.accounts[1].apis[0];
        api.domain = Some(
            serde_json::from_str(r#"{"name":"private.example.com","base_path":"v1","stage":"api"}"#).unwrap(),
        );
    });
    let signer = assumed(&hub, "012345678901", "&ExternalId=spokeprobe-payments", start());
    let endpoint = "vpce-0123456789abcdef0-abcdefgh.execute-api.eu-west-1.vpce.amazonaws.com";
    for (host, target, id, status) in [
        ("a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com", "/api/", None, 200),
        ("a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com:8443", "/api", None, 200),
        ("a1b2c3d4e5-vpce-0123456789abcdef0.execute-api.eu-west-1.amazonaws.com", "/api/", None, 200),
        (endpoint, "/api/", Some("a1b2c3d4e5"), 200),
        (endpoint, "/api/", None, 403),
        ("private.example.com", "/v1/", None, 200),
        ("private.example.com", "/v12/", None, 403),
        ("a1b2c3d4e5.execute-api.eu-west-2.amazonaws.com", "/api/", None, 403),
    ] {
        let mut request = raw("GET", target, host, "");
        request.headers.extend(id.map(|id| ("x-apigw-api-id".to_owned(), id.as_bytes().to_vec())));
        sign(&mut request, &signer, start());
        let reply = hub.respond(Door::Endpoint, &request, &Connection::default(), start());
        assert_eq!(reply.status, status, "{host} {target}");
    }
}

#[test]
fn limits_of_a_private_api() {
    let hub = hub();
    let mut request = raw("GET", "/api/", "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com", "");
    request.headers.push(("x-long".into(), vec![b'x'; 8000]));
    let respond =
        |request: &RawRequest| hub.respond(Door::Endpoint, request, &Connection::default(), start()).status;
    assert_eq!(respond(&request), 413);
    request.headers.pop();
    request.body = vec![b'x'; 10 * 1024 * 1024 + 1];
    assert_eq!(respond(&request), 413);
    request.body.clear();
    request.target = format!("/api/{}", "x".repeat(1600));
    assert_eq!(respond(&request), 414);
}

#[test]
fn the_same_requests_get_the_same_bytes() {
    let run = || {
        let hub = hub();
        let signer = assumed(&hub, "012345678901", "&ExternalId=spokeprobe-payments", start());
        call(&hub, Some(&signer), "a1b2c3d4e5", "/api/", start())
    };
    assert_eq!(run(), run());
}

proptest::proptest! {
    #[test]
    fn no_request_makes_a_door_panic(
        method in "[A-Z]{0,8}",
        target in "\\PC{0,60}",
        names in proptest::collection::vec(("[a-z-]{1,24}", ".{0,60}"), 0..6),
        body in ".{0,120}",
    ) {
        // Made once: reading a world takes longer than a hundred requests.
        static HUB: std::sync::LazyLock<Hub> = std::sync::LazyLock::new(hub);
        let hub = &*HUB;
        let mut request = raw(&method, &target, "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com", &body);
        request.headers.extend(names.into_iter().map(|(name, value)| (name, value.into_bytes())));
        for door in [Door::Endpoint, Door::Sts, Door::Credentials] {
            let reply = hub.respond(door, &request, &Connection::default(), start());
            proptest::prop_assert!((200..600).contains(&reply.status));
        }
        let holder = hub_signer(hub, start());
        let form = format!("Action=AssumeRole&{body}");
        proptest::prop_assert!(sts(hub, &holder, &form, start()).status >= 400);
    }
}
