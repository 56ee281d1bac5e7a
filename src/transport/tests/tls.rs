//! TLS: names, certificates, garbage, and the handshake without a request.

use super::*;
use crate::domain::request::FailureKind as Kind;
use crate::seams::Link as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Mutex;
use tokio_rustls::TlsAcceptor;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Option<String> {
        Some(self.0.pem())
    }

    fn acceptor(&self, name: &str, expired: bool) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_before = rcgen::date_time_ymd(2019, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// SNI, ALPN and head of each request, as the server saw them.
type Seen = Arc<Mutex<Vec<(String, String, String)>>>;

async fn tls_server(acceptor: TlsAcceptor) -> (u16, Seen) {
    let seen = Seen::default();
    let into = Arc::clone(&seen);
    let port = server(move |_, stream| {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&into));
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let tls = stream.get_ref().1;
            let sni = tls.server_name().unwrap_or("none").to_owned();
            let alpn = String::from_utf8(tls.alpn_protocol().unwrap_or(b"none").to_vec()).unwrap();
            while let Some(head) = read_head(&mut stream).await {
                seen.lock().unwrap().push((sni.clone(), alpn.clone(), head));
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (port, seen)
}

fn target(tls_name: &str, host: &str, port: u16) -> Arc<ConnectTarget> {
    Arc::new(ConnectTarget { tls: true, tls_name: tls_name.into(), host: host.into(), port })
}

#[tokio::test]
async fn tls_name_host_header_and_place_are_three_values() {
    let authority = Authority::new();
    let (port, seen) = tls_server(authority.acceptor("vpce.test", false)).await;
    let answers = Answers::of(&[("vpce.test", &["127.0.0.1"]), ("elsewhere.test", &["127.0.0.1"])]);
    for (_, transport) in both(authority.pem().as_deref(), &answers) {
        for host in ["vpce.test", "VPCE.test", "elsewhere.test", "127.0.0.1"] {
            let exchange = get(&*transport, target("vpce.test", host, port)).await;
            assert_eq!(exchange.result.unwrap().status, 200, "{host}");
            let (sni, alpn, head) = seen.lock().unwrap().pop().unwrap();
            assert_eq!((sni.as_str(), alpn.as_str()), ("vpce.test", "http/1.1"));
            assert!(head.contains("\r\nhost: api.test\r\n"), "{head}");
        }
        // A pooled connection asks DNS no more, a fresh one does.
        let before = answers.asked.load(Ordering::Relaxed);
        assert!(get(&*transport, target("vpce.test", "vpce.test", port)).await.result.is_ok());
        assert_eq!(answers.asked.load(Ordering::Relaxed), before);
        let fresh = SendOptions { fresh_connection: true, ..OPTIONS };
        let exchange =
            transport.send(request(Method::GET, "/"), target("vpce.test", "vpce.test", port), fresh).await;
        assert!(exchange.result.is_ok());
        assert_eq!(answers.asked.load(Ordering::Relaxed), before + 1);
    }
}

#[tokio::test]
async fn certificates_that_do_not_fit() {
    let authority = Authority::new();
    let (good, seen) = tls_server(authority.acceptor("api.test", false)).await;
    let (expired, _) = tls_server(authority.acceptor("api.test", true)).await;
    let pem = authority.pem();
    let trusting = both(pem.as_deref(), &Answers::of(&[]));
    let link = transport(pem.clone(), Answers::of(&[]));
    for (name, tls_name, port) in [("wrong name", "other.test", good), ("expired", "api.test", expired)] {
        for (over, transport) in &trusting {
            let exchange = get(&**transport, target(tls_name, "127.0.0.1", port)).await;
            assert_eq!(kind(&exchange), Kind::Certificate, "{over} {name}: {:?}", exchange.result);
        }
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        let failed = link.handshake(address, tls_name.into(), OPTIONS.timeout).await.unwrap_err();
        assert_eq!(failed.kind, Kind::Certificate, "{name}");
    }
    let stranger = Authority::new().pem();
    for (over, transport) in both(stranger.as_deref(), &Answers::of(&[])) {
        let exchange = get(&*transport, target("api.test", "127.0.0.1", good)).await;
        assert_eq!(kind(&exchange), Kind::Certificate, "{over}: {:?}", exchange.result);
    }
    let link = transport(stranger, Answers::of(&[]));
    let address = format!("127.0.0.1:{good}").parse().unwrap();
    let failed = link.handshake(address, "api.test".into(), OPTIONS.timeout).await.unwrap_err();
    assert_eq!(failed.kind, Kind::Certificate);
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_no_tls_at_all() {
    let garbage = server(|_, mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        drop(stream.read_u8().await);
    })
    .await;
    let alert = server(|_, mut stream| async move {
        drop(stream.read_u8().await);
        // A fatal handshake_failure.
        drop(stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).await);
        drop(stream.shutdown().await);
        while stream.read_u8().await.is_ok() {}
    })
    .await;
    let closed = server(|_, stream| async move { drop(stream) }).await;
    let link = transport(None, Answers::of(&[]));
    for (name, port) in [("garbage", garbage), ("alert", alert), ("closed", closed)] {
        for (over, transport) in both(None, &Answers::of(&[])) {
            let exchange = get(&*transport, target("api.test", "127.0.0.1", port)).await;
            assert_eq!(kind(&exchange), Kind::Tls, "{over} {name}: {:?}", exchange.result);
            assert!(exchange.first_byte.is_none());
        }
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        let failed = link.handshake(address, "api.test".into(), OPTIONS.timeout).await.unwrap_err();
        assert_eq!(failed.kind, Kind::Tls, "{name}: {failed:?}");
    }
}

#[tokio::test]
async fn a_handshake_shows_times_version_and_certificate() {
    let authority = Authority::new();
    let (port, seen) = tls_server(authority.acceptor("api.test", false)).await;
    let answers = Answers::of(&[("api.test", &["127.0.0.1", "203.0.113.1"]), ("empty.test", &[])]);
    let transport = transport(authority.pem(), answers);
    let found = transport.resolve("api.test".into()).await.unwrap();
    assert_eq!(found.len(), 2, "the watch sees public addresses as well");
    assert_eq!(transport.resolve("nope.test".into()).await.unwrap_err().kind, Kind::Dns);
    assert_eq!(transport.resolve("empty.test".into()).await.unwrap_err().kind, Kind::Dns);
    let shaken = transport
        .handshake(format!("127.0.0.1:{port}").parse().unwrap(), "api.test".into(), OPTIONS.timeout)
        .await
        .unwrap();
    assert_eq!(shaken.tls_version, "TLSv1.3");
    assert!(shaken.chain[0].len() > 100 && !shaken.tls.is_zero());
    assert!(seen.lock().unwrap().is_empty(), "no request is made");
    let public = "203.0.113.1:443".parse().unwrap();
    let refused = transport.handshake(public, "api.test".into(), OPTIONS.timeout).await.unwrap_err();
    assert_eq!(refused.kind, Kind::DnsPublicAddress);
}

#[tokio::test]
async fn one_that_accepts_and_says_nothing_is_told_from_one_where_nobody_is() {
    let silent = server(|_, mut stream| async move { while stream.read_u8().await.is_ok() {} }).await;
    let transport = transport(None, Answers::of(&[]));
    let address = format!("127.0.0.1:{silent}").parse().unwrap();
    let failed =
        transport.handshake(address, "api.test".into(), Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(
        (failed.kind, &*failed.detail),
        (Kind::ConnectTimeout, "connected, but no TLS handshake in time")
    );
}

#[tokio::test]
async fn a_pooled_connection_resumes_a_session_and_a_fresh_one_never() {
    let authority = Authority::new();
    let acceptor = authority.acceptor("api.test", false);
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&kinds);
    // Each connection serves one request, and says so.
    let port = server(move |_, stream| {
        let (acceptor, kinds) = (acceptor.clone(), Arc::clone(&into));
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            read_head(&mut stream).await.unwrap();
            kinds.lock().unwrap().push(stream.get_ref().1.handshake_kind().unwrap());
            let closing = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
            stream.write_all(closing.as_bytes()).await.unwrap();
            drop(stream.shutdown().await);
        }
    })
    .await;
    for (over, transport) in both(authority.pem().as_deref(), &Answers::of(&[])) {
        for fresh_connection in [false, false, true] {
            let options = SendOptions { fresh_connection, ..OPTIONS };
            let to = target("api.test", "127.0.0.1", port);
            let exchange = transport.send(request(Method::GET, "/"), to, options).await;
            assert_eq!((exchange.retries, exchange.result.unwrap().status), (0, 200), "{over}");
        }
        let seen = std::mem::take(&mut *kinds.lock().unwrap());
        assert_eq!(seen.len(), 3);
        assert_ne!(seen[0], rustls::HandshakeKind::Resumed, "{over}");
        assert_eq!(seen[1], rustls::HandshakeKind::Resumed, "{over}");
        assert_ne!(seen[2], rustls::HandshakeKind::Resumed, "{over}");
    }
}
