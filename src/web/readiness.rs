//! Whether the agent is ready, and what is missing if not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ready means: configuration loaded, every role asked for once, listener bound. Clones share one state.
///
/// It does not mean that any spoke is well: an agent that is taken out of service because a spoke is down
/// would be missing exactly when it is needed.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    roles_asked: AtomicBool,
    listening: AtomicBool,
}

impl Readiness {
    /// The readiness of an agent that has loaded its configuration and done nothing else yet. There is no
    /// flag for the configuration: without one there is nothing that could be asked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every role has been asked for once, whatever the answers were.
    pub fn roles_asked(&self) {
        self.0.roles_asked.store(true, Ordering::Release);
    }

    /// The listener is bound; `serve` says so.
    pub(super) fn listening(&self) {
        self.0.listening.store(true, Ordering::Release);
    }

    /// What is missing, in words; empty when ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let flags = [
            (&self.0.roles_asked, "not every role has been asked for yet"),
            (&self.0.listening, "the listener is not bound yet"),
        ];
        flags.into_iter().filter(|(flag, _)| !flag.load(Ordering::Acquire)).map(|(_, text)| text).collect()
    }

    /// True when nothing is missing.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.missing().is_empty()
    }
}
