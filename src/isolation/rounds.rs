//! When each pair has its turn: pure arithmetic over moments, no state per pair.
//!
//! A round is cut into as many slots as there are pairs, and the n-th slot belongs to the n-th pair of a
//! shuffled order, so checks never come in bursts and never in the order of a list. Where in the round the
//! agent begins follows from the wall clock: an agent that is restarted every few hours goes on where it was,
//! instead of trying the same beginning again and again.

use crate::domain::moment::Moment;
use std::time::Duration;

/// How late a turn may be and still be taken, unless the slots themselves are longer. What an agent missed
/// that was held up longer is passed over: nothing is ever made up for in a burst.
const GRACE: Duration = Duration::from_secs(1);

/// The turns of all pairs, round after round.
#[derive(Debug)]
pub(super) struct Rounds {
    pairs: u64,
    round: Duration,
    /// The beginning of the round that the agent began in.
    origin: Moment,
    /// The first round began so long before the monotonic clock did.
    before_origin: Duration,
    next: u64,
    /// Pairs whose last check becomes older than the period while another has its turn: so many places ahead.
    stale_ahead: Option<u64>,
}

/// Places in the order whose turn it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Turns {
    /// Their turn is now.
    pub(super) due: Vec<usize>,
    /// Their turn has passed, or their last check is older than the period: they count as due.
    pub(super) stale: Vec<usize>,
}

impl Rounds {
    /// Rounds over `pairs`, each pair once in `round`. A check is valid for `period`, which is shorter than
    /// `round` where limits stretch it. `wall_since_epoch` says where in its round the agent begins.
    pub(super) fn new(
        pairs: usize,
        round: Duration,
        period: Duration,
        now: Moment,
        wall_since_epoch: Duration,
    ) -> Self {
        let pairs = u64::try_from(pairs).unwrap_or(u64::MAX);
        let round = round.max(Duration::from_millis(1));
        let into = remainder(wall_since_epoch, round);
        let mut rounds = Self { pairs, round, origin: now, before_origin: into, next: 0, stale_ahead: None };
        if period < round {
            let valid = u128::from(pairs) * period.as_nanos() / round.as_nanos();
            rounds.stale_ahead = Some(pairs - u64::try_from(valid).unwrap_or(pairs).min(pairs));
        }
        rounds.next = rounds.first_from(into);
        rounds
    }

    /// When the next turn comes; `None` without pairs.
    pub(super) fn next_due(&self) -> Option<Moment> {
        (self.pairs > 0).then(|| self.moment(self.next))
    }

    /// All turns up to `now`.
    pub(super) fn take_due(&mut self, now: Moment) -> Turns {
        let mut turns = Turns::default();
        if self.pairs == 0 {
            return turns;
        }
        let slot = self.round.as_nanos() / u128::from(self.pairs);
        let grace = GRACE.max(Duration::from_nanos(u64::try_from(slot).unwrap_or(u64::MAX)));
        let elapsed = now.since(self.origin) + self.before_origin;
        let first_in_time = self.first_from(elapsed.saturating_sub(grace));
        if first_in_time > self.next {
            // More than a whole round is every pair once.
            let missed = (first_in_time - self.next).min(self.pairs);
            let from = first_in_time - missed;
            turns.stale.extend((from..first_in_time).map(|slot| self.place(slot)));
            self.next = first_in_time;
        }
        while self.moment(self.next) <= now {
            turns.due.push(self.place(self.next));
            if let Some(ahead) = self.stale_ahead {
                turns.stale.push(self.place(self.next + ahead));
            }
            self.next += 1;
        }
        turns
    }

    fn place(&self, slot: u64) -> usize {
        usize::try_from(slot % self.pairs).unwrap_or(0)
    }

    /// The middle of a slot, counted from the beginning of the first round; from the index, so that rounding
    /// never adds up.
    fn offset(&self, slot: u64) -> Duration {
        nanos((u128::from(slot) * 2 + 1) * self.round.as_nanos() / (u128::from(self.pairs) * 2))
    }

    fn moment(&self, slot: u64) -> Moment {
        self.origin + self.offset(slot).saturating_sub(self.before_origin)
    }

    /// The first slot whose middle is not before this offset.
    fn first_from(&self, offset: Duration) -> u64 {
        if self.pairs == 0 {
            return 0;
        }
        let halves = offset.as_nanos() * u128::from(self.pairs) * 2;
        let guess = u64::try_from(halves / (self.round.as_nanos() * 2)).unwrap_or(u64::MAX);
        // Rounding moves a middle by less than a slot.
        (guess.saturating_sub(1)..=guess.saturating_add(1))
            .find(|slot| self.offset(*slot) >= offset)
            .unwrap_or(guess)
    }
}

fn nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn remainder(span: Duration, of: Duration) -> Duration {
    nanos(span.as_nanos() % of.as_nanos().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(span: Duration) -> Moment {
        Moment::from_origin(span)
    }

    /// The places taken from `from` for `span`, waking exactly when asked to.
    fn taken(rounds: &mut Rounds, until: Moment) -> Vec<(Moment, usize)> {
        let mut all = Vec::new();
        while let Some(next) = rounds.next_due().filter(|next| *next < until) {
            let turns = rounds.take_due(next);
            assert!(!turns.due.is_empty());
            all.extend(turns.due.into_iter().map(|place| (next, place)));
        }
        all
    }

    proptest! {
        #[test]
        fn each_pair_has_exactly_one_turn_in_any_period(
            pairs in 1_usize..300, round_ms in 1_000_u64..100_000_000,
            start_ms in 0_u64..1_000_000, wall_ms in 0_u64..10_000_000_000_000,
        ) {
            let round = Duration::from_millis(round_ms);
            let start = at(Duration::from_millis(start_ms));
            let mut rounds = Rounds::new(pairs, round, round, start, Duration::from_millis(wall_ms));
            for turn in 1..=3_u32 {
                let mut places: Vec<usize> =
                    taken(&mut rounds, start + round * turn).into_iter().map(|(_, place)| place).collect();
                places.sort_unstable();
                prop_assert_eq!(places, (0..pairs).collect::<Vec<_>>());
            }
        }

        #[test]
        fn turns_are_evenly_spread(pairs in 2_usize..1_000, wall_ms in 0_u64..10_000_000_000_000) {
            let mut rounds = Rounds::new(pairs, HOUR, HOUR, at(HOUR), Duration::from_millis(wall_ms));
            let moments: Vec<Moment> = taken(&mut rounds, at(HOUR * 2)).into_iter().map(|(at, _)| at).collect();
            let slot = HOUR.as_secs_f64() / pairs as f64;
            for two in moments.windows(2) {
                prop_assert!((two[1].since(two[0]).as_secs_f64() - slot).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_restarted_agent_goes_on_where_it_was() {
        let pairs = 1_000;
        let mut one = Rounds::new(pairs, HOUR, HOUR, at(Duration::ZERO), HOUR * 5);
        let first: Vec<usize> = taken(&mut one, at(HOUR / 2)).into_iter().map(|(_, place)| place).collect();
        // Another process half an hour later, with a monotonic clock of its own.
        let mut two = Rounds::new(pairs, HOUR, HOUR, at(Duration::ZERO), HOUR * 5 + HOUR / 2);
        let second: Vec<usize> = taken(&mut two, at(HOUR / 2)).into_iter().map(|(_, place)| place).collect();
        let both: Vec<usize> = first.into_iter().chain(second).collect();
        assert_eq!(both, (0..pairs).collect::<Vec<_>>());
    }

    #[test]
    fn an_agent_that_was_held_up_makes_no_burst_and_says_what_it_missed() {
        let mut rounds = Rounds::new(3_600, HOUR, HOUR, at(Duration::ZERO), Duration::ZERO);
        let turns = rounds.take_due(at(Duration::from_secs(100)));
        assert!(turns.due.len() <= 2, "{turns:?}");
        assert_eq!(turns.stale.len() + turns.due.len(), 100);
        let suspended = rounds.take_due(at(HOUR * 30));
        assert!(suspended.due.len() <= 2 && suspended.stale.len() == 3_600);
        assert!(rounds.next_due().unwrap() > at(HOUR * 30));
    }

    #[test]
    fn a_round_longer_than_the_period_says_whose_check_is_too_old() {
        let mut rounds = Rounds::new(100, HOUR, HOUR / 4, at(Duration::ZERO), Duration::ZERO);
        let next = rounds.next_due().unwrap();
        // A check of now is 25 slots old when the pair 25 places on has its turn.
        assert_eq!(rounds.take_due(next), Turns { due: vec![0], stale: vec![75] });
        assert!(Rounds::new(0, HOUR, HOUR, at(HOUR), HOUR).next_due().is_none());
        assert_eq!(Rounds::new(0, HOUR, HOUR, at(HOUR), HOUR).take_due(at(HOUR * 2)), Turns::default());
    }
}
