//! The one door to `tokio::spawn`, so that every task has a name and nobody starts one in passing.

#![expect(clippy::disallowed_methods, reason = "this is the one place the others are sent to")]

use std::future::Future;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// Starts a named task.
pub fn spawn<F>(name: &'static str, task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(task.instrument(tracing::error_span!("task", name)))
}
