//! How long until a field may be asked about again?

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Seconds from `now` until `cooldown` has passed since `asked_at`, rounded up; at least 1, since
/// a refusal that says 0 would be asked again at once.
#[must_use]
pub fn remaining_s(asked_at: Timestamp, cooldown: Duration, now: Timestamp) -> u64 {
    let cooldown = SignedDuration::try_from(cooldown).unwrap_or(SignedDuration::MAX);
    let left = cooldown.saturating_sub(now.duration_since(asked_at));
    let whole = left.as_secs().saturating_add(i64::from(left.subsec_nanos() > 0));
    u64::try_from(whole).unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn rest_of_the_cooldown_is_rounded_up_to_seconds() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let asked = at("2021-06-01T10:00:00Z");
        let cooldown = Duration::from_secs(900);
        for (now, rest) in [
            ("2021-06-01T10:00:00Z", 900),
            ("2021-06-01T10:14:58.5Z", 2),
            ("2021-06-01T10:15:00Z", 1),
            ("2021-06-01T12:00:00Z", 1),
        ] {
            assert_eq!(remaining_s(asked, cooldown, at(now)), rest, "{now}");
        }
    }
}
