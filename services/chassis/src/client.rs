//! How does a service call others over HTTP?

use std::sync::Once;
use std::time::Duration;

use axum::body::Bytes;

/// How an HTTP client behaves towards one base address.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Where it will call; a loopback address is reached without the system's proxy.
    pub base_url: String,
    /// Longest time for connecting, TLS included.
    pub connect_timeout: Duration,
    /// Idle connections kept per host.
    pub idle_connections_max: usize,
    /// Name and version sent as `User-Agent`.
    pub user_agent: String,
}

/// Builds a client that follows no redirect, so that a call ends where it was sent.
///
/// # Errors
/// When TLS cannot be set up, most often because the system has no CA certificates.
pub fn client(settings: &ClientSettings) -> Result<reqwest::Client, ClientError> {
    install_tls_provider();
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(settings.connect_timeout)
        .pool_max_idle_per_host(settings.idle_connections_max)
        .user_agent(&settings.user_agent);
    if is_loopback(&settings.base_url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(ClientError)
}

/// An HTTP client could not be built.
#[derive(Debug, thiserror::Error)]
#[error(
    "the HTTP client cannot be set up: {0}; check that the package ca-certificates is installed"
)]
pub struct ClientError(#[source] reqwest::Error);

/// Reads a body that must not be larger than `bytes_max`.
///
/// # Errors
/// [`BodyError::TooLarge`] as soon as the limit is passed; [`BodyError::Broken`] when the
/// connection fails or the body ends early.
pub async fn read_bounded(
    mut response: reqwest::Response,
    bytes_max: usize,
) -> Result<Bytes, BodyError> {
    let announced = response.content_length().and_then(|bytes| usize::try_from(bytes).ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(BodyError::TooLarge { bytes_max });
    }
    let mut body = Vec::with_capacity(announced.unwrap_or(0));
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Broken)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(BodyError::TooLarge { bytes_max });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(body))
}

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than the caller allows.
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// It broke off.
    #[error("the body broke off: {0}")]
    Broken(#[source] reqwest::Error),
}

/// TLS needs one provider per process; every client of the process shares it.
fn install_tls_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            tracing::debug!("the binary has chosen a TLS provider already");
        }
    });
}

fn is_loopback(base_url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(base_url) else { return false };
    url.host_str().is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_bypass_the_proxy() {
        for url in ["http://127.0.0.1:8070", "http://localhost", "http://[::1]:1/x"] {
            assert!(is_loopback(url), "{url}");
        }
        assert!(!is_loopback("https://api.open-meteo.com"));
    }
}
