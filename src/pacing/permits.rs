//! Permits to be in flight: per account and for the whole agent. Pure bookkeeping over fair pools.

mod pool;

use crate::domain::account::AccountId;
use pool::{Place, Pool};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// All permits of the agent.
pub struct Permits {
    agent: Arc<Pool>,
    /// Rates together get at most half of the agent's permits, so that hanging rates leave room for health.
    rates: Arc<Pool>,
    accounts: Mutex<HashMap<AccountId, Arc<Pool>>>,
    per_account: AtomicUsize,
}

/// The permits that one target draws from.
pub(super) struct TargetPermits {
    agent: Arc<Pool>,
    rates: Arc<Pool>,
    account: Arc<Pool>,
}

/// Held while an attempt is in flight.
pub(super) struct Permit {
    _account: Place,
    _agent: Place,
    _rate: Option<Place>,
}

impl Permits {
    /// `in_flight` attempts at once in all, `per_account` to one account; both at least one.
    #[must_use]
    pub fn new(in_flight: usize, per_account: usize) -> Self {
        Self {
            agent: Pool::new(in_flight),
            rates: Pool::new(in_flight / 2),
            accounts: Mutex::default(),
            per_account: AtomicUsize::new(per_account),
        }
    }

    /// Other numbers from now on. What is held stays held: fewer permits take effect as they come back.
    pub fn set(&self, in_flight: usize, per_account: usize) {
        self.agent.resize(in_flight);
        self.rates.resize(in_flight / 2);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        self.per_account.store(per_account, Ordering::Release);
        // Nobody draws from an account that has no target any more.
        accounts.retain(|_, account| Arc::strong_count(account) > 1);
        accounts.values().for_each(|account| account.resize(per_account));
    }

    pub(super) fn of(&self, account: &AccountId) -> TargetPermits {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts
            .entry(account.clone())
            .or_insert_with(|| Pool::new(self.per_account.load(Ordering::Acquire)));
        TargetPermits {
            agent: Arc::clone(&self.agent),
            rates: Arc::clone(&self.rates),
            account: Arc::clone(account),
        }
    }
}

impl TargetPermits {
    /// Permits to the account in all.
    pub(super) fn per_account(&self) -> usize {
        self.account.size()
    }

    /// Waits for a permit in the order of asking. The account's comes first: who waits for its own account
    /// must not hold what belongs to all.
    pub(super) async fn in_turn(&self) -> Permit {
        let account = self.account.in_turn().await;
        let agent = self.agent.in_turn().await;
        Permit { _account: account, _agent: agent, _rate: None }
    }

    /// A permit for what may as well not happen: only while more than half of the account's and of the agent's
    /// permits stay free, so that no attempt ever waits for it.
    pub(super) fn spare(&self) -> Option<Permit> {
        if !self.agent.is_mostly_free() || !self.account.is_mostly_free() {
            return None;
        }
        Some(Permit { _rate: None, _account: self.account.now()?, _agent: self.agent.now()? })
    }

    /// A permit for an arrival of a rate, if all three are free now.
    pub(super) fn try_now(&self) -> Option<Permit> {
        Some(Permit {
            _rate: Some(self.rates.now()?),
            _account: self.account.now()?,
            _agent: self.agent.now()?,
        })
    }
}

#[cfg(test)]
mod tests;
