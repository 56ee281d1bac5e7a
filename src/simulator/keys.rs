//! The access keys that exist: the hub's own and the sessions STS gave out.

use super::deterministic::Sequence;
use super::policy::{CallerSession, Policy};
use super::signature::Key;
use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

/// The most sessions that are kept. Of too many the role that has the most gives its oldest: STS forgets none, and callers
/// whose answers are spoilt leave a great many behind, which must not push out the hub's own.
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
    /// The sessions of each role, the oldest first.
    sessions: BTreeMap<(String, String), VecDeque<String>>,
    count: usize,
}

impl Keys {
    /// Adds a session under a new id and gives the id.
    pub(crate) fn add(&mut self, sequence: &mut Sequence, issued: Issued) -> String {
        let id = sequence.access_key_id();
        if self.count >= LIMIT {
            let oldest = self.sessions.values_mut().max_by_key(|of_role| of_role.len());
            if let Some(oldest) = oldest.and_then(VecDeque::pop_front) {
                self.issued.remove(&oldest);
                self.count -= 1;
            }
        }
        self.sessions.entry(issued.role.clone()).or_default().push_back(id.clone());
        self.count += 1;
        self.issued.insert(id.clone(), issued);
        id
    }

    /// Adds a long-lived key under a given id, which never leaves.
    pub(crate) fn insert(&mut self, id: String, issued: Issued) {
        self.issued.insert(id, issued);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_sessions_are_asked_for_the_newest_of_each_role_stays() {
        let session = |role: &str| Issued {
            secret: String::new(),
            token: None,
            expires_at: None,
            revoked_at: None,
            caller: CallerSession {
                account: "111122223333".parse().unwrap(),
                role_arn: String::new(),
                session_arn: String::new(),
                organization: None,
                tags: BTreeMap::new(),
            },
            session_policy: None,
            role: ("111122223333".into(), role.into()),
        };
        let (mut keys, mut sequence) = (Keys::default(), Sequence::default());
        let hub = keys.add(&mut sequence, session("hub"));
        let mut last = ["a", "b"].map(|role| keys.add(&mut sequence, session(role)));
        let first = last.clone();
        for _ in 0..LIMIT {
            last = ["a", "b"].map(|role| keys.add(&mut sequence, session(role)));
        }
        assert!([&hub, &last[0], &last[1]].iter().all(|id| keys.find(id).is_some()));
        assert!(first.iter().all(|id| keys.find(id).is_none()));
        assert_eq!((keys.issued.len(), keys.count), (LIMIT, LIMIT));
    }
}
