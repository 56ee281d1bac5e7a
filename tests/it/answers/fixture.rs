//! Reads the recorded answers of `tests/fixtures/answers`, and puts one before the classifier.
//!
//! A file begins with `key: value` lines, then a blank line, then the answer as it came; `README.md` there says
//! what the keys mean.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use spokeprobe::classify::{Classified, Context, classify};
use spokeprobe::domain::api::{Addressing, ApiName};
use spokeprobe::domain::expectation::Expectation;
use spokeprobe::domain::hidden::Hidden;
use spokeprobe::domain::identity::{Identity, Signer};
use spokeprobe::domain::moment::Moment;
use spokeprobe::domain::outcome::Reason;
use spokeprobe::domain::request::{Exchange, FailureKind, RequestTemplate, Response, TransportFailure};
use spokeprobe::domain::target::{Cadence, Replica, Target, TargetId};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// One recorded answer and what it means.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    pub(crate) name: String,
    /// The row of the project's table of answers, or `lie`.
    pub(crate) row: String,
    /// Who really stopped the call: a reason's word, or a word of its own where no reason says it.
    pub(crate) layer: String,
    /// What the classifier must say.
    pub(crate) expect: Reason,
    pub(crate) policy_arn: Option<String>,
    pub(crate) mark: String,
    pub(crate) anonymous: bool,
    pub(crate) same_account: Option<bool>,
    pub(crate) answer: Result<Response, TransportFailure>,
}

/// Every fixture, by name.
static NOTHING: Hidden = Hidden::none();

pub(crate) fn all() -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/answers");
    let mut found: Vec<Fixture> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            read(&name, &fs::read(&path).unwrap())
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Reads one fixture. A body may hold any bytes.
pub(crate) fn read(name: &str, bytes: &[u8]) -> Fixture {
    let (head, rest) = split(bytes);
    let mut keys: BTreeMap<String, String> = head
        .lines()
        .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{name}: {line:?} is no key")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    keys.remove("note");
    keys.remove("method");
    let mut take = |key: &str| keys.remove(key);
    let must = |value: Option<String>, key: &str| value.unwrap_or_else(|| panic!("{name}: {key} is missing"));
    let answer = match (take("transport"), take("detail")) {
        (Some(kind), detail) => {
            Err(TransportFailure { kind: kind_of(&kind), detail: must(detail, "detail") })
        }
        (None, _) => Ok(answer(name, rest)),
    };
    let caller = must(take("caller"), "caller");
    assert!(["signed", "anonymous"].contains(&caller.as_str()), "{name}: caller {caller}");
    let mark = must(take("mark"), "mark");
    let marks = ["observed", "documented", "derived", "unconfirmed", "hostile"];
    assert!(marks.contains(&mark.as_str()), "{name}: mark {mark}");
    let fixture = Fixture {
        name: name.to_owned(),
        row: must(take("row"), "row"),
        layer: must(take("layer"), "layer"),
        expect: must(take("expect"), "expect").parse().unwrap(),
        policy_arn: take("policy-arn"),
        mark,
        anonymous: caller == "anonymous",
        same_account: take("same-account").map(|word| word == "yes"),
        answer,
    };
    assert!(keys.is_empty(), "{name}: unknown keys {keys:?}");
    fixture
}

/// What stands before the first blank line, and what after it.
fn split(bytes: &[u8]) -> (&str, &[u8]) {
    let end = bytes.windows(2).position(|two| two == b"\n\n");
    let (head, rest) = end.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 2..]));
    (std::str::from_utf8(head).unwrap().trim_end(), rest)
}

fn answer(name: &str, bytes: &[u8]) -> Response {
    let (head, body) = split(bytes);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (header, value) = line.split_once(": ").unwrap_or_else(|| panic!("{name}: {line:?}"));
        headers.append(
            HeaderName::from_bytes(header.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    Response {
        status: status.parse().unwrap(),
        headers,
        body: Bytes::copy_from_slice(body),
        truncated: false,
    }
}

fn kind_of(word: &str) -> FailureKind {
    match word {
        "dns" => FailureKind::Dns,
        "dns_public_address" => FailureKind::DnsPublicAddress,
        "connect_timeout" => FailureKind::ConnectTimeout,
        "connect_refused" => FailureKind::ConnectRefused,
        "tls" => FailureKind::Tls,
        "certificate" => FailureKind::Certificate,
        "reset" => FailureKind::Reset,
        "protocol" => FailureKind::Protocol,
        "response_timeout" => FailureKind::ResponseTimeout,
        other => panic!("no kind of failure is {other}"),
    }
}

/// The judgement over an answer, for a plain probe that expects a 2xx.
pub(crate) fn judged(
    answer: Result<Response, TransportFailure>,
    anonymous: bool,
    same_account: Option<bool>,
) -> Classified {
    let target = Target {
        twins: false,
        id: TargetId {
            spoke: "payments".parse().unwrap(),
            api: "hoot".parse().unwrap(),
            probe: "hello".parse().unwrap(),
            zone: None,
        },
        account: "222233334444".parse().unwrap(),
        api: ApiName::Id { id: "a1b2c3d4e5".parse().unwrap(), stage: "api".parse().unwrap() },
        addressing: Addressing::PrivateDns,
        identity: if anonymous { Identity::Anonymous } else { Identity::Hub },
        signer: if anonymous { Signer::Anonymous } else { Signer::Hub },
        signer_account: None,
        request: RequestTemplate {
            method: Method::GET,
            path_and_query: "/orders".into(),
            headers: Vec::new(),
            body: None,
        },
        expectation: Expectation::default(),
        cadence: Cadence::Every(Duration::from_secs(30)),
        replica: Replica::ONLY,
        timeout: Duration::from_secs(31),
        fresh_connection: false,
        positive_control: None,
    };
    let exchange = Exchange {
        sent: Moment::from_origin(Duration::from_secs(10)),
        first_byte: None,
        done: Moment::from_origin(Duration::from_secs(11)),
        retries: 0,
        peer: None,
        result: answer,
    };
    let context = Context {
        lesson: None,
        target: &target,
        due: Moment::from_origin(Duration::from_secs(10)),
        same_account,
        positive_control_ok: false,
        received_at: UNIX_EPOCH + Duration::from_secs(1_795_289_100),
        hidden: &NOTHING,
    };
    classify(&exchange, &context)
}

impl Fixture {
    /// What the classifier makes of it.
    pub(crate) fn judged(&self) -> Classified {
        judged(self.answer.clone(), self.anonymous, self.same_account)
    }
}
