//! How does a configuration come into force?
//!
//! [`load`] reads the files and everything they point to, [`Reloader::reload`] compiles and
//! publishes. Nothing else publishes a snapshot: the start, SIGHUP and the check all end here.

mod kept;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use self::kept::Kept;
use crate::clock::Now;
use crate::config::environment::FILE_BYTES_MAX as ENV_FILE_BYTES_MAX;
use crate::config::gateway::GatewayConfig;
use crate::config::pool::PoolConfig;
use crate::config::sources::{Source, Sources};
use crate::config::{ConfigFault, Document, Environment};
use crate::snapshot::{self, Live, RestartOnly, Snapshot};
use crate::state::{Outliving, State, open};
use crate::tls;

/// Most pool files in `upstreams/`.
const POOL_FILES_MAX: usize = 256;

/// Publishes configurations, one at a time.
pub struct Reloader {
    file: PathBuf,
    env_file: Option<PathBuf>,
    live: Live,
    state: Arc<State>,
    /// What the process was started with, and what still holds of it.
    started_with: RestartOnly,
    /// One reload at a time; nobody else waits for it.
    reloading: Mutex<()>,
    last: Mutex<LastReload>,
}

/// How the last reload ended, for the admin listener.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LastReload {
    /// Number of the configuration that serves.
    pub generation: u64,
    /// Whether the last reload took.
    pub success: bool,
    /// When it was tried, in seconds since 1970.
    pub at_unix_seconds: i64,
    /// What was wrong with it, each with its position.
    pub faults: Vec<String>,
    /// What is wrong and does not keep the rest from serving, each with its position.
    pub warnings: Vec<String>,
    /// What was changed and only a restart can bring into force.
    pub needs_restart: Vec<&'static str>,
}

impl Reloader {
    /// A reloader for a configuration that serves already.
    #[must_use]
    pub fn new(
        file: PathBuf,
        env_file: Option<PathBuf>,
        live: Live,
        state: Arc<State>,
        now: Now,
    ) -> Self {
        let generation = live.load().generation;
        state.metrics.config.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        let last = LastReload {
            generation,
            success: true,
            at_unix_seconds: now.unix_seconds(),
            warnings: live.load().warnings.iter().map(ToString::to_string).collect(),
            ..LastReload::default()
        };
        let started_with = live.load().restart.clone();
        Self {
            file,
            env_file,
            live,
            state,
            started_with,
            reloading: Mutex::default(),
            last: Mutex::new(last),
        }
    }

    /// Reads, compiles and publishes. When anything is wrong the old configuration keeps serving.
    pub fn reload(&self, now: Now) -> LastReload {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.live.load_full();
        let compiled = environment(self.env_file.as_deref()).and_then(|environment| {
            check(&self.file, &environment, &self.state.outliving(), old.generation + 1)
        });
        let ended = match &compiled {
            Ok(new) => accepted(new, self.started_with.differences(&new.restart), now),
            Err(faults) => refused(&old, faults, now),
        };
        self.publish(compiled.ok(), &ended);
        ended.log();
        ended
    }

    /// Brings a reload into force and into view in one moment, so that nobody sees half of it.
    fn publish(&self, new: Option<Snapshot>, ended: &LastReload) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = new {
            self.live.store(Arc::new(new));
        }
        last.clone_from(ended);
        let metrics = &self.state.metrics.config;
        metrics.generation.set(i64::try_from(ended.generation).unwrap_or(i64::MAX));
        metrics.last_reload_success.set(i64::from(ended.success));
        let result = if ended.success { "success" } else { "refused" };
        metrics.reloads.with_label_values(&[result]).inc();
    }

    /// How the last reload ended.
    #[must_use]
    pub fn last(&self) -> LastReload {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn accepted(new: &Snapshot, needs_restart: Vec<&'static str>, now: Now) -> LastReload {
    LastReload {
        generation: new.generation,
        success: true,
        at_unix_seconds: now.unix_seconds(),
        faults: Vec::new(),
        warnings: new.warnings.iter().map(ToString::to_string).collect(),
        needs_restart,
    }
}

fn refused(old: &Snapshot, faults: &[ConfigFault], now: Now) -> LastReload {
    LastReload {
        generation: old.generation,
        success: false,
        at_unix_seconds: now.unix_seconds(),
        faults: faults.iter().map(ToString::to_string).collect(),
        warnings: old.warnings.iter().map(ToString::to_string).collect(),
        needs_restart: Vec::new(),
    }
}

impl LastReload {
    fn log(&self) {
        let Self { generation, success, faults, warnings, needs_restart, .. } = self;
        if *success {
            for warning in warnings {
                tracing::warn!(warning, "configuration warning");
            }
            tracing::info!(generation, ?needs_restart, "configuration reloaded");
            return;
        }
        for fault in faults {
            tracing::error!(fault, "configuration fault");
        }
        let count = faults.len();
        tracing::error!(generation, count, "reload refused; the old configuration keeps serving");
    }
}

/// The process's variables, over those of an env file where there is one. It is read anew for
/// each reload.
///
/// # Errors
///
/// That the file cannot be read, or each of its lines that is broken.
pub fn environment(env_file: Option<&Path>) -> Result<Environment, Vec<ConfigFault>> {
    let process = Environment::of_process();
    let Some(file) = env_file else { return Ok(process) };
    let mut text = String::new();
    // One byte more than a file may have shows that it is too long.
    let read = File::open(file)
        .and_then(|opened| opened.take(ENV_FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text));
    match read {
        Ok(_) => process.with_file(file, &text),
        Err(error) => Err(vec![ConfigFault::of_file(file, format!("cannot be read: {error}"))]),
    }
}

/// Reads and compiles without publishing.
///
/// # Errors
///
/// Every fault that was found in any of the files.
pub fn check(
    file: &Path,
    environment: &Environment,
    outliving: &Outliving,
    generation: u64,
) -> Result<Snapshot, Vec<ConfigFault>> {
    let (sources, mut faults) = load(file, environment);
    let Some(sources) = sources else { return Err(faults) };
    match snapshot::compile(&sources, &outliving.pools, &*outliving.key_sets, generation) {
        Ok(snapshot) if faults.is_empty() => {
            check_certificates(&sources, &snapshot, &mut faults);
            check_storage(&sources, &snapshot, &mut faults);
            if faults.is_empty() { Ok(snapshot) } else { Err(faults) }
        }
        Ok(_) => Err(faults),
        Err(more) => {
            faults.extend(more);
            faults.sort_by(|one, other| {
                (&one.file, one.line, one.column).cmp(&(&other.file, other.line, other.column))
            });
            Err(faults)
        }
    }
}

/// Reads `gateway.yaml`, the pools' files, the secrets and the peers' addresses.
///
/// There are sources as long as `gateway.yaml` could be decoded at all, faults or not, so that the
/// faults of the whole can be found at once.
#[must_use]
pub fn load(file: &Path, environment: &Environment) -> (Option<Sources>, Vec<ConfigFault>) {
    let mut faults = Vec::new();
    let Some(gateway) = read::<GatewayConfig>(file, environment, &mut faults) else {
        return (None, faults);
    };
    let base = file.parent().unwrap_or(Path::new("."));
    let mut kept = Kept::new(base, environment);
    kept.fetch(&gateway, &mut faults);
    let found = pool_files(&gateway, base, &mut faults);
    let pools_were_read = found.is_some();
    let (pools, broken_pools) = read_pools(found.unwrap_or_default(), environment, &mut faults);
    let addresses = addresses(&pools, &mut faults);
    (
        Some(Sources {
            base: base.to_owned(),
            gateway,
            pools,
            pools_were_read,
            broken_pools,
            secrets: kept.secrets,
            urls: kept.urls,
            files: kept.files,
            warnings: kept.warnings,
            addresses,
        }),
        faults,
    )
}

fn read<T: serde::de::DeserializeOwned>(
    file: &Path,
    environment: &Environment,
    faults: &mut Vec<ConfigFault>,
) -> Option<Source<T>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            faults.push(ConfigFault::of_file(file, format!("cannot be read: {error}")));
            return None;
        }
    };
    let mut document = match Document::parse(file, &text) {
        Ok(document) => document,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    document.expand(environment);
    let (value, found) = document.decode();
    faults.extend(found);
    Some(Source { value: value?, document })
}

/// The files in the folder of the pools; `None` when it cannot be read.
fn pool_files(
    gateway: &Source<GatewayConfig>,
    base: &Path,
    faults: &mut Vec<ConfigFault>,
) -> Option<Vec<PathBuf>> {
    let folder = plain(&base.join(&gateway.value.upstreams_dir));
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) => {
            let problem = format!("cannot read the folder {}: {error}", folder.display());
            gateway.report(faults, "upstreams_dir", problem);
            return None;
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml"))
        .collect();
    files.sort();
    if files.len() > POOL_FILES_MAX {
        let problem = format!("holds {} files; at most {POOL_FILES_MAX} are read", files.len());
        gateway.report(faults, "upstreams_dir", problem);
        files.truncate(POOL_FILES_MAX);
    }
    Some(files)
}

/// The path without its `folder/..`, as a person would write it.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        let is_up = part == Component::ParentDir;
        if !(is_up && matches!(plain.components().next_back(), Some(Component::Normal(_)))) {
            plain.push(part);
        } else {
            plain.pop();
        }
    }
    plain
}

/// The pools by name, and the names of those that cannot be read.
fn read_pools(
    files: Vec<PathBuf>,
    environment: &Environment,
    faults: &mut Vec<ConfigFault>,
) -> (BTreeMap<String, Source<PoolConfig>>, Vec<String>) {
    let mut pools = BTreeMap::new();
    let mut broken = Vec::new();
    for file in files {
        let Some(name) = file.file_stem().and_then(|stem| stem.to_str()) else { continue };
        match read(&file, environment, faults) {
            Some(source) => {
                pools.insert(name.to_owned(), source);
            }
            None => broken.push(name.to_owned()),
        }
    }
    (pools, broken)
}

fn addresses(
    pools: &BTreeMap<String, Source<PoolConfig>>,
    faults: &mut Vec<ConfigFault>,
) -> BTreeMap<(String, usize), SocketAddr> {
    let mut addresses = BTreeMap::new();
    for (name, source) in pools {
        for (index, peer) in source.value.peers.iter().enumerate() {
            let found = peer.address.socket_address().or_else(|| {
                (peer.address.host(), peer.address.port()).to_socket_addrs().ok()?.next()
            });
            match found {
                Some(address) => {
                    addresses.insert((name.clone(), index), address);
                }
                None => {
                    let problem = format!("the host \"{}\" does not resolve", peer.address.host());
                    source.report(faults, &format!("peers[{index}].address"), problem);
                }
            }
        }
    }
    addresses
}

fn check_certificates(sources: &Sources, snapshot: &Snapshot, faults: &mut Vec<ConfigFault>) {
    for (index, listener) in snapshot.restart.listeners.iter().enumerate() {
        let Some(files) = &listener.tls else { continue };
        if let Err(error) = tls::check(&files.certificate, &files.key) {
            let path = format!("listeners[{index}].tls");
            sources.gateway.report(faults, &path, error.to_string());
        }
    }
}

/// What only whoever opens it can tell of an address.
fn check_storage(sources: &Sources, snapshot: &Snapshot, faults: &mut Vec<ConfigFault>) {
    let storage = &snapshot.restart.storage;
    if let Some(Err(error)) = storage.redis.as_ref().map(open::connection) {
        // Where there is no position to give, as in a start, the error names its key by itself.
        let said = error.to_string();
        let (key, problem) = said.split_once(": ").unwrap_or(("state.redis", &said));
        sources.gateway.report(faults, key, problem);
    }
    if storage.mysql.as_ref().is_some_and(|mysql| !mysql.url.starts_with("mysql://")) {
        let problem = "the address does not begin with mysql://; write \
                       mysql://user:password@host:3306/database";
        sources.gateway.report(faults, "auth.api_keys.mysql.url", problem);
    }
}
