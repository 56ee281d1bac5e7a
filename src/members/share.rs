//! Which targets are this agent's: rendezvous hashing (highest random weight; Thaler and Ravishankar, 1998) over the
//! members' names.
//!
//! Every member ranks all members for a target by a hash of both names; the first one owns the target, with replicas
//! the first few. So when one of N members leaves, only its own targets move, about 1/N of all, each to the next in
//! its rank; when it comes back they come back.
//!
//! What is hashed is `SPOKE/API`, not the probe: a guard reads the record of its positive control, and a diagnosis
//! the records of the other probes of an api, which must be the same agent's. Zones of a target stay together for the
//! same reason.

use crate::domain::spread;
use crate::domain::target::{Replica, TargetId};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

/// Between the member and the key in what is hashed; in neither of them.
const BETWEEN: &str = " ";

/// What of all targets is this agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    kind: Kind,
    /// Sorted, each once. Empty for one agent that does all.
    names: Arc<[Arc<str>]>,
    /// Which of them this agent is, as places in `names`.
    me: Vec<usize>,
    replicas: u32,
    /// False while it is not sure enough that nobody else is the first.
    may_begin_loads: bool,
}

/// How a share came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There are no members: one agent does all.
    Alone,
    /// The members are not known, so this agent does everything but scheduled loads: probes made twice are better
    /// than none, loads are not.
    StandIn,
    /// One of several members.
    Member,
}

impl Share {
    /// The share of an agent without members: everything.
    #[must_use]
    pub fn alone() -> Self {
        Self::of_kind(Kind::Alone)
    }

    /// The share of an agent that cannot learn who its members are: every target, and no scheduled load.
    #[must_use]
    pub fn stand_in() -> Self {
        Self::of_kind(Kind::StandIn)
    }

    fn of_kind(kind: Kind) -> Self {
        Self { kind, names: Arc::from([]), me: Vec::new(), replicas: 1, may_begin_loads: kind == Kind::Alone }
    }

    /// The share of member `index`, from 1, of `of` that are told by hand. An index beyond `of` has no share.
    #[must_use]
    pub fn shard(index: NonZeroU32, of: NonZeroU32, replicas: NonZeroU32) -> Self {
        let name = |nth: u32| format!("{nth}/{of}");
        Self::of((1..=of.get()).map(name), &[name(index.get())], replicas)
    }

    /// The share of the member that goes by the names `me`, usually one, among all `members`. The order of the
    /// members has no part in it, nor has a name that is given twice. A name of `me` that is no member has no share.
    #[must_use]
    pub fn of(members: impl IntoIterator<Item = String>, me: &[String], replicas: NonZeroU32) -> Self {
        let sorted: BTreeSet<String> = members.into_iter().collect();
        let me =
            sorted.iter().enumerate().filter(|(_, name)| me.contains(name)).map(|(nth, _)| nth).collect();
        let names = sorted.into_iter().map(Arc::from).collect();
        Self { kind: Kind::Member, names, me, replicas: replicas.get(), may_begin_loads: true }
    }

    /// The same share without scheduled loads, while it is not sure that nobody else is the first member. An agent
    /// alone turns into a stand-in.
    #[must_use]
    pub fn without_loads(mut self) -> Self {
        if self.kind == Kind::Alone {
            return Self::stand_in();
        }
        self.may_begin_loads = false;
        self
    }

    /// Whether and as which replica this agent probes a target.
    #[must_use]
    pub fn mine(&self, target: &TargetId) -> Option<Replica> {
        self.owns(&format!("{}/{}", target.spoke, target.api))
    }

    /// The same for anything with a name: what is not probed but divided as well.
    #[must_use]
    pub fn owns(&self, key: &str) -> Option<Replica> {
        if self.kind != Kind::Member {
            return Some(Replica::ONLY);
        }
        let weights: Vec<u64> = self.names.iter().map(|name| spread::hash(&[name, BETWEEN, key])).collect();
        // Two equal weights of 64 bits are not to be expected; then the name that sorts first goes first.
        let rank = |nth: usize| (Reverse(weights.get(nth).copied()), nth);
        let ahead = |nth: usize| (0..weights.len()).filter(|other| rank(*other) < rank(nth)).count();
        let best = self.me.iter().map(|nth| ahead(*nth)).min()?;
        let of = self.replicas_of_each();
        let index = u32::try_from(best).ok().filter(|index| *index < of)?;
        Some(Replica { index, of })
    }

    /// True for the one member that begins scheduled loads: the first by name. False for a stand-in: a load that is
    /// begun by every agent at once is harm, not a double probe.
    #[must_use]
    pub fn is_first_member(&self) -> bool {
        self.may_begin_loads && (self.kind != Kind::Member || self.me.contains(&0))
    }

    /// How many agents probe each target: what is configured, as far as there are so many members.
    #[must_use]
    pub fn replicas_of_each(&self) -> u32 {
        self.replicas.min(self.count()).max(1)
    }

    /// How many members there are, 1 for an agent that does all.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.names.len()).unwrap_or(u32::MAX).max(1)
    }

    /// How the share came about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// All members, sorted; empty where there are none or none are known.
    #[must_use]
    pub const fn names(&self) -> &Arc<[Arc<str>]> {
        &self.names
    }

    /// The names that this agent goes by.
    pub fn me(&self) -> impl Iterator<Item = &Arc<str>> {
        self.me.iter().filter_map(|nth| self.names.get(*nth))
    }
}

#[cfg(test)]
mod tests;
