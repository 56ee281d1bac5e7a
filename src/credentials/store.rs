//! Who has a session: the slots of all roles in use, looked up by signer, and who is told when one is known.
//!
//! `refresher` writes to the slots; it alone decides what they hold. A reload exchanges the set of roles here, and the
//! refresher follows.

use super::members::{Role, RolesInUse};
use super::slot::{NoSession, Session, SignerHandle, Slot};
use crate::domain::account::AccountId;
use crate::domain::arn::RoleArn;
use crate::domain::credentials::{CallerIdentity, RoleInUse};
use crate::domain::identity::Signer;
use crate::recording::Recorder;
use crate::seams::{Clock, Sessions, Wait};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::{Notify, mpsc, watch};

/// The sessions of all roles, and the hub's own credentials.
pub struct Store {
    in_use: Arc<ArcSwap<RolesInUse>>,
    /// Held while the set is exchanged.
    changing: Mutex<()>,
    /// Tells the refresher that the set is another.
    pub(super) changed: Notify,
    pub(super) hub: Arc<Slot>,
    pub(super) sessions: Arc<dyn Sessions>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) wait: Arc<dyn Wait>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) identity: ArcSwapOption<CallerIdentity>,
    configured_hub_role: OnceLock<RoleArn>,
    announcements: mpsc::UnboundedSender<Signer>,
    all_asked: watch::Sender<bool>,
}

impl Store {
    /// A store without any session yet; `run` fills it. The receiver yields each signer once: when it has a
    /// session, or when it is refused for the first time. `hub_in_use`: some probe signs as the hub.
    #[must_use]
    pub fn new(
        roles: &[RoleInUse],
        hub_in_use: bool,
        sessions: Arc<dyn Sessions>,
        clock: Arc<dyn Clock>,
        wait: Arc<dyn Wait>,
        recorder: Arc<Recorder>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Signer>) {
        let (announcements, announced) = mpsc::unbounded_channel();
        let in_use = RolesInUse::following(&RolesInUse::default(), roles, hub_in_use, &recorder);
        let nothing_to_ask = !in_use.needs_hub();
        let store = Self {
            in_use: Arc::new(ArcSwap::from_pointee(in_use)),
            changing: Mutex::new(()),
            changed: Notify::new(),
            hub: Slot::new(),
            sessions,
            clock,
            wait,
            recorder,
            identity: ArcSwapOption::empty(),
            configured_hub_role: OnceLock::new(),
            announcements,
            all_asked: watch::Sender::new(nothing_to_ask),
        };
        (Arc::new(store), announced)
    }

    /// Names the agent's own role (`hub.role_arn`), so that chaining is known before STS says so. Only the
    /// first call counts.
    pub fn set_hub_role(&self, role: &RoleArn) {
        self.configured_hub_role.get_or_init(|| role.clone());
    }

    /// The session of a signer now: `None` for an anonymous one. Never another identity's, never after its
    /// end, and never a wait.
    ///
    /// # Errors
    /// The reason of outcome `unsent` when there is no session.
    pub fn session(&self, signer: &Signer) -> Result<Option<Session>, NoSession> {
        self.handle(signer).session()
    }

    /// The place of a signer, for reading it again and again.
    #[must_use]
    pub fn handle(&self, signer: &Signer) -> SignerHandle {
        match signer {
            Signer::Anonymous => SignerHandle::anonymous(),
            Signer::Hub => SignerHandle::of(&self.hub, &self.clock),
            Signer::Role(session) => match self.in_use.load().role(session) {
                Some(role) => SignerHandle::of(&role.slot, &self.clock),
                None => SignerHandle::later(session, &self.in_use, &self.clock),
            },
        }
    }

    /// Takes on another set of roles, after a reload or a change of members. New ones are asked for soon, spread and
    /// at most ten at once. Those that are no longer in use are forgotten: their session is let go and zeroed, its
    /// series disappear, and what STS is just being asked for them is dropped unseen. Those that send the same to STS
    /// as before keep session, handle and refresh, under the spokes given now.
    ///
    /// Every signer that becomes known is announced on the channel that `new` gave; a role that was forgotten and
    /// comes back is another one and announced again. The recorder must know the spokes already, or what is known of a
    /// session shows for a new spoke only from the next refresh on.
    pub fn reconcile(&self, roles: &[RoleInUse], hub_in_use: bool) {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let following = RolesInUse::following(&self.in_use.load(), roles, hub_in_use, &self.recorder);
        self.in_use.store(Arc::new(following));
        self.changed.notify_one();
        // What was waited for may be among what went.
        self.look_whether_all_are_asked();
    }

    /// True when the signer was announced: it has a session, or was refused one at least once. The anonymous one is
    /// always known. Set before the announcement is sent: whoever listens first and looks here then misses none.
    #[must_use]
    pub fn is_known(&self, signer: &Signer) -> bool {
        match signer {
            Signer::Anonymous => true,
            Signer::Hub => self.hub.is_announced(),
            Signer::Role(session) => {
                self.in_use.load().role(session).is_some_and(|role| role.slot.is_announced())
            }
        }
    }

    /// Becomes true when every signer was asked for once, whatever came of it, and stays so: roles that come later
    /// are waited for by their own targets only.
    #[must_use]
    pub fn all_asked(&self) -> watch::Receiver<bool> {
        self.all_asked.subscribe()
    }

    /// The hub's account, as soon as it is known.
    #[must_use]
    pub fn hub_account(&self) -> Option<AccountId> {
        let said = self.identity.load().as_ref().and_then(|identity| identity.account.parse().ok());
        said.or_else(|| self.configured_hub_role.get().map(|role| role.account().clone()))
    }

    /// Who STS says the agent is, as soon as it was asked.
    #[must_use]
    pub fn hub_identity(&self) -> Option<Arc<CallerIdentity>> {
        self.identity.load_full()
    }

    pub(super) fn configured_hub_role(&self) -> Option<&RoleArn> {
        self.configured_hub_role.get()
    }

    /// True when the hub's credentials are a role's session.
    pub(super) fn is_chained(&self) -> bool {
        self.configured_hub_role.get().is_some()
            || self.identity.load().as_ref().is_some_and(|identity| identity.is_role_session())
    }

    /// The roles in use now.
    pub(super) fn in_use(&self) -> Arc<RolesInUse> {
        self.in_use.load_full()
    }

    /// Tells the waiting targets of a role that they may begin; only the first call for a role does.
    pub(super) fn announce_role(&self, role: &Role) {
        self.announce(&role.slot, || Signer::Role(Arc::clone(&role.session)));
    }

    /// The same for those that sign as the hub.
    pub(super) fn announce_hub(&self) {
        if self.in_use.load().hub {
            self.announce(&self.hub, || Signer::Hub);
        }
    }

    fn announce(&self, slot: &Slot, signer: impl FnOnce() -> Signer) {
        if slot.announce_once() {
            // Nobody listens any more while the agent drains.
            drop(self.announcements.send(signer()));
            self.look_whether_all_are_asked();
        }
    }

    fn look_whether_all_are_asked(&self) {
        let in_use = self.in_use.load();
        if !*self.all_asked.borrow()
            && in_use.all().all(|role| role.slot.is_announced())
            && (!in_use.hub || self.hub.is_announced())
        {
            self.all_asked.send_replace(true);
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("roles", &self.in_use.load().count()).finish_non_exhaustive()
    }
}
