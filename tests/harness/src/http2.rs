//! A client over HTTP/2 that sends a request as it stands.
//!
//! Client libraries tidy up what they send: dots in a path are resolved, fields are checked. A
//! test of what a gateway makes of untidy requests needs one that does not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Uri};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::https::{Offer, tls};
use crate::patience::within_patience;
use crate::{Authority, Headers, Reply, Request};

/// One connection over TLS that speaks HTTP/2.
pub struct Http2 {
    sender: SendRequest<Bytes>,
    server_name: String,
}

impl Http2 {
    /// Connects to this address and asks for this server.
    ///
    /// # Panics
    /// When the server does not speak HTTP/2 there, or the authority does not vouch for it.
    pub async fn open(address: SocketAddr, server_name: &str, authority: &Authority) -> Self {
        let opening = async {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            let connector = TlsConnector::from(Arc::new(tls(Offer::Http2, authority)));
            let name = ServerName::try_from(server_name.to_owned()).map_err(io::Error::other)?;
            let stream = connector.connect(name, tcp).await?;
            h2::client::handshake(stream).await.map_err(io::Error::other)
        };
        let (sender, connection) = within_patience(opening)
            .await
            .unwrap_or_else(|error| panic!("no HTTP/2 at {address}: {error}"));
        // How the connection ended is told to whoever still waits for a reply on it.
        tokio::spawn(async move { drop(connection.await) });
        Self { sender, server_name: server_name.to_owned() }
    }

    /// Sends a request; its `Host`, or else the server name, becomes the authority.
    ///
    /// # Errors
    /// What the connection says; `TimedOut` after [`PATIENCE`](crate::PATIENCE).
    ///
    /// # Panics
    /// When the request cannot be written in HTTP/2.
    pub async fn try_send<To>(&mut self, request: Request<To>) -> io::Result<Reply> {
        within_patience(self.exchange(request)).await
    }

    async fn exchange<To>(&mut self, request: Request<To>) -> io::Result<Reply> {
        let (started, line) = (Instant::now(), request.line());
        let mut sender = self.sender.clone().ready().await.map_err(io::Error::other)?;
        let ends = request.body.is_empty();
        let (response, mut body) =
            sender.send_request(self.head(&request), ends).map_err(io::Error::other)?;
        if !ends {
            // A server may answer, and let the stream go, before it has read everything.
            drop(body.send_data(request.body, true));
        }
        let response = response.await.map_err(io::Error::other)?;
        let mut headers = Headers::default();
        for (name, value) in response.headers() {
            headers.push(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
        }
        let (version, status) = (response.version(), response.status().as_u16());
        let (mut stream, mut body) = (response.into_body(), BytesMut::new());
        while let Some(piece) = stream.data().await {
            let piece = piece.map_err(io::Error::other)?;
            body.extend_from_slice(&piece);
            let credit = stream.flow_control().release_capacity(piece.len());
            credit.map_err(io::Error::other)?;
        }
        let elapsed = started.elapsed();
        Ok(Reply { request: line, version, status, headers, body: body.freeze(), elapsed })
    }

    fn head<To>(&self, request: &Request<To>) -> http::Request<()> {
        let authority = request.headers.get("host").unwrap_or(&self.server_name);
        let target = PathAndQuery::try_from(&*request.target).expect("a target HTTP/2 can carry");
        let uri = Uri::builder().scheme("https").authority(authority).path_and_query(target);
        let mut head = http::Request::builder()
            .method(&*request.method)
            .uri(uri.build().expect("a URI"))
            .version(http::Version::HTTP_2);
        for (name, value) in request.headers.iter() {
            if !name.eq_ignore_ascii_case("host") {
                let name = HeaderName::try_from(name).expect("a field's name");
                head = head.header(name, HeaderValue::from_bytes(value.as_bytes()).expect("value"));
            }
        }
        head.body(()).expect("a head")
    }
}

#[cfg(test)]
mod tests {
    use http::Response;
    use rustls::ServerConfig;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::Leaf;

    /// A server of one connection that answers each request with its URI and its `X-Value`s.
    async fn echoing(leaf: &Leaf) -> SocketAddr {
        let chain = vec![CertificateDer::from_pem_slice(leaf.certificate_pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let stream = TlsAcceptor::from(Arc::new(config)).accept(tcp).await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut answer))) = connection.accept().await {
                let values = request.headers().get_all("x-value");
                let values: Vec<_> = values.iter().map(HeaderValue::as_bytes).collect();
                let echo = format!("{} {values:?}", request.uri());
                let mut body = answer.send_response(Response::new(()), false).unwrap();
                body.send_data(echo.into(), true).unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn untidy_request_is_sent_as_it_stands() {
        let authority = Authority::new();
        let address = echoing(&authority.issue(["a.example"])).await;
        let mut client = Http2::open(address, "a.example", &authority).await;
        for target in ["/a/../b", "/%2e%2e//a\\b", "/a?b=%zz"] {
            let request = Request::get(target).header("X-Value", "").header("X-Value", "\u{e9}");
            let reply = client.try_send(request).await.unwrap();
            assert_eq!(reply.version, http::Version::HTTP_2);
            reply.expect_body(format!("https://a.example{target} [[], [195, 169]]"));
        }
        let elsewhere = Request::get("/").host("b.example");
        client.try_send(elsewhere).await.unwrap().expect_body("https://b.example/ []");
    }
}
