//! What is known of a request's connection while it is on its way: whether it is fresh, and its peer.
//!
//! reqwest tells none of this when a request fails. So each request runs inside a task-local `Phase`, and a
//! layer around reqwest's connector, which runs inside the same scope, writes into it. hyper-util moves a
//! connector that lost its race against the pool into a task of its own; the scope goes along.

use crate::domain::moment::Moment;
use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tower::{Layer, Service};

tokio::task_local! {
    static CURRENT: Arc<Phase>;
}

/// How far a request has come.
#[derive(Debug, Default)]
pub(super) struct Phase {
    connecting: AtomicBool,
    connected: AtomicBool,
    peer: OnceLock<SocketAddr>,
    /// When the head of the answer was there.
    pub(super) first_byte: OnceLock<Moment>,
}

impl Phase {
    /// True when no connection was asked for, so that the request went out on a pooled one. A request that
    /// asked for a connection and was then overtaken by a returning one counts as not reused: it is seen here
    /// with a connect of its own, and errs on the side of no retry.
    pub(super) fn reused(&self) -> bool {
        !self.connecting.load(Ordering::Acquire)
    }

    /// True when there is a connection that the request could be written to.
    pub(super) fn has_connection(&self) -> bool {
        self.reused() || self.connected.load(Ordering::Acquire)
    }

    /// The peer of the connection that was made for this request.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer.get().copied()
    }

    /// Runs a request inside this phase.
    pub(super) async fn watch<F: Future>(self: Arc<Self>, request: F) -> F::Output {
        CURRENT.scope(self, request).await
    }
}

/// Wraps reqwest's connector (DNS, TCP and TLS together).
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched;

impl<S> Layer<S> for Watched {
    type Service = WatchedConnector<S>;
    fn layer(&self, inner: S) -> WatchedConnector<S> {
        WatchedConnector(inner)
    }
}

/// A connector that notes its progress in the current phase.
#[derive(Debug, Clone)]
pub(super) struct WatchedConnector<S>(S);

impl<S, R> Service<R> for WatchedConnector<S>
where
    S: Service<R>,
    S::Response: Connection,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let phase = CURRENT.try_with(Arc::clone).unwrap_or_default();
        phase.connecting.store(true, Ordering::Release);
        let connecting = self.0.call(request);
        Box::pin(async move {
            let connection = connecting.await?;
            let mut extras = http::Extensions::new();
            connection.connected().get_extras(&mut extras);
            if let Some(info) = extras.get::<HttpInfo>() {
                phase.peer.get_or_init(|| info.remote_addr());
            }
            phase.connected.store(true, Ordering::Release);
            Ok(connection)
        })
    }
}
