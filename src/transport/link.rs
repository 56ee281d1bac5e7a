//! The parts of reaching one address, one by one and without a request: what the watch over the endpoint uses.

use super::addresses::{Refusal, permitted};
use super::{HttpTransport, chain, failure, services};
use crate::domain::request::{FailureKind, TransportFailure};
use crate::seams::{Handshake, Link, ServicePlace};
use futures_util::future::BoxFuture;
use rustls::pki_types::ServerName;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

impl Link for HttpTransport {
    /// All addresses, public ones included: it is for the caller to see that a name went astray.
    fn resolve(&self, host: String) -> BoxFuture<'_, Result<Vec<IpAddr>, TransportFailure>> {
        Box::pin(async move {
            let found = self.lookup.lookup(host).await;
            let found = found.map_err(|error| match Refusal::of_lookup(&error) {
                Refusal::NoFiles => failure::failure(FailureKind::Overloaded, error.to_string()),
                _ => failure::failure(FailureKind::Dns, error.to_string()),
            })?;
            if found.is_empty() {
                return Err(failure::failure(FailureKind::Dns, "the answer holds no address"));
            }
            Ok(found)
        })
    }

    fn handshake(
        &self,
        address: SocketAddr,
        tls_name: String,
        bound: Duration,
    ) -> BoxFuture<'_, Result<Handshake, TransportFailure>> {
        Box::pin(async move {
            permitted(&[address.ip()], &self.ranges, false)
                .map_err(|refusal| failure::failure(failure::of_refusal(&refusal), refusal.to_string()))?;
            self.connect_and_shake(address, tls_name, bound).await
        })
    }

    fn presented_chain(
        &self,
        address: SocketAddr,
        tls_name: String,
        bound: Duration,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, TransportFailure>> {
        Box::pin(async move {
            permitted(&[address.ip()], &self.ranges, false)
                .map_err(|refusal| failure::failure(failure::of_refusal(&refusal), refusal.to_string()))?;
            timeout(bound, chain::presented(address, tls_name)).await.unwrap_or_else(|_| {
                Err(failure::failure(FailureKind::ConnectTimeout, "no certificate in time"))
            })
        })
    }

    fn services(&self, name: String) -> BoxFuture<'_, Result<Vec<ServicePlace>, TransportFailure>> {
        Box::pin(services::places(name))
    }

    fn is_own(&self, address: IpAddr) -> bool {
        // The system knows, and nothing else does portably: what is not an address of its own cannot be bound.
        let is_one = !address.is_unspecified() && !address.is_multicast();
        is_one && UdpSocket::bind((address, 0)).is_ok()
    }
}

impl HttpTransport {
    async fn connect_and_shake(
        &self,
        address: SocketAddr,
        tls_name: String,
        bound: Duration,
    ) -> Result<Handshake, TransportFailure> {
        // An address that accepts and then says nothing is another fault than one where nobody is.
        let in_time = |detail| move |_| failure::failure(FailureKind::ConnectTimeout, detail);
        let name = ServerName::try_from(tls_name)
            .map_err(|_| failure::failure(FailureKind::Tls, "not a name that TLS can ask for"))?;
        let begun = self.clock.now();
        let stream = timeout(bound, TcpStream::connect(address))
            .await
            .map_err(in_time("no connection in time"))?
            .map_err(|error| failure::of_tcp(&error))?;
        let connected = self.clock.now();
        let left = bound.saturating_sub(connected.since(begun));
        let shaking = TlsConnector::from(Arc::clone(&self.full_handshake)).connect(name, stream);
        let stream = timeout(left, shaking)
            .await
            .map_err(in_time("connected, but no TLS handshake in time"))?
            .map_err(|error| failure::of_handshake(&error))?;
        let shaken = self.clock.now();
        let (_, tls) = stream.get_ref();
        let chain = tls.peer_certificates().unwrap_or_default();
        let tls_version = match tls.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        };
        Ok(Handshake {
            connect: connected.since(begun),
            tls: shaken.since(connected),
            tls_version: tls_version.to_owned(),
            chain: chain::kept(chain.iter()),
        })
    }
}
