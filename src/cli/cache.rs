//! `farmgate cache`: what is kept by the gateway that runs, why is something not, and how does it
//! go?
//!
//! It asks the admin listener of the configuration, with the token that the configuration names.

mod arguments;
mod tables;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http::StatusCode;
use reqwest::{Client, Method};
use serde_json::Value;

pub use self::arguments::CacheCommand;
use super::keys::Screen;
use crate::config::scalar::Secret;

/// How long the gateway may take; it fetches when it warms.
const WITHIN: Duration = Duration::from_secs(120);

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// It was done.
const DONE: u8 = 0;
/// It could not be done.
const FAILED: u8 = 1;

/// The admin listener of a gateway.
pub(super) struct Desk {
    pub(super) address: SocketAddr,
    pub(super) token: Secret,
}

/// Why a command ends without having done what it should.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no gateway answers at {0}: {1}; is it running with this configuration?")]
    NoGateway(SocketAddr, String),
    #[error("{0}")]
    Refused(String),
    #[error("the gateway answered {0}, and no JSON; does something else listen at its address?")]
    Strange(StatusCode),
    #[error("cannot ask: {0}")]
    Client(String),
}

/// Runs a command, and gives the exit code: 0 when it was done, 1 when it could not be done.
pub(super) fn run(command: &CacheCommand, desk: &Desk, screen: &mut Screen<'_>) -> u8 {
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Client(error.to_string()))
        .and_then(|runtime| runtime.block_on(ask(command, desk)));
    match done {
        Ok(answer) => {
            let text = if command.wants_json() {
                format!("{answer:#}")
            } else {
                tables::told(command, &answer)
            };
            let _reader_may_be_gone = writeln!(screen.out, "{}", text.trim_end());
            DONE
        }
        Err(failure) => {
            let _reader_may_be_gone = writeln!(screen.err, "farmgate: {failure}");
            FAILED
        }
    }
}

async fn ask(command: &CacheCommand, desk: &Desk) -> Result<Value, Failure> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // A client is not built without one, although nothing here is encrypted.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let client = Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .timeout(WITHIN)
        .build()
        .map_err(|error| Failure::Client(error.to_string()))?;
    let address = reachable(desk.address);
    let (path, body) = command.request();
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let token = String::from_utf8_lossy(desk.token.as_bytes());
    let mut request = client.request(method, format!("http://{address}{path}")).bearer_auth(token);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let lost = |error: reqwest::Error| Failure::NoGateway(address, chain(&error));
    let mut response = request.send().await.map_err(lost)?;
    let status = response.status();
    let mut text = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(lost)? {
        if text.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(Failure::Strange(status));
        }
        text.extend_from_slice(&piece);
    }
    let answer: Value = serde_json::from_slice(&text).map_err(|_| Failure::Strange(status))?;
    if status.is_success() {
        return Ok(answer);
    }
    let problem = answer.get("error").and_then(Value::as_str).ok_or(Failure::Strange(status))?;
    Err(Failure::Refused(problem.to_owned()))
}

/// Where a listener of all addresses is reached.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// An error with all its causes, each of which says only its own part.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _infallible = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
