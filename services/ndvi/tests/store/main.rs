//! Does the store keep what it is given, in whichever database?
//!
//! Every test of `samples`, `fields`, `observations` and `jobs` runs on each database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test panics"
)]

mod bench;
mod fields;
mod jobs;
mod observations;
mod opening;
mod samples;
