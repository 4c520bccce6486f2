//! What does the gateway say when it answers itself?
//!
//! Text form has one shape for every refusal. Integer form reproduces what the operator's clients
//! already compare, and there the shape depends on the kind of refusal: exceptions have no `data`
//! key, throttling and upstream failures have `"data":null`, an internal fault has neither `data`
//! nor any detail.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;

use super::{Envelope, StatusForm, quoted};
use crate::refusal::Refusal;

/// The body of a refusal. `request_id` is the identifier that the client also finds in the
/// `X-Request-ID` header.
#[must_use]
pub fn refuse(form: StatusForm, refusal: &Refusal, request_id: &str) -> Bytes {
    body(form, refusal, Some(request_id))
}

/// The body of an answer of the gateway's own that is no refusal; `data` is JSON.
#[must_use]
pub fn accept(form: StatusForm, message: &str, data: &str, request_id: &str) -> Bytes {
    Envelope {
        success: true,
        message: quoted(message).into(),
        data: Some(data),
        errors: "null".into(),
        request_id: Some(quoted(request_id).into()),
    }
    .write(form)
}

/// The body of a refusal, without `request_id` when many requests share it.
pub(super) fn body(form: StatusForm, refusal: &Refusal, request_id: Option<&str>) -> Bytes {
    let message = refusal.message();
    let (data, errors) = match form {
        StatusForm::Text => (Some("null"), Errors::in_text_form(refusal, &message).json()),
        StatusForm::Integer => in_integer_form(refusal, &message),
    };
    Envelope {
        success: false,
        message: quoted(&message).into(),
        data,
        errors,
        request_id: request_id.map(|id| quoted(id).into()),
    }
    .write(form)
}

/// The `errors` object of a refusal; absent members are left out.
#[derive(Default, Serialize)]
struct Errors<'a> {
    detail: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// Whole seconds, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<[TokenMessage<'a>; 1]>,
}

/// Why a token was refused, in the words of the library that the clients know.
#[derive(Serialize)]
struct TokenMessage<'a> {
    token_class: &'a str,
    token_type: &'a str,
    message: &'a str,
}

impl<'a> Errors<'a> {
    fn detail(detail: impl Into<Cow<'a, str>>) -> Self {
        Self { detail: detail.into(), ..Self::default() }
    }

    fn throttled(wait: u64) -> Self {
        let unit = if wait == 1 { "second" } else { "seconds" };
        let detail = format!("Request was throttled. Expected available in {wait} {unit}.");
        Self { wait: Some(wait), ..Self::detail(detail) }
    }

    /// The one shape of text form: always a detail and the refusal's stable code.
    fn in_text_form(refusal: &'a Refusal, message: &'a str) -> Self {
        let errors = match refusal {
            Refusal::TokenInvalid(why) => Self::detail(*why),
            Refusal::SignatureInvalid(reason) => {
                Self { reason: Some(reason), ..Self::detail(message) }
            }
            Refusal::FailuresLimited { .. }
            | Refusal::QuotaExceeded { .. }
            | Refusal::AddressLimited { .. } => Self::throttled(wait_seconds(refusal)),
            _ => Self::detail(message),
        };
        Self { code: Some(refusal.code()), ..errors }
    }

    /// The object as JSON.
    fn json(&self) -> Cow<'static, str> {
        // Strings and integers always serialise; were that ever to change, `null` is still an
        // honest envelope.
        serde_json::to_string(self).map_or(Cow::Borrowed("null"), Cow::Owned)
    }
}

/// `data` and `errors` as the operator's system writes them for this kind of refusal.
fn in_integer_form(refusal: &Refusal, message: &str) -> (Option<&'static str>, Cow<'static, str>) {
    let errors = match refusal {
        Refusal::UpstreamInvalid
        | Refusal::UpstreamBroken
        | Refusal::UpstreamUnavailable
        | Refusal::Overloaded { .. }
        | Refusal::BudgetSpent { .. }
        | Refusal::StateUnavailable { .. }
        | Refusal::UpstreamTimeout
        | Refusal::NotCached => return (Some("null"), "null".into()),
        Refusal::Internal => return (None, "null".into()),
        Refusal::FailuresLimited { .. }
        | Refusal::QuotaExceeded { .. }
        | Refusal::AddressLimited { .. } => {
            return (Some("null"), Errors::throttled(wait_seconds(refusal)).json());
        }
        Refusal::CredentialMalformed => {
            Errors { code: Some("bad_authorization_header"), ..Errors::detail(message) }
        }
        Refusal::TokenInvalid(why) => Errors {
            code: Some("token_not_valid"),
            messages: Some([TokenMessage {
                token_class: "AccessToken",
                token_type: "access",
                message: why,
            }]),
            ..Errors::detail(message)
        },
        Refusal::TokenClaimMissing(_) | Refusal::TokenWithoutSubject => {
            Errors { code: Some(refusal.code()), ..Errors::detail(message) }
        }
        Refusal::SignatureInvalid(code) => Errors { code: Some(code), ..Errors::detail(message) },
        Refusal::BadRequest(_)
        | Refusal::CredentialMissing
        | Refusal::KeyInvalid
        | Refusal::KeyOwnerInactive
        | Refusal::ScopeMissing(_)
        | Refusal::NoRoute
        | Refusal::NotAcceptable
        | Refusal::MethodNotAllowed { .. }
        | Refusal::BodyTooLarge { .. }
        | Refusal::HeadTooLarge => Errors::detail(message),
    };
    (None, errors.json())
}

/// The same whole seconds as the `Retry-After` header.
fn wait_seconds(refusal: &Refusal) -> u64 {
    refusal.retry_after_seconds().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use std::time::Duration;

    use serde_json::Value;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn every_refusal() -> Vec<Refusal> {
        vec![
            Refusal::BadRequest("The path is not UTF-8.".into()),
            Refusal::CredentialMissing,
            Refusal::CredentialMalformed,
            Refusal::TokenInvalid("Token is invalid"),
            Refusal::KeyInvalid,
            Refusal::SignatureInvalid("replay"),
            Refusal::ScopeMissing(vec!["write".to_owned()]),
            Refusal::NoRoute,
            Refusal::MethodNotAllowed { method: "POST".to_owned(), allow: "GET".to_owned() },
            Refusal::BodyTooLarge { body_bytes_max: 1 },
            Refusal::QuotaExceeded { retry_after: MINUTE },
            Refusal::AddressLimited { retry_after: MINUTE },
            Refusal::HeadTooLarge,
            Refusal::UpstreamInvalid,
            Refusal::UpstreamBroken,
            Refusal::UpstreamUnavailable,
            Refusal::Overloaded { retry_after: MINUTE },
            Refusal::BudgetSpent { retry_after: MINUTE },
            Refusal::UpstreamTimeout,
            Refusal::NotCached,
            Refusal::Internal,
        ]
    }

    fn integer(refusal: &Refusal) -> String {
        String::from_utf8(refuse(StatusForm::Integer, refusal, "rid-1").to_vec()).unwrap()
    }

    fn text(refusal: &Refusal) -> String {
        String::from_utf8(refuse(StatusForm::Text, refusal, "rid-1").to_vec()).unwrap()
    }

    #[test]
    fn integer_form_is_the_recorded_bytes() {
        // Rows A1, A2, A3, A4, A10, A17, A19 and A25 of the operator's recorded answers.
        let rows = [
            (
                Refusal::CredentialMissing,
                r#"{"status":1,"message":"Authentication credentials were not provided.","errors":{"detail":"Authentication credentials were not provided."},"request_id":"rid-1"}"#,
            ),
            (
                Refusal::TokenInvalid("Token is invalid"),
                r#"{"status":1,"message":"Given token not valid for any token type","errors":{"detail":"Given token not valid for any token type","code":"token_not_valid","messages":[{"token_class":"AccessToken","token_type":"access","message":"Token is invalid"}]},"request_id":"rid-1"}"#,
            ),
            (
                Refusal::KeyInvalid,
                r#"{"status":1,"message":"Invalid or expired API key.","errors":{"detail":"Invalid or expired API key."},"request_id":"rid-1"}"#,
            ),
            (
                Refusal::SignatureInvalid("replay"),
                r#"{"status":1,"message":"Invalid Nextcloud signature","errors":{"detail":"Invalid Nextcloud signature","code":"replay"},"request_id":"rid-1"}"#,
            ),
            (
                Refusal::QuotaExceeded { retry_after: MINUTE },
                r#"{"status":1,"message":"Too Many Requests","data":null,"errors":{"detail":"Request was throttled. Expected available in 60 seconds.","wait":60},"request_id":"rid-1"}"#,
            ),
            (
                Refusal::MethodNotAllowed { method: "POST".to_owned(), allow: "GET".to_owned() },
                r#"{"status":1,"message":"Method \"POST\" not allowed.","errors":{"detail":"Method \"POST\" not allowed."},"request_id":"rid-1"}"#,
            ),
            (
                Refusal::UpstreamUnavailable,
                r#"{"status":1,"message":"Upstream service unavailable","data":null,"errors":null,"request_id":"rid-1"}"#,
            ),
            (
                Refusal::Internal,
                r#"{"status":1,"message":"Internal server error","errors":null,"request_id":"rid-1"}"#,
            ),
        ];
        for (refusal, recorded) in rows {
            assert_eq!(integer(&refusal), recorded);
        }
    }

    #[test]
    fn malformed_credential_has_its_recorded_code() {
        let body: Value = serde_json::from_str(&integer(&Refusal::CredentialMalformed)).unwrap();
        assert_eq!(body["errors"]["code"], "bad_authorization_header");
    }

    #[test]
    fn text_form_has_one_shape_for_all() {
        for refusal in every_refusal() {
            let body: Value = serde_json::from_str(&text(&refusal)).unwrap();
            assert_eq!(body["status"], "error");
            assert_eq!(body["message"], *refusal.message());
            assert!(body.as_object().unwrap()["data"].is_null());
            assert!(body["errors"]["detail"].is_string());
            assert_eq!(body["errors"]["code"], refusal.code());
            assert_eq!(body["request_id"], "rid-1");
        }
    }

    #[test]
    fn text_form_writes_keys_in_order() {
        assert_eq!(
            text(&Refusal::SignatureInvalid("replay")),
            r#"{"status":"error","message":"Invalid Nextcloud signature","data":null,"errors":{"detail":"Invalid Nextcloud signature","code":"signature_not_valid","reason":"replay"},"request_id":"rid-1"}"#
        );
    }

    #[test]
    fn every_integer_refusal_is_json_with_status_one() {
        for refusal in every_refusal() {
            let body: Value = serde_json::from_str(&integer(&refusal)).unwrap();
            assert_eq!(body["status"], 1);
            assert!(body.as_object().unwrap().contains_key("errors"));
        }
    }

    #[test]
    fn one_second_is_written_in_the_singular() {
        let refusal = Refusal::QuotaExceeded { retry_after: Duration::from_millis(10) };
        assert!(integer(&refusal).contains("Expected available in 1 second.\",\"wait\":1}"));
        let body: Value = serde_json::from_str(&text(&refusal)).unwrap();
        assert_eq!(body["errors"]["wait"], 1);
    }

    #[test]
    fn request_id_cannot_break_out_of_its_string() {
        let body = refuse(StatusForm::Text, &Refusal::NoRoute, "\",\"status\":\"success");
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["status"], "error");
        assert_eq!(body["request_id"], "\",\"status\":\"success");
    }
}
