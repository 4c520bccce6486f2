//! What does NASA POWER mean by an answer that is not 200?

use std::time::Duration;

use serde::Deserialize;

use crate::providers::failure::{ProviderError, cut};

/// Pause after a limit whose length is not told. The provider publishes no numbers.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(60);

/// Longest pause that is passed on.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// The messages say what is wrong; the header above them only that something is.
#[derive(Deserialize)]
struct Refusal {
    messages: Vec<String>,
}

/// The failure that a status and body stand for.
#[must_use]
pub fn meaning(status: u16, body: &[u8], retry_after: Option<Duration>) -> ProviderError {
    let refusal = serde_json::from_slice::<Refusal>(body).ok();
    let reason = refusal.map(|refusal| refusal.messages.join(" ")).filter(|text| !text.is_empty());
    match (status, reason) {
        (400 | 422, Some(reason)) => ProviderError::Refused { reason: cut(&reason) },
        (429, reason) => ProviderError::RateLimited {
            reason: cut(&reason.unwrap_or_else(|| "Too many requests".to_owned())),
            retry_after: retry_after.unwrap_or(RETRY_AFTER_DEFAULT).min(RETRY_AFTER_MAX),
        },
        // Without a message the client cannot mend it.
        _ => ProviderError::Unavailable { status },
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a failed test panics"
    )]
    use super::*;
    use serde_json::Value;

    const RECORDED: &str = include_str!("../../../tests/data/nasa_power_errors.json");

    #[test]
    fn w3_recorded_refusals_keep_their_messages() {
        let recorded: Value = serde_json::from_str(RECORDED).unwrap();
        for case in recorded["cases"].as_array().unwrap() {
            let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
            let meant = meaning(status, case["body"].to_string().as_bytes(), None);
            match (status, &meant) {
                (422, ProviderError::Refused { reason }) => {
                    assert_eq!(case["body"]["messages"][0], reason.as_str());
                }
                (429, ProviderError::RateLimited { retry_after, .. }) => {
                    assert_eq!(*retry_after, RETRY_AFTER_DEFAULT);
                }
                (503, ProviderError::Unavailable { status: 503 }) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn w3_page_of_a_proxy_is_not_the_clients_fault() {
        for status in [400, 404, 422, 502] {
            assert_eq!(meaning(status, b"<html>", None), ProviderError::Unavailable { status });
        }
        let pause = Some(Duration::from_secs(7));
        let ProviderError::RateLimited { retry_after, .. } = meaning(429, b"slow down", pause)
        else {
            panic!("not a limit");
        };
        assert_eq!(Some(retry_after), pause);
    }
}
