//! The server on real loopback sockets: who may read what, and how much a stranger may cost.

use super::*;
use crate::domain::outcome::Reason;
use crate::recording::examples::{attempt, guard, recorder, role, seen, spoke, target, wall};
use crate::recording::{IncludeStatus, Refusal};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);
const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{202e}";

/// A served agent with one target of every state.
struct Agent {
    address: SocketAddr,
    readiness: Readiness,
    recorder: Arc<Recorder>,
    /// How often loads were stopped.
    stops: Arc<AtomicUsize>,
    shutdown: CancellationToken,
    listener: Arc<Listener>,
    state: State,
    serving: tokio::task::JoinHandle<()>,
}

async fn agent(listen: &str, status: StatusAccess) -> Agent {
    let recorder = Arc::new(recorder());
    recorder.set_spokes(&[spoke("payments", &[("team", HOSTILE)])]);
    recorder
        .set_includes(vec![IncludeStatus { file: "teams/b.yaml".into(), problems: vec![HOSTILE.into()] }]);
    let refusal = Refusal::new(Some("AccessDenied"), HOSTILE, ("trust_policy", "No trust."), wall(SECOND));
    recorder.credentials_refused(&role(&["payments"]), &refusal);
    let failing = recorder.add_target(&Arc::new(target("payments/hoot/hello")));
    let mut failed = seen(Reason::VpcEndpointPolicy, Some(403), SECOND, SECOND);
    failed.verdict.message = Some(HOSTILE.into());
    failed.verdict.policy_arn = Some("arn:aws:iam::012345678901:policy/p".into());
    failed.ids.request_id = Some("1-2-3".into());
    failed.ids.sent_trace_id = Some("Root=1-00000001-000000000000000000000001".into());
    attempt(&failing, &failed);
    recorder.add_target(&Arc::new(guard("payments/hoot/refused")));
    let listener =
        bind(&Settings { listen: listen.parse().unwrap(), status, config_file: None }).await.unwrap();
    let (readiness, shutdown) = (Readiness::new(), CancellationToken::new());
    let stops = Arc::new(AtomicUsize::new(0));
    let state = State {
        recorder: Arc::clone(&recorder),
        readiness: readiness.clone(),
        now: Arc::new(|| wall(SECOND * 10)),
        started_at: wall(Duration::ZERO),
        stop_loads: {
            let stops = Arc::clone(&stops);
            Arc::new(move || stops.fetch_add(1, Ordering::Relaxed) + 1)
        },
        reload: None,
        explain: told_of,
    };
    let address = SocketAddr::from(([127, 0, 0, 1], listener.address().port()));
    let listener = Arc::new(listener);
    let serving = served(&listener, &state, &shutdown);
    Agent { address, readiness, recorder, stops, shutdown, listener, state, serving }
}

#[expect(clippy::disallowed_methods, reason = "a test needs no supervisor")]
fn served(
    listener: &Arc<Listener>,
    state: &State,
    shutdown: &CancellationToken,
) -> tokio::task::JoinHandle<()> {
    let (listener, state, shutdown) = (Arc::clone(listener), state.clone(), shutdown.clone());
    tokio::spawn(async move { serve(&listener, state, shutdown).await })
}

/// An explanation that is as hostile as everything else.
fn told_of(_: Reason) -> Explanation {
    let step = Advice { text: "Ask <them>.", command: Some("ask --them \"<b>\"") };
    Explanation { more: "More <i>.", causes: &["A <cause>."], owners: vec!["the hub"], steps: vec![step] }
}

/// Sends raw bytes and reads until the server closes.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that closes with unread bytes resets; what came before counts.
    let _end = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn ask(agent: &Agent, method: &str, path: &str, host: &str) -> (u16, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = raw(agent.address, &request).await;
    (answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0), answer)
}

async fn get(agent: &Agent, path: &str) -> (u16, String) {
    ask(agent, "GET", path, "localhost").await
}

#[tokio::test]
async fn every_path_answers_reads_and_nothing_else_on_a_loopback_listener() {
    let agent = agent("127.0.0.1:0", StatusAccess::Auto).await;
    for path in ["/", "/metrics", "/api/v1/status", "/-/healthy"] {
        let (code, answer) = get(&agent, path).await;
        assert_eq!(code, 200, "{path}: {answer}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
            let (code, answer) = ask(&agent, method, path, "localhost").await;
            assert_eq!(code, 405, "{method} {path}");
            assert!(answer.to_lowercase().contains("\r\nallow: get,head"), "{answer}");
        }
        let (code, answer) = ask(&agent, "HEAD", path, "localhost").await;
        assert!(code == 200 && answer.ends_with("\r\n\r\n"), "{answer}");
    }
    for (method, path) in [("GET", "/x"), ("POST", "/-/loads"), ("GET", "/api/v1/x")] {
        assert_eq!(ask(&agent, method, path, "localhost").await.0, 404, "{method} {path}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let agent = agent("127.0.0.1:0", StatusAccess::Auto).await;
    for (method, path) in
        [("GET", "/"), ("GET", "/metrics"), ("GET", "/nothing"), ("POST", "/"), ("GET", "/-/ready")]
    {
        let (_, answer) = ask(&agent, method, path, "localhost").await;
        for header in [
            "x-content-type-options: nosniff",
            "cache-control: no-store",
            "x-frame-options: DENY",
            "referrer-policy: no-referrer",
            "content-security-policy: default-src 'none'; style-src 'sha256-",
        ] {
            assert!(answer.contains(header), "{method} {path} lacks {header}: {answer}");
        }
    }
}

#[tokio::test]
async fn an_open_listener_gives_away_no_status_unless_told_to() {
    let closed = agent("0.0.0.0:0", StatusAccess::Auto).await;
    for path in ["/", "/api/v1/status", "/api/v1/anything"] {
        let (code, answer) = get(&closed, path).await;
        assert_eq!(code, 403, "{path}");
        assert!(answer.contains("web.status: open") && !answer.contains("payments"), "{answer}");
        assert!(ask(&closed, "POST", path, "localhost").await.0 >= 404, "{path}");
    }
    assert_eq!(get(&closed, "/metrics").await.0, 200);
    assert_eq!(get(&closed, "/-/healthy").await.0, 200);
    let open = agent("0.0.0.0:0", StatusAccess::Open).await;
    assert_eq!(ask(&open, "GET", "/", "probe.internal").await.0, 200);
}

#[tokio::test]
async fn a_page_on_the_internet_cannot_read_the_status_by_a_name_of_its_own() {
    let agent = agent("127.0.0.1:0", StatusAccess::Auto).await;
    for path in ["/", "/api/v1/status"] {
        assert_eq!(ask(&agent, "GET", path, "evil.example:10403").await.0, 403, "{path}");
        assert_eq!(ask(&agent, "GET", path, "127.0.0.1:10403").await.0, 200, "{path}");
    }
    let absolute = "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(raw(agent.address, absolute).await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn ready_says_what_is_missing_and_healthy_does_not_care() {
    let agent = agent("127.0.0.1:0", StatusAccess::Auto).await;
    let (code, answer) = get(&agent, "/-/ready").await;
    assert!(
        code == 503 && answer.ends_with("not ready: not every role has been asked for yet\n"),
        "{answer}"
    );
    assert_eq!(get(&agent, "/-/healthy").await.0, 200);
    agent.readiness.roles_asked();
    assert_eq!(get(&agent, "/-/ready").await.0, 200);
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let agent = agent("127.0.0.1:0", StatusAccess::Auto).await;
    let (_, answer) = get(&agent, "/metrics").await;
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    assert!(body.contains("spokeprobe_up{api=\"hoot\",probe=\"hello\",spoke=\"payments\"} 0\n"), "{body}");
}

#[tokio::test]
async fn a_left_out_file_is_named_everywhere() {
    let agent = agent("127.0.0.1:0", StatusAccess::Auto).await;
    let (_, json) = get(&agent, "/api/v1/status").await;
    assert!(
        json.contains("\"includes\":[{\"file\":\"teams/b.yaml\",\"successful\":false,\"problems\":["),
        "{json}"
    );
    let (_, page) = get(&agent, "/").await;
    assert!(
        page.contains("Left out: <strong>teams/b.yaml</strong>") && !page.contains("<script>alert"),
        "{page}"
    );
    let (_, metrics) = get(&agent, "/metrics").await;
    assert!(metrics.contains("spokeprobe_config_include_successful{file=\"teams/b.yaml\"} 0\n"), "{metrics}");
}

#[tokio::test]
async fn status_tells_the_whole_story_of_a_refusal() {
    let agent = agent("127.0.0.1:0", StatusAccess::Auto).await;
    let (_, answer) = get(&agent, "/api/v1/status").await;
    let status: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let expected = serde_json::json!({
        "spoke": "payments", "api": "hoot", "probe": "hello", "zone": null, "identity": "spoke",
        "request": "GET /", "cadence": {"every_seconds": 30.0}, "guard": false, "up": false,
        "outcome": "denied", "reason": "vpc_endpoint_policy", "expected": false,
        "meaning": "The policy of the shared VPC endpoint in the hub refused.", "unconfirmed": false,
        "code": 403, "since": "2026-01-01T00:00:02.000Z", "last_attempt": "2026-01-01T00:00:02.000Z",
        "streak": 1, "message": HOSTILE.replace('\u{202e}', " "),
        "policy_arn": "arn:aws:iam::012345678901:policy/p",
        "request_ids": {"request_id": "1-2-3", "extended_request_id": null, "trace_id": null,
                        "sent_trace_id": "Root=1-00000001-000000000000000000000001"},
        "door": null, "response_seconds": 1.0,
        "latency": {
            "samples": 1, "p50_seconds": 1.0, "p90_seconds": 1.0, "p99_seconds": 1.0, "max_seconds": 1.0,
        },
    });
    let found = &status["targets"][0];
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&found[key], value, "{key}");
    }
    assert_eq!(found["counts"]["due"], 1);
    assert_eq!(found["failures"], status["failures"]);
    assert_eq!(status["failures"][0]["target"], "payments/hoot/hello");
    assert_eq!(status["targets"][1]["up"], serde_json::Value::Null);
    assert_eq!(status["totals"]["unexpected"], 1);
    assert_eq!(status["agent"]["now"], "2026-01-01T00:00:10.000Z");
    assert_eq!(status["spokes"][0]["credentials"]["state"], "refused");
    assert_eq!(status["spokes"][0]["credentials"]["refusal"]["code"], "AccessDenied");
    assert_eq!(status["spokes"][0]["credentials"]["refusal"]["cause"], "trust_policy");
    assert_eq!(status["spokes"][0]["credentials"]["refusal"]["meaning"], "No trust.");
    let (_, page) = get(&agent, "/").await;
    assert!(page.contains("<span title=\"No trust.\">, trust policy</span> (AccessDenied)"), "{page}");
}

#[tokio::test]
async fn both_pages_show_hostile_text_as_text() {
    let agent = agent("127.0.0.1:0", StatusAccess::Auto).await;
    for path in ["/", "/?spoke=payments", "/?filter=%3Cscript%3Ealert(1)%3C/script%3E%22'%26%E2%80%AE"] {
        let (code, answer) = get(&agent, path).await;
        assert_eq!(code, 200, "{path}");
        assert!(answer.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;'&amp;"), "{path}: {answer}");
        assert!(!answer.contains("<script>alert") && !answer.contains('\u{202e}'), "{path}: {answer}");
    }
    let (_, front) = get(&agent, "/").await;
    assert!(front.contains("payments/hoot/hello") && front.contains("denied: vpc_endpoint_policy"));
    assert!(front.contains("1 of 1 spoke is not as expected"), "{front}");
}

#[tokio::test]
async fn the_page_of_a_spoke_explains_and_one_that_is_not_known_is_not_found() {
    let agent = agent("127.0.0.1:0", StatusAccess::Auto).await;
    let (_, page) = get(&agent, "/?spoke=payments").await;
    for text in [
        "<h1>payments ",
        "The policy of the shared VPC endpoint in the hub refused. More &lt;i&gt;.",
        "Who can change it: </strong>the hub.",
        "<li>A &lt;cause&gt;.</li>",
        "ask --them &quot;&lt;b&gt;&quot;",
        "<dd>1-2-3</dd>",
        "arn:aws:iam::012345678901:policy/p",
        "STS gives no session",
        "no result yet",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    for unknown in ["/?spoke=orders", "/?spoke=", "/?spoke=%3Cb%3E", "/?spoke=../../etc/passwd"] {
        let (code, answer) = get(&agent, unknown).await;
        assert!(code == 404 && answer.contains("No such spoke") && !answer.contains("<b>"), "{answer}");
    }
    let closed = self::agent("0.0.0.0:0", StatusAccess::Auto).await;
    assert_eq!(get(&closed, "/?spoke=payments").await.0, 403);
}

#[tokio::test]
async fn a_port_in_use_is_a_clear_error() {
    let first = agent("127.0.0.1:0", StatusAccess::Auto).await;
    let error = bind(&Settings { listen: first.address, status: StatusAccess::Auto, config_file: None })
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("address {} is in use: another agent? choose web.listen", first.address)
    );
}

#[tokio::test]
async fn strangers_cost_little() {
    let agent = agent("127.0.0.1:0", StatusAccess::Auto).await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(100_000));
    assert!(raw(agent.address, &long).await.starts_with("HTTP/1.1 4"));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "a: b\r\n".repeat(200));
    assert!(raw(agent.address, &many).await.starts_with("HTTP/1.1 431"));
    assert!(raw(agent.address, "\0\u{7f}garbage\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    // Readers that ask and never read: more than may be in memory at once, and the next one still gets in,
    // because small answers wait in the kernel's buffers, not in ours.
    let mut silent = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(agent.address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        silent.push(stream);
    }
    assert_eq!(get(&agent, "/metrics").await.0, 200);
    assert_eq!(agent.recorder.snapshot().task_panics, 0);
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_the_server() {
    let Agent { address, shutdown, serving, .. } = agent("127.0.0.1:0", StatusAccess::Auto).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    shutdown.cancel();
    tokio::time::timeout(SECOND * 10, serving).await.unwrap().unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_panic_in_a_handler_ends_its_connection_alone_and_is_counted() {
    let calm = agent("127.0.0.1:0", StatusAccess::Auto).await;
    calm.serving.abort();
    let stop_loads = Arc::new(|| panic!("on purpose"));
    let state = State { explain: |_| panic!("on purpose"), stop_loads, ..calm.state.clone() };
    let _serving = served(&calm.listener, &state, &calm.shutdown);
    let mut other = TcpStream::connect(calm.address).await.unwrap();
    other.write_all(b"GET /-/healthy HTTP/1.1\r\n").await.unwrap();
    // A page is made beside its connection, which tells of it; whatever else panics is the connection's own task.
    let asked =
        [("GET", "/?spoke=payments", 500), ("POST", "/-/loads/stop", 0), ("GET", "/?spoke=payments", 500)];
    for ((method, path, told), panics) in asked.into_iter().zip(1..) {
        assert_eq!(ask(&calm, method, path, "localhost").await.0, told, "{path}");
        // The peer sees the end a moment before the server does.
        while calm.recorder.snapshot().task_panics < panics {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(calm.recorder.snapshot().task_panics, panics);
    }
    other.write_all(b"Host: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_server_that_ended_by_itself_begins_again_and_who_connected_meanwhile_is_served() {
    let agent = agent("127.0.0.1:0", StatusAccess::Auto).await;
    assert_eq!(get(&agent, "/-/healthy").await.0, 200);
    agent.serving.abort();
    while !agent.serving.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let waiting = get(&agent, "/-/healthy");
    let begun = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        // A handle, to be waited for later.
        [served(&agent.listener, &agent.state, &agent.shutdown)]
    };
    let ((code, _), [again]) = tokio::join!(waiting, begun);
    assert_eq!(code, 200);
    // Told to stop, it lets nobody wait on the port, and does not begin once more.
    agent.shutdown.cancel();
    again.await.unwrap();
    assert!(TcpStream::connect(agent.address).await.is_err());
    served(&agent.listener, &agent.state, &CancellationToken::new()).await.unwrap();
}

/// The address of this machine that is not loopback, if it has one; nothing is sent to find it.
fn outer_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback() && !address.is_unspecified())
}

#[tokio::test]
async fn loads_are_stopped_from_this_machine_only_and_by_no_foreign_page() {
    let agent = agent("0.0.0.0:0", StatusAccess::Auto).await;
    let stop = async |address: SocketAddr, headers: &str| {
        let request =
            format!("POST /-/loads/stop HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n");
        raw(address, &request).await
    };
    let answer = stop(agent.address, "Host: localhost:1\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nstopped 1 load\n"), "{answer}");
    let own = "Host: 127.0.0.1:1\r\nOrigin: http://127.0.0.1:1\r\nSec-Fetch-Site: same-origin\r\n";
    assert!(stop(agent.address, own).await.ends_with("stopped 2 loads\n"));
    for foreign in [
        "Host: localhost:1\r\nOrigin: null\r\n",
        "Host: localhost:1\r\nOrigin: http://evil.example\r\n",
        "Host: localhost:1\r\nSec-Fetch-Site: cross-site\r\n",
        // The name of a page that was made to resolve to this machine.
        "Host: evil.example\r\nOrigin: http://evil.example\r\n",
    ] {
        let answer = stop(agent.address, foreign).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{foreign}: {answer}");
    }
    if let Some(ip) = outer_address() {
        let answer = stop(SocketAddr::new(ip, agent.address.port()), "Host: localhost:1\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("SIGUSR1"), "{answer}");
    }
    assert_eq!(agent.stops.load(Ordering::Relaxed), 2);
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(ask(&agent, method, "/-/loads/stop", "localhost").await.0, 405, "{method}");
    }
    assert_eq!(agent.stops.load(Ordering::Relaxed), 2);
}

/// Head and body of an answer to a peer that wants this coding.
async fn coded(agent: &Agent, path: &str, coding: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(agent.address).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept-Encoding: {coding}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let body = answer.split_off(end);
    (String::from_utf8(answer).unwrap(), body)
}

#[tokio::test]
async fn what_grows_with_the_targets_is_packed_for_those_who_want_it() {
    let agent = agent("127.0.0.1:0", StatusAccess::Auto).await;
    for path in ["/metrics", "/api/v1/status", "/"] {
        let (plain_head, plain) = coded(&agent, path, "gzip;q=0, identity").await;
        let (head, packed) = coded(&agent, path, "br, gzip;q=0.9").await;
        for head in [&plain_head, &head] {
            assert!(
                head.starts_with("HTTP/1.1 200") && head.contains("\r\nvary: accept-encoding\r\n"),
                "{head}"
            );
        }
        assert!(!plain_head.contains("content-encoding"), "{plain_head}");
        assert!(head.contains("\r\ncontent-encoding: gzip\r\n"), "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", packed.len())), "{head}");
        let mut unpacked = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*packed), &mut unpacked).unwrap();
        assert!(packed.len() < unpacked.len(), "{path}: {} of {}", packed.len(), unpacked.len());
        let lines = |text: &str| text.lines().filter(|line| !line.contains("process_")).count();
        assert_eq!(lines(&unpacked), lines(std::str::from_utf8(&plain).unwrap()), "{path}");
    }
    let (head, body) = coded(&agent, "/-/healthy", "gzip").await;
    assert!(!head.contains("content-encoding") && body == b"healthy\n", "small answers stay as they are");
}

/// Answers that nobody reads hold their places until they are dropped.
#[tokio::test]
async fn one_peer_that_never_reads_keeps_no_other_from_a_scrape() {
    use tower::Service as _;
    let agent = agent("127.0.0.1:0", StatusAccess::Auto).await;
    let mut router = routes::router(agent.state.clone(), agent.address, StatusAccess::Auto, None);
    let mut scrape = |peer: [u8; 4]| {
        let peer = access::Peer { ip: peer.into(), certificate: access::Certificate::Missing };
        let request = axum::http::Request::builder().uri("/metrics").header("host", "localhost");
        let mut request = request.body(axum::body::Body::empty()).unwrap();
        request.extensions_mut().insert(peer);
        tokio::time::timeout(SECOND, router.call(request))
    };
    let unread = [scrape([10, 0, 0, 1]).await, scrape([10, 0, 0, 1]).await];
    assert!(unread.iter().all(|answer| answer.as_ref().unwrap().as_ref().unwrap().status() == 200));
    assert!(scrape([10, 0, 0, 1]).await.is_err(), "it waits for its own");
    assert_eq!(scrape([10, 0, 0, 2]).await.unwrap().unwrap().status(), 200);
    drop(unread);
    assert_eq!(scrape([10, 0, 0, 1]).await.unwrap().unwrap().status(), 200);
}
