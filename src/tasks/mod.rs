//! What runs beside the requests?

pub mod keeper;
pub mod lifecycle;
pub mod prewarm;
mod round;
