//! The checks of one configuration: whose turn it is, who may begin, what an end taught.

use super::ledger::{Change, Ledger};
use super::rechecks::Rechecks;
use super::rounds::Rounds;
use super::{Judgement, Pair, Settings, Spare, Surroundings, judge};
use crate::attempt::PreparedTarget;
use crate::domain::expectation::{Expectation, ExpectedRefusal};
use crate::domain::identity::{Identity, Signer};
use crate::domain::moment::Moment;
use crate::domain::observation::Observation;
use crate::domain::target::Target;
use crate::endpoint;
use crate::recording::{IsolationCheck, IsolationRecorder, PairName, PairState};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Turns that may wait for permits; more pass unused.
const MOST_WAITING: usize = 256;
/// How long a turn waits for permits before it passes unused.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// How soon permits are asked for again.
const RETRY: Duration = Duration::from_millis(250);
/// Checks that may begin at a wake beyond those whose turn it is: what waited is not made up for in a burst.
const CATCH_UP: usize = 2;

/// The state of the checks.
pub(super) struct Work {
    settings: Settings,
    endpoint: endpoint::Settings,
    order: Vec<Pair>,
    /// By api.
    spare: Vec<Spare>,
    recorder: Arc<IsolationRecorder>,
    rounds: Rounds,
    rechecks: Rechecks,
    ledger: Ledger,
    waiting: VecDeque<Turn>,
    retry_at: Moment,
    said_full: bool,
}

/// A turn that waits for permits.
struct Turn {
    /// The place in the order.
    place: usize,
    since: Moment,
}

/// A check that ended; without an observation if it panicked.
pub(super) struct Ended {
    name: PairName,
    /// What was sent, to tell whether the pair is the same still.
    target: Arc<Target>,
    check: IsolationCheck,
    observation: Option<Observation>,
}

impl Work {
    /// The checks of these settings; what `before` knows of pairs that are the same goes on.
    pub(super) fn new(
        mut settings: Settings,
        endpoint: endpoint::Settings,
        before: Option<Self>,
        around: &Surroundings,
    ) -> Self {
        let order = settings.shuffled();
        // From here on the order says the same.
        settings.pairs = Vec::new();
        let pairs = u64::try_from(order.len()).unwrap_or(u64::MAX);
        let now = around.clock.now();
        let wall = around.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut work = Self {
            spare: settings.apis.iter().map(|api| (around.spare_of)(api)).collect(),
            recorder: around.recorder.change_isolation(settings.period, pairs, &settings.apis),
            rounds: Rounds::new(order.len(), settings.round, settings.period, now, wall),
            rechecks: Rechecks::new(settings.period, settings.recheck_pace),
            ledger: Ledger::new(order.len()),
            waiting: VecDeque::new(),
            retry_at: Moment::ZERO,
            said_full: false,
            settings,
            endpoint,
            order,
        };
        if let Some(before) = before {
            work.go_on_from(before, now);
        }
        work
    }

    pub(super) fn next_wake(&self) -> Option<Moment> {
        let retry = (!self.waiting.is_empty()).then_some(self.retry_at);
        [self.rounds.next_due(), self.rechecks.next_due(), retry].into_iter().flatten().min()
    }

    /// The checks that begin now.
    pub(super) fn begin_what_is_due(&mut self, around: &Surroundings) -> Vec<BoxFuture<'static, Ended>> {
        let now = around.clock.now();
        self.retry_at = now + RETRY;
        let turns = self.rounds.take_due(now);
        let mut changed = !turns.stale.is_empty();
        turns.stale.into_iter().for_each(|place| self.ledger.missed(place));
        let again = self.rechecks.take_due(now);
        let mut may_begin = turns.due.len() + usize::from(again.is_some()) + CATCH_UP;
        let turns = again.into_iter().chain(turns.due);
        self.waiting.extend(turns.map(|place| Turn { place, since: now }));
        // Turns that found no permit for so long, and those that are too many, pass.
        let too_many = self.waiting.len().saturating_sub(MOST_WAITING);
        let mut begun = Vec::new();
        for (index, turn) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            if index < too_many || now.since(turn.since) > WAIT_MAX {
                self.pass(turn.place, now);
                changed = true;
            } else if may_begin == 0 {
                self.waiting.push_back(turn);
            } else {
                match self.begin(turn, around, now) {
                    Ok(check) => {
                        begun.extend(check);
                        may_begin -= 1;
                    }
                    Err(turn) => self.waiting.push_back(turn),
                }
            }
        }
        if changed {
            self.recorder.set_counts(self.ledger.counts());
        }
        begun
    }

    /// Takes note of a check that ended.
    pub(super) fn take(&mut self, ended: Ended, around: &Surroundings) {
        let Ended { name, target, check, observation } = ended;
        let now = around.clock.now();
        // A check of a pair that the configuration does not know any more, or knows otherwise, says nothing.
        let place = self.place_of(&name).filter(|place| self.is_for(*place, &target));
        match (observation, place) {
            (Some(observation), place) => {
                check.ended(&observation);
                if let Some(place) = place {
                    let change = self.ledger.checked(place, observation.verdict.reason);
                    self.show(place, &name, change, &observation, now);
                }
            }
            (None, place) => {
                tracing::error!("a check of isolation panicked; it is counted in task_panics_total");
                around.recorder.task_panicked();
                if let Some(place) = place {
                    self.pass(place, now);
                }
            }
        }
        self.recorder.set_counts(self.ledger.counts());
    }

    /// Takes over what is known of the pairs that are the same. Both orders follow from names, so one walk over both
    /// finds them.
    fn go_on_from(&mut self, before: Self, now: Moment) {
        let mut old = before.order.iter().map(|pair| before.settings.place(*pair)).enumerate().peekable();
        let mut waiting: Vec<(usize, Moment)> = Vec::new();
        for (place, pair) in self.order.iter().enumerate() {
            let key = self.settings.place(*pair);
            while old.next_if(|(_, other)| *other < key).is_some() {}
            let Some((was, _)) = old.next_if(|(_, other)| *other == key) else { continue };
            let same = match (self.target(*pair), before.order.get(was).and_then(|pair| before.target(*pair)))
            {
                (Some(target), Some(other)) => {
                    self.settings.name(*pair)
                        == before.order.get(was).and_then(|pair| before.settings.name(*pair))
                        && target.asks_the_same(&other)
                        && self.address(&target) == before.address(&other)
                }
                _ => false,
            };
            if !same {
                continue;
            }
            self.ledger.take_over(place, &before.ledger, was);
            if before.ledger.state(was) == PairState::Open {
                self.rechecks.found_open(place, now);
            }
            let turns = before.waiting.iter().filter(|turn| turn.place == was);
            waiting.extend(turns.map(|turn| (place, turn.since)));
        }
        drop(old);
        waiting.sort_by_key(|(_, since)| *since);
        self.waiting = waiting.into_iter().map(|(place, since)| Turn { place, since }).collect();
        (self.retry_at, self.said_full) = (before.retry_at, before.said_full);
        let same_rounds = before.order.len() == self.order.len()
            && (before.settings.round, before.settings.period) == (self.settings.round, self.settings.period);
        if same_rounds {
            self.rounds = before.rounds;
        }
        let stays = |name: &PairName| {
            self.place_of(name).is_some_and(|place| self.ledger.state(place) != PairState::Due)
        };
        self.recorder.retain(stays);
        self.recorder.set_counts(self.ledger.counts());
    }

    fn address(&self, target: &Target) -> Option<crate::domain::request::Address> {
        endpoint::address(&self.endpoint, &target.api, target.addressing, None).ok()
    }

    /// The place of a pair in the order.
    fn place_of(&self, name: &PairName) -> Option<usize> {
        let key = Settings::place_of(name);
        let first = self.order.partition_point(|pair| self.settings.place(*pair) < key);
        let alike = self.order.iter().enumerate().skip(first);
        alike
            .take_while(|(_, pair)| self.settings.place(**pair) <= key)
            .find(|(_, pair)| self.settings.name(**pair).as_ref() == Some(name))
            .map(|(place, _)| place)
    }

    fn is_for(&self, place: usize, target: &Target) -> bool {
        let now = self.order.get(place).and_then(|pair| self.target(*pair));
        now.is_some_and(|now| now.asks_the_same(target))
    }

    /// The check of a pair: the api's own request, signed by the caller.
    fn target(&self, pair: Pair) -> Option<Target> {
        let (caller, api) = (self.settings.caller(pair)?, self.settings.api(pair)?);
        Some(Target {
            identity: Identity::OtherSpoke(caller.spoke.clone()),
            signer: Signer::Role(Arc::clone(&caller.session)),
            signer_account: Some(caller.role().account().clone()),
            // As a guard, so that any answer of 2xx counts as let in, whatever its body.
            expectation: Expectation { refusal: Some(ExpectedRefusal::AnyPolicy), ..Expectation::default() },
            ..Target::clone(api)
        })
    }

    /// A turn without a check.
    fn pass(&mut self, place: usize, now: Moment) {
        self.ledger.missed(place);
        if self.ledger.state(place) == PairState::Open {
            self.rechecks.found_open(place, now);
        }
    }

    /// Begins the check of a turn, or gives it back while there are no permits, or nobody to sign.
    fn begin(
        &self,
        turn: Turn,
        around: &Surroundings,
        now: Moment,
    ) -> Result<Option<BoxFuture<'static, Ended>>, Turn> {
        let Some(pair) = self.order.get(turn.place).copied() else { return Ok(None) };
        let api = usize::from(pair.api);
        let (Some(spare), Some(target), Some(name)) =
            (self.spare.get(api), self.target(pair), self.settings.name(pair))
        else {
            return Ok(None);
        };
        // A role that came with another configuration has not been asked for yet.
        if !around.store.is_known(&target.signer) {
            return Err(turn);
        }
        let Some(held) = spare() else { return Err(turn) };
        let target = Arc::new(target);
        let prepared = PreparedTarget::new(Arc::clone(&target), &self.endpoint, &around.store, None);
        // Every api was addressed before.
        let (Ok(prepared), Some(check)) = (prepared, self.recorder.begun(api)) else { return Ok(None) };
        let attempter = Arc::clone(&around.attempter);
        let attempt = async move {
            let observation = attempter.attempt(&prepared, now).await;
            drop(held);
            observation
        };
        let ended = AssertUnwindSafe(attempt).catch_unwind();
        Ok(Some(ended.map(move |ended| Ended { name, target, check, observation: ended.ok() }).boxed()))
    }

    fn show(
        &mut self,
        place: usize,
        name: &PairName,
        change: Change,
        observation: &Observation,
        now: Moment,
    ) {
        let recorder = &self.recorder;
        let PairName { from, spoke, api } = name;
        match change.after {
            PairState::Open => {
                self.rechecks.found_open(place, now);
                // Without new evidence the door stays as it was seen last.
                if judge(observation.verdict.reason) != Judgement::Open {
                    return;
                }
                let listed = recorder.found_open(name, observation);
                if listed && change.before != PairState::Open {
                    tracing::error!(%from, %spoke, %api, code = observation.code,
                        request_id = observation.ids.request_id.as_deref(),
                        "DOOR OPEN: a spoke's role was let in at an api of another spoke");
                } else if !listed && !self.said_full {
                    self.said_full = true;
                    tracing::error!("DOOR OPEN at so many apis that further ones are only counted");
                }
            }
            PairState::Inconclusive => recorder.inconclusive(name, observation),
            PairState::Closed | PairState::Due => recorder.not_open(name),
        }
        if change.before == PairState::Open && change.after != PairState::Open {
            tracing::info!(%from, %spoke, %api, reason = %observation.verdict.reason, "the door is not open any longer");
        }
    }
}
