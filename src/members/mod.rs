//! Several agents that share the targets: who they are, and which targets are whose.
//!
//! ```text
//! share     which targets are this agent's, from the members' names alone: pure
//! view      what follows from one answer of DNS after the other: pure
//! question  one question to DNS, and which of the answers is this agent
//! watch     asks every 15 s, hands out the share
//! ```
//!
//! There is no gossip and no election: every member asks the same name of DNS and reckons the same shares from the
//! answer. `plan` takes this agent's share out of the whole plan; what changes goes through `app`'s reconcile like any
//! other change. What is lost with that, on purpose: while members disagree, for a refresh or two, a target may be
//! probed twice or by nobody.

mod question;
mod share;
#[cfg(test)]
mod tests;
mod view;
mod watch;

pub use share::{Kind, Share};
pub use watch::{Around, REFRESH, known_at_once, watch};

use std::num::NonZeroU32;

/// The most members that are looked at: the answer of DNS is another's to give.
pub const MOST_MEMBERS: usize = 256;

/// How this agent learns its share (`members`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the members are known from.
    pub source: Source,
    /// How many members probe each target, as far as there are so many.
    pub replicas: NonZeroU32,
}

/// Where the members are known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A name of DNS whose answer names every member.
    Dns(DnsName),
    /// Told once and for all: `shard: INDEX/OF`.
    Shard {
        /// From 1.
        index: NonZeroU32,
        /// How many there are.
        of: NonZeroU32,
    },
}

/// What is asked of DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsName {
    /// A host name: each address is a member.
    Host(String),
    /// A service's name (RFC 2782): each target with its port is a member.
    Service(String),
}

impl DnsName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Host(name) | Self::Service(name) => name,
        }
    }
}

impl Settings {
    /// How many members probe each target, as far as can be told before the members are known.
    #[must_use]
    pub fn replicas_of_each(&self) -> u32 {
        match self.source {
            Source::Dns(_) => self.replicas.get(),
            Source::Shard { of, .. } => self.replicas.min(of).get(),
        }
    }
}
