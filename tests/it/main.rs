//! The one integration test crate: each module is a story from the outside.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

mod config_files;
