//! What a load run came to, in one word and its reasons.

use super::figures::{count, duration, limit, percent};
use crate::domain::load::Guard;
use crate::load::{Ended, Report};
use serde::Serialize;

/// The verdict. It is as expected only when all that was asked for was done: every stage driven, every arrival
/// made, every attempt ended as configured. Guards say when to stop a run, not what is good enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    pub(super) expected: bool,
    /// What was not as expected, the gravest first.
    pub(super) because: Vec<String>,
}

pub(super) fn of(report: &Report, unexpected: u64) -> Verdict {
    let record = &report.record;
    let mut because = Vec::new();
    if let Ended::Stopped { guard, after, measured, allowed } = report.ended {
        let mut why = stopped(guard, after.as_secs_f64(), measured, allowed);
        if let Some(who) = report.asked_by {
            why.push_str(": ");
            why.push_str(who);
        }
        because.push(why);
    }
    if record.due == 0 {
        because.push("no arrival became due".to_owned());
    }
    let judged: u64 = record.results.iter().map(|result| result.count).sum();
    let mut add = |number: u64, of: u64, what: &str| {
        if number > 0 {
            because.push(format!("{} {what} ({})", count(number), percent(number, of)));
        }
    };
    add(unexpected, judged, "attempts did not end as expected");
    add(record.missed(), record.due, "arrivals were missed");
    add(record.aborted, record.sent, "attempts were cut off");
    Verdict { expected: because.is_empty(), because }
}

/// Why a run was stopped, as a sentence without its full stop.
pub(super) fn stopped(guard: Guard, after_seconds: f64, measured: f64, allowed: f64) -> String {
    let after = duration(after_seconds);
    let [seen, most] = [measured, allowed].map(|number| limit(guard.as_str(), number));
    match guard {
        Guard::Requested => format!("stopped on request after {after}"),
        Guard::Ceiling => format!("stopped after {after} at a ceiling of the configuration"),
        Guard::P99 => format!("stopped by the guard p99 after {after}: {seen} where {most} is allowed"),
        Guard::Errors | Guard::Throttled | Guard::Missed => {
            format!("stopped by the guard {guard} after {after}: {seen} where {most} is allowed")
        }
    }
}
