//! Requests over connections of our own: the transport of load.
//!
//! `HttpTransport` sends health probes through reqwest, whose pool may wait for a connection that comes back instead
//! of opening one, and may send a request again without saying so. Neither is of weight for a probe in half a minute;
//! under load both would stand in the figures as something they are not. Here nothing happens behind our back: an
//! idle connection is taken or a new one is opened, one request is written to it, and the only thing that is ever
//! sent again is the quick retry that `exchange` makes too, counted. It is also what one attempt may cost at 10,000
//! a second: hyper's connection is driven by the task that waits for its answer, so no request wakes another task.
//!
//! ```text
//! connection  one connection: a request, its answer     place  a connect target: its DNS answer, its idle connections
//! dialing     a new connection: address, TCP, TLS       pool   all places, the bounds, the sweep of idle connections
//! ```
//!
//! DNS, trust, address check and failures are those of `HttpTransport`, from which it is made.

mod connection;
mod dialing;
mod place;
mod pool;
#[cfg(test)]
mod tests;

use super::clients::USER_AGENT;
use super::{HttpTransport, clients, failure, fetch};
use crate::domain::moment::Moment;
use crate::domain::request::{
    ConnectTarget, Exchange, FailureKind, OutgoingRequest, Response, SendOptions, TransportFailure,
};
use crate::seams::{Clock, FetchFailure, FetchRequest, FetchResponse, Transport};
use connection::{Connection, Once};
use dialing::Dialer;
use futures_util::future::BoxFuture;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Uri, header};
use place::Place;
use pool::Pool;
use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The network of the machine, over connections of our own.
pub struct DirectTransport {
    fetcher: reqwest::Client,
    dialer: Dialer,
    pool: Arc<Pool>,
    clock: Arc<dyn Clock>,
    in_flight: Arc<Semaphore>,
}

impl HttpTransport {
    /// The transport of load beside this one: the same DNS, trusted authorities and private ranges, and a pool of its
    /// own. Opens no connection.
    #[must_use]
    pub fn direct(&self) -> DirectTransport {
        let (pooled_tls, fresh_tls) = self.clients.tls();
        let (ranges, lookup) = (Arc::clone(&self.ranges), Arc::clone(&self.lookup));
        DirectTransport {
            fetcher: self.fetcher.clone(),
            dialer: Dialer::new(pooled_tls, fresh_tls, lookup, Arc::clone(&ranges), Arc::clone(&self.clock)),
            pool: Arc::new(Pool::new(ranges, Arc::clone(&self.clock), self.shares.idle_of_load)),
            clock: Arc::clone(&self.clock),
            in_flight: Arc::clone(&self.in_flight),
        }
    }
}

impl fmt::Debug for DirectTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectTransport").field("idle", &self.pool.idle_count()).finish_non_exhaustive()
    }
}

impl Transport for DirectTransport {
    fn send(
        &self,
        request: OutgoingRequest,
        to: Arc<ConnectTarget>,
        options: SendOptions,
    ) -> BoxFuture<'_, Exchange> {
        Box::pin(self.exchange(outgoing(request), to, options))
    }

    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        Box::pin(fetch::fetch(&self.fetcher, request))
    }
}

/// A request as hyper takes it. Boxed, since it is handed on a few times and has 256 bytes.
type Outgoing = Box<http::Request<Once>>;

/// How far one try has come; outlives it when time runs out.
#[derive(Debug, Default)]
struct Progress {
    connected: bool,
    peer: Option<SocketAddr>,
    first_byte: Option<Moment>,
}

impl DirectTransport {
    /// `sent` is the moment of the first try and `timeout` holds for both tries together, as in `exchange`.
    async fn exchange(
        &self,
        request: Result<Outgoing, TransportFailure>,
        to: Arc<ConnectTarget>,
        options: SendOptions,
    ) -> Exchange {
        let sent = self.clock.now();
        let ended = |retries, progress: Progress, result| Exchange {
            sent,
            first_byte: progress.first_byte,
            done: self.clock.now(),
            retries,
            peer: progress.peer,
            result,
        };
        let prepared = request.and_then(|request| Ok((request, self.pool.place(&to)?)));
        let (request, place) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return ended(0, Progress::default(), Err(failure)),
        };
        let mut progress = Progress::default();
        let Ok(_place) = self.in_flight.try_acquire() else {
            return ended(0, progress, Err(failure::no_files()));
        };
        let kept = if options.fresh_connection { None } else { self.pool.take(&place, sent) };
        let Some(kept) = kept else {
            let one_try = self.dial_and_send(request, &place, options.fresh_connection, true, &mut progress);
            let result = within(options.timeout, one_try).await;
            let result = result.unwrap_or_else(|| Err(out_of_time(&progress)));
            return ended(0, progress, result);
        };
        progress = Progress { connected: true, peer: Some(kept.peer()), first_byte: None };
        // A request cannot be had back from hyper once it was handed over.
        let may_retry = request.method() == Method::GET || request.method() == Method::HEAD;
        let spare = may_retry.then(|| request.clone());
        let result = {
            // Pinned here, so that it is not moved into the time-out as well.
            let one_try = pin!(self.send_on(kept, request, &place, true, &mut progress));
            within(options.timeout, one_try).await
        };
        let result = result.unwrap_or_else(|| Err(out_of_time(&progress)));
        let closed = matches!(&result, Err(TransportFailure { kind: FailureKind::Reset, .. }));
        let Some(request) = spare.filter(|_| closed) else { return ended(0, progress, result) };
        // The server had closed the kept connection while we wrote: that says nothing about the path. Never again from
        // the pool, whose other connections may be as old; and nothing of this second one is kept, nor resumed.
        progress = Progress::default();
        let left = options.timeout.saturating_sub(self.clock.now().since(sent));
        let second_try = self.dial_and_send(request, &place, true, false, &mut progress);
        let result = within(left, second_try).await;
        let result = result.unwrap_or_else(|| Err(out_of_time(&progress)));
        ended(1, progress, result)
    }

    /// Boxed, so that the future of a request on a kept connection stays small.
    fn dial_and_send<'a>(
        &'a self,
        request: Outgoing,
        place: &'a Arc<Place>,
        fresh: bool,
        keep: bool,
        progress: &'a mut Progress,
    ) -> BoxFuture<'a, Result<Response, TransportFailure>> {
        Box::pin(async move {
            let connection = self.dialer.dial(place, fresh).await?;
            progress.connected = true;
            progress.peer = Some(connection.peer());
            self.send_on(connection, request, place, keep && !fresh, progress).await
        })
    }

    async fn send_on(
        &self,
        mut connection: Box<Connection>,
        request: Outgoing,
        place: &Arc<Place>,
        keep: bool,
        progress: &mut Progress,
    ) -> Result<Response, TransportFailure> {
        let first_byte = &mut progress.first_byte;
        let response = connection.exchange(request, || *first_byte = Some(self.clock.now())).await?;
        if keep && !response.truncated {
            self.pool.give_back(place, connection);
        }
        Ok(response)
    }
}

/// `None` when time ran out.
async fn within<F: Future>(timeout: std::time::Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(timeout, future).await.ok()
}

fn out_of_time(progress: &Progress) -> TransportFailure {
    if progress.first_byte.is_some() {
        failure::failure(FailureKind::ResponseTimeout, "the answer was not whole in time")
    } else if progress.connected {
        failure::failure(FailureKind::ResponseTimeout, "connected, and no answer in time")
    } else {
        failure::failure(FailureKind::ConnectTimeout, "no connection in time")
    }
}

/// The request as hyper takes it: path and query byte for byte, and the headers that reqwest adds to those of an
/// attempt, so that both transports write the same.
fn outgoing(request: OutgoingRequest) -> Result<Outgoing, TransportFailure> {
    let OutgoingRequest { method, host, path_and_query, mut headers, body } = request;
    clients::is_kept_by_url(&path_and_query)?;
    let uri = PathAndQuery::from_maybe_shared(bytes::Bytes::from(path_and_query))
        .map_err(|error| failure::failure(FailureKind::Protocol, format!("not a path: {error}")))?;
    let host = HeaderValue::from_maybe_shared(bytes::Bytes::from(host))
        .map_err(|_| failure::failure(FailureKind::Protocol, "the Host is not fit for a header"))?;
    headers.insert(header::HOST, host);
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    let mut outgoing = Box::new(http::Request::new(Once::of(body)));
    *outgoing.method_mut() = method;
    *outgoing.uri_mut() = Uri::from(uri);
    *outgoing.headers_mut() = headers;
    Ok(outgoing)
}
