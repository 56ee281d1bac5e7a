//! Real sockets on loopback against servers of a few lines that behave well or badly.
//!
//! What is asked of sending is asked of both transports alike: `both` makes the two that share nothing but settings.

mod answers;
mod open_files;
mod tls;

use super::{HttpTransport, Lookup, Settings};
use crate::domain::request::{ConnectTarget, Exchange, FailureKind, OutgoingRequest, SendOptions};
use crate::seams::{SystemClock, Transport};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// DNS answers by name; any other name does not exist. Counts how often it is asked.
#[derive(Default)]
pub(in crate::transport) struct Answers {
    by_name: HashMap<&'static str, Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Answers {
    pub(in crate::transport) fn of(entries: &[(&'static str, &[&str])]) -> Arc<Self> {
        let by_name = entries
            .iter()
            .map(|(name, ips)| (*name, ips.iter().map(|ip| ip.parse().unwrap()).collect()))
            .collect();
        Arc::new(Self { by_name, asked: AtomicUsize::new(0) })
    }

    pub(in crate::transport) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Lookup for Answers {
    fn lookup(&self, host: String) -> BoxFuture<'_, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let found = self.by_name.get(host.as_str()).cloned();
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such host")) })
    }
}

pub(in crate::transport) fn transport(pem: Option<String>, answers: Arc<Answers>) -> HttpTransport {
    let settings = Settings { extra_roots_pem: pem, private_ranges: vec![] };
    HttpTransport::with_lookup(&settings, Arc::new(SystemClock::start()), answers).unwrap()
}

/// Both transports by name, for a test that goes through them one after the other.
pub(in crate::transport) fn both(
    pem: Option<&str>,
    answers: &Arc<Answers>,
) -> [(&'static str, Arc<dyn Transport>); 2] {
    let make = || transport(pem.map(str::to_owned), Arc::clone(answers));
    [("reqwest", Arc::new(make())), ("direct", Arc::new(make().direct()))]
}

pub(in crate::transport) fn request(method: Method, path_and_query: &str) -> OutgoingRequest {
    OutgoingRequest {
        method,
        host: "api.test".into(),
        path_and_query: path_and_query.into(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    }
}

pub(in crate::transport) fn plain(port: u16) -> Arc<ConnectTarget> {
    Arc::new(ConnectTarget { tls: false, tls_name: "api.test".into(), host: "127.0.0.1".into(), port })
}

pub(in crate::transport) const OPTIONS: SendOptions =
    SendOptions { timeout: Duration::from_secs(5), fresh_connection: false };

pub(in crate::transport) async fn get(
    transport: &(impl Transport + ?Sized),
    to: Arc<ConnectTarget>,
) -> Exchange {
    transport.send(request(Method::GET, "/"), to, OPTIONS).await
}

pub(in crate::transport) fn kind(exchange: &Exchange) -> FailureKind {
    match &exchange.result {
        Ok(response) => panic!("an answer: {response:?}"),
        Err(failure) => failure.kind,
    }
}

/// A server that hands each connection to `serve`; its port. The task ends with the test's runtime.
#[expect(clippy::disallowed_methods, reason = "a test's server needs no name")]
pub(in crate::transport) async fn server<F, Fut>(serve: F) -> u16
where
    F: Fn(usize, TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(number, stream));
        }
    });
    port
}

/// A server that reads one request head and answers each connection with the same bytes, then closes.
pub(in crate::transport) async fn answering(bytes: impl Into<Vec<u8>>) -> u16 {
    let bytes: Arc<Vec<u8>> = Arc::new(bytes.into());
    server(move |_, mut stream| {
        let bytes = Arc::clone(&bytes);
        async move {
            if read_head(&mut stream).await.is_some() {
                drop(stream.write_all(&bytes).await);
                drop(stream.shutdown().await);
            }
        }
    })
    .await
}

/// The head of a request with its blank line; `None` when the peer closed before.
pub(in crate::transport) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

pub(in crate::transport) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
