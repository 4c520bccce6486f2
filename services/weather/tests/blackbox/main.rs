//! Does the weather service behave as its clients were told, seen from outside?
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test panics"
)]

mod auth;
mod auth_keys;
mod bench;
mod budget;
mod contract;
mod database;
mod durability;
mod freshness;
mod hosts;
mod lifecycle;
mod openapi;
mod power;
mod provider;
mod warm;
