//! What does a reading of the clock say in the calendar's terms?

use chassis::clock::Now;
use jiff::Timestamp;

/// The instant of a reading. A clock that says more than the calendar has counts as its last
/// instant.
#[must_use]
pub fn instant(now: Now) -> Timestamp {
    Timestamp::try_from(now.wall).unwrap_or(Timestamp::MAX)
}
