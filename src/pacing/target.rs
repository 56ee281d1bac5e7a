//! A target as pacing sees it: what it is stays, the form in which it is attempted may change.
//!
//! An attempt takes the form of the moment in which it goes out, so that nothing that waits for a permit is sent as it
//! was configured before.

use super::change_log::ChangeLog;
use super::permits::{Permit, TargetPermits};
use crate::attempt::PreparedTarget;
use crate::diagnosis::Case;
use crate::domain::observation::MissCause;
use crate::domain::target::{Cadence, Target, TargetId};
use crate::recording::TargetRecorder;
use arc_swap::ArcSwap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// A target that is paced, for as long as it is configured.
pub struct PacedTarget {
    id: TargetId,
    form: ArcSwap<Form>,
    /// Attempts of this target that have a permit or wait for one.
    running: AtomicUsize,
    /// The turn of the last permit that was waited for: what decides whose turn is next.
    served: AtomicU64,
    gone: AtomicBool,
}

/// What an attempt of a target is made with.
pub(super) struct Form {
    pub(super) prepared: PreparedTarget,
    pub(super) recorder: Arc<TargetRecorder>,
    pub(super) case: Arc<Case>,
    pub(super) permits: TargetPermits,
    pub(super) changes: Arc<ChangeLog>,
}

impl fmt::Debug for PacedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacedTarget").field("id", &self.id).finish_non_exhaustive()
    }
}

impl PacedTarget {
    pub(super) fn new(form: Form) -> Arc<Self> {
        Arc::new(Self {
            id: form.target().id.clone(),
            form: ArcSwap::from_pointee(form),
            running: AtomicUsize::new(0),
            served: AtomicU64::new(0),
            gone: AtomicBool::new(false),
        })
    }

    /// What is known of its refusals.
    #[must_use]
    pub fn case(&self) -> Arc<Case> {
        Arc::clone(&self.form.load().case)
    }

    /// The target is configured no longer: nothing of it begins any more.
    pub fn retire(&self) {
        self.gone.store(true, Ordering::Release);
        self.form.load().case.close();
    }

    pub(super) const fn id(&self) -> &TargetId {
        &self.id
    }

    /// How it is attempted now.
    pub(super) fn form(&self) -> Arc<Form> {
        self.form.load_full()
    }

    pub(super) fn set_form(&self, form: Form) {
        self.form.store(Arc::new(form));
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Takes one of the places that the target has, or says why an arrival is missed.
    pub(super) fn enter(&self, form: &Form) -> Result<(), MissCause> {
        if self.running.fetch_add(1, Ordering::AcqRel) < form.most_running() {
            return Ok(());
        }
        self.leave();
        Err(if form.waits_for_permits() { MissCause::Overrun } else { MissCause::Overloaded })
    }

    pub(super) fn leave(&self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
    }

    /// Waits for a permit, and gives it with the form that may go out with it.
    pub(super) async fn in_turn(&self) -> (Arc<Form>, Permit) {
        loop {
            let form = self.form();
            let permit = form.permits.in_turn(self.served.load(Ordering::Acquire)).await;
            let now = self.form();
            // Another account has permits of its own.
            if now.target().account == form.target().account {
                self.served.store(permit.turn(), Ordering::Release);
                return (now, permit);
            }
        }
    }
}

impl Form {
    pub(super) const fn target(&self) -> &Arc<Target> {
        self.prepared.target()
    }

    /// Arrivals of an interval wait for their permit, those of a rate do not.
    pub(super) fn waits_for_permits(&self) -> bool {
        matches!(self.target().cadence, Cadence::Every(_))
    }

    /// The most that may run at once.
    fn most_running(&self) -> usize {
        match self.target().cadence {
            Cadence::Every(_) => 1,
            // Half of the account's permits: a rate that hangs leaves room for the account's other probes.
            Cadence::PerSecond(_) => (self.permits.per_account() / 2).max(1),
        }
    }
}
