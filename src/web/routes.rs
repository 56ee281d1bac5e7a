//! The paths and their answers.

use crate::web::access::{self, Access, Peer};
use crate::web::compression::Coding;
use crate::web::protection::Protection;
use crate::web::protection::authenticate::{Gate, authenticate};
use crate::web::{State, StatusAccess, page, reload, status};
use axum::body::{Body, Bytes};
use axum::extract;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Answers of the size of a scrape that may be in memory at once, those being read by slow peers included.
const LARGE_ANSWERS: usize = 4;
/// How many of them one peer may have: a stranger who never reads holds up nobody's scrape but those of his own machine.
const LARGE_ANSWERS_PER_PEER: usize = 2;
/// Such answers that are worked on at once: whoever scrapes without pause takes one core, and not all that probes
/// need as well.
const LARGE_ANSWERS_IN_WORK: usize = 1;
/// How long a request waits for one of them.
const LARGE_ANSWER_WAIT: Duration = Duration::from_secs(10);

/// What handlers see.
#[derive(Clone)]
struct Served {
    state: State,
    large: Arc<Semaphore>,
    of_peers: Readers,
    in_work: Arc<Semaphore>,
}

/// The whole application for a listener.
pub(super) fn router(
    state: State,
    listen: SocketAddr,
    status: StatusAccess,
    protection: Option<Arc<Protection>>,
) -> Router {
    let now = Arc::clone(&state.now);
    let command = from_fn_with_state(access::Commands::new(Arc::clone(&now)), access::command);
    let permits = |count| Arc::new(Semaphore::new(count));
    let served = Served {
        state,
        large: permits(LARGE_ANSWERS),
        of_peers: Readers::default(),
        in_work: permits(LARGE_ANSWERS_IN_WORK),
    };
    let router = Router::new()
        .route("/", get(status_page))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status_json))
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload_configuration).route_layer(command.clone()))
        .route("/-/loads/stop", post(stop_loads).route_layer(command))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n") })
        .layer(from_fn_with_state(Access::of(listen, status), access::guard))
        .with_state(served);
    let router = match &protection {
        Some(protection) => {
            let gate = Gate { protection: Arc::clone(protection), now };
            router.layer(from_fn_with_state(gate, authenticate))
        }
        None => router,
    };
    router.layer(from_fn_with_state(protection, access::harden))
}

/// The process answers, so it lives. Spokes have no part in it.
async fn healthy() -> &'static str {
    "healthy\n"
}

async fn ready(extract::State(served): extract::State<Served>) -> Response {
    let missing = served.state.readiness.missing();
    if missing.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join("; "))).into_response()
}

/// The kill switch. It answers at once: a run ramps down and drains by itself.
async fn stop_loads(extract::State(served): extract::State<Served>) -> String {
    let stopped = (served.state.stop_loads)();
    tracing::warn!(stopped, "loads are stopped, asked for over HTTP");
    format!("stopped {stopped} {}\n", if stopped == 1 { "load" } else { "loads" })
}

/// Reads the configuration again, and says what came of it.
async fn reload_configuration(extract::State(served): extract::State<Served>) -> Response {
    reload::answer(served.state.reload.as_ref()).await
}

async fn metrics(
    extract::State(served): extract::State<Served>,
    Extension(peer): Extension<Peer>,
    coding: Coding,
) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    large(&served, peer, coding, kind, |state| state.recorder.encode_text()).await
}

async fn status_json(
    extract::State(served): extract::State<Served>,
    Extension(peer): Extension<Peer>,
    coding: Coding,
) -> Response {
    large(&served, peer, coding, "application/json", |state| {
        let mut json = serde_json::to_vec(&status::view(state)).unwrap_or_else(|error| {
            // The views hold texts, numbers and lists only; there is nothing in them that could fail.
            tracing::error!(%error, "status could not be written");
            b"{}".to_vec()
        });
        json.push(b'\n');
        json
    })
    .await
}

async fn status_page(
    extract::State(served): extract::State<Served>,
    Extension(peer): Extension<Peer>,
    coding: Coding,
    extract::RawQuery(query): extract::RawQuery,
) -> Response {
    let found = Arc::new(AtomicBool::new(true));
    let said = Arc::clone(&found);
    let mut answer = large(&served, peer, coding, "text/html; charset=utf-8", move |state| {
        let page = page::render(&status::view(state), query.as_deref().unwrap_or_default(), state.explain);
        said.store(page.found, Ordering::Relaxed);
        page.html.into_bytes()
    })
    .await;
    if !found.load(Ordering::Relaxed) {
        *answer.status_mut() = StatusCode::NOT_FOUND;
    }
    answer
}

/// Makes a large answer, packed if the peer wants that, off the threads that probes run on, and counts it until its
/// last byte is written.
async fn large(
    served: &Served,
    peer: Peer,
    coding: Coding,
    kind: &'static str,
    make: impl FnOnce(&State) -> Vec<u8> + Send + 'static,
) -> Response {
    // One after the other, or a place in work would wait for a place in memory that a slow reader holds, and one in memory
    // for one of a peer that has its share already.
    let permits = async {
        let reading = served.of_peers.of(peer.ip).acquire_owned().await?;
        let permit = Arc::clone(&served.large).acquire_owned().await?;
        let work = Arc::clone(&served.in_work).acquire_owned().await?;
        Ok::<_, AcquireError>(((permit, reading), work))
    };
    let Ok(Ok((permit, work))) = timeout(LARGE_ANSWER_WAIT, permits).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many scrapes at once\n").into_response();
    };
    let state = served.state.clone();
    // The permit goes along: a peer that hangs up does not stop the work, so it must not free the place.
    let made = tokio::task::spawn_blocking(move || {
        let plain = make(&state);
        let packed = coding.pack(&plain);
        drop(work);
        (packed.is_some(), Counted { content: packed.unwrap_or(plain), _permits: permit })
    });
    match made.await {
        Ok((packed, counted)) => {
            let body = Body::from(Bytes::from_owner(counted));
            let headers = [(header::CONTENT_TYPE, kind), (header::VARY, "accept-encoding")];
            let mut answer = (headers, body).into_response();
            if packed {
                answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            answer
        }
        Err(error) => {
            if error.is_panic() {
                served.state.recorder.task_panicked();
            }
            (StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made\n").into_response()
        }
    }
}

/// The bytes of a large answer; the last handle on them gives the permit back.
struct Counted {
    content: Vec<u8>,
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// The share of each peer in large answers. Peers are forgotten when nothing of theirs is asked for or read.
#[derive(Clone, Default)]
struct Readers(Arc<Mutex<HashMap<IpAddr, Arc<Semaphore>>>>);

impl Readers {
    fn of(&self, peer: IpAddr) -> Arc<Semaphore> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits or reads holds a handle: as many are kept as there are connections at most.
        known.retain(|_, permits| Arc::strong_count(permits) > 1);
        let new = || Arc::new(Semaphore::new(LARGE_ANSWERS_PER_PEER));
        Arc::clone(known.entry(peer.to_canonical()).or_insert_with(new))
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}
