//! Permits to be in flight: per account and for the whole agent. Pure bookkeeping over fair semaphores.

use crate::domain::account::AccountId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All permits of the agent.
pub struct Permits {
    agent: Arc<Semaphore>,
    /// Rates together get at most half of the agent's permits, so that hanging rates leave room for health.
    rates: Arc<Semaphore>,
    accounts: Mutex<HashMap<AccountId, Arc<Semaphore>>>,
    in_flight: usize,
    per_account: usize,
}

/// The permits that one target draws from.
pub(super) struct TargetPermits {
    agent: Arc<Semaphore>,
    rates: Arc<Semaphore>,
    account: Arc<Semaphore>,
    /// Permits in all, of the agent and of the account.
    totals: (usize, usize),
}

/// Held while an attempt is in flight.
pub(super) struct Permit {
    _account: OwnedSemaphorePermit,
    _agent: OwnedSemaphorePermit,
    _rate: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// `in_flight` attempts at once in all, `per_account` to one account; both at least one.
    #[must_use]
    pub fn new(in_flight: usize, per_account: usize) -> Self {
        let in_flight = in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            agent: Arc::new(Semaphore::new(in_flight)),
            rates: Arc::new(Semaphore::new((in_flight / 2).max(1))),
            accounts: Mutex::default(),
            in_flight,
            per_account: per_account.clamp(1, Semaphore::MAX_PERMITS),
        }
    }

    pub(super) const fn per_account(&self) -> usize {
        self.per_account
    }

    pub(super) fn of(&self, account: &AccountId) -> TargetPermits {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account =
            accounts.entry(account.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.per_account)));
        TargetPermits {
            agent: Arc::clone(&self.agent),
            rates: Arc::clone(&self.rates),
            account: Arc::clone(account),
            totals: (self.in_flight, self.per_account),
        }
    }
}

impl TargetPermits {
    /// Waits for a permit in the order of asking. The account's comes first: who waits for its own account
    /// must not hold what belongs to all.
    pub(super) async fn in_turn(&self) -> Permit {
        let account = Arc::clone(&self.account).acquire_owned().await;
        let agent = Arc::clone(&self.agent).acquire_owned().await;
        match (account, agent) {
            (Ok(account), Ok(agent)) => Permit { _account: account, _agent: agent, _rate: None },
            // The semaphores are never closed; waiting on is the only answer that is not a lie.
            _ => std::future::pending().await,
        }
    }

    /// A permit for what may as well not happen: only while more than half of the account's and of the agent's
    /// permits stay free, so that no attempt ever waits for it.
    pub(super) fn spare(&self) -> Option<Permit> {
        let plenty = |free: &Semaphore, total: usize| free.available_permits() > (total / 2).max(1);
        let (agent, account) = self.totals;
        if !plenty(&self.agent, agent) || !plenty(&self.account, account) {
            return None;
        }
        Some(Permit {
            _rate: None,
            _account: Arc::clone(&self.account).try_acquire_owned().ok()?,
            _agent: Arc::clone(&self.agent).try_acquire_owned().ok()?,
        })
    }

    /// A permit for an arrival of a rate, if all three are free now.
    pub(super) fn try_now(&self) -> Option<Permit> {
        Some(Permit {
            _rate: Some(Arc::clone(&self.rates).try_acquire_owned().ok()?),
            _account: Arc::clone(&self.account).try_acquire_owned().ok()?,
            _agent: Arc::clone(&self.agent).try_acquire_owned().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn account(id: &str) -> AccountId {
        id.parse().unwrap()
    }

    #[test]
    fn one_account_cannot_take_what_belongs_to_another() {
        let permits = Permits::new(10, 2);
        let (a, b) = (permits.of(&account("111111111111")), permits.of(&account("222222222222")));
        let held: Vec<_> = (0..2).filter_map(|_| a.in_turn().now_or_never()).collect();
        assert_eq!(held.len(), 2);
        assert!(a.in_turn().now_or_never().is_none());
        assert!(b.in_turn().now_or_never().is_some());
        drop(held);
        assert!(a.in_turn().now_or_never().is_some());
    }

    #[test]
    fn rates_leave_half_of_the_agent_to_health() {
        let permits = Permits::new(4, 100);
        let target = permits.of(&account("111111111111"));
        let rates: Vec<_> = (0..4).filter_map(|_| target.try_now()).collect();
        assert_eq!(rates.len(), 2);
        let health: Vec<_> = (0..4).filter_map(|_| target.in_turn().now_or_never()).collect();
        assert_eq!(health.len(), 2);
    }

    #[test]
    fn spare_permits_leave_more_than_half_free() {
        let permits = Permits::new(100, 8);
        let target = permits.of(&account("111111111111"));
        let held: Vec<_> = std::iter::from_fn(|| target.spare()).collect();
        assert_eq!(held.len(), 4);
        assert!(target.in_turn().now_or_never().is_some());
        for few in [1, 2] {
            let held = Permits::new(100, few).of(&account("111111111111")).spare();
            assert_eq!(held.is_some(), few > 1, "{few}");
        }
    }

    #[test]
    fn who_waits_for_its_account_holds_nothing_of_the_agent() {
        let permits = Permits::new(2, 1);
        let (a, b) = (permits.of(&account("111111111111")), permits.of(&account("222222222222")));
        let _held = a.in_turn().now_or_never().unwrap();
        let mut waiting = Box::pin(a.in_turn());
        assert!((&mut waiting).now_or_never().is_none());
        assert!(b.in_turn().now_or_never().is_some());
    }
}
