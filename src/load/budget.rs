//! The ceilings at run time: what all loads and the health probes together may ask of the agent and of an account.

use crate::domain::account::AccountId;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Sums of configured decimals are compared with a ceiling; a sum that differs by rounding alone is not over it.
const ROUNDING: f64 = 1e-6;

/// The ceilings and what is taken of them. A load takes its peak for as long as it runs, not its rate of the
/// moment: what two loads may do together is then decided before either begins.
#[derive(Debug)]
pub struct Budget {
    taken: Mutex<Taken>,
}

#[derive(Debug)]
struct Taken {
    agent: f64,
    per_account: f64,
    /// What health probes ask of each account all the time.
    steady: HashMap<AccountId, f64>,
    serial: u64,
    /// Kept one by one, since a sum that is added to and subtracted from drifts.
    reservations: HashMap<u64, (AccountId, f64)>,
}

/// Why a load may not begin: beside what runs already it would exceed a ceiling.
#[derive(Debug, Clone, PartialEq)]
pub struct OverCeiling {
    /// The account whose ceiling it is; `None` for the agent's own.
    pub account: Option<AccountId>,
    /// Requests a second that all together would be.
    pub asked: f64,
    /// The ceiling.
    pub allowed: f64,
}

impl fmt::Display for OverCeiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, asked, allowed } = self;
        match account {
            Some(account) => write!(
                f,
                "with what runs already account {account} would get {asked:.1} requests/s, and \
                 limits.requests_per_second_per_account is {allowed:.1}"
            ),
            None => write!(
                f,
                "with what runs already the agent would make {asked:.1} requests/s, and \
                 limits.requests_per_second is {allowed:.1}"
            ),
        }
    }
}

impl std::error::Error for OverCeiling {}

/// A load's part of the ceilings; dropping it gives it back.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<Budget>,
    serial: u64,
}

impl Budget {
    /// Ceilings in requests a second, and what the health probes ask of each account.
    #[must_use]
    pub fn new(agent: f64, per_account: f64, steady: HashMap<AccountId, f64>) -> Arc<Self> {
        let taken = Taken { agent, per_account, steady, serial: 0, reservations: HashMap::new() };
        Arc::new(Self { taken: Mutex::new(taken) })
    }

    /// Other ceilings from now on. What is taken stays taken, also beyond them: a run that was allowed to begin is
    /// not a reason to stop it.
    pub fn set(&self, agent: f64, per_account: f64, steady: HashMap<AccountId, f64>) {
        let mut taken = self.taken();
        (taken.agent, taken.per_account, taken.steady) = (agent, per_account, steady);
    }

    /// Takes `peak` requests a second to an account.
    ///
    /// # Errors
    /// When a ceiling would be exceeded, or `peak` is no number of requests.
    pub fn try_reserve(self: &Arc<Self>, account: &AccountId, peak: f64) -> Result<Reservation, OverCeiling> {
        let mut taken = self.taken();
        let of_account = |(whose, rate): &(AccountId, f64)| if whose == account { *rate } else { 0.0 };
        let others: f64 = taken.reservations.values().map(of_account).sum();
        let steady = taken.steady.get(account).copied().unwrap_or_default();
        check(Some(account), others + steady + peak, taken.per_account)?;
        let others: f64 = taken.reservations.values().map(|(_, rate)| rate).sum();
        check(None, others + taken.steady.values().sum::<f64>() + peak, taken.agent)?;
        let serial = taken.serial;
        taken.serial += 1;
        taken.reservations.insert(serial, (account.clone(), peak));
        drop(taken);
        Ok(Reservation { budget: Arc::clone(self), serial })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(account: Option<&AccountId>, asked: f64, allowed: f64) -> Result<(), OverCeiling> {
    // Not `asked > allowed`: what is no number is within no ceiling.
    if asked <= allowed + ROUNDING {
        Ok(())
    } else {
        Err(OverCeiling { account: account.cloned(), asked, allowed })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.taken().reservations.remove(&self.serial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str) -> AccountId {
        id.parse().unwrap()
    }

    #[test]
    fn loads_and_health_add_up_per_account_and_for_the_agent() {
        let (a, b) = (account("111111111111"), account("222222222222"));
        let budget = Budget::new(100.0, 60.0, HashMap::from([(a.clone(), 10.0)]));
        let first = budget.try_reserve(&a, 30.0).unwrap();
        let refused = budget.try_reserve(&a, 20.1).unwrap_err();
        assert_eq!((refused.account, refused.allowed), (Some(a.clone()), 60.0));
        assert!((refused.asked - 60.1).abs() < 1e-9);
        let second = budget.try_reserve(&a, 20.0).unwrap();
        let refused = budget.try_reserve(&b, 40.1).unwrap_err();
        assert_eq!((refused.account, refused.allowed), (None, 100.0));
        drop(first);
        let third = budget.try_reserve(&b, 40.1).unwrap();
        drop((second, third));
        assert!(budget.taken().reservations.is_empty());
        let held = budget.try_reserve(&a, 50.0).expect("what was given back is there again");
        budget.set(100.0, 55.0, HashMap::new());
        assert!(budget.try_reserve(&a, 5.1).is_err() && budget.try_reserve(&a, 5.0).is_ok());
        budget.set(100.0, 40.0, HashMap::new());
        assert!(budget.try_reserve(&a, 0.1).is_err(), "what was taken before stays taken");
        drop(held);
        assert!(budget.try_reserve(&a, 40.0).is_ok());
    }

    #[test]
    fn what_is_no_number_is_refused_and_rounding_is_not() {
        let a = account("111111111111");
        let budget = Budget::new(1.0, 0.3, HashMap::new());
        assert!(budget.try_reserve(&a, f64::NAN).is_err());
        assert!(budget.try_reserve(&a, f64::INFINITY).is_err());
        let _held: Vec<_> = (0..3).map(|_| budget.try_reserve(&a, 0.1).unwrap()).collect();
        assert!(budget.try_reserve(&a, 0.001).is_err());
    }
}
