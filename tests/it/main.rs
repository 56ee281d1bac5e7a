//! The one integration crate. Every file in this folder is a module of it; `tidy` checks that none is
//! forgotten.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod config_files;
mod isolation;
mod readme;
mod tidy;
