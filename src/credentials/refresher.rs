//! The one task that asks STS for all roles and keeps the hub's own credentials.
//!
//! One task makes single flight evident: a role is either in the queue or in a call, never both. What comes
//! back goes into the role's slot; when to ask is `lifecycle`'s to say. The calls run inside this task, at most ten at
//! once. When the set of roles is exchanged, the task follows: what is new enters the queue, what is gone leaves it,
//! and a call for it is dropped. Roles go by their number, which no other role ever has.

use super::calls::{Ended, HubAnswer, ask_hub, ask_role, counted, explain_failure};
use super::lifecycle::{Backoff, CHAINED_MAX, Lifecycle, Spread, Step, Window};
use super::members::{Role, RolesInUse, Standing};
use super::slot::NoSession;
use super::store::Store;
use crate::domain::credentials::{CallerIdentity, SessionCredentials};
use crate::domain::moment::Moment;
use crate::domain::name::Name;
use crate::domain::outcome::Reason;
use crate::explain::{self, AssumeRoleCause};
use crate::recording::{AssumeRoleResult, Refusal};
use crate::seams::{SessionFailure, SessionFailureKind};
use futures_util::future::{AbortHandle, Abortable, BoxFuture, FutureExt as _, abortable};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// The most `AssumeRole` calls at once: STS throttles the whole account, its other callers included.
const MAX_CALLS: usize = 10;
/// The first asks are spread over this much per role that is new, up to `START_MAX`.
const START_PER_ROLE: Duration = Duration::from_millis(20);
const START_MAX: Duration = Duration::from_secs(10);
/// How often the hub's credentials are asked for; the source keeps them, so that is cheap.
const HUB_PERIOD: Duration = Duration::from_secs(60);
/// By how much the wall clock must have moved against the monotonic one for sessions to be looked at anew: more than a
/// time server corrects in a minute.
const STEP_MIN: Duration = Duration::from_secs(5);

impl Store {
    /// Keeps every session fresh until `shutdown`. Never fails: what goes wrong is in the slots. May be begun again
    /// after a panic: the sessions that are there stay, and are asked for again at half of what is left of them.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut round = Round::new(self);
        loop {
            round.follow();
            round.catch_up();
            round.begin_what_is_due();
            let next = round.next_due();
            let store = Arc::clone(&round.store);
            let due = async {
                match next {
                    Some(at) => store.wait.until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = store.changed.notified() => {}
                Some(ended) = round.calls.next(), if !round.calls.is_empty() => round.take(ended.ok()),
                () = due => {}
            }
        }
    }
}

struct RoleState {
    role: Arc<Role>,
    lifecycle: Lifecycle,
    /// What ends the call that is on its way.
    calling: Option<AbortHandle>,
    /// Kind, code and cause of the trouble that was logged last, so that it is said once.
    logged: Option<(SessionFailureKind, Option<String>, AssumeRoleCause)>,
}

struct Round {
    store: Arc<Store>,
    /// The set that is followed.
    in_use: Arc<RolesInUse>,
    roles: HashMap<u64, RoleState>,
    queue: BTreeSet<(Moment, u64)>,
    /// Both clocks when the task was last awake, which it is once a minute at least.
    awake: (Moment, SystemTime),
    calls: FuturesUnordered<Abortable<BoxFuture<'static, Ended>>>,
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
        let (now, wall) = (store.clock.now(), store.clock.wall());
        Self {
            store,
            // Nothing yet: the first `follow` takes all on.
            in_use: Arc::default(),
            roles: HashMap::new(),
            queue: BTreeSet::new(),
            awake: (now, wall),
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

    /// Takes on the set of roles in use, if it is another one.
    fn follow(&mut self) {
        let in_use = self.store.in_use();
        if Arc::ptr_eq(&in_use, &self.in_use) {
            return;
        }
        self.in_use = Arc::clone(&in_use);
        let still = |state: &RoleState| {
            in_use.role(&state.role.session).is_some_and(|role| role.number == state.role.number)
        };
        for (number, state) in self.roles.extract_if(|_, state| !still(state)) {
            self.queue.remove(&(state.lifecycle.next_ask(), number));
            if let Some(call) = state.calling {
                call.abort();
            }
        }
        // Ended here and now, so that a role that comes back at once is not asked for twice at a time.
        while let Some(Some(ended)) = self.calls.next().now_or_never() {
            self.take(ended.ok());
        }
        let new: Vec<_> =
            in_use.all().filter(|role| !self.roles.contains_key(&role.number)).cloned().collect();
        let count = u32::try_from(new.len()).unwrap_or(u32::MAX);
        let window = START_PER_ROLE.saturating_mul(count).min(START_MAX);
        for role in new {
            self.enter(role, window);
        }
        if !in_use.needs_hub() {
            self.store.hub.forget();
            (self.hub_settled, self.hub_known_key) = (false, None);
            self.hub_next = self.store.clock.now();
        } else if self.hub_settled {
            self.store.announce_hub();
        }
    }

    fn enter(&mut self, role: Arc<Role>, window: Duration) {
        let now = self.store.clock.now();
        let session = &role.session;
        let spread = Spread::of(&format!("{}/{}", session.role_arn, session.session_name));
        let first_ask = now
            + match role.slot.usable_until(&*self.store.clock) {
                Some(until) => spread.around(until.since(now) / 2, 0.1),
                None => spread.within(window),
            };
        let lifecycle = Lifecycle::new(spread, session.duration, first_ask);
        self.queue.insert((first_ask, role.number));
        self.roles.insert(role.number, RoleState { role, lifecycle, calling: None, logged: None });
    }

    /// Asks sooner for sessions that a step of the wall clock has ended or brought near their end. Refreshes go by the monotonic clock, which
    /// stands still while a machine is suspended, so without this a machine that wakes after hours would be without
    /// sessions for up to half of their lives.
    fn catch_up(&mut self) {
        let (now, wall) = (self.store.clock.now(), self.store.clock.wall());
        let (then, then_wall) = std::mem::replace(&mut self.awake, (now, wall));
        let step = match wall.duration_since(then_wall) {
            Ok(passed) => passed.abs_diff(now.since(then)),
            Err(back) => back.duration() + now.since(then),
        };
        if step < STEP_MIN {
            return;
        }
        tracing::warn!(seconds = step.as_secs(), "the wall clock stepped, or the machine was suspended");
        let count = u32::try_from(self.roles.len()).unwrap_or(u32::MAX);
        let window = START_PER_ROLE.saturating_mul(count).min(START_MAX);
        let store = Arc::clone(&self.store);
        for (&number, state) in &mut self.roles {
            // Those that are being asked for, or were never, are soon anyway.
            if state.calling.is_some() || !state.role.slot.is_announced() {
                continue;
            }
            let spread = state.lifecycle.spread();
            let wait = match state.role.slot.usable_until(&*store.clock) {
                Some(until) => spread.around(until.since(now) / 2, 0.1),
                None => spread.within(window),
            };
            self.queue.remove(&(state.lifecycle.next_ask(), number));
            state.lifecycle.ends_early(now + wait);
            self.queue.insert((state.lifecycle.next_ask(), number));
        }
        // The hub's own may have ended as well, and no role can be asked for without.
        if !self.hub_asking && self.store.hub.usable_until(&*self.store.clock).is_none() {
            self.hub_next = self.hub_next.min(now);
        }
    }

    /// The next moment at which something can begin; `None` when only a call's end or another set of roles can change
    /// anything.
    fn next_due(&self) -> Option<Moment> {
        let hub = (!self.hub_asking && self.in_use.needs_hub()).then_some(self.hub_next);
        let may_ask = self.hub_settled && self.role_calls < MAX_CALLS;
        let role = self.queue.first().filter(|_| may_ask).map(|(at, _)| *at);
        [hub, role].into_iter().flatten().min()
    }

    fn begin_what_is_due(&mut self) {
        let now = self.store.clock.now();
        if !self.hub_asking && self.in_use.needs_hub() && self.hub_next <= now {
            self.hub_asking = true;
            let call = ask_hub(Arc::clone(&self.store), self.hub_known_key.clone());
            self.calls.push(abortable(call).0);
        }
        while self.hub_settled && self.role_calls < MAX_CALLS {
            let Some(&(at, number)) = self.queue.first() else { break };
            if at > now {
                break;
            }
            self.queue.pop_first();
            let chained = self.store.is_chained();
            let Some(state) = self.roles.get_mut(&number) else { continue };
            let duration = state.lifecycle.begin(chained);
            let cut = chained && duration < state.role.session.duration;
            let call = ask_role(Arc::clone(&self.store), &state.role, duration);
            let (call, handle) = abortable(call);
            state.calling = Some(handle);
            self.calls.push(call);
            self.role_calls += 1;
            if cut {
                self.warn_of_chaining();
            }
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

    /// Takes what a call brought; `None` for one that was dropped, which only a role's can be.
    fn take(&mut self, ended: Option<Ended>) {
        match ended {
            None => self.role_calls -= 1,
            Some(Ended::Hub(answer)) => self.take_hub(answer),
            Some(Ended::Role { number, took, result }) => {
                self.role_calls -= 1;
                // An answer for a role that is no longer known is dropped here, and its credentials zeroed.
                let Some(state) = self.roles.get_mut(&number) else { return };
                state.calling = None;
                let role = Arc::clone(&state.role);
                role.while_in_use(|standing| take_role(&self.store, state, standing, took, result));
                self.queue.insert((state.lifecycle.next_ask(), number));
            }
        }
    }

    fn take_hub(&mut self, answer: HubAnswer) {
        self.hub_asking = false;
        if !self.in_use.needs_hub() {
            return;
        }
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
                } else {
                    // The same for hours: their end must not stay as a clock that was wrong then made it.
                    store.hub.reckon_anew(&*store.clock);
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

/// Takes what STS answered for a role in use.
fn take_role(
    store: &Store,
    state: &mut RoleState,
    standing: &mut Standing,
    took: Duration,
    result: Result<SessionCredentials, SessionFailure>,
) {
    let (role, recorder) = (&state.role, &*store.recorder);
    let (now, wall) = (store.clock.now(), store.clock.wall());
    let failure = match result {
        Ok(credentials) => {
            let expires_at = credentials.expires_at;
            match state.lifecycle.renewed(now, wall, expires_at) {
                Some(window) => {
                    role.slot.renew(credentials, window, state.lifecycle.reason_without_session());
                    standing.ended(recorder, AssumeRoleResult::Ok, took);
                    standing.renewed(recorder, expires_at);
                    if state.logged.take().is_some() {
                        tracing::info!(role = %role.session.role_arn, "the role is assumed again");
                    }
                    store.announce_role(role);
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
                standing.ended(recorder, counted(failure.kind), took);
                tracing::warn!(
                    role = %role.session.role_arn, said = %failure.message,
                    "the role does not allow sessions of the configured duration; asking for one hour"
                );
                return;
            }
            failure
        }
    };
    standing.ended(recorder, counted(failure.kind), took);
    let meant = explain_failure(&failure, role.session.external_id.is_some());
    let (cause, meaning) = (meant.cause.as_str(), meant.meaning);
    standing
        .refused(recorder, Refusal::new(failure.code.as_deref(), &failure.message, (cause, meaning), wall));
    role.slot.explain(NoSession {
        reason: state.lifecycle.reason_without_session(),
        message: Some(failure.message.clone()),
        refusal: Some(meant),
    });
    let trouble = (failure.kind, failure.code, meant.cause);
    if state.logged.as_ref() != Some(&trouble) {
        if trouble.0 == SessionFailureKind::NoHubCredentials {
            // One cause, heard of once: the hub's own line says it for all roles.
            tracing::debug!(role = %role.session.role_arn, "waits for the hub's credentials");
        } else {
            tracing::warn!(
                role = %role.session.role_arn, spokes = %listed(standing.spokes()), kind = ?trouble.0,
                code = trouble.1.as_deref().unwrap_or("none"), said = %failure.message,
                cause, meaning, sure = meant.sure, owner = meant.owner.as_str(),
                "the role cannot be assumed"
            );
        }
        state.logged = Some(trouble);
    }
    store.announce_role(role);
}

/// Names for a log line.
fn listed(spokes: &[Name]) -> String {
    spokes.iter().map(Name::as_str).collect::<Vec<_>>().join(" ")
}
