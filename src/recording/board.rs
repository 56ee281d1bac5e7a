//! What people are shown beside the numbers: the last observation of each target, kept failures, sessions.
//!
//! Texts arrive scrubbed, from `attempt` and `credentials`; here they are cut to a length, and everything is
//! kept in rings, so that a hostile far side can neither fill the memory nor stretch the page.

use crate::domain::moment::Moment;
use crate::domain::observation::{Observation, RequestIds};
use crate::domain::outcome::Reason;
use crate::domain::target::TargetId;
use crate::recording::faults::KnownFault;
use crate::recording::locked;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// The failures kept of the whole agent.
pub const KEPT_FAILURES: usize = 256;
/// The failures kept of each target.
pub const KEPT_FAILURES_PER_TARGET: usize = 8;
/// The longest message, in characters.
const MESSAGE_CHARS: usize = 300;
/// The longest mark of AWS (ids and ARNs), in characters.
const MARK_CHARS: usize = 300;
/// The answers that the clock skew is estimated from.
const SKEW_SAMPLES: usize = 15;
/// How long an answer says anything of the clocks of now: while nothing is answered, a clock may have been set right.
pub(super) const SKEW_HOLDS_FOR: Duration = Duration::from_secs(600);

/// How a target's last attempt ended, and since when attempts end like that.
#[derive(Debug, Clone)]
pub struct Last {
    /// Why; the outcome follows from it.
    pub reason: Reason,
    /// Whether it is what the configuration asked for.
    pub expected: bool,
    /// A guard satisfied by a vague reason only.
    pub unconfirmed: bool,
    /// The status code.
    pub code: Option<u16>,
    /// When it ended.
    pub at: SystemTime,
    /// When the first attempt of the streak ended.
    pub since: SystemTime,
    /// Consecutive attempts with this outcome, reason and expectedness, this one included.
    pub streak: u64,
    /// What the gateway or the transport said.
    pub message: Option<Box<str>>,
    /// The policy that the message names.
    pub policy_arn: Option<Box<str>>,
    /// The marks of AWS.
    pub ids: RequestIds,
    /// From due to the last byte; `None` where nothing was sent.
    pub response_time: Option<Duration>,
    /// When it ended, on the monotonic clock: of two attempts that overlap the later one counts.
    pub(super) done: Moment,
}

impl Last {
    /// What an observation leaves behind, given what was known before.
    pub(super) fn after(previous: Option<&Self>, seen: &Observation) -> Self {
        let verdict = &seen.verdict;
        let same = previous.filter(|last| last.reason == verdict.reason && last.expected == verdict.expected);
        Self {
            reason: verdict.reason,
            expected: verdict.expected,
            unconfirmed: verdict.unconfirmed,
            code: seen.code,
            at: seen.done_at,
            since: same.map_or(seen.done_at, |last| last.since),
            streak: same.map_or(1, |last| last.streak.saturating_add(1)),
            message: verdict.message.as_deref().map(|text| cut(text, MESSAGE_CHARS)),
            policy_arn: verdict.policy_arn.as_deref().map(|text| cut(text, MARK_CHARS)),
            ids: cut_ids(&seen.ids),
            response_time: seen.sent.map(|_| seen.response_time()),
            done: seen.done,
        }
    }
}

/// An attempt that was not as expected, kept for people.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The target.
    pub target: TargetId,
    /// When it ended.
    pub at: SystemTime,
    /// Why; the outcome follows from it.
    pub reason: Reason,
    /// The status code.
    pub code: Option<u16>,
    /// What the gateway or the transport said.
    pub message: Option<Box<str>>,
    /// The policy that the message names.
    pub policy_arn: Option<Box<str>>,
    /// The marks of AWS.
    pub ids: RequestIds,
    /// The address that answered.
    pub peer: Option<std::net::SocketAddr>,
    /// From due to the last byte; `None` where nothing was sent.
    pub response_time: Option<Duration>,
    /// Length and SHA-256 of a backend's body.
    pub body: Option<(usize, Box<str>)>,
    /// True when the answer was longer than the read limit.
    pub truncated: bool,
}

impl Failure {
    /// What is kept of an unexpected attempt, given what the target keeps as its last one.
    pub(super) fn of(target: &TargetId, last: &Last, seen: &Observation) -> Self {
        Self {
            target: target.clone(),
            at: last.at,
            reason: last.reason,
            code: last.code,
            message: last.message.clone(),
            policy_arn: last.policy_arn.clone(),
            ids: last.ids.clone(),
            peer: seen.peer,
            response_time: last.response_time,
            body: seen.body.as_ref().map(|body| (body.bytes, cut(&body.sha256, 64))),
            truncated: seen.truncated,
        }
    }
}

/// What STS said when it gave no session, and what it meant by that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The word for its cause, of a closed set.
    pub cause: &'static str,
    /// What that means.
    pub meaning: &'static str,
    /// The error code, such as `AccessDenied`; `None` when STS was not reached.
    pub code: Option<Box<str>>,
    /// The message, scrubbed.
    pub message: Box<str>,
    /// When.
    pub at: SystemTime,
}

impl Refusal {
    /// A refusal with its texts cut to length. `cause` and `meaning` are the word and the text of whoever
    /// understands STS.
    #[must_use]
    pub fn new(
        code: Option<&str>,
        message: &str,
        (cause, meaning): (&'static str, &'static str),
        at: SystemTime,
    ) -> Self {
        let (code, message) = (code.map(|text| cut(text, 128)), cut(message, MESSAGE_CHARS));
        Self { cause, meaning, code, message, at }
    }
}

/// The state of the session that signs for a spoke.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CredentialsState {
    /// True once a session came.
    pub renewed: bool,
    /// When it ends.
    pub expires_at: Option<SystemTime>,
    /// What STS said last, if that was a no. The session before may still live.
    pub refusal: Option<Refusal>,
}

impl CredentialsState {
    /// One word for it at `now`: `waiting`, `valid`, `renewal_failed` (the old session still lives),
    /// `refused` or `expired`.
    #[must_use]
    pub fn word(&self, now: SystemTime) -> &'static str {
        let alive = self.renewed && self.expires_at.is_none_or(|end| end > now);
        match (alive, &self.refusal) {
            (true, None) => "valid",
            (true, Some(_)) => "renewal_failed",
            (false, Some(_)) => "refused",
            (false, None) if self.renewed => "expired",
            (false, None) => "waiting",
        }
    }
}

/// What the agent keeps as a whole.
#[derive(Debug, Default)]
pub(super) struct Board {
    failures: Mutex<VecDeque<Arc<Failure>>>,
    skew: Mutex<VecDeque<(Moment, f64)>>,
    faults: Mutex<Vec<KnownFault>>,
}

impl Board {
    /// Keeps a failure; the oldest goes.
    pub(super) fn keep(&self, failure: Arc<Failure>) {
        push_bounded(&mut locked(&self.failures), failure, KEPT_FAILURES);
    }

    /// The kept failures, newest first.
    pub(super) fn failures(&self) -> Vec<Arc<Failure>> {
        locked(&self.failures).iter().rev().cloned().collect()
    }

    /// Replaces what is known of shared faults.
    pub(super) fn set_faults(&self, faults: Vec<KnownFault>) {
        *locked(&self.faults) = faults;
    }

    /// The shared faults.
    pub(super) fn faults(&self) -> Vec<KnownFault> {
        locked(&self.faults).clone()
    }

    /// Takes note of how far a peer's clock is ahead of ours, by an answer that came then.
    pub(super) fn saw_skew(&self, at: Moment, seconds: f64) {
        if seconds.is_finite() {
            push_bounded(&mut locked(&self.skew), (at, seconds), SKEW_SAMPLES);
        }
    }

    /// The median of the last answers: one far side with a wrong `Date` does not move it.
    pub(super) fn skew_seconds(&self) -> Option<f64> {
        median(locked(&self.skew).iter().map(|(_, seconds)| *seconds).collect())
    }

    /// The same of those answers only that still say something at this moment; none without any.
    pub(super) fn skew_seconds_at(&self, now: Moment) -> Option<f64> {
        let skew = locked(&self.skew);
        let fresh = skew.iter().filter(|(at, _)| now.since(*at) <= SKEW_HOLDS_FOR);
        median(fresh.map(|(_, seconds)| *seconds).collect())
    }
}

fn median(mut samples: Vec<f64>) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}

/// Appends to a ring of at most `limit`.
pub(super) fn push_bounded<T>(ring: &mut VecDeque<T>, value: T, limit: usize) {
    while ring.len() >= limit {
        ring.pop_front();
    }
    ring.push_back(value);
}

/// The first `chars` characters, on one line: control characters become spaces, as do the marks that turn
/// the direction of text around, with which a message could show as another on a page.
pub(super) fn cut(text: &str, chars: usize) -> Box<str> {
    if text.len() <= chars && !text.bytes().any(|byte| byte.is_ascii_control() || !byte.is_ascii()) {
        return text.into(); // nearly always, and on the path of every attempt
    }
    let harmful = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().take(chars).map(|c| if harmful(c) { ' ' } else { c }).collect::<String>().into()
}

fn cut_ids(ids: &RequestIds) -> RequestIds {
    let short = |id: &Option<String>| id.as_deref().map(|id| cut(id, 128).into_string());
    RequestIds {
        request_id: short(&ids.request_id),
        extended_request_id: short(&ids.extended_request_id),
        trace_id: short(&ids.trace_id),
        sent_trace_id: short(&ids.sent_trace_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_far_side_with_a_wrong_clock_does_not_move_the_skew() {
        let board = Board::default();
        assert_eq!(board.skew_seconds(), None);
        for seconds in [0.4, 0.5, -31_536_000.0, f64::NAN, 0.6] {
            board.saw_skew(Moment::from_origin(Duration::ZERO), seconds);
        }
        assert!((0.4..=0.6).contains(&board.skew_seconds().unwrap()));
        (0..100).for_each(|_| board.saw_skew(Moment::from_origin(Duration::ZERO), 7.0));
        assert_eq!(board.skew_seconds(), Some(7.0));
    }

    #[test]
    fn answers_of_long_ago_say_nothing_of_the_clocks_of_now() {
        let board = Board::default();
        let at = |seconds| Moment::from_origin(Duration::from_secs(seconds));
        (0..SKEW_SAMPLES).for_each(|_| board.saw_skew(at(100), 3_595.0));
        assert_eq!(board.skew_seconds_at(at(700)), Some(3_595.0));
        assert_eq!(board.skew_seconds_at(at(701)), None);
        // One answer since then is enough, though the others are still shown as the last that is known.
        board.saw_skew(at(650), 0.5);
        assert_eq!(board.skew_seconds_at(at(700)), Some(3_595.0));
        assert_eq!(board.skew_seconds_at(at(701)), Some(0.5));
        assert_eq!(board.skew_seconds(), Some(3_595.0));
    }

    #[test]
    fn texts_are_cut_by_characters_and_stay_on_one_line() {
        assert_eq!(&*cut("é\r\nx", 3), "é  ");
        assert_eq!(&*cut("a\u{202e}b", 9), "a b");
        assert_eq!(cut(&"ü".repeat(1_000), MESSAGE_CHARS).chars().count(), MESSAGE_CHARS);
    }

    #[test]
    fn a_session_is_described_by_what_it_can_still_do() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let later = Some(now + Duration::from_secs(1));
        let no = Some(Refusal::new(Some("AccessDenied"), "no", ("other", "No."), now));
        let word = |renewed, expires_at, refusal: &Option<Refusal>| {
            CredentialsState { renewed, expires_at, refusal: refusal.clone() }.word(now)
        };
        assert_eq!(word(false, None, &None), "waiting");
        assert_eq!(word(true, later, &None), "valid");
        assert_eq!(word(true, None, &None), "valid");
        assert_eq!(word(true, later, &no), "renewal_failed");
        assert_eq!(word(true, Some(now), &no), "refused");
        assert_eq!(word(false, None, &no), "refused");
        assert_eq!(word(true, Some(now), &None), "expired");
    }
}
