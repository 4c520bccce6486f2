//! Why a credential does not hold: in full for the log, and as the refusal that the client sees.
//!
//! No variant carries a token, a key, a secret or an expected signature, so every `Display` and
//! `Debug` here may be logged.

use std::sync::Arc;
use std::time::Duration;

use super::nonce::NonceError;
use crate::refusal::Refusal;

/// When an issuer whose keys were never fetched is worth another try.
const KEYS_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why a request was not authenticated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The route wants a credential and the request has none that the route accepts.
    #[error("the request carries no credential that the route accepts")]
    Missing,
    /// `Authorization: Bearer` is not followed by exactly one word.
    #[error("the bearer header is not two words")]
    BearerMalformed,
    /// There are several `Authorization` fields, so it is not clear which one is meant.
    #[error("there is more than one Authorization field")]
    BearerRepeated,
    /// The bearer token does not hold.
    #[error("bearer token: {0}")]
    Token(#[from] TokenError),
    /// The API key does not hold.
    #[error("API key: {0}")]
    Key(#[from] KeyError),
    /// The request's signature does not hold.
    #[error("signature: {0}")]
    Signature(#[from] SignatureError),
    /// The signature holds, but its nonce cannot be remembered, so a replay could not be told.
    #[error("the nonce memory is full; raise its number of entries")]
    NonceMemoryFull {
        /// How long until the oldest nonce is forgotten.
        retry_after: Duration,
    },
    /// The signature holds, but nobody can say whether its nonce was used before.
    #[error("the nonces cannot be kept; the log says whether Redis or the disk is to blame")]
    NoncesUnavailable {
        /// How long until it is worth trying again.
        retry_after: Duration,
    },
}

impl AuthError {
    /// Whether this looks like somebody who tries credentials. What happens to honest clients does
    /// not count: no credential at all, a token whose time is over, a clock that is off, and what is
    /// the gateway's own fault.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self {
            Self::BearerMalformed | Self::BearerRepeated => true,
            // Whoever verifies a key counts its failures, before they can cost anything.
            Self::Key(error) => *error == KeyError::Repeated,
            Self::Missing | Self::NonceMemoryFull { .. } | Self::NoncesUnavailable { .. } => false,
            Self::Signature(error) => !matches!(
                error,
                SignatureError::MissingHeaders(_)
                    | SignatureError::MissingConfig
                    | SignatureError::BadJson
                    | SignatureError::BadBase64 { .. }
                    | SignatureError::Skew { .. }
            ),
            Self::Token(error) => !matches!(
                error,
                TokenError::Expired | TokenError::NotYetValid(_) | TokenError::KeysUnavailable
            ),
        }
    }
}

impl From<NonceError> for AuthError {
    fn from(error: NonceError) -> Self {
        match error {
            NonceError::Replay => Self::Signature(SignatureError::Replay),
            NonceError::Full { retry_after } => Self::NonceMemoryFull { retry_after },
            NonceError::Unavailable { retry_after } => Self::NoncesUnavailable { retry_after },
        }
    }
}

impl From<&AuthError> for Refusal {
    fn from(error: &AuthError) -> Self {
        match error {
            AuthError::Missing => Self::CredentialMissing,
            AuthError::BearerMalformed | AuthError::BearerRepeated => Self::CredentialMalformed,
            AuthError::Token(TokenError::NoSubject) => Self::TokenWithoutSubject,
            AuthError::Token(TokenError::KeysUnavailable) => {
                Self::StateUnavailable { retry_after: KEYS_RETRY_AFTER }
            }
            AuthError::Token(token) => Self::TokenInvalid(token.sentence()),
            AuthError::Key(key) => match key {
                KeyError::OwnerInactive { .. } => Self::KeyOwnerInactive,
                KeyError::TooManyFailures { retry_after } => {
                    Self::FailuresLimited { retry_after: *retry_after }
                }
                KeyError::Busy { retry_after } => Self::Overloaded { retry_after: *retry_after },
                KeyError::Unavailable { retry_after } => {
                    Self::StateUnavailable { retry_after: *retry_after }
                }
                KeyError::Repeated
                | KeyError::Malformed
                | KeyError::Unknown
                | KeyError::Revoked { .. }
                | KeyError::Expired { .. } => Self::KeyInvalid,
            },
            AuthError::Signature(signature) => Self::SignatureInvalid(signature.code()),
            AuthError::NonceMemoryFull { retry_after } => {
                Self::Overloaded { retry_after: *retry_after }
            }
            AuthError::NoncesUnavailable { retry_after } => {
                Self::StateUnavailable { retry_after: *retry_after }
            }
        }
    }
}

/// Why a bearer token does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is longer than any token of ours; it was not looked at.
    #[error("{bytes} bytes are more than a token may have")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is not three base64url parts with a JSON header and claims of the right types.
    #[error("it cannot be decoded")]
    Undecodable,
    /// Its header names another algorithm than the pinned ones, or one that its key is not for.
    #[error("its algorithm is not a pinned one")]
    Algorithm,
    /// Its header names a key that the issuer does not have, as far as is known.
    #[error("its key is not known")]
    UnknownKey,
    /// The issuer's keys were never fetched, so nothing can be said about it.
    #[error("the keys of its issuer could not be fetched yet")]
    KeysUnavailable,
    /// Its signature is not the issuer's.
    #[error("its signature does not hold")]
    Signature,
    /// Its header has a field that would bring its own key, encoding or rules.
    #[error("its header field \"{0}\" is not allowed")]
    HeaderField(&'static str),
    /// It lacks a claim that the rule wants.
    #[error("it has no \"{0}\"")]
    NoClaim(Arc<str>),
    /// It is valid only from later on.
    #[error("its claim \"{0}\" lies in the future")]
    NotYetValid(&'static str),
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// It was made by somebody else.
    #[error("its issuer is not the configured one")]
    Issuer,
    /// It was made for somebody else.
    #[error("its audience is not the configured one")]
    Audience,
    /// It never expires.
    #[error("it has no \"exp\"")]
    NoExpiry,
    /// It has no id of its own, and the rule wants one.
    #[error("it has no \"jti\"")]
    NoId,
    /// It does not say which type of token it is, and the rule wants one.
    #[error("it has no \"token_type\"")]
    NoType,
    /// It is another type of token, such as a refresh token.
    #[error("its \"token_type\" is not the accepted one")]
    WrongType,
    /// It speaks for nobody.
    #[error("it has neither \"sub\" nor \"user_id\"")]
    NoSubject,
    /// It speaks for a name that cannot be logged or counted by.
    #[error("its claim \"{0}\" is too long or has control characters")]
    Name(&'static str),
    /// It was withdrawn.
    #[error("it is revoked")]
    Revoked,
}

impl TokenError {
    /// The sentence by which the existing clients know this case.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::TooLong { .. }
            | Self::Undecodable
            | Self::Algorithm
            | Self::UnknownKey
            | Self::KeysUnavailable
            | Self::Signature
            | Self::HeaderField(_)
            | Self::NoClaim(_)
            | Self::NotYetValid(_)
            | Self::Issuer
            | Self::Audience
            | Self::Name(_) => "Token is invalid",
            Self::Expired => "Token is expired",
            Self::NoExpiry => "Token has no 'exp' claim",
            Self::NoId => "Token has no id",
            Self::NoType => "Token has no type",
            Self::WrongType => "Token has wrong type",
            Self::NoSubject => "Token contained no recognizable user identification",
            Self::Revoked => "Token is blacklisted",
        }
    }
}

/// Why an API key does not hold. The client cannot tell apart those that only say so; the rest
/// are [`KeyError::OwnerInactive`] and the three that tell it to come back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There are several `X-API-Key` fields, so it is not clear which one is meant.
    #[error("there is more than one X-API-Key field")]
    Repeated,
    /// It is too long or not ASCII; it was not looked up.
    #[error("it is too long, or not printable ASCII")]
    Malformed,
    /// Nobody has this key.
    #[error("it is not known")]
    Unknown,
    /// The key was withdrawn.
    #[error("the key \"{id}\" is revoked")]
    Revoked {
        /// The key's configured id.
        id: String,
    },
    /// The key's time is over.
    #[error("the key \"{id}\" has expired")]
    Expired {
        /// The key's configured id.
        id: String,
    },
    /// The key holds, but its user may no longer sign in.
    #[error("the user of the key \"{id}\" is inactive or deleted")]
    OwnerInactive {
        /// The key's id.
        id: String,
    },
    /// The client sent too many bad keys; this one was not looked at.
    #[error("its client sent too many bad keys")]
    TooManyFailures {
        /// How long until it may try again.
        retry_after: Duration,
    },
    /// As many keys as may wait for their slow hash are waiting.
    #[error("too many keys wait to be hashed")]
    Busy {
        /// How long until it is worth trying again.
        retry_after: Duration,
    },
    /// The database cannot be asked, and nothing is remembered of the key.
    #[error("the database of keys cannot be asked")]
    Unavailable {
        /// How long until it is worth trying again.
        retry_after: Duration,
    },
}

impl KeyError {
    /// Whether the client is to blame, so that its failures are counted; a gateway or a database
    /// that cannot answer is not its fault.
    #[must_use]
    pub fn is_clients_fault(&self) -> bool {
        match self {
            Self::Repeated
            | Self::Malformed
            | Self::Unknown
            | Self::Revoked { .. }
            | Self::Expired { .. }
            | Self::OwnerInactive { .. }
            | Self::TooManyFailures { .. } => true,
            Self::Busy { .. } | Self::Unavailable { .. } => false,
        }
    }
}

/// Why a signed request does not hold, in the order in which it is checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A field is absent, empty, or there twice: its primary name.
    #[error("the field \"{0}\" is absent, empty or repeated")]
    MissingHeaders(&'static str),
    /// The timestamp is not a whole number in plain digits.
    #[error("the timestamp is not a whole number in plain digits")]
    Timestamp,
    /// No client is configured at all.
    #[error("no client is configured; add one with its secret")]
    MissingConfig,
    /// The client map cannot be read.
    #[error("the client map is not a JSON object; write {{\"<client id>\": \"<base64 secret>\"}}")]
    BadJson,
    /// No secret of this client could be read.
    #[error("no secret of the client \"{client}\" is standard padded base64; write it anew")]
    BadBase64 {
        /// The client's id.
        client: String,
    },
    /// The client is not configured.
    #[error("the client \"{client}\" is not known")]
    UnknownClient {
        /// What was sent as its id, printable and of bounded length.
        client: String,
    },
    /// The request was signed too long ago, or its clock runs ahead.
    #[error(
        "the timestamp of the client \"{client}\" is {seconds} s away from the gateway's clock; \
         compare both clocks"
    )]
    Skew {
        /// The client's id.
        client: String,
        /// How far the two clocks are apart.
        seconds: u64,
    },
    /// It was signed for another method of the route.
    #[error("the client \"{client}\" made it for another method")]
    MethodMismatch {
        /// The client's id.
        client: String,
    },
    /// It was signed with, or without, a slash at the end of the path.
    #[error("the client \"{client}\" made it for the path with its trailing slash toggled")]
    PathMismatch {
        /// The client's id.
        client: String,
    },
    /// It was signed for the other of: the body, no body.
    #[error("the client \"{client}\" made it with the other rule for hashing the body")]
    BodyHashMismatch {
        /// The client's id.
        client: String,
    },
    /// It does not match the request.
    #[error("it is not what the client \"{client}\" makes of the request")]
    Mismatch {
        /// The client's id.
        client: String,
    },
    /// None of the client's secrets counts at this time.
    #[error("all secrets of the client \"{client}\" have run out or not begun; give it a new one")]
    SecretsRunOut {
        /// The client's id.
        client: String,
    },
    /// It was made with a secret that does not count at this time, though another does.
    #[error("the client \"{client}\" made it with a secret that has run out or not begun")]
    SecretRunOut {
        /// The client's id.
        client: String,
    },
    /// The nonce was used before.
    #[error("its nonce was used before")]
    Replay,
}

impl SignatureError {
    /// The code by which the existing clients know this case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingHeaders(_) => "missing_headers",
            Self::Timestamp | Self::Skew { .. } => "skew",
            Self::MissingConfig => "missing_config",
            Self::BadJson => "bad_json",
            Self::BadBase64 { .. } => "bad_base64",
            Self::UnknownClient { .. } => "unknown_client",
            Self::MethodMismatch { .. } => "method_mismatch",
            Self::PathMismatch { .. } => "path_mismatch",
            Self::BodyHashMismatch { .. } => "body_hash_mismatch",
            Self::Mismatch { .. } | Self::SecretsRunOut { .. } | Self::SecretRunOut { .. } => {
                "sig_mismatch"
            }
            Self::Replay => "replay",
        }
    }
}

/// What a stranger sent as a name, fit for a line of the log: printable and of bounded length.
pub(super) fn printable(name: &[u8]) -> String {
    let start = name.get(..NAME_BYTES_MAX).unwrap_or(name);
    let more = if name.len() > start.len() { ".." } else { "" };
    format!("{}{more}", start.escape_ascii())
}

/// The longest part of an unknown name that is shown.
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_strangers_are_shown_printable_and_short() {
        assert_eq!(printable(b"nc-1"), "nc-1");
        assert_eq!(printable(b"a\"b\nc\xff"), "a\\\"b\\nc\\xff");
        assert_eq!(printable(&[b'n'; 8_000]), "n".repeat(64) + "..");
        assert_eq!(printable(b""), "");
    }
}
