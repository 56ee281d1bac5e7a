//! Which roles are in use: a set that is exchanged as a whole, and what is recorded of each of its roles.
//!
//! `store` makes a new set with each reload, `refresher` follows it. Both write to the recorder, so what is written for
//! a role stands under that role's lock: once a role is forgotten, an answer that was on its way shows nowhere.

use super::slot::Slot;
use crate::domain::credentials::{RoleInUse, RoleSession};
use crate::domain::name::Name;
use crate::recording::{AssumeRoleResult, CredentialsState, Recorder, Refusal};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// The roles whose sessions are kept, by what is sent to STS.
#[derive(Default)]
pub(super) struct RolesInUse {
    roles: HashMap<Arc<RoleSession>, Arc<Role>>,
    /// Some probe signs as the hub.
    pub(super) hub: bool,
}

/// A role in use, for as long as it is without a break.
pub(super) struct Role {
    /// Another number for each role that begins to be used, so that one which comes back is told from its
    /// predecessor.
    pub(super) number: u64,
    pub(super) session: Arc<RoleSession>,
    pub(super) slot: Arc<Slot>,
    /// `None` once it is forgotten.
    standing: Mutex<Option<Standing>>,
}

/// What people are shown of a role's session.
pub(super) struct Standing {
    role: RoleInUse,
    state: CredentialsState,
    last: Option<AssumeRoleResult>,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl RolesInUse {
    /// The set for these roles. Those of `before` that send the same to STS go on; the others are forgotten.
    pub(super) fn following(before: &Self, roles: &[RoleInUse], hub: bool, recorder: &Recorder) -> Self {
        // Two entries that send the same to STS are one session, whatever the plan made of them.
        let mut wanted: HashMap<&Arc<RoleSession>, Vec<Name>> = HashMap::new();
        for role in roles {
            let spokes = wanted.entry(&role.session).or_default();
            spokes.extend(
                role.spokes.iter().filter(|name| !spokes.contains(name)).cloned().collect::<Vec<_>>(),
            );
        }
        // First what ends, then what begins: a spoke may have passed from one role to another.
        for (session, role) in &before.roles {
            match wanted.get(session) {
                Some(spokes) => role.leave_all_but(spokes, recorder),
                None => role.forget(recorder),
            }
        }
        let roles = wanted.into_iter().map(|(session, spokes)| {
            let role = match before.roles.get(session) {
                Some(kept) => {
                    kept.serve(spokes, recorder);
                    Arc::clone(kept)
                }
                None => Role::new(session, spokes),
            };
            (Arc::clone(session), role)
        });
        Self { roles: roles.collect(), hub }
    }

    pub(super) fn role(&self, session: &RoleSession) -> Option<&Arc<Role>> {
        self.roles.get(session)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.roles.values()
    }

    pub(super) fn count(&self) -> usize {
        self.roles.len()
    }

    /// True while anything is to be asked for.
    pub(super) fn needs_hub(&self) -> bool {
        self.hub || !self.roles.is_empty()
    }
}

impl Role {
    fn new(session: &Arc<RoleSession>, spokes: Vec<Name>) -> Arc<Self> {
        let role = RoleInUse { session: Arc::clone(session), spokes };
        let standing = Standing { role, state: CredentialsState::default(), last: None };
        Arc::new(Self {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            session: Arc::clone(session),
            slot: Slot::new(),
            standing: Mutex::new(Some(standing)),
        })
    }

    /// Does what is only to be done while the role is in use; nothing once it is forgotten.
    pub(super) fn while_in_use<T>(&self, act: impl FnOnce(&mut Standing) -> T) -> Option<T> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(act)
    }

    fn forget(&self, recorder: &Recorder) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = standing.take() {
            recorder.credentials_forgotten(&standing.role.spokes);
        }
        self.slot.forget();
    }

    /// Forgets the spokes that are not among these.
    fn leave_all_but(&self, spokes: &[Name], recorder: &Recorder) {
        self.while_in_use(|standing| {
            let left = standing.role.spokes.extract_if(.., |name| !spokes.contains(name)).collect::<Vec<_>>();
            recorder.credentials_forgotten(&left);
        });
    }

    /// Serves these spokes from now on; those that are new to it are shown what is known.
    fn serve(&self, spokes: Vec<Name>, recorder: &Recorder) {
        self.while_in_use(|standing| {
            let known = std::mem::replace(&mut standing.role.spokes, spokes);
            let new: Vec<_> =
                standing.role.spokes.iter().filter(|name| !known.contains(name)).cloned().collect();
            recorder.credentials_known(&new, &standing.state, standing.last);
        });
    }
}

impl Standing {
    pub(super) fn spokes(&self) -> &[Name] {
        &self.role.spokes
    }

    /// A call ended.
    pub(super) fn ended(&mut self, recorder: &Recorder, result: AssumeRoleResult, took: Duration) {
        self.last = Some(result);
        recorder.assume_role_ended(&self.role, result, took);
    }

    /// It brought a session.
    pub(super) fn renewed(&mut self, recorder: &Recorder, expires_at: Option<SystemTime>) {
        self.state = CredentialsState { renewed: true, expires_at, refusal: None };
        recorder.credentials_renewed(&self.role, expires_at);
    }

    /// It brought none.
    pub(super) fn refused(&mut self, recorder: &Recorder, refusal: Refusal) {
        recorder.credentials_refused(&self.role, &refusal);
        self.state.refusal = Some(refusal);
    }
}
