//! Words of load runs that the metrics, the report and the configuration share.

use std::fmt;

/// What can stop a load run before its planned end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Guard {
    /// Too large a share of the attempts ended otherwise than expected.
    Errors,
    /// Too large a share of the attempts was throttled.
    Throttled,
    /// The 99th percentile of the response time was too long.
    P99,
    /// Too large a share of the due attempts was missed.
    Missed,
    /// The run would exceed a ceiling of the agent or of an account.
    Ceiling,
    /// Somebody asked: a signal, the stop file, or the stop request over HTTP.
    Requested,
}

impl Guard {
    /// Every guard.
    pub const ALL: [Self; 6] =
        [Self::Errors, Self::Throttled, Self::P99, Self::Missed, Self::Ceiling, Self::Requested];

    /// The word in metrics, JSON and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Throttled => "throttled",
            Self::P99 => "p99",
            Self::Missed => "missed",
            Self::Ceiling => "ceiling",
            Self::Requested => "requested",
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
