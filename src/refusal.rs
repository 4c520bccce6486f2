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
    /// The token is valid and lacks a claim that integration tokens have: its part in the sentence,
    /// `subject` or `scope`.
    TokenClaimMissing(&'static str),
    /// The token is valid and names nobody.
    TokenWithoutSubject,
    /// The API key is unknown, revoked or expired.
    KeyInvalid,
    /// The API key holds, and its owner's account is switched off or gone.
    KeyOwnerInactive,
    /// The request's signature does not hold: the contract's code for why.
    SignatureInvalid(&'static str),
    /// The principal is known and may not do this: the scopes of which it would need one.
    ScopeMissing(Vec<String>),
    /// No route takes this host and path.
    NoRoute,
    /// A route takes this path, with other methods: the value of `Allow`.
    MethodNotAllowed {
        /// The method that was tried.
        method: String,
        /// The methods that the path takes, as `Allow` wants them.
        allow: String,
    },
    /// The client accepts no answer that the route can give.
    NotAcceptable,
    /// The request body is longer than the route takes.
    BodyTooLarge {
        /// The most bytes that the route takes.
        body_bytes_max: usize,
    },
    /// The client's address sent too many credentials that do not hold.
    FailuresLimited {
        /// How long until the address may try again.
        retry_after: Duration,
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
    /// The calls that the upstream may take are used up.
    BudgetSpent {
        /// How long until there is room for one.
        retry_after: Duration,
    },
    /// What must be asked before the request may go on cannot be: a shared state, a database, an
    /// issuer's keys.
    StateUnavailable {
        /// How long until it is worth trying again.
        retry_after: Duration,
    },
    /// The upstream did not answer within the route's deadline.
    UpstreamTimeout,
    /// The client wants only what is stored, and nothing is that it would take.
    NotCached,
    /// A fault of the gateway itself.
    Internal,
}

impl Refusal {
    /// Every stable code, for the metrics' closed label set and the README's table.
    pub const CODES: [&'static str; 24] = [
        "bad_request",
        "credential_missing",
        "credential_malformed",
        "token_not_valid",
        "key_not_valid",
        "signature_not_valid",
        "scope_missing",
        "no_route",
        "method_not_allowed",
        "not_acceptable",
        "body_too_large",
        "failures_limited",
        "quota_exceeded",
        "address_limited",
        "head_too_large",
        "upstream_invalid",
        "upstream_broken",
        "upstream_unavailable",
        "overloaded",
        "budget_spent",
        "state_unavailable",
        "upstream_timeout",
        "not_cached",
        "internal",
    ];

    /// The stable word for this refusal, in metrics, logs and (text mode) the envelope.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::CredentialMissing => "credential_missing",
            Self::CredentialMalformed => "credential_malformed",
            Self::TokenInvalid(_) | Self::TokenClaimMissing(_) | Self::TokenWithoutSubject => {
                "token_not_valid"
            }
            Self::KeyInvalid | Self::KeyOwnerInactive => "key_not_valid",
            Self::SignatureInvalid(_) => "signature_not_valid",
            Self::ScopeMissing(_) => "scope_missing",
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::NotAcceptable => "not_acceptable",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::FailuresLimited { .. } => "failures_limited",
            Self::QuotaExceeded { .. } => "quota_exceeded",
            Self::AddressLimited { .. } => "address_limited",
            Self::HeadTooLarge => "head_too_large",
            Self::UpstreamInvalid => "upstream_invalid",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::Overloaded { .. } => "overloaded",
            Self::BudgetSpent { .. } => "budget_spent",
            Self::StateUnavailable { .. } => "state_unavailable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::NotCached => "not_cached",
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
            | Self::TokenClaimMissing(_)
            | Self::TokenWithoutSubject
            | Self::KeyInvalid
            | Self::KeyOwnerInactive => StatusCode::UNAUTHORIZED,
            Self::SignatureInvalid(_) | Self::ScopeMissing(_) => StatusCode::FORBIDDEN,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::FailuresLimited { .. }
            | Self::QuotaExceeded { .. }
            | Self::AddressLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UpstreamInvalid | Self::UpstreamBroken => StatusCode::BAD_GATEWAY,
            Self::UpstreamUnavailable
            | Self::Overloaded { .. }
            | Self::BudgetSpent { .. }
            | Self::StateUnavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            // RFC 9111, section 5.2.1.7.
            Self::UpstreamTimeout | Self::NotCached => StatusCode::GATEWAY_TIMEOUT,
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
            Self::TokenClaimMissing(claim) => {
                format!("Token missing required {claim} claim").into()
            }
            Self::KeyInvalid => "Invalid or expired API key.".into(),
            Self::KeyOwnerInactive => "User inactive or deleted.".into(),
            Self::SignatureInvalid(_) => "Invalid Nextcloud signature".into(),
            Self::ScopeMissing(scopes) => scope_sentence(scopes).into(),
            Self::NoRoute => "Not found.".into(),
            Self::MethodNotAllowed { method, .. } => {
                format!("Method \"{method}\" not allowed.").into()
            }
            Self::BodyTooLarge { body_bytes_max } => {
                format!("The request body is larger than {body_bytes_max} bytes.").into()
            }
            Self::NotAcceptable => "Could not satisfy the request Accept header.".into(),
            Self::FailuresLimited { .. }
            | Self::QuotaExceeded { .. }
            | Self::AddressLimited { .. } => "Too Many Requests".into(),
            Self::HeadTooLarge => "The request's header fields are too large.".into(),
            Self::UpstreamInvalid => "Upstream returned invalid JSON".into(),
            Self::UpstreamBroken => "Upstream answer was incomplete".into(),
            Self::UpstreamUnavailable => "Upstream service unavailable".into(),
            Self::Overloaded { .. } => "Service is overloaded, try again later".into(),
            Self::BudgetSpent { .. } => "The upstream's calls are used up, try again later".into(),
            Self::StateUnavailable { .. } => "Service unavailable, try again later".into(),
            Self::UpstreamTimeout => "Upstream service timed out".into(),
            Self::NotCached => "Nothing that is stored answers this request".into(),
            Self::Internal => "Internal server error".into(),
        }
    }

    /// When the client may try again, for `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::FailuresLimited { retry_after }
            | Self::QuotaExceeded { retry_after }
            | Self::AddressLimited { retry_after }
            | Self::Overloaded { retry_after }
            | Self::BudgetSpent { retry_after }
            | Self::StateUnavailable { retry_after } => Some(*retry_after),
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

fn scope_sentence(scopes: &[String]) -> String {
    let quoted: Vec<String> = scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
    match quoted.as_slice() {
        [only] => format!("This call needs the scope {only}."),
        _ => format!("This call needs one of the scopes {}.", quoted.join(", ")),
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
