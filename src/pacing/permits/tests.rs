//! Who gets a permit, who waits, and what becomes of both when the limits change.

use super::*;
use futures_util::FutureExt as _;
use proptest::prelude::*;

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

#[test]
fn other_numbers_take_effect_and_no_held_permit_is_lost() {
    let permits = Permits::new(10, 4);
    let target = permits.of(&account("111111111111"));
    let take = |most: usize| -> Vec<Permit> {
        std::iter::from_fn(|| target.in_turn().now_or_never()).take(most).collect()
    };
    let mut held = take(9);
    assert_eq!(held.len(), 4);
    permits.set(10, 6);
    held.extend(take(9));
    assert_eq!(held.len(), 6, "two more at once");
    permits.set(10, 3);
    for left in [5, 4, 3] {
        held.pop();
        assert!(take(1).is_empty(), "{left} are held still");
    }
    held.pop();
    assert_eq!(take(9).len(), 1);
    permits.set(2, 3);
    assert!(take(1).is_empty(), "the agent has two, and both are held");
    held.clear();
    assert_eq!(take(9).len(), 2);
    permits.set(0, 0);
    assert_eq!(take(9).len(), 1, "never none");
}

#[test]
fn who_waits_is_woken_by_more_permits() {
    let permits = Permits::new(10, 1);
    let target = permits.of(&account("111111111111"));
    let held = target.in_turn().now_or_never();
    let mut waiting = Box::pin(target.in_turn());
    assert!((&mut waiting).now_or_never().is_none());
    permits.set(10, 2);
    assert!(waiting.now_or_never().is_some() && held.is_some());
}

#[test]
fn an_account_without_targets_is_forgotten() {
    let permits = Permits::new(10, 1);
    let kept = permits.of(&account("111111111111"));
    drop(permits.of(&account("222222222222")));
    permits.set(10, 1);
    assert_eq!(permits.accounts.lock().unwrap().len(), 1);
    drop(kept);
}

proptest! {
    /// Whatever sizes follow each other, what is held and what is free come to the size in the end, and never do more
    /// attempts begin than the size allows.
    #[test]
    fn a_pool_comes_to_its_size(steps in proptest::collection::vec((0_usize..4, 1_usize..12), 1..120)) {
        let pool = Pool::new(5);
        let mut held = Vec::new();
        for (step, size) in steps {
            match step {
                0 => pool.resize(size),
                1 => drop(held.pop()),
                _ => {
                    let place = pool.now();
                    prop_assert_eq!(place.is_some(), held.len() < pool.size());
                    held.extend(place);
                }
            }
        }
        held.clear();
        let all: Vec<_> = std::iter::from_fn(|| pool.now()).collect();
        prop_assert_eq!(all.len(), pool.size());
    }
}
