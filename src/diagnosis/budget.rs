//! How many twins may be sent: a small share of the attempts that are made anyway, and slowly.
//!
//! Two bounds hold together. Every attempt that ends earns a tenth of a twin, so twins stay within a tenth of all
//! attempts whatever is refused; and rounds begin at one a second at most, a few at once. A budget that is used up
//! delays only knowledge: refusals are counted with their vague reasons meanwhile.

use crate::domain::moment::Moment;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Twins that one attempt earns.
pub const TWINS_PER_ATTEMPT: f64 = 0.1;
/// Twins that may be sent before any attempt has earned one, and the most that can be saved up.
pub const TWINS_AHEAD: f64 = 20.0;
/// Rounds that may begin within a second, and the most that can begin at once.
const ROUNDS_PER_SECOND: f64 = 1.0;
const ROUNDS_AT_ONCE: f64 = 5.0;

/// The whole agent's allowance.
pub(super) struct Budget {
    /// Attempts that ended and have not been turned into credit: all that an attempt touches.
    ended: AtomicU64,
    state: Mutex<State>,
}

struct State {
    twins: f64,
    rounds: f64,
    at: Moment,
}

impl State {
    fn allows(&self, twins: usize) -> bool {
        self.rounds >= 1.0 && self.twins >= cost(twins)
    }
}

impl Budget {
    pub(super) fn new(now: Moment) -> Self {
        let state = State { twins: TWINS_AHEAD, rounds: ROUNDS_AT_ONCE, at: now };
        Self { ended: AtomicU64::new(0), state: Mutex::new(state) }
    }

    pub(super) fn attempt_ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// True when a round of so many twins may begin now.
    pub(super) fn allows(&self, twins: usize, now: Moment) -> bool {
        self.with(now, |state| state.allows(twins))
    }

    /// Pays for a round; false, and nothing is paid, where it is not allowed.
    pub(super) fn take(&self, twins: usize, now: Moment) -> bool {
        self.with(now, |state| {
            let allowed = state.allows(twins);
            if allowed {
                state.rounds -= 1.0;
                state.twins -= cost(twins);
            }
            allowed
        })
    }

    /// Takes back a payment for a round that did not begin.
    pub(super) fn give_back(&self, twins: usize, now: Moment) {
        self.with(now, |state| {
            state.rounds += 1.0;
            state.twins += cost(twins);
        });
    }

    fn with<T>(&self, now: Moment, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed: Duration = now.since(state.at);
        state.at = state.at.max(now);
        #[expect(clippy::cast_precision_loss, reason = "attempts since the last round")]
        let earned = self.ended.swap(0, Ordering::Relaxed) as f64 * TWINS_PER_ATTEMPT;
        state.twins = (state.twins + earned).min(TWINS_AHEAD);
        state.rounds = (state.rounds + passed.as_secs_f64() * ROUNDS_PER_SECOND).min(ROUNDS_AT_ONCE);
        act(&mut state)
    }
}

fn cost(twins: usize) -> f64 {
    u32::try_from(twins).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Moment {
        Moment::from_origin(Duration::from_millis(ms))
    }

    #[test]
    fn rounds_begin_at_one_a_second_after_a_few_at_once() {
        let budget = Budget::new(at(0));
        for _ in 0..5 {
            assert!(budget.allows(1, at(0)));
            assert!(budget.take(1, at(0)));
        }
        assert!(!budget.allows(1, at(0)));
        // Two that were allowed at the same time do not both get the last one.
        assert!(!budget.take(1, at(0)));
        budget.give_back(1, at(0));
        assert!(budget.take(1, at(0)));
        assert!(!budget.allows(1, at(999)));
        assert!(budget.allows(1, at(1000)));
    }

    proptest! {
        #[test]
        fn twins_stay_within_a_tenth_of_the_attempts(steps in proptest::collection::vec((0u64..5_000, 0u64..50, 1usize..4), 1..200)) {
            let budget = Budget::new(at(0));
            let (mut ms, mut attempts, mut twins) = (0, 0, 0);
            for (pause, ended, round) in steps {
                ms += pause;
                attempts += ended;
                (0..ended).for_each(|_| budget.attempt_ended());
                if budget.take(round, at(ms)) {
                    twins += round;
                }
                prop_assert!(twins as f64 <= TWINS_AHEAD + attempts as f64 * TWINS_PER_ATTEMPT + 1e-6);
            }
        }
    }
}
