//! What runs beside the requests?

pub mod lifecycle;
pub mod prewarm;
