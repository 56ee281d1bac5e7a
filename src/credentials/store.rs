//! What attempts read: the session of a signer, or the reason why there is none.
//!
//! Reading is a snapshot: no lock, no wait, no call. `refresher` writes; it alone decides what a slot holds.
//! A slot belongs to one identity for its whole life, so nobody can be handed another's credentials.

use super::lifecycle::Window;
use crate::domain::account::AccountId;
use crate::domain::arn::RoleArn;
use crate::domain::credentials::{CallerIdentity, RoleInUse, RoleSession, SessionCredentials};
use crate::domain::identity::Signer;
use crate::domain::outcome::Reason;
use crate::explain::AssumeRoleRefusal;
use crate::recording::Recorder;
use crate::seams::{Clock, Sessions, Wait};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, watch};

/// Credentials that may sign now.
#[derive(Debug, Clone)]
pub struct Session {
    /// The credentials.
    pub credentials: Arc<SessionCredentials>,
    /// Another number for each renewal, in the whole process: a signature made under one version must not be
    /// reused under another.
    pub version: u64,
}

/// Why a signer cannot sign now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSession {
    /// The reason, one of outcome `unsent`.
    pub reason: Reason,
    /// What STS said, at most 300 characters, scrubbed.
    pub message: Option<String>,
    /// What STS meant by that, where it was asked or could not be.
    pub refusal: Option<AssumeRoleRefusal>,
}

/// The sessions of all roles, and the hub's own credentials.
pub struct Store {
    pub(super) roles: Vec<RoleSlot>,
    by_session: HashMap<Arc<RoleSession>, Arc<Slot>>,
    pub(super) hub: Arc<Slot>,
    pub(super) hub_in_use: bool,
    pub(super) sessions: Arc<dyn Sessions>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) wait: Arc<dyn Wait>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) identity: ArcSwapOption<CallerIdentity>,
    configured_hub_role: OnceLock<RoleArn>,
    announcements: mpsc::UnboundedSender<Signer>,
    all_asked: watch::Sender<bool>,
}

/// A role and where its session is published.
pub(super) struct RoleSlot {
    pub(super) role: RoleInUse,
    pub(super) slot: Arc<Slot>,
}

/// The place of one identity.
pub(super) struct Slot {
    published: ArcSwap<Published>,
    announced: AtomicBool,
}

struct Published {
    session: Option<(Session, Window)>,
    absent: NoSession,
}

/// Versions are drawn from one counter, so that they differ between stores as well (after a reload).
static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);

impl Slot {
    fn new() -> Arc<Self> {
        let absent = NoSession { reason: Reason::CredentialsExpired, message: None, refusal: None };
        let published = ArcSwap::from_pointee(Published { session: None, absent });
        Arc::new(Self { published, announced: AtomicBool::new(false) })
    }

    /// Publishes a new session. `when_over` is the reason to give if it ends before the next one is there.
    pub(super) fn renew(&self, credentials: SessionCredentials, window: Window, when_over: Reason) {
        let version = NEXT_VERSION.fetch_add(1, Ordering::Relaxed);
        let session = Session { credentials: Arc::new(credentials), version };
        let absent = NoSession { reason: when_over, message: None, refusal: None };
        self.published.store(Arc::new(Published { session: Some((session, window)), absent }));
    }

    /// Keeps the session there is, and says why there is none once it has ended.
    pub(super) fn explain(&self, absent: NoSession) {
        let session = self.published.load().session.clone();
        self.published.store(Arc::new(Published { session, absent }));
    }

    /// The published credentials, whether or not they still may sign.
    pub(super) fn credentials(&self) -> Option<Arc<SessionCredentials>> {
        self.published.load().session.as_ref().map(|(session, _)| Arc::clone(&session.credentials))
    }

    fn read(&self, clock: &dyn Clock) -> Result<Session, NoSession> {
        let published = self.published.load();
        match &published.session {
            Some((session, window)) if window.is_open(clock.now(), clock.wall()) => Ok(session.clone()),
            _ => Err(published.absent.clone()),
        }
    }
}

/// A signer's place in the store, looked up once.
#[derive(Clone)]
pub struct SignerHandle(Place);

#[derive(Clone)]
enum Place {
    Anonymous,
    Slot(Arc<Slot>, Arc<dyn Clock>),
    Unknown,
}

impl SignerHandle {
    /// As `Store::session`.
    ///
    /// # Errors
    /// As `Store::session`.
    pub fn session(&self) -> Result<Option<Session>, NoSession> {
        match &self.0 {
            Place::Anonymous => Ok(None),
            Place::Slot(slot, clock) => slot.read(&**clock).map(Some),
            Place::Unknown => Err(NoSession {
                reason: Reason::AssumeRoleFailed,
                message: Some("this role is not among those that the agent keeps sessions of".into()),
                refusal: None,
            }),
        }
    }
}

impl fmt::Debug for SignerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerHandle").finish_non_exhaustive()
    }
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
        let mut by_session = HashMap::new();
        let mut slots = Vec::new();
        for role in roles {
            // Two entries that send the same to STS are one session, whatever the plan made of them.
            by_session.entry(Arc::clone(&role.session)).or_insert_with(|| {
                let slot = Slot::new();
                slots.push(RoleSlot { role: role.clone(), slot: Arc::clone(&slot) });
                slot
            });
        }
        let nothing_to_ask = slots.is_empty() && !hub_in_use;
        let store = Self {
            roles: slots,
            by_session,
            hub: Slot::new(),
            hub_in_use,
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
        let slot = match signer {
            Signer::Anonymous => return SignerHandle(Place::Anonymous),
            Signer::Hub => Some(&self.hub),
            Signer::Role(session) => self.by_session.get(session),
        };
        SignerHandle(
            slot.map_or(Place::Unknown, |slot| Place::Slot(Arc::clone(slot), Arc::clone(&self.clock))),
        )
    }

    /// Takes on another set of roles, after a reload or a change of members. New ones are asked for soon, spread and
    /// at most ten at once; those that are no longer in use are forgotten with their session; those that send the same
    /// to STS as before keep session, handle and refresh, under the spokes given now. Every signer that becomes known
    /// is announced on the channel that `new` gave; a role that was forgotten and comes back is announced again.
    pub fn reconcile(&self, roles: &[RoleInUse], hub_in_use: bool) {
        // The body follows; until then the roles of the start stay.
        tracing::debug!(roles = roles.len(), hub_in_use, "another set of roles");
    }

    /// True when the signer was announced: it has a session, or was refused one at least once. The anonymous one is
    /// always known. Set before the announcement is sent, so whoever looks here after beginning to listen misses none.
    #[must_use]
    pub fn is_known(&self, signer: &Signer) -> bool {
        let slot = match signer {
            Signer::Anonymous => return true,
            Signer::Hub => Some(&self.hub),
            Signer::Role(session) => self.by_session.get(session),
        };
        slot.is_some_and(|slot| slot.announced.load(Ordering::Acquire))
    }

    /// Becomes true when every signer was asked for once, whatever came of it.
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

    /// Tells the waiting targets of a role that they may begin; only the first call for a role does.
    pub(super) fn announce_role(&self, role: &RoleSlot) {
        self.announce(&role.slot, || Signer::Role(Arc::clone(&role.role.session)));
    }

    /// The same for those that sign as the hub.
    pub(super) fn announce_hub(&self) {
        if self.hub_in_use {
            self.announce(&self.hub, || Signer::Hub);
        }
    }

    fn announce(&self, slot: &Slot, signer: impl FnOnce() -> Signer) {
        if slot.announced.swap(true, Ordering::AcqRel) {
            return;
        }
        // Nobody listens any more while the agent drains.
        drop(self.announcements.send(signer()));
        let asked = |slot: &Slot| slot.announced.load(Ordering::Acquire);
        if self.roles.iter().all(|role| asked(&role.slot)) && (!self.hub_in_use || asked(&self.hub)) {
            self.all_asked.send_replace(true);
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("roles", &self.roles.len()).finish_non_exhaustive()
    }
}
