//! What a configured rule may contain: ids, times and secrets, and what is wrong with them.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::principal::Scheme;

/// The longest id of a configured client or key, in bytes.
pub const ID_BYTES_MAX: usize = 128;

/// Why a rule cannot be put to use. Found while compiling a configuration, never in a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No scheme, and no anonymous callers either.
    #[error("nobody can call this route; name a scheme, or allow anonymous callers")]
    NobodyAccepted,
    /// Anonymous is a switch of its own.
    #[error("\"anonymous\" is not a scheme to require; set the anonymous switch instead")]
    AnonymousListed,
    /// A scheme is required that nothing can verify.
    #[error("the scheme \"{scheme}\" is required, but nothing verifies it; configure it")]
    VerifierMissing {
        /// The scheme.
        scheme: Scheme,
    },
    /// The token secret is easier to guess than the hash is strong (RFC 7518, section 3.2).
    #[error("the token secret has {bytes} bytes; use at least {bytes_min} random ones")]
    SecretTooShort {
        /// Its length.
        bytes: usize,
        /// The least length.
        bytes_min: usize,
    },
    /// There is no issuer to believe, or more than anybody has.
    #[error("there are {count} token issuers; name 1 to {count_max}")]
    IssuerCount {
        /// How many there are.
        count: usize,
        /// The most there may be.
        count_max: usize,
    },
    /// Among several issuers one has no name to tell its tokens by.
    #[error(
        "of several token issuers each needs its \"issuer\"; write what its tokens have as iss"
    )]
    IssuerUnnamed,
    /// Two rules are for the same issuer.
    #[error("the token issuer \"{issuer}\" is there twice; join the two")]
    IssuerRepeated {
        /// Its name.
        issuer: String,
    },
    /// An issuer's rule does not hold together.
    #[error("the token issuer \"{issuer}\" {fault}")]
    Issuer {
        /// Its name.
        issuer: String,
        /// What is wrong with its rule.
        fault: IssuerFault,
    },
    /// A client's secret is empty.
    #[error("the client \"{client}\" has an empty secret; write a random one")]
    SecretEmpty {
        /// The client's id.
        client: String,
    },
    /// A secret would begin to count when it has ended already.
    #[error("a secret of the client \"{client}\" ends before it begins; swap its two times")]
    SecretNeverInForce {
        /// The client's id.
        client: String,
    },
    /// A secret is not base64.
    #[error("the secret is not standard base64 with padding; encode it with `base64`")]
    SecretEncoding,
    /// A client has more secrets than a rotation can need.
    #[error("the client \"{client}\" has {count} secrets; keep at most {count_max}")]
    SecretsTooMany {
        /// The client's id.
        client: String,
        /// How many it has.
        count: usize,
        /// The most it may have.
        count_max: usize,
    },
    /// A key's digest is not a SHA-256 in hex.
    #[error("the key digest is not 64 hex digits; write the SHA-256 of the key")]
    DigestMalformed,
    /// An id cannot be logged or counted by.
    #[error("the id {id:?} is not 1 to 128 printable ASCII characters without spaces")]
    IdMalformed {
        /// The id.
        id: String,
    },
    /// An id is there twice.
    #[error("the id \"{id}\" is used twice; give each its own")]
    IdRepeated {
        /// The id.
        id: String,
    },
    /// Two ids have the same key, so it would not be clear who is calling.
    #[error("\"{first}\" and \"{second}\" have the same key; make a key for each")]
    KeyRepeated {
        /// The id that had the key first.
        first: String,
        /// The id that has it again.
        second: String,
    },
    /// A time is longer than the gateway can honour.
    #[error("{what} is {seconds} s; use at most {seconds_max}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// How long it is.
        seconds: u64,
        /// The longest it may be.
        seconds_max: u64,
    },
}

/// What is wrong with the rule of one token issuer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerFault {
    /// Its name cannot be logged or counted by.
    #[error("has an empty or long name, or one with control characters")]
    Name,
    /// It may not sign at all.
    #[error("has no algorithm; list those that it signs with")]
    NoAlgorithm,
    /// Its public key could be taken for a shared secret.
    #[error("mixes HS* with other algorithms; list one kind, and make an issuer of each")]
    AlgorithmsMixed,
    /// None of its keys is for any of its algorithms.
    #[error("has no key for any of its algorithms; give one, or list the algorithm of the key")]
    NoKey,
    /// It has more keys than would be tried.
    #[error("has more than {count_max} keys without a \"kid\"; keep those of the last rotation")]
    KeysTooMany {
        /// The most there may be.
        count_max: usize,
    },
    /// A shared secret would have to be published.
    #[error("signs with HS* and has a key set to fetch; a shared secret cannot be published")]
    SecretFetched,
    /// More claims are asked for than a token needs.
    #[error("asks for more than {count_max} claims by name; ask for fewer")]
    ClaimsTooMany {
        /// The most there may be.
        count_max: usize,
    },
}

/// Bytes that the gateway shares with an issuer or a client. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedSecret(Box<[u8]>);

impl SharedSecret {
    /// Takes the secret's bytes as they are.
    #[must_use]
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Reads a secret from standard base64 with padding; white space around it is dropped.
    ///
    /// # Errors
    ///
    /// [`RuleError::SecretEncoding`] when the text is anything else.
    pub fn from_base64(text: &str) -> Result<Self, RuleError> {
        STANDARD.decode(text.trim()).map(Self::new).map_err(|_| RuleError::SecretEncoding)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(redacted)")
    }
}

/// Checks the id of a configured key or client.
///
/// # Errors
///
/// [`RuleError::IdMalformed`] for one that cannot be logged or counted by.
pub fn check_id(id: &str) -> Result<(), RuleError> {
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(RuleError::IdMalformed { id: id.to_owned() });
    }
    Ok(())
}

/// Checks a configured time against its bound.
pub(super) fn check_time(
    what: &'static str,
    given: Duration,
    max: Duration,
) -> Result<(), RuleError> {
    if given > max {
        let (seconds, seconds_max) = (given.as_secs(), max.as_secs());
        return Err(RuleError::TooLong { what, seconds, seconds_max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = SharedSecret::from_base64(" bmV4dGNsb3VkLWhtYWMtc2VjcmV0\n").unwrap();
        assert_eq!(secret.bytes(), b"nextcloud-hmac-secret");
        assert_eq!(format!("{secret:?}"), "SharedSecret(redacted)");
    }

    #[test]
    fn unpadded_and_url_safe_secrets_are_refused() {
        for text in ["dGVzdC1zaGFyZWQtc2VjcmV0X", "YQ", "-_-_", "a b"] {
            assert_eq!(SharedSecret::from_base64(text), Err(RuleError::SecretEncoding), "{text}");
        }
    }
}
