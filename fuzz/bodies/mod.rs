//! What the fuzz targets do with an input. They are here, and not in the targets, so that an ordinary test can do the
//! same with the seeds and a few mutations (`tests/it/fuzz_targets.rs`), and keep them compiling.
//!
//! An input is whatever the outside may give: a text where a file is read, an answer where one is received. That nothing
//! panics is the least; what else must hold is asserted beside it.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use spokeprobe::classify::{self, Context, MESSAGE_CHARS_MAX};
use spokeprobe::config::{self, Document, Documents};
use spokeprobe::credentials::{self, SdkSessions};
use spokeprobe::domain::hidden::Hidden;
use spokeprobe::domain::moment::Moment;
use spokeprobe::domain::outcome::Reason;
use spokeprobe::domain::request::{
    ConnectTarget, Exchange, FailureKind, OutgoingRequest, Response, SendOptions, TransportFailure,
};
use spokeprobe::plan::{self, Plan};
use spokeprobe::seams::{
    Clock, FetchFailure, FetchRequest, FetchResponse, Sessions as _, SystemClock, Transport,
};
use spokeprobe::simulator::World;
use spokeprobe::transport::{self, BODY_LIMIT_BYTES, DirectTransport, HttpTransport};
use spokeprobe::web;
use spokeprobe::yaml::Problem;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

/// A body with its name, which is also the name of its target and of the folder of its seeds.
pub(crate) type Body = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const BODIES: [Body; 6] = [
    ("configuration", configuration),
    ("classifier", classifier),
    ("sts", sts),
    ("http", http_answer),
    ("world", world),
    ("web_file", web_file),
];

const EXAMPLE: &str = include_str!("../../config.yaml");

/// Problems can be shown: on one line, with a place in the file or the file as a whole.
fn shown(problems: &[Problem]) {
    assert!(!problems.is_empty(), "refused without a reason");
    for problem in problems {
        let text = problem.to_string();
        assert!(text.len() < 20_000 && !text.chars().any(|c| c == '\n' || c == '\u{1b}'), "{text:?}");
        assert_eq!(problem.line == 0, problem.column == 0, "{text}");
    }
}

/// From a text to a plan, its price and its report.
pub(crate) fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let document = match Document::parse("config.yaml", text) {
        Ok(document) => document,
        Err(problems) => return shown(&problems),
    };
    let environment = |name: &str| (name == "SECRET").then(|| "planted-secret".to_owned());
    let named = config::references(&document, true, &environment);
    let files = named.files.into_iter().map(|name| (name, Ok("{}".to_owned()))).collect();
    let documents = Documents { main: document, included: Vec::new(), files };
    let planned = config::read(&documents, &environment).and_then(|config| plan::plan(&config));
    match planned {
        Err(problems) => {
            shown(&problems);
            let told: String = problems.iter().map(ToString::to_string).collect();
            assert!(!told.contains("planted-secret"), "{told}");
        }
        Ok(plan) => {
            let estimate = plan::estimate(&plan);
            assert!(estimate.requests_per_second.is_finite() && estimate.monthly_cost.total_usd() >= 0.0);
            let (names, in_flight) = plan.connections();
            assert!(names <= plan.targets.len() && in_flight > 0);
        }
    }
}

/// An answer as text: a status line, headers, a blank line, the body. Nothing is refused: what cannot be a header is
/// left out.
fn answer(data: &[u8]) -> (u16, HeaderMap, Bytes) {
    let blank = |ending: &[u8]| {
        data.windows(ending.len()).position(|part| part == ending).map(|at| (at, ending.len()))
    };
    let (at, length) = blank(b"\r\n\r\n").or_else(|| blank(b"\n\n")).unwrap_or((data.len(), 0));
    let (head, body) = (&data[..at], &data[at + length..]);
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status =
        lines.next().and_then(|line| std::str::from_utf8(line).ok()?.split(' ').nth(1)?.parse().ok());
    let mut headers = HeaderMap::new();
    for line in lines.take(128) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let value = line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..]);
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    (status.unwrap_or(403), headers, Bytes::copy_from_slice(&body[..body.len().min(BODY_LIMIT_BYTES)]))
}

/// An answer before every target of the example, from a caller of the same account, of another, of one not known.
pub(crate) fn classifier(data: &[u8]) {
    static NOTHING_HIDDEN: Hidden = Hidden::none();
    static PLAN: LazyLock<Plan> = LazyLock::new(|| {
        let documents = Documents::of_main(Document::parse("config.yaml", EXAMPLE).expect("the example"));
        plan::plan(&config::read(&documents, &|_| None).expect("the example")).expect("the example")
    });
    let (status, headers, body) = answer(data);
    let at = |milliseconds| Moment::from_origin(Duration::from_millis(milliseconds));
    let exchange = Exchange {
        sent: at(1),
        first_byte: Some(at(2)),
        done: at(3),
        retries: 0,
        peer: None,
        result: Ok(Response { status, headers, body, truncated: data.len().is_multiple_of(7) }),
    };
    for target in &PLAN.targets {
        for same_account in [None, Some(true), Some(false)] {
            let context = Context {
                target,
                due: at(0),
                same_account,
                positive_control_ok: data.len().is_multiple_of(2),
                received_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000),
                lesson: None,
                hidden: &NOTHING_HIDDEN,
            };
            let found = classify::classify(&exchange, &context);
            let verdict = &found.verdict;
            assert!(found.code.is_none_or(|code| code == status && (100..=599).contains(&code)));
            for text in verdict.message.iter().chain(&verdict.policy_arn) {
                let long = text.chars().count() > MESSAGE_CHARS_MAX.max(2_048);
                assert!(!long && !text.chars().any(char::is_control), "{text:?}");
            }
            // An answer was there, so that nobody may say that none was sent or received.
            let without =
                [Reason::Overloaded, Reason::Dns, Reason::ConnectRefused, Reason::CredentialsExpired];
            assert!(!without.contains(&verdict.reason), "{verdict:?}");
            assert_eq!(found, classify::classify(&exchange, &context));
        }
    }
}

/// Gives one answer to whatever is fetched.
struct Given(u16, HeaderMap, Bytes);

impl Transport for Given {
    fn send(&self, _: OutgoingRequest, _: Arc<ConnectTarget>, _: SendOptions) -> BoxFuture<'_, Exchange> {
        let now = Moment::from_origin(Duration::ZERO);
        let failure = TransportFailure { kind: FailureKind::Dns, detail: String::new() };
        let (first_byte, retries, peer) = (None, 0, None);
        Box::pin(
            async move { Exchange { sent: now, first_byte, done: now, retries, peer, result: Err(failure) } },
        )
    }

    fn fetch(&self, _: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        let Self(status, headers, body) = self;
        let answer = FetchResponse { status: *status, headers: headers.clone(), body: body.clone() };
        Box::pin(async move { Ok(answer) })
    }
}

/// An answer of STS: to AssumeRole and to GetCallerIdentity.
pub(crate) fn sts(data: &[u8]) {
    const SECRET: &str = "planted-secret-key";
    let (status, headers, body) = answer(data);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let keys = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let settings = credentials::Settings {
        region: "eu-west-1".parse().expect("a region"),
        sts_endpoint_url: None,
        hub_role_arn: None,
        environment: Some(keys.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()),
    };
    let role = Arc::new(spokeprobe::domain::credentials::RoleSession {
        role_arn: "arn:aws:iam::012345678901:role/spokeprobe".parse().expect("an ARN"),
        session_name: "spokeprobe".to_owned(),
        external_id: None,
        duration: Duration::from_secs(3_600),
        session_policy: None,
        session_tags: Vec::new(),
    });
    // Its pauses between tries pass at once.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async move {
        let sessions = SdkSessions::new(&settings, Arc::new(Given(status, headers, body)), clock);
        match sessions.assume_role(role, Duration::from_secs(3_600)).await {
            Ok(session) => {
                assert!(
                    !format!("{session:?}").contains(session.secret_access_key.expose())
                        || session.secret_access_key.expose().len() < 4
                );
                drop(sessions.caller_identity(session).await);
            }
            Err(failure) => {
                assert!(failure.message.chars().count() <= MESSAGE_CHARS_MAX, "{failure:?}");
                assert!(!failure.message.contains(SECRET) && !failure.message.chars().any(char::is_control));
                assert!(failure.code.as_ref().is_none_or(|code| code.chars().count() <= 64), "{failure:?}");
                let _told = credentials::explain_failure(&failure, true);
            }
        }
    });
}

/// A server on loopback that answers every request with what it was given last, byte by byte, and closes.
struct Server {
    port: u16,
    bytes: Arc<Mutex<Arc<Vec<u8>>>>,
    turn: AtomicU32,
    runtime: tokio::runtime::Runtime,
    transport: DirectTransport,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let bytes: Arc<Mutex<Arc<Vec<u8>>>> = Arc::default();
        let given = Arc::clone(&bytes);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let bytes = Arc::clone(&given.lock().expect("nobody panics with it"));
                // The request is one small write.
                let _read = stream.read(&mut [0; 2_048]);
                let _written = stream.write_all(&bytes);
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let http = HttpTransport::new(&transport::Settings::default(), clock).expect("a trust store");
        Self { port, bytes, turn: AtomicU32::new(0), runtime, transport: http.direct() }
    }
}

/// Raw bytes as the answer to a request, read by the transport of load.
pub(crate) fn http_answer(data: &[u8]) {
    static SERVER: LazyLock<Mutex<Server>> = LazyLock::new(|| Mutex::new(Server::start()));
    let server = SERVER.lock().expect("nobody panics with it");
    *server.bytes.lock().expect("nobody panics with it") = Arc::new(data.to_vec());
    // All of 127/8 is this machine; one address would soon have no free pair of ports left.
    let [_, _, third, fourth] = server.turn.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let host = format!("127.0.{}.{}", third % 4, fourth % 50 + 1);
    let to = Arc::new(ConnectTarget { tls: false, tls_name: host.clone(), host, port: server.port });
    let request = OutgoingRequest {
        method: if data.len().is_multiple_of(5) { Method::HEAD } else { Method::GET },
        host: "api.test".to_owned(),
        path_and_query: "/".to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    let options = SendOptions { timeout: Duration::from_secs(5), fresh_connection: true };
    let exchange = server.runtime.block_on(server.transport.send(request, to, options));
    match exchange.result {
        Ok(Response { status, headers, body, .. }) => {
            assert!((100..=999).contains(&status) && headers.len() <= 128 && body.len() <= BODY_LIMIT_BYTES);
        }
        Err(TransportFailure { kind, detail }) => {
            // It was connected, and who closes cannot be slow.
            let possible = [FailureKind::Reset, FailureKind::Protocol];
            assert!(possible.contains(&kind), "{kind:?}: {detail}");
            assert!(detail.chars().count() <= 300 && !detail.chars().any(char::is_control), "{detail:?}");
        }
    }
}

/// A world of the simulator.
pub(crate) fn world(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match World::parse(text) {
        Ok(world) => {
            for (account, api) in world.apis() {
                assert!(world.api(&api.id).is_some(), "an api of {account:?} is not found");
            }
        }
        Err(problem) => assert!(!problem.to_string().is_empty()),
    }
}

/// A web configuration file.
pub(crate) fn web_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match web::check_file("web.yaml", text) {
        Ok(notes) => assert!(notes.iter().all(|note| !note.message.is_empty())),
        Err(problems) => shown(&problems),
    }
}
