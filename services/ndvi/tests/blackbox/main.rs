//! Does the NDVI service behave as its clients were told, seen from outside?
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test panics"
)]

mod acknowledged;
mod auth;
mod bench;
mod contract;
mod database;
mod farm;
mod fields;
mod geotiff;
mod golden;
mod ingestion;
mod jobs;
mod killed;
mod lifecycle;
mod offset;
mod rasters;
mod reads;
mod scenery;
mod search;
mod series;
