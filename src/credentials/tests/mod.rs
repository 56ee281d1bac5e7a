//! The store and its task under a paused clock, and the SDK over a transport of a few lines.

mod reconciling;
mod refreshing;
mod speaking;
mod stepping;

use crate::credentials::{NoSession, Store};
use crate::domain::credentials::{CallerIdentity, RoleInUse, RoleSession, SessionCredentials};
use crate::domain::identity::Signer;
use crate::domain::moment::Moment;
use crate::domain::name::Name;
use crate::domain::outcome::Reason;
use crate::domain::secret::Secret;
use crate::domain::target::SpokeInfo;
use crate::recording::{Recorder, Settings};
use crate::seams::{
    Clock as _, SessionFailure, SessionFailureKind, Sessions, SystemClock, TokioWait, Wait as _, spawn,
};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// What the fake STS does for a role.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// A session of this life; of the asked one where `None`.
    Session(Option<Duration>),
    Refusal(SessionFailureKind),
    /// No answer at all.
    Silence,
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) at: Moment,
    pub(super) role: String,
    pub(super) duration: Duration,
}

/// An STS that does what the test says, in the time it says.
pub(super) struct FakeSts {
    clock: SystemClock,
    state: Mutex<State>,
}

struct State {
    answers: HashMap<String, Answer>,
    latency: Duration,
    hub: Result<(String, Option<Duration>), SessionFailureKind>,
    hub_ends_at: Option<SystemTime>,
    identity_arn: String,
    calls: Vec<Call>,
    identity_calls: Vec<String>,
    in_flight: HashMap<Arc<RoleSession>, usize>,
    most_in_flight: usize,
}

/// A call on its way, until it is answered or dropped.
struct InFlight<'a>(&'a FakeSts, Arc<RoleSession>);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.state(|state| state.in_flight.remove(&self.1));
    }
}

impl FakeSts {
    pub(super) fn new(clock: SystemClock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            state: Mutex::new(State {
                answers: HashMap::new(),
                latency: Duration::from_millis(100),
                hub: Ok(("HUBKEY".into(), None)),
                hub_ends_at: None,
                identity_arn: "arn:aws:iam::111122223333:user/hub".into(),
                calls: vec![],
                identity_calls: vec![],
                in_flight: HashMap::new(),
                most_in_flight: 0,
            }),
        })
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn answer(&self, role: &RoleInUse, answer: Answer) {
        self.state(|state| state.answers.insert(role.session.role_arn.to_string(), answer));
    }

    pub(super) fn latency(&self, latency: Duration) {
        self.state(|state| state.latency = latency);
    }

    pub(super) fn hub(&self, hub: Result<(&str, Option<Duration>), SessionFailureKind>) {
        self.state(|state| state.hub = hub.map(|(key, life)| (key.to_owned(), life)));
    }

    /// The hub's key is one and the same until then.
    pub(super) fn hub_until(&self, end: SystemTime) {
        self.state(|state| state.hub_ends_at = Some(end));
    }

    pub(super) fn identity(&self, arn: &str) {
        self.state(|state| state.identity_arn = arn.to_owned());
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.state(|state| state.calls.clone())
    }

    pub(super) fn identity_calls(&self) -> Vec<String> {
        self.state(|state| state.identity_calls.clone())
    }

    pub(super) fn in_flight(&self) -> usize {
        self.state(|state| state.in_flight.values().sum())
    }

    pub(super) fn most_in_flight(&self) -> usize {
        self.state(|state| state.most_in_flight)
    }

    async fn pass(&self, time: Duration) {
        TokioWait::new(self.clock).until(self.clock.now() + time).await;
    }
}

fn failure(kind: SessionFailureKind) -> SessionFailure {
    SessionFailure { kind, code: Some(format!("{kind:?}")), message: format!("{kind:?} it is") }
}

impl Sessions for FakeSts {
    fn hub_credentials(&self) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(async move {
            let (hub, ends_at) = self.state(|state| (state.hub.clone(), state.hub_ends_at));
            let (key, life) = hub.map_err(failure)?;
            Ok(SessionCredentials {
                access_key_id: key,
                secret_access_key: Secret::new("hub"),
                session_token: None,
                expires_at: life.map(|life| self.clock.wall() + life).or(ends_at),
            })
        })
    }

    fn caller_identity(
        &self,
        credentials: SessionCredentials,
    ) -> BoxFuture<'_, Result<CallerIdentity, SessionFailure>> {
        Box::pin(async move {
            let arn = self.state(|state| {
                state.identity_calls.push(credentials.access_key_id);
                state.identity_arn.clone()
            });
            Ok(CallerIdentity { account: "111122223333".into(), arn })
        })
    }

    fn assume_role(
        &self,
        role: Arc<RoleSession>,
        duration: Duration,
    ) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(async move {
            let arn = role.role_arn.to_string();
            let (answer, latency) = self.state(|state| {
                state.calls.push(Call { at: self.clock.now(), role: arn.clone(), duration });
                let own = state.in_flight.entry(Arc::clone(&role)).or_default();
                *own += 1;
                assert_eq!(*own, 1, "two calls at once for {arn}");
                state.most_in_flight = state.most_in_flight.max(state.in_flight.values().sum());
                (state.answers.get(&arn).copied().unwrap_or(Answer::Session(None)), state.latency)
            });
            let session = Arc::clone(&role);
            let in_flight = InFlight(self, role);
            if matches!(answer, Answer::Silence) {
                std::future::pending::<()>().await;
            }
            self.pass(latency).await;
            drop(in_flight);
            match answer {
                Answer::Refusal(kind) => Err(failure(kind)),
                Answer::Session(life) => Ok(SessionCredentials {
                    access_key_id: key_of(&session),
                    secret_access_key: Secret::new("secret"),
                    session_token: Some(Secret::new("token")),
                    expires_at: Some(self.clock.wall() + life.unwrap_or(duration)),
                }),
                Answer::Silence => unreachable!("it never answers"),
            }
        })
    }
}

/// A store that runs against the fake STS.
pub(super) struct Running {
    pub(super) store: Arc<Store>,
    pub(super) sts: Arc<FakeSts>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) clock: SystemClock,
    pub(super) announced: UnboundedReceiver<Signer>,
    pub(super) shutdown: CancellationToken,
    pub(super) task: JoinHandle<()>,
}

/// Starts a store; `prepare` tells the fake STS what to do first.
pub(super) fn start(roles: &[RoleInUse], hub_in_use: bool, prepare: impl FnOnce(&FakeSts)) -> Running {
    let clock = clock();
    let sts = FakeSts::new(clock);
    prepare(&sts);
    let recorder = Arc::new(Recorder::new(&Settings { buckets: vec![1.0] }));
    recorder.set_spokes(&infos(roles));
    let (store, announced) = Store::new(
        roles,
        hub_in_use,
        Arc::clone(&sts) as Arc<dyn Sessions>,
        Arc::new(clock),
        Arc::new(TokioWait::new(clock)),
        Arc::clone(&recorder),
    );
    let shutdown = CancellationToken::new();
    let task = spawn("refresher", Arc::clone(&store).run(shutdown.clone()));
    Running { store, sts, recorder, clock, announced, shutdown, task }
}

impl Running {
    pub(super) async fn pass(&self, time: Duration) {
        TokioWait::new(self.clock).until(self.clock.now() + time).await;
    }

    pub(super) fn key(&self, role: &RoleInUse) -> Result<String, NoSession> {
        let session = self.store.session(&Signer::Role(Arc::clone(&role.session)))?;
        Ok(session.unwrap().credentials.access_key_id.clone())
    }

    /// Takes on other roles as the agent does: their spokes first.
    pub(super) fn reconcile(&self, roles: &[RoleInUse], hub_in_use: bool) {
        self.recorder.set_spokes(&infos(roles));
        self.store.reconcile(roles, hub_in_use);
    }

    /// The spokes for which a session's end is shown.
    pub(super) fn shown(&self) -> Vec<String> {
        let text = String::from_utf8(self.recorder.encode_text()).unwrap();
        let name = |line: &str| {
            let rest = line.strip_prefix("spokeprobe_credentials_expiry_timestamp_seconds{spoke=\"")?;
            rest.split_once('"').map(|(name, _)| name.to_owned())
        };
        text.lines().filter_map(name).collect()
    }

    pub(super) fn reason(&self, role: &RoleInUse) -> Reason {
        self.key(role).unwrap_err().reason
    }
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the fake STS gives as the key of an identity.
pub(super) fn key_of(session: &RoleSession) -> String {
    match &*session.session_name {
        "spokeprobe" => session.role_arn.to_string(),
        name => format!("{}/{name}", session.role_arn),
    }
}

fn infos(roles: &[RoleInUse]) -> Vec<SpokeInfo> {
    let info = |role: &RoleInUse, name: &Name| SpokeInfo {
        name: name.clone(),
        account: role.session.role_arn.account().clone(),
        region: "eu-west-1".parse().unwrap(),
        role: role.session.role_arn.clone(),
        labels: Default::default(),
    };
    roles.iter().flat_map(|role| role.spokes.iter().map(move |name| info(role, name))).collect()
}

pub(super) fn role(number: usize, duration: Duration) -> RoleInUse {
    RoleInUse {
        session: Arc::new(RoleSession {
            role_arn: format!("arn:aws:iam::{number:012}:role/probe").parse().unwrap(),
            session_name: "spokeprobe".into(),
            external_id: None,
            duration,
            session_policy: None,
            session_tags: vec![],
        }),
        spokes: vec![format!("spoke-{number}").parse().unwrap()],
    }
}

pub(super) fn clock() -> SystemClock {
    SystemClock::simulated(UNIX_EPOCH + Duration::from_secs(1_800_000_000))
}
