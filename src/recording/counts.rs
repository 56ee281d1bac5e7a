//! The books of one target, and the law they obey: due = results + missed + waiting + in flight.

use crate::domain::observation::MissCause;
use crate::domain::outcome::Reason;
use crate::domain::target::TargetId;
use crate::recording::diagnosis::TwinCounts;

/// Everything counted of one target, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Attempts that became due.
    pub due: u64,
    /// Attempts that ended, by result; sets seen, and those that begin at zero.
    pub results: Vec<ResultCount>,
    /// Due attempts that were never made, in the order of `MissCause::ALL`.
    pub missed: [u64; MissCause::ALL.len()],
    /// Attempts that have their permit and have not ended. Negative only if the caller's calls do not pair.
    pub in_flight: i64,
    /// Attempts that are due and have neither a permit nor an end. Negative only if calls do not pair.
    pub waiting: i64,
    /// Quick retries within attempts; a server may have read the first try as well.
    pub retries: u64,
    /// Attempts made only to explain a refusal; in none of the other counts.
    pub twins: TwinCounts,
}

/// How often a target ended in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultCount {
    /// The status code; `None` where there was no answer.
    pub code: Option<u16>,
    /// Why; the outcome follows from it.
    pub reason: Reason,
    /// How often.
    pub count: u64,
}

impl Counts {
    /// Attempts that ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.results.iter().map(|result| result.count).sum()
    }

    /// Due attempts that were never made.
    #[must_use]
    pub fn missed_total(&self) -> u64 {
        self.missed.iter().sum()
    }

    /// The attempts missed for one cause.
    #[must_use]
    pub fn missed_by(&self, cause: MissCause) -> u64 {
        MissCause::ALL.iter().zip(self.missed).filter(|(each, _)| **each == cause).map(|(_, n)| n).sum()
    }

    /// The attempts that had no permit: missed for it, or given up after waiting.
    #[must_use]
    pub fn overloaded(&self) -> u64 {
        let given_up = self.results.iter().filter(|result| result.reason == Reason::Overloaded);
        self.missed_by(MissCause::Overloaded) + given_up.map(|result| result.count).sum::<u64>()
    }

    /// True while the books balance: `due` counted apart equals everything that became of it.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        let Ok(open) = u64::try_from(self.in_flight.saturating_add(self.waiting)) else { return false };
        self.in_flight >= 0 && self.waiting >= 0 && self.due == self.ended() + self.missed_total() + open
    }
}

/// A target whose books do not balance; always a defect of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imbalance {
    /// The target.
    pub target: TargetId,
    /// Its books.
    pub counts: Counts,
}
