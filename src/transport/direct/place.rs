//! One connect target: what is resolved, the last answer of DNS, and the idle connections.

use super::super::addresses::{PrivateRanges, literal};
use super::super::{clients, failure};
use super::connection::Connection;
use crate::domain::moment::Moment;
use crate::domain::request::{ConnectTarget, FailureKind, TransportFailure};
use rustls::pki_types::ServerName;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Permitted addresses, and until when they serve.
pub(super) type Answer = Option<(Vec<IpAddr>, Moment)>;

/// A connect target with all that is kept for it.
pub(super) struct Place {
    name: String,
    literal: Option<IpAddr>,
    port: u16,
    /// The name that TLS asks for; `None` for plain http.
    server_name: Option<ServerName<'static>>,
    answer: tokio::sync::Mutex<Answer>,
    turn: AtomicUsize,
    /// In the order they were given back, so that the last is the one most recently used.
    idle: Mutex<Vec<Idle>>,
}

/// A connection that waits for its next request.
pub(super) struct Idle {
    pub(super) connection: Box<Connection>,
    pub(super) since: Moment,
    /// Counts this one among all.
    pub(super) _counted: Counted,
}

/// One of the idle connections of all places, until it is dropped.
pub(super) struct Counted(Arc<AtomicUsize>);

impl Counted {
    /// `None` when there are as many as may be.
    pub(super) fn within(all: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let counted = Self(Arc::clone(all));
        (all.fetch_add(1, Ordering::AcqRel) < limit).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Place {
    /// A target's place, or why nothing may be sent there: the rules of `clients`.
    pub(super) fn new(to: &ConnectTarget, ranges: &PrivateRanges) -> Result<Self, TransportFailure> {
        let located = clients::locate(to, "/", ranges)?;
        let server_name = if to.tls {
            let name = ServerName::try_from(to.tls_name.clone());
            Some(name.map_err(|_| failure::failure(FailureKind::Tls, "not a name that TLS can ask for"))?)
        } else {
            None
        };
        // What the URL standard makes of the name is what reqwest would resolve.
        let name = located.url.host_str().filter(|_| located.by_name).unwrap_or(&to.host).to_owned();
        Ok(Self {
            literal: literal(&name),
            name,
            port: to.port,
            server_name,
            answer: tokio::sync::Mutex::default(),
            turn: AtomicUsize::new(0),
            idle: Mutex::default(),
        })
    }

    /// What is looked up in DNS, unless it is an address.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn literal(&self) -> Option<IpAddr> {
        self.literal
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) const fn server_name(&self) -> Option<&ServerName<'static>> {
        self.server_name.as_ref()
    }

    pub(super) const fn answer(&self) -> &tokio::sync::Mutex<Answer> {
        &self.answer
    }

    /// A number that grows with each connection.
    pub(super) fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Leaves an address out of the last answer, unless it is the only one left. While DNS is being asked there is
    /// nothing to do: a new answer is on its way.
    pub(super) fn avoid(&self, address: IpAddr) {
        if let Ok(mut answer) = self.answer.try_lock()
            && let Some((addresses, _)) = &mut *answer
            && addresses.len() > 1
        {
            addresses.retain(|known| *known != address);
        }
    }

    pub(super) fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
