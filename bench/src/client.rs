//! What does a client get, and how long does it wait for it?

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::{Fields, Wire};

/// How long one answer may take: without a memory, many hashes of a busy machine wait for each
/// other.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its body.
    pub(crate) body: Bytes,
    fields: Fields,
    /// When its last byte was read.
    pub(crate) at: Instant,
}

impl Answer {
    /// The first field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }
}

/// One kept connection.
#[derive(Debug)]
pub(crate) struct Client(Wire);

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) async fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self(Wire::new(stream)))
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// What the connection says; `TimedOut` after five minutes.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        let exchange = async {
            self.0.stream.write_all(request).await?;
            self.0.message().await
        };
        let answered = timeout(ANSWER_TIMEOUT, exchange).await;
        let answered = answered.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        let message = answered?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = message.start.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Answer { status, body: message.body, fields: message.fields, at: now() })
    }
}

/// Asks once, on a connection of its own.
///
/// # Errors
/// What the connection says.
pub(crate) async fn get(server: SocketAddr, path: &str) -> io::Result<Answer> {
    Client::connect(server).await?.ask(&head("GET", path, server, &[])).await
}

/// The bytes of a request without a body.
pub(crate) fn head(
    method: &str,
    path: &str,
    server: SocketAddr,
    fields: &[(String, String)],
) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {server}\r\n");
    if method == "POST" {
        // As the operator's client sends it.
        text.push_str("Content-Type: application/json\r\nContent-Length: 0\r\n");
    }
    for (name, value) in fields {
        text.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// The time now.
#[allow(clippy::disallowed_methods, reason = "real time is measured from outside the gateway")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
