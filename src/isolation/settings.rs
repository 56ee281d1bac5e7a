//! What is to be checked: callers, apis, and which of each other they must refuse.

use crate::domain::arn::RoleArn;
use crate::domain::credentials::RoleSession;
use crate::domain::name::Name;
use crate::domain::spread;
use crate::domain::target::Target;
use crate::recording::PairName;
use std::sync::Arc;
use std::time::Duration;

/// The most pairs of a plan: far more than a day can check, and a few megabytes.
pub const MOST_PAIRS: usize = 1_000_000;

/// What isolation needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How long a check is valid, and within which each pair is to be checked.
    pub period: Duration,
    /// How long a round over all pairs takes: the period, or longer where limits leave no room for it.
    pub round: Duration,
    /// How far two tries of open doors are apart at least.
    pub recheck_pace: Duration,
    /// The roles that call.
    pub callers: Vec<Caller>,
    /// Each api as the probe of its own spoke whose request is sent.
    pub apis: Vec<Arc<Target>>,
    /// Which caller is checked at which api, at most [`MOST_PAIRS`].
    pub pairs: Vec<Pair>,
}

/// A role that must be refused elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The spoke it belongs to; the first one where spokes share a session.
    pub spoke: Name,
    /// What is sent to AssumeRole.
    pub session: Arc<RoleSession>,
}

impl Caller {
    /// The role.
    #[must_use]
    pub fn role(&self) -> &RoleArn {
        &self.session.role_arn
    }
}

/// A caller and an api, as places in the lists of [`Settings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    /// The place of the caller.
    pub caller: u16,
    /// The place of the api.
    pub api: u16,
}

impl Settings {
    pub(super) fn caller(&self, pair: Pair) -> Option<&Caller> {
        self.callers.get(usize::from(pair.caller))
    }

    pub(super) fn api(&self, pair: Pair) -> Option<&Arc<Target>> {
        self.apis.get(usize::from(pair.api))
    }

    pub(super) fn name(&self, pair: Pair) -> Option<PairName> {
        let (from, api) = (self.caller(pair)?, self.api(pair)?);
        Some(PairName { from: from.spoke.clone(), spoke: api.id.spoke.clone(), api: api.id.api.clone() })
    }

    /// Where a pair of this name stands in the order of all, from 0 to 1.
    pub(super) fn place_of(PairName { from, spoke, api }: &PairName) -> f64 {
        spread::fraction(&format!("{from}>{spoke}/{api}"))
    }

    /// The same of a pair that is one of these.
    pub(super) fn place(&self, pair: Pair) -> f64 {
        self.name(pair).map_or(1.0, |name| Self::place_of(&name))
    }

    /// The pairs in an order that follows from their names alone: a shuffle that a restart does not change,
    /// and in which one more spoke moves nobody to another's place. Neighbours in it are strangers, so
    /// neither a role nor an api meets several checks in a row.
    pub(super) fn shuffled(&self) -> Vec<Pair> {
        let mut keyed: Vec<(f64, Pair)> =
            self.pairs.iter().filter_map(|pair| Some((Self::place_of(&self.name(*pair)?), *pair))).collect();
        keyed.sort_by(|(one, a), (other, b)| one.total_cmp(other).then_with(|| a.cmp(b)));
        keyed.into_iter().map(|(_, pair)| pair).collect()
    }
}
