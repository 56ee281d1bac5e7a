//! The one task that asks STS for all roles and keeps the hub's own credentials.
//!
//! One task makes single flight evident: a role is either in the queue or in a call, never both. What comes
//! back goes into the role's slot of `store`; when to ask is `lifecycle`'s to say. The calls run inside this
//! task, at most ten at once. Roles that come and go with a reload would enter and leave `Round::roles`.

use super::lifecycle::{Backoff, CHAINED_MAX, Lifecycle, Spread, Step, Window};
use super::store::{NoSession, Store};
use crate::domain::credentials::{CallerIdentity, SessionCredentials};
use crate::domain::moment::Moment;
use crate::domain::name::Name;
use crate::domain::outcome::Reason;
use crate::explain::{self, AssumeRoleCause, AssumeRoleRefusal};
use crate::recording::{AssumeRoleResult, Refusal};
use crate::seams::{SessionFailure, SessionFailureKind};
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The most `AssumeRole` calls at once: STS throttles the whole account, its other callers included.
const MAX_CALLS: usize = 10;
/// The first asks are spread over this much per role, up to `START_MAX`.
const START_PER_ROLE: Duration = Duration::from_millis(20);
const START_MAX: Duration = Duration::from_secs(10);
/// How often the hub's credentials are asked for; the source keeps them, so that is cheap.
const HUB_PERIOD: Duration = Duration::from_secs(60);
/// No call may hold its place longer, whatever `Sessions` promises.
const CALL_MAX: Duration = Duration::from_secs(30);

impl Store {
    /// Keeps every session fresh until `shutdown`. Never fails: what goes wrong is in the slots.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        if self.roles.is_empty() && !self.hub_in_use {
            shutdown.cancelled().await;
            return;
        }
        let mut round = Round::new(self);
        loop {
            round.begin_what_is_due();
            let next = round.next_due();
            let wait = Arc::clone(&round.store.wait);
            let due = async {
                match next {
                    Some(at) => wait.until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(ended) = round.calls.next(), if !round.calls.is_empty() => round.take(ended),
                () = due => {}
            }
        }
    }
}

/// What a call brought.
enum Ended {
    Hub(HubAnswer),
    Role { index: usize, took: Duration, result: Result<SessionCredentials, SessionFailure> },
}

struct HubAnswer {
    credentials: Result<SessionCredentials, SessionFailure>,
    /// Who they belong to; `None` where nothing had to be asked.
    identity: Option<Result<CallerIdentity, SessionFailure>>,
}

struct RoleState {
    lifecycle: Lifecycle,
    /// Kind, code and cause of the trouble that was logged last, so that it is said once.
    logged: Option<(SessionFailureKind, Option<String>, AssumeRoleCause)>,
}

struct Round {
    store: Arc<Store>,
    roles: Vec<RoleState>,
    queue: BTreeSet<(Moment, usize)>,
    calls: FuturesUnordered<BoxFuture<'static, Ended>>,
    role_calls: usize,
    hub_asking: bool,
    /// Roles wait for the hub's first answer: without credentials they cannot ask, and chaining decides the
    /// duration.
    hub_settled: bool,
    hub_next: Moment,
    hub_backoff: Backoff,
    /// The access key whose owner is known.
    hub_known_key: Option<String>,
    hub_logged: Option<SessionFailureKind>,
    chaining_warned: bool,
}

impl Round {
    fn new(store: Arc<Store>) -> Self {
        let now = store.clock.now();
        let count = u32::try_from(store.roles.len()).unwrap_or(u32::MAX);
        let window = START_PER_ROLE.saturating_mul(count).min(START_MAX);
        let mut roles = Vec::new();
        let mut queue = BTreeSet::new();
        for (index, entry) in store.roles.iter().enumerate() {
            let session = &entry.role.session;
            let spread = Spread::of(&format!("{}/{}", session.role_arn, session.session_name));
            let first_ask = now + spread.within(window);
            queue.insert((first_ask, index));
            roles.push(RoleState {
                lifecycle: Lifecycle::new(spread, session.duration, first_ask),
                logged: None,
            });
        }
        Self {
            store,
            roles,
            queue,
            calls: FuturesUnordered::new(),
            role_calls: 0,
            hub_asking: false,
            hub_settled: false,
            hub_next: now,
            hub_backoff: Backoff::default(),
            hub_known_key: None,
            hub_logged: None,
            chaining_warned: false,
        }
    }

    /// The next moment at which something can begin; `None` when only a call's end can change anything.
    fn next_due(&self) -> Option<Moment> {
        let hub = (!self.hub_asking).then_some(self.hub_next);
        let may_ask = self.hub_settled && self.role_calls < MAX_CALLS;
        let role = self.queue.first().filter(|_| may_ask).map(|(at, _)| *at);
        [hub, role].into_iter().flatten().min()
    }

    fn begin_what_is_due(&mut self) {
        let now = self.store.clock.now();
        if !self.hub_asking && self.hub_next <= now {
            self.hub_asking = true;
            self.calls.push(ask_hub(Arc::clone(&self.store), self.hub_known_key.clone()));
        }
        while self.hub_settled && self.role_calls < MAX_CALLS {
            let Some(&(at, index)) = self.queue.first() else { break };
            if at > now {
                break;
            }
            self.queue.pop_first();
            self.role_calls += 1;
            let chained = self.store.is_chained();
            let duration = self.roles[index].lifecycle.begin(chained);
            if chained && duration < self.store.roles[index].role.session.duration {
                self.warn_of_chaining();
            }
            self.calls.push(ask_role(Arc::clone(&self.store), index, duration));
        }
    }

    fn warn_of_chaining(&mut self) {
        if !std::mem::replace(&mut self.chaining_warned, true) {
            tracing::warn!(
                seconds = CHAINED_MAX.as_secs(),
                "the hub's credentials are themselves a role's session, so STS gives sessions of one hour at \
                 most; longer durations are cut"
            );
        }
    }

    fn take(&mut self, ended: Ended) {
        match ended {
            Ended::Hub(answer) => self.take_hub(answer),
            Ended::Role { index, took, result } => {
                self.role_calls -= 1;
                self.take_role(index, took, result);
                self.queue.insert((self.roles[index].lifecycle.next_ask(), index));
            }
        }
    }

    fn take_role(
        &mut self,
        index: usize,
        took: Duration,
        result: Result<SessionCredentials, SessionFailure>,
    ) {
        let store = Arc::clone(&self.store);
        let entry = &store.roles[index];
        let state = &mut self.roles[index];
        let (now, wall) = (store.clock.now(), store.clock.wall());
        let failure = match result {
            Ok(credentials) => {
                let expires_at = credentials.expires_at;
                match state.lifecycle.renewed(now, wall, expires_at) {
                    Some(window) => {
                        let when_over = state.lifecycle.reason_without_session();
                        entry.slot.renew(credentials, window, when_over);
                        store.recorder.assume_role_ended(&entry.role, AssumeRoleResult::Ok, took);
                        store.recorder.credentials_renewed(&entry.role, expires_at);
                        if state.logged.take().is_some() {
                            tracing::info!(role = %entry.role.session.role_arn, "the role is assumed again");
                        }
                        store.announce_role(entry);
                        return;
                    }
                    None => SessionFailure {
                        kind: SessionFailureKind::Failed,
                        code: None,
                        message: "STS gave a session that has already ended; is the clock right?".into(),
                    },
                }
            }
            Err(failure) => {
                if state.lifecycle.refused(now, failure.kind) == Step::AskShorter {
                    store.recorder.assume_role_ended(&entry.role, counted(failure.kind), took);
                    tracing::warn!(
                        role = %entry.role.session.role_arn, said = %failure.message,
                        "the role does not allow sessions of the configured duration; asking for one hour"
                    );
                    return;
                }
                failure
            }
        };
        store.recorder.assume_role_ended(&entry.role, counted(failure.kind), took);
        let meant = explain_failure(&failure, entry.role.session.external_id.is_some());
        let (cause, meaning) = (meant.cause.as_str(), meant.meaning);
        let refusal = Refusal::new(failure.code.as_deref(), &failure.message, (cause, meaning), wall);
        store.recorder.credentials_refused(&entry.role, &refusal);
        entry.slot.explain(NoSession {
            reason: state.lifecycle.reason_without_session(),
            message: Some(failure.message.clone()),
            refusal: Some(meant),
        });
        let trouble = (failure.kind, failure.code, meant.cause);
        if state.logged.as_ref() != Some(&trouble) {
            if trouble.0 == SessionFailureKind::NoHubCredentials {
                // One cause, heard of once: the hub's own line says it for all roles.
                tracing::debug!(role = %entry.role.session.role_arn, "waits for the hub's credentials");
            } else {
                tracing::warn!(
                    role = %entry.role.session.role_arn, spokes = %listed(&entry.role.spokes), kind = ?trouble.0,
                    code = trouble.1.as_deref().unwrap_or("none"), said = %failure.message,
                    cause, meaning, sure = meant.sure, owner = meant.owner.as_str(),
                    "the role cannot be assumed"
                );
            }
            state.logged = Some(trouble);
        }
        store.announce_role(entry);
    }

    fn take_hub(&mut self, answer: HubAnswer) {
        self.hub_asking = false;
        self.hub_settled = true;
        let store = Arc::clone(&self.store);
        let (now, wall) = (store.clock.now(), store.clock.wall());
        match answer.credentials {
            Ok(credentials) => {
                let (window, life) = Window::new(now, wall, credentials.expires_at);
                self.hub_next = now + HUB_PERIOD.min(life / 2).max(Duration::from_secs(1));
                self.hub_backoff.reset();
                if self.hub_logged.take().is_some() {
                    tracing::info!("the hub has credentials again");
                }
                let key = credentials.access_key_id.clone();
                if store.hub.credentials().is_none_or(|held| *held != credentials) {
                    store.hub.renew(credentials, window, Reason::CredentialsExpired);
                }
                self.take_identity(answer.identity, key);
            }
            Err(failure) => {
                self.hub_next = now + self.hub_backoff.failed(failure.kind, Spread::of("hub"));
                if self.hub_logged.replace(failure.kind) != Some(failure.kind) {
                    tracing::warn!(said = %failure.message, "the hub has no credentials");
                }
                store.hub.explain(NoSession {
                    reason: Reason::NoHubCredentials,
                    message: Some(failure.message),
                    refusal: Some(explain::no_hub_credentials()),
                });
            }
        }
        store.announce_hub();
    }

    fn take_identity(&mut self, identity: Option<Result<CallerIdentity, SessionFailure>>, key: String) {
        match identity {
            None => {}
            Some(Ok(identity)) => {
                tracing::info!(account = %identity.account, arn = %identity.arn, "the hub's identity");
                if let Some(role) = self.store.configured_hub_role() {
                    let session_of = format!(":assumed-role/{}/", role.name());
                    if identity.account != role.account().as_str() || !identity.arn.contains(&session_of) {
                        tracing::warn!(configured = %role, "hub.role_arn is not the role the agent runs as");
                    }
                }
                self.hub_known_key = Some(key);
                self.store.identity.store(Some(Arc::new(identity)));
            }
            // Asked again with the next round; meanwhile a refused duration tells of chaining as well.
            Some(Err(failure)) => {
                tracing::warn!(said = %failure.message, "STS does not say who the hub is");
            }
        }
    }
}

/// What a failure means. Without a code STS did not speak; then the kind tells which side of it failed.
/// What STS meant by a failure, or the agent's surroundings by giving no credentials to ask it with.
#[must_use]
pub fn explain_failure(failure: &SessionFailure, has_external_id: bool) -> AssumeRoleRefusal {
    if failure.code.is_none() && failure.kind == SessionFailureKind::NoHubCredentials {
        return explain::no_hub_credentials();
    }
    explain::assume_role(failure.code.as_deref(), &failure.message, has_external_id)
}

const fn counted(kind: SessionFailureKind) -> AssumeRoleResult {
    match kind {
        SessionFailureKind::Denied => AssumeRoleResult::Denied,
        SessionFailureKind::Throttled => AssumeRoleResult::Throttled,
        SessionFailureKind::NoHubCredentials
        | SessionFailureKind::DurationRefused
        | SessionFailureKind::Failed => AssumeRoleResult::Failed,
    }
}

fn ask_role(store: Arc<Store>, index: usize, duration: Duration) -> BoxFuture<'static, Ended> {
    Box::pin(async move {
        let begun = store.clock.now();
        let session = Arc::clone(&store.roles[index].role.session);
        let result = bounded(&store, store.sessions.assume_role(session, duration)).await;
        Ended::Role { index, took: store.clock.now().since(begun), result }
    })
}

fn ask_hub(store: Arc<Store>, known_key: Option<String>) -> BoxFuture<'static, Ended> {
    Box::pin(async move {
        let credentials = bounded(&store, store.sessions.hub_credentials()).await;
        let identity = match &credentials {
            Ok(found) if known_key.as_ref() != Some(&found.access_key_id) => {
                Some(bounded(&store, store.sessions.caller_identity(found.clone())).await)
            }
            _ => None,
        };
        Ended::Hub(HubAnswer { credentials, identity })
    })
}

async fn bounded<T>(
    store: &Store,
    call: BoxFuture<'_, Result<T, SessionFailure>>,
) -> Result<T, SessionFailure> {
    let too_late = store.wait.until(store.clock.now() + CALL_MAX);
    match select(call, too_late).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(SessionFailure {
            kind: SessionFailureKind::Failed,
            code: None,
            message: "no answer in time".into(),
        }),
    }
}

/// Names for a log line.
fn listed(spokes: &[Name]) -> String {
    spokes.iter().map(Name::as_str).collect::<Vec<_>>().join(" ")
}
