//! What exactly does a server answer to one request?
//!
//! wrk counts bytes and failures but looks at no body. What it is about to measure is therefore
//! asked for once by hand, whole.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// One whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its `ETag`.
    pub(crate) etag: Option<String>,
    /// Its body.
    pub(crate) body: Vec<u8>,
    /// Bytes of head and body together.
    pub(crate) wire_bytes: usize,
}

/// Asks for a path and reads the answer.
///
/// # Errors
/// When the server cannot be reached, breaks off, or answers in a form that is not read here.
pub(crate) fn ask(
    server: SocketAddr,
    path: &str,
    fields: &[(String, String)],
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    let fields: String =
        fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {server}\r\n{fields}\r\n")?;
    let mut bytes = Vec::new();
    let mut piece = [0; 8 * 1024];
    loop {
        if let Some(answer) = parse(&bytes)? {
            return Ok(answer);
        }
        let read = stream.read(&mut piece)?;
        let read = piece.get(..read).unwrap_or_default();
        if read.is_empty() || bytes.len() > ANSWER_BYTES_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(read);
    }
}

/// The answer, once all of it is there.
fn parse(bytes: &[u8]) -> io::Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|start| start + 4)
    else {
        return Ok(None);
    };
    let (head, rest) = bytes.split_at(end);
    let head = String::from_utf8_lossy(head);
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, format!("no answer: {head}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|code| code.parse().ok()).ok_or_else(malformed)?;
    let field = |wanted: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let length = match (status, field("content-length")) {
        // A 304 names the length of what it does not send.
        (304, _) => 0,
        (_, Some(length)) => length.parse().map_err(|_| malformed())?,
        (_, None) => return Err(malformed()),
    };
    let Some(body) = rest.get(..length) else { return Ok(None) };
    Ok(Some(Answer {
        status,
        etag: field("etag").map(str::to_owned),
        body: body.to_vec(),
        wire_bytes: end + length,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn answer_is_whole_only_with_its_body() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\netag: \"a\"\r\n\r\nabc";
        assert_eq!(parse(&text.as_bytes()[..20]).unwrap(), None);
        assert_eq!(parse(&text.as_bytes()[..text.len() - 1]).unwrap(), None);
        let answer = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!((answer.status, answer.wire_bytes), (200, text.len()));
        assert_eq!(answer.body, b"abc");
        assert_eq!(answer.etag.as_deref(), Some("\"a\""));
    }

    #[test]
    fn unchanged_answer_has_no_body() {
        let text = "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n";
        let answer = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!((answer.status, answer.body.len()), (304, 0));
    }

    #[test]
    fn answer_of_unknown_length_is_refused() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }
}
