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
mod database;
mod dialects;
mod farm;
mod fields;

mod geotiff;
mod golden;
mod ingestion;
mod jobs;
mod jobs_survive;
mod lifecycle;
mod offset;
mod openapi;
mod rasters;
mod reads;
mod reference;
mod samples_survive;
mod scenery;
mod search;
mod series;
