//! What the simulated hub holds between requests, and what it is told of each connection.

use super::counts::Counters;
use super::deterministic::Sequence;
use super::keys::Keys;
use super::throttle::Buckets;
use super::world::{Progress, World};
use std::time::SystemTime;

/// Which of the hub's listeners a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// The interface endpoint.
    Endpoint,
    /// STS.
    Sts,
    /// The container's credentials endpoint.
    Credentials,
}

/// What is known of the connection a request came over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// The name asked for in the TLS handshake, if there was one.
    pub tls_name: Option<String>,
}

/// Everything that changes.
pub(super) struct State {
    pub(super) world: World,
    pub(super) progress: Progress,
    pub(super) keys: Keys,
    pub(super) buckets: Buckets,
    pub(super) counters: Counters,
    pub(super) sequence: Sequence,
    /// The hub's key that the credentials endpoint hands out at present, with its beginning.
    pub(super) hub_key: Option<(String, SystemTime)>,
}
