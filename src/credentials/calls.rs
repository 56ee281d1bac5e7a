//! The calls that the refresher makes, each bounded in time, and what a failed one means.

use super::members::Role;
use super::store::Store;
use crate::domain::credentials::{CallerIdentity, SessionCredentials};
use crate::explain::{self, AssumeRoleRefusal};
use crate::recording::AssumeRoleResult;
use crate::seams::{SessionFailure, SessionFailureKind};
use futures_util::future::{BoxFuture, Either, select};
use std::sync::Arc;
use std::time::Duration;

/// No call may hold its place longer, whatever `Sessions` promises.
const CALL_MAX: Duration = Duration::from_secs(30);

/// What a call brought.
pub(super) enum Ended {
    Hub(HubAnswer),
    Role { number: u64, took: Duration, result: Result<SessionCredentials, SessionFailure> },
}

pub(super) struct HubAnswer {
    pub(super) credentials: Result<SessionCredentials, SessionFailure>,
    /// Who they belong to; `None` where nothing had to be asked.
    pub(super) identity: Option<Result<CallerIdentity, SessionFailure>>,
}

pub(super) fn ask_role(store: Arc<Store>, role: &Role, duration: Duration) -> BoxFuture<'static, Ended> {
    let (number, session) = (role.number, Arc::clone(&role.session));
    Box::pin(async move {
        let begun = store.clock.now();
        let result = bounded(&store, store.sessions.assume_role(session, duration)).await;
        Ended::Role { number, took: store.clock.now().since(begun), result }
    })
}

/// `known_key`: the access key whose owner is known already.
pub(super) fn ask_hub(store: Arc<Store>, known_key: Option<String>) -> BoxFuture<'static, Ended> {
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

/// What STS meant by a failure, or the agent's surroundings by giving no credentials to ask it with. Without a code
/// STS did not speak; then the kind tells which side of it failed.
#[must_use]
pub fn explain_failure(failure: &SessionFailure, has_external_id: bool) -> AssumeRoleRefusal {
    if failure.code.is_none() && failure.kind == SessionFailureKind::NoHubCredentials {
        return explain::no_hub_credentials();
    }
    explain::assume_role(failure.code.as_deref(), &failure.message, has_external_id)
}

pub(super) const fn counted(kind: SessionFailureKind) -> AssumeRoleResult {
    match kind {
        SessionFailureKind::Denied => AssumeRoleResult::Denied,
        SessionFailureKind::Throttled => AssumeRoleResult::Throttled,
        SessionFailureKind::NoHubCredentials
        | SessionFailureKind::DurationRefused
        | SessionFailureKind::Failed => AssumeRoleResult::Failed,
    }
}
