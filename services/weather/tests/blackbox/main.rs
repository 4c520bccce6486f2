//! Does the weather service behave as its clients were told, seen from outside?
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test panics"
)]

mod bench;
mod budget;
mod contract;
mod database;
mod durability;
mod freshness;
mod hosts;
mod lifecycle;
mod power;
mod provider;
mod warm;
