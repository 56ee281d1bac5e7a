//! The verifier against published vectors, wrong signatures and arbitrary bytes.

use super::*;
use proptest::prelude::*;
use std::fs;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn vectors() -> Vec<(String, RawRequest, String, Option<String>)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sigv4");
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let text = read("signed-request.txt");
        let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
        let wire = format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n"));
        let mut request =
            RawRequest::parse(wire.as_bytes()).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        request.body = body.trim_end().into();
        let token = request.header_text("x-amz-security-token").map(str::to_owned);
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        found.push((name, request, read("canonical-request.txt"), token));
    }
    found
}

fn verify(request: &RawRequest, token: Option<&str>, at: &str) -> Result<(), Rejection> {
    let Claim::Signed(claim) = Claim::of(request) else { panic!("not signed: {request:?}") };
    let verifier = Verifier { service: "service", region: "us-east-1", now: parse_time(at).unwrap() };
    verifier.verify(request, &claim, |id| {
        (id == "AKIDEXAMPLE").then_some(Key { secret: SECRET, token, expired: false })
    })
}

#[test]
fn the_published_vectors_verify() {
    let vectors = vectors();
    assert!(vectors.len() >= 20, "{}", vectors.len());
    for (name, request, canonical, token) in vectors {
        let Claim::Signed(claim) = Claim::of(&request) else { panic!("{name}") };
        assert_eq!(canonical_request(&request, &claim.signed_headers), canonical, "{name}");
        assert_eq!(verify(&request, token.as_deref(), "20150830T123600Z"), Ok(()), "{name}");
    }
}

fn vanilla() -> RawRequest {
    let found = vectors().into_iter().find(|(name, ..)| name == "get-vanilla");
    found.unwrap().1
}

#[test]
fn every_change_of_a_signed_request_is_found() {
    type Change = fn(&mut RawRequest);
    let changes: [(&str, Change); 5] = [
        ("method", |request| request.method = "PUT".into()),
        ("path", |request| request.target = "/x".into()),
        ("query", |request| request.target = "/?a".into()),
        ("host", |request| request.headers[0].1 = b"example.com".to_vec()),
        ("body", |request| request.body = b"x".to_vec()),
    ];
    for (name, change) in changes {
        let mut request = vanilla();
        change(&mut request);
        let result = verify(&request, None, "20150830T123600Z");
        assert!(matches!(result, Err(Rejection::Mismatch { .. })), "{name}: {result:?}");
    }
}

#[test]
fn unsigned_payload_is_refused_even_when_signed() {
    let mut request = vanilla();
    request.headers.push(("x-amz-content-sha256".into(), b"UNSIGNED-PAYLOAD".to_vec()));
    let text = "'x-amz-content-sha256' must be a 'SignedHeader' in the AWS Authorization.";
    assert_eq!(verify(&request, None, "20150830T123600Z"), Err(Rejection::Invalid(text.into())));
    let header = request.headers.iter_mut().find(|(name, _)| name == "authorization").unwrap();
    header.1 = String::from_utf8(header.1.clone())
        .unwrap()
        .replace("host;x-amz-date", "host;x-amz-content-sha256;x-amz-date")
        .into_bytes();
    assert!(matches!(verify(&request, None, "20150830T123600Z"), Err(Rejection::Mismatch { .. })));
}

#[test]
fn time_scope_and_token_have_their_texts() {
    let check = |at: &str, wanted: &str| {
        let Err(Rejection::Invalid(text)) = verify(&vanilla(), None, at) else { panic!("{at}") };
        assert_eq!(text, wanted);
    };
    check(
        "20150830T124101Z",
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)",
    );
    check(
        "20150830T123059Z",
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)",
    );
    assert_eq!(verify(&vanilla(), None, "20150830T124100Z"), Ok(()));
    assert_eq!(verify(&vanilla(), Some("token"), "20150830T123600Z"), Err(Rejection::TokenInvalid));

    let request = vanilla();
    let Claim::Signed(claim) = Claim::of(&request) else { panic!() };
    let now = parse_time("20150830T123600Z").unwrap();
    let verifier = Verifier { service: "execute-api", region: "eu-west-1", now };
    assert_eq!(
        verifier.verify(&request, &claim, |_| None),
        Err(Rejection::Invalid(
            "Credential should be scoped to a valid region. \
             Credential should be scoped to correct service: 'execute-api'."
                .into()
        ))
    );
}

#[test]
fn broken_headers_say_what_is_missing() {
    let of = |header: &str| {
        Claim::of(
            &RawRequest::parse(format!("GET / HTTP/1.1\r\nauthorization: {header}\r\n\r\n").as_bytes())
                .unwrap(),
        )
    };
    let Claim::Broken(Rejection::Incomplete(text)) = of("AWS4-HMAC-SHA256 Credential=a/b/c/d/e") else {
        panic!()
    };
    assert!(text.starts_with(
        "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter."
    ));
    let Claim::Broken(Rejection::Incomplete(text)) = of("AWS4-HMAC-SHA256 x") else { panic!() };
    assert!(
        text.starts_with("Invalid key=value pair (missing equal-sign) in Authorization header"),
        "{text}"
    );
    assert_eq!(of("Bearer x"), Claim::Other("Bearer x".into()));
}

proptest! {
    #[test]
    fn arbitrary_headers_and_targets_never_panic(header in ".{0,200}", target in "/[!-~]{0,60}", date in ".{0,20}") {
        let request = RawRequest {
            method: "GET".into(),
            target,
            headers: vec![
                ("host".into(), b"h".to_vec()),
                ("x-amz-date".into(), date.into_bytes()),
                ("authorization".into(), format!("AWS4-HMAC-SHA256 {header}").into_bytes()),
            ],
            body: Vec::new(),
        };
        if let Claim::Signed(claim) = Claim::of(&request) {
            let verifier = Verifier { service: "s", region: "r", now: SystemTime::UNIX_EPOCH + WINDOW };
            let _result = verifier.verify(&request, &claim, |_| Some(Key { secret: "s", token: None, expired: false }));
        }
    }

    #[test]
    fn a_canonical_path_is_a_fixed_point_of_normalisation(path in "(/[a-z.]{0,3}){0,8}") {
        let once = canonical_uri(&path);
        prop_assert_eq!(canonical_uri(&once), once);
    }
}
