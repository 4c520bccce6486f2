//! What is weather: places, days, units and what follows from them. Nothing here does I/O.

pub mod ask;
pub mod day;
pub mod place;
pub mod point;
pub mod report;
pub mod units;
pub mod week;
