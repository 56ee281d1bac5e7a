//! Where the outside enters: the time, STS, the network. Three things that are not ours to decide.
//!
//! Everything above takes these as `Arc<dyn …>`, so the same program runs against AWS, against the
//! simulator over real sockets, and against the simulator in memory under a paused clock.

mod clock;
mod open_files;
mod pacer;
mod tasks;
mod thread;

pub use clock::{SystemClock, TokioWait};
pub use open_files::{can_open_a_file, is_own_shortage, open_file_limit, raise_open_file_limit};
pub use pacer::{COALESCE, DENSE, PreciseWait};
pub use tasks::{log_panic, panic_text, spawn, supervised};
pub use thread::{OwnThread, ThreadFailure, on_own_thread};

use crate::domain::credentials::{CallerIdentity, RoleSession, SessionCredentials};
use crate::domain::moment::Moment;
use crate::domain::request::{ConnectTarget, Exchange, OutgoingRequest, SendOptions, TransportFailure};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The two clocks: one for how long, one for when.
pub trait Clock: Send + Sync {
    /// The monotonic clock. Never goes back.
    fn now(&self) -> Moment;
    /// The wall clock, for signatures, expiry and time stamps. May step in either direction.
    fn wall(&self) -> SystemTime;
}

/// Waiting for a moment of the monotonic clock.
pub trait Wait: Send + Sync {
    /// Resolves at `at`, or at once if that has passed.
    fn until(&self, at: Moment) -> BoxFuture<'_, ()>;
}

/// The hub's own credentials and STS.
pub trait Sessions: Send + Sync {
    /// The agent's own credentials, from wherever its surroundings provide them. Cached by the source, so
    /// asking often is cheap.
    fn hub_credentials(&self) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>>;
    /// Who the given credentials belong to (`GetCallerIdentity`).
    fn caller_identity(
        &self,
        credentials: SessionCredentials,
    ) -> BoxFuture<'_, Result<CallerIdentity, SessionFailure>>;
    /// A new session of a role (`AssumeRole`), asked for with the hub's own credentials, for `duration`.
    fn assume_role(
        &self,
        role: Arc<RoleSession>,
        duration: Duration,
    ) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>>;
}

/// Why there are no credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFailure {
    /// The kind, which decides reason and retry.
    pub kind: SessionFailureKind,
    /// The error code of STS, where it gave one, at most 64 characters.
    pub code: Option<String>,
    /// What was said, for people: at most 300 characters, scrubbed of tokens.
    pub message: String,
}

/// The kinds of credential failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionFailureKind {
    /// The surroundings provide no credentials, or STS does not know those it got.
    NoHubCredentials,
    /// STS refused the role.
    Denied,
    /// STS refused the duration: more than the role allows, or more than 1 h from a role's session.
    DurationRefused,
    /// STS is asked too often.
    Throttled,
    /// STS could not be reached or failed, or the answer could not be read.
    Failed,
}

/// The network: one signed request, or one plain fetch.
pub trait Transport: Send + Sync {
    /// Sends one request and reads its whole answer within the bounds. Never fails: what went wrong is in
    /// the exchange.
    fn send(
        &self,
        request: OutgoingRequest,
        to: Arc<ConnectTarget>,
        options: SendOptions,
    ) -> BoxFuture<'_, Exchange>;

    /// A plain bounded request to an absolute URL, for STS, credential endpoints and the like. The private
    /// address check does not apply.
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>>;
}

/// A plain request.
#[derive(Clone)]
pub struct FetchRequest {
    /// The method.
    pub method: Method,
    /// The absolute URL, `http` or `https`.
    pub url: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The longest time for all of it.
    pub timeout: Duration,
}

/// A plain answer, at most 1 MiB.
#[derive(Clone)]
pub struct FetchResponse {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why a plain request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchFailure {
    /// True when time ran out, false when the connection failed.
    pub timed_out: bool,
    /// What the network said, at most 300 characters.
    pub detail: String,
}

/// The parts of reaching one address, one by one, without a request: what the watch over the endpoint uses.
pub trait Link: Send + Sync {
    /// All addresses of a name, in the resolver's order.
    fn resolve(&self, host: String) -> BoxFuture<'_, Result<Vec<IpAddr>, TransportFailure>>;

    /// Connects to one address and makes a TLS handshake for `tls_name`, then closes.
    fn handshake(
        &self,
        address: SocketAddr,
        tls_name: String,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Handshake, TransportFailure>>;

    /// The certificates that one address presents for `tls_name`, in DER, the server's own first, at most
    /// [`CHAIN_MAX`]: for looking at a certificate that no handshake would accept. The handshake is given up as
    /// soon as they are there, so nothing can be sent over such a connection.
    fn presented_chain(
        &self,
        address: SocketAddr,
        tls_name: String,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, TransportFailure>>;

    /// Where a service is to be found: the SRV records of a name (RFC 2782), in no certain order, at most
    /// [`SERVICES_MAX`]. Priorities and weights are left out: nobody chooses among them here.
    fn services(&self, name: String) -> BoxFuture<'_, Result<Vec<ServicePlace>, TransportFailure>>;

    /// Whether an address is one of this machine's own.
    fn is_own(&self, address: IpAddr) -> bool;
}

/// The most places of one service that are looked at: more than there may be members, so that it is theirs to say that
/// there are too many, and all leave out the same.
pub const SERVICES_MAX: usize = 1024;

/// One place where a service is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePlace {
    /// The host's name, as the answer has it.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The most certificates of one chain that are looked at.
pub const CHAIN_MAX: usize = 8;

/// What a handshake without a request showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// The time the TCP connection took.
    pub connect: Duration,
    /// The time the TLS handshake took.
    pub tls: Duration,
    /// The negotiated version, `TLSv1.2` or `TLSv1.3`.
    pub tls_version: String,
    /// The certificates it presented, in DER, its own first, at most [`CHAIN_MAX`].
    pub chain: Vec<Vec<u8>>,
}
