//! What an attempt taught: the value that recording, status and commands read.

use crate::domain::hidden::Hidden;
use crate::domain::moment::Moment;
use crate::domain::outcome::{Outcome, Reason};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

/// The judgement over one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Why; the outcome follows from it.
    pub reason: Reason,
    /// Whether it is what the configuration asked for.
    pub expected: bool,
    /// What a guard learnt about its door; `None` for other probes and where there is no evidence.
    pub door: Option<Door>,
    /// True when a guard is satisfied by a vague reason that is merely compatible with the one it names.
    pub unconfirmed: bool,
    /// What the gateway or the transport said: at most 300 characters, scrubbed. Never a backend's body.
    pub message: Option<String>,
    /// The policy that the message names, if it names one.
    pub policy_arn: Option<String>,
}

impl Verdict {
    /// The outcome.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.reason.outcome()
    }
}

/// What a guard watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// What must be refused was refused.
    Closed,
    /// What must be refused was let in.
    Open,
}

/// The marks that find a request again in the logs of AWS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestIds {
    /// `x-amzn-RequestId`, at most 128 characters.
    pub request_id: Option<String>,
    /// `x-amz-apigw-id`, the extended request id, at most 128 characters.
    pub extended_request_id: Option<String>,
    /// `X-Amzn-Trace-Id` of the answer, at most 128 characters.
    pub trace_id: Option<String>,
    /// `X-Amzn-Trace-Id` as we sent it, at most 128 characters: there also when no answer came.
    pub sent_trace_id: Option<String>,
}

impl RequestIds {
    /// The ids without secrets: whoever answers writes them.
    #[must_use]
    pub fn without(self, hidden: &Hidden) -> Self {
        if hidden.is_empty() {
            return self;
        }
        let shown = |id: Option<String>| id.map(|id| hidden.taken_out_of(&id));
        Self {
            request_id: shown(self.request_id),
            extended_request_id: shown(self.extended_request_id),
            trace_id: shown(self.trace_id),
            sent_trace_id: self.sent_trace_id,
        }
    }
}

/// Length and hash of a backend's body: all that is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyDigest {
    /// The bytes that were read.
    pub bytes: usize,
    /// SHA-256 of them, in hexadecimal.
    pub sha256: String,
}

/// One attempt from due to verdict.
#[derive(Debug, Clone)]
pub struct Observation {
    /// When the attempt was due.
    pub due: Moment,
    /// When it was handed to the network; `None` for `unsent`.
    pub sent: Option<Moment>,
    /// When the head of the answer was there.
    pub first_byte: Option<Moment>,
    /// When it ended.
    pub done: Moment,
    /// When it ended, by wall clock.
    pub done_at: SystemTime,
    /// The status code of the answer, 100 to 599.
    pub code: Option<u16>,
    /// The judgement.
    pub verdict: Verdict,
    /// The marks of AWS on the answer.
    pub ids: RequestIds,
    /// Quick retries within the attempt.
    pub retries: u8,
    /// True when the answer was longer than the read limit.
    pub truncated: bool,
    /// The address that answered.
    pub peer: Option<SocketAddr>,
    /// Length and hash of the body, where a backend's answer was not as expected.
    pub body: Option<BodyDigest>,
    /// The bytes of the header values that were sent, for a signed request.
    pub signed_header_bytes: Option<usize>,
    /// The peer's `Date` minus our clock in seconds; positive when our clock is behind.
    pub clock_skew_seconds: Option<f64>,
}

impl Observation {
    /// From due to the last byte: what a caller would have waited.
    #[must_use]
    pub const fn response_time(&self) -> Duration {
        self.done.since(self.due)
    }

    /// From sent to the last byte: what the far side took. `None` for `unsent`.
    #[must_use]
    pub fn service_time(&self) -> Option<Duration> {
        self.sent.map(|sent| self.done.since(sent))
    }
}

/// Why a due attempt was never made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MissCause {
    /// The target's previous attempt was still running.
    Overrun,
    /// There was no permit for an arrival that never waits.
    Overloaded,
    /// The agent itself was held up past the arrival's time, so it was skipped.
    Paused,
}

impl MissCause {
    /// Every cause.
    pub const ALL: [Self; 3] = [Self::Overrun, Self::Overloaded, Self::Paused];

    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overrun => "overrun",
            Self::Overloaded => "overloaded",
            Self::Paused => "paused",
        }
    }
}

/// In what a twin attempt differs from the attempt it explains: in who signs, or in how it gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Twin {
    /// The same request, unsigned.
    Anonymous,
    /// The same request, signed by the agent's own credentials.
    Hub,
    /// The same request, signed by the spoke's role.
    Spoke,
    /// The same request under the same identity by another style of addressing.
    Addressing,
    /// Another configured path of the same api under the same identity.
    Path,
}

impl Twin {
    /// Every twin.
    pub const ALL: [Self; 5] = [Self::Anonymous, Self::Hub, Self::Spoke, Self::Addressing, Self::Path];

    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Hub => "hub",
            Self::Spoke => "spoke",
            Self::Addressing => "addressing",
            Self::Path => "path",
        }
    }
}
