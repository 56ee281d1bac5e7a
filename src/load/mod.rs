//! Load runs: a probe driven at a set rate, in an open model, watched by guards.
//!
//! ```text
//! settings  what a run is told        report  what a run tells
//! ```

mod report;
mod settings;

pub use report::{Ended, Report};
pub use settings::{Guards, Settings};
