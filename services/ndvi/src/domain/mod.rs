//! What is true about fields, pixels and vegetation, whatever stores or sends them?
//!
//! Nothing here reads a clock, a socket or a disk. The path of a number is: [`outline`] (what the
//! client drew) to [`utm`] (metres) to [`footprint`] (which pixels) to [`observation`] (what they
//! say, or [`raster`]: where they say it), with [`offset`] and [`cloud`] deciding what a stored
//! number means.

pub mod band;
pub mod buckets;
pub mod cloud;
pub mod cooldown;
pub mod coverage;
pub mod engine;
pub mod field;
pub mod footprint;
pub mod grid;
pub mod job;
pub mod observation;
pub mod offset;
pub mod outline;
pub mod percents;
pub mod raster;
pub mod retry;
pub mod sample;
pub mod scene;
pub mod seen;
pub mod statistics;
pub mod utm;
