//! The precise driver of the `Wait` seam, for rates that tokio's timer of 1 ms would send in bursts.
//!
//! On Linux it is a `timerfd` in the runtime's own poller: the kernel's high-resolution timer wakes the very thread
//! that goes on with the work. Measured against its alternatives, at 5,000/s on two cores (medians of rounds of a
//! second; `cargo bench -- lateness` repeats it beside the bare thread):
//!
//! | driver | lateness p50 | p90 | p99, cores free | p99, cores taken |
//! |---|---|---|---|---|
//! | a bare thread that sleeps until each moment | 55 µs | 57 µs | 0.1 ms | 3 ms |
//! | `timerfd`, a task of a current-thread runtime | 8 µs | 15 µs | 0.02 ms | 4 ms |
//! | a sleeping thread and a channel to that task | 60 µs | 65 µs | 0.1–0.5 ms | 4 ms |
//! | tokio's timer | 580 µs | 1,040 µs | 1.1 ms | 4 ms |
//!
//! A sleeping thread is late by the slack of 50 µs that the kernel gives to sleepers and not to a `timerfd`, and
//! handing on costs a second wake-up. A wake-up costs about 8 µs of processor time here, and without arrivals
//! there is none. Spinning would be exact, and costs a core.
//!
//! What no timer can mend: a thread that is at work looks at its timers only between tasks. So load runs have a
//! thread of their own ([`crate::seams::on_own_thread`]), and its driver should be the thread's own future.

use crate::domain::moment::Moment;
use crate::seams::clock::{SystemClock, TokioWait};
use crate::seams::{Clock as _, Wait};
use futures_util::future::BoxFuture;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[cfg(target_os = "linux")]
use self::timers::Timers;

/// Moments that follow each other faster than this are dense: they share wake-ups, [`COALESCE`] apart. Up to 5,000/s
/// nothing is, and nothing waits for anything.
pub const DENSE: Duration = Duration::from_micros(180);

/// The time between the moments of two wake-ups while moments are dense, so that 10,000/s cost 1,100 wake-ups and are
/// late by 0.45 ms on average, 0.9 ms at most by this. Counted from the moments and not from when the wake-ups came, or
/// one that is late would make the next one late too. A wake-up costs about as much as sending a request, and what
/// was sent together is answered together: at 10,000/s 0.5 ms cost 1 µs more for each request. Longer saves as much
/// again, and arrivals would be late by more than the millisecond within which they are asked for.
pub const COALESCE: Duration = Duration::from_micros(900);

/// What is farther off begins on tokio's timer: its tick is no loss there, and no descriptor is held.
#[cfg(target_os = "linux")]
const FAR: Duration = Duration::from_secs(1);

/// How long before a far moment the precise timer takes over: more than tokio's timer is ever late by itself.
#[cfg(target_os = "linux")]
const HANDOVER: Duration = Duration::from_millis(5);

/// Waits to within about 0.1 ms on Linux, and as [`TokioWait`] does elsewhere. Never early. What is dense shares
/// wake-ups and may be [`COALESCE`] late.
///
/// Any number of tasks may wait at once, of any runtime; the first few get a precise timer and the rest
/// tokio's. It follows the machine's clock, so under a paused runtime use [`TokioWait`].
#[derive(Debug)]
pub struct PreciseWait {
    clock: SystemClock,
    tokio: TokioWait,
    /// The moment of the last wake-up, in nanoseconds from the clock's origin.
    last: AtomicU64,
    #[cfg(target_os = "linux")]
    timers: Timers,
}

impl PreciseWait {
    /// Waits for moments of this clock.
    ///
    /// # Errors
    /// When the kernel gives no timer, or outside of a runtime.
    ///
    /// # Panics
    /// In a runtime that was built without I/O.
    pub fn new(clock: SystemClock) -> io::Result<Self> {
        Ok(Self {
            clock,
            tokio: TokioWait::new(clock),
            last: AtomicU64::new(0),
            #[cfg(target_os = "linux")]
            timers: Timers::new()?,
        })
    }

    /// The moment to wake up at for what is due at `at`.
    fn coalesced(&self, at: Moment) -> Moment {
        let last = Duration::from_nanos(self.last.load(Ordering::Relaxed));
        let dense = !last.is_zero() && at < Moment::from_origin(last + DENSE);
        if dense { Moment::from_origin(last + COALESCE) } else { at }
    }

    fn woken_for(&self, at: Moment) {
        let nanos = u64::try_from(at.since_origin().as_nanos()).unwrap_or(u64::MAX);
        self.last.fetch_max(nanos, Ordering::Relaxed);
    }

    #[cfg(target_os = "linux")]
    async fn sleep(&self, at: Moment) {
        if at.since(self.clock.now()) > FAR {
            self.tokio.until(at - HANDOVER).await;
        }
        if let Some(mut timer) = self.timers.take()
            && timer.sleep(&self.clock, at).await.is_ok()
        {
            return;
        }
        self.tokio.until(at).await;
    }

    #[cfg(not(target_os = "linux"))]
    async fn sleep(&self, at: Moment) {
        self.tokio.until(at).await;
    }
}

impl Wait for PreciseWait {
    fn until(&self, at: Moment) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let wake = self.coalesced(at);
            if wake > self.clock.now() {
                self.sleep(wake).await;
            } else {
                // A driver that is behind finds every moment past; the others of its thread must have a turn.
                tokio::task::coop::consume_budget().await;
            }
            self.woken_for(wake);
        })
    }
}

/// Timers of the kernel, a few of them, handed from one wait to the next.
#[cfg(target_os = "linux")]
mod timers {
    use super::{Moment, SystemClock};
    use crate::seams::Clock as _;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use std::io;
    use std::os::fd::OwnedFd;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::Duration;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;
    use tokio::runtime::{Handle, Id};

    /// The most descriptors at once: drivers are few, and who comes later can do with tokio's timer.
    const MOST: usize = 16;

    #[derive(Debug)]
    pub(super) struct Timers(Mutex<Pool>);

    #[derive(Debug, Default)]
    struct Pool {
        idle: Vec<Timer>,
        /// Idle or lent.
        open: usize,
    }

    impl Timers {
        pub(super) fn new() -> io::Result<Self> {
            let timer = Timer::new()?;
            Ok(Self(Mutex::new(Pool { idle: vec![timer], open: 1 })))
        }

        /// A timer of the runtime that asks, until it is dropped; `None` if there is none to be had.
        pub(super) fn take(&self) -> Option<Lent<'_>> {
            let here = Handle::try_current().ok()?.id();
            let mut pool = self.pool();
            // From the end, so that who waits again and again gets the timer back that he has set already.
            if let Some(at) = pool.idle.iter().rposition(|timer| timer.runtime == here) {
                return Some(Lent { timers: self, timer: Some(pool.idle.remove(at)) });
            }
            if pool.open >= MOST {
                // One of another runtime, which may be gone, makes room.
                pool.idle.pop()?;
                pool.open -= 1;
            }
            let timer = Timer::new().ok()?;
            pool.open += 1;
            drop(pool);
            Some(Lent { timers: self, timer: Some(timer) })
        }

        fn pool(&self) -> MutexGuard<'_, Pool> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// A timer on loan.
    pub(super) struct Lent<'a> {
        timers: &'a Timers,
        timer: Option<Timer>,
    }

    impl Lent<'_> {
        pub(super) async fn sleep(&mut self, clock: &SystemClock, until: Moment) -> io::Result<()> {
            match &mut self.timer {
                Some(timer) => timer.sleep(clock, until).await,
                None => Err(io::ErrorKind::NotFound.into()),
            }
        }
    }

    impl Drop for Lent<'_> {
        fn drop(&mut self) {
            if let Some(timer) = self.timer.take() {
                self.timers.pool().idle.push(timer);
            }
        }
    }

    #[derive(Debug)]
    struct Timer {
        descriptor: AsyncFd<OwnedFd>,
        /// The runtime whose poller knows the descriptor.
        runtime: Id,
        /// What it was last set to.
        set_to: Option<Moment>,
    }

    impl Timer {
        fn new() -> io::Result<Self> {
            let runtime = Handle::try_current().map_err(io::Error::other)?.id();
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Ok(Self { descriptor: register(descriptor)?, runtime, set_to: None })
        }

        async fn sleep(&mut self, clock: &SystemClock, until: Moment) -> io::Result<()> {
            loop {
                let now = clock.now();
                if now >= until {
                    return Ok(());
                }
                // A wait that was dropped and begun again finds its timer set.
                if self.set_to != Some(until) {
                    self.set_to = None;
                    self.set(until.since(now))?;
                    self.set_to = Some(until);
                }
                // The descriptor is never read: the poller tells of edges, each expiry is one, and setting the
                // timer makes it unreadable again. An expiry from before is told apart by the time, above.
                self.descriptor.readable().await?.clear_ready();
            }
        }

        /// Sets the timer to `after` from now, which is more than zero: zero would stop it.
        fn set(&self, after: Duration) -> io::Result<()> {
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let after = Timespec::try_from(after).map_err(io::Error::other)?;
            let spec = Itimerspec { it_interval: zero, it_value: after };
            timerfd_settime(self.descriptor.get_ref(), TimerfdTimerFlags::empty(), &spec)?;
            Ok(())
        }
    }

    #[allow(
        deprecated,
        reason = "deprecated for what may close or exchange its descriptor while it is registered, in favour of \
                  an unsafe call where the caller vouches for that; an OwnedFd can do neither"
    )]
    fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
        AsyncFd::with_interest(descriptor, Interest::READABLE)
    }
}

#[cfg(test)]
mod tests {
    //! On the machine's clock, so what is held is that nothing is early, lost or stuck: never how late.

    use super::*;
    use crate::seams::spawn;
    use std::sync::Arc;

    fn clock_and_wait() -> (SystemClock, Arc<PreciseWait>) {
        let clock = SystemClock::start();
        (clock, Arc::new(PreciseWait::new(clock).unwrap()))
    }

    #[tokio::test]
    async fn nothing_is_early_and_what_has_passed_does_not_wait() {
        let (clock, wait) = clock_and_wait();
        for micros in [0, 1, 30, 700, 1_500, 5_000] {
            let at = clock.now() + Duration::from_micros(micros);
            wait.until(at).await;
            assert!(clock.now() >= at, "{micros}");
        }
        wait.until(Moment::ZERO).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn more_waits_than_timers_all_end_and_none_early() {
        let (clock, wait) = clock_and_wait();
        let tasks: Vec<_> = (0..60_u64)
            .map(|n| {
                let wait = Arc::clone(&wait);
                spawn("a wait", async move {
                    for turn in 1..4 {
                        let at = clock.now() + Duration::from_micros(n * 37 * turn);
                        wait.until(at).await;
                        assert!(clock.now() >= at);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_wait_that_is_dropped_leaves_nothing_behind_that_wakes_the_next() {
        let (clock, wait) = clock_and_wait();
        for _ in 0..5 {
            let at = clock.now() + Duration::from_millis(1);
            let dropped = wait.until(at);
            assert!(tokio::time::timeout(Duration::ZERO, dropped).await.is_err() || clock.now() >= at);
            // The timer expires with nobody waiting for it.
            tokio::time::sleep(Duration::from_millis(3)).await;
            let at = clock.now() + Duration::from_millis(4);
            wait.until(at).await;
            assert!(clock.now() >= at);
        }
    }

    #[tokio::test]
    async fn a_far_moment_changes_from_one_timer_to_the_other() {
        let (clock, wait) = clock_and_wait();
        let at = clock.now() + Duration::from_millis(1_030);
        wait.until(at).await;
        assert!(clock.now() >= at);
    }

    #[test]
    fn each_runtime_has_timers_of_its_own() {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let first = runtime();
        let (clock, wait) = first.block_on(async { clock_and_wait() });
        for _ in 0..20 {
            runtime().block_on(wait.until(clock.now() + Duration::from_millis(1)));
        }
        first.block_on(wait.until(clock.now() + Duration::from_millis(1)));
        assert!(PreciseWait::new(clock).is_err() || cfg!(not(target_os = "linux")), "outside of a runtime");
    }

    #[tokio::test]
    async fn moments_close_together_share_a_wake_up() {
        let (_, wait) = clock_and_wait();
        let at = |micros| Moment::from_origin(Duration::from_micros(micros));
        assert_eq!(wait.coalesced(at(50)), at(50));
        wait.woken_for(at(1_000));
        assert_eq!(wait.coalesced(at(1_050)), at(1_900));
        assert_eq!(wait.coalesced(at(1_200)), at(1_200));
        wait.woken_for(at(900));
        assert_eq!(wait.coalesced(at(1_150)), at(1_900));
    }
}
