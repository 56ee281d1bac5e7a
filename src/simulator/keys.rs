//! The access keys that exist: the hub's own and the sessions STS gave out.

use super::deterministic::Sequence;
use super::policy::{CallerSession, Policy};
use super::signature::Key;
use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

/// The most sessions that are kept; the oldest go first.
const LIMIT: usize = 20_000;

/// One access key and whom it stands for.
#[derive(Clone)]
pub(crate) struct Issued {
    /// The secret access key.
    pub(crate) secret: String,
    /// The session token, for temporary keys.
    pub(crate) token: Option<String>,
    /// When it ends, as its holder was told.
    pub(crate) expires_at: Option<SystemTime>,
    /// When it ends without the holder being told.
    pub(crate) revoked_at: Option<SystemTime>,
    /// The caller it makes.
    pub(crate) caller: CallerSession,
    /// The session policy it was narrowed by.
    pub(crate) session_policy: Option<Policy>,
    /// The account and name of the role whose policies apply.
    pub(crate) role: (String, String),
}

impl Issued {
    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|end| now >= end) || self.revoked_at.is_some_and(|end| now >= end)
    }

    /// True for the session of a role, from which assuming another is chaining.
    pub(crate) fn is_role_session(&self) -> bool {
        self.caller.session_arn.contains(":assumed-role/")
    }

    pub(crate) fn key(&self, now: SystemTime) -> Key<'_> {
        Key { secret: &self.secret, token: self.token.as_deref(), expired: self.is_expired(now) }
    }
}

/// All keys, bounded.
#[derive(Default)]
pub(crate) struct Keys {
    issued: BTreeMap<String, Issued>,
    order: VecDeque<String>,
}

impl Keys {
    /// Adds a key under a new id and gives the id.
    pub(crate) fn add(&mut self, sequence: &mut Sequence, issued: Issued) -> String {
        let id = sequence.access_key_id();
        self.insert(id.clone(), issued);
        id
    }

    /// Adds a key under a given id, which never leaves by age when it is a long-lived one.
    pub(crate) fn insert(&mut self, id: String, issued: Issued) {
        if issued.expires_at.is_some() {
            self.order.push_back(id.clone());
        }
        self.issued.insert(id, issued);
        while self.order.len() > LIMIT {
            if let Some(oldest) = self.order.pop_front() {
                self.issued.remove(&oldest);
            }
        }
    }

    /// Every secret key and token, the oldest sessions excepted once there are too many.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.issued
            .values()
            .flat_map(|issued| [Some(issued.secret.as_str()), issued.token.as_deref()])
            .flatten()
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Issued> {
        self.issued.get(id)
    }
}
