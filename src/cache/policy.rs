//! May an answer be kept, and for how long may it be used?
//!
//! Pure: status, header fields and times in, a verdict out. The words are those of RFC 9111 and
//! RFC 5861.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};

/// How a route's answers are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long an answer is fresh.
    pub fresh: Duration,
    /// How much longer it is served while it is refreshed.
    pub stale_while_revalidate: Duration,
    /// How much longer than fresh it is served when the upstream fails.
    pub stale_if_error: Duration,
    /// How long a failure is remembered.
    pub error_for: Duration,
    /// Whether all principals share one answer.
    pub shared: bool,
    /// Largest body that is kept.
    pub object_bytes_max: usize,
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored and used within these windows.
    Store(Windows),
    /// The upstream failed: who waits gets this answer, and nobody asks again for a moment.
    Failure,
    /// It is given to who waits, and not kept: the reason, as a metrics label.
    Uncacheable(&'static str),
}

/// From when until when a stored answer may be used, by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// When the answer was stored or last confirmed.
    pub stored_at: SystemTime,
    /// Until here it is fresh.
    pub fresh_until: SystemTime,
    /// Until here it is served while it is refreshed.
    pub stale_until: SystemTime,
    /// Until here it is served when the upstream fails.
    pub error_until: SystemTime,
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
    /// Of no use.
    Expired,
}

impl Windows {
    /// The windows of an answer that is stored at `now`.
    #[must_use]
    pub fn open(policy: &Policy, now: SystemTime) -> Self {
        let fresh_until = now + policy.fresh;
        Self {
            stored_at: now,
            fresh_until,
            stale_until: fresh_until + policy.stale_while_revalidate,
            error_until: fresh_until + policy.stale_if_error,
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

    /// Whole seconds since the answer was stored: the value of `Age`.
    #[must_use]
    pub fn age_seconds(&self, now: SystemTime) -> u64 {
        now.duration_since(self.stored_at).map_or(0, |age| age.as_secs())
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

/// Decides what becomes of an upstream's answer under a policy.
#[must_use]
pub fn judge(policy: &Policy, status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Verdict {
    if status.is_server_error() {
        return Verdict::Failure;
    }
    if let Some(reason) = forbidden(headers) {
        return Verdict::Uncacheable(reason);
    }
    match status {
        StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION => {
            Verdict::Store(Windows::open(policy, now))
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Verdict::Store(brief(policy, now)),
        _ => Verdict::Uncacheable("status"),
    }
}

/// A "there is nothing" is kept only as long as a failure: what is missing may appear.
fn brief(policy: &Policy, now: SystemTime) -> Windows {
    let until = now + policy.error_for;
    Windows { stored_at: now, fresh_until: until, stale_until: until, error_until: until }
}

/// Why a shared cache must not keep an answer with these fields (RFC 9111, sections 3 and 4.1).
fn forbidden(headers: &HeaderMap) -> Option<&'static str> {
    if has_directive(headers, "no-store") {
        return Some("no_store");
    }
    if has_directive(headers, "private") {
        return Some("private");
    }
    if headers.contains_key(header::SET_COOKIE) {
        return Some("set_cookie");
    }
    let varies_on_all = headers
        .get_all(header::VARY)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|name| name.trim() == "*"));
    varies_on_all.then_some("vary_all")
}

/// Whether `Cache-Control` has a directive, with or without a value.
#[must_use]
pub fn has_directive(headers: &HeaderMap, wanted: &str) -> bool {
    headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|directive| directive.split('=').next())
        .any(|name| name.trim().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::UNIX_EPOCH;

    use http::HeaderValue;

    use super::*;

    fn policy() -> Policy {
        Policy {
            fresh: Duration::from_secs(60),
            stale_while_revalidate: Duration::from_secs(30),
            stale_if_error: Duration::from_secs(600),
            error_for: Duration::from_secs(2),
            shared: true,
            object_bytes_max: 1 << 20,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[track_caller]
    fn check(status: u16, fields: &[(&'static str, &'static str)], wanted: Verdict) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(judge(&policy(), status, &headers, at(1_000)), wanted);
    }

    #[test]
    fn windows_follow_one_another() {
        let windows = Windows::open(&policy(), at(1_000));
        assert_eq!(windows.freshness(at(1_059)), Freshness::Fresh);
        assert_eq!(windows.freshness(at(1_060)), Freshness::Stale);
        assert_eq!(windows.freshness(at(1_089)), Freshness::Stale);
        assert_eq!(windows.freshness(at(1_090)), Freshness::StaleOnError);
        assert_eq!(windows.freshness(at(1_659)), Freshness::StaleOnError);
        assert_eq!(windows.freshness(at(1_660)), Freshness::Expired);
    }

    #[test]
    fn a_clock_that_went_back_gives_age_zero() {
        assert_eq!(Windows::open(&policy(), at(1_000)).age_seconds(at(900)), 0);
    }

    #[test]
    fn time_to_live_turns_negative_when_stale() {
        let windows = Windows::open(&policy(), at(1_000));
        assert_eq!(windows.ttl_seconds(at(1_010)), 50);
        assert_eq!(windows.ttl_seconds(at(1_065)), -5);
    }

    #[test]
    fn a_plain_answer_is_stored_without_a_word_of_the_upstream() {
        check(200, &[], Verdict::Store(Windows::open(&policy(), at(1_000))));
    }

    #[test]
    fn what_is_missing_is_kept_only_for_a_moment() {
        let until = at(1_002);
        let windows = Windows {
            stored_at: at(1_000),
            fresh_until: until,
            stale_until: until,
            error_until: until,
        };
        check(404, &[], Verdict::Store(windows));
    }

    #[test]
    fn forbidden_answers_are_not_kept() {
        check(200, &[("cache-control", "max-age=5, No-Store")], Verdict::Uncacheable("no_store"));
        check(200, &[("cache-control", "private=\"x\"")], Verdict::Uncacheable("private"));
        check(200, &[("set-cookie", "a=b")], Verdict::Uncacheable("set_cookie"));
        check(200, &[("vary", "accept, *")], Verdict::Uncacheable("vary_all"));
        check(400, &[], Verdict::Uncacheable("status"));
    }

    #[test]
    fn a_failing_upstream_is_a_failure_whatever_it_says() {
        check(503, &[("cache-control", "no-store")], Verdict::Failure);
    }
}
