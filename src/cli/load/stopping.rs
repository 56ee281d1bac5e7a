//! The signals that stop a run by command.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// SIGINT: the person at the terminal.
    ByHand,
    /// SIGTERM: whatever started this.
    ToEnd,
    /// SIGUSR1: the kill switch of loads, as for the agent. However often, it never cuts a run short.
    ToStop,
}

impl Asked {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ByHand => "SIGINT",
            Self::ToEnd => "SIGTERM",
            Self::ToStop => "SIGUSR1",
        }
    }
}

/// All of them, from the moment of `listen` on.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    stop: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("signals cannot be listened to: {error}"));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            stop: listen(SignalKind::user_defined1())?,
        })
    }

    /// The next one; `None` never comes before the runtime ends.
    pub(super) async fn next(&mut self) -> Option<Asked> {
        tokio::select! {
            got = self.interrupt.recv() => got.map(|()| Asked::ByHand),
            got = self.terminate.recv() => got.map(|()| Asked::ToEnd),
            got = self.stop.recv() => got.map(|()| Asked::ToStop),
        }
    }
}
