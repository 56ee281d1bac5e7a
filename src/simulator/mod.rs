//! A small AWS for demos, drills and tests.

pub mod policy;
