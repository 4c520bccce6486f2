//! Is there anything to verify credentials with, and who may do without?

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use apikey::directory::DirectoryError;
use axum::http::{HeaderMap, Method};

use super::credential::Credential;
use super::keys::{Keys, KeysError};
use super::metrics::AuthMetrics;
use super::principal::{Need, Principal, Scheme};
use super::refusal::Refusal;
use super::settings::AuthSettings;
use super::token::Tokens;
use crate::clock::Now;
use crate::metrics::Metrics;

/// How a service tells who is calling.
#[derive(Clone)]
pub struct Auth {
    gate: Option<Arc<Gate>>,
    posts_that_read: &'static [&'static str],
}

/// What verifies credentials.
pub(super) struct Gate {
    tokens: Tokens,
    keys: Option<Keys>,
    bypass_paths: Vec<String>,
    pub(super) metrics: AuthMetrics,
}

/// Why a service cannot tell who is calling.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Others could call, and nothing would stop them.
    #[error(
        "{listen} can be reached from other machines, but no credentials are configured: set \
         INTERNAL_TOKEN_SECRET (of the gateway's tokens), JWT_SIGNING_KEY (of users' tokens) or \
         API_KEY_DATABASE_URL with API_KEY_PEPPER; or AUTH_DISABLED=true to serve everybody"
    )]
    Unconfigured {
        /// Where the service would listen.
        listen: SocketAddr,
    },
    /// The operator's tables cannot be asked.
    #[error("API_KEY_DATABASE_URL (or MYSQL_DATABASE_URL) cannot be used: {0}")]
    Directory(#[source] DirectoryError),
    /// No threads to hash on.
    #[error("the threads that hash API keys cannot be started: {0}")]
    Threads(#[source] io::Error),
    /// The series cannot be registered.
    #[error("the metrics of authentication cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl Auth {
    /// Prepares what the settings name. Without a verifier everybody is served, which is allowed
    /// where only this machine can call, or where the operator says so.
    ///
    /// # Errors
    /// [`AuthError`] with what the operator has to change.
    pub fn open(
        settings: &AuthSettings,
        listen: SocketAddr,
        metrics: &Metrics,
    ) -> Result<Self, AuthError> {
        if settings.is_disabled {
            tracing::warn!(
                "AUTH_DISABLED is set: everybody is served, with or without credentials"
            );
            return Ok(Self::everybody());
        }
        if !settings.has_verifier() {
            if !listen.ip().to_canonical().is_loopback() {
                return Err(AuthError::Unconfigured { listen });
            }
            tracing::warn!(
                %listen,
                "no credentials are configured: everybody on this machine is served; set \
                 INTERNAL_TOKEN_SECRET, JWT_SIGNING_KEY or API_KEY_DATABASE_URL"
            );
            return Ok(Self::everybody());
        }
        let metrics = AuthMetrics::register(metrics)?;
        let keys = settings.api_keys.as_ref();
        let keys = keys.map(|keys| Keys::open(keys, metrics.clone())).transpose();
        let gate = Gate {
            tokens: Tokens::new(settings.internal.as_ref(), settings.bearer.as_ref()),
            keys: keys.map_err(|error| match error {
                KeysError::Directory(error) => AuthError::Directory(error),
                KeysError::Threads(error) => AuthError::Threads(error),
            })?,
            bypass_paths: settings.bypass_paths.clone(),
            metrics,
        };
        Ok(Self { gate: Some(Arc::new(gate)), posts_that_read: &[] })
    }

    /// Asks nobody for anything.
    #[must_use]
    pub fn everybody() -> Self {
        Self { gate: None, posts_that_read: &[] }
    }

    /// Names the route templates whose POST only reads, because its question is too long for a
    /// URL: a caller that may read may send them.
    #[must_use]
    pub fn posts_that_read(self, templates: &'static [&'static str]) -> Self {
        Self { posts_that_read: templates, ..self }
    }

    /// What verifies a request for this path; none where nobody is asked.
    pub(super) fn gate_of(&self, path: &str) -> Option<&Gate> {
        let gate = self.gate.as_deref()?;
        let is_bypassed = gate.bypass_paths.iter().any(|bypass| bypass == path);
        (!is_bypassed).then_some(gate)
    }

    /// What a request asks for; `template` is its route's, where there is one.
    pub(super) fn need(&self, method: &Method, template: Option<&str>) -> Need {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => Need::Read,
            Method::POST if template.is_some_and(|it| self.posts_that_read.contains(&it)) => {
                Need::Read
            }
            _ => Need::Write,
        }
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_open = self.gate.is_none();
        formatter.debug_struct("Auth").field("everybody", &is_open).finish_non_exhaustive()
    }
}

impl Gate {
    /// Who is calling, and by which scheme that was decided.
    pub(super) async fn identify(
        &self,
        headers: &HeaderMap,
        now: Now,
    ) -> (Option<Scheme>, Result<Principal, Refusal>) {
        match Credential::of(headers) {
            Credential::Bearer(_) if self.tokens.is_empty() => {
                (Some(Scheme::Jwt), Err(Refusal::Unverified))
            }
            Credential::Bearer(token) => {
                let (scheme, outcome) = self.tokens.verify(token, now);
                (Some(scheme), outcome.map_err(Refusal::Token))
            }
            Credential::ApiKey(key) => {
                let outcome = match &self.keys {
                    Some(keys) => keys.verify(key, now).await.map_err(Refusal::Key),
                    None => Err(Refusal::Unverified),
                };
                (Some(Scheme::ApiKey), outcome)
            }
            Credential::BearerMalformed => (Some(Scheme::Jwt), Err(Refusal::Malformed)),
            Credential::ApiKeyRepeated => (Some(Scheme::ApiKey), Err(Refusal::Malformed)),
            Credential::None => (None, Err(Refusal::Missing)),
        }
    }
}

#[cfg(test)]
mod tests;
