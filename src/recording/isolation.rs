//! What is shown of the isolation of spokes from each other: totals, open doors, a sample of what is not known.
//!
//! `isolation` writes, once per check; status and scrapes read. Pairs may be many, so nothing here grows with
//! them: open doors are listed up to a bound, inconclusive pairs are a ring, and attempts are counted by api.

use crate::domain::name::Name;
use crate::domain::observation::Observation;
use crate::domain::outcome::{Outcome, Reason};
use crate::domain::target::Target;
use crate::recording::board::{cut, push_bounded};
use crate::recording::locked;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// The open doors that are listed one by one; each is a time series.
pub const LISTED_OPEN_PAIRS: usize = 1_000;
/// The inconclusive checks that are kept as examples.
pub const KEPT_INCONCLUSIVE: usize = 50;

/// What is known of a pair of a role and a foreign api.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PairState {
    /// The endpoint or the far side refused.
    Closed,
    /// The role was let in.
    Open,
    /// The last check says nothing of the door.
    Inconclusive,
    /// No check within the period.
    Due,
}

impl PairState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Closed, Self::Open, Self::Inconclusive, Self::Due];

    /// The word in metrics and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Inconclusive => "inconclusive",
            Self::Due => "due",
        }
    }
}

/// How many pairs are in each state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IsolationCounts {
    by_state: [u64; PairState::ALL.len()],
    /// The inconclusive ones by reason.
    pub inconclusive: Vec<(Reason, u64)>,
}

impl IsolationCounts {
    /// Adds pairs to a state.
    pub const fn add(&mut self, state: PairState, pairs: u64) {
        self.by_state[state as usize] += pairs;
    }

    /// The pairs in a state.
    #[must_use]
    pub const fn of(&self, state: PairState) -> u64 {
        self.by_state[state as usize]
    }

    /// All pairs.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_state.iter().sum()
    }
}

/// A role and an api of another spoke.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PairName {
    /// The spoke whose role calls.
    pub from: Name,
    /// The spoke that owns the api.
    pub spoke: Name,
    /// The api.
    pub api: Name,
}

/// An open door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPair {
    /// Which.
    pub pair: PairName,
    /// When it was first found open.
    pub since: SystemTime,
    /// When it was last found open.
    pub seen: SystemTime,
    /// The status code of the answer.
    pub code: Option<u16>,
}

/// A check that says nothing of the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InconclusivePair {
    /// Which.
    pub pair: PairName,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: SystemTime,
    /// What the gateway or the transport said.
    pub message: Option<Box<str>>,
}

/// The checks made of one api. They are no part of `requests_total`, but a server counts them.
#[derive(Debug, Clone)]
pub struct IsolationAttempts {
    /// The api, as the probe whose request is sent.
    pub api: Arc<Target>,
    /// Checks begun.
    pub begun: u64,
    /// Checks that ended.
    pub ended: u64,
    /// Those of them that were answered, or timed out after the request was written.
    pub answered: u64,
    /// Those that broke off before or after the request was read, and quick retries.
    pub cut_off: u64,
}

/// Everything of isolation at one moment.
#[derive(Debug, Clone)]
pub struct IsolationStatus {
    /// Within which each pair is to be checked.
    pub period: Duration,
    /// The pairs.
    pub counts: IsolationCounts,
    /// The open doors, at most [`LISTED_OPEN_PAIRS`].
    pub open: Vec<OpenPair>,
    /// The last inconclusive checks, newest first, each pair once.
    pub inconclusive: Vec<InconclusivePair>,
    /// The attempts, by api.
    pub attempts: Vec<IsolationAttempts>,
}

/// Records the checks of one plan.
#[derive(Debug)]
pub struct IsolationRecorder {
    period: Duration,
    board: Mutex<Board>,
}

#[derive(Debug)]
struct Board {
    counts: IsolationCounts,
    open: BTreeMap<PairName, OpenPair>,
    inconclusive: VecDeque<InconclusivePair>,
    attempts: Vec<(Arc<Target>, Arc<Mutex<Tally>>)>,
}

/// Numbers of checks of one api.
#[derive(Debug, Default)]
struct Tally {
    begun: u64,
    ended: u64,
    answered: u64,
    cut_off: u64,
}

/// A check that began. It counts in its api's numbers, wherever these went meanwhile.
#[derive(Debug)]
pub struct IsolationCheck(Arc<Mutex<Tally>>);

impl IsolationCheck {
    /// It ended.
    pub fn ended(self, observation: &Observation) {
        let mut tally = locked(&self.0);
        tally.ended += 1;
        tally.cut_off += u64::from(observation.retries);
        match (observation.verdict.outcome(), observation.verdict.reason) {
            (Outcome::Unreachable, Reason::Reset | Reason::Protocol) => tally.cut_off += 1,
            (Outcome::Unreachable | Outcome::Unsent, _) => {}
            _ => tally.answered += 1,
        }
    }
}

impl IsolationRecorder {
    /// A recorder of so many pairs of these apis, all due. What was kept of the pairs before goes on, and so do the
    /// numbers of an api that is there still.
    pub(super) fn new(period: Duration, pairs: u64, apis: &[Arc<Target>], before: Option<&Self>) -> Self {
        let mut counts = IsolationCounts::default();
        counts.add(PairState::Due, pairs);
        let before = before.map(|before| locked(&before.board));
        let known = before.as_ref().map(|board| &board.attempts);
        let tally = |api: &Arc<Target>| {
            let same =
                |(old, _): &&(Arc<Target>, _)| (&old.id.spoke, &old.id.api) == (&api.id.spoke, &api.id.api);
            let known = known.and_then(|known| known.iter().find(same));
            (Arc::clone(api), known.map_or_else(Arc::default, |(_, tally)| Arc::clone(tally)))
        };
        let attempts = apis.iter().map(tally).collect();
        let (open, inconclusive) =
            before.map(|board| (board.open.clone(), board.inconclusive.clone())).unwrap_or_default();
        Self { period, board: Mutex::new(Board { counts, open, inconclusive, attempts }) }
    }

    /// Forgets all that was kept of other pairs than these.
    pub fn retain(&self, stays: impl Fn(&PairName) -> bool) {
        let mut board = locked(&self.board);
        board.open.retain(|name, _| stays(name));
        board.inconclusive.retain(|known| stays(&known.pair));
    }

    /// A check of the api at this place begins; `None` if there is no such api.
    pub fn begun(&self, api: usize) -> Option<IsolationCheck> {
        let board = locked(&self.board);
        let (_, tally) = board.attempts.get(api)?;
        locked(tally).begun += 1;
        Some(IsolationCheck(Arc::clone(tally)))
    }

    /// Sets the totals.
    pub fn set_counts(&self, counts: IsolationCounts) {
        locked(&self.board).counts = counts;
    }

    /// The pair was found open. False when the list is full: then it is only counted.
    pub fn found_open(&self, pair: &PairName, observation: &Observation) -> bool {
        let mut board = locked(&self.board);
        board.inconclusive.retain(|known| known.pair != *pair);
        if let Some(known) = board.open.get_mut(pair) {
            known.seen = observation.done_at;
            known.code = observation.code;
            return true;
        }
        if board.open.len() >= LISTED_OPEN_PAIRS {
            return false;
        }
        let at = observation.done_at;
        let open = OpenPair { pair: pair.clone(), since: at, seen: at, code: observation.code };
        board.open.insert(pair.clone(), open);
        true
    }

    /// The pair is not open any longer, or never was.
    pub fn not_open(&self, pair: &PairName) {
        let mut board = locked(&self.board);
        board.open.remove(pair);
        board.inconclusive.retain(|known| known.pair != *pair);
    }

    /// The check says nothing of the door.
    pub fn inconclusive(&self, pair: &PairName, observation: &Observation) {
        let mut board = locked(&self.board);
        board.open.remove(pair);
        board.inconclusive.retain(|known| known.pair != *pair);
        let entry = InconclusivePair {
            pair: pair.clone(),
            reason: observation.verdict.reason,
            at: observation.done_at,
            message: observation.verdict.message.as_deref().map(|text| cut(text, 300)),
        };
        push_bounded(&mut board.inconclusive, entry, KEPT_INCONCLUSIVE);
    }

    /// A picture of this moment.
    #[must_use]
    pub fn status(&self) -> IsolationStatus {
        let board = locked(&self.board);
        IsolationStatus {
            period: self.period,
            counts: board.counts.clone(),
            open: board.open.values().cloned().collect(),
            inconclusive: board.inconclusive.iter().rev().cloned().collect(),
            attempts: board.attempts.iter().map(shown).collect(),
        }
    }

    /// What a scrape shows: the totals, and the names of the open doors.
    pub(super) fn scraped(&self) -> (IsolationCounts, Vec<PairName>) {
        let board = locked(&self.board);
        (board.counts.clone(), board.open.keys().cloned().collect())
    }
}

fn shown((api, tally): &(Arc<Target>, Arc<Mutex<Tally>>)) -> IsolationAttempts {
    let Tally { begun, ended, answered, cut_off } = *locked(tally);
    IsolationAttempts { api: Arc::clone(api), begun, ended, answered, cut_off }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::examples::{recorder, seen, target};

    const SECOND: Duration = Duration::from_secs(1);

    fn pair(from: usize) -> PairName {
        PairName {
            from: format!("from-{from}").parse().unwrap(),
            spoke: "payments".parse().unwrap(),
            api: "hoot".parse().unwrap(),
        }
    }

    fn samples(recorder: &crate::recording::Recorder, beginning: &str) -> Vec<String> {
        let text = String::from_utf8(recorder.encode_text()).unwrap();
        let begins = |line: &&str| line.starts_with(&format!("spokeprobe_{beginning}"));
        text.lines().filter(begins).map(str::to_owned).collect()
    }

    #[test]
    fn open_doors_are_series_only_while_open_and_up_to_a_bound() {
        let recorder = recorder();
        assert!(samples(&recorder, "isolation").is_empty() && recorder.snapshot().isolation.is_none());
        let isolation = recorder.begin_isolation(SECOND, 3, &[Arc::new(target("payments/hoot/hello"))]);
        assert_eq!(
            samples(&recorder, "isolation"),
            [
                r#"spokeprobe_isolation_pairs{state="closed"} 0"#,
                r#"spokeprobe_isolation_pairs{state="due"} 3"#,
                r#"spokeprobe_isolation_pairs{state="inconclusive"} 0"#,
                r#"spokeprobe_isolation_pairs{state="open"} 0"#,
            ]
        );
        let let_in = seen(Reason::None, Some(200), SECOND, SECOND);
        assert!(isolation.found_open(&pair(1), &let_in));
        let later = seen(Reason::None, Some(201), SECOND * 60, SECOND);
        assert!(isolation.found_open(&pair(1), &later));
        assert_eq!(
            samples(&recorder, "isolation_open"),
            [r#"spokeprobe_isolation_open{api="hoot",from="from-1",spoke="payments"} 1"#]
        );
        let open = &isolation.status().open[0];
        assert_eq!((open.since, open.seen, open.code), (let_in.done_at, later.done_at, Some(201)));
        isolation.not_open(&pair(1));
        assert!(samples(&recorder, "isolation_open").is_empty());
        let listed = (0..LISTED_OPEN_PAIRS * 2).filter(|n| isolation.found_open(&pair(*n), &let_in)).count();
        assert_eq!((listed, samples(&recorder, "isolation_open").len()), (1_000, 1_000));
    }

    #[test]
    fn examples_and_attempts_have_a_bound() {
        let recorder = recorder();
        let isolation = recorder.begin_isolation(SECOND, 3, &[Arc::new(target("payments/hoot/hello"))]);
        let mut refused = seen(Reason::IdentityPolicy, Some(403), SECOND, SECOND);
        refused.verdict.message = Some("x\n".repeat(10_000));
        (0..500).for_each(|n| isolation.inconclusive(&pair(n % 100), &refused));
        let kept = isolation.status().inconclusive;
        assert_eq!((kept.len(), kept[0].pair.clone()), (KEPT_INCONCLUSIVE, pair(99)));
        assert!(kept.iter().all(|one| one.message.as_deref().is_some_and(|text| text.len() == 300)));
        for reason in [Reason::Reset, Reason::Dns, Reason::AssumeRoleDenied, Reason::ResponseTimeout] {
            isolation.begun(0).unwrap().ended(&seen(reason, None, SECOND, SECOND));
        }
        assert!(isolation.begun(0).is_some() && isolation.begun(7).is_none());
        let attempts = isolation.status().attempts[0].clone();
        assert_eq!((attempts.begun, attempts.ended, attempts.answered, attempts.cut_off), (5, 4, 1, 1));
        assert!(!samples(&recorder, "requests_total").iter().any(|line| line.contains("hoot")));
    }
}
