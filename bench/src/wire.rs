//! How does one HTTP/1.1 message come in? For the clients and for the servers of this crate.
//!
//! The few forms that these send each other and that the gateway and nginx answer in.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Longest head that is read.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Longest body that is read: the gateway's metrics are the longest.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its first line.
    pub(crate) start: String,
    /// Its fields.
    pub(crate) fields: Fields,
    /// Its body.
    pub(crate) body: Bytes,
}

impl Message {
    /// The first field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }
}

/// The fields of a head, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The first of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A connection with what was read from it and not yet used.
#[derive(Debug)]
pub(crate) struct Wire {
    /// The connection.
    pub(crate) stream: TcpStream,
    unread: BytesMut,
}

impl Wire {
    /// Reads from this connection from now on.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, unread: BytesMut::with_capacity(HEAD_BYTES_MAX) }
    }

    /// The next message; none when the far end closed between two.
    ///
    /// # Errors
    /// What the connection says, and a message that is too long or of another form.
    pub(crate) async fn message(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.unread.split_to(end + 4);
                return self.rest(&head).await.map(Some);
            }
            let is_between = self.unread.is_empty();
            if self.unread.len() > HEAD_BYTES_MAX {
                return Err(invalid("a head without an end"));
            }
            if !self.fill().await? {
                let cut = || Err(io::ErrorKind::UnexpectedEof.into());
                return if is_between { Ok(None) } else { cut() };
            }
        }
    }

    async fn rest(&mut self, head: &[u8]) -> io::Result<Message> {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.trim_end().split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        let mut message = Message { start, fields: Fields(fields.collect()), body: Bytes::new() };
        if message.field("transfer-encoding").is_some() {
            return Err(invalid("a body in chunks"));
        }
        let length = message.field("content-length").map_or(Ok(0), str::parse::<usize>);
        let length = length.map_err(|_| invalid("a length that is no number"))?;
        if length > BODY_BYTES_MAX {
            return Err(invalid("a body that is too long"));
        }
        while self.unread.len() < length {
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        message.body = self.unread.split_to(length).freeze();
        Ok(message)
    }

    async fn fill(&mut self) -> io::Result<bool> {
        self.unread.reserve(4 * 1024);
        Ok(self.stream.read_buf(&mut self.unread).await? > 0)
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
