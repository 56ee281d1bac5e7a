//! What stands behind a method once a request was let in.

use super::reply::Reply;
use super::texts::{self, Refusal};
use super::wire::RawRequest;
use super::world::{Behaviour, Integration, Mock, Route};
use std::time::Duration;

/// API Gateway's default integration timeout.
const TIMEOUT: Duration = Duration::from_secs(29);

/// Headers of a backend that arrive under another name (API Gateway developer guide, "Known issues").
const REMAPPED: [&str; 4] = ["connection", "content-length", "date", "server"];

/// The answer of a method's integration.
pub(crate) fn call(route: &Route, request: &RawRequest) -> Result<Reply, Refusal> {
    match &route.integration {
        Integration::Mock(mock) => Ok(fixed(mock)),
        Integration::Behaviour(Behaviour::Greet) => Ok(greet(&request.body)),
        Integration::Behaviour(Behaviour::Echo) => Ok(echo(request)),
        Integration::Behaviour(Behaviour::Misconfigured) => Err(texts::MISCONFIGURED),
        Integration::Behaviour(Behaviour::Failing) => Err(texts::BACKEND_ERROR),
        Integration::Behaviour(Behaviour::NetworkFailure) => Err(texts::NETWORK_ERROR),
        Integration::Behaviour(Behaviour::Timeout) => Err(texts::TIMED_OUT),
    }
}

/// How long the integration takes by itself: a timeout lasts 29 s, unless the method's latency says how
/// long its owner lets it take.
pub(crate) fn own_delay(route: &Route) -> Duration {
    let times_out = route.integration == Integration::Behaviour(Behaviour::Timeout);
    if times_out && route.latency.get().is_zero() { TIMEOUT } else { Duration::ZERO }
}

/// A mock never leaves the gateway, so it has no trace id.
pub(crate) fn is_traced(route: &Route) -> bool {
    matches!(route.integration, Integration::Behaviour(_))
}

fn fixed(mock: &Mock) -> Reply {
    let body = match (&mock.json, &mock.body) {
        (Some(json), _) => json.to_string(),
        (None, Some(body)) => body.clone(),
        (None, None) => String::new(),
    };
    let own_type = mock.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let mut reply = Reply::new(mock.status, own_type.map_or("application/json", |(_, value)| value), body);
    for (name, value) in &mock.headers {
        if name.eq_ignore_ascii_case("content-type") {
            continue;
        }
        let remapped = REMAPPED.iter().any(|each| name.eq_ignore_ascii_case(each));
        let name = if remapped { format!("x-amzn-Remapped-{name}") } else { name.clone() };
        reply.headers.push((name, value.clone().into_bytes()));
    }
    reply
}

/// No body, no name, a name that is no text, broken JSON: all are strangers.
fn greet(body: &[u8]) -> Reply {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let name = value.as_ref().and_then(|value| value.get("name")).and_then(serde_json::Value::as_str);
    let name = name.filter(|name| !name.is_empty()).unwrap_or("stranger");
    Reply::new(200, "application/json", serde_json::json!({"hello": name}).to_string())
}

fn echo(request: &RawRequest) -> Reply {
    let forms = |bytes: &[u8]| {
        let percent = percent_encoding::percent_encode(bytes, percent_encoding::NON_ALPHANUMERIC).to_string();
        let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serde_json::json!([String::from_utf8_lossy(bytes), percent, hexadecimal])
    };
    let headers: serde_json::Map<_, _> =
        request.headers.iter().map(|(name, value)| (name.clone(), forms(value))).collect();
    let body = serde_json::json!({"headers": headers, "body": forms(&request.body)});
    let mut reply = Reply::new(200, "application/json", body.to_string());
    for (name, value) in &request.headers {
        reply.headers.push((format!("X-Echo-{name}"), value.clone()));
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_says_everything_back() {
        let request = RawRequest {
            method: "POST".into(),
            target: "/echo".into(),
            headers: vec![("x-key".into(), b"a/b".to_vec())],
            body: b"\xffhi".to_vec(),
        };
        let reply = echo(&request);
        assert_eq!(reply.header("x-echo-x-key"), Some("a/b"));
        let text = String::from_utf8(reply.body).unwrap();
        assert_eq!(
            text,
            "{\"headers\":{\"x-key\":[\"a/b\",\"a%2Fb\",\"612f62\"]},\"body\":[\"\u{fffd}hi\",\"%FFhi\",\"ff6869\"]}"
        );
    }

    #[test]
    fn everyone_without_a_name_is_a_stranger() {
        for (body, name) in [
            (r#"{"name":"buddy"}"#, "buddy"),
            (r#"{"name":"a\"b"}"#, "a\\\"b"),
            ("", "stranger"),
            ("{", "stranger"),
            (r#"{"name":7}"#, "stranger"),
            (r#"{"name":""}"#, "stranger"),
            ("\u{ff}", "stranger"),
        ] {
            assert_eq!(greet(body.as_bytes()).body, format!("{{\"hello\":\"{name}\"}}").into_bytes());
        }
    }
}
