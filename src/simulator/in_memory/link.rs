//! The hub's addresses one by one, and what DNS says beside the world: who the members of a group of agents are.

use super::{InMemory, STEP, addresses, failure};
use crate::domain::request::{ConnectTarget, FailureKind, TransportFailure};
use crate::seams::{Handshake, Link, ServicePlace};
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Names that DNS knows beside those of the world; what they stand for may change at any time. Agents that share one
/// are agents of one network.
#[derive(Debug, Default)]
pub struct Names(Mutex<BTreeMap<String, Known>>);

#[derive(Debug)]
struct Known {
    answer: Answer,
    asked: usize,
}

#[derive(Debug, Clone)]
enum Answer {
    Hosts(Vec<IpAddr>),
    Places(Vec<ServicePlace>),
    Fails,
    Hangs,
}

impl Names {
    /// A name stands for these addresses from now on; for none, it is there without any.
    pub fn set_hosts(&self, name: &str, addresses: Vec<IpAddr>) {
        self.set(name, Answer::Hosts(addresses));
    }

    /// A name of a service stands for these places from now on.
    pub fn set_places(&self, name: &str, places: Vec<ServicePlace>) {
        self.set(name, Answer::Places(places));
    }

    /// No question about a name is answered from now on.
    pub fn fail(&self, name: &str) {
        self.set(name, Answer::Fails);
    }

    /// Questions about a name wait for ever from now on.
    pub fn hang(&self, name: &str) {
        self.set(name, Answer::Hangs);
    }

    /// How often a name was asked for.
    #[must_use]
    pub fn asked(&self, name: &str) -> usize {
        self.known().get(name).map_or(0, |known| known.asked)
    }

    fn set(&self, name: &str, answer: Answer) {
        let mut names = self.known();
        let asked = names.get(name).map_or(0, |known| known.asked);
        names.insert(name.to_owned(), Known { answer, asked });
    }

    fn of(&self, name: &str) -> Option<Answer> {
        self.known().get_mut(name).map(|known| {
            known.asked += 1;
            known.answer.clone()
        })
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link for InMemory {
    fn resolve(&self, host: String) -> BoxFuture<'_, Result<Vec<IpAddr>, TransportFailure>> {
        Box::pin(async move {
            match self.names.of(&host) {
                Some(Answer::Hosts(found)) => Ok(found),
                Some(Answer::Places(_)) => Err(failure(FailureKind::Dns, "the name has no addresses")),
                Some(Answer::Fails) => Err(failure(FailureKind::Dns, "the resolver does not answer")),
                Some(Answer::Hangs) => std::future::pending().await,
                None => self.hub.look(self.clock.wall(), |world| addresses(world, &host)),
            }
        })
    }

    fn handshake(
        &self,
        address: SocketAddr,
        tls_name: String,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Handshake, TransportFailure>> {
        Box::pin(async move {
            let target =
                ConnectTarget { tls: true, tls_name, host: address.ip().to_string(), port: address.port() };
            if let Err(error) = self.reach(&target) {
                self.pause(if error.kind == FailureKind::ConnectTimeout { timeout } else { STEP }).await;
                return Err(error);
            }
            self.pause(STEP * 2).await;
            Ok(Handshake {
                connect: STEP,
                tls: STEP,
                tls_version: "TLSv1.3".into(),
                chain: vec![self.certificate()],
            })
        })
    }

    fn presented_chain(
        &self,
        address: SocketAddr,
        _tls_name: String,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, TransportFailure>> {
        Box::pin(async move {
            // Plain, so that only the address counts: whatever name is asked for, the same certificate is shown.
            let target = ConnectTarget {
                tls: false,
                tls_name: String::new(),
                host: address.ip().to_string(),
                port: 443,
            };
            if let Err(error) = self.reach(&target) {
                self.pause(if error.kind == FailureKind::ConnectTimeout { timeout } else { STEP }).await;
                return Err(error);
            }
            self.pause(STEP * 2).await;
            Ok(vec![self.certificate()])
        })
    }

    fn services(&self, name: String) -> BoxFuture<'_, Result<Vec<ServicePlace>, TransportFailure>> {
        Box::pin(async move {
            match self.names.of(&name) {
                Some(Answer::Places(places)) => Ok(places),
                Some(Answer::Hangs) => std::future::pending().await,
                _ => Err(failure(FailureKind::Dns, "no such service")),
            }
        })
    }

    fn is_own(&self, address: IpAddr) -> bool {
        self.own.contains(&address)
    }
}
