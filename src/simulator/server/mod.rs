//! The hub on sockets: the endpoint over TLS, STS and the credentials endpoint over plain HTTP.
//!
//! HTTP/1.1 is spoken by hand, because a server library would tidy the very bytes that a signature covers.
//! Listeners are made here, connections are served in `connection`, the control page is in `control`.

mod connection;
mod control;

use super::certificate::{self, EndpointCertificate};
use super::core::Hub;
use super::state::Door;
use crate::seams::{Clock, spawn};
use connection::Service;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The most connections at once over all listeners.
const CONNECTION_LIMIT: usize = 16_384;
/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where to listen and how to treat connections. Every port may be 0.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The endpoint, TLS unless `plain_endpoint`.
    pub endpoint: SocketAddr,
    /// Further listeners of the endpoint, one for each zone.
    pub zones: Vec<SocketAddr>,
    /// STS, plain HTTP, so on a loopback address.
    pub sts: SocketAddr,
    /// The credentials endpoint, plain HTTP, so on a loopback address.
    pub credentials: SocketAddr,
    /// The control page with `GET /counts`.
    pub control: Option<SocketAddr>,
    /// Closes a connection that is idle for so long.
    pub idle_timeout: Duration,
    /// Speaks plain HTTP at the endpoint too.
    pub plain_endpoint: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            endpoint: any,
            zones: Vec::new(),
            sts: any,
            credentials: any,
            control: None,
            // What PrivateLink gives a connection without traffic.
            idle_timeout: Duration::from_secs(350),
            plain_endpoint: false,
        }
    }
}

/// Starts a hub on sockets.
#[derive(Debug)]
pub struct Server;

/// A hub that is running; it stops when this is dropped.
pub struct Running {
    /// The endpoint's address.
    pub endpoint_addr: SocketAddr,
    /// The addresses of the zones' listeners, in the order asked for.
    pub zone_addrs: Vec<SocketAddr>,
    /// The URL of STS.
    pub sts_url: String,
    /// The URL of the credentials endpoint.
    pub credentials_url: String,
    /// What it wants in `Authorization`. Worth nothing outside the simulation.
    pub credentials_token: String,
    /// The control page's address.
    pub control_addr: Option<SocketAddr>,
    /// The authority that a client of the endpoint must trust, in PEM; empty for a plain endpoint.
    pub ca_pem: String,
    hub: Arc<Hub>,
    plain_endpoint: bool,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("endpoint_addr", &self.endpoint_addr).finish_non_exhaustive()
    }
}

impl Server {
    /// Binds all listeners and begins to serve.
    ///
    /// # Errors
    /// When an address cannot be bound (the error names it), or no certificate can be made.
    pub async fn start(hub: Arc<Hub>, options: ServerOptions, clock: Arc<dyn Clock>) -> io::Result<Running> {
        let world = hub.world(clock.wall());
        let made = certificate::make(&world, clock.wall()).map_err(io::Error::other)?;
        let acceptor = if options.plain_endpoint { None } else { Some(acceptor(&made)?) };
        let serving = Serving {
            hub: Arc::clone(&hub),
            clock,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            permits: Arc::new(Semaphore::new(CONNECTION_LIMIT)),
            idle_timeout: options.idle_timeout,
        };
        let endpoint = bind(options.endpoint).await?;
        let mut zones = Vec::new();
        for zone in &options.zones {
            zones.push(bind(*zone).await?);
        }
        let (sts, credentials) = (bind(options.sts).await?, bind(options.credentials).await?);
        let control = match options.control {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let running = Running {
            endpoint_addr: endpoint.local_addr()?,
            zone_addrs: zones.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?,
            sts_url: format!("http://{}", sts.local_addr()?),
            credentials_url: format!("http://{}{}", credentials.local_addr()?, hub.credentials_path()),
            credentials_token: hub.credentials_token().to_owned(),
            control_addr: control.as_ref().map(TcpListener::local_addr).transpose()?,
            ca_pem: if options.plain_endpoint { String::new() } else { made.ca_pem },
            hub,
            plain_endpoint: options.plain_endpoint,
            stop: serving.stop.clone(),
            tasks: serving.tasks.clone(),
        };
        serving.listen(endpoint, acceptor.clone(), Service::Door(Door::Endpoint), None);
        // The listeners of zones are those of the world's zones, in the order of their names.
        let mut names = world.endpoint.zones.into_keys();
        for listener in zones {
            serving.listen(listener, acceptor.clone(), Service::Door(Door::Endpoint), names.next());
        }
        serving.listen(sts, None, Service::Door(Door::Sts), None);
        serving.listen(credentials, None, Service::Door(Door::Credentials), None);
        if let Some(control) = control {
            serving.listen(control, None, Service::Control, None);
        }
        Ok(running)
    }
}

impl Running {
    /// The hub behind the sockets.
    #[must_use]
    pub const fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The URL of the endpoint, for `hub.endpoint.url`.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        let scheme = if self.plain_endpoint { "http" } else { "https" };
        format!("{scheme}://{}", self.endpoint_addr)
    }

    /// The environment that an AWS SDK needs to take its credentials from here and to find STS here.
    #[must_use]
    pub fn environment(&self, region: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", self.credentials_url.clone()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", self.credentials_token.clone()),
            ("AWS_ENDPOINT_URL_STS", self.sts_url.clone()),
            ("AWS_REGION", region.to_owned()),
        ]
    }

    /// Stops listening, ends all connections and waits until they have ended.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

fn acceptor(made: &EndpointCertificate) -> io::Result<TlsAcceptor> {
    use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from(made.der.clone())];
    let key = PrivatePkcs8KeyDer::from(made.key_der.clone()).into();
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    // A private API speaks HTTP/1.1 only.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What every task of the server needs.
#[derive(Clone)]
struct Serving {
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    tasks: TaskTracker,
    permits: Arc<Semaphore>,
    idle_timeout: Duration,
}

impl Serving {
    fn listen(
        &self,
        listener: TcpListener,
        acceptor: Option<TlsAcceptor>,
        service: Service,
        zone: Option<String>,
    ) {
        let serving = self.clone();
        let accepting = async move {
            loop {
                let accepted = tokio::select! {
                    () = serving.stop.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((stream, _)) = accepted else {
                    // Out of file descriptors, most likely: trying at once would only spin.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                if zone.as_ref().is_some_and(|zone| serving.is_dead(zone)) {
                    continue;
                }
                let Ok(permit) = Arc::clone(&serving.permits).try_acquire_owned() else { continue };
                let (one, acceptor) = (serving.clone(), acceptor.clone());
                let connection = async move {
                    tokio::select! {
                        () = one.stop.cancelled() => {}
                        () = one.clone().serve(stream, acceptor, service) => {}
                    }
                    drop(permit);
                };
                spawn("simulator connection", serving.tasks.track_future(connection));
            }
        };
        spawn("simulator listener", self.tasks.track_future(accepting));
    }

    fn is_dead(&self, zone: &str) -> bool {
        self.hub.look(self.clock.wall(), |world| world.endpoint.dead_zones.contains(zone))
    }

    async fn serve(self, stream: TcpStream, acceptor: Option<TlsAcceptor>, service: Service) {
        // Small answers must not wait for the peer's acknowledgement; without it they are only slower.
        let _slower = stream.set_nodelay(true);
        match acceptor {
            None => connection::serve(&self, stream, None, service).await,
            Some(acceptor) => {
                let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
                if let Ok(Ok(stream)) = handshake {
                    let tls_name = stream.get_ref().1.server_name().map(str::to_owned);
                    connection::serve(&self, stream, tls_name, service).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
