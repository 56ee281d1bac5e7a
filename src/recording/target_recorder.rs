//! One target's counters and memory, its metric children resolved once.
//!
//! The calls of an attempt come in this order: `due`, then either `missed`, or `started` and `observed`, or
//! (no permit) `observed` alone. All of them take one short lock of the target, so its books balance at
//! every moment, also for a reader; targets share no lock but a spoke's and the board's, held for a push.

mod learnt;

use crate::domain::moment::Moment;
use crate::domain::observation::{Door, MissCause, Observation};
use crate::domain::outcome::{Outcome, Reason};
use crate::domain::target::{Cadence, Target, TargetId};
use crate::recording::board::{Board, Failure, KEPT_FAILURES_PER_TARGET, Last, push_bounded};
use crate::recording::counts::{Counts, ResultCount};
use crate::recording::diagnosis::{KnownDiagnosis, TwinCounts, TwinSeries};
use crate::recording::families::Families;
use crate::recording::locked;
use crate::recording::spoke_recorder::SpokeRecorder;
use crate::recording::status::TargetStatus;
use crate::recording::windows::Window;
use prometheus::{Histogram, IntCounter};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

/// The results (sets of code and reason) a target counts one by one. A far side that answers with ever new
/// codes cannot make more series: beyond this, a new code is counted as the first of its class (418 as 400).
pub const RESULTS_PER_TARGET: usize = 100;

/// The recorder of one target, its metric children resolved once.
pub struct TargetRecorder {
    id: TargetId,
    families: Arc<Families>,
    board: Arc<Board>,
    spoke: Arc<SpokeRecorder>,
    due: IntCounter,
    missed: [IntCounter; MissCause::ALL.len()],
    retries: IntCounter,
    lag: Histogram,
    state: Mutex<State>,
}

struct State {
    target: Arc<Target>,
    /// Set when the target is gone: attempts that end later must not bring its series back.
    removed: bool,
    results: Vec<(Option<u16>, Reason, IntCounter)>,
    unexpected: Vec<(Reason, IntCounter)>,
    durations: [Option<Histogram>; Outcome::ALL.len()],
    waiting: i64,
    in_flight: i64,
    retries: u64,
    last: Option<Box<Last>>,
    /// The last evidence of a guard's door, and when it was seen.
    door: Option<(Door, Moment)>,
    signed_header_bytes: Option<usize>,
    failures: VecDeque<Arc<Failure>>,
    window: Window,
    diagnosis: Option<Box<KnownDiagnosis>>,
    twins: TwinCounts,
    twin_series: Vec<TwinSeries>,
}

impl fmt::Debug for TargetRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetRecorder").field("id", &self.id).finish_non_exhaustive()
    }
}

impl TargetRecorder {
    /// An attempt became due.
    pub fn due(&self) {
        self.due_many(1);
    }

    /// `count` attempts became due at once: what the timetable says of arrivals it skips, before `missed`.
    pub fn due_many(&self, count: u64) {
        let mut state = locked(&self.state);
        self.due.inc_by(count);
        state.waiting = state.waiting.saturating_add_unsigned(count);
        self.families.in_flight.add(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// `count` attempts that were counted as due were never made.
    pub fn missed(&self, cause: MissCause, count: u64) {
        let mut state = locked(&self.state);
        self.missed_of(cause).inc_by(count);
        state.waiting = state.waiting.saturating_sub_unsigned(count);
        self.families.in_flight.sub(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// An attempt got its permit and goes out.
    pub fn started(&self) {
        let mut state = locked(&self.state);
        state.waiting -= 1;
        state.in_flight += 1;
    }

    /// An attempt that was due will never be observed, because its task was cancelled or panicked: it is
    /// counted as missed, cause `paused`, and the books stay balanced.
    pub fn abandoned(&self, started: bool) {
        let mut state = locked(&self.state);
        self.left(&mut state, started);
        self.missed_of(MissCause::Paused).inc();
    }

    /// An attempt that had `started` ended, or never got a permit (`started` is then `false`).
    ///
    /// `unsent`/`overloaded` is counted and changes nothing else: it says something of the agent, nothing of
    /// the target.
    pub fn observed(&self, seen: &Observation, started: bool) {
        let reason = seen.verdict.reason;
        let response_time = seen.sent.map(|_| seen.response_time());
        let mut failure = None;
        {
            let mut state = locked(&self.state);
            self.left(&mut state, started);
            self.result(&mut state, seen.code, reason).inc();
            state.retries += u64::from(seen.retries);
            if let Some(took) = response_time {
                if let Some(histogram) = self.duration(&mut state, reason.outcome()) {
                    histogram.observe(took.as_secs_f64());
                }
                state.window.record(took);
            }
            if seen.signed_header_bytes.is_some() {
                state.signed_header_bytes = seen.signed_header_bytes;
            }
            if reason != Reason::Overloaded {
                failure = self.remember(&mut state, seen);
            }
        }
        if let Some(took) = response_time {
            self.spoke.record(took);
        }
        if let Some(sent) = seen.sent {
            self.lag.observe(sent.since(seen.due).as_secs_f64());
        }
        if seen.retries > 0 {
            self.retries.inc_by(seen.retries.into());
        }
        if let Some(seconds) = seen.clock_skew_seconds {
            self.board.saw_skew(seconds);
        }
        if let Some(failure) = failure {
            self.board.keep(failure);
        }
    }

    /// True when the last attempt worked and was as expected: what an anonymous guard takes as proof that its
    /// route exists.
    #[must_use]
    pub fn last_was_ok(&self) -> bool {
        let state = locked(&self.state);
        state.last.as_ref().is_some_and(|last| last.expected && last.reason == Reason::None)
    }

    /// Everything counted so far, read at one moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts_of(&locked(&self.state))
    }

    /// What status shows of the target.
    #[must_use]
    pub fn status(&self) -> TargetStatus {
        let state = locked(&self.state);
        let (window, rest) = (
            state.window.clone(),
            TargetStatus {
                target: Arc::clone(&state.target),
                counts: self.counts_of(&state),
                last: state.last.as_deref().cloned(),
                door: state.door.map(|(door, _)| door),
                latency: None,
                failures: state.failures.iter().rev().cloned().collect(),
                diagnosis: state.diagnosis.as_deref().cloned(),
            },
        );
        drop(state); // sorting the samples keeps no attempt waiting
        TargetStatus { latency: window.percentiles(), ..rest }
    }

    /// A target whose known sets stand at zero.
    pub(super) fn new(
        target: &Arc<Target>,
        families: &Arc<Families>,
        board: &Arc<Board>,
        spoke: &Arc<SpokeRecorder>,
    ) -> Self {
        let id = target.id.clone();
        let labels = labels(&id);
        let recorder = Self {
            due: families.due.with_label_values(&labels),
            missed: MissCause::ALL
                .map(|cause| families.missed.with_label_values(&with(&labels, [cause.as_str()]))),
            retries: families.retries.with_label_values(&[id.spoke.as_str()]),
            lag: families.lag.with_label_values::<&str>(&[]),
            families: Arc::clone(families),
            board: Arc::clone(board),
            spoke: Arc::clone(spoke),
            state: Mutex::new(State {
                target: Arc::clone(target),
                removed: false,
                results: Vec::new(),
                unexpected: Vec::new(),
                durations: [const { None }; Outcome::ALL.len()],
                waiting: 0,
                in_flight: 0,
                retries: 0,
                last: None,
                door: None,
                signed_header_bytes: None,
                failures: VecDeque::new(),
                window: window_for(target.cadence),
                diagnosis: None,
                twins: TwinCounts::default(),
                twin_series: Vec::new(),
            }),
            id,
        };
        recorder.begin_at_zero(&mut locked(&recorder.state));
        recorder
    }

    /// Takes another form of the same target: counters go on; what was learnt of the request falls when the
    /// request, who signs it, where it goes or what is expected has changed.
    pub(super) fn replace(&self, target: &Arc<Target>) {
        let mut state = locked(&self.state);
        let old = std::mem::replace(&mut state.target, Arc::clone(target));
        let same_question = old.request == target.request
            && old.identity == target.identity
            && old.signer == target.signer
            && old.account == target.account
            && old.api == target.api
            && old.addressing == target.addressing
            && old.expectation == target.expectation;
        if !same_question {
            state.last = None;
            state.door = None;
            state.diagnosis = None;
            state.signed_header_bytes = None;
        }
        if !same_question || std::mem::discriminant(&old.cadence) != std::mem::discriminant(&target.cadence) {
            state.window = window_for(target.cadence);
        }
        self.begin_at_zero(&mut state);
    }

    /// Removes every series of the target; attempts still in flight end without bringing one back.
    pub(super) fn remove(&self) {
        let mut state = locked(&self.state);
        state.removed = true;
        let labels = labels(&self.id);
        // An error only says that there was no such series.
        let _absent = self.families.due.remove_label_values(&labels);
        for cause in MissCause::ALL {
            let _absent = self.families.missed.remove_label_values(&with(&labels, [cause.as_str()]));
        }
        for (code, reason, _) in &state.results {
            let set = [&*code_text(*code), reason.outcome().as_str(), reason.as_str()];
            let _absent = self.families.requests.remove_label_values(&with(&labels, set));
        }
        for (reason, _) in &state.unexpected {
            let set = [reason.outcome().as_str(), reason.as_str()];
            let _absent = self.families.unexpected.remove_label_values(&with(&labels, set));
        }
        for outcome in Outcome::ALL {
            let _absent = self.families.duration.remove_label_values(&with(&labels, [outcome.as_str()]));
        }
    }

    /// The target's labels.
    pub(super) const fn id(&self) -> &TargetId {
        &self.id
    }

    /// Reads what the state gauges need, under the lock.
    pub(super) fn read<T>(&self, reader: impl FnOnce(&StateView<'_>) -> T) -> T {
        let state = locked(&self.state);
        reader(&StateView {
            cadence: state.target.cadence,
            last: state.last.as_deref(),
            door: state.door,
            signed_header_bytes: state.signed_header_bytes,
        })
    }

    fn begin_at_zero(&self, state: &mut State) {
        for (code, reason) in state.target.expectation.expected_results() {
            self.result(state, Some(code), reason);
        }
        self.unexpected(state, Reason::UnexpectedStatus);
    }

    /// An attempt is no longer waiting or in flight.
    fn left(&self, state: &mut State, started: bool) {
        // The gauge is the third term of the conservation law, so it holds what waits for a permit too.
        self.families.in_flight.dec();
        if started {
            state.in_flight -= 1;
        } else {
            state.waiting -= 1;
        }
    }

    /// Updates what is known of the target; gives back the failure to keep, if it is one.
    fn remember(&self, state: &mut State, seen: &Observation) -> Option<Arc<Failure>> {
        let overtaken = state.last.as_ref().is_some_and(|last| last.done > seen.done);
        let latest = Last::after(state.last.as_deref(), seen);
        if let Some(door) = seen.verdict.door
            && state.door.is_none_or(|(_, at)| at <= seen.done)
        {
            state.door = Some((door, seen.done));
        }
        let failure = (!seen.verdict.expected).then(|| Arc::new(Failure::of(&self.id, &latest, seen)));
        if let Some(failure) = &failure {
            self.unexpected(state, seen.verdict.reason).inc();
            push_bounded(&mut state.failures, Arc::clone(failure), KEPT_FAILURES_PER_TARGET);
        }
        if !overtaken {
            match &mut state.last {
                Some(last) => **last = latest,
                None => state.last = Some(Box::new(latest)),
            }
        }
        failure
    }

    fn result(&self, state: &mut State, code: Option<u16>, reason: Reason) -> IntCounter {
        let find = |state: &State, code| {
            state.results.iter().find(|(c, r, _)| (*c, *r) == (code, reason)).map(|(_, _, n)| n.clone())
        };
        let mut code = code.filter(|code| (100..=599).contains(code));
        if let Some(counter) = find(state, code) {
            return counter;
        }
        if state.results.len() >= RESULTS_PER_TARGET {
            code = code.map(|code| code / 100 * 100);
            if let Some(counter) = find(state, code) {
                return counter;
            }
        }
        let set = [&*code_text(code), reason.outcome().as_str(), reason.as_str()];
        let counter = if state.removed {
            unlisted_counter()
        } else {
            self.families.requests.with_label_values(&with(&labels(&self.id), set))
        };
        state.results.push((code, reason, counter.clone()));
        counter
    }

    fn unexpected(&self, state: &mut State, reason: Reason) -> IntCounter {
        if let Some((_, counter)) = state.unexpected.iter().find(|(known, _)| *known == reason) {
            return counter.clone();
        }
        let set = [reason.outcome().as_str(), reason.as_str()];
        let counter = if state.removed {
            unlisted_counter()
        } else {
            self.families.unexpected.with_label_values(&with(&labels(&self.id), set))
        };
        state.unexpected.push((reason, counter.clone()));
        counter
    }

    /// The histogram of an outcome; `None` once the target is removed, since a series made now would be
    /// that of a successor with the same labels, or of nobody.
    fn duration<'a>(&self, state: &'a mut State, outcome: Outcome) -> Option<&'a Histogram> {
        let slot = &mut state.durations[outcome as usize];
        if slot.is_none() && !state.removed {
            let values = with(&labels(&self.id), [outcome.as_str()]);
            *slot = Some(self.families.duration.with_label_values(&values));
        }
        slot.as_ref()
    }

    fn missed_of(&self, cause: MissCause) -> &IntCounter {
        let [overrun, overloaded, paused] = &self.missed;
        match cause {
            MissCause::Overrun => overrun,
            MissCause::Overloaded => overloaded,
            MissCause::Paused => paused,
        }
    }

    fn counts_of(&self, state: &State) -> Counts {
        let result = |(code, reason, n): &(_, _, IntCounter)| ResultCount {
            code: *code,
            reason: *reason,
            count: n.get(),
        };
        Counts {
            due: self.due.get(),
            results: state.results.iter().map(result).collect(),
            missed: MissCause::ALL.map(|cause| self.missed_of(cause).get()),
            in_flight: state.in_flight,
            waiting: state.waiting,
            retries: state.retries,
            twins: state.twins,
        }
    }
}

/// What the state gauges read of a target.
pub(super) struct StateView<'a> {
    pub(super) cadence: Cadence,
    pub(super) last: Option<&'a Last>,
    pub(super) door: Option<(Door, Moment)>,
    pub(super) signed_header_bytes: Option<usize>,
}

const fn window_for(cadence: Cadence) -> Window {
    match cadence {
        Cadence::Every(_) => Window::ring(),
        Cadence::PerSecond(_) => Window::histogram(),
    }
}

/// The values of the target labels, in the order of the families.
pub(super) fn labels(id: &TargetId) -> [&str; 4] {
    [id.spoke.as_str(), id.api.as_str(), id.probe.as_str(), id.zone.as_ref().map_or("", |zone| zone.as_str())]
}

fn with<'a, const N: usize>(target: &[&'a str; 4], more: [&'a str; N]) -> Vec<&'a str> {
    target.iter().copied().chain(more).collect()
}

fn code_text(code: Option<u16>) -> String {
    code.map_or_else(|| "none".to_owned(), |code| code.to_string())
}

/// A counter that no scrape sees, for attempts that end after their target was removed.
#[expect(clippy::expect_used, reason = "name and help are constants")]
fn unlisted_counter() -> IntCounter {
    IntCounter::new("unlisted", "Not registered.").expect("constants")
}

#[cfg(test)]
mod tests;
