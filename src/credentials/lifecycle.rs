//! When to ask STS for a role, and until when a session is used. Pure: every time is an argument.
//!
//! `refresher` holds one `Lifecycle` per role and does what it says; `store` publishes its `Window`.

use crate::domain::moment::Moment;
use crate::domain::outcome::Reason;
use crate::domain::spread;
use crate::seams::SessionFailureKind;
use std::time::{Duration, SystemTime};

/// The longest session that STS gives to a caller that is itself a role's session, and the one that every
/// role allows (IAM user guide, "Role chaining" and "Maximum session duration").
pub(super) const CHAINED_MAX: Duration = Duration::from_secs(3600);

/// A session is not used in its last seconds: a request signed then may arrive after its end.
const MARGIN_MAX: Duration = Duration::from_secs(10);
/// The margin's share of a short life, so that a session of seconds is still of use.
const MARGIN_SHARE: f64 = 0.05;
/// However short a life is, STS is not asked faster than this.
const REFRESH_MIN: Duration = Duration::from_millis(200);

/// Until when a session is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    until: Moment,
    /// The same by wall clock: the monotonic clock stands still while a machine is suspended, the wall clock
    /// may step. The earlier of both counts.
    until_wall: Option<SystemTime>,
}

impl Window {
    /// The window of a session that ends at `expires_at`, and its life; `None` for keys that do not end.
    pub(super) fn new(now: Moment, wall: SystemTime, expires_at: Option<SystemTime>) -> (Self, Duration) {
        let Some(end) = expires_at else {
            return (Self { until: Moment::from_origin(Duration::MAX), until_wall: None }, Duration::MAX);
        };
        let life = end.duration_since(wall).unwrap_or_default();
        let margin = MARGIN_MAX.min(life.mul_f64(MARGIN_SHARE));
        (Self { until: now + (life - margin), until_wall: end.checked_sub(margin) }, life)
    }

    /// The same end, by the wall clock of now: the one that it was reckoned with may have been wrong.
    pub(super) fn reckoned_anew(self, now: Moment, wall: SystemTime) -> Self {
        let left = self.until_wall.map(|until| until.duration_since(wall).unwrap_or_default());
        Self { until: left.map_or(self.until, |left| now + left), ..self }
    }

    /// Its end by the monotonic clock, as both clocks stand now.
    pub(super) fn until(&self, now: Moment, wall: SystemTime) -> Moment {
        let left = self.until_wall.map(|until| until.duration_since(wall).unwrap_or_default());
        left.map_or(self.until, |left| self.until.min(now + left))
    }

    /// True while the session may sign.
    pub(super) fn is_open(&self, now: Moment, wall: SystemTime) -> bool {
        now < self.until && self.until_wall.is_none_or(|until| wall < until)
    }
}

/// A number from -1 to 1 that is always the same for the same text: spreads roles without randomness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread(f64);

impl Spread {
    pub(super) fn of(text: &str) -> Self {
        Self(spread::fraction(text).mul_add(2.0, -1.0))
    }

    /// `span` by up to `share` more or less.
    pub(super) fn around(self, span: Duration, share: f64) -> Duration {
        span.mul_f64(self.0.mul_add(share, 1.0))
    }

    /// A place within `span`.
    pub(super) fn within(self, span: Duration) -> Duration {
        span.mul_f64(f64::midpoint(self.0, 1.0))
    }
}

/// Waits that double with each failure in a row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure.
    pub(super) fn failed(&mut self, kind: SessionFailureKind, spread: Spread) -> Duration {
        let (first_seconds, longest_seconds) = match kind {
            // Somebody has to change a policy first; asking often only fills their trail.
            SessionFailureKind::Denied | SessionFailureKind::DurationRefused => (2, 300),
            SessionFailureKind::Throttled => (5, 60),
            SessionFailureKind::NoHubCredentials | SessionFailureKind::Failed => (1, 60),
        };
        let doubled = 2_u64.saturating_pow(self.failures).saturating_mul(first_seconds);
        self.failures = (self.failures + 1).min(32);
        spread.around(Duration::from_secs(doubled.min(longest_seconds)), 0.2)
    }

    /// The next failure is a first one again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The state of one role.
#[derive(Debug)]
pub(super) struct Lifecycle {
    spread: Spread,
    configured: Duration,
    /// A refusal about the duration was met: an hour is asked for from now on.
    capped: bool,
    asking: Option<Duration>,
    next_ask: Moment,
    backoff: Backoff,
    trouble: Option<SessionFailureKind>,
}

/// What a failed call leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The same again at once with the shorter duration: the refusal was only about the duration.
    AskShorter,
    /// Later.
    BackOff,
}

impl Lifecycle {
    /// A role that was never asked for; its first ask is due at `first_ask`.
    pub(super) const fn new(spread: Spread, configured: Duration, first_ask: Moment) -> Self {
        Self {
            spread,
            configured,
            capped: false,
            asking: None,
            next_ask: first_ask,
            backoff: Backoff { failures: 0 },
            trouble: None,
        }
    }

    /// When STS is to be asked next.
    pub(super) const fn next_ask(&self) -> Moment {
        self.next_ask
    }

    /// Its place among others.
    pub(super) const fn spread(&self) -> Spread {
        self.spread
    }

    /// The session ends before its time, or has ended: asks at this moment at the latest. A role in trouble keeps its
    /// pauses.
    pub(super) fn ends_early(&mut self, ask: Moment) {
        if self.trouble.is_none() {
            self.next_ask = self.next_ask.min(ask);
        }
    }

    /// Begins a call; the duration to ask for. `chained`: the hub's credentials are a role's session.
    pub(super) fn begin(&mut self, chained: bool) -> Duration {
        let duration =
            if self.capped || chained { self.configured.min(CHAINED_MAX) } else { self.configured };
        self.asking = Some(duration);
        duration
    }

    /// STS gave a session. `None` if it is of no use, which counts as a failure.
    pub(super) fn renewed(
        &mut self,
        now: Moment,
        wall: SystemTime,
        expires_at: Option<SystemTime>,
    ) -> Option<Window> {
        // A session without an end would never be renewed; STS always names one.
        let asked = self.asking.take().unwrap_or(self.configured);
        let (window, life) = Window::new(now, wall, expires_at.or_else(|| wall.checked_add(asked)));
        // With a wall clock that is behind, a session seems to live for longer than was asked for, and does not.
        let life = life.min(asked);
        if life.is_zero() {
            self.refused(now, SessionFailureKind::Failed);
            return None;
        }
        self.backoff.reset();
        self.trouble = None;
        self.next_ask = now + self.spread.around(life / 2, 0.1).max(REFRESH_MIN);
        Some(window)
    }

    /// STS gave none.
    pub(super) fn refused(&mut self, now: Moment, kind: SessionFailureKind) -> Step {
        let asked = self.asking.take().unwrap_or(self.configured);
        if kind == SessionFailureKind::DurationRefused && !self.capped && asked > CHAINED_MAX {
            self.capped = true;
            self.next_ask = now;
            return Step::AskShorter;
        }
        self.trouble = Some(kind);
        self.next_ask = now + self.backoff.failed(kind, self.spread);
        Step::BackOff
    }

    /// Why there is no session, when there is none: what the last call said, or that time ran out on the one
    /// there was while the next call is still on its way.
    pub(super) const fn reason_without_session(&self) -> Reason {
        match self.trouble {
            None => Reason::CredentialsExpired,
            Some(SessionFailureKind::Denied) => Reason::AssumeRoleDenied,
            Some(SessionFailureKind::NoHubCredentials) => Reason::NoHubCredentials,
            Some(
                SessionFailureKind::DurationRefused
                | SessionFailureKind::Throttled
                | SessionFailureKind::Failed,
            ) => Reason::AssumeRoleFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SessionFailureKind as Kind;
    use proptest::prelude::*;
    use std::time::UNIX_EPOCH;

    const HOUR: Duration = Duration::from_secs(3600);
    const NOW: Moment = Moment::from_origin(Duration::from_secs(1000));
    const WALL: SystemTime = UNIX_EPOCH;

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn lifecycle(duration: Duration) -> Lifecycle {
        Lifecycle::new(Spread(0.0), duration, NOW)
    }

    #[test]
    fn a_session_is_refreshed_at_half_of_its_life_and_used_until_shortly_before_its_end() {
        for (life, refresh, usable) in [
            (3600.0, 1800.0, 3590.0),
            (43_200.0, 21_600.0, 43_190.0),
            (200.0, 100.0, 190.0),
            (20.0, 10.0, 19.0),
            (2.0, 1.0, 1.9),
            (0.1, 0.2, 0.095),
        ] {
            let mut role = lifecycle(12 * HOUR);
            role.begin(false);
            let window = role.renewed(NOW, WALL, Some(WALL + secs(life))).unwrap();
            assert_eq!(role.next_ask(), NOW + secs(refresh), "{life}");
            let before = secs(usable) - Duration::from_millis(1);
            assert!(window.is_open(NOW + before, WALL + before), "{life}");
            assert!(!window.is_open(NOW + secs(usable), WALL), "{life} by the monotonic clock");
            assert!(!window.is_open(NOW, WALL + secs(usable)), "{life} by the wall clock");
        }
    }

    #[test]
    fn a_wall_clock_that_is_behind_delays_no_refresh() {
        let mut role = lifecycle(HOUR);
        role.begin(false);
        role.renewed(NOW, WALL, Some(WALL + 3 * HOUR)).unwrap();
        assert_eq!(role.next_ask(), NOW + HOUR / 2);
    }

    #[test]
    fn a_session_that_ended_early_is_asked_for_soon_and_a_refused_one_keeps_its_pause() {
        let mut role = lifecycle(HOUR);
        role.begin(false);
        role.renewed(NOW, WALL, Some(WALL + HOUR)).unwrap();
        role.ends_early(NOW + HOUR);
        assert_eq!(role.next_ask(), NOW + HOUR / 2, "no later than planned");
        role.ends_early(NOW + secs(3.0));
        assert_eq!(role.next_ask(), NOW + secs(3.0));
        role.begin(false);
        role.refused(NOW, Kind::Denied);
        role.ends_early(NOW);
        assert_eq!(role.next_ask(), NOW + secs(2.0));
    }

    #[test]
    fn an_ended_session_is_a_failure() {
        let mut role = lifecycle(HOUR);
        role.begin(false);
        assert_eq!(role.renewed(NOW, WALL + HOUR, Some(WALL)), None);
        assert_eq!(role.reason_without_session(), Reason::AssumeRoleFailed);
        assert!(role.next_ask() > NOW);
    }

    #[test]
    fn the_reason_is_what_the_last_call_said() {
        let mut role = lifecycle(HOUR);
        assert_eq!(role.reason_without_session(), Reason::CredentialsExpired);
        for (kind, reason) in [
            (Kind::Denied, Reason::AssumeRoleDenied),
            (Kind::Failed, Reason::AssumeRoleFailed),
            (Kind::Throttled, Reason::AssumeRoleFailed),
            (Kind::DurationRefused, Reason::AssumeRoleFailed),
            (Kind::NoHubCredentials, Reason::NoHubCredentials),
        ] {
            role.begin(false);
            assert_eq!(role.refused(NOW, kind), Step::BackOff);
            assert_eq!(role.reason_without_session(), reason);
        }
        role.begin(false);
        role.renewed(NOW, WALL, Some(WALL + HOUR)).unwrap();
        assert_eq!(role.reason_without_session(), Reason::CredentialsExpired);
    }

    #[test]
    fn waits_double_up_to_their_cap_and_begin_anew_after_a_success() {
        for (kind, expected) in [
            (Kind::Failed, [1, 2, 4, 8, 16, 32, 60, 60]),
            (Kind::NoHubCredentials, [1, 2, 4, 8, 16, 32, 60, 60]),
            (Kind::Throttled, [5, 10, 20, 40, 60, 60, 60, 60]),
            (Kind::Denied, [2, 4, 8, 16, 32, 64, 128, 256]),
        ] {
            let mut role = lifecycle(HOUR);
            for wait in expected {
                role.begin(false);
                role.refused(NOW, kind);
                assert_eq!(role.next_ask(), NOW + Duration::from_secs(wait), "{kind:?}");
            }
            for _ in 0..100 {
                role.refused(NOW, kind);
            }
            assert!(role.next_ask() <= NOW + Duration::from_secs(300));
            role.begin(false);
            role.renewed(NOW, WALL, Some(WALL + HOUR)).unwrap();
            role.refused(NOW, kind);
            assert_eq!(role.next_ask(), NOW + Duration::from_secs(expected[0]));
        }
    }

    #[test]
    fn a_duration_that_is_too_long_is_shortened_once_to_an_hour() {
        let mut role = lifecycle(4 * HOUR);
        assert_eq!(role.begin(false), 4 * HOUR);
        assert_eq!(role.refused(NOW, Kind::DurationRefused), Step::AskShorter);
        assert_eq!(role.next_ask(), NOW);
        assert_eq!(role.begin(false), HOUR);
        assert_eq!(role.refused(NOW, Kind::DurationRefused), Step::BackOff);
        assert!(role.next_ask() > NOW);

        assert_eq!(lifecycle(4 * HOUR).begin(true), HOUR, "chained");
        assert_eq!(lifecycle(HOUR / 2).begin(true), HOUR / 2);
        let mut short = lifecycle(HOUR / 2);
        short.begin(false);
        assert_eq!(short.refused(NOW, Kind::DurationRefused), Step::BackOff);
    }

    proptest! {
        #[test]
        fn a_refresh_always_begins_before_the_session_ends(life_ms in 500_u64..50_000_000, name in ".*") {
            let life = Duration::from_millis(life_ms);
            let mut role = Lifecycle::new(Spread::of(&name), life, NOW);
            role.begin(false);
            let window = role.renewed(NOW, WALL, Some(WALL + life)).unwrap();
            let wait = role.next_ask().since(NOW);
            prop_assert!(wait >= life.mul_f64(0.44) && wait <= life.mul_f64(0.56));
            prop_assert!(window.is_open(role.next_ask(), WALL + wait));
            prop_assert!(Spread::of(&name).within(life) <= life);
        }
    }

    #[test]
    fn names_spread_evenly() {
        let mut counts = [0; 10];
        for n in 0..1000 {
            let place = Spread::of(&format!("arn:aws:iam::{n:012}:role/probe")).within(secs(10.0));
            counts[(place.as_secs_f64() as usize).min(9)] += 1;
        }
        assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
    }
}
