//! What is known about the refusals of one target: when the next round is due, what the last one taught.
//!
//! A diagnosis belongs to one wording of one target's refusals, and so to one identity, since a target has one.
//! It falls when the target is answered otherwise, or when no round has confirmed it for [`HOLDS`]. A target whose
//! configuration asks something else now has another case; the one before is closed and learns nothing more.

use super::relatives::Relatives;
use crate::attempt::Attempted;
use crate::classify::narrowing::{Because, Finding, Suspect, is_vague};
use crate::classify::{Lesson, Wording};
use crate::domain::moment::Moment;
use crate::domain::outcome::{Outcome, Reason};
use crate::domain::target::Target;
use crate::recording::{KnownDiagnosis, TargetRecorder};
use arc_swap::ArcSwap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The shortest time between two rounds of one target.
pub const ROUND_PAUSE: Duration = Duration::from_secs(60);
/// The time between rounds once two of them have said the same: three of these fit into [`HOLDS`].
pub const CONFIRM_PAUSE: Duration = Duration::from_secs(300);
/// How long a diagnosis holds without being confirmed.
pub const HOLDS: Duration = Duration::from_secs(900);

/// One target, as `diagnosis` sees it.
pub struct Case {
    target: Arc<Target>,
    recorder: Arc<TargetRecorder>,
    relatives: ArcSwap<Relatives>,
    /// Shared with the forms of the target that ask the same.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The wording that the target was refused with last; `None` while it is not refused by the gateway.
    wording: Option<u64>,
    known: Option<Known>,
    asked: Option<Moment>,
    running: bool,
    closed: bool,
}

struct Known {
    wording: Wording,
    finding: Finding,
    since: SystemTime,
    confirmed: Moment,
    confirmed_at: SystemTime,
    /// Rounds in a row that found this.
    rounds: u32,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("target", &self.target.id).finish_non_exhaustive()
    }
}

impl Case {
    /// A target of which nothing is known.
    #[must_use]
    pub fn new(target: Arc<Target>, recorder: Arc<TargetRecorder>, relatives: Relatives) -> Arc<Self> {
        let relatives = ArcSwap::from_pointee(relatives);
        Arc::new(Self { target, recorder, relatives, state: Arc::default() })
    }

    /// The case of another form of the target that asks the same: what is known stays.
    #[must_use]
    pub fn reformed(
        &self,
        target: Arc<Target>,
        recorder: Arc<TargetRecorder>,
        relatives: Relatives,
    ) -> Arc<Self> {
        let relatives = ArcSwap::from_pointee(relatives);
        Arc::new(Self { target, recorder, relatives, state: Arc::clone(&self.state) })
    }

    /// Other targets explain this one now.
    pub fn set_relatives(&self, relatives: Relatives) {
        self.relatives.store(Arc::new(relatives));
    }

    /// The target is no more, or asks something else: no round begins any more, and one under way ends without effect.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        (state.known, state.wording) = (None, None);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// What the next attempt should be judged with.
    #[must_use]
    pub fn lesson(&self, now: Moment) -> Option<Lesson> {
        let mut state = self.state();
        if state.known.as_ref().is_some_and(|known| now.since(known.confirmed) > HOLDS) {
            self.fall(&mut state, "it was not confirmed for 15 minutes");
        }
        state.known.as_ref().map(|known| Lesson { key: known.wording.key, reason: known.finding.reason })
    }

    pub(super) const fn target(&self) -> &Arc<Target> {
        &self.target
    }

    pub(super) const fn recorder(&self) -> &Arc<TargetRecorder> {
        &self.recorder
    }

    pub(super) fn relatives(&self) -> Arc<Relatives> {
        self.relatives.load_full()
    }

    /// Takes note of an attempt; gives the wording to be explained if a round is due.
    pub(super) fn saw(&self, attempted: &Attempted, now: Moment) -> Option<Wording> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        let reason = attempted.observation.verdict.reason;
        let Some(wording) = attempted.wording else {
            // What never arrived, or got no answer, says nothing about a refusal.
            let answered = !matches!(reason.outcome(), Outcome::Unsent | Outcome::Unreachable)
                && reason != Reason::ResponseTimeout;
            if answered {
                state.wording = None;
                self.fall(
                    &mut state,
                    if reason == Reason::None { "the call is let in" } else { "the answer changed" },
                );
            }
            return None;
        };
        state.wording = Some(wording.key);
        if state.known.as_ref().is_some_and(|known| known.wording.key != wording.key) {
            self.fall(&mut state, "the answer changed");
        }
        let pause = match &state.known {
            Some(known) if known.rounds >= 2 => CONFIRM_PAUSE,
            _ => ROUND_PAUSE,
        };
        let due = state.asked.is_none_or(|asked| now.since(asked) >= pause);
        (is_vague(wording.reason) && due && !state.running).then_some(wording)
    }

    /// Marks that a round took place, without anything being sent.
    pub(super) fn round_begun(&self, now: Moment) {
        self.state().asked = Some(now);
    }

    /// True while there is no diagnosis.
    pub(super) fn knows_nothing(&self) -> bool {
        self.state().known.is_none()
    }

    /// Begins a round; `None` if one is running.
    pub(super) fn begin_round(self: &Arc<Self>, now: Moment) -> Option<RunningRound> {
        let mut state = self.state();
        if state.running || state.closed {
            return None;
        }
        state.running = true;
        state.asked = Some(now);
        Some(RunningRound(Arc::clone(self)))
    }

    /// Keeps what a round found about a wording, if the target is still refused with it.
    pub(super) fn learn(&self, wording: Wording, finding: Finding, now: Moment, at: SystemTime) {
        let mut state = self.state();
        if state.wording != Some(wording.key) {
            return;
        }
        match &mut state.known {
            Some(known) if known.wording.key == wording.key && known.finding == finding => {
                known.confirmed = now;
                known.confirmed_at = at;
                known.rounds = known.rounds.saturating_add(1);
            }
            other => {
                self.log(&wording, &finding, other.as_ref().map(|known| known.finding.reason));
                *other =
                    Some(Known { wording, finding, since: at, confirmed: now, confirmed_at: at, rounds: 1 });
            }
        }
        self.recorder.set_diagnosis(state.known.as_ref().map(Known::shown));
    }

    fn log(&self, wording: &Wording, finding: &Finding, was: Option<Reason>) {
        tracing::info!(
            target = %self.target.id,
            says = %wording.reason,
            reason = %finding.reason,
            was = was.map(Reason::as_str),
            because = words(&finding.because, Because::as_str).join(" "),
            suspects = words(&finding.suspects, Suspect::as_str).join(" "),
            "diagnosis"
        );
    }

    fn fall(&self, state: &mut State, why: &'static str) {
        let Some(known) = state.known.take() else { return };
        self.recorder.set_diagnosis(None);
        tracing::info!(target = %self.target.id, reason = %known.finding.reason, why, "diagnosis no longer holds");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn shown(&self) -> KnownDiagnosis {
        KnownDiagnosis {
            reason: self.finding.reason,
            since: self.since,
            confirmed_at: self.confirmed_at,
            because: words(&self.finding.because, Because::as_str),
            suspects: words(&self.finding.suspects, Suspect::as_str),
        }
    }
}

fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|each| word(*each)).collect()
}

/// A round under way; when it is dropped, in whatever way it ended, the next may begin.
pub(super) struct RunningRound(Arc<Case>);

impl RunningRound {
    pub(super) const fn case(&self) -> &Arc<Case> {
        &self.0
    }
}

impl Drop for RunningRound {
    fn drop(&mut self) {
        self.0.state().running = false;
    }
}
