//! The network as something that can be made anew while the agent runs: with other trusted authorities, other private
//! ranges. Who sends goes through here and keeps nothing of it.
//!
//! What is under way ends over the network on which it began. A new one begins without connections, so it is made only
//! where its settings differ.

use super::outside::SetupProblem;
use crate::domain::request::{ConnectTarget, Exchange, OutgoingRequest, SendOptions, TransportFailure};
use crate::seams::{
    Clock, FetchFailure, FetchRequest, FetchResponse, Handshake, Link, ServicePlace, Transport,
};
use crate::transport::{self, HttpTransport};
use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// The three faces of one network.
struct Faces {
    health: Arc<dyn Transport>,
    load: Arc<dyn Transport>,
    link: Arc<dyn Link>,
}

/// The machine's network as settings want it. Cheap to clone.
#[derive(Clone)]
pub struct Network {
    faces: Arc<ArcSwap<Faces>>,
    clock: Arc<dyn Clock>,
}

/// A network that is ready to be used and is not yet.
pub(super) struct Ready(Faces);

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// The network of these settings.
    ///
    /// # Errors
    /// When the trust store cannot be set up.
    pub(super) fn new(settings: &transport::Settings, clock: Arc<dyn Clock>) -> Result<Self, SetupProblem> {
        let faces = faces(settings, &clock)?;
        Ok(Self { faces: Arc::new(ArcSwap::from_pointee(faces)), clock })
    }

    /// Makes the network of other settings ready.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub(super) fn ready(&self, settings: &transport::Settings) -> Result<Ready, SetupProblem> {
        faces(settings, &self.clock).map(Ready)
    }

    /// From now on everybody sends over this one.
    pub(super) fn set(&self, Ready(faces): Ready) {
        self.faces.store(Arc::new(faces));
    }

    /// What health goes over.
    pub(super) fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(Sender { network: self.clone(), of: |faces| &faces.health })
    }

    /// What load goes over.
    pub(super) fn load_transport(&self) -> Arc<dyn Transport> {
        Arc::new(Sender { network: self.clone(), of: |faces| &faces.load })
    }

    /// What the watch over the endpoint uses.
    pub(super) fn link(&self) -> Arc<dyn Link> {
        Arc::new(self.clone())
    }
}

fn faces(settings: &transport::Settings, clock: &Arc<dyn Clock>) -> Result<Faces, SetupProblem> {
    let http = HttpTransport::new(settings, Arc::clone(clock));
    let http = Arc::new(http.map_err(|problem| SetupProblem::new(problem.to_string()))?);
    // reqwest's pool hides waits and second sendings, which a load is there to show.
    let load = Arc::new(http.direct());
    let link = Arc::clone(&http) as Arc<dyn Link>;
    Ok(Faces { health: http, load, link })
}

/// Sends over one of the faces of the network that is in use.
struct Sender {
    network: Network,
    of: fn(&Faces) -> &Arc<dyn Transport>,
}

impl Sender {
    fn current(&self) -> Arc<dyn Transport> {
        Arc::clone((self.of)(&self.network.faces.load()))
    }
}

impl Transport for Sender {
    fn send(
        &self,
        request: OutgoingRequest,
        to: Arc<ConnectTarget>,
        options: SendOptions,
    ) -> BoxFuture<'_, Exchange> {
        let current = self.current();
        Box::pin(async move { current.send(request, to, options).await })
    }

    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        let current = self.current();
        Box::pin(async move { current.fetch(request).await })
    }
}

impl Link for Network {
    fn resolve(&self, host: String) -> BoxFuture<'_, Result<Vec<IpAddr>, TransportFailure>> {
        let link = Arc::clone(&self.faces.load().link);
        Box::pin(async move { link.resolve(host).await })
    }

    fn handshake(
        &self,
        address: SocketAddr,
        tls_name: String,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Handshake, TransportFailure>> {
        let link = Arc::clone(&self.faces.load().link);
        Box::pin(async move { link.handshake(address, tls_name, timeout).await })
    }

    fn presented_chain(
        &self,
        address: SocketAddr,
        tls_name: String,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, TransportFailure>> {
        let link = Arc::clone(&self.faces.load().link);
        Box::pin(async move { link.presented_chain(address, tls_name, timeout).await })
    }

    fn services(&self, name: String) -> BoxFuture<'_, Result<Vec<ServicePlace>, TransportFailure>> {
        let link = Arc::clone(&self.faces.load().link);
        Box::pin(async move { link.services(name).await })
    }

    fn is_own(&self, address: IpAddr) -> bool {
        self.faces.load().link.is_own(address)
    }
}
