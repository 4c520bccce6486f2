//! What the scripted origin answers: a response, and how it goes wrong.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use crate::Headers;

const CHUNK_BYTES: usize = 1024;

/// One scripted answer: status, headers, body, when it comes and how it ends.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Headers,
    body: Bytes,
    framing: BodyFraming,
    raw: Option<Bytes>,
    pub(crate) delay: Duration,
    pub(crate) held: bool,
    pub(crate) ending: Ending,
    pub(crate) times: usize,
}

/// How the origin marks the end of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyFraming {
    Length,
    Chunked,
    UntilClose,
}

/// What happens to the connection while the answer is sent; counts are bytes of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Whole,
    TruncatedAfter(usize),
    StalledAfter(usize),
    ResetAfter(usize),
    ResetUnanswered,
}

impl Answer {
    /// An answer with this status, no header of its own and an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Headers::default(),
            body: Bytes::new(),
            framing: BodyFraming::Length,
            raw: None,
            delay: Duration::ZERO,
            held: false,
            ending: Ending::Whole,
            times: 1,
        }
    }

    /// A 200 with this JSON text, sent as it stands.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::status(200).header("Content-Type", "application/json").body(body)
    }

    /// These bytes instead of an HTTP answer, after which the connection is closed.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self { raw: Some(bytes.into()), ..Self::status(200) }
    }

    /// A connection that is reset (TCP RST) instead of an answer.
    pub fn reset() -> Self {
        Self { ending: Ending::ResetUnanswered, ..Self::status(200) }
    }

    /// Sets the body.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Takes the body away; the answer then says `Content-Length: 0`, or nothing on 204 and 304.
    #[must_use]
    pub fn no_body(self) -> Self {
        self.body(Bytes::new())
    }

    /// Adds a header field; a `Content-Length` is sent instead of the true one.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Sends nothing before this time has passed.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Sends nothing before `Origin::release` is called for the path; a delay comes first.
    #[must_use]
    pub fn hold(self) -> Self {
        Self { held: true, ..self }
    }

    /// Sends the body in chunks instead of with a length.
    #[must_use]
    pub fn chunked(self) -> Self {
        Self { framing: BodyFraming::Chunked, ..self }
    }

    /// Ends the body by closing the connection, with neither length nor chunks.
    #[must_use]
    pub fn until_close(self) -> Self {
        Self { framing: BodyFraming::UntilClose, ..self }
    }

    /// Closes the connection after this many bytes of the body; the header promises all of it.
    #[must_use]
    pub fn truncate(self, bytes: usize) -> Self {
        Self { ending: Ending::TruncatedAfter(bytes), ..self }
    }

    /// Sends the head and this many bytes of the body, and the rest only after `Origin::release`.
    #[must_use]
    pub fn stall_after(self, bytes: usize) -> Self {
        Self { ending: Ending::StalledAfter(bytes), ..self }
    }

    /// Resets the connection (TCP RST) after the head and this many bytes of the body.
    #[must_use]
    pub fn reset_after(self, bytes: usize) -> Self {
        Self { ending: Ending::ResetAfter(bytes), ..self }
    }

    /// In a script: answers this many calls before the next answer has its turn.
    ///
    /// # Panics
    /// When `times` is 0.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        assert!(times > 0, "an answer that is given 0 times has no place in a script");
        Self { times, ..self }
    }

    /// Whether the connection ends with this answer.
    pub(crate) fn closes(&self) -> bool {
        self.raw.is_some()
            || self.framing == BodyFraming::UntilClose
            || matches!(self.ending, Ending::TruncatedAfter(_))
            || self.headers.holds_token("connection", "close")
    }

    /// The bytes up to the fault and the bytes after it; without a fault all are in the first.
    pub(crate) fn encode(&self, method: &str) -> (Vec<u8>, Vec<u8>) {
        if let Some(raw) = &self.raw {
            return (raw.to_vec(), Vec::new());
        }
        let mut out = self.encode_head();
        if method == "HEAD" || self.is_bodiless() {
            return (out, Vec::new());
        }
        let at = match self.ending {
            Ending::Whole | Ending::ResetUnanswered => self.body.len(),
            Ending::TruncatedAfter(at) | Ending::StalledAfter(at) | Ending::ResetAfter(at) => {
                at.min(self.body.len())
            }
        };
        let mut rest = Vec::new();
        self.encode_body(&self.body[..at], &mut out);
        self.encode_body(&self.body[at..], &mut rest);
        let last = if self.ending == Ending::Whole { &mut out } else { &mut rest };
        if self.framing == BodyFraming::Chunked {
            last.extend_from_slice(b"0\r\n\r\n");
        }
        (out, rest)
    }

    fn encode_head(&self) -> Vec<u8> {
        let reason = StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        let mut out = format!("HTTP/1.1 {} {reason}\r\n", self.status).into_bytes();
        self.headers.write(&mut out);
        let framing = match self.framing {
            _ if self.is_bodiless() || self.headers.contains("content-length") => String::new(),
            BodyFraming::Length => format!("Content-Length: {}\r\n", self.body.len()),
            BodyFraming::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
            BodyFraming::UntilClose => "Connection: close\r\n".to_owned(),
        };
        out.extend_from_slice(framing.as_bytes());
        out.extend_from_slice(b"\r\n");
        out
    }

    fn encode_body(&self, part: &[u8], out: &mut Vec<u8>) {
        if self.framing != BodyFraming::Chunked {
            return out.extend_from_slice(part);
        }
        for chunk in part.chunks(CHUNK_BYTES) {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// 204 and 304 never have a body (RFC 9110 sections 15.3.5 and 15.4.5).
    fn is_bodiless(&self) -> bool {
        matches!(self.status, 204 | 304)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &Answer, first: &str, rest: &str) {
        let (sent, later) = answer.encode("GET");
        assert_eq!(String::from_utf8(sent).unwrap(), first);
        assert_eq!(String::from_utf8(later).unwrap(), rest);
    }

    #[test]
    fn whole_answer_says_its_length() {
        check(
            &Answer::json("{}").header("Cache-Control", "no-store"),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n\
             Content-Length: 2\r\n\r\n{}",
            "",
        );
    }

    #[test]
    fn truncated_answer_promises_more_than_it_sends() {
        let answer = Answer::status(200).body("farmgate").truncate(4);
        check(&answer, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfarm", "gate");
        assert!(answer.closes());
    }

    #[test]
    fn chunked_answer_ends_with_the_last_chunk() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = Answer::status(200).body("farmgate").chunked();
        check(&answer, &format!("{head}8\r\nfarmgate\r\n0\r\n\r\n"), "");
        check(&answer.stall_after(4), &format!("{head}4\r\nfarm\r\n"), "4\r\ngate\r\n0\r\n\r\n");
    }

    #[test]
    fn bodiless_answers_carry_no_length() {
        check(&Answer::status(304).body("x"), "HTTP/1.1 304 Not Modified\r\n\r\n", "");
        check(
            &Answer::status(500).body("x").no_body(),
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
            "",
        );
        let (head, _) = Answer::status(200).body("four").encode("HEAD");
        assert_eq!(head, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    }

    #[test]
    fn length_given_as_a_header_is_believed() {
        let answer = Answer::status(200).body("four").header("Content-Length", "9");
        check(&answer, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour", "");
    }

    #[test]
    fn raw_answer_is_sent_as_it_stands() {
        check(&Answer::raw("nonsense"), "nonsense", "");
        assert!(Answer::raw("nonsense").closes());
    }
}
