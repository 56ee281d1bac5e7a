//! One target's counters and memory: numbers only, which `collector` turns into series at scrape time.
//!
//! The calls of an attempt come in this order: `due`, then either `missed`, or `started` and `observed`, or
//! (no permit) `observed` alone. All of them take one short lock of the target, so its books balance at
//! every moment, also for a reader; targets share no lock but a spoke's and the board's, held for a push.
//! `forms` has what becomes of it all when the configuration changes, `learnt` what twins taught.

mod forms;
mod learnt;

use crate::domain::moment::Moment;
use crate::domain::observation::{Door, MissCause, Observation, Twin};
use crate::domain::outcome::{Outcome, Reason};
use crate::domain::target::{Cadence, Target, TargetId};
use crate::recording::board::{Board, Failure, KEPT_FAILURES_PER_TARGET, Last, push_bounded};
use crate::recording::counts::{Counts, ResultCount};
use crate::recording::diagnosis::{KnownDiagnosis, TwinCounts};
use crate::recording::durations::Durations;
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

/// The recorder of one form of a target. The forms that a configuration gives to one label set in turn share its
/// counters; only the last one writes what is remembered of the answers.
pub struct TargetRecorder {
    id: TargetId,
    /// Another number for each form that asks something else.
    form: u64,
    families: Arc<Families>,
    board: Arc<Board>,
    spoke: Arc<SpokeRecorder>,
    retries: IntCounter,
    lag: Histogram,
    state: Arc<Mutex<State>>,
}

struct State {
    target: Arc<Target>,
    /// The form that writes what is remembered.
    form: u64,
    /// True once the target was removed: nothing of it counts from then on.
    gone: bool,
    books: Books,
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
}

/// What a target counts, by label set.
#[derive(Default)]
pub(super) struct Books {
    pub(super) due: u64,
    missed: [u64; MissCause::ALL.len()],
    pub(super) results: Vec<(Option<u16>, Reason, u64)>,
    pub(super) unexpected: Vec<(Reason, u64)>,
    durations: [Option<Box<Durations>>; Outcome::ALL.len()],
    /// Twin attempts, in the order of `Twin::ALL`.
    pub(super) twins: [u64; Twin::ALL.len()],
}

impl Books {
    pub(super) const fn missed_of(&self, cause: MissCause) -> u64 {
        self.missed[cause as usize]
    }

    pub(super) fn durations_of(&self, outcome: Outcome) -> Option<&Durations> {
        self.durations[outcome as usize].as_deref()
    }

    const fn miss(&mut self, cause: MissCause, count: u64) {
        self.missed[cause as usize] += count;
    }

    /// Counts a result `times`; 0 makes its set known.
    fn result(&mut self, code: Option<u16>, reason: Reason, times: u64) {
        let mut code = code.filter(|code| (100..=599).contains(code));
        let known =
            |books: &Self, code| books.results.iter().position(|(c, r, _)| (*c, *r) == (code, reason));
        let mut at = known(self, code);
        if at.is_none() && self.results.len() >= RESULTS_PER_TARGET {
            code = code.map(|code| code / 100 * 100);
            at = known(self, code);
        }
        match at.and_then(|at| self.results.get_mut(at)) {
            Some((_, _, count)) => *count += times,
            None => self.results.push((code, reason, times)),
        }
    }

    /// Counts an unexpected reason `times`; 0 makes its set known.
    fn unexpected(&mut self, reason: Reason, times: u64) {
        match self.unexpected.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += times,
            None => self.unexpected.push((reason, times)),
        }
    }
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
        if state.gone {
            return;
        }
        state.books.due += count;
        state.waiting = state.waiting.saturating_add_unsigned(count);
        self.families.in_flight.add(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// `count` attempts that were counted as due were never made.
    pub fn missed(&self, cause: MissCause, count: u64) {
        let mut state = locked(&self.state);
        if state.gone {
            return;
        }
        state.books.miss(cause, count);
        state.waiting = state.waiting.saturating_sub_unsigned(count);
        self.families.in_flight.sub(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// An attempt got its permit and goes out.
    pub fn started(&self) {
        let mut state = locked(&self.state);
        if state.gone {
            return;
        }
        state.waiting -= 1;
        state.in_flight += 1;
    }

    /// An attempt that was due will never be observed, because its task was cancelled or panicked: it is
    /// counted as missed, cause `paused`, and the books stay balanced.
    pub fn abandoned(&self, started: bool) {
        let mut state = locked(&self.state);
        if state.gone {
            return;
        }
        self.left(&mut state, started);
        state.books.miss(MissCause::Paused, 1);
    }

    /// An attempt that had `started` ended, or never got a permit (`started` is then `false`).
    ///
    /// `unsent`/`overloaded` is counted and changes nothing else: it says something of the agent, nothing of
    /// the target. Nor does an attempt of an earlier form: what it asked is not asked any more. One that ends after
    /// its target was removed is counted nowhere.
    pub fn observed(&self, seen: &Observation, started: bool) {
        let reason = seen.verdict.reason;
        let response_time = seen.sent.map(|_| seen.response_time());
        let mut failure = None;
        {
            let mut state = locked(&self.state);
            if state.gone {
                return;
            }
            let current = state.form == self.form;
            self.left(&mut state, started);
            state.books.result(seen.code, reason, 1);
            state.retries += u64::from(seen.retries);
            if let Some(took) = response_time {
                state.books.durations[reason.outcome() as usize]
                    .get_or_insert_with(|| Box::new(Durations::new(self.families.duration.bounds())))
                    .observe(took.as_secs_f64());
                if current {
                    state.window.record(took);
                }
            }
            if current && seen.signed_header_bytes.is_some() {
                state.signed_header_bytes = seen.signed_header_bytes;
            }
            if reason != Reason::Overloaded && !seen.verdict.expected {
                state.books.unexpected(reason, 1);
            }
            if reason != Reason::Overloaded && current {
                failure = self.remember(&mut state, seen);
            }
        }
        if reason != Reason::Overloaded {
            self.spoke.record(seen.done_at, response_time, seen.verdict.expected);
        }
        if let Some(sent) = seen.sent {
            self.lag.observe(sent.since(seen.due).as_secs_f64());
        }
        if seen.retries > 0 {
            self.retries.inc_by(seen.retries.into());
        }
        if let Some(seconds) = seen.clock_skew_seconds {
            self.board.saw_skew(seen.done, seconds);
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
        counts_of(&locked(&self.state))
    }

    /// What status shows of the target.
    #[must_use]
    pub fn status(&self) -> TargetStatus {
        let state = locked(&self.state);
        let (window, rest) = (
            state.window.clone(),
            TargetStatus {
                target: Arc::clone(&state.target),
                counts: counts_of(&state),
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
        let recorder = Self {
            retries: families.retries.with_label_values(&[id.spoke.as_str()]),
            lag: families.lag.with_label_values::<&str>(&[]),
            families: Arc::clone(families),
            board: Arc::clone(board),
            spoke: Arc::clone(spoke),
            form: 0,
            state: Arc::new(Mutex::new(State {
                target: Arc::clone(target),
                form: 0,
                gone: false,
                books: Books::default(),
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
            })),
            id,
        };
        begin_at_zero(&mut locked(&recorder.state));
        recorder
    }

    /// The target's labels.
    pub(super) const fn id(&self) -> &TargetId {
        &self.id
    }

    /// Reads what a scrape needs, under the lock.
    pub(super) fn read<T>(&self, reader: impl FnOnce(&StateView<'_>) -> T) -> T {
        let state = locked(&self.state);
        reader(&StateView {
            cadence: state.target.cadence,
            books: &state.books,
            last: state.last.as_deref(),
            door: state.door,
            signed_header_bytes: state.signed_header_bytes,
        })
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
}

/// The sets that are known beforehand are there from the start.
fn begin_at_zero(state: &mut State) {
    for (code, reason) in state.target.expectation.expected_results() {
        state.books.result(Some(code), reason, 0);
    }
    state.books.unexpected(Reason::UnexpectedStatus, 0);
}

fn counts_of(state: &State) -> Counts {
    let books = &state.books;
    let result =
        |(code, reason, count): &(_, _, u64)| ResultCount { code: *code, reason: *reason, count: *count };
    Counts {
        due: books.due,
        results: books.results.iter().map(result).collect(),
        missed: MissCause::ALL.map(|cause| books.missed_of(cause)),
        in_flight: state.in_flight,
        waiting: state.waiting,
        retries: state.retries,
        twins: state.twins,
    }
}

/// What a scrape reads of a target.
pub(super) struct StateView<'a> {
    pub(super) cadence: Cadence,
    pub(super) books: &'a Books,
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

/// The `code` label.
pub(super) fn code_text(code: Option<u16>) -> String {
    code.map_or_else(|| "none".to_owned(), |code| code.to_string())
}

#[cfg(test)]
mod tests;
