//! What twins have found out about a target, kept for people and scrapes.
//!
//! Here they are plain values; who makes them, and when they fall, is not recording's affair.

use crate::domain::outcome::Reason;
use std::time::SystemTime;

/// What twin attempts taught about a target's refusals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDiagnosis {
    /// The reason that later refusals of the same wording take.
    pub reason: Reason,
    /// When it was made.
    pub since: SystemTime,
    /// When a round of twins said so last.
    pub confirmed_at: SystemTime,
    /// What it rests on, closed words.
    pub because: Vec<&'static str>,
    /// What may be at fault, closed words, the likelier first.
    pub suspects: Vec<&'static str>,
}

/// How far a twin attempt got: what a server that counts requests needs to be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TwinEnd {
    /// It was answered.
    Answered,
    /// It was cut off; whether its request was read, only the far side knows.
    CutOff,
    /// Its request reached nobody.
    Unreached,
}

/// Twin attempts of a target by how far they got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TwinCounts {
    /// Answered.
    pub answered: u64,
    /// Cut off before or after the request was read; quick retries among them.
    pub cut_off: u64,
    /// All that were sent.
    pub sent: u64,
}
