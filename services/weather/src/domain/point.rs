//! What is a point whose weather is fetched before anybody asks?

use std::time::SystemTime;

use crate::domain::place::{Cell, Zone};

/// A registered place. Fields that lie in one cell are one point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Where.
    pub cell: Cell,
    /// In whose calendar.
    pub zone: Zone,
}

/// A registered place and how fetching for it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointState {
    /// The place.
    pub point: Point,
    /// When all its answers were last fetched.
    pub last_ok: Option<SystemTime>,
    /// Why the newest attempt failed; `None` when it did not.
    pub last_error: Option<String>,
}
