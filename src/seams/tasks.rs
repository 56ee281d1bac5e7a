//! The one door to `tokio::spawn`, so that every task has a name and nobody starts one in passing; and the keeper of
//! tasks that must not end.

#![expect(clippy::disallowed_methods, reason = "this is the one place the others are sent to")]

use crate::domain::scrub::scrub;
use futures_util::FutureExt as _;
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::future::Future;
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument as _;

/// The wait before the first restart; it doubles with each panic that follows.
const RESTART_FIRST: Duration = Duration::from_secs(1);
/// The longest wait before a restart, and how long a task has to run for its panics before to be forgotten.
const RESTART_MAX: Duration = Duration::from_secs(60);
/// As much of a panic's text as is shown: it says where, not what was at hand.
const PANIC_CHARS_MAX: usize = 120;

/// Starts a named task. Its lines are its own: no span of whoever starts it stands before them.
pub fn spawn<F>(name: &'static str, task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(task.instrument(tracing::error_span!(parent: None, "task", name)))
}

/// Starts a named task that begins again after a panic: `factory` makes it anew, after a second at first, then after
/// twice as long each time, up to a minute, and after a second again once it has run for a minute. `on_panic` is told
/// of each, for counting. The task ends when what `factory` made ends by itself.
///
/// What the task had in hand is lost; what is shared must be whole after every statement.
pub fn supervised<M, F>(
    name: &'static str,
    on_panic: Arc<dyn Fn() + Send + Sync>,
    mut factory: M,
) -> JoinHandle<F::Output>
where
    M: FnMut() -> F + Send + 'static,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn(name, async move {
        let mut wait = RESTART_FIRST;
        loop {
            let begun = Instant::now();
            let panic = match AssertUnwindSafe(async { factory().await }).catch_unwind().await {
                Ok(result) => return result,
                Err(panic) => panic,
            };
            on_panic();
            if begun.elapsed() >= RESTART_MAX {
                wait = RESTART_FIRST;
            }
            tracing::error!(
                task = name, panic = %panic_text(&*panic), again_in_seconds = wait.as_secs(),
                "a task panicked and begins again; this is a defect, please report it with the log"
            );
            drop(panic);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RESTART_MAX);
        }
    })
}

/// Logs a panic as the process's hook for them (`std::panic::set_hook`): place and text, the text as
/// [`panic_text`] has it. Rust's own hook writes the text as it is, and a line that is no JSON into a log that is.
pub fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let trace = Backtrace::capture();
    let trace = (trace.status() == BacktraceStatus::Captured).then(|| trace.to_string());
    tracing::error!(panic = %panic_text(panic.payload()), place, trace, "a panic; this is a defect");
}

/// What a panic says of itself, fit to be logged: short, one line, scrubbed like a text from outside. A message is
/// written by whoever panics, a library among them, and may hold what was being worked on.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text");
    scrub(text).chars().take(PANIC_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Runs a task that panics `panics` times, each time `after` from its beginning; the seconds at which it began,
    /// and how many panics were counted.
    async fn begun_at(
        panics: usize,
        after: impl Fn(usize) -> u64 + Send + Sync + 'static,
    ) -> (Vec<u64>, usize) {
        let (starts, counted) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let origin = Instant::now();
        let after = Arc::new(after);
        let task = supervised(
            "panics",
            {
                let counted = Arc::clone(&counted);
                Arc::new(move || {
                    counted.fetch_add(1, Ordering::Relaxed);
                })
            },
            {
                let starts = Arc::clone(&starts);
                move || {
                    let turn = {
                        let mut starts = starts.lock().unwrap();
                        starts.push(origin.elapsed().as_secs());
                        starts.len() - 1
                    };
                    let after = Arc::clone(&after);
                    async move {
                        tokio::time::sleep(Duration::from_secs(after(turn))).await;
                        assert!(turn >= panics, "on purpose");
                        turn
                    }
                }
            },
        );
        assert_eq!(task.await.unwrap(), panics);
        (Arc::into_inner(starts).unwrap().into_inner().unwrap(), counted.load(Ordering::Relaxed))
    }

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_a_minute() {
        let (starts, counted) = begun_at(9, |_| 0).await;
        assert_eq!(starts, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
        assert_eq!(counted, 9);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_minute_makes_the_next_panic_a_first_one() {
        let (starts, counted) = begun_at(5, |turn| if turn == 3 { 60 } else { 0 }).await;
        // The fourth ran from 7 to 67 before it panicked.
        assert_eq!(starts, [0, 1, 3, 7, 68, 70]);
        assert_eq!(counted, 5);
        let (starts, _) = begun_at(5, |turn| if turn == 3 { 59 } else { 0 }).await;
        assert_eq!(starts, [0, 1, 3, 7, 74, 90]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_factory_that_panics_and_a_task_that_ends() {
        let mut turns = 0;
        let ended = supervised("makes", Arc::new(|| ()), move || {
            turns += 1;
            assert!(turns > 1, "on purpose");
            async move { turns }
        });
        assert_eq!(ended.await.unwrap(), 2);
    }

    #[test]
    fn a_panic_tells_no_secret() {
        let token = "IQoJb3JpZ2luX2VjEJv//////////wEaCWV1LXdlc3QtMSJHMEUCIQDx7";
        for (said, shown) in [
            (Box::new("index out of bounds") as Box<dyn Any + Send>, "index out of bounds"),
            (Box::new(format!("bad header {token}")), "bad header ***"),
            (Box::new(format!("header Authorization: {token}")), "header"),
            (Box::new(7), "no text"),
        ] {
            assert_eq!(panic_text(&*said), shown);
        }
        let long: Box<dyn Any + Send> = Box::new("many words ".repeat(100));
        assert_eq!(panic_text(&*long).chars().count(), PANIC_CHARS_MAX);
    }
}
