//! A new connection: which address, TCP, TLS, HTTP/1.1.
//!
//! Nothing is connected to that `addresses` does not permit. A pooled connection may resume a TLS session and goes by
//! a DNS answer of a few seconds; a fresh one does neither.

use super::super::addresses::{Lookup, PrivateRanges, Refusal, permitted};
use super::super::clients::CONNECT_TIMEOUT;
use super::super::failure;
use super::connection::{Connection, Stream};
use super::place::Place;
use crate::domain::request::{FailureKind, TransportFailure};
use crate::seams::Clock;
use rustls::ClientConfig;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a checked DNS answer serves further connections. A load that begins, or that lost its connections, opens
/// hundreds within a moment, and the machine's resolver blocks a thread for each question. Short beside the 60 s for
/// which AWS lets private names be kept, so that an endpoint's new addresses are seen at once.
pub(super) const ANSWER_KEPT: Duration = Duration::from_secs(5);

/// Makes connections.
pub(super) struct Dialer {
    pooled: TlsConnector,
    fresh: TlsConnector,
    lookup: Arc<dyn Lookup>,
    ranges: Arc<PrivateRanges>,
    clock: Arc<dyn Clock>,
}

impl Dialer {
    pub(super) fn new(
        pooled: ClientConfig,
        fresh: ClientConfig,
        lookup: Arc<dyn Lookup>,
        ranges: Arc<PrivateRanges>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { pooled: Arc::new(pooled).into(), fresh: Arc::new(fresh).into(), lookup, ranges, clock }
    }

    /// Connects to a place. `fresh` asks DNS anew and resumes nothing.
    pub(super) async fn dial(&self, place: &Place, fresh: bool) -> Result<Box<Connection>, TransportFailure> {
        tokio::time::timeout(CONNECT_TIMEOUT, self.dial_at_leisure(place, fresh))
            .await
            .unwrap_or_else(|_| Err(failure::failure(FailureKind::ConnectTimeout, "no connection in time")))
    }

    async fn dial_at_leisure(&self, place: &Place, fresh: bool) -> Result<Box<Connection>, TransportFailure> {
        let addresses = if fresh { self.ask(place).await? } else { self.addresses(place).await? };
        let (tcp, peer) = connect(place, &addresses).await?;
        // One small write a request: waiting for more to send would only hold it back.
        tcp.set_nodelay(true).map_err(|error| failure::of_tcp(&error))?;
        let stream = match place.server_name() {
            None => Stream::Plain(tcp),
            Some(name) => {
                let connector = if fresh { &self.fresh } else { &self.pooled };
                let shaken = connector.connect(name.clone(), tcp).await;
                Stream::Tls(Box::new(shaken.map_err(|error| of_handshake(&error))?))
            }
        };
        Connection::new(stream, peer).await
    }

    /// The permitted addresses of a place by its last answer, or by a new one. Whoever comes meanwhile waits for the
    /// same answer instead of asking the same question.
    async fn addresses(&self, place: &Place) -> Result<Vec<IpAddr>, TransportFailure> {
        let mut answer = place.answer().lock().await;
        if let Some((addresses, until)) = &*answer
            && self.clock.now() < *until
        {
            return Ok(addresses.clone());
        }
        let addresses = self.ask(place).await?;
        *answer = Some((addresses.clone(), self.clock.now() + ANSWER_KEPT));
        Ok(addresses)
    }

    async fn ask(&self, place: &Place) -> Result<Vec<IpAddr>, TransportFailure> {
        let found = match place.literal() {
            Some(address) => vec![address],
            None => self
                .lookup
                .lookup(place.name().to_owned())
                .await
                .map_err(|error| refused(&Refusal::of_lookup(&error)))?,
        };
        permitted(&found, &self.ranges, place.server_name().is_none()).map_err(|refusal| refused(&refusal))
    }
}

fn refused(refusal: &Refusal) -> TransportFailure {
    failure::failure(failure::of_refusal(refusal), refusal.to_string())
}

/// The first address that takes a connection, beginning with another one each time, so that connections spread over
/// the zones of an endpoint. One that does not is left out until the next answer, as long as there are others.
async fn connect(place: &Place, addresses: &[IpAddr]) -> Result<(TcpStream, SocketAddr), TransportFailure> {
    let count = addresses.len().max(1);
    let share = CONNECT_TIMEOUT / u32::try_from(count).unwrap_or(u32::MAX);
    let mut failed = failure::failure(FailureKind::Dns, "the answer holds no address");
    let first = place.next_turn();
    for index in 0..addresses.len() {
        let address = addresses[(first + index) % count];
        let peer = SocketAddr::new(address, place.port());
        match tokio::time::timeout(share, TcpStream::connect(peer)).await {
            Ok(Ok(stream)) => return Ok((stream, peer)),
            Ok(Err(error)) => {
                failed = failure::of_tcp(&error);
                if failed.kind == FailureKind::Overloaded {
                    // It says nothing of the address, and the next one would say the same.
                    return Err(failed);
                }
            }
            Err(_) => failed = failure::failure(FailureKind::ConnectTimeout, "no connection in time"),
        }
        place.avoid(address);
    }
    Err(failed)
}

fn of_handshake(error: &io::Error) -> TransportFailure {
    match error.kind() {
        io::ErrorKind::TimedOut => failure::of_tcp(error),
        _ => failure::of_handshake(error),
    }
}
