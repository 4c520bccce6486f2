//! The HTTP/1.1 clients of a test: one TCP connection, and many requests at once.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Instant;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::patience::within_patience;
use crate::wire::{Framing, Head, Wire};
use crate::{Reply, Request};

/// One TCP connection that carries requests one after the other.
pub struct Connection {
    wire: Wire<TcpStream>,
    address: SocketAddr,
    opened: Option<Instant>,
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    /// When nothing listens there.
    pub async fn open(address: SocketAddr) -> Self {
        Self::try_open(address)
            .await
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    /// Connects; for an address where perhaps nothing listens.
    ///
    /// # Errors
    /// What the system says.
    pub async fn try_open(address: SocketAddr) -> io::Result<Self> {
        let opened = Some(Instant::now());
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { wire: Wire::new(stream), address, opened })
    }

    /// Sends a request and returns its reply; the connection stays as the far end leaves it.
    ///
    /// # Panics
    /// When there is no whole reply within [`PATIENCE`](crate::PATIENCE).
    pub async fn send<To>(&mut self, request: Request<To>) -> Reply {
        let what = request.line();
        self.try_send(request).await.unwrap_or_else(|error| panic!("no reply to {what}: {error}"))
    }

    /// Sends a request; for one that may be cut off.
    ///
    /// # Errors
    /// What the connection says; `TimedOut` after [`PATIENCE`](crate::PATIENCE).
    pub async fn try_send<To>(&mut self, request: Request<To>) -> io::Result<Reply> {
        within_patience(self.exchange(&request)).await
    }

    /// Writes bytes that need not be HTTP.
    ///
    /// # Panics
    /// When the far end takes no more bytes.
    pub async fn write_raw(&mut self, bytes: impl AsRef<[u8]>) {
        within_patience(self.wire.stream.write_all(bytes.as_ref()))
            .await
            .unwrap_or_else(|error| panic!("cannot write to {}: {error}", self.address));
    }

    /// Reads the next reply, for requests written by [`write_raw`](Self::write_raw).
    ///
    /// # Panics
    /// When there is no whole reply within [`PATIENCE`](crate::PATIENCE).
    pub async fn read_reply(&mut self) -> Reply {
        let reply = self.try_read_reply().await;
        reply.unwrap_or_else(|error| panic!("no reply to raw bytes: {error}"))
    }

    /// Reads the next reply; for bytes that may get none.
    ///
    /// # Errors
    /// What the connection says; `TimedOut` after [`PATIENCE`](crate::PATIENCE).
    pub async fn try_read_reply(&mut self) -> io::Result<Reply> {
        let started = self.opened.take().unwrap_or_else(Instant::now);
        within_patience(self.reply("GET", "raw bytes".to_owned(), started)).await
    }

    /// Returns when the far end has closed, with the bytes it sent before; a reset counts as a
    /// close.
    ///
    /// # Panics
    /// When the connection is still open after [`PATIENCE`](crate::PATIENCE).
    pub async fn read_until_close(&mut self) -> Bytes {
        match within_patience(self.wire.rest()).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Bytes::new(),
            Err(error) => panic!("{} did not close the connection: {error}", self.address),
        }
    }

    /// Whether the far end has not closed yet, as the system knows it at this moment.
    ///
    /// A close on its way is not seen: to prove that a connection stays open send another
    /// request; to prove that it closes use [`read_until_close`](Self::read_until_close).
    ///
    /// # Panics
    /// When the socket cannot be duplicated.
    pub fn is_open(&self) -> bool {
        // A peek by a plain system call: the runtime's own readiness may lag behind.
        let socket = self.wire.stream.as_fd().try_clone_to_owned().expect("a spare descriptor");
        match std::net::TcpStream::from(socket).peek(&mut [0]) {
            Ok(bytes) => bytes > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// One request and its reply, without a bound on the time.
    ///
    /// # Errors
    /// What the connection says.
    pub(crate) async fn exchange<To>(&mut self, request: &Request<To>) -> io::Result<Reply> {
        let started = self.opened.take().unwrap_or_else(Instant::now);
        self.wire.stream.write_all(&request.encode(self.address)).await?;
        self.reply(&request.method, request.line(), started).await
    }

    async fn reply(
        &mut self,
        method: &str,
        request: String,
        started: Instant,
    ) -> io::Result<Reply> {
        let (head, version, status) = loop {
            let head = self.wire.head().await?.ok_or_else(|| {
                io::Error::new(io::ErrorKind::UnexpectedEof, "closed without a reply")
            })?;
            let (version, status) = status_line(&head)?;
            // Interim replies (1xx) precede the real one.
            if status >= 200 {
                break (head, version, status);
            }
        };
        let framing = if method == "HEAD" || matches!(status, 204 | 304) {
            Framing::Empty
        } else {
            head.framing(Framing::UntilClose)?
        };
        let body = self.wire.body(framing).await?;
        let elapsed = started.elapsed();
        Ok(Reply { request, version, status, headers: head.headers, body, elapsed })
    }
}

/// Runs `count` futures at once and returns their results in order.
pub async fn burst<F>(count: usize, start: impl FnMut(usize) -> F) -> Vec<F::Output>
where
    F: Future,
{
    futures::future::join_all((0..count).map(start)).await
}

/// Starts `count` futures at once in the background; the handle returns their results in order.
pub fn launch<F>(count: usize, start: impl FnMut(usize) -> F) -> JoinHandle<Vec<F::Output>>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(futures::future::join_all((0..count).map(start)))
}

fn status_line(head: &Head) -> io::Result<(http::Version, u16)> {
    let mut parts = head.start.split(' ');
    let version = match parts.next() {
        Some("HTTP/1.1") => Some(http::Version::HTTP_11),
        Some("HTTP/1.0") => Some(http::Version::HTTP_10),
        _ => None,
    };
    let status = parts.next().and_then(|status| status.parse().ok());
    version.zip(status).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("no status line: {:?}", head.start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Origin};

    #[tokio::test]
    async fn one_connection_carries_many_requests() {
        let origin = Origin::start().await;
        origin.json("/x", "{}");
        origin.on("/chunked", Answer::json("[1]").chunked());
        let mut connection = Connection::open(origin.address()).await;
        for _ in 0..3 {
            connection.send(Request::get("/x")).await.expect_status(200);
            connection.send(Request::get("/chunked")).await.expect_body("[1]");
            connection.send(Request::new("HEAD", "/x")).await.expect_body("");
        }
        assert!(connection.is_open());
        assert_eq!(origin.connections(), 1);
        assert_eq!(origin.calls_total(), 9);
    }

    #[tokio::test]
    async fn close_by_the_far_end_is_seen() {
        let origin = Origin::start().await;
        origin.on("/x", Answer::json("{}").until_close());
        let mut connection = Connection::open(origin.address()).await;
        connection.send(Request::get("/x")).await.expect_body("{}");
        assert_eq!(connection.read_until_close().await, "");
        assert!(!connection.is_open());
    }

    #[tokio::test]
    async fn raw_bytes_reach_the_far_end() {
        let origin = Origin::start().await;
        origin.on(
            "/x",
            Answer::raw("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
        );
        let mut connection = Connection::open(origin.address()).await;
        connection.write_raw("GET /x HTTP/1.1\r\nOdd-CASE:  padded \r\n\r\n").await;
        connection.read_reply().await.expect_status(204);
        assert_eq!(origin.requests("/x")[0].headers.iter().next(), Some(("Odd-CASE", "padded")));
    }

    #[tokio::test]
    async fn reply_that_is_no_http_is_an_error() {
        let origin = Origin::start().await;
        origin.on("/x", Answer::raw("nonsense\r\n\r\n"));
        let request = Request::to(origin.address(), "GET", "/x");
        let error = request.try_send().await.unwrap_err();
        assert_eq!(error.to_string(), "no status line: \"nonsense\"");
    }

    #[tokio::test]
    async fn burst_runs_all_at_once_and_keeps_the_order() {
        let origin = Origin::start().await;
        origin.rule("/x", |request, _| Answer::status(200).body(request.query().to_owned()).hold());
        let get = |n| Request::to(origin.address(), "GET", &format!("/x?{n}")).send();
        let launched = launch(50, get);
        origin.wait_for_in_flight(50).await;
        let release = async {
            origin.wait_for_in_flight(100).await;
            origin.release("/x");
        };
        let (replies, ()) = tokio::join!(burst(50, get), release);
        for replies in [replies, launched.await.unwrap()] {
            for (n, reply) in replies.into_iter().enumerate() {
                reply.expect_body(n.to_string());
            }
        }
    }
}
