//! What a client got back, and what a test expects of it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::Headers;

const SHOWN_BODY_BYTES_MAX: usize = 2_000;

/// A whole reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Method and target of the request, for messages.
    pub request: String,
    /// The protocol that carried the reply.
    pub version: http::Version,
    /// The status code.
    pub status: u16,
    /// The header fields in wire order.
    pub headers: Headers,
    /// The whole body, without its framing.
    pub body: Bytes,
    /// From just before the request was sent (the connection included, when it was new) to the
    /// last byte of the body.
    pub elapsed: Duration,
}

impl Reply {
    /// The value of the first header field of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When the body is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is not JSON: {error}\n{}", self.describe()))
    }

    /// Fails unless the status is this one.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Self {
        assert!(self.status == status, "expected status {status}\n{}", self.describe());
        self
    }

    /// Fails unless the first header field of this name has this value.
    #[track_caller]
    pub fn expect_header(self, name: &str, value: &str) -> Self {
        assert!(
            self.header(name) == Some(value),
            "expected header {name}: {value}\n{}",
            self.describe()
        );
        self
    }

    /// Fails if there is a header field of this name.
    #[track_caller]
    pub fn expect_no_header(self, name: &str) -> Self {
        assert!(!self.headers.contains(name), "expected no header {name}\n{}", self.describe());
        self
    }

    /// Fails unless the JSON body has this value at this pointer (RFC 6901), as `/errors/code`.
    #[track_caller]
    pub fn expect_json(self, pointer: &str, value: impl Into<Value>) -> Self {
        let (body, value) = (self.json(), value.into());
        assert!(
            body.pointer(pointer) == Some(&value),
            "expected {value} at {pointer:?} of the body\n{}",
            self.describe()
        );
        self
    }

    /// Fails unless the body is exactly this.
    #[track_caller]
    pub fn expect_body(self, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        assert!(
            self.body == body,
            "expected body {:?}\n{}",
            String::from_utf8_lossy(body),
            self.describe()
        );
        self
    }

    fn describe(&self) -> String {
        let mut out = format!("{} got {:?} {}", self.request, self.version, self.status);
        for (name, value) in self.headers.iter() {
            out.push_str(&format!("\n  {name}: {value}"));
        }
        let shown = &self.body[..self.body.len().min(SHOWN_BODY_BYTES_MAX)];
        out.push_str(&format!("\n  {}", String::from_utf8_lossy(shown)));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> Reply {
        let mut headers = Headers::default();
        headers.push("Retry-After", "1");
        Reply {
            request: "GET /x".to_owned(),
            version: http::Version::HTTP_11,
            status: 429,
            headers,
            body: Bytes::from_static(br#"{"errors":{"code":"quota"}}"#),
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn met_expectations_can_be_chained() {
        reply()
            .expect_status(429)
            .expect_header("retry-after", "1")
            .expect_no_header("age")
            .expect_json("/errors/code", "quota")
            .expect_body(r#"{"errors":{"code":"quota"}}"#);
    }

    #[test]
    #[should_panic(
        expected = "expected status 200\nGET /x got HTTP/1.1 429\n  Retry-After: 1\n  {"
    )]
    fn missed_expectation_shows_the_whole_reply() {
        reply().expect_status(200);
    }

    #[test]
    #[should_panic(expected = "expected \"other\" at \"/errors/code\" of the body")]
    fn missed_json_value_names_its_pointer() {
        reply().expect_json("/errors/code", "other");
    }
}
