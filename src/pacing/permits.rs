//! Permits to be in flight: per account and for the whole agent. What is free goes to who was served longest ago.
//!
//! A queue in the order of asking is not fair among those who give up: the arrival that timed out would begin again at
//! its end, and as the due times of a target are the same in each interval, so would be who is never served.

mod books;

use crate::domain::account::AccountId;
use books::{Books, Called, Rank};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// All permits of the agent.
pub struct Permits(Shared);

/// Locked for moments only, and never while somebody is woken.
#[derive(Clone)]
struct Shared(Arc<Mutex<Books>>);

/// The permits that one target draws from.
pub(super) struct TargetPermits {
    shared: Shared,
    account: Arc<AccountId>,
}

/// Held while an attempt is in flight.
pub(super) struct Permit {
    shared: Shared,
    account: Arc<AccountId>,
    of_rate: bool,
    turn: u64,
}

/// Waits for a permit. It may be dropped at any time, and keeps nothing then.
struct Turn<'a> {
    permits: &'a TargetPermits,
    rank: Option<Rank>,
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permits {
    /// `in_flight` attempts at once in all, `per_account` to one account; both at least one.
    #[must_use]
    pub fn new(in_flight: usize, per_account: usize) -> Self {
        Self(Shared(Arc::new(Mutex::new(Books::new(in_flight, per_account)))))
    }

    /// Other numbers from now on. What is held stays held: fewer permits take effect as they come back.
    pub fn set(&self, in_flight: usize, per_account: usize) {
        let called = self.0.books().resize(in_flight, per_account);
        called.wake();
    }

    pub(super) fn of(&self, account: &AccountId) -> TargetPermits {
        let account = self.0.books().enter(account);
        TargetPermits { shared: self.0.clone(), account }
    }
}

impl TargetPermits {
    /// Permits to the account in all.
    pub(super) fn per_account(&self) -> usize {
        self.shared.books().per_account()
    }

    /// Waits for a permit; `last` is the [`Permit::turn`] of the one that the target had last, 0 before its first.
    pub(super) async fn in_turn(&self, last: u64) -> Permit {
        let (rank, called) = self.shared.books().ask(&self.account, last);
        // Made before anybody is woken: from here on what was asked for is given back whatever happens.
        let turn = Turn { permits: self, rank: Some(rank) };
        called.wake();
        turn.await
    }

    /// A permit for what may as well not happen: only while more than half of the account's and of the agent's
    /// permits stay free, so that no attempt ever waits for it.
    pub(super) fn spare(&self) -> Option<Permit> {
        let taken = self.shared.books().take_spare(&self.account);
        taken.then(|| self.permit(false, 0))
    }

    /// A permit for an arrival of a rate, if one is free now.
    pub(super) fn try_now(&self) -> Option<Permit> {
        let taken = self.shared.books().take(&self.account, true);
        taken.then(|| self.permit(true, 0))
    }

    fn permit(&self, of_rate: bool, turn: u64) -> Permit {
        Permit { shared: self.shared.clone(), account: Arc::clone(&self.account), of_rate, turn }
    }
}

impl Drop for TargetPermits {
    fn drop(&mut self) {
        self.shared.books().exit(&self.account);
    }
}

impl Permit {
    /// The number of the turn in which it was given: the higher, the later.
    pub(super) const fn turn(&self) -> u64 {
        self.turn
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let called = self.shared.books().give_back(&self.account, self.of_rate);
        called.wake();
    }
}

impl Future for Turn<'_> {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        // A future that has ended is not polled again.
        let Some(rank) = self.rank else { return Poll::Pending };
        let permits = self.permits;
        let turn = permits.shared.books().turn(&permits.account, rank, cx.waker());
        match turn {
            Some(turn) => {
                self.rank = None;
                Poll::Ready(permits.permit(false, turn))
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(rank) = self.rank {
            let called: Called = self.permits.shared.books().give_up(&self.permits.account, rank);
            called.wake();
        }
    }
}

#[cfg(test)]
mod tests;
