//! What the configuration says, compiled: immutable, and swapped as a whole.
//!
//! [`compile`] parses rather than checks: once a [`Snapshot`] exists, nothing in it can be wrong.

#[cfg(test)]
pub(crate) mod fixture;
mod identity;
mod limits;
mod pools;
mod routes;
mod storage;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use crate::auth::KeySetSource;
use crate::config::gateway::{ServerConfig, StatusConfig};
use crate::config::scalar::{Network, Secret};
use crate::config::sources::Sources;
use crate::config::{ConfigFault, closest};
use crate::endpoint::TokenRule;
use crate::envelope::StatusForm;
use crate::internal_token::InternalRule;
use crate::ratelimit::ShieldLimits;
use crate::route::{Limit, RouteTable};
use crate::tls::TlsFiles;
use crate::upstream::Pools;

pub use self::storage::{DiskRule, MysqlRule, RedisRule, StorageRule};

/// The addresses that a request came by, as the proxies on its way write them down.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The snapshot that serves now; a request takes it once, at its beginning.
pub type Live = Arc<ArcSwap<Snapshot>>;

/// Room for nonces where the configuration says nothing.
const NONCES_MAX: usize = 200_000;

/// Fewest bytes of the admin listener's token.
const ADMIN_TOKEN_BYTES_MIN: usize = 16;

/// One compiled configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts the configurations that served, from 1.
    pub generation: u64,
    /// Which request goes where.
    pub routes: RouteTable,
    /// The form of the gateway's own answers where no route is known.
    pub status_form: StatusForm,
    /// What is asked of a client before anything else.
    pub downstream: Downstream,
    /// What one address may do.
    pub shield: ShieldLimits,
    /// How many credentials that do not hold one address may send.
    pub failures: Option<Arc<Limit>>,
    /// What the `token` endpoint issues.
    pub tokens: Option<TokenRule>,
    /// What services are told in place of the client's credentials.
    pub internal: Option<InternalRule>,
    /// What the `api_catalog` endpoint lists, as it is sent.
    pub api_catalog: Bytes,
    /// What those have to send who ask the admin listener about the cache.
    pub admin_token: Option<Secret>,
    /// What only a restart can change.
    pub restart: RestartOnly,
    /// What is wrong with the configuration and does not keep the rest of it from serving.
    pub warnings: Vec<ConfigFault>,
}

/// What is asked of a client before anything else.
#[derive(Clone, Debug)]
pub struct Downstream {
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Most header fields.
    pub header_count_max: usize,
    /// Most bytes of header fields.
    pub header_bytes_max: usize,
    /// How long an idle connection is kept.
    pub keepalive_timeout: Duration,
    /// How long one write may take.
    pub write_timeout: Duration,
}

/// What Pingora cannot change while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartOnly {
    /// Addresses that take clients.
    pub listeners: Vec<Listener>,
    /// The private listener.
    pub admin: SocketAddr,
    /// Threads and process-wide time limits.
    pub server: ServerConfig,
    /// How long a client may take for one request head.
    pub head_timeout: Duration,
    /// Budget of the store in bytes.
    pub cache_bytes_max: usize,
    /// Most principals counted.
    pub principals_max: usize,
    /// Most nonces remembered.
    pub nonces_max: usize,
    /// Most verified tokens remembered.
    pub tokens_max: usize,
    /// What is opened at the start.
    pub storage: StorageRule,
}

/// One address that takes clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its files, when it speaks TLS.
    pub tls: Option<TlsFiles>,
}

impl RestartOnly {
    /// How long pre-warming may hold back readiness at start.
    #[must_use]
    pub fn ready_timeout(&self) -> Duration {
        self.server.ready_timeout.duration()
    }

    /// The sections of the file in which `new` differs.
    #[must_use]
    pub fn differences(&self, new: &Self) -> Vec<&'static str> {
        let (mine, other) = (&self.storage, &new.storage);
        let compared = [
            ("listeners", self.listeners != new.listeners),
            ("admin", self.admin != new.admin),
            ("server", self.server != new.server),
            ("downstream.head_timeout", self.head_timeout != new.head_timeout),
            ("cache.memory", self.cache_bytes_max != new.cache_bytes_max),
            ("cache.disk", mine.disk != other.disk),
            ("limits.principals_max", self.principals_max != new.principals_max),
            ("auth.hmac.nonces_max", self.nonces_max != new.nonces_max),
            ("auth.tokens_remembered_max", self.tokens_max != new.tokens_max),
            ("state", (&mine.dir, &mine.redis) != (&other.dir, &other.redis)),
            ("auth.api_keys.store", mine.has_key_store != other.has_key_store),
            ("auth.api_keys.mysql", mine.mysql != other.mysql),
        ];
        compared.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
}

impl Snapshot {
    /// The client's address: the peer's, or, when the peer is a trusted proxy, the last address in
    /// `X-Forwarded-For` that is none.
    ///
    /// The list is read from its end and as bytes: a proxy adds to what the client sent, so nothing
    /// in front may keep the proxy's own part from being read.
    #[must_use]
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let trusts = |address| {
            self.downstream.trusted_proxies.iter().any(|network| network.contains(address))
        };
        if !trusts(peer) {
            return peer;
        }
        let mut client = peer;
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        for hop in values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',')) {
            let hop = std::str::from_utf8(hop.trim_ascii());
            let Some(address) = hop.ok().and_then(|hop| hop.parse().ok()) else { return client };
            client = address;
            if !trusts(address) {
                return client;
            }
        }
        client
    }
}

/// Compiles what was read, or lists everything that is wrong with it.
///
/// # Errors
///
/// Every fault, in the order of the files.
pub fn compile(
    sources: &Sources,
    pools: &Pools,
    key_sets: &dyn KeySetSource,
    generation: u64,
) -> Result<Snapshot, Vec<ConfigFault>> {
    let mut faults = Vec::new();
    let config = &sources.gateway.value;
    let mut warnings = sources.warnings.clone();
    let identity = identity::compile(sources, key_sets, &mut faults, &mut warnings);
    let pools = pools::compile(sources, pools, &mut faults);
    let limits = limits::compile(sources, &mut faults);
    let parts = routes::Parts {
        verifiers: &identity.verifiers,
        pools: &pools,
        limits: &limits,
        issues_tokens: config.auth.token.is_some(),
        makes_internal_tokens: config.auth.internal.is_some(),
    };
    let routes = routes::compile(sources, &parts, &mut faults);
    let restart = restart_only(sources, &mut faults);
    let admin_token = admin_token(sources, &mut faults);
    if !faults.is_empty() {
        sort(&mut faults);
        return Err(faults);
    }
    sort(&mut warnings);
    let shield = config.limits.shield.clone();
    Ok(Snapshot {
        generation,
        routes: RouteTable::new(routes),
        status_form: status_form(config.envelope.status),
        downstream: Downstream {
            trusted_proxies: config.downstream.trusted_proxies.clone(),
            header_count_max: config.downstream.header_count_max,
            header_bytes_max: config.downstream.header_bytes_max.bytes(),
            keepalive_timeout: config.downstream.keepalive_timeout.duration(),
            write_timeout: config.downstream.write_timeout.duration(),
        },
        shield: ShieldLimits {
            requests_per_second_max: Some(shield.requests_per_second_max),
            in_flight_max: Some(shield.in_flight_max),
        },
        failures: limits.failures,
        tokens: identity.tokens,
        internal: identity.internal,
        api_catalog: routes::catalog(config).unwrap_or_default(),
        admin_token,
        restart,
        warnings,
    })
}

/// As they stand in the files.
fn sort(faults: &mut [ConfigFault]) {
    faults.sort_by(|one, other| {
        (&one.file, one.line, one.column).cmp(&(&other.file, other.line, other.column))
    });
}

/// What a configuration keeps on this machine and shares with others, whatever else is wrong with it.
#[must_use]
pub fn storage_of(sources: &Sources) -> StorageRule {
    storage::compile(sources, &mut Vec::new())
}

fn restart_only(sources: &Sources, faults: &mut Vec<ConfigFault>) -> RestartOnly {
    let source = &sources.gateway;
    let config = &source.value;
    let admin = config.admin.address.socket_address();
    if config.listeners.is_empty() {
        source.report(faults, "listeners", "name at least one address, as `- address: 0.0.0.0:80`");
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for (index, listener) in config.listeners.iter().enumerate() {
        let path = format!("listeners[{index}].address");
        let address = listener.address.socket_address();
        let admin_is_known = source.document.is_whole("admin");
        if (admin_is_known && address == admin)
            || listeners.iter().any(|other| other.address == address)
        {
            let problem = format!("{address} is taken by another listener; give each its own");
            source.report(faults, &path, problem);
        }
        let tls = listener.tls.as_ref().map(|tls| TlsFiles {
            certificate: sources.base.join(&tls.certificate_file),
            key: sources.base.join(&tls.key_file),
        });
        listeners.push(Listener { address, tls });
    }
    if !(1..=256).contains(&config.server.worker_threads) {
        source.report(faults, "server.worker_threads", "write a number from 1 to 256");
    }
    RestartOnly {
        listeners,
        admin,
        server: config.server.clone(),
        head_timeout: config.downstream.head_timeout.duration(),
        cache_bytes_max: config.cache.memory.bytes(),
        principals_max: config.limits.principals_max,
        // A reload may add signing clients to a process that was started without any.
        nonces_max: config.auth.hmac.as_ref().map_or(NONCES_MAX, |hmac| hmac.nonces_max),
        tokens_max: config.auth.tokens_remembered_max,
        storage: storage::compile(sources, faults),
    }
}

/// The token of the admin listener. It opens more than any client's, and nothing counts who guesses.
fn admin_token(sources: &Sources, faults: &mut Vec<ConfigFault>) -> Option<Secret> {
    let token = sources.secrets.get("admin.token")?;
    if token.as_bytes().len() < ADMIN_TOKEN_BYTES_MIN {
        let problem = format!(
            "a token of fewer than {ADMIN_TOKEN_BYTES_MIN} bytes can be guessed; make one with \
             `openssl rand -hex 32`"
        );
        sources.gateway.report(faults, "admin.token", problem);
    }
    Some(token.clone())
}

fn status_form(config: StatusConfig) -> StatusForm {
    match config {
        StatusConfig::Text => StatusForm::Text,
        StatusConfig::Integer => StatusForm::Integer,
    }
}

/// "there is no pool "wether"; did you mean "weather"?", or which names there are.
fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(close) = closest(name, known.clone()) {
        return format!("there is no {what} \"{name}\"; did you mean \"{close}\"?");
    }
    let mut names: Vec<&str> = known.take(20).collect();
    names.sort_unstable();
    if names.is_empty() {
        return format!("there is no {what} \"{name}\", and no other; define it first");
    }
    format!("there is no {what} \"{name}\"; there are: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use http::{HeaderMap, HeaderValue};

    use super::FORWARDED_FOR;
    use super::fixture::snapshot;
    use crate::route::Match;

    fn behind(trusted: &str) -> super::Snapshot {
        snapshot(&format!(
            "listeners: [{{address: 127.0.0.1:1}}]\nadmin: {{address: 127.0.0.1:2}}\n\
             downstream: {{trusted_proxies: [{trusted}]}}\n\
             routes: [{{name: r, path_prefix: /, pool: service, auth: {{anonymous: true}}}}]"
        ))
    }

    #[track_caller]
    fn check(trusted: &str, peer: &str, forwarded: &[&str], client: &str) {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        let found = behind(trusted).client_address(peer.parse().unwrap(), &headers);
        assert_eq!(found.to_string(), client);
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_claims() {
        check("", "9.9.9.9", &["1.1.1.1"], "9.9.9.9");
        check("10.0.0.0/8", "9.9.9.9", &["1.1.1.1"], "9.9.9.9");
    }

    #[test]
    fn behind_a_trusted_proxy_the_last_untrusted_hop_is_the_client() {
        check("10.0.0.0/8", "10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"], "1.1.1.1");
        check("10.0.0.0/8", "10.0.0.1", &["6.6.6.6", "1.1.1.1"], "1.1.1.1");
    }

    #[test]
    fn bytes_that_a_client_puts_in_front_do_not_hide_it() {
        check("10.0.0.0/8", "10.0.0.1", &["\u{e9}, 1.1.1.1"], "1.1.1.1");
        check("10.0.0.0/8", "10.0.0.1", &["\u{e9}", "1.1.1.1, 10.0.0.2"], "1.1.1.1");
    }

    #[test]
    fn a_hop_that_is_no_address_ends_the_search() {
        check("10.0.0.0/8", "10.0.0.1", &["1.1.1.1, unknown, 10.0.0.3"], "10.0.0.3");
        check("10.0.0.0/8", "10.0.0.1", &[], "10.0.0.1");
    }

    const ROUTES: &str = "
listeners: [{address: 127.0.0.1:1}]
admin: {address: 127.0.0.1:2}
routes:
  - {name: rest, path_prefix: /, pool: service, auth: {anonymous: true}}
  - {name: api, path_prefix: /api, pool: service, auth: {anonymous: true}}
  - {name: read, path_prefix: /api/v1, methods: [GET], pool: service, auth: {anonymous: true}}
  - {name: write, path_prefix: /api/v1, methods: [POST, PUT], pool: service, auth: {anonymous: true}}
  - {name: hosted, hosts: [a.example], path_prefix: /api, pool: service, auth: {anonymous: true}}
";

    #[track_caller]
    fn finds(method: &str, host: &str, path: &str, wanted: &str) {
        let method = method.parse().unwrap();
        let found = match snapshot(ROUTES).routes.find(host, path, &method) {
            Match::Found(route) => route.name.clone(),
            Match::OtherMethods { allow, .. } => allow,
            Match::Nothing => "nothing".into(),
        };
        assert_eq!(found, wanted, "{method} {host}{path}");
    }

    #[test]
    fn the_longest_prefix_on_a_segments_edge_decides() {
        finds("GET", "h", "/api/v1/x", "read");
        finds("GET", "h", "/api/v1", "read");
        finds("GET", "h", "/api/v10", "api");
        finds("GET", "h", "/apix", "rest");
        finds("GET", "h", "/", "rest");
    }

    #[test]
    fn a_route_that_names_the_host_is_asked_first() {
        finds("GET", "a.example", "/api/x", "hosted");
        finds("GET", "b.example", "/api/x", "api");
        finds("GET", "a.example", "/api/v1/x", "read");
    }

    #[test]
    fn a_method_that_the_prefix_lacks_is_not_sought_in_shorter_ones() {
        finds("PUT", "h", "/api/v1/x", "write");
        finds("HEAD", "h", "/api/v1/x", "read");
        finds("DELETE", "h", "/api/v1/x", "GET, HEAD, POST, PUT");
    }
}
