//! The store and its task under a paused clock, and the SDK over a transport of a few lines.

mod refreshing;
mod speaking;

use crate::domain::credentials::{CallerIdentity, RoleInUse, RoleSession, SessionCredentials};
use crate::domain::moment::Moment;
use crate::domain::secret::Secret;
use crate::seams::{
    Clock as _, SessionFailure, SessionFailureKind, Sessions, SystemClock, TokioWait, Wait as _,
};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

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
    identity_arn: String,
    calls: Vec<Call>,
    identity_calls: Vec<String>,
    in_flight: HashMap<String, usize>,
    most_in_flight: usize,
}

impl FakeSts {
    pub(super) fn new(clock: SystemClock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            state: Mutex::new(State {
                answers: HashMap::new(),
                latency: Duration::from_millis(100),
                hub: Ok(("HUBKEY".into(), None)),
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

    pub(super) fn identity(&self, arn: &str) {
        self.state(|state| state.identity_arn = arn.to_owned());
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.state(|state| state.calls.clone())
    }

    pub(super) fn identity_calls(&self) -> Vec<String> {
        self.state(|state| state.identity_calls.clone())
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
            let (key, life) = self.state(|state| state.hub.clone()).map_err(failure)?;
            Ok(SessionCredentials {
                access_key_id: key,
                secret_access_key: Secret::new("hub"),
                session_token: None,
                expires_at: life.map(|life| self.clock.wall() + life),
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
                let own = state.in_flight.entry(arn.clone()).or_default();
                *own += 1;
                assert_eq!(*own, 1, "two calls at once for {arn}");
                state.most_in_flight = state.most_in_flight.max(state.in_flight.values().sum());
                (state.answers.get(&arn).copied().unwrap_or(Answer::Session(None)), state.latency)
            });
            if matches!(answer, Answer::Silence) {
                // Given up by the caller: the place is free again then.
                self.state(|state| state.in_flight.remove(&arn));
                std::future::pending::<()>().await;
            }
            self.pass(latency).await;
            self.state(|state| state.in_flight.remove(&arn));
            match answer {
                Answer::Refusal(kind) => Err(failure(kind)),
                Answer::Session(life) => Ok(SessionCredentials {
                    access_key_id: arn,
                    secret_access_key: Secret::new("secret"),
                    session_token: Some(Secret::new("token")),
                    expires_at: Some(self.clock.wall() + life.unwrap_or(duration)),
                }),
                Answer::Silence => unreachable!("it never answers"),
            }
        })
    }
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
