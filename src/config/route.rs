//! What one entry of `routes` in `conf/gateway.yaml` says.

use std::time::Duration;

use serde::Deserialize;

use super::scalar::{ByteSize, HostName, MethodName, PathPrefix, Period};

/// Which request goes where, under which rules.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Name in logs and metrics.
    pub name: String,
    /// Hosts that this route takes; empty means any.
    #[serde(default)]
    pub hosts: Vec<HostName>,
    /// Paths that begin with this, on a segment's edge.
    pub path_prefix: PathPrefix,
    /// Methods that this route takes; empty means any.
    #[serde(default)]
    pub methods: Vec<MethodName>,
    /// The pool that answers, by the name of its file.
    pub pool: String,
    /// Who may call.
    pub auth: RouteAuthConfig,
    /// Name of the quota that each principal has here.
    pub quota: Option<String>,
    /// Name of the cache policy; absent means that nothing is kept.
    pub cache: Option<String>,
    /// Whether JSON answers leave in the envelope.
    #[serde(default)]
    pub envelope: bool,
    /// Whether the client's credentials reach the service.
    #[serde(default)]
    pub credentials: CredentialsConfig,
    /// How long a request may take until its answer begins; where answers are collected, until it
    /// is complete.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
    /// Largest request body.
    #[serde(default = "default_body_bytes_max")]
    pub body_bytes_max: ByteSize,
    /// What is fetched before anyone asks.
    pub prewarm: Option<PrewarmConfig>,
}

/// Who may call a route.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteAuthConfig {
    /// One of these is enough.
    pub any: Vec<SchemeConfig>,
    /// Each of these is needed.
    pub all: Vec<SchemeConfig>,
    /// Whether a request without a credential is let in too.
    pub anonymous: bool,
    /// A scope that the principal must have.
    pub scope: Option<String>,
}

/// A kind of credential.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SchemeConfig {
    /// `Authorization: Bearer`.
    Jwt,
    /// `X-API-Key`.
    ApiKey,
    /// Nextcloud's signature headers.
    Hmac,
}

/// Whether the client's credentials reach the service.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum CredentialsConfig {
    /// They pass through as they came.
    #[default]
    Forward,
    /// They are taken off.
    Strip,
}

/// What is fetched before anyone asks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrewarmConfig {
    /// How often: less than the policy's `fresh`, so that nothing turns stale.
    pub every: Period,
    /// Host of the requests, when the route names none or several.
    pub host: Option<HostName>,
    /// Paths with query, each fetched once a round.
    pub targets: Vec<String>,
}

fn default_timeout() -> Period {
    Period::from(Duration::from_secs(9))
}

fn default_body_bytes_max() -> ByteSize {
    ByteSize::from(1024 * 1024)
}
