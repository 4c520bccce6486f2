//! Which request do these bytes stand for?
//!
//! They are written as HTTP/1.1 is, so that seeds can be read. What cannot be a field is passed
//! over, so that a change of one line does not lose the whole input.

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri};

/// A request, whole.
pub struct Message {
    /// Method, target and fields.
    pub head: Parts,
    /// All behind the first empty line.
    pub body: Vec<u8>,
}

impl Message {
    /// Reads a request line, fields, an empty line and a body; `None` without a method and a target
    /// that can be sent.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (first, mut rest) = line(bytes);
        let first = std::str::from_utf8(first).ok()?;
        let mut words = first.split(' ');
        let method = Method::from_bytes(words.next()?.as_bytes()).ok()?;
        let target: Uri = words.next()?.parse().ok()?;
        let mut head = Request::builder().method(method).uri(target).body(()).ok()?.into_parts().0;
        while !rest.is_empty() {
            let (field, after) = line(rest);
            rest = after;
            if field.is_empty() {
                break;
            }
            let Some(colon) = field.iter().position(|byte| *byte == b':') else { continue };
            let name = HeaderName::from_bytes(&field[..colon]);
            let value = HeaderValue::from_bytes(field[colon + 1..].trim_ascii());
            if let (Ok(name), Ok(value)) = (name, value) {
                head.headers.try_append(name, value).ok()?;
            }
        }
        Some(Self { head, body: rest.to_vec() })
    }
}

/// The first line without its end, and what follows it.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, rest) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}
