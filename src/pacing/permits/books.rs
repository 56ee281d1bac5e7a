//! Who holds a place and whose turn is next. Pure bookkeeping: `permits` locks it, hands out and wakes.
//!
//! A place is had of the account and of the agent at once or not at all, so nobody holds one while waiting for the
//! other. The next free place goes to who was served longest ago, of all whose account has one free: who gave up
//! waiting has that rank still when asking again, and an account that is full keeps nobody of another waiting.

use crate::domain::account::AccountId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::task::Waker;

/// The order of turns: the number of the last turn (none yet is 0), and among equals who asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    served: u64,
    asked: u64,
}

/// Places of one kind. More may be taken than there are, after a resize.
#[derive(Debug)]
struct Places {
    size: usize,
    taken: usize,
}

impl Places {
    /// At least one place.
    fn new(size: usize) -> Self {
        Self { size: size.max(1), taken: 0 }
    }

    const fn free(&self) -> usize {
        self.size.saturating_sub(self.taken)
    }

    /// True while more than half of the places are free, and more than one.
    fn are_mostly_free(&self) -> bool {
        self.free() > (self.size / 2).max(1)
    }
}

struct Account {
    places: Places,
    /// Its rates together get at most half of its places, for the same reason as the agent's.
    rates: Places,
    waiting: BTreeMap<Rank, Option<Waker>>,
    /// Targets that draw from it.
    targets: usize,
}

impl Account {
    /// The rank of who waits for nothing but the agent.
    fn ready(&self) -> Option<Rank> {
        (self.places.free() > 0).then(|| self.waiting.keys().next().copied()).flatten()
    }
}

/// All places of the agent.
pub(super) struct Books {
    agent: Places,
    /// Rates together get at most half of the agent's places, so that hanging rates leave room for health.
    rates: Places,
    per_account: usize,
    accounts: HashMap<Arc<AccountId>, Account>,
    /// The first of each account that has a free place and somebody who waits. Empty while the agent has a free place.
    ready: BTreeMap<Rank, Arc<AccountId>>,
    turns: u64,
    asked: u64,
}

/// Those whose turn has come, to be woken when the books are closed.
#[must_use]
pub(super) struct Called(Vec<Waker>);

impl Called {
    pub(super) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

impl Books {
    pub(super) fn new(in_flight: usize, per_account: usize) -> Self {
        Self {
            agent: Places::new(in_flight),
            rates: Places::new(in_flight / 2),
            per_account: per_account.max(1),
            accounts: HashMap::new(),
            ready: BTreeMap::new(),
            turns: 0,
            asked: 0,
        }
    }

    /// Other numbers. What is taken stays so until it comes back.
    pub(super) fn resize(&mut self, in_flight: usize, per_account: usize) -> Called {
        self.agent.size = in_flight.max(1);
        self.rates.size = (in_flight / 2).max(1);
        self.per_account = per_account.max(1);
        let size = self.per_account;
        let ids: Vec<Arc<AccountId>> = self.accounts.keys().cloned().collect();
        for id in ids {
            self.change(&id, |account| {
                account.places.size = size;
                account.rates.size = (size / 2).max(1);
            });
        }
        self.call()
    }

    pub(super) const fn per_account(&self) -> usize {
        self.per_account
    }

    /// One more target that draws from this account.
    pub(super) fn enter(&mut self, id: &AccountId) -> Arc<AccountId> {
        let known = self.accounts.get_key_value(id).map(|(id, _)| Arc::clone(id));
        let id = known.unwrap_or_else(|| Arc::new(id.clone()));
        let size = self.per_account;
        let new = || Account {
            places: Places::new(size),
            rates: Places::new(size / 2),
            waiting: BTreeMap::new(),
            targets: 0,
        };
        self.accounts.entry(Arc::clone(&id)).or_insert_with(new).targets += 1;
        id
    }

    /// One target less.
    pub(super) fn exit(&mut self, id: &Arc<AccountId>) {
        self.change(id, |account| account.targets = account.targets.saturating_sub(1));
        self.forget(id);
    }

    /// Asks for a turn, by the number of the last one.
    pub(super) fn ask(&mut self, id: &Arc<AccountId>, served: u64) -> (Rank, Called) {
        self.asked += 1;
        let rank = Rank { served, asked: self.asked };
        self.change(id, |account| account.waiting.insert(rank, None));
        (rank, self.call())
    }

    /// The number of the turn, once it has come; until then it is kept who is to be woken.
    pub(super) fn turn(&mut self, id: &Arc<AccountId>, rank: Rank, waker: &Waker) -> Option<u64> {
        if let Some(waiting) = self.accounts.get_mut(id).and_then(|account| account.waiting.get_mut(&rank)) {
            *waiting = Some(waker.clone());
            return None;
        }
        self.turns += 1;
        Some(self.turns)
    }

    /// Nobody waits for this turn any more, whether it has come or not.
    pub(super) fn give_up(&mut self, id: &Arc<AccountId>, rank: Rank) -> Called {
        if self.change(id, |account| account.waiting.remove(&rank)).flatten().is_some() {
            return Called(Vec::new());
        }
        self.give_back(id, false)
    }

    /// Takes a place at once or not at all. Where one is free nobody waits for it.
    pub(super) fn take(&mut self, id: &Arc<AccountId>, for_rate: bool) -> bool {
        let has_one =
            |account: &Account| account.places.free() > 0 && (!for_rate || account.rates.free() > 0);
        let free = self.accounts.get(id).is_some_and(has_one)
            && self.agent.free() > 0
            && (!for_rate || self.rates.free() > 0);
        if free {
            self.change(id, |account| {
                account.places.taken += 1;
                account.rates.taken += usize::from(for_rate);
            });
            self.agent.taken += 1;
            self.rates.taken += usize::from(for_rate);
        }
        free
    }

    /// The same, only while most places stay free.
    pub(super) fn take_spare(&mut self, id: &Arc<AccountId>) -> bool {
        self.agent.are_mostly_free()
            && self.accounts.get(id).is_some_and(|account| account.places.are_mostly_free())
            && self.take(id, false)
    }

    pub(super) fn give_back(&mut self, id: &Arc<AccountId>, of_rate: bool) -> Called {
        self.change(id, |account| {
            account.places.taken = account.places.taken.saturating_sub(1);
            account.rates.taken = account.rates.taken.saturating_sub(usize::from(of_rate));
        });
        self.agent.taken = self.agent.taken.saturating_sub(1);
        self.rates.taken = self.rates.taken.saturating_sub(usize::from(of_rate));
        self.forget(id);
        self.call()
    }

    /// Gives what is free to those whose turn it is.
    fn call(&mut self) -> Called {
        let mut called = Vec::new();
        while self.agent.free() > 0 {
            let Some((rank, id)) = self.ready.pop_first() else { break };
            self.agent.taken += 1;
            let waker = self.change(&id, |account| {
                account.places.taken += 1;
                account.waiting.remove(&rank)
            });
            // Who has only just asked has not said yet whom to wake, and is about to look.
            called.extend(waker.flatten().flatten());
        }
        Called(called)
    }

    /// Changes an account and keeps `ready` true.
    fn change<R>(&mut self, id: &Arc<AccountId>, change: impl FnOnce(&mut Account) -> R) -> Option<R> {
        let account = self.accounts.get_mut(id)?;
        let before = account.ready();
        let result = change(account);
        let after = account.ready();
        if before != after {
            if let Some(rank) = before {
                self.ready.remove(&rank);
            }
            if let Some(rank) = after {
                self.ready.insert(rank, Arc::clone(id));
            }
        }
        Some(result)
    }

    /// An account that nobody draws from and that holds nothing is not kept.
    fn forget(&mut self, id: &Arc<AccountId>) {
        if self.accounts.get(id).is_some_and(|account| account.targets == 0 && account.places.taken == 0) {
            self.accounts.remove(id);
        }
    }

    #[cfg(test)]
    pub(super) fn accounts(&self) -> usize {
        self.accounts.len()
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.accounts.values().map(|account| account.waiting.len()).sum()
    }
}
