//! The end of a run: the signals that ask for it, and the deadline it keeps.

use crate::diagnosis::Diagnoser;
use crate::pacing::Pacing;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long attempts in flight may take to end after the signal. ECS kills a task 30 s after SIGTERM by
/// default; the agent promises to be gone within 10.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(8);

/// How long the web server may take to close afterwards.
pub(super) const WEB_DEADLINE: Duration = Duration::from_secs(1);

pub(super) async fn within_deadline(
    pacing: &Pacing,
    diagnoser: &Diagnoser,
    isolation: JoinHandle<()>,
    loads: JoinHandle<()>,
) {
    // Twins and checks end as well, so that both sides have counted the same; the attempts in flight begin no
    // new twins once the diagnoser is closing.
    let all = async {
        // Runs of load end without going down slowly; the log says how each ended.
        let (.., _isolation, _loads) = tokio::join!(pacing.drain(), diagnoser.drain(), isolation, loads);
    };
    if tokio::time::timeout(DRAIN_DEADLINE, all).await.is_err() {
        tracing::warn!(
            deadline_seconds = DRAIN_DEADLINE.as_secs(),
            "some attempts did not end in time and are left without a verdict"
        );
    } else {
        tracing::info!("drained: every attempt in flight has ended");
    }
}

/// Resolves at the first SIGTERM or SIGINT.
///
/// # Errors
/// When the signals cannot be listened to.
pub async fn termination() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
        _ = interrupt.recv() => tracing::info!("SIGINT: draining"),
    }
    Ok(())
}
