//! The marks by which the far side finds an attempt in its own logs: a trace id and a User-Agent.
//!
//! Both are added after signing and are in no signature: proxies and tracing may touch them, and a signed request
//! kept for its second serves several attempts, each with a trace id of its own. aws-sigv4 leaves them out as well.
//!
//! Sources: AWS X-Ray developer guide, "Amazon API Gateway and AWS X-Ray" (the form of the id; the gateway adds one
//! only where there is none, and hands it on to the integration); API Gateway developer guide, "Variables for
//! access logging" (`$context.xrayTraceId`, `$context.identity.userAgent`). Whether `$context.xrayTraceId` shows
//! an id that was sent on a stage without tracing is UNCONFIRMED; the User-Agent is the mark to rely on there.
//! No `Sampled` is sent: what is traced stays the spoke's decision.

use crate::domain::moment::Moment;
use crate::domain::request::OutgoingRequest;
use crate::domain::target::TargetId;
use http::header::Entry;
use http::{HeaderName, HeaderValue, header};
use sha2::{Digest as _, Sha256};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const PRODUCT: &str = concat!("spokeprobe/", env!("CARGO_PKG_VERSION"));

/// `spokeprobe/0.1.0 (SPOKE/API/PROBE)`: who calls, and for which target. Names are ASCII and bounded.
pub(super) fn user_agent(target: &TargetId) -> HeaderValue {
    HeaderValue::from_str(&format!("{PRODUCT} ({target})"))
        .unwrap_or_else(|_| HeaderValue::from_static(PRODUCT))
}

/// Makes trace ids that differ from one another, without randomness.
///
/// The first attempt is hashed into a seed, of which its wall clock is a part, so that no two agents count from the
/// same place. After that an id is the number of its attempt, stirred: two numbers never give the same 64 bits, and
/// nothing is hashed for each of thousands of attempts a second.
#[derive(Debug, Default)]
pub(super) struct TraceIds {
    attempts: AtomicU64,
    seed: OnceLock<[u64; 2]>,
}

/// `Root=1-`, 8 digits of time, `-`, 24 digits.
const ID_BYTES: usize = 40;

impl TraceIds {
    /// The id of an attempt of `target` that was due at `due` and is sent at `at`.
    fn next(&self, target: &TargetId, due: Moment, at: SystemTime) -> [u8; ID_BYTES] {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let number = self.attempts.fetch_add(1, Ordering::Relaxed);
        let [first, second] = *self.seed.get_or_init(|| seed(target, due, since));
        // Odd, so that each number lands elsewhere.
        let unique = stirred(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(first));
        let rest = stirred(unique ^ second);
        let mut id = *b"Root=1-00000000-000000000000000000000000";
        // The form has room for 32 bits of time; in 2106 it starts again.
        write_hex(&mut id[7..15], since.as_secs());
        write_hex(&mut id[16..24], rest);
        write_hex(&mut id[24..40], unique);
        id
    }

    /// Puts both marks on a request that is ready to be sent, except where its configuration sets them, and gives
    /// the trace id. A configured trace id that came from the environment is a secret, and none is given.
    pub(super) fn mark(
        &self,
        request: &mut OutgoingRequest,
        user_agent: &HeaderValue,
        (target, due, at): (&TargetId, Moment, SystemTime),
    ) -> Option<String> {
        let headers = &mut request.headers;
        headers.entry(header::USER_AGENT).or_insert_with(|| user_agent.clone());
        match headers.entry(TRACE_ID) {
            Entry::Occupied(own) => {
                let shown = own.get().to_str().ok().filter(|_| !own.get().is_sensitive())?;
                Some(shown.chars().take(128).collect())
            }
            Entry::Vacant(place) => {
                let id = self.next(target, due, at);
                place.insert(HeaderValue::from_bytes(&id).ok()?);
                std::str::from_utf8(&id).ok().map(str::to_owned)
            }
        }
    }
}

fn seed(target: &TargetId, due: Moment, since_epoch: Duration) -> [u64; 2] {
    let mut hash = Sha256::new();
    hash.update(target.to_string());
    hash.update(due.since_origin().as_nanos().to_be_bytes());
    hash.update(since_epoch.as_nanos().to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let word = |from: usize| digest[from..from + 8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    [word(0), word(8)]
}

/// The output function of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators"): a
/// different result for each input, near ones far apart.
const fn stirred(input: u64) -> u64 {
    let once = (input ^ (input >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    twice ^ (twice >> 31)
}

/// The last digits of a number, as many as there is room for.
fn write_hex(into: &mut [u8], mut number: u64) {
    for digit in into.iter_mut().rev() {
        // Four bits are always below 16.
        *digit = b"0123456789abcdef"[usize::from((number & 0xf) as u8)];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credentials::SessionCredentials;
    use crate::domain::request::HttpRequest;
    use crate::domain::secret::Secret;
    use crate::signing::{SigningScope, sign_request};
    use bytes::Bytes;
    use http::{HeaderMap, Method};
    use std::collections::BTreeSet;

    fn target() -> TargetId {
        let name = |text: &str| text.parse().unwrap();
        TargetId { spoke: name("payments"), api: name("hoot"), probe: name("hello"), zone: None }
    }

    fn at() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(0x6500_0000)
    }

    fn signed(headers: HeaderMap) -> OutgoingRequest {
        let request = HttpRequest {
            method: Method::GET,
            host: "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com".into(),
            path_and_query: "/api/".into(),
            headers,
            body: Bytes::new(),
        };
        let credentials = SessionCredentials {
            access_key_id: "ASIAEXAMPLE".into(),
            secret_access_key: Secret::new("secret"),
            session_token: Some(Secret::new("token")),
            expires_at: None,
        };
        let scope = SigningScope::execute_api("eu-west-1".parse().unwrap());
        sign_request(request, &scope, &credentials, at()).unwrap()
    }

    fn signed_headers(request: &OutgoingRequest) -> String {
        let text = request.headers["authorization"].to_str().unwrap();
        text.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap().to_owned()
    }

    #[test]
    fn the_marks_are_on_the_request_and_in_no_signature() {
        let plain = signed(HeaderMap::new());
        let mut marked = plain.clone();
        let id =
            TraceIds::default().mark(&mut marked, &user_agent(&target()), (&target(), Moment::ZERO, at()));
        assert_eq!(marked.headers["x-amzn-trace-id"], *id.unwrap());
        assert_eq!(marked.headers["user-agent"], format!("{PRODUCT} (payments/hoot/hello)"));
        assert_eq!(signed_headers(&marked), "host;x-amz-date;x-amz-security-token");
        assert_eq!(marked.headers["authorization"], plain.headers["authorization"]);
    }

    #[test]
    fn marks_that_the_configuration_sets_stay_and_are_not_signed_either() {
        let mut own = HeaderMap::new();
        own.insert("x-amzn-trace-id", "Root=1-00000001-000000000000000000000001".parse().unwrap());
        own.insert("user-agent", "mine".parse().unwrap());
        let mut request = signed(own.clone());
        let ids = TraceIds::default();
        let attempt = (&target(), Moment::ZERO, at());
        let id = ids.mark(&mut request, &user_agent(&target()), attempt);
        assert_eq!(id.as_deref(), Some("Root=1-00000001-000000000000000000000001"));
        assert_eq!(request.headers["user-agent"], "mine");
        assert_eq!(signed_headers(&request), "host;x-amz-date;x-amz-security-token");
        own.get_mut("x-amzn-trace-id").unwrap().set_sensitive(true);
        assert_eq!(ids.mark(&mut signed(own), &user_agent(&target()), attempt), None);
    }

    #[test]
    fn ids_have_the_form_of_x_ray_and_differ_between_attempts_of_the_same_moment() {
        let ids = TraceIds::default();
        let made: BTreeSet<String> = (0..1_000)
            .map(|_| String::from_utf8(ids.next(&target(), Moment::ZERO, at()).to_vec()).unwrap())
            .collect();
        assert_eq!(made.len(), 1_000);
        for id in made {
            let (head, rest) = id.split_at("Root=1-65000000-".len());
            assert_eq!(head, "Root=1-65000000-");
            assert!(rest.len() == 24 && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        }
        // The next agent that starts at the same place of its clock has another wall clock.
        let later = at() + Duration::from_nanos(1);
        assert_ne!(
            TraceIds::default().next(&target(), Moment::ZERO, at()),
            TraceIds::default().next(&target(), Moment::ZERO, later)
        );
    }
}
