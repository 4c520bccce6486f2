//! What does a captured HTTP/1.1 request say?
//!
//! Captures come out of editors, so lines may end in LF alone, and a line end may have been added
//! behind the body.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

/// Largest capture.
pub(super) const CAPTURE_BYTES_MAX: usize = 1024 * 1024;
/// Most header fields of a capture.
const FIELDS_MAX: usize = 1_000;

/// A request, in whole or in part: flags put the rest to it.
#[derive(Default)]
pub struct Captured {
    /// The method.
    pub method: Option<Method>,
    /// The path as it was sent.
    pub path: Option<String>,
    /// The query as it was sent, without its `?`.
    pub query: Option<String>,
    /// The fields.
    pub headers: HeaderMap,
    /// The body, as long as `Content-Length` says.
    pub body: Vec<u8>,
    /// What was odd about the capture.
    pub notes: Vec<String>,
}

impl Captured {
    /// Reads request line, fields and body.
    ///
    /// # Errors
    ///
    /// What is no HTTP/1.1 request about it.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let (first, mut rest) = line(bytes).ok_or("the capture is empty")?;
        let mut captured = Self::default();
        captured.take_request_line(first)?;
        let mut count = 0;
        while let Some((text, after)) = line(rest) {
            rest = after;
            if text.is_empty() {
                break;
            }
            count += 1;
            if count > FIELDS_MAX {
                return Err(format!("the capture has more than {FIELDS_MAX} header fields"));
            }
            captured.take_field(text, count + 1)?;
        }
        captured.take_body(rest)?;
        Ok(captured)
    }

    fn take_request_line(&mut self, text: &[u8]) -> Result<(), String> {
        const WANTED: &str = "the first line is no request line; write it as GET /path HTTP/1.1";
        let text = std::str::from_utf8(text).map_err(|_| WANTED)?;
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let (Some(method), Some(target), version, None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(WANTED.to_owned());
        };
        if version.is_some_and(|version| !version.starts_with("HTTP/")) {
            return Err(WANTED.to_owned());
        }
        let uri: Uri = target.parse().map_err(|error| format!("{WANTED}: {error}"))?;
        self.method = Some(Method::from_bytes(method.as_bytes()).map_err(|_| WANTED)?);
        self.path = Some(uri.path().to_owned());
        self.query = uri.query().map(str::to_owned);
        Ok(())
    }

    fn take_field(&mut self, text: &[u8], number: usize) -> Result<(), String> {
        // The field is not repeated: it may hold a token or a key.
        let wanted = |what| format!("line {number} of the capture is no header field: {what}");
        let colon = text.iter().position(|byte| *byte == b':');
        let colon = colon.ok_or_else(|| wanted("it has no colon; is the blank line missing?"))?;
        let (name, value) = text.split_at(colon);
        let name = HeaderName::from_bytes(name).map_err(|_| wanted("its name is malformed"))?;
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let value = HeaderValue::from_bytes(value).map_err(|_| wanted("it has control bytes"))?;
        self.headers.try_append(name, value).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn take_body(&mut self, rest: &[u8]) -> Result<(), String> {
        if self.headers.contains_key(header::TRANSFER_ENCODING) {
            let problem = "the capture has Transfer-Encoding; write the body without its framing";
            self.notes.push(format!("{problem}, or give it by --body-file"));
        }
        self.body = rest.to_vec();
        let length = self.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let Some(length) = length else { return Ok(()) };
        if rest.len() > length {
            self.body.truncate(length);
            let more = rest.len() - length;
            self.notes.push(format!("{more} byte(s) behind Content-Length were left out"));
        } else if rest.len() < length {
            let less = length - rest.len();
            self.notes.push(format!("the body lacks {less} byte(s) of its Content-Length"));
        }
        Ok(())
    }

    /// The head as the gateway would have it.
    ///
    /// # Errors
    ///
    /// What is missing, or cannot stand in a request.
    pub fn parts(&self) -> Result<Parts, String> {
        const MISSING: &str = "is not known; give it, or the whole request by --request";
        let method = self.method.clone().ok_or_else(|| format!("--method {MISSING}"))?;
        let path = self.path.as_ref().ok_or_else(|| format!("--path {MISSING}"))?;
        let target = match self.query.as_deref() {
            None | Some("") => path.clone(),
            Some(query) => format!("{path}?{query}"),
        };
        let request = Request::builder().method(method).uri(&target).body(());
        let request = request.map_err(|error| {
            format!("path and query cannot stand in a request ({error}); percent-encode them")
        })?;
        let mut parts = request.into_parts().0;
        parts.headers = self.headers.clone();
        Ok(parts)
    }
}

/// The first line without its end, and what follows it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    let mut halves = bytes.splitn(2, |byte| *byte == b'\n');
    let (first, rest) = (halves.next()?, halves.next().unwrap_or_default());
    Some((first.strip_suffix(b"\r").unwrap_or(first), rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_may_end_in_crlf_or_lf() {
        let text =
            "POST /a%20b/?c=d HTTP/1.1\nX-Nonce:  n-1 \nX-Nonce: n-2\nHost: h\n\n{\"e\":\n1}";
        for text in [text.to_owned(), text.replace('\n', "\r\n")] {
            let captured = Captured::read(text.as_bytes()).unwrap();
            assert_eq!(captured.method, Some(Method::POST));
            assert_eq!(captured.path.as_deref(), Some("/a%20b/"));
            assert_eq!(captured.query.as_deref(), Some("c=d"));
            let nonces: Vec<&HeaderValue> = captured.headers.get_all("x-nonce").iter().collect();
            assert_eq!(nonces, ["n-1", "n-2"]);
            assert!(captured.body.starts_with(b"{\"e\":") && captured.notes.is_empty());
            assert_eq!(captured.parts().unwrap().uri, "/a%20b/?c=d");
        }
    }

    #[test]
    fn what_stands_behind_the_length_of_the_body_is_left_out() {
        let read = |text: &str| Captured::read(text.as_bytes()).unwrap();
        let longer = read("POST / HTTP/1.1\nContent-Length: 2\n\n{}\n");
        assert_eq!((longer.body.as_slice(), longer.notes.len()), (b"{}".as_slice(), 1));
        let shorter = read("POST / HTTP/1.1\nContent-Length: 9\n\n{}");
        assert_eq!((shorter.body.as_slice(), shorter.notes.len()), (b"{}".as_slice(), 1));
        let bare = read("GET http://h/a?b HTTP/1.1");
        assert_eq!((bare.path.as_deref(), bare.query.as_deref()), (Some("/a"), Some("b")));
    }

    #[test]
    fn what_is_no_request_is_refused_and_not_repeated() {
        for (text, words) in [
            ("", "is empty"),
            ("hunter2", "no request line"),
            ("GET /a b c", "no request line"),
            ("GET hunter2://", "no request line"),
            ("GET / HTTP/1.1\nhunter2\n\n", "line 2 of the capture is no header field: it has no"),
            ("GET / HTTP/1.1\nA: b\nhunter 2: x\n\n", "line 3 of the capture is no header field"),
            ("GET / HTTP/1.1\nA: b\x01hunter2\n\n", "it has control bytes"),
        ] {
            let problem = Captured::read(text.as_bytes()).err().unwrap();
            assert!(problem.contains(words), "{text}: {problem}");
            assert!(!problem.contains("hunter"), "{problem}");
        }
        let many = format!("GET / HTTP/1.1\n{}", "A: b\n".repeat(FIELDS_MAX + 1));
        assert!(Captured::read(many.as_bytes()).err().unwrap().contains("more than 1000"));
    }

    proptest! {
        #[test]
        fn no_capture_makes_the_reader_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            text in "(GET|POST) /[ -~]{0,9} HTTP/1.1\r?\n([ -~]{0,9}:[ -~]{0,9}\r?\n){0,4}",
        ) {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                if let Ok(captured) = Captured::read(bytes) {
                    drop(captured.parts());
                }
            }
        }
    }
}
