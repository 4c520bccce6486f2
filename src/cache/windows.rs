//! From when until when may a stored answer be used?
//!
//! Freshness and age are those of RFC 9111, section 4.2; the time beyond freshness is that of
//! RFC 5861. All times are of the wall clock, which `Date` and `Expires` are of too.

use std::time::{Duration, SystemTime};

/// Longest stretch: beyond it only the time counts for which an answer may be stale.
const STRETCH_MAX: f64 = 1_000.0;

/// From when until when a stored answer may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// When the answer was fetched or last confirmed.
    pub stored_at: SystemTime,
    /// When it was made, as far as its `Date` and `Age` say: where its age is counted from.
    pub born_at: SystemTime,
    /// Until here it is fresh.
    pub fresh_until: SystemTime,
    /// Until here it is served while it is refreshed.
    pub stale_until: SystemTime,
    /// Until here it is served when the upstream fails.
    pub error_until: SystemTime,
    /// Whether it may be served stale at all, were a client to accept that.
    pub may_be_stale: bool,
}

/// How usable a stored answer is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Served as it is.
    Fresh,
    /// Served, and refreshed in the background.
    Stale,
    /// Served only when the upstream fails.
    StaleOnError,
    /// Served once the upstream has confirmed it.
    Expired,
}

/// For how long an answer may be used, once it is fresh no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grace {
    /// How much longer it is served while it is refreshed.
    pub while_revalidate: Duration,
    /// How much longer than fresh it is served when the upstream fails.
    pub if_error: Duration,
}

impl Windows {
    /// Until when it may be used at all, were the upstream to fail from now on.
    #[must_use]
    pub fn usable_until(&self) -> SystemTime {
        self.fresh_until.max(self.stale_until).max(self.error_until)
    }

    /// Whether less than half of its time is left.
    #[must_use]
    pub fn is_near_its_end(&self, now: SystemTime) -> bool {
        let fresh = self.fresh_until.duration_since(self.stored_at).unwrap_or_default();
        now + fresh / 2 >= self.fresh_until
    }

    /// Whether it may be served to save calls, while answers last `stretch` times as long: only as far
    /// as it might be served were the upstream to fail.
    #[must_use]
    pub fn is_stretched(&self, stretch: f64, now: SystemTime) -> bool {
        let fresh = self.fresh_until.duration_since(self.stored_at).unwrap_or_default();
        let beyond = fresh.mul_f64((stretch - 1.0).clamp(0.0, STRETCH_MAX));
        self.may_be_stale
            && now < self.fresh_until + beyond
            && now < self.stale_until.max(self.error_until)
    }

    /// The windows of an answer that came at `now` and is as old as `age` already.
    #[must_use]
    pub fn open(now: SystemTime, age: Duration, lifetime: Duration, grace: Grace) -> Self {
        let born_at = now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let fresh_until = later(born_at, lifetime);
        Self {
            stored_at: now,
            born_at,
            fresh_until,
            stale_until: later(fresh_until, grace.while_revalidate),
            error_until: later(fresh_until, grace.if_error),
            may_be_stale: true,
        }
    }

    /// The windows of an answer that must be confirmed before each use that is not fresh.
    #[must_use]
    pub fn strict(now: SystemTime, age: Duration, lifetime: Duration) -> Self {
        Self { may_be_stale: false, ..Self::open(now, age, lifetime, Grace::default()) }
    }

    /// The windows of an answer that is not kept.
    #[must_use]
    pub fn closed(now: SystemTime) -> Self {
        Self::strict(now, Duration::ZERO, Duration::ZERO)
    }

    /// The same windows, of an answer that is fresh no longer than until `at`: what follows
    /// freshness lasts as long as it did, and begins earlier.
    #[must_use]
    pub fn stale_since(&self, at: SystemTime) -> Self {
        let Ok(lost) = self.fresh_until.duration_since(at) else { return *self };
        let earlier = |time: SystemTime| time.checked_sub(lost).unwrap_or(at);
        Self {
            fresh_until: at,
            stale_until: earlier(self.stale_until),
            error_until: earlier(self.error_until),
            ..*self
        }
    }

    /// How usable the answer is at `now`.
    #[must_use]
    pub fn freshness(&self, now: SystemTime) -> Freshness {
        if now < self.fresh_until {
            Freshness::Fresh
        } else if now < self.stale_until {
            Freshness::Stale
        } else if now < self.error_until {
            Freshness::StaleOnError
        } else {
            Freshness::Expired
        }
    }

    /// How old the answer is.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.born_at).unwrap_or_default()
    }

    /// Whole seconds of freshness left; negative once stale: `ttl` of `Cache-Status` (RFC 9211).
    #[must_use]
    pub fn ttl_seconds(&self, now: SystemTime) -> i64 {
        let whole = |gap: Duration| i64::try_from(gap.as_secs()).unwrap_or(i64::MAX);
        match self.fresh_until.duration_since(now) {
            Ok(left) => whole(left),
            Err(past) => -whole(past.duration()),
        }
    }
}

/// A time so much later; the same one where the clock does not reach so far.
fn later(from: SystemTime, time: Duration) -> SystemTime {
    from.checked_add(time).unwrap_or(from)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const GRACE: Grace =
        Grace { while_revalidate: Duration::from_secs(30), if_error: Duration::from_secs(600) };

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn minute() -> Windows {
        Windows::open(at(1_000), Duration::ZERO, Duration::from_secs(60), GRACE)
    }

    #[test]
    fn windows_follow_one_another() {
        for (seconds, wanted) in [
            (1_059, Freshness::Fresh),
            (1_060, Freshness::Stale),
            (1_089, Freshness::Stale),
            (1_090, Freshness::StaleOnError),
            (1_659, Freshness::StaleOnError),
            (1_660, Freshness::Expired),
        ] {
            assert_eq!(minute().freshness(at(seconds)), wanted, "{seconds}");
        }
    }

    #[test]
    fn what_was_old_when_it_came_is_fresh_for_less() {
        let minute = Duration::from_secs(60);
        let windows = Windows::open(at(1_000), Duration::from_secs(50), minute, GRACE);
        assert_eq!((windows.ttl_seconds(at(1_000)), windows.age(at(1_005)).as_secs()), (10, 55));
        let older = Windows::open(at(1_000), 2 * minute, minute, GRACE);
        assert_eq!(older.ttl_seconds(at(1_000)), -60);
    }

    #[test]
    fn strict_windows_end_with_freshness() {
        let windows = Windows::strict(at(1_000), Duration::ZERO, Duration::from_secs(60));
        assert_eq!(windows.freshness(at(1_059)), Freshness::Fresh);
        assert_eq!(windows.freshness(at(1_060)), Freshness::Expired);
    }

    #[test]
    fn what_is_stale_since_a_moment_has_its_whole_grace_from_there() {
        let windows = minute().stale_since(at(1_010));
        for (seconds, wanted) in [
            (1_009, Freshness::Fresh),
            (1_010, Freshness::Stale),
            (1_040, Freshness::StaleOnError),
            (1_610, Freshness::Expired),
        ] {
            assert_eq!(windows.freshness(at(seconds)), wanted, "{seconds}");
        }
        assert_eq!(windows.stale_since(at(1_020)), windows);
        assert_eq!(minute().stale_since(at(1_070)), minute());
        let strict = Windows::strict(at(1_000), Duration::ZERO, Duration::from_secs(60));
        assert_eq!(strict.stale_since(at(1_010)).freshness(at(1_010)), Freshness::Expired);
    }

    #[test]
    fn a_clock_that_went_back_gives_age_zero() {
        assert_eq!(minute().age(at(900)), Duration::ZERO);
    }

    #[test]
    fn time_to_live_turns_negative_when_stale() {
        assert_eq!((minute().ttl_seconds(at(1_010)), minute().ttl_seconds(at(1_065))), (50, -5));
    }
}
