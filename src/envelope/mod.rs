//! In which form does an answer leave?
//!
//! Every enveloped answer is one JSON object: `status`, `message`, `data`, `errors`, and for the
//! gateway's own answers `request_id`, in that order. [`wrap`] brings an upstream's complete body
//! into that form, once per cache fill, so that a cache hit costs no JSON work. [`refuse`] writes
//! what the gateway says on its own behalf.
//!
//! Values that are not looked at (`data`, `errors`, an upstream's `request_id`) are copied byte
//! for byte: numbers keep their digits and strings their escapes.

mod refuse;
mod wrap;

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

pub use refuse::{accept, refuse};
pub use wrap::{Kind, Wrapped, wrap};

/// The `Content-Type` of every envelope.
pub const CONTENT_TYPE: &str = "application/json";

/// How the envelope spells success and failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusForm {
    /// `"success"` and `"error"`.
    #[default]
    Text,
    /// `0` and `1`, and the operator's recorded bodies for refusals, byte for byte.
    Integer,
}

impl StatusForm {
    /// The word for this form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
        }
    }

    /// The JSON value of `status`.
    const fn literal(self, success: bool) -> &'static str {
        match (self, success) {
            (Self::Text, true) => "\"success\"",
            (Self::Text, false) => "\"error\"",
            (Self::Integer, true) => "0",
            (Self::Integer, false) => "1",
        }
    }
}

/// One route's rule for its envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How `status` is spelled.
    pub status_form: StatusForm,
    /// The longest upstream body that is put into an envelope, in bytes.
    pub body_bytes_max: usize,
}

impl Rule {
    /// Whether a body of this many bytes may be wrapped. What happens to a longer one is the
    /// caller's decision: it is known before the body is complete.
    #[must_use]
    pub const fn fits(&self, body_bytes: usize) -> bool {
        body_bytes <= self.body_bytes_max
    }
}

/// The parts of one envelope. Every string here is already JSON.
struct Envelope<'a> {
    success: bool,
    message: Cow<'a, str>,
    /// `None` leaves the key out, as some of the operator's recorded errors do.
    data: Option<&'a str>,
    errors: Cow<'a, str>,
    /// `None` leaves the key out.
    request_id: Option<Cow<'a, str>>,
}

impl Envelope<'_> {
    /// The compact bytes, keys in the contract's order.
    fn write(&self, form: StatusForm) -> Bytes {
        const PUNCTUATION_BYTES: usize = 80;
        let request_id = self.request_id.as_deref();
        let mut out = String::with_capacity(
            PUNCTUATION_BYTES
                + self.message.len()
                + self.data.map_or(0, str::len)
                + self.errors.len()
                + request_id.map_or(0, str::len),
        );
        out.push_str("{\"status\":");
        out.push_str(form.literal(self.success));
        out.push_str(",\"message\":");
        out.push_str(&self.message);
        if let Some(data) = self.data {
            out.push_str(",\"data\":");
            out.push_str(data);
        }
        out.push_str(",\"errors\":");
        out.push_str(&self.errors);
        if let Some(request_id) = request_id {
            out.push_str(",\"request_id\":");
            out.push_str(request_id);
        }
        out.push('}');
        Bytes::from(out)
    }
}

/// `text` as a JSON string, quotes included.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
