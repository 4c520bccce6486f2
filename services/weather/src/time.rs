//! What does the chassis's clock mean in the calendar?

use chassis::clock::Now;
use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::place::Zone;

/// The wall clock to the second; the epoch if the clock is beyond the calendar.
#[must_use]
pub fn timestamp(now: Now) -> Timestamp {
    Timestamp::from_second(now.unix_seconds()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The calendar day in `zone`.
#[must_use]
pub fn today(zone: &Zone, now: Now) -> Date {
    zone.day_of(timestamp(now))
}
