//! The real gateway, asked from outside: one file a concern, each test a sentence.
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

mod auth;
mod budget;
mod cache;
mod catalog;
mod check;
mod codings;
mod collapse;
mod disk;
mod envelope;
mod environment;
mod failover;
mod faults;
mod hostile;
mod integration;
mod internal;
mod issuers;
mod keys;
mod limits;
mod observe;
mod protocols;
mod purge;
mod quotas;
mod refresh;
mod refusals;
mod reload;
mod services;
mod shared;
mod shutdown;
mod signing;
mod standard;
mod tls;
mod warmth;
