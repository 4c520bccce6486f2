//! What is known of a signed request, and what does an explanation of it say?

use std::fmt;
use std::time::Duration;

use http::Method;
use serde::Serialize;

use crate::auth::rule::{RuleError, SharedSecret};

/// The text of a secret as an operator has it: base64, if it is right. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(pub(super) String);

impl SecretText {
    /// Takes the text as it is.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret that the text stands for.
    ///
    /// # Errors
    ///
    /// [`RuleError::SecretEncoding`] when it is not standard base64 with padding.
    pub fn secret(&self) -> Result<SharedSecret, RuleError> {
        SharedSecret::from_base64(&self.0)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(redacted)")
    }
}

/// What is known beside the request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The client's secrets, one at least.
    pub secrets: &'a [SecretText],
    /// The methods that the route takes.
    pub methods: &'a [Method],
    /// How far the clocks may be apart.
    pub skew: Duration,
    /// The canonical string that the client says it has signed.
    pub claimed: Option<&'a str>,
}

impl Asked<'_> {
    /// The secrets that can be read as the contract wants it.
    pub(super) fn keys(&self) -> Vec<SharedSecret> {
        let readable = self.secrets.iter().filter_map(|secret| secret.secret().ok());
        readable.filter(|secret| !secret.bytes().is_empty()).collect()
    }
}

/// A part of a signature, in which a client can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The method's line.
    Method,
    /// The path's line.
    Path,
    /// The query's line.
    Query,
    /// The timestamp's line.
    Timestamp,
    /// The nonce's line.
    Nonce,
    /// The line of the body's hash.
    Body,
    /// How the lines are joined.
    Layout,
    /// How the secret becomes a key.
    Secret,
    /// Which hash function HMAC is used with.
    Digest,
    /// How the signature is written into its field.
    Signature,
}

/// One thing that the client did in another way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deviation {
    /// Which part it is.
    pub part: Part,
    /// What the client did; completes "it was ..".
    pub what: String,
    /// What it signed, where that can be shown.
    pub signed: Option<String>,
    /// What the gateway received in its place.
    pub received: Option<String>,
    /// What to change in the client.
    pub advice: &'static str,
}

/// One of the six lines, as the gateway and as the client has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineDifference {
    /// Which line it is.
    pub line: &'static str,
    /// Whether both are the same.
    pub same: bool,
    /// The client's.
    pub signed: String,
    /// The gateway's.
    pub received: String,
}

/// What the gateway would answer. A nonce that was used before is not known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// 403, or `None` when it would let the request in.
    pub status: Option<u16>,
    /// `errors.code`, by which clients know the case.
    pub code: Option<&'static str>,
    /// What the log would say.
    pub reason: Option<String>,
}

/// A signature that would hold. It lets in whoever sends it with this request.
#[derive(Clone, PartialEq, Eq)]
pub struct ExpectedSignature(pub(super) [u8; 32]);

impl ExpectedSignature {
    /// The signature itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ExpectedSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpectedSignature(..)")
    }
}

/// What became of a signed request, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Whether the gateway would let the request in, if its nonce is new.
    pub holds: bool,
    /// All of it in one sentence.
    pub verdict: String,
    /// What the gateway would answer.
    pub answer: Answer,
    /// The canonical string as the gateway has it.
    pub canonical: String,
    /// What the client did in another way, as far as it was found.
    pub deviations: Vec<Deviation>,
    /// The lines beside those of the string that the client says it has signed.
    pub lines: Vec<LineDifference>,
    /// What to change.
    pub advice: Vec<String>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
    /// The signature that would hold, by the first secret that can be read.
    #[serde(skip)]
    pub expected: Option<ExpectedSignature>,
}
