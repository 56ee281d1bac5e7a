//! From an answer to an outcome: who refused or failed, and whether that is what was asked for.
//!
//! Pure: an `Exchange` of `transport` and a `Target` go in, a `Classified` for the `Observation` comes out.
//! `answer` reads the marks on an answer, `error_types` and `denials` hold the tables that give reasons,
//! `expectation` compares with what was asked, and `scrub` cleans every text that is kept. `narrowing` says what
//! follows for a vague reason from further answers; `wording` finds the same refusal again, so that what was
//! learnt about it can be used.
//!
//! The order is: marks of CloudFront, then the gateway's ids, then headers renamed by the gateway, then the
//! error type with its message, then the status. What a text cannot decide gets a vague reason.

mod answer;
mod denials;
mod error_types;
mod expectation;
pub mod narrowing;
#[cfg(test)]
mod tests;
mod wording;

pub use crate::domain::scrub::{MESSAGE_CHARS_MAX, scrub};
pub use wording::{Lesson, Wording};

use crate::domain::hidden::Hidden;
use crate::domain::moment::Moment;
use crate::domain::observation::{BodyDigest, RequestIds, Verdict};
use crate::domain::outcome::Reason;
use crate::domain::request::{Exchange, Response};
use crate::domain::target::Target;
use answer::Answer;
use expectation::{Asked, Judgement};
use std::time::SystemTime;

/// What is known about an attempt beside its answer.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What was tried, and what is expected.
    pub target: &'a Target,
    /// When the attempt was due.
    pub due: Moment,
    /// Whether the signing role and the api are of one account; `None` where that is not known, and for
    /// anonymous calls.
    pub same_account: Option<bool>,
    /// For an anonymous guard: whether the last attempt of its positive control was `ok`.
    pub positive_control_ok: bool,
    /// When the answer was there, by our wall clock.
    pub received_at: SystemTime,
    /// What an earlier diagnosis taught about the target's refusals.
    pub lesson: Option<Lesson>,
    /// What was sent and must not be shown when it is said back.
    pub hidden: &'a Hidden,
}

impl Context<'_> {
    fn shown(&self, text: &str) -> String {
        scrub(&self.hidden.taken_out_of(text))
    }
}

/// An exchange, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Classified {
    /// The status code, 100 to 599; `None` without an answer.
    pub code: Option<u16>,
    /// The judgement.
    pub verdict: Verdict,
    /// The marks of AWS on the answer.
    pub ids: RequestIds,
    /// Length and hash of the body of an answer that is not as expected and has no message of its own.
    pub body: Option<BodyDigest>,
    /// The gateway's `Date` minus our clock in seconds, up to a second coarse; positive when our clock is
    /// behind. Only from an answer with the gateway's ids.
    pub clock_skew_seconds: Option<f64>,
    /// True when the answer was longer than the read limit; it is judged by what was read.
    pub truncated: bool,
    /// The wording of a refusal or failure that the gateway itself wrote.
    pub wording: Option<Wording>,
}

/// Judges one exchange.
#[must_use]
pub fn classify(exchange: &Exchange, context: &Context<'_>) -> Classified {
    let response = match &exchange.result {
        Ok(response) => response,
        Err(failure) => {
            return without_answer(failure.kind.reason(), Some(context.shown(&failure.detail)));
        }
    };
    if !(100..=599).contains(&response.status) {
        let message = format!("the status {} is none of HTTP", response.status);
        return without_answer(Reason::Protocol, Some(message));
    }
    judge(response, exchange.done, context)
}

/// The verdict over an attempt that was never sent. It is never as expected, also for a guard: a request that
/// nobody saw proves nothing about a door, whatever the target asks for. (`overloaded` leaves `up` and its
/// like untouched; that is the affair of `recording`.)
#[must_use]
pub fn unsent(reason: Reason, message: Option<String>, _target: &Target) -> Verdict {
    verdict(Judgement::unexpected(reason), message.map(|message| scrub(&message)), None)
}

fn judge(response: &Response, done: Moment, context: &Context<'_>) -> Classified {
    let answer = Answer::read(response);
    let target = context.target;
    let asked = Asked {
        expectation: &target.expectation,
        signer: &target.signer,
        positive_control_ok: context.positive_control_ok,
        answer: &answer,
        response_time: done.since(context.due),
    };
    let mut wording = None;
    let verdict = match read(&answer, target, context.same_account) {
        Reading::Stranger(reason) => verdict(Judgement::unexpected(reason), None, None),
        Reading::Gateway { reason, message, policy_arn } => {
            let error_type = answer.error_type.as_deref().unwrap_or_default();
            let found = Wording::of(response.status, error_type, message.as_deref(), reason);
            wording = Some(found);
            // Judged by what is known of such a refusal, so that a guard goes by the layer that refused.
            let reason = found.informed(context.lesson);
            let policy_arn = policy_arn.map(|arn| context.hidden.taken_out_of(&arn));
            verdict(asked.by_gateway(reason), message.map(|message| context.shown(&message)), policy_arn)
        }
        Reading::Through(by_status) => verdict(asked.through(by_status), None, None),
    };
    let body = (!verdict.expected && verdict.message.is_none()).then(|| answer.body_digest());
    Classified {
        code: Some(response.status),
        verdict,
        body,
        clock_skew_seconds: answer.clock_skew_seconds(context.received_at),
        truncated: response.truncated,
        wording,
        ids: answer.ids.without(context.hidden),
    }
}

/// Who answered, and what that alone says.
enum Reading {
    /// Not API Gateway, or not on the private path.
    Stranger(Reason),
    /// The gateway itself, by its error type.
    Gateway { reason: Reason, message: Option<String>, policy_arn: Option<String> },
    /// The integration, or a gateway response that an API owner replaced: the two cannot be told apart
    /// (API Gateway developer guide, "Gateway responses"). The reason is what the status says, if anything.
    Through(Option<Reason>),
}

fn read(answer: &Answer<'_>, target: &Target, same_account: Option<bool>) -> Reading {
    if answer.has_cloudfront_marks() {
        return Reading::Stranger(Reason::NotPrivate);
    }
    // The gateway puts an id on every answer, its refusals included, so an error type without one is somebody
    // else's and proves neither a refusal nor a closed door.
    if !answer.has_gateway_ids() {
        return Reading::Stranger(Reason::NotApiGateway);
    }
    let status = answer.response.status;
    // Where the integration answered, an error type is the integration's own and says nothing of the path.
    let integration_answered = answer.is_remapped();
    if !integration_answered && let Some(error_type) = &answer.error_type {
        let message = answer.message();
        if let Some(reason) = error_types::reason(error_types::ROWS, error_type, message.as_deref(), status) {
            return Reading::Gateway { reason, message, policy_arn: None };
        }
        // A backend that hands on what another service or another api told *it* says nothing of this call's policies:
        // it was let in.
        let handed_on =
            message.as_deref().is_some_and(|message| denials::is_of_another(message, &target.api));
        if error_type == error_types::ACCESS_DENIED && !handed_on {
            let denial = denials::read(denials::TYPES, message.as_deref(), same_account);
            return Reading::Gateway { reason: denial.reason, message, policy_arn: denial.policy_arn };
        }
        // An unknown error type is read like none, and so is one that was handed on: by status.
    }
    Reading::Through(match status {
        // The gateway sends these three without an error type as well. What it sends for too many bytes of
        // headers is unconfirmed, so no other status is read as its own.
        413 | 414 if !integration_answered => Some(Reason::TooLarge),
        429 if !integration_answered => Some(Reason::Rate),
        400.. => Some(Reason::BackendStatus),
        _ => None,
    })
}

fn without_answer(reason: Reason, message: Option<String>) -> Classified {
    Classified {
        code: None,
        verdict: verdict(Judgement::unexpected(reason), message, None),
        ids: RequestIds::default(),
        body: None,
        clock_skew_seconds: None,
        truncated: false,
        wording: None,
    }
}

fn verdict(judgement: Judgement, message: Option<String>, policy_arn: Option<String>) -> Verdict {
    let Judgement { reason, expected, door, unconfirmed } = judgement;
    let message = message.filter(|message| !message.is_empty());
    Verdict { reason, expected, door, unconfirmed, message, policy_arn }
}
