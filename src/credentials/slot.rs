//! The place of one identity: its session, or the reason why there is none, and how attempts read it.
//!
//! Reading is a snapshot: no lock, no wait, no call. A slot belongs to one identity for its whole life, so nobody can
//! be handed another's credentials; a role that goes out of use and comes back gets a new slot.

use super::lifecycle::Window;
use super::members::RolesInUse;
use crate::domain::credentials::{RoleSession, SessionCredentials};
use crate::domain::moment::Moment;
use crate::domain::outcome::Reason;
use crate::explain::AssumeRoleRefusal;
use crate::seams::Clock;
use arc_swap::ArcSwap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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

/// The place of one identity.
pub(super) struct Slot {
    published: ArcSwap<Published>,
    announced: AtomicBool,
}

struct Published {
    session: Option<(Session, Window)>,
    absent: NoSession,
}

/// Versions are drawn from one counter, so that they differ between slots as well.
static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);

impl Slot {
    pub(super) fn new() -> Arc<Self> {
        let published = Published { session: None, absent: never_asked() };
        Arc::new(Self { published: ArcSwap::from_pointee(published), announced: AtomicBool::new(false) })
    }

    /// Publishes a new session. `when_over` is the reason to give if it ends before the next one is there.
    pub(super) fn renew(&self, credentials: SessionCredentials, window: Window, when_over: Reason) {
        let version = NEXT_VERSION.fetch_add(1, Ordering::Relaxed);
        let session = Session { credentials: Arc::new(credentials), version };
        let absent = NoSession { reason: when_over, message: None, refusal: None };
        self.published.store(Arc::new(Published { session: Some((session, window)), absent }));
    }

    /// Keeps the session there is, and reckons its end anew by both clocks of now.
    pub(super) fn reckon_anew(&self, clock: &dyn Clock) {
        let published = self.published.load();
        let session = published.session.clone();
        let session =
            session.map(|(session, window)| (session, window.reckoned_anew(clock.now(), clock.wall())));
        self.published.store(Arc::new(Published { session, absent: published.absent.clone() }));
    }

    /// Keeps the session there is, and says why there is none once it has ended.
    pub(super) fn explain(&self, absent: NoSession) {
        let session = self.published.load().session.clone();
        self.published.store(Arc::new(Published { session, absent }));
    }

    /// Lets go of the session, which is zeroed when the last attempt that signs with it has done so, and begins
    /// anew: nobody has been told of it.
    pub(super) fn forget(&self) {
        self.published.store(Arc::new(Published { session: None, absent: never_asked() }));
        self.announced.store(false, Ordering::Release);
    }

    /// The published credentials, whether or not they still may sign.
    pub(super) fn credentials(&self) -> Option<Arc<SessionCredentials>> {
        self.published.load().session.as_ref().map(|(session, _)| Arc::clone(&session.credentials))
    }

    /// Until when the session there is may sign, by the monotonic clock.
    pub(super) fn usable_until(&self, clock: &dyn Clock) -> Option<Moment> {
        let published = self.published.load();
        let (_, window) = published.session.as_ref()?;
        let (now, wall) = (clock.now(), clock.wall());
        window.is_open(now, wall).then(|| window.until(now, wall))
    }

    /// True from the first call of `announce_once` on.
    pub(super) fn is_announced(&self) -> bool {
        self.announced.load(Ordering::Acquire)
    }

    /// True for the first call.
    pub(super) fn announce_once(&self) -> bool {
        !self.announced.swap(true, Ordering::AcqRel)
    }

    fn read(&self, clock: &dyn Clock) -> Result<Session, NoSession> {
        let published = self.published.load();
        match &published.session {
            Some((session, window)) if window.is_open(clock.now(), clock.wall()) => Ok(session.clone()),
            _ => Err(published.absent.clone()),
        }
    }
}

fn never_asked() -> NoSession {
    NoSession { reason: Reason::CredentialsExpired, message: None, refusal: None }
}

/// A signer's place in the store, looked up once. One of a role that went out of use stays without a session, also
/// if that role comes back: whoever uses it then asks for another handle.
#[derive(Clone)]
pub struct SignerHandle(Place);

#[derive(Clone)]
enum Place {
    Anonymous,
    Slot(Arc<Slot>, Arc<dyn Clock>),
    /// A role that was not in use when the handle was asked for: looked up each time, so that targets may be
    /// prepared before their roles are taken on.
    Later(Arc<RoleSession>, Arc<ArcSwap<RolesInUse>>, Arc<dyn Clock>),
}

impl SignerHandle {
    pub(super) const fn anonymous() -> Self {
        Self(Place::Anonymous)
    }

    pub(super) fn of(slot: &Arc<Slot>, clock: &Arc<dyn Clock>) -> Self {
        Self(Place::Slot(Arc::clone(slot), Arc::clone(clock)))
    }

    pub(super) fn later(
        session: &Arc<RoleSession>,
        in_use: &Arc<ArcSwap<RolesInUse>>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        Self(Place::Later(Arc::clone(session), Arc::clone(in_use), Arc::clone(clock)))
    }

    /// As `Store::session`.
    ///
    /// # Errors
    /// As `Store::session`.
    pub fn session(&self) -> Result<Option<Session>, NoSession> {
        match &self.0 {
            Place::Anonymous => Ok(None),
            Place::Slot(slot, clock) => slot.read(&**clock).map(Some),
            Place::Later(session, in_use, clock) => match in_use.load().role(session) {
                Some(role) => role.slot.read(&**clock).map(Some),
                None => Err(NoSession {
                    reason: Reason::AssumeRoleFailed,
                    message: Some("this role is not among those that the agent keeps sessions of".into()),
                    refusal: None,
                }),
            },
        }
    }
}

impl fmt::Debug for SignerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignerHandle").finish_non_exhaustive()
    }
}
