//! What does a configuration need beside its text, where nothing is read from disk?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farmgate::auth::{KeySetSource, LiveKeySet, RemoteFault, RemoteKeySet};
use farmgate::config::gateway::GatewayConfig;
use farmgate::config::pool::PoolConfig;
use farmgate::config::scalar::{Secret, SecretRef};
use farmgate::config::sources::{Source, Sources};
use farmgate::config::{ConfigFault, Document, Environment};
use farmgate::snapshot::{Snapshot, compile};
use farmgate::upstream::Pools;

/// Stands for every secret: long enough for a token's, and base64 as a signing client's.
pub const SECRET: &str = "c29tZSBzZWNyZXQgb2YgZm9ydHktZWlnaHQgYnl0ZXMsIGZvciB0ZXN0cyBvbmx5";

/// Checks an address as the gateway does, and fetches nothing.
struct NoKeySets;

impl KeySetSource for NoKeySets {
    fn key_set(&self, wanted: &RemoteKeySet) -> Result<Arc<LiveKeySet>, RemoteFault> {
        wanted.check()?;
        Ok(Arc::default())
    }
}

/// Compiles a configuration with one pool, `service`.
///
/// # Errors
///
/// Every fault.
pub fn compiled(gateway: Source<GatewayConfig>) -> Result<Snapshot, Vec<ConfigFault>> {
    let secrets = secrets(&gateway.value);
    let address = "127.0.0.1:1".parse().map_err(|_| Vec::new())?;
    let sources = Sources {
        base: PathBuf::new(),
        gateway,
        pools: BTreeMap::from([("service".to_owned(), pool())]),
        pools_were_read: true,
        broken_pools: Vec::new(),
        secrets,
        urls: BTreeMap::new(),
        files: BTreeMap::new(),
        warnings: Vec::new(),
        addresses: BTreeMap::from([(("service".to_owned(), 0), address)]),
    };
    compile(&sources, &Pools::default(), &NoKeySets, 1)
}

/// Reads a text that has no faults.
///
/// # Panics
///
/// When it has some.
#[must_use]
pub fn faultless(text: &str) -> Source<GatewayConfig> {
    let mut document = Document::parse(Path::new("gateway.yaml"), text).expect("it is YAML");
    let (value, faults) = document.decode();
    assert!(faults.is_empty(), "{faults:?}");
    Source { value: value.expect("without faults there is a value"), document }
}

fn pool() -> Source<PoolConfig> {
    let text = "peers: [{address: 127.0.0.1:1}]";
    let mut document = Document::parse(Path::new("service.yaml"), text).expect("it is YAML");
    Source { value: document.decode().0.expect("the pool is right"), document }
}

/// The same secret for every place that names one.
fn secrets(gateway: &GatewayConfig) -> BTreeMap<String, Secret> {
    let auth = &gateway.auth;
    let mut paths = vec!["auth.internal.secret".to_owned()];
    for (index, issuer) in auth.jwt.iter().enumerate() {
        paths.extend((0..issuer.keys.len()).map(|key| format!("auth.jwt[{index}].keys[{key}]")));
    }
    let clients = auth.hmac.iter().flat_map(|hmac| hmac.clients.iter().enumerate());
    for (index, client) in clients {
        let secrets = 0..client.secrets.len();
        paths.extend(secrets.map(|n| format!("auth.hmac.clients[{index}].secrets[{n}]")));
    }
    let environment: Environment = [("SECRET", SECRET)].into_iter().collect();
    let secret = "env:SECRET"
        .parse()
        .ok()
        .and_then(|place: SecretRef| place.resolve(Path::new(""), &environment).ok());
    paths.into_iter().filter_map(|path| Some((path, secret.clone()?))).collect()
}
