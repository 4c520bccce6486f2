//! Who answers when no peer does?
//!
//! Pingora closes the client's connection when a streamed request fails, whatever `fail_to_proxy`
//! says. So the last peer of each pool is one inside the process: it takes whatever is left of the
//! request and answers with the refusal, as any service would, and the connection lives on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use pingora::connectors::L4Connect;
use pingora::http::ResponseHeader;
use pingora::protocols::l4::socket::SocketAddr as L4Address;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::upstreams::peer::HttpPeer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The peer that gives this answer once.
pub(super) fn answering(head: &ResponseHeader, body: &Bytes) -> Box<HttpPeer> {
    let mut wire = Vec::with_capacity(512 + body.len());
    wire.extend_from_slice(b"HTTP/1.1 ");
    wire.extend_from_slice(head.status.as_str().as_bytes());
    wire.extend_from_slice(b" \r\nConnection: close\r\n");
    head.header_to_h1_wire(&mut wire);
    wire.extend_from_slice(b"\r\n");
    wire.extend_from_slice(body);
    // The address is never dialled: the connector below stands in for it.
    let mut peer = HttpPeer::new("127.0.0.1:0", false, String::new());
    peer.options.custom_l4 = Some(Arc::new(Connector { wire: wire.into() }));
    peer.options.idle_timeout = Some(Duration::ZERO);
    Box::new(peer)
}

#[derive(Debug)]
struct Connector {
    wire: Bytes,
}

#[async_trait]
impl L4Connect for Connector {
    async fn connect(&self, _address: &L4Address) -> pingora::Result<Stream> {
        let socket = Socket { unread: self.wire.clone() };
        Ok(Stream::from(VirtualSocketStream::new(Box::new(socket))))
    }
}

/// Swallows what is written to it, and gives what it was made with.
#[derive(Debug)]
struct Socket {
    unread: Bytes,
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread.slice(..length));
        self.unread.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl VirtualSocket for Socket {
    fn set_socket_option(&self, _option: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}
