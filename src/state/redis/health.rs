//! What does a server say of itself, and when is one that is gone tried again?

use std::time::Duration;

use redis::Value;

/// The pause before the second try to connect; it doubles.
pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(250);

/// The longest pause between two tries to connect.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// The pause before the next try: none after one failure, then ever longer.
pub(super) fn backoff(strikes: u32) -> Duration {
    match strikes.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => {
            BACKOFF_MIN.saturating_mul(1 << doublings.min(u8::BITS)).min(BACKOFF_MAX)
        }
    }
}

/// Whether an answer to `ROLE` is a master's.
pub(super) fn is_master(role: &Value) -> bool {
    let Value::Array(parts) = role else { return false };
    parts.first().is_some_and(|word| match word {
        Value::BulkString(word) => word == b"master",
        _ => false,
    })
}

/// The policy of a server that may drop keys although they have not expired.
pub(super) fn evicting(info: &str) -> Option<&str> {
    let figure = |name: &str| {
        info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
    };
    figure("maxmemory_policy")
        .filter(|policy| *policy != "noeviction" && figure("maxmemory") != Some("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_tries_double_up_to_their_bound() {
        let pauses: Vec<u128> = (0..8).map(|strikes| backoff(strikes).as_millis()).collect();
        assert_eq!(pauses, [0, 0, 250, 500, 1_000, 2_000, 2_000, 2_000]);
        assert_eq!(backoff(u32::MAX), BACKOFF_MAX);
    }

    #[test]
    fn server_that_drops_keys_is_told_from_others() {
        let info =
            |max, policy| format!("# Memory\r\nmaxmemory:{max}\r\nmaxmemory_policy:{policy}\r\n");
        assert_eq!(evicting(&info(512, "allkeys-lru")), Some("allkeys-lru"));
        assert_eq!(evicting(&info(512, "noeviction")), None);
        assert_eq!(evicting(&info(0, "allkeys-lru")), None);
        assert_eq!(evicting("garbage"), None);
    }
}
