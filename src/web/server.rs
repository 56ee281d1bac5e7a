//! Listening and serving, with limits: a stranger on the port must not cost the probes anything.
//!
//! axum's own server has no limit on connections, heads or slow peers, so hyper is driven here. Every span
//! is on tokio's timer.

use crate::web::access::{Certificate, Peer};
use crate::web::bucket::Bucket;
use crate::web::protection::{LOOK_EVERY, Protection};
use crate::web::response_deadline::ResponseDeadline;
use crate::web::secured::{self, Secured};
use crate::web::{Settings, State, StatusAccess, routes};
use crate::yaml::Problem;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Connections at once.
const CONNECTIONS: usize = 64;
/// Connections at once from one address, so that one peer cannot take every seat.
const CONNECTIONS_PER_PEER: usize = 16;
/// Seats beyond `CONNECTIONS` for loopback peers: the local health check gets an answer while others push.
const SEATS_FOR_LOOPBACK: usize = 8;
/// The longest time to send a request's head; also how long an idle connection lives. It lies between the
/// usual scrape intervals, so that a connection is not closed just when the next scrape begins.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest time for a handshake of TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes of others than this machine in a row, and how long one is held against the next.
const HANDSHAKES: u32 = 100;
const BETWEEN_HANDSHAKES: Duration = Duration::from_millis(50);
/// The longest time to take an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest life of a connection before it is asked to end.
const CONNECTION_LIFE: Duration = Duration::from_secs(600);
/// How long answers may take to go out when the server stops.
const DRAIN: Duration = Duration::from_secs(3);
/// The largest head of a request, and the most headers in it; beyond that 431.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_FIELDS: usize = 64;

/// A bound listener. It is kept while the server that serves on it may have to begin again.
#[derive(Debug)]
pub struct Listener {
    /// Nothing once a server on it was told to stop.
    inner: Mutex<Option<Arc<TcpListener>>>,
    address: SocketAddr,
    status: StatusAccess,
    protection: Option<Arc<Protection>>,
}

impl Listener {
    /// The address that is listened on, with the port the system chose if 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Why the agent cannot listen.
#[derive(Debug)]
pub enum BindError {
    /// The address cannot be listened on.
    Address {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The web configuration file, or what it names, has these problems.
    File(Vec<Problem>),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, source) = match self {
            Self::Address { address, source } => (address, source),
            Self::File(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                return f.write_str(&lines.join("\n"));
            }
        };
        match source.kind() {
            io::ErrorKind::AddrInUse => {
                write!(f, "address {address} is in use: another agent? choose web.listen")
            }
            io::ErrorKind::PermissionDenied => {
                write!(f, "not allowed to listen on {address}: choose a port above 1023 in web.listen")
            }
            io::ErrorKind::AddrNotAvailable => {
                write!(f, "this machine has no address {}: choose web.listen", address.ip())
            }
            _ => write!(f, "cannot listen on {address}: {source}; choose web.listen"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address { source, .. } => Some(source),
            Self::File(_) => None,
        }
    }
}

/// Reads the web configuration file and binds the listener, so that what is wrong with either is known before
/// anything else begins.
///
/// # Errors
/// When the file has problems or the system refuses the address; the text says what to change.
pub async fn bind(settings: &Settings) -> Result<Listener, BindError> {
    let protection = settings.config_file.as_deref().map(Protection::load).transpose();
    let protection = protection.map_err(BindError::File)?.map(Arc::new);
    let failed = |source| BindError::Address { address: settings.listen, source };
    let inner = TcpListener::bind(settings.listen).await.map_err(failed)?;
    let address = inner.local_addr().map_err(failed)?;
    let inner = Mutex::new(Some(Arc::new(inner)));
    Ok(Listener { inner, address, status: settings.status, protection })
}

/// Serves until `shutdown`, then lets answers under way go out for up to 3 s. After a panic it may be called again with
/// the same listener: who connects meanwhile waits in the system's queue. A panic that belongs to one connection ends
/// that one alone, and is counted.
pub async fn serve(listener: &Listener, state: State, shutdown: CancellationToken) {
    let Listener { inner: kept, address, status, protection } = listener;
    let Some(inner) = kept.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
    state.readiness.listening();
    let recorder = Arc::clone(&state.recorder);
    let now = Arc::clone(&state.now);
    let app = routes::router(state, *address, *status, protection.clone());
    let seats = Seats::default();
    let handshakes = Bucket::new(HANDSHAKES);
    let mut connections = JoinSet::new();
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looking: Option<JoinHandle<()>> = None;
    loop {
        let accepted = tokio::select! {
            accepted = inner.accept() => accepted,
            _tick = looks.tick(), if protection.is_some() => {
                // On a thread that may wait; a look at a disk that hangs is not followed by another.
                let idle = looking.as_ref().is_none_or(JoinHandle::is_finished);
                if let Some(protection) = protection.clone().filter(|_| idle) {
                    looking = Some(tokio::task::spawn_blocking(move || protection.look()));
                }
                continue;
            }
            Some(ended) = connections.join_next() => {
                note_panic(&ended, &recorder);
                continue;
            }
            () = shutdown.cancelled() => break,
        };
        match accepted {
            // Without a seat the connection is closed at once: waiting for one would keep others waiting.
            Ok((stream, peer)) => {
                let ip = peer.ip();
                let Some(seat) = seats.take(ip) else { continue };
                let (app, shutdown) = (app.clone(), shutdown.clone());
                let served = move |certificate| app.layer(axum::Extension(Peer { ip, certificate }));
                match protection.as_ref().and_then(|protection| protection.tls_for(ip)) {
                    None => {
                        connections.spawn(async move {
                            connection(stream, served(Certificate::Missing), shutdown).await;
                            drop(seat);
                        });
                    }
                    // A handshake costs up to some milliseconds of the threads that probes run on.
                    Some(_)
                        if !ip.to_canonical().is_loopback()
                            && !handshakes.take(now(), BETWEEN_HANDSHAKES) => {}
                    Some((config, verifies)) => {
                        connections.spawn(async move {
                            let ready = timeout(HANDSHAKE_TIMEOUT, secured::accept(stream, config, verifies));
                            if let Ok(Some(Secured { stream, certificate })) = ready.await {
                                connection(stream, served(certificate), shutdown).await;
                            }
                            drop(seat);
                        });
                    }
                }
            }
            Err(error) => {
                // Mostly "too many open files": it passes, and a loop without a pause would burn a core.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // Nobody is let in any more: a connection that waits for ever would be worse than one that is refused.
    *kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    drop(inner);
    let drained = timeout(DRAIN, async {
        while let Some(ended) = connections.join_next().await {
            note_panic(&ended, &recorder);
        }
    });
    if drained.await.is_err() {
        connections.shutdown().await;
    }
}

async fn connection<S>(stream: S, app: axum::Router, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let io = TokioIo::new(ResponseDeadline::new(stream, ANSWER_TIMEOUT));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(io, TowerToHyperService::new(app));
    tokio::pin!(served);
    // How a connection ends, well or badly, is its peer's affair.
    tokio::select! {
        _ended = served.as_mut() => return,
        () = shutdown.cancelled() => {}
        () = sleep(CONNECTION_LIFE) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ended = timeout(ANSWER_TIMEOUT, served).await;
}

fn note_panic(ended: &Result<(), tokio::task::JoinError>, recorder: &crate::recording::Recorder) {
    if ended.as_ref().is_err_and(tokio::task::JoinError::is_panic) {
        recorder.task_panicked();
    }
}

/// Who is connected now.
#[derive(Clone, Default)]
struct Seats(Arc<Mutex<HashMap<IpAddr, usize>>>);

struct Seat {
    seats: Seats,
    peer: IpAddr,
}

impl Seats {
    /// A seat for this peer, or nothing when it or everybody has too many.
    fn take(&self, peer: IpAddr) -> Option<Seat> {
        let peer = peer.to_canonical();
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = CONNECTIONS + if peer.is_loopback() { SEATS_FOR_LOOPBACK } else { 0 };
        let all: usize = taken.values().sum();
        let of_peer = taken.get(&peer).copied().unwrap_or(0);
        if all >= limit || of_peer >= CONNECTIONS_PER_PEER {
            return None;
        }
        taken.insert(peer, of_peer + 1);
        Some(Seat { seats: self.clone(), peer })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_one_peer_nor_all_together_take_every_seat() {
        let seats = Seats::default();
        let peer = |n: u8| IpAddr::from([10, 0, 0, n]);
        let mut sitting: Vec<_> = (0..100).map_while(|_| seats.take(peer(1))).collect();
        assert_eq!(sitting.len(), CONNECTIONS_PER_PEER);
        sitting.extend((2..100).flat_map(|n| [seats.take(peer(n)), seats.take(peer(n))]).flatten());
        assert_eq!(sitting.len(), CONNECTIONS);
        let local = IpAddr::from([127, 0, 0, 1]);
        let local: Vec<_> = (0..100).map_while(|_| seats.take(local)).collect();
        assert_eq!(local.len(), SEATS_FOR_LOOPBACK);
        drop((sitting, local));
        assert!(seats.0.lock().unwrap().is_empty());
    }

    /// A peer that sends its head byte by byte, one that is idle, one that says nothing at all.
    #[tokio::test(start_paused = true)]
    async fn a_head_must_come_in_time_and_an_idle_connection_ends() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
        let app = || axum::Router::new().fallback(|| async { "answer" });
        let limit = HEAD_TIMEOUT + Duration::from_secs(1);
        for said in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
            let (ours, mut theirs) = duplex(1 << 16);
            theirs.write_all(said.as_bytes()).await.unwrap();
            let ended = timeout(limit, connection(ours, app(), CancellationToken::new())).await;
            assert!(ended.is_ok(), "after {said:?}");
            let mut answer = String::new();
            theirs.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer.ends_with("answer"), said.ends_with("\r\n\r\n"), "{answer}");
        }
        let (ours, mut theirs) = duplex(1 << 16);
        let dripping = async {
            for byte in b"GET / HTTP/1.1\r\nHost: x\r\nA: ".iter().chain(std::iter::repeat(&b'a')) {
                if theirs.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_secs(1)).await;
            }
        };
        let both = async { tokio::join!(connection(ours, app(), CancellationToken::new()), dripping) };
        assert!(timeout(limit + Duration::from_secs(2), both).await.is_ok());
    }
}
