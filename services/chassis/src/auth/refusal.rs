//! What is a caller told that is not let in?
//!
//! As little as possible: what was wrong with a credential stands in the log alone.

use std::fmt;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::keys::KeyFault;
use super::principal::Need;
use super::token::TokenFault;
use crate::envelope::Failure;

/// The challenge of every 401 (RFC 6750, section 3).
const CHALLENGE: &str = "Bearer realm=\"api\"";

/// The challenge where the credential holds and is not enough.
const CHALLENGE_SCOPE: &str = "Bearer realm=\"api\", error=\"insufficient_scope\"";

/// When it is worth coming back, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It carries no credential.
    Missing,
    /// It carries something like a credential, or several.
    Malformed,
    /// Nothing verifies credentials of this kind.
    Unverified,
    /// The token does not hold.
    Token(TokenFault),
    /// The key does not hold, or it cannot be told.
    Key(KeyFault),
    /// The credential holds and does not reach far enough.
    Scope(Need),
}

impl Refusal {
    /// The word for it in the metrics.
    pub(super) fn outcome(self) -> &'static str {
        match self {
            Self::Key(KeyFault::Busy) => "busy",
            Self::Key(KeyFault::Unavailable) => "unavailable",
            Self::Scope(_) => "forbidden",
            Self::Missing | Self::Malformed | Self::Unverified | Self::Token(_) | Self::Key(_) => {
                "refused"
            }
        }
    }
}

/// What stands in the log: one of a closed set, without anything that the caller sent.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no credential"),
            Self::Malformed => f.write_str("credential malformed"),
            Self::Unverified => f.write_str("nothing verifies this kind of credential"),
            Self::Token(fault) => fault.fmt(f),
            Self::Key(fault) => fault.fmt(f),
            Self::Scope(_) => f.write_str("scope missing"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let challenge = |text| (WWW_AUTHENTICATE, HeaderValue::from_static(text));
        let (failure, (name, value)) = match self {
            Self::Key(KeyFault::Busy | KeyFault::Unavailable) => {
                let failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable");
                let retry = HeaderValue::from_static(RETRY_AFTER_SECONDS);
                (failure.without_errors(), (RETRY_AFTER, retry))
            }
            Self::Scope(need) => {
                let detail = format!("This needs one of the scopes {}.", need.scopes().join(", "));
                let failure = Failure::new(StatusCode::FORBIDDEN, "Forbidden").with_detail(detail);
                (failure, challenge(CHALLENGE_SCOPE))
            }
            Self::Missing | Self::Malformed | Self::Unverified | Self::Token(_) | Self::Key(_) => {
                let failure = Failure::new(StatusCode::UNAUTHORIZED, "Unauthorized");
                (failure.without_errors(), challenge(CHALLENGE))
            }
        };
        failure.with_null_data().with_header(name, value).into_response()
    }
}
