//! Does the NDVI service behave as its clients were told, seen from outside?
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test panics"
)]

mod auth;
mod bench;
mod contract;
mod dialects;
mod geotiff;
mod golden;
mod ingestion;
mod lifecycle;
mod offset;
mod reads;
mod reference;
mod scenery;
mod search;
