//! Stories for the classifier: the known answers of AWS (`answers`), what guards and probes make of them
//! (`expectations`), and answers nobody foresaw (`hostile`).

mod answers;
mod expectations;
mod hostile;

use super::*;
use crate::domain::api::{Addressing, ApiName};
use crate::domain::expectation::Expectation;
use crate::domain::hidden::Hidden;
use crate::domain::identity::{Identity, Signer};
use crate::domain::request::{FailureKind, RequestTemplate, TransportFailure};
use crate::domain::target::{Cadence, Replica, TargetId};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::time::{Duration, UNIX_EPOCH};

/// A target that asks for `expectation`, signed by the hub's credentials or by nobody.
fn target(expectation: Expectation, anonymous: bool) -> Target {
    Target {
        id: TargetId {
            spoke: "payments".parse().unwrap(),
            api: "hoot".parse().unwrap(),
            probe: "hello".parse().unwrap(),
            zone: None,
        },
        account: "012345678901".parse().unwrap(),
        api: ApiName::Id { id: "a1b2c3d4e5".parse().unwrap(), stage: "api".parse().unwrap() },
        addressing: Addressing::PrivateDns,
        identity: if anonymous { Identity::Anonymous } else { Identity::Hub },
        signer: if anonymous { Signer::Anonymous } else { Signer::Hub },
        signer_account: None,
        request: RequestTemplate {
            method: Method::GET,
            path_and_query: "/".into(),
            headers: Vec::new(),
            body: None,
        },
        expectation,
        cadence: Cadence::Every(Duration::from_secs(30)),
        replica: Replica::ONLY,
        timeout: Duration::from_secs(31),
        fresh_connection: false,
        positive_control: None,
        twins: false,
    }
}

fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    Response { status, headers: map, body: Bytes::copy_from_slice(body), truncated: false }
}

const IDS: [(&str, &str); 2] =
    [("x-amzn-RequestId", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"), ("x-amz-apigw-id", "AbCdEfGhIjKlMnO=")];

/// An answer with the gateway's ids, and an error type where one is given.
fn by_gateway(status: u16, error_type: Option<&str>, body: &str) -> Response {
    let mut headers = IDS.to_vec();
    headers.extend(error_type.map(|error_type| ("x-amzn-ErrorType", error_type)));
    response(status, &headers, body.as_bytes())
}

/// The exchange that brought an answer, one second after it was due.
fn exchange(result: Result<Response, TransportFailure>) -> Exchange {
    Exchange {
        sent: Moment::from_origin(Duration::from_secs(10)),
        first_byte: None,
        done: Moment::from_origin(Duration::from_secs(11)),
        retries: 0,
        peer: None,
        result,
    }
}

static NOTHING: Hidden = Hidden::none();

fn context(target: &Target) -> Context<'_> {
    Context {
        target,
        due: Moment::from_origin(Duration::from_secs(10)),
        same_account: None,
        positive_control_ok: false,
        received_at: UNIX_EPOCH + Duration::from_secs(1_795_289_100),
        lesson: None,
        hidden: &NOTHING,
    }
}

/// The classification of one answer for a plain signed probe.
fn classified(response: Response) -> Classified {
    let target = target(Expectation::default(), false);
    classify(&exchange(Ok(response)), &context(&target))
}
