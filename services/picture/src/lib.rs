//! How do fields and their weather look? Pure: numbers go in, the bytes of a picture come out.
//!
//! | Module | Answers |
//! | --- | --- |
//! | [`raster`] | What does a field look like from above? A PNG |
//! | [`chart`] | How did values change over time? An SVG |
//!
//! The same numbers always make the same bytes, so that a hash of them can name a picture. What
//! is missing is shown as missing: transparent in a raster, a gap in a chart.

pub mod chart;
pub mod raster;
mod ticks;
