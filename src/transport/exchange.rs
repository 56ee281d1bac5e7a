//! One request from the moment it is handed over to the last byte of its answer.

use super::failure::{self, Stage};
use super::phase::Phase;
use super::{BODY_LIMIT_BYTES, HttpTransport};
use crate::domain::request::{
    ConnectTarget, Exchange, FailureKind, OutgoingRequest, Response, SendOptions, TransportFailure,
};
use crate::seams::Clock;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method};
use reqwest::{Client, Url};
use std::net::SocketAddr;
use std::sync::Arc;

/// Sends a request; see `Transport::send`.
///
/// `sent` of the exchange is the moment of the first try, so that a quick retry costs what it costs; `timeout`
/// holds for both tries together.
pub(super) async fn send(
    transport: &HttpTransport,
    request: OutgoingRequest,
    to: Arc<ConnectTarget>,
    options: SendOptions,
) -> Exchange {
    let HttpTransport { clients, clock, names, in_flight, .. } = transport;
    let sent = clock.now();
    let ended = |retries, first_byte, peer, result| Exchange {
        sent,
        first_byte,
        done: clock.now(),
        retries,
        peer,
        result,
    };
    let (route, url) = match clients.route(&to, &request.path_and_query) {
        Ok(found) => found,
        Err(failure) => return ended(0, None, None, Err(failure)),
    };
    // A place on the way, so that files are left for whoever asks how the agent is.
    let Ok(_place) = in_flight.try_acquire() else { return ended(0, None, None, Err(failure::no_files())) };
    let mut client =
        if options.fresh_connection { &route.fresh } else { route.keeping(names.keeps(&to, sent)) };
    let may_retry = request.method == Method::GET || request.method == Method::HEAD;
    let mut retries = 0;
    loop {
        let phase = Arc::new(Phase::default());
        let left = options.timeout.saturating_sub(clock.now().since(sent));
        let one_try = Arc::clone(&phase).watch(try_once(client, &**clock, &request, url.clone(), &phase));
        let (peer, result) = match tokio::time::timeout(left, one_try).await {
            Ok(Ok((peer, response))) => (peer, Ok(response)),
            Ok(Err(failure)) => (None, Err(failure)),
            Err(_) => (None, Err(out_of_time(&phase))),
        };
        let closed = matches!(&result, Err(TransportFailure { kind: FailureKind::Reset, .. }));
        if closed && may_retry && retries == 0 && phase.reused() {
            // The server had closed the kept connection while we wrote: that says nothing about the path.
            // Never again from the pool, whose other connections may be as old.
            retries = 1;
            client = &route.fresh;
            continue;
        }
        let first_byte = phase.first_byte.get().copied();
        return ended(retries, first_byte, peer.or_else(|| phase.peer()), result);
    }
}

async fn try_once(
    client: &Client,
    clock: &dyn Clock,
    request: &OutgoingRequest,
    url: Url,
    phase: &Phase,
) -> Result<(Option<SocketAddr>, Response), TransportFailure> {
    let mut outgoing = reqwest::Request::new(request.method.clone(), url);
    *outgoing.headers_mut() = request.headers.clone();
    let host = HeaderValue::from_str(&request.host)
        .map_err(|_| failure::failure(FailureKind::Protocol, "the Host is not fit for a header"))?;
    outgoing.headers_mut().insert(http::header::HOST, host);
    if !request.body.is_empty() {
        *outgoing.body_mut() = Some(request.body.clone().into());
    }
    let mut incoming =
        client.execute(outgoing).await.map_err(|error| failure::of_request(error, Stage::Head))?;
    phase.first_byte.get_or_init(|| clock.now());
    let peer = incoming.remote_addr();
    let status = incoming.status().as_u16();
    let headers = std::mem::take(incoming.headers_mut());
    let (body, truncated) =
        read_bounded(&mut incoming).await.map_err(|error| failure::of_request(error, Stage::Body))?;
    Ok((peer, Response { status, headers, body, truncated }))
}

/// The body up to the limit, and whether there was more. What is not read is thrown away with its connection.
pub(super) async fn read_bounded(response: &mut reqwest::Response) -> reqwest::Result<(Bytes, bool)> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        let room = BODY_LIMIT_BYTES - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            return Ok((body.freeze(), true));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body.freeze(), false))
}

fn out_of_time(phase: &Phase) -> TransportFailure {
    if phase.first_byte.get().is_some() {
        failure::failure(FailureKind::ResponseTimeout, "the answer was not whole in time")
    } else if phase.has_connection() {
        failure::failure(FailureKind::ResponseTimeout, "connected, and no answer in time")
    } else {
        failure::failure(FailureKind::ConnectTimeout, "no connection in time")
    }
}
