//! What the gateway answers on its own behalf: status, stable code, text, and when to come back.
//!
//! A refusal is not an error: it is logged as an access line, counted by its code, and keeps the
//! client's connection open. The texts are the ones that the operator's clients already compare.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

/// One reason for an answer that no upstream gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request cannot be understood: what is wrong with it.
    BadRequest(Cow<'static, str>),
    /// No credential was sent to a route that wants one.
    CredentialMissing,
    /// The bearer header is not two words.
    CredentialMalformed,
    /// The token is not valid: the field's standard sentence on why.
    TokenInvalid(&'static str),
    /// The token is valid and names nobody.
    TokenWithoutSubject,
    /// The API key is unknown, revoked or expired.
    KeyInvalid,
    /// The request's signature does not hold: the contract's code for why.
    SignatureInvalid(&'static str),
    /// The principal is known and may not do this: the scope that is missing.
    ScopeMissing(String),
    /// No route takes this host and path.
    NoRoute,
    /// A route takes this path, with other methods: the value of `Allow`.
    MethodNotAllowed {
        /// The method that was tried.
        method: String,
        /// The methods that the path takes, as `Allow` wants them.
        allow: String,
    },
    /// The request body is longer than the route takes.
    BodyTooLarge {
        /// The most bytes that the route takes.
        body_bytes_max: usize,
    },
    /// The principal's quota is used up.
    QuotaExceeded {
        /// How long until one request is free again.
        retry_after: Duration,
    },
    /// The client's address sends more than any address may.
    AddressLimited {
        /// How long until the address may try again.
        retry_after: Duration,
    },
    /// The head of the request has too many fields, or too many bytes.
    HeadTooLarge,
    /// The upstream's answer is not what its content type says.
    UpstreamInvalid,
    /// The upstream's answer broke off.
    UpstreamBroken,
    /// No peer of the pool could be reached.
    UpstreamUnavailable,
    /// The gateway holds as many requests for this upstream as it may.
    Overloaded {
        /// How long until it is worth trying again.
        retry_after: Duration,
    },
    /// The upstream did not answer within the route's deadline.
    UpstreamTimeout,
    /// A fault of the gateway itself.
    Internal,
}

impl Refusal {
    /// Every stable code, for the metrics' closed label set and the README's table.
    pub const CODES: [&'static str; 19] = [
        "bad_request",
        "credential_missing",
        "credential_malformed",
        "token_not_valid",
        "key_not_valid",
        "signature_not_valid",
        "scope_missing",
        "no_route",
        "method_not_allowed",
        "body_too_large",
        "quota_exceeded",
        "address_limited",
        "head_too_large",
        "upstream_invalid",
        "upstream_broken",
        "upstream_unavailable",
        "overloaded",
        "upstream_timeout",
        "internal",
    ];

    /// The stable word for this refusal, in metrics, logs and (text mode) the envelope.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::CredentialMissing => "credential_missing",
            Self::CredentialMalformed => "credential_malformed",
            Self::TokenInvalid(_) | Self::TokenWithoutSubject => "token_not_valid",
            Self::KeyInvalid => "key_not_valid",
            Self::SignatureInvalid(_) => "signature_not_valid",
            Self::ScopeMissing(_) => "scope_missing",
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::AddressLimited { .. } => "address_limited",
            Self::HeadTooLarge => "head_too_large",
            Self::UpstreamInvalid => "upstream_invalid",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::Overloaded { .. } => "overloaded",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::CredentialMissing
            | Self::CredentialMalformed
            | Self::TokenInvalid(_)
            | Self::TokenWithoutSubject
            | Self::KeyInvalid => StatusCode::UNAUTHORIZED,
            Self::SignatureInvalid(_) | Self::ScopeMissing(_) => StatusCode::FORBIDDEN,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::QuotaExceeded { .. } | Self::AddressLimited { .. } => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UpstreamInvalid | Self::UpstreamBroken => StatusCode::BAD_GATEWAY,
            Self::UpstreamUnavailable | Self::Overloaded { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The envelope's `message`.
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        match self {
            Self::BadRequest(why) => why.clone(),
            Self::CredentialMissing => "Authentication credentials were not provided.".into(),
            Self::CredentialMalformed => {
                "Authorization header must contain two space-delimited values".into()
            }
            Self::TokenInvalid(_) => "Given token not valid for any token type".into(),
            Self::TokenWithoutSubject => {
                "Token contained no recognizable user identification".into()
            }
            Self::KeyInvalid => "Invalid or expired API key.".into(),
            Self::SignatureInvalid(_) => "Invalid Nextcloud signature".into(),
            Self::ScopeMissing(scope) => format!("This call needs the scope \"{scope}\".").into(),
            Self::NoRoute => "Not found.".into(),
            Self::MethodNotAllowed { method, .. } => {
                format!("Method \"{method}\" not allowed.").into()
            }
            Self::BodyTooLarge { body_bytes_max } => {
                format!("The request body is larger than {body_bytes_max} bytes.").into()
            }
            Self::QuotaExceeded { .. } | Self::AddressLimited { .. } => "Too Many Requests".into(),
            Self::HeadTooLarge => "The request's header fields are too large.".into(),
            Self::UpstreamInvalid => "Upstream returned invalid JSON".into(),
            Self::UpstreamBroken => "Upstream answer was incomplete".into(),
            Self::UpstreamUnavailable => "Upstream service unavailable".into(),
            Self::Overloaded { .. } => "Service is overloaded, try again later".into(),
            Self::UpstreamTimeout => "Upstream service timed out".into(),
            Self::Internal => "Internal server error".into(),
        }
    }

    /// When the client may try again, for `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QuotaExceeded { retry_after }
            | Self::AddressLimited { retry_after }
            | Self::Overloaded { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    /// The same as whole seconds, rounded up and at least 1: what the header carries.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after().map(|after| {
            let whole = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            whole.max(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_to_whole_seconds() {
        let refusal = Refusal::QuotaExceeded { retry_after: Duration::from_millis(1_001) };
        assert_eq!(refusal.retry_after_seconds(), Some(2));
        let refusal = Refusal::QuotaExceeded { retry_after: Duration::ZERO };
        assert_eq!(refusal.retry_after_seconds(), Some(1));
    }
}
