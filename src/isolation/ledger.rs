//! What is known of every pair: one byte each, and running totals, so that no scrape walks over all pairs.

use crate::domain::outcome::Reason;
use crate::isolation::judgement::{Judgement, judge};
use crate::recording::{IsolationCounts, PairState};

/// A pair that has no valid check: never made, or too long ago.
const DUE: u8 = 0;
/// A byte has room for all reasons and `DUE`.
const MARKS: usize = 256;

/// The states of all pairs.
pub(super) struct Ledger {
    /// By pair: [`DUE`], or one more than the reason's place in `Reason::ALL`.
    marks: Vec<u8>,
    /// How many pairs have each mark.
    totals: [u32; MARKS],
}

/// What a check changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) before: PairState,
    pub(super) after: PairState,
}

impl Ledger {
    /// So many pairs, all due.
    pub(super) fn new(pairs: usize) -> Self {
        let mut totals = [0; MARKS];
        totals[usize::from(DUE)] = u32::try_from(pairs).unwrap_or(u32::MAX);
        Self { marks: vec![DUE; pairs], totals }
    }

    /// Writes down how a check ended.
    ///
    /// An open door stays open while there is no evidence of anything else; a refusal by any policy is, even
    /// where it leaves open whether the door itself was tried. A closed door without new evidence is not
    /// called closed any longer: its last evidence is a whole period old.
    pub(super) fn checked(&mut self, pair: usize, reason: Reason) -> Change {
        let before = self.state(pair);
        if before != PairState::Open || judge(reason) != Judgement::NoEvidence {
            self.set(pair, mark(reason));
        }
        Change { before, after: self.state(pair) }
    }

    /// The pair's turn has passed without a check, or its last check is too old. An open door stays so.
    pub(super) fn missed(&mut self, pair: usize) {
        if self.state(pair) != PairState::Open {
            self.set(pair, DUE);
        }
    }

    /// The state of a pair.
    pub(super) fn state(&self, pair: usize) -> PairState {
        self.marks.get(pair).map_or(PairState::Due, |mark| state(*mark))
    }

    /// The totals of this moment.
    pub(super) fn counts(&self) -> IsolationCounts {
        let mut counts = IsolationCounts::default();
        for (mark, total) in self.totals.iter().enumerate().filter(|(_, total)| **total > 0) {
            let mark = u8::try_from(mark).unwrap_or(DUE);
            counts.add(state(mark), u64::from(*total));
            if state(mark) == PairState::Inconclusive
                && let Some(reason) = reason(mark)
            {
                counts.inconclusive.push((reason, u64::from(*total)));
            }
        }
        counts
    }

    /// What another ledger knows of the pair that is at `was` there.
    pub(super) fn take_over(&mut self, pair: usize, other: &Self, was: usize) {
        self.set(pair, other.marks.get(was).copied().unwrap_or(DUE));
    }

    fn set(&mut self, pair: usize, mark: u8) {
        if let Some(place) = self.marks.get_mut(pair) {
            self.totals[usize::from(*place)] -= 1;
            self.totals[usize::from(mark)] += 1;
            *place = mark;
        }
    }
}

fn mark(reason: Reason) -> u8 {
    let place = Reason::ALL.iter().position(|each| *each == reason);
    place.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or(DUE)
}

fn reason(mark: u8) -> Option<Reason> {
    Reason::ALL.get(usize::from(mark).checked_sub(1)?).copied()
}

fn state(mark: u8) -> PairState {
    match reason(mark).map(judge) {
        None => PairState::Due,
        Some(Judgement::Open) => PairState::Open,
        Some(Judgement::Closed) => PairState::Closed,
        Some(Judgement::NotTried | Judgement::NoEvidence) => PairState::Inconclusive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_reason_has_a_mark_of_its_own() {
        assert!(Reason::ALL.len() < MARKS);
        for each in Reason::ALL.iter().copied() {
            assert_eq!(reason(mark(each)), Some(each));
        }
    }

    #[test]
    fn an_open_door_closes_by_evidence_only() {
        let mut ledger = Ledger::new(1);
        let mut after = |reason| ledger.checked(0, reason).after;
        assert_eq!(after(Reason::ResourcePolicy), PairState::Closed);
        assert_eq!(after(Reason::None), PairState::Open);
        for silent in
            [Reason::ConnectTimeout, Reason::Rate, Reason::CredentialsExpired, Reason::BackendStatus]
        {
            assert_eq!(after(silent), PairState::Open, "{silent}");
        }
        assert_eq!(after(Reason::ResourceOrIdentityPolicy), PairState::Inconclusive);
        assert_eq!(after(Reason::None), PairState::Open);
        assert_eq!(after(Reason::VpcEndpointPolicy), PairState::Closed);
        assert_eq!(after(Reason::Dns), PairState::Inconclusive);
        ledger.missed(0);
        assert_eq!(ledger.state(0), PairState::Due);
        ledger.checked(0, Reason::None);
        ledger.missed(0);
        assert_eq!(ledger.state(0), PairState::Open);
    }

    proptest! {
        #[test]
        fn totals_are_those_of_the_pairs(steps in proptest::collection::vec((0_usize..20, 0_usize..60), 0..200)) {
            let mut ledger = Ledger::new(20);
            for (pair, step) in steps {
                match Reason::ALL.get(step) {
                    Some(reason) => drop(ledger.checked(pair, *reason)),
                    None => ledger.missed(pair),
                }
            }
            let counts = ledger.counts();
            for state in PairState::ALL {
                let walked = (0..20).filter(|pair| ledger.state(*pair) == state).count() as u64;
                prop_assert_eq!(counts.of(state), walked);
            }
            let by_reason: u64 = counts.inconclusive.iter().map(|(_, n)| n).sum();
            prop_assert_eq!(by_reason, counts.of(PairState::Inconclusive));
        }
    }
}
