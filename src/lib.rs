//! spokeprobe: the prober in the hub of an AWS hub-and-spoke network.
//!
//! The modules in the order of their levels; each imports only from levels below (ARCHITECTURE.md holds the
//! table, `tests/it/tidy.rs` holds the modules to it).

// Level 0: values
pub mod domain;
pub mod yaml;
// Level 1: seams and pure parts
pub mod classify;
pub mod explain;
pub mod recording;
pub mod schedule;
pub mod seams;
pub mod signing;
// Level 2: homes of what touches the outside
pub mod credentials;
pub mod endpoint;
pub mod members;
pub mod simulator;
pub mod transport;
pub mod web;
// Level 3 to 5: one attempt, what it taught, many attempts
pub mod attempt;
pub mod diagnosis;
pub mod isolation;
pub mod load;
pub mod pacing;
// Level 6 and 7: from text to plan
pub mod config;
pub mod plan;
pub mod policy;
pub mod sources;
// Level 8 and 9: all together
pub mod app;
pub mod cli;
