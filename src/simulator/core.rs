//! The simulated hub: one request and one moment in, one reply out.
//!
//! No socket, no clock, no randomness: time is an argument and ids come from a counter, so the same
//! requests at the same moments give the same bytes, over sockets and in memory.

use super::counts::{Counters, Counts, Totals};
use super::credentials_endpoint;
use super::deterministic::Sequence;
use super::gateway::{self, Visit};
use super::keys::{Issued, Keys};
use super::policy::CallerSession;
use super::reply::Reply;
use super::state::{CertificateLife, Connection, Door, State};
use super::sts;
use super::throttle::Buckets;
use super::times::{http_date, offset};
use super::wire::RawRequest;
use super::world::{Progress, World, account_id};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// The whole simulated AWS.
pub struct Hub {
    state: Mutex<State>,
    credentials_token: String,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub whose timeline begins at `started`, the wall time that later requests are measured against.
    #[must_use]
    pub fn new(world: World, started: SystemTime) -> Self {
        let progress = Progress::from(started, &world);
        let mut sequence = Sequence::default();
        let credentials_token = sequence.secret_access_key();
        let mut keys = Keys::default();
        if let (Some(user), Some(account)) = (&world.hub.static_keys, account_id(&world.hub.account)) {
            let arn = format!("arn:{}:iam::{account}:user/{}", world.partition(), user.user);
            let caller = CallerSession {
                organization: world.account(account.as_str()).and_then(|each| each.organization.clone()),
                account,
                role_arn: arn.clone(),
                session_arn: arn,
                tags: BTreeMap::new(),
            };
            let issued = Issued {
                secret: user.secret_access_key.clone(),
                token: None,
                expires_at: None,
                revoked_at: None,
                caller,
                session_policy: None,
                // A user of the simulation may do what the hub's role may.
                role: (world.hub.account.clone(), world.hub.role.clone()),
            };
            keys.insert(user.access_key_id.clone(), issued);
        }
        let certificate = CertificateLife::new(&world, started);
        let state = State {
            world,
            progress,
            keys,
            buckets: Buckets::default(),
            counters: Counters::default(),
            sequence,
            hub_key: None,
            certificate,
        };
        Self { state: Mutex::new(state), credentials_token }
    }

    /// Answers one request that came to a door at a moment, and counts it.
    #[must_use]
    pub fn respond(
        &self,
        door: Door,
        request: &RawRequest,
        connection: &Connection,
        now: SystemTime,
    ) -> Reply {
        let mut state = self.state();
        let state = &mut *state;
        state.settle(now);
        match door {
            Door::Endpoint => endpoint(state, request, connection, now),
            Door::Sts => sts::respond(state, sts::Proof::Signature, request, now),
            Door::Credentials => {
                state.counters.credentials += 1;
                credentials_endpoint::respond(state, &self.credentials_token, request, now)
            }
        }
    }

    /// Answers a call to STS whose caller shows the credentials themselves instead of a signature made with
    /// them. Only the in-memory seam does so: signing there would test the signer against itself.
    pub(super) fn respond_to_holder(
        &self,
        proof: &sts::Holder<'_>,
        request: &RawRequest,
        now: SystemTime,
    ) -> Reply {
        let mut state = self.state();
        let state = &mut *state;
        state.settle(now);
        sts::respond(state, sts::Proof::Holder(*proof), request, now)
    }

    /// Every secret key and session token that was given out, and the token for asking for the hub's credentials:
    /// for looking whether a client shows any of them.
    #[must_use]
    pub fn secrets_issued(&self) -> Vec<String> {
        let state = self.state();
        state.keys.secrets().chain([self.credentials_token.as_str()]).map(str::to_owned).collect()
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counters.read()
    }

    /// The sums of what was counted since the start.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.state().counters.totals()
    }

    /// A copy of the world as it is at a moment.
    #[must_use]
    pub fn world(&self, now: SystemTime) -> World {
        self.look(now, World::clone)
    }

    /// Asks the world something, without the copy: the in-memory seams do so for every request.
    pub(super) fn look<T>(&self, now: SystemTime, ask: impl FnOnce(&World) -> T) -> T {
        let mut state = self.state();
        let state = &mut *state;
        state.settle(now);
        ask(&state.world)
    }

    /// The certificate of the endpoint as it is at a moment.
    pub(super) fn certificate(&self, now: SystemTime) -> CertificateLife {
        let mut state = self.state();
        state.settle(now);
        state.certificate
    }

    /// Changes the world by hand, for tests that do not want to wait for a timeline.
    pub fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.state().world);
    }

    /// The path of the credentials endpoint.
    #[must_use]
    pub const fn credentials_path(&self) -> &'static str {
        credentials_endpoint::PATH
    }

    /// What the credentials endpoint wants in `Authorization`.
    #[must_use]
    pub fn credentials_token(&self) -> &str {
        &self.credentials_token
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while answering leaves counters and keys usable, so a poisoned lock is no reason to stop.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn endpoint(state: &mut State, request: &RawRequest, connection: &Connection, now: SystemTime) -> Reply {
    let gateway_now = offset(now, state.world.endpoint.clock_offset_seconds);
    let visit = Visit { world: &state.world, keys: &state.keys, request, connection, now: gateway_now };
    let answered = gateway::answer(visit, &mut state.buckets);
    let mut reply = answered.reply;
    if answered.by_gateway {
        let own_id = request.header_text("x-amzn-requestid").filter(|id| (1..=128).contains(&id.len()));
        let id = own_id.map_or_else(|| state.sequence.request_id(), str::to_owned);
        reply =
            reply.with("x-amzn-RequestId", id).with("x-amz-apigw-id", state.sequence.extended_request_id());
        if answered.traced {
            let seconds = gateway_now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            reply = reply.with("X-Amzn-Trace-Id", state.sequence.trace_id(seconds));
        }
    }
    let reply = reply.with("Date", http_date(gateway_now));
    state.counters.request(&answered.api, &answered.identity, reply.code());
    reply
}

#[cfg(test)]
mod tests;
