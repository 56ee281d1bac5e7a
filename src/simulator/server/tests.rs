//! The sockets: the same bytes as the core, faults as the network shows them, and the limits.

use super::*;
use crate::seams::SystemClock;
use crate::simulator::Connection;
use crate::simulator::reply::WireFault;
use crate::simulator::wire::RawRequest;
use crate::simulator::world::{Fault, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const REQUEST: &str = "GET /api/ HTTP/1.1\r\nHost: a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com\r\n\r\n";

fn hub() -> Arc<Hub> {
    Arc::new(Hub::new(World::default_world().unwrap(), SystemClock::start().wall()))
}

async fn start(hub: Arc<Hub>, change: impl FnOnce(&mut ServerOptions)) -> Running {
    let mut options = ServerOptions { plain_endpoint: true, ..ServerOptions::default() };
    change(&mut options);
    Server::start(hub, options, Arc::new(SystemClock::start())).await.unwrap()
}

async fn talk(address: SocketAddr, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

fn closing(request: &str) -> String {
    request.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)
}

#[tokio::test]
async fn sockets_carry_what_the_core_answers() {
    let running = start(hub(), |_| {}).await;
    let core = hub();
    for request in [
        closing(REQUEST),
        closing(&REQUEST.replace("a1b2c3d4e5", "i9j0k1l2m3")),
        closing(&REQUEST.replace("a1b2c3d4e5", "nosuchapi0")),
        closing(&REQUEST.replace("GET", "HEAD")),
        closing("POST /api/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer y\r\nContent-Length: 2\r\n\r\nhi"),
    ] {
        let parsed = RawRequest::parse(request.as_bytes()).unwrap();
        let now = SystemClock::start().wall();
        let reply = core.respond(Door::Endpoint, &parsed, &Connection::default(), now);
        let body: &[u8] = if parsed.method == "HEAD" { b"" } else { &reply.body };
        let mut expected = reply.head(body.len() as u64, false);
        expected.extend_from_slice(body);
        let answer = talk(running.endpoint_addr, request.as_bytes()).await.unwrap();
        let without_date = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            text.lines().filter(|line| !line.starts_with("Date: ")).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(without_date(&answer), without_date(&expected));
    }
    assert_eq!(running.hub().counts(), core.counts());
    running.shutdown().await;
}

#[tokio::test]
async fn a_connection_is_kept_for_pipelined_and_split_requests_and_closed_when_idle() {
    let running = start(hub(), |options| options.idle_timeout = Duration::from_millis(200)).await;
    let mut stream = TcpStream::connect(running.endpoint_addr).await.unwrap();
    let both = format!("{REQUEST}{REQUEST}");
    for piece in both.as_bytes().chunks(7) {
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
    }
    let mut answer = Vec::new();
    // The end comes from the server, which finds the connection idle.
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer).matches("HTTP/1.1 403").count(), 2);
}

#[tokio::test]
async fn faults_show_on_the_wire() {
    let hub = hub();
    let running = start(Arc::clone(&hub), |_| {}).await;
    let set = |fault| hub.change(|world| world.endpoint.fault = Some(Fault::Wire(fault)));
    set(WireFault::Reset);
    let error = talk(running.endpoint_addr, REQUEST.as_bytes()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    set(WireFault::Close);
    assert_eq!(talk(running.endpoint_addr, REQUEST.as_bytes()).await.unwrap(), b"");
    set(WireFault::Garbage);
    assert!(!talk(running.endpoint_addr, REQUEST.as_bytes()).await.unwrap().starts_with(b"HTTP"));
    set(WireFault::HugeBody(300_000));
    let answer = talk(running.endpoint_addr, closing(REQUEST).as_bytes()).await.unwrap();
    assert!(answer.len() > 300_000 && answer.ends_with(b"xxx"));
    set(WireFault::HalfBody);
    let answer = talk(running.endpoint_addr, REQUEST.as_bytes()).await.unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let promised: usize =
        text.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
    assert_eq!(text.split("\r\n\r\n").nth(1).unwrap().len() + 1000, promised);
}

#[tokio::test]
async fn rubbish_and_too_much_are_refused_and_the_server_goes_on() {
    let running =
        start(hub(), |options| options.control = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).await;
    for (bytes, answer) in [
        (b"\x16\x03\x01 nonsense\r\n\r\n".to_vec(), "HTTP/1.1 400"),
        (format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(70_000)).into_bytes(), "HTTP/1.1 413"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n".to_vec(), "HTTP/1.1 413"),
    ] {
        // The server may close before all was sent, which is an error of writing and no failure here.
        if let Ok(got) = talk(running.endpoint_addr, &bytes).await {
            assert!(String::from_utf8_lossy(&got).starts_with(answer), "{got:?}");
        }
    }
    let _answer = talk(running.endpoint_addr, closing(REQUEST).as_bytes()).await.unwrap();
    let counts = talk(running.control_addr.unwrap(), b"GET /counts HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&counts).into_owned();
    let counts: crate::simulator::Counts =
        serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((counts.total(), counts.of_api("a1b2c3d4e5")), (1, 1));
    let totals =
        talk(running.control_addr.unwrap(), b"GET /totals HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    let totals = String::from_utf8_lossy(&totals.unwrap()).into_owned();
    assert!(totals.ends_with(r#"{"requests":1,"sts":0,"credentials":0}"#), "{totals}");
}

#[tokio::test]
async fn tls_offers_a_certificate_for_the_worlds_names_and_no_http_2() {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    let running = start(hub(), |options| options.plain_endpoint = false).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(running.ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    for (name, good) in [
        ("a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com", true),
        ("vpce-0123456789abcdef0-abcdefgh.execute-api.eu-west-1.vpce.amazonaws.com", true),
        ("localhost", true),
        ("example.com", false),
    ] {
        let stream = TcpStream::connect(running.endpoint_addr).await.unwrap();
        let made = connector.connect(ServerName::try_from(name).unwrap(), stream).await;
        assert_eq!(made.is_ok(), good, "{name}: {:?}", made.err());
        if let Ok(mut stream) = made {
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
            stream.write_all(closing(REQUEST).as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 403"));
        }
    }
}
