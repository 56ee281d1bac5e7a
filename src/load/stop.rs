//! Stopping a run from outside: the handle that a signal, the stop file, the stop request over HTTP and the end of
//! the agent all hold.

use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// Stops one run, or with [`Stop::child`] all runs below it. Cheap to clone; whoever comes first is named in the log.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    requested: CancellationToken,
    at_once: CancellationToken,
    cut: CancellationToken,
    because: Arc<OnceLock<&'static str>>,
    above: Option<Arc<Self>>,
}

impl Stop {
    /// A handle that nobody has used.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle that stops when this one is stopped, and can be stopped by itself.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            requested: self.requested.child_token(),
            at_once: self.at_once.child_token(),
            cut: self.cut.child_token(),
            because: Arc::default(),
            above: Some(Arc::new(self.clone())),
        }
    }

    /// Asks the run to end in good order: the rate goes down over `Settings::ramp_down`, and what is in flight
    /// ends. `because` is for the log.
    pub fn request(&self, because: &'static str) {
        self.because.get_or_init(|| because);
        self.requested.cancel();
    }

    /// Ends the arrivals now, without going down slowly; what is in flight still ends.
    pub fn halt(&self, because: &'static str) {
        self.because.get_or_init(|| because);
        self.at_once.cancel();
        self.requested.cancel();
    }

    /// Ends the arrivals and gives up what is in flight, now.
    pub fn cut(&self, because: &'static str) {
        self.because.get_or_init(|| because);
        self.cut.cancel();
        self.at_once.cancel();
        self.requested.cancel();
    }

    /// True once anybody has asked, in any of the three ways.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Why, in the words of who came first.
    #[must_use]
    pub fn because(&self) -> Option<&'static str> {
        self.because.get().copied().or_else(|| self.above.as_ref().and_then(|above| above.because()))
    }

    pub(super) fn is_at_once(&self) -> bool {
        self.at_once.is_cancelled()
    }

    pub(super) async fn requested(&self) {
        self.requested.cancelled().await;
    }

    pub(super) async fn halted(&self) {
        self.at_once.cancelled().await;
    }

    pub(super) const fn cut_token(&self) -> &CancellationToken {
        &self.cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_falls_with_its_parent_and_not_the_other_way_round() {
        let all = Stop::new();
        let (one, other) = (all.child(), all.child());
        one.request("by itself");
        assert!(one.is_requested() && !one.is_at_once() && !all.is_requested() && !other.is_requested());
        all.cut("all of them");
        assert!(other.is_requested() && other.is_at_once() && other.cut_token().is_cancelled());
        assert_eq!((one.because(), other.because()), (Some("by itself"), Some("all of them")));
    }
}
