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
    let held: Vec<_> = (0..2).filter_map(|_| a.in_turn(0).now_or_never()).collect();
    assert_eq!(held.len(), 2);
    assert!(a.in_turn(0).now_or_never().is_none());
    assert!(b.in_turn(0).now_or_never().is_some());
    drop(held);
    assert!(a.in_turn(0).now_or_never().is_some());
}

#[test]
fn rates_leave_half_of_the_agent_to_health() {
    let permits = Permits::new(4, 100);
    let target = permits.of(&account("111111111111"));
    let rates: Vec<_> = (0..4).filter_map(|_| target.try_now()).collect();
    assert_eq!(rates.len(), 2);
    let health: Vec<_> = (0..4).filter_map(|_| target.in_turn(0).now_or_never()).collect();
    assert_eq!(health.len(), 2);
}

#[test]
fn rates_leave_half_of_their_account_to_health() {
    let permits = Permits::new(100, 4);
    let one = permits.of(&account("111111111111"));
    let (two, other) = (permits.of(&account("111111111111")), permits.of(&account("222222222222")));
    let rates: Vec<_> = (0..4).flat_map(|_| [one.try_now(), two.try_now()]).flatten().collect();
    assert_eq!(rates.len(), 2, "of both together");
    let others = [other.try_now(), other.try_now()];
    assert!(others.iter().all(Option::is_some), "another account has its own");
    let health: Vec<_> = (0..4).filter_map(|_| two.in_turn(0).now_or_never()).collect();
    assert_eq!(health.len(), 2);
    drop(rates);
    assert!(one.try_now().is_some(), "what comes back may be taken again");
}

#[test]
fn spare_permits_leave_more_than_half_free() {
    let permits = Permits::new(100, 8);
    let target = permits.of(&account("111111111111"));
    let held: Vec<_> = std::iter::from_fn(|| target.spare()).collect();
    assert_eq!(held.len(), 4);
    assert!(target.in_turn(0).now_or_never().is_some());
    for few in [1, 2] {
        let held = Permits::new(100, few).of(&account("111111111111")).spare();
        assert_eq!(held.is_some(), few > 1, "{few}");
    }
}

#[test]
fn who_waits_for_its_account_holds_nothing_of_the_agent() {
    let permits = Permits::new(2, 1);
    let (a, b) = (permits.of(&account("111111111111")), permits.of(&account("222222222222")));
    let _held = a.in_turn(0).now_or_never().unwrap();
    let mut waiting = Box::pin(a.in_turn(0));
    assert!((&mut waiting).now_or_never().is_none());
    assert!(b.in_turn(0).now_or_never().is_some());
}

#[test]
fn other_numbers_take_effect_and_no_held_permit_is_lost() {
    let permits = Permits::new(10, 4);
    let target = permits.of(&account("111111111111"));
    let take = |most: usize| -> Vec<Permit> {
        std::iter::from_fn(|| target.in_turn(0).now_or_never()).take(most).collect()
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
    let held = target.in_turn(0).now_or_never();
    let mut waiting = Box::pin(target.in_turn(0));
    assert!((&mut waiting).now_or_never().is_none());
    permits.set(10, 2);
    assert!(waiting.now_or_never().is_some() && held.is_some());
}

#[test]
fn an_account_without_targets_is_forgotten() {
    let permits = Permits::new(10, 1);
    let kept = permits.of(&account("111111111111"));
    let held = permits.of(&account("222222222222")).try_now();
    assert_eq!(permits.0.books().accounts(), 2, "a permit is held still");
    drop(held);
    assert_eq!(permits.0.books().accounts(), 1);
    drop(kept);
    assert_eq!(permits.0.books().accounts(), 0);
}

#[test]
fn who_was_served_longest_ago_is_next_whenever_it_asks() {
    let permits = Permits::new(1, 1);
    let target = permits.of(&account("111111111111"));
    let first = target.in_turn(0).now_or_never().unwrap();
    let again = first.turn();
    let mut early = Box::pin(target.in_turn(again));
    assert!((&mut early).now_or_never().is_none());
    // It gave up, and asks again after somebody that was served meanwhile.
    let mut late = Box::pin(target.in_turn(0));
    assert!((&mut late).now_or_never().is_none());
    drop(late);
    let mut late = Box::pin(target.in_turn(0));
    assert!((&mut late).now_or_never().is_none());
    drop(first);
    assert!((&mut early).now_or_never().is_none());
    let second = late.now_or_never().unwrap();
    assert!(second.turn() > again);
    drop(second);
    assert!(early.now_or_never().is_some());
}

#[test]
fn a_turn_that_came_and_was_not_taken_goes_to_the_next() {
    let permits = Permits::new(1, 1);
    let target = permits.of(&account("111111111111"));
    let held = target.in_turn(0).now_or_never();
    let (mut one, mut other) = (Box::pin(target.in_turn(0)), Box::pin(target.in_turn(0)));
    assert!((&mut one).now_or_never().is_none() && (&mut other).now_or_never().is_none());
    drop(held);
    drop(one);
    assert!(other.now_or_never().is_some());
    assert_eq!(permits.0.books().waiting(), 0);
}

/// Ten thousand wait, and each of as many turns finds the next without a look at all of them.
#[test]
fn ten_thousand_that_wait_are_served_in_turn_and_soon() {
    let permits = Permits::new(10, 5);
    let targets: Vec<_> = (0..200).map(|n| permits.of(&account(&format!("{n:012}")))).collect();
    let held: Vec<_> = (0..10).map(|n| targets[n].in_turn(0).now_or_never().unwrap()).collect();
    let mut waiting: Vec<_> = (0..10_000).map(|n| Box::pin(targets[n % 200].in_turn(0))).collect();
    assert!(waiting.iter_mut().all(|turn| turn.as_mut().now_or_never().is_none()));
    assert_eq!(permits.0.books().waiting(), 10_000);
    drop(held);
    for turns in waiting.chunks_mut(10) {
        let permits: Vec<_> = turns.iter_mut().filter_map(|turn| turn.as_mut().now_or_never()).collect();
        assert_eq!(permits.len(), 10);
    }
    assert_eq!(permits.0.books().waiting(), 0);
}

/// What a test does with the permits.
#[derive(Debug, Clone)]
enum Step {
    Ask { target: usize },
    Take { target: usize },
    GiveUp { which: usize },
    GiveBack { which: usize },
    Resize { in_flight: usize, per_account: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..9).prop_map(|target| Step::Ask { target }),
        1 => (0_usize..9).prop_map(|target| Step::Take { target }),
        1 => any::<usize>().prop_map(|which| Step::GiveUp { which }),
        3 => any::<usize>().prop_map(|which| Step::GiveBack { which }),
        1 => (1_usize..7, 1_usize..5)
            .prop_map(|(in_flight, per_account)| Step::Resize { in_flight, per_account }),
    ]
}

proptest! {
    /// Nine targets of three accounts against a list that is searched from end to end: the same ones are served, in the
    /// same order, whatever sizes follow each other, and in the end nothing is lost.
    #[test]
    fn turns_are_as_a_naive_list_has_them(steps in proptest::collection::vec(step(), 1..120)) {
        let permits = Permits::new(3, 2);
        let targets: Vec<_> = (0..9).map(|n| permits.of(&account(&format!("{:012}", n % 3)))).collect();
        let (mut in_flight, mut per_account, mut asked) = (3, 2, 0);
        let mut last = [0_u64; 9];
        // Who holds (target, permit), and who waits in which order: (last turn, number of asking, target, future).
        let mut held: Vec<(usize, Permit)> = Vec::new();
        let mut waiting = Vec::new();
        for step in steps {
            match step {
                Step::Ask { target } => {
                    asked += 1;
                    waiting.push((last[target], asked, target, Box::pin(targets[target].in_turn(last[target]))));
                }
                Step::Take { target } => {
                    let of = |account: usize| held.iter().filter(|(by, _)| by % 3 == account).count();
                    let free = held.len() < in_flight && of(target % 3) < per_account;
                    // No rate is among those that hold, or half of the agent is all that it gets.
                    if !free {
                        prop_assert!(targets[target].try_now().is_none());
                    } else {
                        prop_assert!(targets[target].try_now().is_some());
                    }
                }
                Step::GiveUp { which } if !waiting.is_empty() => {
                    let which = which % waiting.len();
                    drop(waiting.remove(which));
                }
                Step::GiveBack { which } if !held.is_empty() => {
                    let which = which % held.len();
                    drop(held.remove(which));
                }
                Step::Resize { in_flight: all, per_account: one } => {
                    (in_flight, per_account) = (all, one);
                    permits.set(all, one);
                }
                Step::GiveUp { .. } | Step::GiveBack { .. } => {}
            }
            loop {
                let of = |account: usize| held.iter().filter(|(by, _)| by % 3 == account).count();
                let next = waiting
                    .iter()
                    .enumerate()
                    .filter(|(_, (_, _, target, _))| held.len() < in_flight && of(target % 3) < per_account)
                    .min_by_key(|(_, (last, asked, _, _))| (*last, *asked))
                    .map(|(at, _)| at);
                let Some(at) = next else { break };
                let (_, _, target, turn) = waiting.remove(at);
                let permit = turn.now_or_never();
                prop_assert!(permit.is_some(), "{target} has its turn");
                let permit = permit.unwrap();
                last[target] = permit.turn();
                held.push((target, permit));
            }
            for (_, _, target, turn) in &mut waiting {
                prop_assert!(turn.as_mut().now_or_never().is_none(), "{target} waits");
            }
        }
        drop((held, waiting));
        permits.set(5, 9);
        let all: Vec<_> = std::iter::from_fn(|| targets[0].in_turn(0).now_or_never()).collect();
        prop_assert_eq!(all.len(), 5);
        drop((all, targets));
        prop_assert_eq!(permits.0.books().accounts(), 0);
    }
}
