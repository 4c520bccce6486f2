//! What gateways share through Redis, and what each keeps for itself: real servers, the gateway's
//! own types, one file a concern.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the tests measure the real clock from outside the gateway"
)]

mod fixtures;

mod connection;
mod nonces;
mod purges;
mod quotas;
mod revocations;
