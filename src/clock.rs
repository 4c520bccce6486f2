//! What time is it: the one place that reads the clock.
//!
//! Everything below the adapters takes a [`Now`] as an argument, so that a test can say what time
//! it is and a request sees one time from its first rule to its last.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time: for durations, deadlines and buckets.
    pub instant: Instant,
    /// Wall-clock time: for tokens, signatures and HTTP dates.
    pub wall: SystemTime,
}

impl Now {
    /// Reads both clocks.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn read() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }

    /// Seconds since the Unix epoch; 0 for a wall clock before 1970.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.wall
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
    }

    /// Milliseconds since the Unix epoch; 0 for a wall clock before 1970.
    #[must_use]
    pub fn unix_ms(self) -> u64 {
        self.wall
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }

    /// Both clocks moved forward by `by`.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self { instant: self.instant + by, wall: self.wall + by }
    }
}
