//! The agent's own identity and the role's session: what was asked of STS, how long it took, and what it said.
//!
//! The sessions themselves come from the same `Store` as the agent's; [`Noted`] looks on while it asks, so that the
//! doctor shows the exact refusal and asks no second time.

use super::reach::{Stop, Walked, walked};
use super::report::{Finding, Step};
use super::{Outside, STEP_MAX, plain, within};
use crate::credentials::{NoSession, explain_failure};
use crate::domain::credentials::{CallerIdentity, RoleSession, SessionCredentials};
use crate::domain::outcome::Reason;
use crate::explain::AssumeRoleRefusal;
use crate::seams::{Clock, SessionFailure, SessionFailureKind, Sessions};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// One call of AssumeRole.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) duration: Duration,
    pub(super) took: Duration,
    /// The end of the session, or the refusal.
    pub(super) result: Result<Option<SystemTime>, SessionFailure>,
}

/// Passes every question on and remembers the answers.
pub(super) struct Noted {
    inner: Arc<dyn Sessions>,
    clock: Arc<dyn Clock>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    identity: Option<CallerIdentity>,
    roles: HashMap<Arc<RoleSession>, Vec<Asked>>,
}

impl Noted {
    pub(super) fn new(inner: Arc<dyn Sessions>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { inner, clock, notes: Mutex::default() })
    }

    /// What was asked for a role, in the order of the answers.
    pub(super) fn asked(&self, role: &Arc<RoleSession>) -> Vec<Asked> {
        self.notes().roles.get(role).cloned().unwrap_or_default()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions for Noted {
    fn hub_credentials(&self) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        self.inner.hub_credentials()
    }

    fn caller_identity(
        &self,
        credentials: SessionCredentials,
    ) -> BoxFuture<'_, Result<CallerIdentity, SessionFailure>> {
        Box::pin(async move {
            // One examination takes seconds: who the agent is does not change meanwhile.
            if let Some(known) = self.notes().identity.clone() {
                return Ok(known);
            }
            let identity = self.inner.caller_identity(credentials).await?;
            self.notes().identity = Some(identity.clone());
            Ok(identity)
        })
    }

    fn assume_role(
        &self,
        role: Arc<RoleSession>,
        duration: Duration,
    ) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(async move {
            let begun = self.clock.now();
            let result = self.inner.assume_role(Arc::clone(&role), duration).await;
            let asked = Asked {
                duration,
                took: self.clock.now().since(begun),
                result: result.as_ref().map(|session| session.expires_at).map_err(Clone::clone),
            };
            let mut notes = self.notes();
            let kept = notes.roles.entry(role).or_default();
            // The store asks again and again while it is refused; the first answers are the story.
            if kept.len() < 4 {
                kept.push(asked);
            }
            result
        })
    }
}

/// Who the agent is, or why nobody knows.
pub(super) struct Own {
    pub(super) took: Duration,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) identity: Result<CallerIdentity, SessionFailure>,
}

/// Gets the agent's own credentials and asks whose they are.
pub(super) async fn own(outside: &Outside, sessions: &Noted) -> Own {
    let begun = outside.seams.clock.now();
    let late = || {
        Err(SessionFailure {
            kind: SessionFailureKind::Failed,
            code: None,
            message: format!("no answer within {}", plain::span(STEP_MAX)),
        })
    };
    let credentials =
        within(outside, STEP_MAX, sessions.hub_credentials()).await.unwrap_or_else(late_credentials);
    let (expires_at, identity) = match credentials {
        Ok(credentials) => {
            let expires_at = credentials.expires_at;
            let asked = within(outside, STEP_MAX, sessions.caller_identity(credentials)).await;
            (expires_at, asked.unwrap_or_else(late))
        }
        Err(failure) => (None, Err(failure)),
    };
    Own { took: outside.seams.clock.now().since(begun), expires_at, identity }
}

fn late_credentials() -> Result<SessionCredentials, SessionFailure> {
    Err(SessionFailure {
        kind: SessionFailureKind::NoHubCredentials,
        code: None,
        message: format!("the source of the credentials did not answer within {}", plain::span(STEP_MAX)),
    })
}

/// Why there is no session, as the doctor tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) refusal: AssumeRoleRefusal,
    pub(super) evidence: Vec<String>,
}

impl Refused {
    fn of(failure: &SessionFailure, reason: Reason, has_external_id: bool) -> Self {
        Self { reason, refusal: explain_failure(failure, has_external_id), evidence: vec![said(failure)] }
    }
}

/// Code and message, exactly as STS wrote them but for tokens.
fn said(failure: &SessionFailure) -> String {
    let message = plain::line(&failure.message);
    failure
        .code
        .as_deref()
        .map_or_else(|| message.clone(), |code| format!("{}: {message}", plain::line(code)))
}

/// The step that shows who the agent is.
pub(super) fn own_step(
    own: &Own,
    source: Option<&str>,
    configured: Option<&str>,
    now: SystemTime,
) -> (Walked, Option<Refused>) {
    let mut findings = Vec::new();
    let mut refused = None;
    match &own.identity {
        Ok(identity) => {
            findings.push(Finding::new("account", plain::line(&identity.account)));
            findings.push(Finding::new("arn", plain::line(&identity.arn)));
            if let Some(role) = configured {
                let name = role.rsplit('/').next().unwrap_or(role);
                if !identity.arn.contains(&format!(":assumed-role/{name}/")) {
                    findings.push(Finding::warning("arn", format!("hub.role_arn says {role}")));
                }
            }
        }
        Err(failure) => {
            findings.push(Finding::warning("said", said(failure)));
            let reason = match failure.kind {
                SessionFailureKind::NoHubCredentials => Reason::NoHubCredentials,
                SessionFailureKind::Denied => Reason::AssumeRoleDenied,
                _ => Reason::AssumeRoleFailed,
            };
            refused = Some(Refused::of(failure, reason, false));
        }
    }
    if let Some(source) = source {
        findings.push(Finding::new("source", source));
    }
    if let Some(expires_at) = own.expires_at {
        findings.push(match expires_at.duration_since(now) {
            Ok(left) => {
                let end = plain::moment(expires_at);
                Finding::new("ends", format!("{end}, in {}", plain::span(left)))
            }
            Err(_) => Finding::warning("ends", format!("ended {}", plain::moment(expires_at))),
        });
    }
    let stop = refused.as_ref().map(as_stop);
    (walked(Step::Identity, own.took, findings, stop), refused)
}

/// The step that shows the role's session. `held` is what the store has of it.
pub(super) fn role_step(
    role: &RoleSession,
    asked: &[Asked],
    held: Result<Option<SystemTime>, NoSession>,
    chained: bool,
    now: SystemTime,
) -> (Walked, Option<Refused>) {
    let mut findings = vec![
        Finding::new("role", role.role_arn.to_string()),
        Finding::new("session_name", role.session_name.clone()),
        Finding::new(
            "external_id",
            match &role.external_id {
                // Display shows `***` for one from the environment.
                Some(id) => id.to_string(),
                None => "none is sent".into(),
            },
        ),
    ];
    if chained {
        findings.push(Finding::new(
            "chaining",
            "the agent's own credentials are a role's session, so STS gives an hour at most",
        ));
    }
    for call in asked {
        let what = format!("asked for {}: ", plain::span(call.duration));
        findings.push(match &call.result {
            Ok(_) => Finding::new("sts", format!("{what}given in {}", plain::span(call.took))),
            Err(failure) => Finding::warning("sts", format!("{what}{}", said(failure))),
        });
    }
    let mut refused = None;
    match held {
        Ok(expires_at) => {
            if let Some(end) = expires_at {
                let left = end.duration_since(now).unwrap_or_default();
                findings
                    .push(Finding::new("ends", format!("{}, in {}", plain::moment(end), plain::span(left))));
            }
        }
        Err(absent) => {
            let failure = asked.iter().rev().find_map(|call| call.result.as_ref().err().cloned());
            let failure = failure.unwrap_or_else(|| SessionFailure {
                kind: SessionFailureKind::Failed,
                code: None,
                message: absent
                    .message
                    .clone()
                    .unwrap_or_else(|| format!("no answer within {}", plain::span(STEP_MAX))),
            });
            // The store speaks of what it has, before its first answer of nothing but an ended session.
            let reason = match absent.reason {
                Reason::CredentialsExpired => Reason::AssumeRoleFailed,
                reason => reason,
            };
            let mut found = Refused::of(&failure, reason, role.external_id.is_some());
            if let Some(refusal) = absent.refusal {
                found.refusal = refusal;
            }
            findings.push(Finding::warning("meaning", found.refusal.meaning));
            refused = Some(found);
        }
    }
    let took = asked.iter().map(|call| call.took).sum();
    let stop = refused.as_ref().map(as_stop);
    (walked(Step::AssumeRole, took, findings, stop), refused)
}

fn as_stop(refused: &Refused) -> Stop {
    Stop { reason: refused.reason, evidence: refused.evidence.clone(), passable: false }
}
