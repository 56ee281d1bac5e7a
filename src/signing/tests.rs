//! What is signed and what is not; the signatures themselves are checked against published vectors and
//! against foreign signers and verifiers in the integration tests.

use super::*;
use crate::domain::secret::Secret;
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::convert::Infallible;
use std::time::{Duration, UNIX_EPOCH};

fn credentials(token: Option<&str>) -> SessionCredentials {
    SessionCredentials {
        access_key_id: "AKIDEXAMPLE".into(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        session_token: token.map(Secret::new),
        expires_at: None,
    }
}

fn get(path_and_query: &str) -> HttpRequest {
    HttpRequest {
        method: Method::GET,
        host: "example.amazonaws.com".into(),
        path_and_query: path_and_query.into(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    }
}

fn scope(service: &'static str) -> SigningScope {
    SigningScope { service, region: "us-east-1".parse().unwrap(), path_encoding: PathEncoding::Double }
}

/// 2015-08-30T12:36:00Z, the time of the published vectors.
fn vector_time() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_440_938_160)
}

fn authorization(request: &OutgoingRequest) -> &str {
    request.headers["authorization"].to_str().unwrap()
}

#[test]
fn the_published_get_vanilla_vector() {
    let signed = sign_request(get("/"), &scope("service"), &credentials(None), vector_time()).unwrap();
    assert_eq!(
        authorization(&signed),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-date, \
         Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
    assert_eq!(signed.headers["x-amz-date"], "20150830T123600Z");
}

/// "GET Object" of the S3 API reference, "Authenticating Requests: Using the Authorization Header".
#[test]
fn the_published_s3_vectors() {
    let credentials = SessionCredentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
        secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        session_token: None,
        expires_at: None,
    };
    // 2013-05-24T00:00:00Z
    let at = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
    let sign = |path: &str, range: Option<&'static str>| {
        let mut request = HttpRequest { host: "examplebucket.s3.amazonaws.com".into(), ..get(path) };
        if let Some(range) = range {
            request.headers.insert("range", HeaderValue::from_static(range));
        }
        sign_request(request, &SigningScope::s3("us-east-1".parse().unwrap()), &credentials, at).unwrap()
    };
    let object = sign("/test.txt", Some("bytes=0-9"));
    assert_eq!(
        authorization(&object),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
         Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    );
    assert_eq!(
        object.headers["x-amz-content-sha256"],
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    let signature = |path| authorization(&sign(path, None)).rsplit_once('=').unwrap().1.to_owned();
    assert_eq!(signature("/?lifecycle"), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    assert_eq!(
        signature("/?max-keys=2&prefix=J"),
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    );
}

#[test]
fn token_and_own_headers_are_signed_and_the_path_stays_as_written() {
    let mut request = get("/api/a%2Fb//c?b=2&a=1");
    request.headers.insert("x-apigw-api-id", "a1b2c3d4e5".parse().unwrap());
    let scope = SigningScope::execute_api("eu-west-1".parse().unwrap());
    let signed = sign_request(request, &scope, &credentials(Some("tok+/==")), vector_time()).unwrap();
    assert!(
        authorization(&signed)
            .contains("SignedHeaders=host;x-amz-date;x-amz-security-token;x-apigw-api-id, ")
    );
    assert_eq!(signed.path_and_query, "/api/a%2Fb//c?b=2&a=1");
    assert_eq!(signed.headers["x-amz-security-token"], "tok+/==");
    assert!(!signed.headers.contains_key("x-amz-content-sha256"));
}

#[test]
fn the_signature_and_the_token_are_in_no_debug_text() {
    let signed =
        sign_request(get("/"), &scope("service"), &credentials(Some("token")), vector_time()).unwrap();
    let text = format!("{:?} {signed:?}", signed.headers);
    assert!(!text.contains("Signature=") && !text.contains("\"token\""), "{text}");
}

#[test]
fn the_body_is_hashed_for_real() {
    let sign = |body: &'static [u8]| {
        let request = HttpRequest { method: Method::POST, body: Bytes::from_static(body), ..get("/greet") };
        let signed = sign_request(request, &scope("service"), &credentials(None), vector_time()).unwrap();
        authorization(&signed).to_owned()
    };
    assert_ne!(sign(b"{}"), sign(b"{ }"));
}

#[test]
fn a_signed_request_is_kept_for_its_second_and_its_credentials() {
    let slot = SignedRequestSlot::default();
    let mut signatures = 0;
    let mut ask = |version, millis| {
        let at = vector_time() + Duration::from_millis(millis);
        slot.get_or_sign(version, at, || {
            signatures += 1;
            Ok::<_, Infallible>(OutgoingRequest::unsigned(get(&format!("/{signatures}"))))
        })
        .unwrap()
        .path_and_query
    };
    assert_eq!(ask(1, 0), "/1");
    assert_eq!(ask(1, 999), "/1");
    assert_eq!(ask(2, 999), "/2", "new credentials");
    assert_eq!(ask(2, 1_000), "/3", "next second");
    assert_eq!(ask(2, 500), "/4", "the clock stepped back");
}
