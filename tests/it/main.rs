//! The one integration crate. Every file in this folder is a module of it; `tidy` checks that none is
//! forgotten.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod addressing;
mod answers;
mod both_ways;
mod cli;
mod cli_load;
mod clock_skew;
mod config_files;
mod conservation;
mod doctor;
mod documents;
mod endpoint_watch;
mod fairness;
mod faults;
mod hostile;
mod isolation;
mod load_keeper;
mod load_run;
mod load_stage;
mod loads;
mod overload;
mod pause;
mod plan_series;
mod policy;
mod policy_edits;
mod policy_sizes;
mod program;
mod readme;
mod reasons;
mod references;
mod reconcile;
mod reconcile_any;
mod reconcile_parts;
mod secrets;
mod signature_reuse;
mod simulated_day;
mod sockets;
mod stage;
mod sts_outage;
mod tidy;
mod trust_removed;
mod walked;
mod ward;
mod who_refused;
