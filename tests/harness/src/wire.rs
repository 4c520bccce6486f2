//! How an HTTP/1.1 message is read from a byte stream, for the origin and the client alike.
//!
//! The subset of RFC 9112 that the bench needs, by hand, so that both ends may misbehave.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::Headers;

const HEAD_BYTES_MAX: usize = 64 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
const READ_BYTES: usize = 8 * 1024;

/// The first line and the header fields of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) headers: Headers,
}

/// How the end of a body is found (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Empty,
    Length(usize),
    Chunked,
    UntilClose,
}

/// A byte stream with what was read from it and not yet used.
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    unread: BytesMut,
}

impl Head {
    /// Parses a head without its closing empty line.
    ///
    /// # Errors
    /// `InvalidData` when a header line has no colon.
    pub(crate) fn parse(bytes: &[u8]) -> io::Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let mut headers = Headers::default();
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| invalid(format!("header line without a colon: {line:?}")))?;
            headers.push(name, value.trim());
        }
        Ok(Self { start, headers })
    }

    /// The framing that the fields name, or `otherwise` when they name none.
    ///
    /// # Errors
    /// `InvalidData` for a `Content-Length` that is no number.
    pub(crate) fn framing(&self, otherwise: Framing) -> io::Result<Framing> {
        if self.headers.holds_token("transfer-encoding", "chunked") {
            return Ok(Framing::Chunked);
        }
        match self.headers.get("content-length") {
            None => Ok(otherwise),
            Some(length) => length
                .parse()
                .map(Framing::Length)
                .map_err(|_| invalid(format!("content-length is no number: {length:?}"))),
        }
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Reads from this stream from now on.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, unread: BytesMut::new() }
    }

    /// The next head, or `None` when the far end closed between two messages.
    ///
    /// # Errors
    /// What the stream says, `UnexpectedEof` inside a head, `InvalidData` for a bad or long one.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                let head = self.unread.split_to(end + 4);
                return Head::parse(&head[..end]).map(Some);
            }
            if self.unread.len() > HEAD_BYTES_MAX {
                return Err(invalid(format!("a head of more than {HEAD_BYTES_MAX} bytes")));
            }
            if !self.fill().await? {
                if self.unread.is_empty() {
                    return Ok(None);
                }
                return Err(cut(format!("closed inside a head: {:?}", self.unread)));
            }
        }
    }

    /// The body that follows a head.
    ///
    /// # Errors
    /// What the stream says, `UnexpectedEof` when the body is cut short, `InvalidData` for bad
    /// chunks or more than 64 MiB.
    pub(crate) async fn body(&mut self, framing: Framing) -> io::Result<Bytes> {
        match framing {
            Framing::Empty => Ok(Bytes::new()),
            Framing::Length(length) => self.exactly(length).await,
            Framing::Chunked => self.chunks().await,
            Framing::UntilClose => self.rest().await,
        }
    }

    /// All bytes up to the close of the stream.
    ///
    /// # Errors
    /// What the stream says; `InvalidData` for more than 64 MiB.
    pub(crate) async fn rest(&mut self) -> io::Result<Bytes> {
        while self.fill().await? {
            check_body(self.unread.len())?;
        }
        Ok(self.unread.split().freeze())
    }

    /// Waits until the far end is gone; what it sends meanwhile is kept for the next message.
    pub(crate) async fn gone(&mut self) {
        while self.unread.len() <= HEAD_BYTES_MAX {
            if !self.fill().await.unwrap_or(false) {
                return;
            }
        }
        std::future::pending().await
    }

    async fn chunks(&mut self) -> io::Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16)
                .map_err(|_| invalid(format!("chunk size is no number: {line:?}")))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body.freeze());
            }
            check_body(size.saturating_add(body.len()))?;
            body.extend_from_slice(&self.exactly(size).await?);
            if !self.line().await?.is_empty() {
                return Err(invalid("a chunk longer than its size".to_owned()));
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Bytes> {
        check_body(length)?;
        while self.unread.len() < length {
            if !self.fill().await? {
                return Err(cut(format!("body cut after {} of {length} bytes", self.unread.len())));
            }
        }
        Ok(self.unread.split_to(length).freeze())
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n") {
                let line = self.unread.split_to(end + 2);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.unread.len() > HEAD_BYTES_MAX {
                return Err(invalid(format!("a line of more than {HEAD_BYTES_MAX} bytes")));
            }
            if !self.fill().await? {
                return Err(cut("closed inside a chunked body".to_owned()));
            }
        }
    }

    /// Reads once; `false` at the end of the stream.
    async fn fill(&mut self) -> io::Result<bool> {
        self.unread.reserve(READ_BYTES);
        Ok(self.stream.read_buf(&mut self.unread).await? > 0)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn check_body(length: usize) -> io::Result<()> {
    if length > BODY_BYTES_MAX {
        return Err(invalid(format!("a body of more than {BODY_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn cut(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(bytes: &'static [u8]) -> Wire<&'static [u8]> {
        Wire::new(bytes)
    }

    #[tokio::test]
    async fn two_messages_are_read_one_after_the_other() {
        let mut wire =
            wire(b"GET /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\n\r\n");
        let first = wire.head().await.unwrap().unwrap();
        assert_eq!(first.start, "GET /a HTTP/1.1");
        let framing = first.framing(Framing::Empty).unwrap();
        assert_eq!(wire.body(framing).await.unwrap(), "hi");
        assert_eq!(wire.head().await.unwrap().unwrap().start, "GET /b HTTP/1.1");
        assert_eq!(wire.head().await.unwrap(), None);
    }

    #[tokio::test]
    async fn chunks_extensions_and_trailers_are_understood() {
        let mut wire = wire(b"4;x=1\r\nfarm\r\n4\r\ngate\r\n0\r\nTrailer: t\r\n\r\nnext");
        assert_eq!(wire.body(Framing::Chunked).await.unwrap(), "farmgate");
        assert_eq!(wire.rest().await.unwrap(), "next");
    }

    #[tokio::test]
    async fn body_cut_short_is_an_unexpected_end() {
        let length = wire(b"abc").body(Framing::Length(5)).await.unwrap_err();
        assert_eq!(length.to_string(), "body cut after 3 of 5 bytes");
        let chunked = wire(b"5\r\nabc").body(Framing::Chunked).await.unwrap_err();
        assert_eq!(chunked.kind(), io::ErrorKind::UnexpectedEof);
        let head = wire(b"HTTP/1.1 200").head().await.unwrap_err();
        assert_eq!(head.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn malformed_messages_are_refused() {
        let colon = wire(b"GET / HTTP/1.1\r\nno colon\r\n\r\n").head().await.unwrap_err();
        assert_eq!(colon.kind(), io::ErrorKind::InvalidData);
        let chunk = wire(b"zz\r\n").body(Framing::Chunked).await.unwrap_err();
        assert_eq!(chunk.kind(), io::ErrorKind::InvalidData);
        let long = Head::parse(b"x\r\ncontent-length: many").unwrap();
        assert!(long.framing(Framing::Empty).is_err());
        let endless = vec![b'a'; HEAD_BYTES_MAX + READ_BYTES];
        assert!(Wire::new(endless.as_slice()).head().await.is_err());
    }
}
