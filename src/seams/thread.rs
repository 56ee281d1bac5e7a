//! A thread with a runtime of its own, for work that must not make other work wait: load runs beside health
//! probes.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use tracing::Instrument as _;

/// Why a thread gave nothing back.
#[derive(Debug)]
pub enum ThreadFailure {
    /// The machine gave no thread, or no poller for its runtime.
    NotStarted(std::io::Error),
    /// The work panicked.
    Panicked,
}

impl fmt::Display for ThreadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(problem) => write!(f, "the thread could not be started: {problem}"),
            Self::Panicked => f.write_str("the work panicked"),
        }
    }
}

impl std::error::Error for ThreadFailure {}

/// Resolves when the thread's work has ended. Dropping it leaves the work alone: to end that, cancel the token
/// it was given.
#[derive(Debug)]
pub struct OwnThread<T>(Started<T>);

#[derive(Debug)]
enum Started<T> {
    Yes(oneshot::Receiver<Result<T, ThreadFailure>>),
    No(Option<std::io::Error>),
}

impl<T> Future for OwnThread<T> {
    type Output = Result<T, ThreadFailure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Started::Yes(result) => {
                Pin::new(result).poll(context).map(|given| given.unwrap_or(Err(ThreadFailure::Panicked)))
            }
            Started::No(problem) => Poll::Ready(Err(ThreadFailure::NotStarted(
                problem.take().unwrap_or_else(|| std::io::ErrorKind::Other.into()),
            ))),
        }
    }
}

/// Starts a thread of this name with a current-thread runtime, and there makes the work and drives it to its
/// end. What the work itself awaits comes before what it spawns. What it spawns lives on the same runtime, and is dropped with it when the work ends. `make` runs on
/// the new thread, within the runtime, so the work need not be able to change threads and may have timers and
/// sockets from the beginning. Linux shows the first 15 bytes of the name.
pub fn on_own_thread<M, F>(name: &'static str, make: M) -> OwnThread<F::Output>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future,
    F::Output: Send + 'static,
{
    let (give, receive) = oneshot::channel();
    let span = tracing::error_span!("thread", name);
    let thread = move || {
        // Nobody may be waiting any more; then nobody wants to know.
        drop(give.send(run(make, span)));
    };
    match std::thread::Builder::new().name(name.to_owned()).spawn(thread) {
        Ok(_detached) => OwnThread(Started::Yes(receive)),
        Err(problem) => OwnThread(Started::No(Some(problem))),
    }
}

/// How many tasks a busy runtime runs between two looks at its timers and sockets, and at the thread's own future.
/// Tokio's own choice is 61, which at 10 µs a task would make a pacer late by more than half a millisecond.
const TASKS_BETWEEN_LOOKS: u32 = 16;

fn run<M, F>(make: M, span: tracing::Span) -> Result<F::Output, ThreadFailure>
where
    M: FnOnce() -> F,
    F: Future,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(TASKS_BETWEEN_LOOKS)
        .build()
        .map_err(ThreadFailure::NotStarted)?;
    let work = || runtime.block_on(async { make().await }.instrument(span));
    let result = std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| ThreadFailure::Panicked);
    // A resolver's thread that hangs must not hold back the result.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seams::{Clock as _, PreciseWait, SystemClock, Wait as _, spawn};
    use std::rc::Rc;
    use std::time::Duration;

    #[tokio::test]
    async fn the_work_has_a_thread_and_a_runtime_of_its_own() {
        let here = std::thread::current().id();
        let clock = SystemClock::start();
        let name = on_own_thread("load-nightly", move || {
            // Made there: neither of the two could be sent.
            let not_send = Rc::new(std::thread::current());
            let wait = PreciseWait::new(clock).unwrap();
            async move {
                wait.until(clock.now() + Duration::from_millis(1)).await;
                let spawned = spawn("on the same thread", async { std::thread::current().id() });
                assert_eq!(spawned.await.unwrap(), not_send.id());
                assert_ne!(not_send.id(), here);
                not_send.name().map(str::to_owned)
            }
        });
        assert_eq!(name.await.unwrap().as_deref(), Some("load-nightly"));
    }

    #[tokio::test]
    async fn a_panic_is_a_result() {
        let failed = on_own_thread("panics", || async { panic!("on purpose") as u32 });
        assert!(matches!(failed.await, Err(ThreadFailure::Panicked)));
        let failed = on_own_thread("panics", || {
            assert!(std::thread::current().name().is_none(), "on purpose");
            async {}
        });
        assert!(matches!(failed.await, Err(ThreadFailure::Panicked)));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_goes_on() {
        let (tell, told) = oneshot::channel();
        drop(on_own_thread("alone", || async move { tell.send(7) }));
        assert_eq!(told.await, Ok(7));
    }
}
