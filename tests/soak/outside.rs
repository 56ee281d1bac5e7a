//! The outside of the agent on this stage: clocks that step, and a look over every request and every call to STS.
//!
//! What must hold for each of them alone is checked here, as it happens: whose key signs, how many calls run at once.

use crate::setting::{HUB_ROLE, Kind, Subject, role_arn};
use futures_util::future::BoxFuture;
use spokeprobe::domain::credentials::{CallerIdentity, RoleSession, SessionCredentials};
use spokeprobe::domain::moment::Moment;
use spokeprobe::domain::request::{ConnectTarget, Exchange, OutgoingRequest, SendOptions};
use spokeprobe::seams::{
    Clock, FetchFailure, FetchRequest, FetchResponse, SessionFailure, Sessions, SystemClock, Transport,
};
use spokeprobe::simulator::InMemory;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// The time on this stage. The world has the true one; the agent's wall clock may be off.
pub(crate) struct Clocks {
    inner: SystemClock,
    suspended_ms: AtomicU64,
    agent_off_seconds: AtomicI64,
    most_off_seconds: AtomicU64,
}

impl Clocks {
    pub(crate) fn new(inner: SystemClock) -> Arc<Self> {
        Arc::new(Self {
            inner,
            suspended_ms: AtomicU64::new(0),
            agent_off_seconds: AtomicI64::new(0),
            most_off_seconds: AtomicU64::new(0),
        })
    }

    /// The machine was suspended: time has passed that the monotonic clock knows nothing of.
    pub(crate) fn suspend(&self, span: Duration) {
        self.suspended_ms.fetch_add(u64::try_from(span.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub(crate) fn set_agent_off(&self, seconds: i64) {
        self.agent_off_seconds.store(seconds, Ordering::Relaxed);
        self.most_off_seconds.fetch_max(seconds.unsigned_abs(), Ordering::Relaxed);
    }

    /// How far off the agent's clock ever was.
    pub(crate) fn off_at_most_seconds(&self) -> u64 {
        self.most_off_seconds.load(Ordering::Relaxed)
    }

    fn agent_wall(&self) -> SystemTime {
        let (wall, off) = (self.true_wall(), self.agent_off_seconds.load(Ordering::Relaxed));
        let span = Duration::from_secs(off.unsigned_abs());
        if off < 0 { wall - span } else { wall + span }
    }

    pub(crate) fn now(&self) -> Moment {
        self.inner.now()
    }

    pub(crate) fn true_wall(&self) -> SystemTime {
        self.inner.wall() + Duration::from_millis(self.suspended_ms.load(Ordering::Relaxed))
    }
}

/// The world's clock.
pub(crate) struct TrueClock(pub(crate) Arc<Clocks>);

/// The agent's clock.
pub(crate) struct AgentClock(pub(crate) Arc<Clocks>);

impl Clock for TrueClock {
    fn now(&self) -> Moment {
        self.0.now()
    }

    fn wall(&self) -> SystemTime {
        self.0.true_wall()
    }
}

impl Clock for AgentClock {
    fn now(&self) -> Moment {
        self.0.now()
    }

    fn wall(&self) -> SystemTime {
        self.0.agent_wall()
    }
}

/// Whose key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Hub,
    Spoke(usize),
}

/// The last keys of one owner, the newest last.
#[derive(Default)]
struct Held {
    keys: Vec<(String, Moment)>,
}

/// The calls for one session: a role, asked for so long.
#[derive(Default)]
struct Asked {
    asking: bool,
    until: Option<Moment>,
}

/// How often requests of one target went out, by who signed them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// By the target's own signer, or unsigned where it has none.
    pub(crate) own: u64,
    /// By another that a twin may have.
    pub(crate) twins: u64,
    /// By the role of another spoke, which only isolation may send.
    pub(crate) foreign: u64,
}

/// What was seen so far.
#[derive(Default)]
struct Seen {
    held: HashMap<Owner, Held>,
    owners: HashMap<String, Owner>,
    asked: HashMap<(usize, Duration), Asked>,
    calls_at_once: usize,
    most_calls_at_once: usize,
    calls: u64,
    sent: HashMap<String, Sent>,
    subjects: HashMap<String, Subject>,
    /// Targets that were removed, and when: what was on its way may still go out.
    gone: HashMap<String, (Subject, Moment)>,
    /// What must not be, in words.
    broken: Vec<String>,
    /// Secrets in use, for the scan of pages.
    secrets: HashMap<Owner, [String; 2]>,
}

/// The calls of STS for one role follow each other no faster: the shortest pause of the backoff is 0.8 s.
const SHORTEST_PAUSE: Duration = Duration::from_millis(790);
/// What the design allows at once.
const CALLS_AT_ONCE: usize = 10;
/// A session that was replaced may still be on its way.
const REPLACED_FOR: Duration = Duration::from_secs(2);
/// The hub's keys come into use once STS has said whose they are, or has not within this time.
const HUB_REPLACED_FOR: Duration = Duration::from_secs(35);
/// What was on its way when its target was removed goes out within its timeout.
const LATE_FOR: Duration = Duration::from_secs(60);
/// Problems kept.
const KEPT: usize = 20;

impl Seen {
    fn broke(&mut self, what: String) {
        if self.broken.len() < KEPT {
            self.broken.push(what);
        }
    }

    fn gave(&mut self, owner: Owner, credentials: &SessionCredentials, now: Moment) {
        let key = &credentials.access_key_id;
        let held = self.held.entry(owner).or_default();
        if held.keys.last().is_none_or(|(last, _)| last != key) {
            held.keys.push((key.clone(), now));
            if held.keys.len() > 3 {
                let (old, _) = held.keys.remove(0);
                self.owners.remove(&old);
            }
            self.owners.insert(key.clone(), owner);
        }
        let token = credentials.session_token.as_ref().map_or("", |token| token.expose());
        self.secrets.insert(owner, [credentials.secret_access_key.expose().to_owned(), token.to_owned()]);
    }

    fn went_out(&mut self, request: &OutgoingRequest, now: Moment, isolation: bool) {
        let text =
            |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let id = text("user-agent")
            .rsplit_once('(')
            .and_then(|(_, rest)| rest.strip_suffix(')'))
            .unwrap_or_default();
        let key =
            text("authorization").split_once("Credential=").and_then(|(_, rest)| rest.split('/').next());
        let late =
            || self.gone.get(id).filter(|(_, at)| now.since(*at) < LATE_FOR).map(|(subject, _)| subject);
        let Some(subject) = self.subjects.get(id).or_else(late) else {
            let what = format!("a request went out for `{id}`, which is no target");
            return self.broke(what);
        };
        let wanted = match subject.kind {
            Kind::Unsigned => None,
            Kind::Hub => Some(Owner::Hub),
            Kind::Plain | Kind::Zonal(_) | Kind::Other(_) => subject.role().map(Owner::Spoke),
        };
        let own_spoke = Owner::Spoke(subject.spoke);
        let owner = match key {
            None => None,
            Some(key) => {
                let Some(owner) = self.owners.get(key).copied() else {
                    let what =
                        format!("{id} was signed with a key that nobody was given, or one long replaced");
                    return self.broke(what);
                };
                let newest = self.held.get(&owner).map_or(&[][..], |held| &held.keys);
                let at = newest.iter().position(|(each, _)| each == key).unwrap_or_default();
                let within = if owner == Owner::Hub { HUB_REPLACED_FOR } else { REPLACED_FOR };
                if let Some((_, since)) = newest.get(at + 1).filter(|(_, at)| now.since(*at) > within) {
                    let (ago, since) = (now.since(*since), since.since_origin());
                    let held: Vec<Duration> = newest.iter().map(|(_, at)| at.since_origin()).collect();
                    self.broke(format!(
                        "{id} was signed with a session that was replaced {ago:?} ago, at {since:?}; all came at {held:?}"
                    ));
                }
                Some(owner)
            }
        };
        let sent = self.sent.entry(id.to_owned()).or_default();
        if owner == wanted {
            sent.own += 1;
        } else if owner.is_none() || owner == Some(Owner::Hub) || owner == Some(own_spoke) {
            sent.twins += 1;
        } else {
            sent.foreign += 1;
            if !isolation {
                self.broke(format!("{id} was signed by {owner:?}, and is for {wanted:?}"));
            }
        }
    }

    fn begins(&mut self, session: (usize, Duration), now: Moment) {
        self.calls += 1;
        self.calls_at_once += 1;
        self.most_calls_at_once = self.most_calls_at_once.max(self.calls_at_once);
        if self.calls_at_once > CALLS_AT_ONCE {
            self.broke(format!("{} calls to STS at once", self.calls_at_once));
        }
        let asked = self.asked.entry(session).or_default();
        let early = asked.until.is_some_and(|until| now.since(until) < SHORTEST_PAUSE);
        let twice = std::mem::replace(&mut asked.asking, true);
        if early || twice {
            self.broke(format!("the role of spoke {} is asked for again at once", session.0));
        }
    }

    fn ends(
        &mut self,
        session: (usize, Duration),
        given: Option<&SessionCredentials>,
        whole: bool,
        now: Moment,
    ) {
        self.calls_at_once -= 1;
        let asked = self.asked.entry(session).or_default();
        // A call that was dropped says nothing of the next one: its role may have come back.
        (asked.asking, asked.until) = (false, whole.then_some(now));
        if let Some(credentials) = given {
            self.gave(Owner::Spoke(session.0), credentials, now);
        }
    }
}

/// The simulated AWS with somebody at the door.
pub(crate) struct Watched {
    inner: Arc<InMemory>,
    clocks: Arc<Clocks>,
    isolation: bool,
    /// Takes the keys of spoke 1 for those of spoke 2: a lie that must be found out.
    swaps_keys: bool,
    seen: Mutex<Seen>,
}

impl Watched {
    pub(crate) fn new(
        inner: Arc<InMemory>,
        clocks: Arc<Clocks>,
        isolation: bool,
        swaps_keys: bool,
    ) -> Arc<Self> {
        Arc::new(Self { inner, clocks, isolation, swaps_keys, seen: Mutex::default() })
    }

    /// Who may send from now on. Of those that are `anew` what was sent before is forgotten.
    pub(crate) fn set_subjects(&self, subjects: &[Subject], anew: &[String]) {
        let mut seen = self.seen.lock().unwrap();
        let now = self.clocks.now();
        let known = std::mem::take(&mut seen.subjects);
        seen.subjects = subjects.iter().map(|subject| (subject.id.clone(), subject.clone())).collect();
        let gone = known.into_iter().filter(|(id, _)| !seen.subjects.contains_key(id)).collect::<Vec<_>>();
        seen.gone.retain(|_, (_, at)| now.since(*at) < LATE_FOR);
        seen.gone.extend(gone.into_iter().map(|(id, subject)| (id, (subject, now))));
        for id in anew {
            seen.sent.remove(id);
        }
    }

    /// What was broken since the last call.
    pub(crate) fn take_broken(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap().broken)
    }

    pub(crate) fn sent_of(&self, id: &str) -> Sent {
        self.seen.lock().unwrap().sent.get(id).copied().unwrap_or_default()
    }

    /// All calls of AssumeRole, and the most at once.
    pub(crate) fn calls(&self) -> (u64, usize) {
        let seen = self.seen.lock().unwrap();
        (seen.calls, seen.most_calls_at_once)
    }

    /// The secrets of the sessions in use.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.seen
            .lock()
            .unwrap()
            .secrets
            .values()
            .flatten()
            .filter(|secret| !secret.is_empty())
            .cloned()
            .collect()
    }
}

/// The spoke of a role, by the account in its ARN.
fn spoke_of(role: &RoleSession) -> usize {
    let spoke: usize = role.role_arn.account().as_str()[1..].parse().unwrap();
    assert_eq!(role.role_arn.to_string(), role_arn(spoke));
    spoke
}

impl Sessions for Watched {
    fn hub_credentials(&self) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(async move {
            let given = self.inner.hub_credentials().await;
            if let Ok(credentials) = &given {
                self.seen.lock().unwrap().gave(Owner::Hub, credentials, self.clocks.now());
            }
            given
        })
    }

    fn caller_identity(
        &self,
        credentials: SessionCredentials,
    ) -> BoxFuture<'_, Result<CallerIdentity, SessionFailure>> {
        Box::pin(async move {
            let who = self.inner.caller_identity(credentials).await;
            let role = HUB_ROLE.rsplit('/').next().unwrap();
            assert!(who.as_ref().is_err() || who.as_ref().is_ok_and(|who| who.arn.contains(role)));
            who
        })
    }

    fn assume_role(
        &self,
        role: Arc<RoleSession>,
        duration: Duration,
    ) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(async move {
            let spoke = spoke_of(&role);
            let session = (if self.swaps_keys && spoke == 1 { 2 } else { spoke }, role.duration);
            self.seen.lock().unwrap().begins(session, self.clocks.now());
            // A call may be dropped: when it takes too long, when its role goes, or when the agent ends.
            let mut call = Call { watched: self, session, ended: false };
            let result = self.inner.assume_role(role, duration).await;
            call.ended = true;
            // One that has ended by the agent's own clock is of no use to it, and never signs.
            let wall = self.clocks.agent_wall();
            let usable = result.as_ref().ok().filter(|given| given.expires_at.is_none_or(|end| end > wall));
            self.seen.lock().unwrap().ends(session, usable, true, self.clocks.now());
            result
        })
    }
}

struct Call<'a> {
    watched: &'a Watched,
    session: (usize, Duration),
    ended: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.watched.seen.lock().unwrap().ends(self.session, None, false, self.watched.clocks.now());
        }
    }
}

impl Transport for Watched {
    fn send(
        &self,
        request: OutgoingRequest,
        to: Arc<ConnectTarget>,
        options: SendOptions,
    ) -> BoxFuture<'_, Exchange> {
        self.seen.lock().unwrap().went_out(&request, self.clocks.now(), self.isolation);
        self.inner.send(request, to, options)
    }

    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        self.inner.fetch(request)
    }
}
