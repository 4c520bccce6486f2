//! How often may a principal call?
//!
//! Two limits with two purposes. [`Buckets`] holds each principal to its [`Quota`], exactly: never
//! more accepted requests than the quota in any sliding window, and no refused request charged.
//! [`Shield`] stands in front of everything, before anyone is known: it estimates, per client
//! address and in constant memory, and keeps floods from the parts that cost something.
//!
//! The functions here write the `RateLimit` and `RateLimit-Policy` response fields
//! (draft-ietf-httpapi-ratelimit-headers, revision 10: structured-field lists of strings with
//! parameters). A response under several quotas joins their members with `", "`.

mod buckets;
mod shield;
mod window;

use std::time::Duration;

pub use buckets::Buckets;
pub use shield::{InFlight, Shield, ShieldLimits, ShieldRefusal, network};
pub use window::{Quota, Remaining, RetryAfter};

/// A member of `RateLimit-Policy`: `"default";q=100;w=60`, the quota and its window in seconds.
#[must_use]
pub fn policy_field(quota_name: &str, quota: Quota) -> String {
    let name = structured_string(quota_name);
    format!("{name};q={};w={}", quota.requests, whole_seconds(quota.period))
}

/// A member of `RateLimit` for an accepted request: `"default";r=50;t=30`, the requests that are
/// left and the seconds until there is one more.
#[must_use]
pub fn remaining_field(quota_name: &str, remaining: &Remaining) -> String {
    limit_field(quota_name, remaining.remaining, remaining.reset_after)
}

/// A member of `RateLimit` for a refused request. Its `t` names the same moment as `Retry-After`.
#[must_use]
pub fn refused_field(quota_name: &str, retry_after: RetryAfter) -> String {
    limit_field(quota_name, 0, retry_after.0.max(Duration::from_secs(1)))
}

fn limit_field(quota_name: &str, remaining: u32, reset_after: Duration) -> String {
    let name = structured_string(quota_name);
    format!("{name};r={remaining};t={}", whole_seconds(reset_after))
}

/// Whole seconds, rounded up: a client that waits this long has waited long enough.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// An RFC 9651 string. It can hold printable ASCII only; any other character becomes `?`.
fn structured_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            _ => out.push('?'),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_field_names_quota_and_window() {
        let quota = Quota { requests: 100, period: Duration::from_secs(60) };
        assert_eq!(policy_field("default", quota), r#""default";q=100;w=60"#);
    }

    #[test]
    fn refused_field_agrees_with_retry_after() {
        let refused = |millis| refused_field("key", RetryAfter(Duration::from_millis(millis)));
        assert_eq!(refused(0), r#""key";r=0;t=1"#);
        assert_eq!(refused(1), r#""key";r=0;t=1"#);
        assert_eq!(refused(29_001), r#""key";r=0;t=30"#);
    }

    #[test]
    fn quota_name_cannot_break_out_of_its_string() {
        assert_eq!(structured_string("a\"\\b\né"), r#""a\"\\b??""#);
    }
}
