//! A client over TLS that can send many requests on one connection and says which protocol it got.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::CertificateDer;

use crate::patience::within_patience;
use crate::{Authority, Headers, Reply, Request};

/// A TLS client for one server name at one address.
///
/// It keeps its connection and, over HTTP/2, sends concurrent requests on it at once. It can be
/// shared: clones use the same connection. [`Reply::version`] says what was negotiated.
#[derive(Clone, Debug)]
pub struct Https {
    client: reqwest::Client,
    base: String,
}

/// What the client offers by ALPN.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    Http1,
    Http2,
    Either,
}

impl Https {
    /// Offers HTTP/2 only.
    pub fn http2(address: SocketAddr, server_name: &str, authority: &Authority) -> Self {
        Self::offering(Offer::Http2, address, server_name, authority)
    }

    /// Offers HTTP/1.1 only.
    pub fn http1(address: SocketAddr, server_name: &str, authority: &Authority) -> Self {
        Self::offering(Offer::Http1, address, server_name, authority)
    }

    /// Offers HTTP/2 and HTTP/1.1, in this order, as a browser does.
    pub fn either(address: SocketAddr, server_name: &str, authority: &Authority) -> Self {
        Self::offering(Offer::Either, address, server_name, authority)
    }

    /// Sends a request and returns its reply. The authority is the server name with the port;
    /// a `Host` of the request is sent beside it.
    ///
    /// # Panics
    /// When there is no whole reply within [`PATIENCE`](crate::PATIENCE).
    pub async fn send<To>(&self, request: Request<To>) -> Reply {
        let what = request.line();
        self.try_send(request).await.unwrap_or_else(|error| panic!("no reply to {what}: {error}"))
    }

    /// Sends a request; for one that may be cut off or a handshake that may fail.
    ///
    /// # Errors
    /// `Other` with the whole chain of causes; `TimedOut` after [`PATIENCE`](crate::PATIENCE).
    pub async fn try_send<To>(&self, request: Request<To>) -> io::Result<Reply> {
        let line = request.line();
        within_patience(async {
            self.exchange(request, line).await.map_err(|error| io::Error::other(chain(&error)))
        })
        .await
    }

    async fn exchange<To>(&self, request: Request<To>, line: String) -> reqwest::Result<Reply> {
        let started = Instant::now();
        let method = request.method.parse().expect("a method that HTTP allows");
        let mut sending = self.client.request(method, format!("{}{}", self.base, request.target));
        for (name, value) in request.headers.iter() {
            sending = sending.header(name, value);
        }
        if !request.body.is_empty() {
            sending = sending.body(request.body);
        }
        let response = sending.send().await?;
        let mut headers = Headers::default();
        for (name, value) in response.headers() {
            headers.push(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
        }
        let (version, status) = (response.version(), response.status().as_u16());
        let body = response.bytes().await?;
        let elapsed = started.elapsed();
        Ok(Reply { request: line, version, status, headers, body, elapsed })
    }

    fn offering(
        offer: Offer,
        address: SocketAddr,
        server_name: &str,
        authority: &Authority,
    ) -> Self {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(offer, authority))
            .resolve(server_name, address)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        let builder = match offer {
            Offer::Http1 => builder.http1_only(),
            Offer::Http2 => builder.http2_prior_knowledge(),
            Offer::Either => builder,
        };
        let client = builder.build().expect("a client of valid settings");
        Self { client, base: format!("https://{server_name}:{}", address.port()) }
    }
}

/// TLS of a client that trusts this authority alone.
pub(crate) fn tls(offer: Offer, authority: &Authority) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_slice(authority.der()).into_owned())
        .expect("an authority that can be trusted");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("a provider of the usual protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (http1, http2) = (b"http/1.1".to_vec(), b"h2".to_vec());
    config.alpn_protocols = match offer {
        Offer::Http1 => vec![http1],
        Offer::Http2 => vec![http2],
        Offer::Either => vec![http2, http1],
    };
    config
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;
    use crate::{Answer, Leaf, Origin, burst};

    type Stream = StreamOwned<ServerConnection, std::net::TcpStream>;

    /// Accepts one connection and speaks the protocol that was negotiated, on a thread.
    fn serve_one_connection(leaf: &Leaf, alpn: &[&str]) -> SocketAddr {
        let chain = vec![CertificateDer::from_pem_slice(leaf.certificate_pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (tcp, _) = listener.accept().unwrap();
            drop(listener);
            let connection = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = StreamOwned::new(connection, tcp);
            let mut first = [0];
            if stream.read_exact(&mut first).is_err() {
                return;
            }
            let ended = match stream.conn.alpn_protocol() {
                Some(b"h2") => speak_http2(&mut stream),
                _ => speak_http1(&mut stream),
            };
            // The client ends the conversation by closing its connection.
            drop(ended);
        });
        address
    }

    fn speak_http1(stream: &mut Stream) -> io::Result<()> {
        let mut byte = [0];
        let mut seen = Vec::new();
        loop {
            stream.read_exact(&mut byte)?;
            seen.push(byte[0]);
            if seen.ends_with(b"\r\n\r\n") {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh1")?;
                seen.clear();
            }
        }
    }

    /// The least of RFC 9113: acknowledges settings, answers each HEADERS with 200 and "h2".
    fn speak_http2(stream: &mut Stream) -> io::Result<()> {
        const DATA: u8 = 0;
        const HEADERS: u8 = 1;
        const SETTINGS: u8 = 4;
        const ACK_OR_END_STREAM: u8 = 1;
        const END_HEADERS: u8 = 4;
        const STATUS_200_INDEXED: u8 = 0x88;
        // The first byte of the 24-byte preface was read to complete the handshake.
        stream.read_exact(&mut [0; 23])?;
        stream.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0])?;
        loop {
            let mut frame = [0; 9];
            stream.read_exact(&mut frame)?;
            let length =
                usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2]);
            let (kind, flags, id) = (frame[3], frame[4], &frame[5..9]);
            stream.read_exact(&mut vec![0; length])?;
            if kind == SETTINGS && flags & ACK_OR_END_STREAM == 0 {
                stream.write_all(&[0, 0, 0, SETTINGS, ACK_OR_END_STREAM, 0, 0, 0, 0])?;
            }
            if kind == HEADERS {
                let mut answer = vec![0, 0, 1, HEADERS, END_HEADERS];
                answer.extend_from_slice(id);
                answer.push(STATUS_200_INDEXED);
                answer.extend_from_slice(&[0, 0, 2, DATA, ACK_OR_END_STREAM]);
                answer.extend_from_slice(id);
                answer.extend_from_slice(b"h2");
                stream.write_all(&answer)?;
            }
        }
    }

    #[tokio::test]
    async fn concurrent_http2_requests_share_one_connection() {
        let authority = Authority::new();
        let leaf = authority.issue(["a.example"]);
        let client = Https::http2(serve_one_connection(&leaf, &["h2"]), "a.example", &authority);
        for reply in burst(20, |_| client.send(Request::get("/x"))).await {
            assert_eq!(reply.version, http::Version::HTTP_2);
            reply.expect_status(200).expect_body("h2");
        }
    }

    #[tokio::test]
    async fn independent_client_understands_the_scripted_origin() {
        let origin = Origin::start().await;
        let answer = Answer::status(200).body("x".repeat(3_000));
        origin.on("/length", answer.clone());
        origin.on("/chunked", answer.clone().chunked());
        origin.on("/bodiless", Answer::status(204));
        origin.on("/close", answer.until_close());
        let client = Https::http1(origin.address(), "a.example", &Authority::new()).client;
        for (path, bytes) in
            [("length", 3_000), ("chunked", 3_000), ("bodiless", 0), ("close", 3_000)]
        {
            let url = format!("http://{}/{path}", origin.address());
            let response = client.head(&url).send().await.unwrap();
            assert!(response.bytes().await.unwrap().is_empty(), "HEAD {path}");
            let response = client.get(&url).send().await.unwrap();
            assert_eq!(response.bytes().await.unwrap().len(), bytes, "GET {path}");
        }
        let closing = origin.requests("/close").len();
        assert_eq!((closing, origin.connections()), (2, 2), "one connection until the first close");
    }

    #[tokio::test]
    async fn client_reports_the_negotiated_protocol() {
        let authority = Authority::new();
        let leaf = authority.issue(["a.example"]);
        let get = |client: Https| async move { client.send(Request::get("/x")).await };
        let only_http1 = serve_one_connection(&leaf, &["http/1.1"]);
        let reply = get(Https::either(only_http1, "a.example", &authority)).await;
        assert_eq!(reply.version, http::Version::HTTP_11);
        let both = serve_one_connection(&leaf, &["h2", "http/1.1"]);
        let reply = get(Https::either(both, "a.example", &authority)).await;
        assert_eq!(reply.version, http::Version::HTTP_2);
        let both = serve_one_connection(&leaf, &["h2", "http/1.1"]);
        let reply = get(Https::http1(both, "a.example", &authority)).await;
        assert_eq!(reply.version, http::Version::HTTP_11);
        reply.expect_body("h1");
    }

    #[tokio::test]
    async fn certificate_for_another_name_or_authority_is_refused() {
        let authority = Authority::new();
        let leaf = authority.issue(["a.example"]);
        let address = serve_one_connection(&leaf, &["h2"]);
        let error = Https::http2(address, "b.example", &authority)
            .try_send(Request::get("/"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("not valid for name"), "{error}");
        let address = serve_one_connection(&leaf, &["h2"]);
        let error = Https::http2(address, "a.example", &Authority::new())
            .try_send(Request::get("/"))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    }
}
