//! Logging in: which password was right a moment ago, and how often a new one may be tried.
//!
//! bcrypt is slow by design, and the probes must not become late by it. So a comparison runs on a thread for blocking
//! work, one at a time; what was found out is remembered under a keyed hash (an authenticated scrape costs bcrypt
//! once, not every 15 s); and what is not remembered is rationed: by address, so that one guesser does not
//! keep others from logging in, and in all, so that guessing takes a tenth of one core at most. A right password costs
//! nothing of that ration.

use super::Rules;
use super::users::Users;
use crate::domain::secret::Secret;
use crate::web::bucket::Bucket;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Results that are remembered, of each kind.
pub(super) const REMEMBERED: usize = 64;
/// Wrong passwords from one address in a row.
const GUESSES_PER_PEER: u32 = 5;
/// How long one of them is held against it.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10);
/// Wrong passwords in a row, from all addresses together.
const GUESSES: u32 = 20;
/// How much of one core guessing may take in the long run.
const SHARE: f64 = 0.1;
/// Addresses that are held apart.
pub(super) const PEERS: usize = 256;
/// How long a login waits for those before it.
const WAIT: Duration = Duration::from_secs(10);

/// What came of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    /// The password is the user's.
    Passed,
    /// It is not, or there is no such user.
    Refused,
    /// Not looked at: too many were wrong before.
    TooMany,
}

type Fingerprint = [u8; 32];

/// Remembers and rations.
pub(super) struct Logins {
    key: Secret32,
    right: Mutex<Remembered>,
    wrong: Mutex<Remembered>,
    one: Arc<Semaphore>,
    of_all: Bucket,
    by_peer: Mutex<HashMap<IpAddr, Arc<Bucket>>>,
}

/// A key that lives as long as the process, zeroed with it.
struct Secret32(zeroize::Zeroizing<[u8; 32]>);

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").finish_non_exhaustive()
    }
}

impl Logins {
    /// Nothing remembered yet; the key is random.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub(super) fn new() -> Result<Self, String> {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        rustls::crypto::ring::default_provider()
            .secure_random
            .fill(key.as_mut())
            .map_err(|_| "this machine gives no random numbers".to_owned())?;
        Ok(Self {
            key: Secret32(key),
            right: Mutex::default(),
            wrong: Mutex::default(),
            one: Arc::new(Semaphore::new(1)),
            of_all: Bucket::new(GUESSES),
            by_peer: Mutex::default(),
        })
    }

    /// Looks a password up, or compares it.
    pub(super) async fn login(
        &self,
        rules: &Arc<Rules>,
        user: String,
        password: Secret,
        peer: IpAddr,
        now: SystemTime,
    ) -> Login {
        let fingerprint = self.fingerprint(&rules.users, &user, &password);
        if let Some(known) = self.remembered(&fingerprint) {
            return known;
        }
        let Ok(Ok(permit)) = timeout(WAIT, Arc::clone(&self.one).acquire_owned()).await else {
            return Login::TooMany;
        };
        // Somebody may have tried the same meanwhile: two scrapers start together.
        if let Some(known) = self.remembered(&fingerprint) {
            return known;
        }
        let of_peer = self.bucket(peer);
        if !of_peer.take(now, FORGIVEN_AFTER) {
            return Login::TooMany;
        }
        if !self.of_all.take(now, pause(rules.users.cost())) {
            of_peer.give_back();
            return Login::TooMany;
        }
        let with = Arc::clone(rules);
        let compared = tokio::task::spawn_blocking(move || {
            // The permit goes along: a peer that hangs up does not stop the comparison.
            let _one = permit;
            let (hash, known) = with.users.hash_of(&user);
            hash.is_of(password.expose()) && known
        });
        let passed = compared.await.unwrap_or(false);
        let list = if passed { &self.right } else { &self.wrong };
        list.lock().unwrap_or_else(PoisonError::into_inner).add(fingerprint);
        if passed {
            of_peer.give_back();
            self.of_all.give_back();
            return Login::Passed;
        }
        // Not the name: people type passwords into the wrong field.
        tracing::warn!(%peer, "a login to the web server was refused");
        Login::Refused
    }

    /// How many right and wrong logins are remembered, and how many addresses held apart.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize, usize) {
        let of = |list: &Mutex<Remembered>| list.lock().unwrap().last_asked.len();
        (of(&self.right), of(&self.wrong), self.by_peer.lock().unwrap().len())
    }

    fn remembered(&self, fingerprint: &Fingerprint) -> Option<Login> {
        let holds =
            |list: &Mutex<Remembered>| list.lock().unwrap_or_else(PoisonError::into_inner).holds(fingerprint);
        if holds(&self.right) {
            return Some(Login::Passed);
        }
        holds(&self.wrong).then_some(Login::Refused)
    }

    /// One number for all that decides: with another hash in the file it is another one.
    fn fingerprint(&self, users: &Users, user: &str, password: &Secret) -> Fingerprint {
        let (hash, known) = users.hash_of(user);
        // HMAC takes keys of any length, so this does not fail; if it did, the password would be compared each time.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.0.as_ref()) else { return [0; 32] };
        mac.update(&[u8::from(known)]);
        for part in [user, hash.text(), password.expose()] {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    fn bucket(&self, peer: IpAddr) -> Arc<Bucket> {
        let peer = neighbourhood(peer);
        let mut peers = self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = peers.get(&peer) {
            return Arc::clone(bucket);
        }
        if peers.len() >= PEERS {
            let oldest = peers.iter().min_by_key(|(_, bucket)| bucket.last_asked()).map(|(peer, _)| *peer);
            if let Some(oldest) = oldest {
                peers.remove(&oldest);
            }
        }
        Arc::clone(peers.entry(peer).or_insert_with(|| Arc::new(Bucket::new(GUESSES_PER_PEER))))
    }
}

/// How long after a comparison of this cost the next one may follow. With a cost of 10 one takes some 70 ms.
fn pause(cost: u32) -> Duration {
    let seconds = 0.07 * 2_f64.powi(i32::try_from(cost).unwrap_or(31) - 10) / SHARE;
    Duration::from_secs_f64(seconds)
}

/// Whoever has one IPv6 address has all of its /64.
fn neighbourhood(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

/// A few fingerprints; the one that was not asked for the longest gives way.
#[derive(Default)]
struct Remembered {
    asked: u64,
    last_asked: HashMap<Fingerprint, u64>,
}

impl Remembered {
    fn holds(&mut self, fingerprint: &Fingerprint) -> bool {
        self.asked += 1;
        let asked = self.asked;
        self.last_asked.get_mut(fingerprint).map(|last| *last = asked).is_some()
    }

    fn add(&mut self, fingerprint: Fingerprint) {
        self.asked += 1;
        if self.last_asked.len() >= REMEMBERED
            && let Some(oldest) = self.last_asked.iter().min_by_key(|(_, asked)| **asked).map(|(f, _)| *f)
        {
            self.last_asked.remove(&oldest);
        }
        self.last_asked.insert(fingerprint, self.asked);
    }
}
