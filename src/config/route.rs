//! What one entry of `routes` in `conf/gateway.yaml` says.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::scalar::{ByteSize, HostName, MethodName, PathPrefix, Period, text_or_mapping};

/// Which request goes where, under which rules.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Name in logs and metrics.
    pub name: String,
    /// Hosts that this route takes; empty means any.
    #[serde(default)]
    pub hosts: Vec<HostName>,
    /// Paths that begin with this, on a segment's edge. A route has this or `paths`.
    pub path_prefix: Option<PathPrefix>,
    /// Exactly these paths; they are looked for before any prefix.
    #[serde(default)]
    pub paths: Vec<PathPrefix>,
    /// Methods that this route takes; empty means any.
    #[serde(default)]
    pub methods: Vec<MethodName>,
    /// The pool that answers, by the name of its file. A route has this or `endpoint`.
    pub pool: Option<String>,
    /// What the gateway answers itself.
    pub endpoint: Option<EndpointConfig>,
    /// Where the OpenAPI document of the API behind this route is, for the `api_catalog` endpoint.
    pub api_document: Option<PathPrefix>,
    /// Who may call. An endpoint decides that by itself.
    pub auth: Option<RouteAuthConfig>,
    /// Names of the quotas that hold here, all of them.
    #[serde(default)]
    pub quotas: Vec<String>,
    /// Whether its answers are JSON, so that a client that takes none is refused (406).
    #[serde(default)]
    pub json_only: bool,
    /// Whether an upstream's 400, 401 or 403 counts as a failed login of the client's address.
    #[serde(default)]
    pub login: bool,
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
    /// Whether only integration tokens are taken: those that carry a scope.
    pub integration: bool,
    /// What the principal must be allowed, each of these that is about the request's method.
    pub scopes: Vec<ScopeConfig>,
}

/// What a principal must be allowed: one scope alone, or one of several, for some methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeConfig {
    /// One of these is enough.
    pub any: Vec<String>,
    /// The methods that ask for it; empty means all.
    pub methods: Vec<MethodName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeMapping {
    any: Vec<String>,
    #[serde(default)]
    methods: Vec<MethodName>,
}

impl<'de> Deserialize<'de> for ScopeConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_mapping(
            deserializer,
            "a scope such as read, or a mapping with `any` and `methods`",
            |text| Ok(Self { any: vec![text.to_owned()], methods: Vec::new() }),
            |ScopeMapping { any, methods }| Self { any, methods },
        )
    }
}

/// What the gateway answers itself, as the integration API of the operator's system does. Each
/// decides who may call it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum EndpointConfig {
    /// Which APIs there are and where each is described; public.
    ApiCatalog,
    /// Whether the gateway lives; public.
    Health,
    /// Whether an API key holds.
    KeyPing,
    /// Whether a signature holds.
    SignedPing,
    /// What the integration API can do, for an integration token.
    Status,
    /// A token for an API key and a signature over the same request.
    Token,
    /// Whose integration token this is.
    Whoami,
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
    /// They are taken off, and a short-lived token of the gateway says who calls.
    Internal,
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
    /// How much earlier than that a round may begin, at random: several gateways do not ask at once.
    #[serde(default = "Period::zero", deserialize_with = "Period::or_zero")]
    pub jitter: Period,
    /// Paths with query, each fetched once a round. Names in braces stand for what a point says.
    pub targets: Vec<String>,
    /// For which points the targets are fetched that have names in braces.
    pub points: Option<PointsConfig>,
}

/// Where points come from: a file, or the list that a service gives.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointsConfig {
    /// A CSV file whose first line names its columns, or a `.json` file; relative to this file's
    /// folder. It is read again by a reload.
    pub file: Option<PathBuf>,
    /// The route of the service that gives the list; asked once a round.
    pub route: Option<String>,
    /// Path with query of that list.
    pub path: Option<String>,
    /// Where in JSON the list is, as a JSON pointer such as `/data/fields`; the whole, if left out.
    #[serde(default)]
    pub list: String,
    /// Most points.
    #[serde(default = "default_points_max")]
    pub points_max: usize,
}

fn default_points_max() -> usize {
    1000
}

fn default_timeout() -> Period {
    Period::from(Duration::from_secs(9))
}

fn default_body_bytes_max() -> ByteSize {
    ByteSize::from(1024 * 1024)
}
