//! Wall clocks that step, and machines that were suspended: the monotonic clock knows nothing of either.

use super::*;
use crate::seams::Clock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

/// The same time as the fake STS has, off by some seconds by wall clock.
pub(super) struct Stepping {
    inner: SystemClock,
    ahead_seconds: AtomicI64,
}

impl Stepping {
    pub(super) fn new(inner: SystemClock, ahead_seconds: i64) -> Arc<Self> {
        Arc::new(Self { inner, ahead_seconds: AtomicI64::new(ahead_seconds) })
    }

    /// Puts the wall clock off by so much.
    pub(super) fn set(&self, ahead_seconds: i64) {
        self.ahead_seconds.store(ahead_seconds, Ordering::Relaxed);
    }
}

impl Clock for Stepping {
    fn now(&self) -> Moment {
        self.inner.now()
    }

    fn wall(&self) -> SystemTime {
        let ahead = self.ahead_seconds.load(Ordering::Relaxed);
        let span = secs(ahead.unsigned_abs());
        if ahead < 0 { self.inner.wall() - span } else { self.inner.wall() + span }
    }
}

/// A store whose wall clock may be put off; what it says of STS's time stays right while that is 0.
fn start_stepping(roles: &[RoleInUse]) -> (Running, Arc<Stepping>) {
    start_off(roles, false, 0, |_| {})
}

/// The same with a wall clock that is off from the beginning.
fn start_off(
    roles: &[RoleInUse],
    hub_in_use: bool,
    ahead_seconds: i64,
    prepare: impl FnOnce(&FakeSts),
) -> (Running, Arc<Stepping>) {
    let inner = clock();
    let stepping = Stepping::new(inner, ahead_seconds);
    let sts = FakeSts::new(inner);
    prepare(&sts);
    let recorder = Arc::new(Recorder::new(&Settings { buckets: vec![1.0] }));
    let (store, announced) = Store::new(
        roles,
        hub_in_use,
        Arc::clone(&sts) as Arc<dyn Sessions>,
        Arc::clone(&stepping) as Arc<dyn Clock>,
        Arc::new(TokioWait::new(inner)),
        Arc::clone(&recorder),
    );
    let shutdown = CancellationToken::new();
    let task = spawn("refresher", Arc::clone(&store).run(shutdown.clone()));
    (Running { store, sts, recorder, clock: inner, announced, shutdown, task }, stepping)
}

#[tokio::test(start_paused = true)]
async fn after_a_suspension_sessions_are_asked_for_at_once_and_gently() {
    let roles: Vec<_> = (0..100).map(|n| role(n, HOUR)).collect();
    let (running, clock) = start_stepping(&roles);
    running.pass(secs(300)).await;
    let before = running.sts.calls().len();
    assert_eq!(before, 100);

    // The wall clock has gone on for eight hours and the monotonic one has not. STS's has as well: what it gives ends
    // an hour after, by a clock that this test leaves where it was, so the hour is made longer.
    for role in &roles {
        running.sts.answer(role, Answer::Session(Some(9 * HOUR)));
    }
    clock.set(8 * 3600);
    assert!(roles.iter().all(|role| running.reason(role) == Reason::CredentialsExpired));
    running.pass(secs(75)).await;
    assert!(roles.iter().all(|role| running.key(role).is_ok()));
    assert_eq!(running.sts.calls().len() - before, 100, "each once");
    assert!(running.sts.most_in_flight() <= 10);
}

/// The session is still good after a shorter sleep, and would end before the refresh that was planned.
#[tokio::test(start_paused = true)]
async fn after_a_short_suspension_no_session_runs_out() {
    let roles: Vec<_> = (0..20).map(|n| role(n, HOUR)).collect();
    let (running, clock) = start_stepping(&roles);
    running.pass(secs(60)).await;
    clock.set(40 * 60);
    for _ in 0..40 {
        running.pass(secs(60)).await;
        assert!(roles.iter().all(|role| running.key(role).is_ok()), "at {}", running.clock.now());
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_ends_no_session_changes_nothing() {
    let roles = [role(1, HOUR)];
    let (running, clock) = start_stepping(&roles);
    running.pass(secs(10)).await;
    for ahead in [600, -600, 0] {
        clock.set(ahead);
        running.pass(secs(120)).await;
        assert!(running.key(&roles[0]).is_ok());
    }
    assert_eq!(running.sts.calls().len(), 1);
}

/// Keys of the hub that came while the clock was ahead seemed to live for minutes. The source gives the same keys for
/// hours, and nothing else would ever look at them again.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_right_gives_the_hubs_keys_their_true_life() {
    let end = clock().wall() + 6 * HOUR;
    for (ahead, usable_at_once) in [(5 * 3600 + 3000, true), (7 * 3600, false), (-7 * 3600, true)] {
        let (running, clock) = start_off(&[], true, ahead, |sts| sts.hub_until(end));
        let is_usable = || running.store.session(&Signer::Hub).is_ok();
        running.pass(secs(5)).await;
        assert_eq!(is_usable(), usable_at_once, "{ahead}");
        clock.set(0);
        running.pass(secs(75)).await;
        for minute in 2..=358 {
            assert!(is_usable(), "{ahead}, at minute {minute}");
            running.pass(secs(60)).await;
        }
        running.pass(secs(120)).await;
        assert!(!is_usable(), "{ahead}, after their end");
    }
}
