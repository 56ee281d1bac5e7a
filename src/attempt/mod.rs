//! One request from due time to `Observation`: address, sign, send, classify.
//!
//! It does not know why the attempt is made now nor when the next one follows. It never fails: what goes
//! wrong is the observation's verdict.

mod prepared;

pub use prepared::{PreparedTarget, PreparingProblem};

use crate::classify::{self, Classified, Lesson, Wording};
use crate::credentials::{NoSession, Session};
use crate::domain::moment::Moment;
use crate::domain::observation::{Observation, RequestIds, Verdict};
use crate::domain::outcome::Reason;
use crate::domain::request::{Exchange, OutgoingRequest, SendOptions};
use crate::domain::target::Target;
use crate::seams::{Clock, Transport};
use crate::signing::{SigningProblem, SigningScope, sign_request};
use std::sync::Arc;

/// Makes attempts. Cheap to share.
pub struct Attempter {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    scope: SigningScope,
}

/// An observation together with the exchange it was made from, for commands that show the answer.
pub struct Attempted {
    /// What was learnt.
    pub observation: Observation,
    /// The answer itself; `None` when nothing was sent.
    pub exchange: Option<Exchange>,
    /// The wording of a refusal or failure that the gateway itself wrote.
    pub wording: Option<Wording>,
}

impl Attempter {
    /// Makes attempts through `transport`, signed for `scope`.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>, scope: SigningScope) -> Self {
        Self { transport, clock, scope }
    }

    /// Makes one attempt that became due at `due`.
    pub async fn attempt(&self, prepared: &PreparedTarget, due: Moment) -> Observation {
        self.attempt_and_keep(prepared, due).await.observation
    }

    /// Makes one attempt and keeps the answer.
    pub async fn attempt_and_keep(&self, prepared: &PreparedTarget, due: Moment) -> Attempted {
        self.attempt_informed(prepared, due, None).await
    }

    /// The same, judged with what an earlier diagnosis taught about the target's refusals.
    pub async fn attempt_informed(
        &self,
        prepared: &PreparedTarget,
        due: Moment,
        lesson: Option<Lesson>,
    ) -> Attempted {
        let target = prepared.target();
        let request = match self.signed(prepared) {
            Ok(request) => request,
            Err(Refused { reason, message }) => {
                let observation = self.unsent(target, due, reason, message);
                return Attempted { observation, exchange: None, wording: None };
            }
        };
        let header_bytes = request.header_value_bytes();
        let options = SendOptions { timeout: target.timeout, fresh_connection: target.fresh_connection };
        let exchange = self.transport.send(request, Arc::clone(&prepared.address().connect), options).await;
        let context = classify::Context {
            target,
            due,
            same_account: prepared.same_account(),
            positive_control_ok: prepared.positive_control_ok(),
            received_at: self.clock.wall(),
            lesson,
        };
        let classified = classify::classify(&exchange, &context);
        let signed_header_bytes = prepared.is_signed().then_some(header_bytes);
        let wording = classified.wording;
        let observation = observation(due, &exchange, classified, &context, signed_header_bytes);
        Attempted { observation, exchange: Some(exchange), wording }
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

    fn signed(&self, prepared: &PreparedTarget) -> Result<OutgoingRequest, Refused> {
        let Some(Session { credentials, version }) = prepared.session()? else {
            return Ok(OutgoingRequest::unsigned(prepared.request().clone()));
        };
        // Read when sending, not when due: a signature is valid from its own second on.
        let at = self.clock.wall();
        Ok(prepared.slot().get_or_sign(version, at, || {
            sign_request(prepared.request().clone(), &self.scope, &credentials, at)
        })?)
    }
}

struct Refused {
    reason: Reason,
    message: Option<String>,
}

impl From<NoSession> for Refused {
    fn from(no_session: NoSession) -> Self {
        Self { reason: no_session.reason, message: no_session.message }
    }
}

impl From<SigningProblem> for Refused {
    /// A checked configuration cannot get here. If it does, nothing that was written to the far side is at
    /// fault, and `credentials_expired` would be a lie: what cannot be signed has no usable session.
    fn from(problem: SigningProblem) -> Self {
        Self { reason: Reason::AssumeRoleFailed, message: Some(problem.to_string()) }
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
        sent: Some(exchange.sent),
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

fn not_sent(due: Moment, done: Moment, done_at: std::time::SystemTime, verdict: Verdict) -> Observation {
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
