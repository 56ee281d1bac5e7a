//! One request from due time to `Observation`: address, sign, send, classify.
//!
//! It does not know why the attempt is made now nor when the next one follows. It never fails: what goes
//! wrong is the observation's verdict.

mod correlation;
mod prepared;

pub use prepared::{AddressedTarget, PreparedTarget, PreparingProblem};

use crate::classify::{self, Classified, Lesson, Wording};
use crate::credentials::{NoSession, Session};
use crate::domain::moment::Moment;
use crate::domain::observation::{Observation, RequestIds, Verdict};
use crate::domain::outcome::{Outcome, Reason};
use crate::domain::request::{Exchange, OutgoingRequest, SendOptions};
use crate::domain::secret::Secret;
use crate::domain::target::Target;
use crate::explain::AssumeRoleRefusal;
use crate::seams::{Clock, Transport};
use crate::signing::{SigningProblem, SigningScope, sign_request};
use correlation::TraceIds;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::SystemTime;

/// Makes attempts. Cheap to share.
pub struct Attempter {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    scope: SigningScope,
    trace_ids: TraceIds,
}

/// An observation together with the exchange it was made from, for commands that show the answer.
pub struct Attempted {
    /// What was learnt.
    pub observation: Observation,
    /// The answer itself; `None` when nothing was sent.
    pub exchange: Option<Exchange>,
    /// The secret header values that were sent: the session token, the signature, what the environment gave.
    /// The gateway echoes signed headers in its complaints and a backend may echo any, so whoever shows the
    /// answer must take them out.
    pub sent_secrets: Vec<Secret>,
    /// The request as it went out, where it was asked to be kept.
    pub sent: Option<OutgoingRequest>,
    /// What STS meant by its refusal, where that is why nothing was sent.
    pub refusal: Option<AssumeRoleRefusal>,
    /// The wording of a refusal or failure that the gateway itself wrote.
    pub wording: Option<Wording>,
}

impl Attempter {
    /// Makes attempts through `transport`, signed for `scope`.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>, scope: SigningScope) -> Self {
        Self { transport, clock, scope, trace_ids: TraceIds::default() }
    }

    /// Makes one attempt that became due at `due`.
    pub async fn attempt(&self, prepared: &PreparedTarget, due: Moment) -> Observation {
        let (request, marks) = match self.ready(prepared, due) {
            Ok(ready) => ready,
            Err(refused) => return self.unsent(prepared.target(), due, refused.reason, refused.message),
        };
        // Not by way of `make`: at a high rate it tells what is carried from hand to hand only to be dropped.
        let exchange = self.send(prepared, request).await;
        self.observed(prepared, due, &exchange, marks, None).0
    }

    /// Makes one attempt and keeps the answer.
    pub async fn attempt_and_keep(&self, prepared: &PreparedTarget, due: Moment) -> Attempted {
        self.make(prepared, due, None, true).await
    }

    /// The same, judged with what an earlier diagnosis taught about the target's refusals, and without the
    /// secrets that were sent.
    pub async fn attempt_informed(
        &self,
        prepared: &PreparedTarget,
        due: Moment,
        lesson: Option<Lesson>,
    ) -> Attempted {
        self.make(prepared, due, lesson, false).await
    }

    async fn make(
        &self,
        prepared: &PreparedTarget,
        due: Moment,
        lesson: Option<Lesson>,
        keep_secrets: bool,
    ) -> Attempted {
        let (request, marks) = match self.ready(prepared, due) {
            Ok(ready) => ready,
            Err(Refused { reason, message, refusal }) => {
                let observation = self.unsent(prepared.target(), due, reason, message);
                return Attempted {
                    observation,
                    exchange: None,
                    sent_secrets: Vec::new(),
                    sent: None,
                    refusal,
                    wording: None,
                };
            }
        };
        let sent_secrets = if keep_secrets {
            let configured = prepared.target().request.secrets().map(Secret::new);
            secrets_of(&request).into_iter().chain(configured).collect()
        } else {
            Vec::new()
        };
        let sent = keep_secrets.then(|| request.clone());
        let exchange = self.send(prepared, request).await;
        let (observation, wording) = self.observed(prepared, due, &exchange, marks, lesson);
        Attempted { observation, exchange: Some(exchange), sent_secrets, sent, refusal: None, wording }
    }

    /// The request, signed and marked.
    fn ready(&self, prepared: &PreparedTarget, due: Moment) -> Result<(OutgoingRequest, Marks), Refused> {
        // Read when sending, not when due: a signature is valid from its own second on.
        let at = self.clock.wall();
        let mut request = self.signed(prepared, at)?;
        let attempt = (&prepared.target().id, due, at);
        let trace_id = self.trace_ids.mark(&mut request, prepared.user_agent(), attempt);
        let header_bytes = request.header_value_bytes();
        Ok((request, Marks { trace_id, header_bytes }))
    }

    fn send(&self, prepared: &PreparedTarget, request: OutgoingRequest) -> BoxFuture<'_, Exchange> {
        let target = prepared.target();
        let options = SendOptions { timeout: target.timeout, fresh_connection: target.fresh_connection };
        self.transport.send(request, Arc::clone(&prepared.address().connect), options)
    }

    fn observed(
        &self,
        prepared: &PreparedTarget,
        due: Moment,
        exchange: &Exchange,
        marks: Marks,
        lesson: Option<Lesson>,
    ) -> (Observation, Option<Wording>) {
        let context = classify::Context {
            target: prepared.target(),
            due,
            same_account: prepared.same_account(),
            positive_control_ok: prepared.positive_control_ok(),
            received_at: self.clock.wall(),
            lesson,
            hidden: prepared.hidden(),
        };
        let mut classified = classify::classify(exchange, &context);
        classified.ids.sent_trace_id = marks.trace_id;
        let signed_header_bytes = prepared.is_signed().then_some(marks.header_bytes);
        let wording = classified.wording;
        (observation(due, exchange, classified, &context, signed_header_bytes), wording)
    }

    /// The observation of an attempt that was never sent.
    #[must_use]
    pub fn unsent(
        &self,
        target: &Target,
        due: Moment,
        reason: Reason,
        message: Option<String>,
    ) -> Observation {
        not_sent(due, self.clock.now(), self.clock.wall(), classify::unsent(reason, message, target))
    }

    fn signed(&self, prepared: &PreparedTarget, at: SystemTime) -> Result<OutgoingRequest, Refused> {
        let Some(Session { credentials, version }) = prepared.session()? else {
            return Ok(OutgoingRequest::unsigned(prepared.request().clone()));
        };
        let sign = || sign_request(prepared.request().clone(), &self.scope, &credentials, at);
        Ok(match prepared.slot() {
            Some(slot) => slot.get_or_sign(version, at, sign)?,
            None => sign()?,
        })
    }
}

/// The values that were marked as sensitive when they were set: by `signing`, or because they came from the
/// environment. The date of a signature is among the former and no secret.
fn secrets_of(request: &OutgoingRequest) -> Vec<Secret> {
    let sensitive =
        request.headers.iter().filter(|(name, value)| value.is_sensitive() && *name != "x-amz-date");
    sensitive.filter_map(|(_, value)| value.to_str().ok()).map(Secret::new).collect()
}

/// What is remembered of a request that is on its way.
struct Marks {
    trace_id: Option<String>,
    header_bytes: usize,
}

struct Refused {
    reason: Reason,
    message: Option<String>,
    refusal: Option<AssumeRoleRefusal>,
}

impl From<NoSession> for Refused {
    fn from(no_session: NoSession) -> Self {
        let NoSession { reason, message, refusal } = no_session;
        Self { reason, message, refusal }
    }
}

impl From<SigningProblem> for Refused {
    /// A checked configuration cannot get here. If it does, nothing that was written to the far side is at
    /// fault, and `credentials_expired` would be a lie: what cannot be signed has no usable session.
    fn from(problem: SigningProblem) -> Self {
        Self { reason: Reason::AssumeRoleFailed, message: Some(problem.to_string()), refusal: None }
    }
}

fn observation(
    due: Moment,
    exchange: &Exchange,
    classified: Classified,
    context: &classify::Context<'_>,
    signed_header_bytes: Option<usize>,
) -> Observation {
    Observation {
        due,
        // Without a file for a connection nothing was sent.
        sent: (classified.verdict.reason.outcome() != Outcome::Unsent).then_some(exchange.sent),
        first_byte: exchange.first_byte,
        done: exchange.done,
        done_at: context.received_at,
        code: classified.code,
        verdict: classified.verdict,
        ids: classified.ids,
        retries: exchange.retries,
        truncated: classified.truncated,
        peer: exchange.peer,
        body: classified.body,
        signed_header_bytes,
        clock_skew_seconds: classified.clock_skew_seconds,
    }
}

fn not_sent(due: Moment, done: Moment, done_at: SystemTime, verdict: Verdict) -> Observation {
    Observation {
        due,
        sent: None,
        first_byte: None,
        done,
        done_at,
        code: None,
        verdict,
        ids: RequestIds::default(),
        retries: 0,
        truncated: false,
        peer: None,
        body: None,
        signed_header_bytes: None,
        clock_skew_seconds: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credentials::SessionCredentials;
    use crate::domain::request::HttpRequest;
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, Method};
    use std::time::UNIX_EPOCH;

    #[test]
    fn the_token_and_what_the_environment_gave_are_known_as_secrets() {
        let mut headers = HeaderMap::new();
        headers.insert("x-open", HeaderValue::from_static("shown"));
        let mut key = HeaderValue::from_static("from-outside");
        key.set_sensitive(true);
        headers.insert("x-key", key);
        let request = HttpRequest {
            method: Method::GET,
            host: "a.test".into(),
            path_and_query: "/".into(),
            headers,
            body: Bytes::new(),
        };
        let credentials = SessionCredentials {
            access_key_id: "ASIAEXAMPLE".into(),
            secret_access_key: Secret::new("never-sent"),
            session_token: Some(Secret::new("the-token")),
            expires_at: None,
        };
        let scope = SigningScope::execute_api("eu-west-1".parse().unwrap());
        let signed = sign_request(request, &scope, &credentials, UNIX_EPOCH).unwrap();
        let secrets = secrets_of(&signed);
        let mut exposed: Vec<&str> = secrets.iter().map(Secret::expose).collect();
        exposed.retain(|secret| !secret.starts_with("AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE"));
        exposed.sort_unstable();
        assert_eq!((exposed, secrets.len()), (vec!["from-outside", "the-token"], 3));
    }
}
