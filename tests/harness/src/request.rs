//! What a client asks: one request, not yet bound to a connection.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::patience::within_patience;
use crate::{Connection, Headers, Reply};

/// A request under construction.
///
/// `Request<SocketAddr>` knows where it goes and can be sent at once, on a new connection.
/// `Request` alone goes over a [`Connection`] or [`Https`](crate::Https).
#[derive(Clone, Debug)]
pub struct Request<To = ()> {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
    to: To,
}

impl Request {
    /// A request with this method and target (path and query).
    pub fn new(method: &str, target: &str) -> Self {
        Request::addressed((), method, target)
    }

    /// A GET of this target.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST to this target.
    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }
}

impl Request<SocketAddr> {
    /// A request that knows the address it goes to.
    pub fn to(address: SocketAddr, method: &str, target: &str) -> Self {
        Request::addressed(address, method, target)
    }

    /// Sends on a new connection and returns the reply.
    ///
    /// # Panics
    /// When there is no whole reply within [`PATIENCE`](crate::PATIENCE).
    pub async fn send(self) -> Reply {
        let what = self.line();
        self.try_send().await.unwrap_or_else(|error| panic!("no reply to {what}: {error}"))
    }

    /// Sends on a new connection; for requests that may be cut off.
    ///
    /// # Errors
    /// What the connection says; `TimedOut` after [`PATIENCE`](crate::PATIENCE).
    pub async fn try_send(self) -> io::Result<Reply> {
        let exchange = async {
            let mut connection = Connection::try_open(self.to).await?;
            connection.exchange(&self).await
        };
        within_patience(exchange).await
    }
}

impl<To> Request<To> {
    fn addressed(to: To, method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Headers::default(),
            body: Bytes::new(),
            to,
        }
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Adds all these header fields.
    #[must_use]
    pub fn headers<N, V>(mut self, fields: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        for (name, value) in fields {
            self.headers.push(name, value);
        }
        self
    }

    /// Sets `Host`; without it the address of the connection is used.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.headers.set("Host", host);
        self
    }

    /// Sets `X-API-Key`.
    #[must_use]
    pub fn api_key(self, key: &str) -> Self {
        self.header("X-API-Key", key)
    }

    /// Sets `Authorization: Bearer`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Sets the body; its length goes with it.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a JSON body and its content type.
    #[must_use]
    pub fn json(self, body: &serde_json::Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    /// The target up to the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The query without its question mark; empty when there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// Method and target, for messages.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// The bytes of the request on an HTTP/1.1 connection to `address`.
    pub(crate) fn encode(&self, address: SocketAddr) -> Vec<u8> {
        let mut out = format!("{} HTTP/1.1\r\n", self.line()).into_bytes();
        if !self.headers.contains("host") {
            out.extend_from_slice(format!("Host: {address}\r\n").as_bytes());
        }
        self.headers.write(&mut out);
        let has_body = !self.body.is_empty() || matches!(&*self.method, "POST" | "PUT" | "PATCH");
        if has_body && !self.headers.contains("content-length") {
            out.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T>(request: &Request<T>, expected: &str) {
        let bytes = request.encode(SocketAddr::from(([127, 0, 0, 1], 80)));
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn address_stands_in_for_a_missing_host() {
        check(&Request::get("/x?a=1"), "GET /x?a=1 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n");
        check(
            &Request::get("/").host("a.example").host("b.example"),
            "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n",
        );
    }

    #[test]
    fn body_brings_its_length_along() {
        check(
            &Request::post("/").host("a").json(&serde_json::json!({"a": 1})),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
             Content-Length: 7\r\n\r\n{\"a\":1}",
        );
        check(
            &Request::post("/").host("a"),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        );
    }
}
