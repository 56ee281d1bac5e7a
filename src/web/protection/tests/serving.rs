//! A protected server on real sockets: who gets in, who does not, and what that costs.

use super::super::logins::Login;
use super::super::{Protection, logins};
use super::{Authority, Folder};
use crate::domain::secret::Secret;
use crate::recording::examples::{recorder, wall};
use crate::web::{Readiness, Reload, ReloadRefused, Settings, State, StatusAccess, bind, serve};
use base64::Engine as _;
use rcgen::{Certificate, KeyPair};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

const NAME: &str = "spokeprobe.internal";

struct Served {
    address: SocketAddr,
    reloads: Arc<AtomicUsize>,
    /// The wall clock in milliseconds.
    clock: Arc<AtomicU64>,
    shutdown: CancellationToken,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test needs no supervisor")]
async fn served(listen: &str, config_file: &Path) -> Served {
    let settings = Settings {
        listen: listen.parse().unwrap(),
        status: StatusAccess::Auto,
        config_file: Some(config_file.to_owned()),
    };
    let listener = bind(&settings).await.unwrap();
    let (reloads, clock) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let shutdown = CancellationToken::new();
    let reload: Reload = {
        let reloads = Arc::clone(&reloads);
        Arc::new(move || {
            let count = reloads.fetch_add(1, Ordering::Relaxed) + 1;
            Box::pin(async move {
                if count == 1 {
                    Ok("nothing changed".into())
                } else {
                    Err(ReloadRefused::bad_configuration("no"))
                }
            })
        })
    };
    let state = State {
        recorder: Arc::new(recorder()),
        readiness: Readiness::new(),
        now: {
            let clock = Arc::clone(&clock);
            Arc::new(move || wall(Duration::from_millis(clock.load(Ordering::Relaxed))))
        },
        started_at: wall(Duration::ZERO),
        stop_loads: Arc::new(|| 0),
        reload: Some(reload),
        explain: |_| unreachable!("no spoke"),
    };
    let address = SocketAddr::from(([127, 0, 0, 1], listener.address().port()));
    let until = shutdown.clone();
    tokio::spawn(async move { serve(&listener, state, until).await });
    Served { address, reloads, clock, shutdown }
}

/// A user's line of `Authorization`.
fn basic(user: &str, password: &str) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {text}\r\n")
}

fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> (u16, String) {
    // A server that refuses the certificate closes while we write; then there is no answer.
    let _written = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _end = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    (answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0), answer)
}

fn request(method: &str, path: &str, headers: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n"
    )
}

async fn plain(served: &Served, method: &str, path: &str, headers: &str) -> (u16, String) {
    ask(TcpStream::connect(served.address).await.unwrap(), &request(method, path, headers)).await
}

#[tokio::test]
async fn a_password_opens_everything_and_without_it_only_health_answers() {
    let folder = Folder::new("password");
    let path = folder.write("web.yaml", &format!("basic_auth_users:\n  alice: {}\n", hash("open sesame")));
    let served = served("0.0.0.0:0", &path).await;
    let (right, wrong) = (basic("alice", "open sesame"), basic("alice", "open"));
    for path in ["/", "/metrics", "/api/v1/status"] {
        assert_eq!(plain(&served, "GET", path, &right).await.0, 200, "{path}");
        let (code, answer) = plain(&served, "GET", path, "").await;
        assert!(code == 401 && answer.contains("www-authenticate: Basic realm="), "{path}: {answer}");
        assert!(
            answer.contains("x-content-type-options: nosniff") && !answer.contains("spokeprobe_"),
            "{answer}"
        );
        assert_eq!(plain(&served, "GET", path, &wrong).await.0, 401, "{path}");
    }
    for path in ["/nothing", "/-/healthy/", "/-/healthy?", "//-/healthy", "/-/loads/stop", "/-/healthz"] {
        let code = plain(&served, "GET", path, "").await.0;
        // A query does not make it another path.
        assert_eq!(code, if path == "/-/healthy?" { 200 } else { 401 }, "{path}");
    }
    assert_eq!(plain(&served, "GET", "/-/healthy", &wrong).await.0, 200, "health looks at no password");
    assert_eq!(plain(&served, "GET", "/-/ready", "").await.0, 503);
    assert_eq!(plain(&served, "POST", "/-/healthy", "").await.0, 405);
    // This machine needs it too.
    assert_eq!(plain(&served, "POST", "/-/reload", "").await.0, 401);
    assert_eq!(served.reloads.load(Ordering::Relaxed), 0);
    let foreign = format!("{right}Origin: null\r\n");
    assert_eq!(
        plain(&served, "POST", "/-/reload", &foreign).await.0,
        403,
        "a browser adds the password it knows"
    );
    let (code, answer) = plain(&served, "POST", "/-/reload", &right).await;
    assert!(code == 200 && answer.ends_with("\r\n\r\nnothing changed\n"), "{answer}");
    let (code, answer) = plain(&served, "POST", "/-/reload", &right).await;
    assert!(code == 422 && answer.ends_with("\r\n\r\nno\n"), "{answer}");
    assert_eq!(plain(&served, "GET", "/-/reload", &right).await.0, 405);
}

#[tokio::test]
async fn commands_are_rationed_and_a_reload_every_second_is_fine() {
    let folder = Folder::new("commands");
    let path = folder.write("web.yaml", &format!("basic_auth_users:\n  alice: {}\n", hash("x")));
    let served = served("127.0.0.1:0", &path).await;
    let right = basic("alice", "x");
    let mut codes = Vec::new();
    for _ in 0..12 {
        codes.push(plain(&served, "POST", "/-/loads/stop", &right).await.0);
    }
    assert_eq!(codes, [[200; 10].as_slice(), &[429, 429]].concat());
    for second in 1..=15 {
        served.clock.store(second * 1_000, Ordering::Relaxed);
        assert_eq!(plain(&served, "POST", "/-/loads/stop", &right).await.0, 200);
    }
}

#[tokio::test]
async fn the_file_sets_headers_and_a_rate_limit() {
    let folder = Folder::new("headers");
    let text = "http_server_config: {headers: {X-Frame-Options: sameorigin, Strict-Transport-Security: \
                max-age=1}}\nrate_limit: {interval: 10s, burst: 3}\n";
    let served = served("127.0.0.1:0", &folder.write("web.yaml", text)).await;
    let metrics = async || plain(&served, "GET", "/metrics", "").await;
    for _ in 0..3 {
        let (code, answer) = metrics().await;
        assert_eq!(code, 200);
        assert!(
            answer.contains("x-frame-options: sameorigin\r\n")
                && answer.contains("strict-transport-security: max-age=1")
        );
        assert!(answer.contains("content-security-policy: default-src 'none'"), "what it leaves alone stays");
    }
    let (code, answer) = metrics().await;
    assert!(
        code == 429 && answer.contains("retry-after: 10") && answer.contains("x-frame-options"),
        "{answer}"
    );
    for _ in 0..20 {
        assert_eq!(
            plain(&served, "GET", "/-/healthy", "").await.0,
            200,
            "the container's health check goes on"
        );
    }
    served.clock.store(10_000, Ordering::Relaxed);
    assert_eq!(metrics().await.0, 200);
}

#[tokio::test]
async fn guessing_is_rationed_and_does_not_lock_out_who_knows() {
    let folder = Folder::new("guessing");
    let path = folder.write("web.yaml", &format!("basic_auth_users:\n  alice: {}\n", hash("right")));
    let protection = Protection::load(&path).unwrap();
    let login = async |user: &str, password: &str, peer: [u8; 4], at: u64| {
        let now = wall(Duration::from_secs(at));
        let rules = protection.rules.load_full();
        protection.logins.login(&rules, user.into(), Secret::new(password), peer.into(), now).await
    };
    let (guesser, other) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    assert_eq!(login("alice", "right", guesser, 0).await, Login::Passed);
    for guess in 0..5 {
        assert_eq!(login("alice", &format!("wrong {guess}"), guesser, 0).await, Login::Refused);
    }
    assert_eq!(login("alice", "wrong 5", guesser, 0).await, Login::TooMany);
    assert_eq!(login("nobody", "wrong", guesser, 0).await, Login::TooMany);
    assert_eq!(login("alice", "wrong 3", guesser, 0).await, Login::Refused, "what is known costs nothing");
    assert_eq!(login("alice", "right", guesser, 0).await, Login::Passed, "who is known stays in");
    assert_eq!(login("alice", "wrong", other, 0).await, Login::Refused, "another address has its own ration");
    // From everywhere at once: the ration of all ends.
    let mut refused = 0;
    for peer in 10..60 {
        let login = login("alice", &format!("w {peer}"), [198, 51, 100, peer], 0).await;
        refused += usize::from(login == Login::Refused);
    }
    assert_eq!(refused, 20 - 6);
    assert_eq!(
        login("alice", "right", other, 0).await,
        Login::Passed,
        "a right password needs none of it once known"
    );
    assert_eq!(login("alice", "w", other, 3_600).await, Login::Refused, "later it may be tried again");
}

#[tokio::test]
async fn a_changed_password_is_not_remembered() {
    let folder = Folder::new("changed");
    let path = folder.write("web.yaml", &format!("basic_auth_users:\n  alice: {}\n", hash("old")));
    let protection = Protection::load(&path).unwrap();
    let login = async |password: &str| {
        let rules = protection.rules.load_full();
        let peer = [192, 0, 2, 1].into();
        protection
            .logins
            .login(&rules, "alice".into(), Secret::new(password), peer, wall(Duration::ZERO))
            .await
    };
    assert_eq!((login("old").await, login("new").await), (Login::Passed, Login::Refused));
    folder.write("web.yaml", &format!("basic_auth_users:\n  alice: {}\n", hash("new")));
    protection.look();
    assert_eq!((login("old").await, login("new").await), (Login::Refused, Login::Passed));
    folder.write("web.yaml", "basic_auth_users: {}\n");
    protection.look();
    assert_eq!(login("new").await, Login::Refused);
}

/// Names of users do not show by time: a stranger takes as long as a wrong password. A hash of cost 4 for strangers would
/// take a sixteenth.
#[tokio::test]
async fn strangers_take_as_long_as_wrong_passwords() {
    let folder = Folder::new("timing");
    let slow = bcrypt::hash("right", 8).unwrap();
    let path = folder.write("web.yaml", &format!("basic_auth_users:\n  alice: {slow}\n"));
    let protection = Protection::load(&path).unwrap();
    let took = async |user: &str, guess: u8| {
        let rules = protection.rules.load_full();
        let peer = [192, 0, 2, guess].into();
        let before = seconds();
        let password = Secret::new(format!("guess {guess}"));
        let login = protection.logins.login(&rules, user.into(), password, peer, wall(Duration::ZERO)).await;
        assert_eq!(login, Login::Refused);
        seconds() - before
    };
    // The shortest of several: the machine may be busy.
    let (mut known, mut stranger) = (f64::MAX, f64::MAX);
    for guess in 0..9 {
        known = known.min(took("alice", guess).await);
        stranger = stranger.min(took("mallory", guess + 100).await);
    }
    assert!((0.25..4.0).contains(&(known / stranger)), "{known} and {stranger} s");
}

#[expect(clippy::disallowed_methods, reason = "the time that passes is what is tested")]
fn seconds() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// What is remembered and whom, is bounded.
#[tokio::test]
async fn memory_of_logins_is_bounded() {
    let folder = Folder::new("bounded");
    let path = folder.write("web.yaml", &format!("basic_auth_users:\n  alice: {}\n", hash("right")));
    let protection = Protection::load(&path).unwrap();
    let rules = protection.rules.load_full();
    for n in 0..1_000_u32 {
        let peer = std::net::IpAddr::from((0xc633_0000 + n).to_be_bytes());
        let now = wall(Duration::from_secs(u64::from(n)));
        let password = Secret::new(n.to_string());
        assert_eq!(protection.logins.login(&rules, "a".into(), password, peer, now).await, Login::Refused);
    }
    assert_eq!(protection.logins.sizes(), (0, logins::REMEMBERED, logins::PEERS));
}

/// A client of TLS that trusts this authority and shows this certificate.
fn connector(authority: &Authority, own: Option<&(Certificate, KeyPair)>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap(),
    };
    TlsConnector::from(Arc::new(config))
}

async fn over_tls(served: &Served, connector: &TlsConnector, path: &str) -> (u16, String) {
    let stream = TcpStream::connect(served.address).await.unwrap();
    match connector.connect(ServerName::try_from(NAME).unwrap(), stream).await {
        Ok(stream) => ask(stream, &request("GET", path, "")).await,
        Err(error) => (0, error.to_string()),
    }
}

fn with_tls(folder: &Folder, authority: &Authority, more: &str) -> std::path::PathBuf {
    let (certificate, key) = authority.issue(&[NAME]);
    folder.write("server.crt", &certificate.pem());
    folder.write("server.key", &key.serialize_pem());
    folder.write("ca.crt", &authority.certificate.pem());
    folder.write(
        "web.yaml",
        &format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{more}"),
    )
}

#[tokio::test]
async fn tls_is_spoken_and_plain_http_is_told_so() {
    let folder = Folder::new("tls");
    let authority = Authority::new();
    let path = with_tls(&folder, &authority, "");
    let served = served("0.0.0.0:0", &path).await;
    let client = connector(&authority, None);
    assert_eq!(over_tls(&served, &client, "/metrics").await.0, 200);
    assert_eq!(over_tls(&served, &client, "/").await.0, 403, "TLS alone is no credential");
    let (code, answer) = plain(&served, "GET", "/metrics", "").await;
    assert!(code == 400 && answer.ends_with("This port speaks https only.\r\n"), "{answer}");
    let stranger = connector(&Authority::new(), None);
    assert_eq!(
        over_tls(&served, &stranger, "/metrics").await.0,
        0,
        "the client checks, so the test would notice"
    );
}

#[tokio::test]
async fn certificates_of_clients_let_in_those_they_name() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (good, bad) = (authority.issue(&["scraper.internal"]), other.issue(&["scraper.internal"]));
    let wrong_name = authority.issue(&["elsewhere.internal"]);
    let none: Option<&(Certificate, KeyPair)> = None;
    // What `/metrics` and `/` answer to: nobody, a stranger's certificate, ours, ours of another name. 0 is no
    // connection. The peer is this machine, so without a certificate a connection comes about.
    let cases: [(&str, [(u16, u16); 4]); 6] = [
        ("", [(200, 403); 4]),
        ("  client_auth_type: RequestClientCert\n", [(200, 403); 4]),
        ("  client_auth_type: RequireAnyClientCert\n", [(403, 403), (200, 403), (200, 403), (200, 403)]),
        (
            "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n",
            [(200, 403), (0, 0), (200, 200), (200, 200)],
        ),
        (
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n",
            [(403, 403), (0, 0), (200, 200), (200, 200)],
        ),
        (
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans: \
             [scraper.internal]\n",
            [(403, 403), (0, 0), (200, 200), (0, 0)],
        ),
    ];
    for (number, (more, wanted)) in cases.into_iter().enumerate() {
        let folder = Folder::new(&format!("clients-{number}"));
        let served = served("0.0.0.0:0", &with_tls(&folder, &authority, more)).await;
        for (own, wanted) in [none, Some(&bad), Some(&good), Some(&wrong_name)].into_iter().zip(wanted) {
            let client = connector(&authority, own);
            let got =
                (over_tls(&served, &client, "/metrics").await.0, over_tls(&served, &client, "/").await.0);
            assert_eq!(got, wanted, "{more}");
            let health = over_tls(&served, &client, "/-/healthy").await.0;
            assert_eq!(health, if wanted.0 == 0 { 0 } else { 200 }, "{more}");
        }
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_connection() {
    let folder = Folder::new("renewed");
    let authority = Authority::new();
    let path = with_tls(&folder, &authority, "");
    let served = served("127.0.0.1:0", &path).await;
    let other = Authority::new();
    let (old, new) = (connector(&authority, None), connector(&other, None));
    assert_eq!(over_tls(&served, &old, "/-/healthy").await.0, 200);
    assert_eq!(over_tls(&served, &new, "/-/healthy").await.0, 0);
    with_tls(&folder, &other, "");
    for _ in 0..50 {
        if over_tls(&served, &new, "/-/healthy").await.0 == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(over_tls(&served, &new, "/-/healthy").await.0, 200);
    assert_eq!(over_tls(&served, &old, "/-/healthy").await.0, 0);
}

#[tokio::test]
async fn a_file_with_problems_is_not_served() {
    let folder = Folder::new("broken");
    let path = folder.write("web.yaml", "tls_server_config: {cert_file: a}\nrate_limits: {}\n");
    let settings = Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        status: StatusAccess::Auto,
        config_file: Some(path),
    };
    let text = bind(&settings).await.unwrap_err().to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("web.yaml:2:1: rate_limits: found the unknown key"), "{text}");
}
