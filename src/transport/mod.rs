//! Sending: the only reqwest user, and beside it the connections of our own that load goes over.
//!
//! `attempt` hands over a signed request and a connect target and gets an `Exchange` back, whatever happened;
//! `credentials` sends its own plain requests through `fetch`; `endpoint` watches addresses through `Link`.
//!
//! ```text
//! clients   which reqwest client serves a connect target     addresses  which addresses may be connected to
//! exchange  one request: phases, bounds, the quick retry     failure    an error of the network as a closed word
//! fetch     one plain bounded request                        link       resolve and handshake without a request
//! trust     the one TLS configuration that all share         phase      what is known of a connection meanwhile
//! chain     the certificates an address presents, unchecked  services   where a service is, by SRV records
//! open_files  how many connections there may be
//! unverified  the health check of an agent that speaks TLS: an address, a path, nothing else
//! direct    the transport of load: hyper's connections without reqwest, to the same rules
//! ```

mod addresses;
mod chain;
mod clients;
mod direct;
mod exchange;
mod failure;
mod fetch;
mod link;
mod open_files;
mod phase;
mod services;
#[cfg(test)]
mod tests;
mod trust;
mod unverified;

pub use addresses::{Lookup, SystemLookup};
pub use direct::DirectTransport;
pub use open_files::OpenFiles;
pub use unverified::ask_unverified;

use crate::domain::request::{ConnectTarget, Exchange, OutgoingRequest, SendOptions};
use crate::seams::{Clock, FetchFailure, FetchRequest, FetchResponse, Transport, open_file_limit};
use addresses::PrivateRanges;
use clients::Clients;
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use open_files::Names;
use rustls::client::Resumption;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What sending needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// PEM text of further certificate authorities to trust (`ca_file`).
    pub extra_roots_pem: Option<String>,
    /// Further ranges that count as private (`cidrs`, and the addresses of `zones`).
    pub private_ranges: Vec<IpNet>,
}

impl Settings {
    /// True when a connection to the address stays within the network.
    #[must_use]
    pub fn counts_as_private(&self, address: IpAddr) -> bool {
        PrivateRanges::new(self.private_ranges.clone()).contains(address)
    }
}

/// The most bytes of a body that are read; what lies beyond is cut off and marked.
pub const BODY_LIMIT_BYTES: usize = 1024 * 1024;

/// Why sending could not be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupError(String);

impl SetupError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SetupError {}

/// The network of the machine, for health probes and whatever is fetched.
pub struct HttpTransport {
    clients: Clients,
    fetcher: reqwest::Client,
    full_handshake: Arc<rustls::ClientConfig>,
    ranges: Arc<PrivateRanges>,
    lookup: Arc<dyn Lookup>,
    clock: Arc<dyn Clock>,
    names: Names,
    /// Requests on their way, those of load included.
    in_flight: Arc<Semaphore>,
    shares: OpenFiles,
}

impl HttpTransport {
    /// Loads the trusted certificate authorities once and prepares the clients. Opens no connection.
    ///
    /// # Errors
    /// When the extra certificate authorities cannot be read as PEM, or a client cannot be built.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        Self::with_lookup(settings, clock, Arc::new(SystemLookup::default()))
    }

    /// The same with another source of DNS answers than the machine's resolver.
    ///
    /// # Errors
    /// As `new`.
    pub fn with_lookup(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, SetupError> {
        Self::within(OpenFiles::within(open_file_limit()), settings, clock, lookup)
    }

    /// The same with a share of open files of its own.
    pub(crate) fn within(
        shares: OpenFiles,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, SetupError> {
        let mut tls = trust::client_config(settings.extra_roots_pem.as_deref())?;
        let ranges = Arc::new(PrivateRanges::new(settings.private_ranges.clone()));
        let clients = Clients::new(&tls, Arc::clone(&ranges), Arc::clone(&lookup))?;
        let fetcher = fetch::client(&tls)?;
        // A watched handshake is always a whole one: a resumed one would look fast and show an old certificate.
        tls.resumption = Resumption::disabled();
        Ok(Self {
            clients,
            fetcher,
            full_handshake: Arc::new(tls),
            ranges,
            lookup,
            clock,
            names: Names::new(shares),
            in_flight: Arc::new(Semaphore::new(shares.in_flight.min(Semaphore::MAX_PERMITS))),
            shares,
        })
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").finish_non_exhaustive()
    }
}

impl Transport for HttpTransport {
    fn send(
        &self,
        request: OutgoingRequest,
        to: Arc<ConnectTarget>,
        options: SendOptions,
    ) -> BoxFuture<'_, Exchange> {
        Box::pin(exchange::send(self, request, to, options))
    }

    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        Box::pin(fetch::fetch(&self.fetcher, request))
    }
}
