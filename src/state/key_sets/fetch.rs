//! What does an issuer publish as its keys right now?
//!
//! One request without redirects, bounded in time and in bytes.

use std::error::Error;
use std::sync::Once;
use std::time::Duration;

use http::header::ACCEPT;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, StatusCode};

use crate::auth::{KEY_SET_BYTES_MAX, KeyFault, KeySet, RemoteFault, RemoteKeySet};

/// What is asked for; what comes is read as JSON, whatever it calls itself.
const ACCEPTED: &str = "application/jwk-set+json, application/json";
/// How the gateway calls itself.
const USER_AGENT: &str = "farmgate";

/// Why a fetch brought no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchFault {
    #[error("it did not answer within {0:?}")]
    Timeout(Duration),
    #[error("the request failed: {0}")]
    Transport(String),
    #[error("it answered {0} instead of 200")]
    Status(StatusCode),
    #[error("its document is no set of keys: {0}")]
    Document(#[from] KeyFault),
}

/// Builds the client for one set. No connection is kept between two fetches: they are minutes
/// apart, and each may run on another of the server's runtimes.
pub(super) fn client(remote: &RemoteKeySet) -> Result<Client, RemoteFault> {
    install_tls_provider();
    let mut builder = Client::builder()
        .redirect(Policy::none())
        .timeout(remote.timeout)
        .pool_max_idle_per_host(0)
        .user_agent(USER_AGENT)
        .referer(false);
    if remote.is_local() {
        builder = builder.no_proxy();
    }
    if let Some(pem) = &remote.authorities_pem {
        let authorities = Certificate::from_pem_bundle(pem)
            .ok()
            .filter(|authorities| !authorities.is_empty())
            .ok_or(RemoteFault::Authorities)?;
        builder = builder.tls_certs_merge(authorities);
    } else if remote.url.starts_with("http:") {
        // Without TLS there is nothing to trust, and so no reason to need the system's authorities.
        builder = builder.tls_certs_only([]);
    } else {
        builder = builder.https_only(true);
    }
    builder.build().map_err(|error| RemoteFault::Client(chain(&error)))
}

/// Fetches the keys. The client's timeout is for all of it, to the last byte.
pub(super) async fn fetch(client: &Client, remote: &RemoteKeySet) -> Result<KeySet, FetchFault> {
    let failed = |error: reqwest::Error| {
        if error.is_timeout() {
            FetchFault::Timeout(remote.timeout)
        } else {
            // The address may have a secret in its query.
            FetchFault::Transport(chain(&error.without_url()))
        }
    };
    let request = client.get(&remote.url).header(ACCEPT, ACCEPTED);
    let mut response = request.send().await.map_err(failed)?;
    if response.status() != StatusCode::OK {
        return Err(FetchFault::Status(response.status()));
    }
    let mut body = Vec::new();
    check_announced(&response)?;
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > KEY_SET_BYTES_MAX {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(KeySet::parse(&body)?)
}

fn check_announced(response: &Response) -> Result<(), FetchFault> {
    match response.content_length() {
        Some(bytes) if bytes > KEY_SET_BYTES_MAX as u64 => Err(too_large()),
        _ => Ok(()),
    }
}

fn too_large() -> FetchFault {
    FetchFault::Document(KeyFault::TooLarge { bytes_max: KEY_SET_BYTES_MAX })
}

/// TLS needs one provider for the process. Another part may have chosen one; any will do.
fn install_tls_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            tracing::debug!("the process has a TLS provider already");
        }
    });
}

/// An error with its causes, which say more than it does.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
