//! The faces of a load report.
//!
//! ```text
//! document  the JSON report and what text and page are written from      measured  from distributions to numbers
//! verdict   what the run came to                                         figures   numbers as people read them
//! text      the report for a terminal      html  the page with its plots      progress  the lines of a running load
//! baseline  the comparison with an earlier JSON report
//! ```

#![allow(
    dead_code,
    unused_imports,
    reason = "the command that joins the faces comes next and takes this line away"
)]

mod baseline;
mod document;
mod figures;
mod html;
mod measured;
mod progress;
#[cfg(test)]
mod tests;
mod text;
mod verdict;

pub(in crate::cli) use baseline::{Baseline, Tolerance};
pub(in crate::cli) use document::Document;
pub(in crate::cli) use progress::{Drawer, Progress};
