//! `spokeprobe load`: one run by command, and the faces of its report.
//!
//! ```text
//! arguments the run that is asked for            command   makes it, from the session to the exit status
//! stopping  the signals that end it              dry_run   what would be sent
//! document  the JSON report and what text and page are written from      measured  from distributions to numbers
//! guards    what they allowed, the worst they saw                        figures   numbers as people read them
//! verdict   what the run came to      baseline   reads an earlier JSON report and judges; comparison  what came of it
//! text      the report for a terminal      html  the page with its plots      progress  the lines of a running load
//! ```
//!
//! Imports run one way: measured ◄ figures, guards ◄ comparison, verdict ◄ document ◄ baseline, progress, text ◄ html.

mod arguments;
mod baseline;
mod command;
mod comparison;
mod document;
mod dry_run;
mod figures;
mod guards;
mod html;
mod measured;
mod progress;
mod stopping;
#[cfg(test)]
mod tests;
mod text;
mod verdict;

pub(in crate::cli) use arguments::LoadArgs;
pub(in crate::cli) use command::load;

/// The JSON Schema of the report; `docs` has a copy.
pub(in crate::cli) const REPORT_SCHEMA: &str = include_str!("report.schema.json");
/// The JSON Schema of what a dry run prints; `docs` has a copy.
pub(in crate::cli) const DRY_RUN_SCHEMA: &str = include_str!("dry_run.schema.json");
