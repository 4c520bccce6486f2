//! What does Open-Meteo mean by an answer that is not 200?

use std::time::Duration;

use chassis::clock::Now;
use serde::Deserialize;

use crate::providers::failure::{ProviderError, cut};

/// Pause after a limit whose length is not told.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(60);

/// Pause after too many calls at once.
const RETRY_AFTER_CONCURRENT: Duration = Duration::from_secs(1);

/// Longest pause that is passed on.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

#[derive(Deserialize)]
struct Refusal {
    reason: String,
}

/// The failure that a status and body stand for. Open-Meteo sends no `Retry-After`, proxies may.
#[must_use]
pub fn meaning(status: u16, body: &[u8], retry_after: Option<Duration>, now: Now) -> ProviderError {
    let reason = serde_json::from_slice::<Refusal>(body).ok().map(|refusal| cut(&refusal.reason));
    match (status, reason) {
        (400, Some(reason)) if !concerns_key(&reason) => ProviderError::Refused { reason },
        (429, reason) => {
            let reason = reason.unwrap_or_else(|| "Too many requests".to_owned());
            let pause = retry_after.unwrap_or_else(|| window_end(&reason, now));
            ProviderError::RateLimited { reason, retry_after: pause.min(RETRY_AFTER_MAX) }
        }
        // A bare 400, a redirect, a wrong host or a wrong key: the client cannot mend any of it.
        _ => ProviderError::Unavailable { status },
    }
}

/// The key is the operator's, not the client's.
fn concerns_key(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    reason.contains("api key") || reason.contains("apikey")
}

/// Time until the counter named in `reason` is cleared: at each minute, hour or day of UTC.
fn window_end(reason: &str, now: Now) -> Duration {
    let reason = reason.to_ascii_lowercase();
    let until_next = |window: i64| {
        let rest = window - now.unix_seconds().rem_euclid(window);
        Duration::from_secs(u64::try_from(rest).unwrap_or(1))
    };
    if reason.contains("minutely") {
        until_next(60)
    } else if reason.contains("hourly") {
        until_next(3600)
    } else if reason.contains("daily") {
        until_next(86_400)
    } else if reason.contains("concurrent") {
        RETRY_AFTER_CONCURRENT
    } else {
        RETRY_AFTER_DEFAULT
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test panics")]
    use super::*;
    use crate::providers::failure::REASON_CHARS_MAX;
    use std::time::UNIX_EPOCH;

    /// 23 November 2026, 10:59:50 UTC.
    fn now() -> Now {
        Now { wall: UNIX_EPOCH + Duration::from_secs(1_795_431_590), ..Now::read() }
    }

    fn recorded(status: u16, reason: &str) -> ProviderError {
        let body = serde_json::json!({"error": true, "reason": reason}).to_string();
        meaning(status, body.as_bytes(), None, now())
    }

    #[test]
    fn w3_faults_of_the_request_carry_the_reason() {
        let reason = "Latitude must be in range of -90 to 90°. Given: 95.0.";
        assert_eq!(recorded(400, reason), ProviderError::Refused { reason: reason.to_owned() });
    }

    #[test]
    fn w3_limits_say_when_they_end() {
        for (reason, expected_s) in [
            ("Minutely API request limit exceeded. Please try again in one minute.", 10),
            ("Hourly API request limit exceeded. Please try again in the next hour.", 10),
            ("Daily API request limit exceeded. Please try again tomorrow.", 13 * 3600 + 10),
            ("Too many concurrent requests", 1),
            ("something new", 60),
        ] {
            let ProviderError::RateLimited { retry_after, .. } = recorded(429, reason) else {
                panic!("{reason}: not a limit");
            };
            assert_eq!(retry_after.as_secs(), expected_s, "{reason}");
        }
    }

    #[test]
    fn w3_faults_of_the_provider_are_not_the_clients() {
        for status in [302, 401, 403, 404, 500, 502, 503] {
            assert_eq!(recorded(status, "x"), ProviderError::Unavailable { status });
        }
        let key = recorded(400, "The supplied API key is invalid");
        assert_eq!(key, ProviderError::Unavailable { status: 400 });
        assert_eq!(
            meaning(400, b"<html>", None, now()),
            ProviderError::Unavailable { status: 400 }
        );
    }

    #[test]
    fn reason_is_cut_to_its_bound() {
        let ProviderError::Refused { reason } = recorded(400, &"é".repeat(1000)) else {
            panic!("not refused");
        };
        assert_eq!(reason.chars().count(), REASON_CHARS_MAX);
    }
}
