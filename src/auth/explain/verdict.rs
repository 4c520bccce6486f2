//! How is what was found said to a person, and what should they change?

use super::claim::Claim;
use super::report::{Asked, Deviation, Part};
use super::seen::Seen;
use super::text::compared;
use crate::auth::error::SignatureError;
use crate::auth::rule::SharedSecret;
use crate::auth::signature::is_nonce;

/// All of it in one sentence.
pub(super) fn verdict(
    refused: Option<&SignatureError>,
    fits: bool,
    deviations: &[Deviation],
    claim: Option<&Claim>,
    seen: &Seen,
) -> String {
    let Some(refused) = refused else { return "the signature holds".to_owned() };
    if fits {
        let why = bad_nonce(seen).unwrap_or_else(|| refused.to_string());
        return format!("the signature fits the request, but the gateway refuses it: {why}");
    }
    if !deviations.is_empty() {
        let whats: Vec<&str> = deviations.iter().map(|found| found.what.as_str()).collect();
        let values = deviations.iter().filter_map(|found| {
            found.signed.as_deref().zip(found.received.as_deref()).map(|(s, r)| compared(s, r))
        });
        let values: Vec<String> = values.collect();
        let colon = if values.is_empty() { "" } else { ": " };
        return format!("it was {}{colon}{}", whats.join(", and "), values.join("; "));
    }
    if let Some(verdict) = claim.and_then(Claim::verdict) {
        return verdict;
    }
    if seen.is_incomplete() {
        return format!("the request is not signed in full: {refused}");
    }
    if matches!(refused, SignatureError::BadBase64 { .. }) {
        return format!("nothing can be compared: {refused}");
    }
    "no known deviation explains it, nor do two together: it was made with another secret, or for \
     another request than the one that arrived"
        .to_owned()
}

fn bad_nonce(seen: &Seen) -> Option<String> {
    let problem = "its nonce is not 1 to 128 printable ASCII characters";
    (!is_nonce(&seen.nonce)).then(|| problem.to_owned())
}

pub(super) fn advice(
    refused: Option<&SignatureError>,
    deviations: &[Deviation],
    seen: &Seen,
) -> Vec<String> {
    let mut advice: Vec<String> =
        deviations.iter().map(|deviation| deviation.advice.to_owned()).collect();
    advice.dedup();
    if deviations.iter().any(|deviation| deviation.part == Part::Timestamp) {
        return advice;
    }
    let more = match refused {
        Some(SignatureError::Skew { .. }) => {
            "set both clocks by NTP, and sign a request just before it is sent"
        }
        Some(SignatureError::Timestamp) => {
            "send the timestamp as seconds since 1970 in plain digits: no sign, space or fraction"
        }
        Some(SignatureError::MissingHeaders(_)) => {
            "send each of the four fields once, as X-NC-* or as X-*, and let nothing on the way \
             take them off"
        }
        Some(SignatureError::BadBase64 { .. }) => {
            "write the secret as standard base64 with padding, at the gateway and in the client"
        }
        Some(SignatureError::UnknownClient { .. }) => {
            "send a client id of 1 to 128 printable ASCII characters without spaces"
        }
        Some(_) if deviations.is_empty() && bad_nonce(seen).is_some() => "send a UUID as the nonce",
        Some(_) if deviations.is_empty() => {
            "let the client log its canonical string, and give it to --expected-canonical"
        }
        _ => return advice,
    };
    advice.push(more.to_owned());
    advice
}

pub(super) fn notes(
    asked: &Asked<'_>,
    keys: &[SharedSecret],
    fitting: Option<usize>,
    holds: bool,
) -> Vec<String> {
    let mut notes = Vec::new();
    let unread = asked.secrets.len() - keys.len();
    if unread > 0 {
        notes.push(format!(
            "{unread} of the secrets given cannot be read: not standard base64 with padding"
        ));
    }
    if let Some(index) = fitting.filter(|_| keys.len() > 1) {
        notes.push(format!("it was made with readable secret number {}", index + 1));
    }
    if holds {
        notes.push(
            "that the client is configured with this secret, and that its nonce is new, is for the \
             running gateway to say: it answers 403 unknown_client or 403 replay"
                .to_owned(),
        );
    }
    notes
}
