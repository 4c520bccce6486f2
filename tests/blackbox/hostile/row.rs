//! One hostile request, and the refusal that the contract gives for it.

use harness::{Reply, Request};
use serde_json::Value;

/// What is shorter could stand in a log by chance, and is no secret.
const HIDDEN_BYTES_MIN: usize = 12;

/// What Pingora's parser answers by itself: no envelope, and the end of the connection.
pub(super) const UNREAD: Wanted = Wanted { closes: true, ..Wanted::new(400, "") };
pub(super) const BAD_REQUEST: Wanted = Wanted::new(400, "bad_request");
pub(super) const MISSING: Wanted = Wanted::new(401, "credential_missing");
pub(super) const MALFORMED: Wanted = Wanted::new(401, "credential_malformed");
pub(super) const BAD_TOKEN: Wanted = Wanted::token("Token is invalid");
pub(super) const BAD_KEY: Wanted = Wanted::new(401, "key_not_valid");
pub(super) const NO_SCOPE: Wanted = Wanted::new(403, "scope_missing");
pub(super) const NO_ROUTE: Wanted = Wanted::new(404, "no_route");
pub(super) const WRONG_METHOD: Wanted = Wanted::new(405, "method_not_allowed");
pub(super) const BODY_TOO_LARGE: Wanted = Wanted::new(413, "body_too_large");
pub(super) const OVER_QUOTA: Wanted = Wanted::new(429, "quota_exceeded");
pub(super) const HEAD_TOO_LARGE: Wanted = Wanted::new(431, "head_too_large");

/// A refusal in text form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) status: u16,
    /// `errors.code`; empty where there is no envelope.
    pub(super) code: &'static str,
    /// `errors.reason` of a signature, `errors.detail` of a token; empty for others.
    pub(super) why: &'static str,
    /// Whether the connection ends with it.
    pub(super) closes: bool,
}

/// How a row is sent.
#[derive(Clone)]
pub(super) enum Sent {
    /// Over both protocols.
    Request(Request),
    /// These bytes, which HTTP/2 cannot carry.
    Bytes(Vec<u8>),
}

/// One hostile request.
pub(super) struct Row {
    pub(super) name: String,
    /// Sent before, and let in.
    pub(super) before: Option<Request>,
    pub(super) sent: Sent,
    pub(super) wanted: Wanted,
    /// What it gets over HTTP/2, where that is something else.
    pub(super) over_http2: Option<Wanted>,
    /// What nobody may find in a reply or in the log.
    pub(super) hidden: Vec<String>,
}

impl Wanted {
    pub(super) const fn new(status: u16, code: &'static str) -> Self {
        Self { status, code, why: "", closes: false }
    }

    pub(super) const fn token(why: &'static str) -> Self {
        Self { why, ..Self::new(401, "token_not_valid") }
    }

    pub(super) const fn signature(why: &'static str) -> Self {
        Self { why, ..Self::new(403, "signature_not_valid") }
    }

    pub(super) const fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    /// What is wrong with a refusal, if anything is.
    pub(super) fn fault_of(&self, reply: &Reply) -> Option<&'static str> {
        if reply.status != self.status {
            return Some("another status");
        }
        if self.code.is_empty() {
            return None;
        }
        let Ok(body) = serde_json::from_slice::<Value>(&reply.body) else {
            return Some("no envelope");
        };
        let member = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let why = if self.code == "signature_not_valid" { "reason" } else { "detail" };
        let faults = [
            (member("/errors/code") != self.code, "another code"),
            (
                !self.why.is_empty() && member(&format!("/errors/{why}")) != self.why,
                "another reason",
            ),
            (member("/status") != "error" || !body["data"].is_null(), "no envelope"),
            (member("/message").is_empty() || member("/errors/detail").is_empty(), "no words"),
            (member("/request_id").is_empty(), "no request id"),
            (reply.header("X-Request-ID") != Some(member("/request_id")), "two request ids"),
            (reply.header("Content-Type") != Some("application/json"), "no JSON"),
            (reply.header("Cache-Control") != Some("no-store"), "it may be kept"),
            (reply.headers.contains("WWW-Authenticate") != (self.status == 401), "the challenge"),
            (reply.headers.contains("Retry-After") != (self.status == 429), "the wait"),
        ];
        faults.into_iter().find_map(|(is_there, what)| is_there.then_some(what))
    }
}

impl Row {
    pub(super) fn request(name: impl Into<String>, request: Request, wanted: Wanted) -> Self {
        Self::new(name.into(), Sent::Request(request), wanted)
    }

    pub(super) fn bytes(
        name: impl Into<String>,
        bytes: impl Into<Vec<u8>>,
        wanted: Wanted,
    ) -> Self {
        Self::new(name.into(), Sent::Bytes(bytes.into()), wanted)
    }

    /// Keeps a text in mind that nobody may find.
    pub(super) fn hiding(mut self, secret: impl Into<String>) -> Self {
        let secret = Some(secret.into()).filter(|secret| secret.len() >= HIDDEN_BYTES_MIN);
        self.hidden.extend(secret);
        self
    }

    /// Lets another request in first.
    pub(super) fn after(self, before: Request) -> Self {
        Self { before: Some(before), ..self }
    }

    /// A head that HTTP/2 does not even take from the wire: no envelope.
    pub(super) fn unread_over_http2(self) -> Self {
        Self { over_http2: Some(Wanted::new(431, "")), ..self }
    }

    fn new(name: String, sent: Sent, wanted: Wanted) -> Self {
        Self { name, before: None, sent, wanted, over_http2: None, hidden: Vec::new() }
    }
}
