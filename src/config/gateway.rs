//! What `conf/gateway.yaml` says: one type a section, one field a key, no behaviour.
//!
//! Nothing here is checked beyond what a single value can show; `snapshot` compiles the whole.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::identity::AuthConfig;
use super::limits::LimitsConfig;
use super::route::RouteConfig;
use super::scalar::{ByteSize, Decimal, Fresh, ListenAddress, Network, Period, SecretRef};
use super::state::StateConfig;

/// The whole of `conf/gateway.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Addresses that take clients. Changing them needs a restart.
    pub listeners: Vec<ListenerConfig>,
    /// The private listener for metrics, health and readiness. Changing it needs a restart.
    pub admin: AdminConfig,
    /// Threads and process-wide time limits. Changing them needs a restart.
    #[serde(default)]
    pub server: ServerConfig,
    /// What is asked of a client before anything else.
    #[serde(default)]
    pub downstream: DownstreamConfig,
    /// What survives a restart, and what several gateways share. Changing it needs a restart.
    #[serde(default)]
    pub state: StateConfig,
    /// Who may call: the credentials that exist.
    #[serde(default)]
    pub auth: AuthConfig,
    /// How often they may call.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// What is kept, and for how long.
    #[serde(default)]
    pub cache: CacheConfig,
    /// The form of JSON answers.
    #[serde(default)]
    pub envelope: EnvelopeConfig,
    /// Folder with one YAML file a pool, relative to this file's folder.
    #[serde(default = "default_upstreams_dir")]
    pub upstreams_dir: PathBuf,
    /// Which request goes where, under which rules.
    pub routes: Vec<RouteConfig>,
}

/// One address that takes clients.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// `ip:port` to listen on.
    pub address: ListenAddress,
    /// With this section the listener speaks TLS, with HTTP/2 by ALPN.
    pub tls: Option<TlsConfig>,
}

/// Certificate files of a TLS listener, relative to this file's folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the leaf certificate first, then its chain.
    pub certificate_file: PathBuf,
    /// PEM file with the private key.
    pub key_file: PathBuf,
}

/// The private listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// `ip:port` to listen on; keep it off public interfaces.
    pub address: ListenAddress,
    /// What those have to send who ask about the cache or change it; without it nobody may.
    pub token: Option<SecretRef>,
}

/// Threads and process-wide time limits.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Threads that carry requests.
    pub worker_threads: usize,
    /// How long requests in flight may still run after SIGTERM.
    pub drain_timeout: Period,
    /// How long pre-warming may hold back readiness at start.
    pub ready_timeout: Period,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            worker_threads: 2,
            drain_timeout: Period::from(Duration::from_secs(5)),
            ready_timeout: Period::from(Duration::from_secs(10)),
        }
    }
}

/// What is asked of a client before anything else.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DownstreamConfig {
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Most header fields of a request.
    pub header_count_max: usize,
    /// Most bytes of a request's head: method and target, names and values of its header fields.
    pub header_bytes_max: ByteSize,
    /// How long a client may take to send one request head.
    pub head_timeout: Period,
    /// How long an idle connection is kept for the next request.
    pub keepalive_timeout: Period,
    /// How long one write to a client may take.
    pub write_timeout: Period,
}

impl Default for DownstreamConfig {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            header_count_max: 100,
            header_bytes_max: ByteSize::from(16 * 1024),
            head_timeout: Period::from(Duration::from_secs(15)),
            keepalive_timeout: Period::from(Duration::from_secs(60)),
            write_timeout: Period::from(Duration::from_secs(30)),
        }
    }
}

/// What is kept, and for how long.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// Budget of the store. Changing it needs a restart.
    pub memory: ByteSize,
    /// What of it survives a restart. Changing it needs a restart.
    pub disk: Option<CacheDiskConfig>,
    /// Largest object that is kept.
    pub object_bytes_max: ByteSize,
    /// Policies by name, for routes to refer to.
    pub policies: BTreeMap<String, CachePolicyConfig>,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            memory: ByteSize::from(64 * 1024 * 1024),
            disk: None,
            object_bytes_max: ByteSize::from(4 * 1024 * 1024),
            policies: BTreeMap::new(),
        }
    }
}

/// The cache on disk.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheDiskConfig {
    /// Budget of the answers there.
    pub size: ByteSize,
    /// Its folder, relative to this file's folder; `cache` in `state.dir` without it.
    pub dir: Option<PathBuf>,
}

/// How long answers of a route are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CachePolicyConfig {
    /// How long an answer is fresh, whatever the upstream says of it; or `upstream`.
    pub fresh: Fresh,
    /// With `fresh: upstream`, how long an answer is fresh that says nothing.
    pub unsaid: Option<Period>,
    /// With `fresh: upstream`, whether such an answer is fresh for a tenth of the time since its
    /// `Last-Modified`, and at most so long.
    pub heuristic_max: Option<Period>,
    /// Whether a client's own `Cache-Control` is obeyed: it may cause a fetch for each request.
    #[serde(default)]
    pub obey_clients: bool,
    /// How long a stale answer is served while it is refreshed in the background.
    #[serde(default = "Period::zero", deserialize_with = "Period::or_zero")]
    pub stale_while_revalidate: Period,
    /// How long a stale answer is served when the upstream fails.
    #[serde(default = "Period::zero", deserialize_with = "Period::or_zero")]
    pub stale_if_error: Period,
    /// How long a failure is remembered, so that a failing upstream is not asked by every client;
    /// without it one second, and with `fresh: upstream` no time at all.
    pub error_for: Option<Period>,
    /// Whether answers that are asked for much are fetched anew before they turn stale; only where
    /// everyone shares them.
    #[serde(default)]
    pub refresh_ahead: bool,
    /// Who may share an answer.
    #[serde(default)]
    pub share: ShareConfig,
    /// Which queries ask for the same.
    #[serde(default)]
    pub query: QueryConfig,
    /// The codings in which stored answers leave, the preferred first; empty means as they are.
    #[serde(default = "CodingConfig::all")]
    pub compress: Vec<CodingConfig>,
}

/// A coding in which a stored answer may leave.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum CodingConfig {
    /// Brotli.
    Br,
    /// Zstandard.
    Zstd,
    /// Gzip.
    Gzip,
}

impl CodingConfig {
    fn all() -> Vec<Self> {
        vec![Self::Br, Self::Zstd, Self::Gzip]
    }
}

/// Differences between queries that say nothing. The query is rewritten, for the key and for the
/// upstream alike.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueryConfig {
    /// Parameters whose numbers are rounded, each to a multiple of its step.
    pub round: BTreeMap<String, Decimal>,
    /// The only parameters that count.
    pub keep: Option<Vec<String>>,
    /// Parameters that say nothing.
    pub drop: Vec<String>,
    /// What a parameter is that is left out, as it stands in a query.
    pub defaults: BTreeMap<String, String>,
    /// Whether the order of parameters says nothing.
    pub sort: bool,
}

/// Who may share a stored answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ShareConfig {
    /// Each principal has answers of its own: safe whatever the upstream answers.
    #[default]
    Principal,
    /// All principals that the route admits share one answer: for data that is the same for all.
    Everyone,
}

/// The form of JSON answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnvelopeConfig {
    /// How `status` is written.
    pub status: StatusConfig,
    /// Largest upstream body that is wrapped; a longer one passes unwrapped.
    pub body_bytes_max: ByteSize,
}

impl Default for EnvelopeConfig {
    fn default() -> Self {
        Self { status: StatusConfig::Text, body_bytes_max: ByteSize::from(4 * 1024 * 1024) }
    }
}

/// How the envelope's `status` is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum StatusConfig {
    /// `"success"` or `"error"`.
    #[default]
    Text,
    /// `0` or `1`.
    Integer,
}

fn default_upstreams_dir() -> PathBuf {
    PathBuf::from("../upstreams")
}
