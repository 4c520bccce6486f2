//! Where does a configuration keep what commands change while the gateway runs?

use std::path::PathBuf;

use super::cache::Desk;
use super::tokens::Places;
use crate::config::{ConfigFault, Environment};
use crate::reload;
use crate::snapshot::{self, StorageRule};
use crate::state::open::{self, OpenError};

/// Why a command does not know where to work.
#[derive(Debug, thiserror::Error)]
pub(super) enum NowhereError {
    /// The configuration cannot be read that far.
    #[error("the configuration has {} fault(s)", .0.len())]
    Config(Vec<ConfigFault>),
    /// There is no folder.
    #[error("the configuration keeps nothing on this machine; add `state: {{dir: ../var}}`")]
    NoFolder,
    /// Nobody may ask the admin listener about the cache.
    #[error(
        "the configuration has no `admin.token`; add `token: env:ADMIN_TOKEN` to `admin`, and reload"
    )]
    NoToken,
    /// What is configured cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// The key store of a configuration.
pub(super) struct Store {
    /// Its file.
    pub(super) file: PathBuf,
    /// Whether a gateway of this configuration reads it.
    pub(super) is_read: bool,
}

/// The key store; its folder is made where it is not there yet.
///
/// # Errors
///
/// Why there is none.
pub(super) fn key_store(
    config: &std::path::Path,
    environment: &Environment,
) -> Result<Store, NowhereError> {
    let (storage, is_read) = storage(config, environment)?;
    let dir = storage.dir.as_ref().ok_or(NowhereError::NoFolder)?;
    open::make_folder(dir)?;
    let file = open::key_store_file(&storage).ok_or(NowhereError::NoFolder)?;
    Ok(Store { file, is_read })
}

/// The places of revocations.
///
/// # Errors
///
/// Why they are not known.
pub(super) fn revocations(
    config: &std::path::Path,
    environment: &Environment,
) -> Result<Places, NowhereError> {
    let (storage, _) = storage(config, environment)?;
    if let Some(dir) = &storage.dir {
        open::make_folder(dir)?;
    }
    let redis = storage.redis.as_ref().map(open::redis_rules).transpose()?;
    Ok(Places { file: open::revocations_file(&storage), redis })
}

/// The admin listener of a configuration, and the token that it asks for. What else is wrong does
/// not matter here.
///
/// # Errors
///
/// Why it is not known.
pub(super) fn desk(
    config: &std::path::Path,
    environment: &Environment,
) -> Result<Desk, NowhereError> {
    let (sources, faults) = reload::load(config, environment);
    let Some(mut sources) = sources else { return Err(NowhereError::Config(faults)) };
    let about_admin: Vec<ConfigFault> =
        faults.into_iter().filter(|fault| fault.path.starts_with("admin")).collect();
    if !about_admin.is_empty() {
        return Err(NowhereError::Config(about_admin));
    }
    let token = sources.secrets.remove("admin.token").ok_or(NowhereError::NoToken)?;
    Ok(Desk { address: sources.gateway.value.admin.address.socket_address(), token })
}

/// The storage that a configuration names, and whether its key store is read, as far as the faults
/// let it be known. What else is wrong does not matter here: a key can be revoked while a route has
/// a fault.
fn storage(
    config: &std::path::Path,
    environment: &Environment,
) -> Result<(StorageRule, bool), NowhereError> {
    let (sources, faults) = reload::load(config, environment);
    let Some(sources) = sources else { return Err(NowhereError::Config(faults)) };
    let about_state: Vec<ConfigFault> =
        faults.into_iter().filter(|fault| fault.path.starts_with("state")).collect();
    if about_state.is_empty() {
        let storage = snapshot::storage_of(&sources);
        let is_known = sources.gateway.document.is_whole("auth.api_keys");
        let is_read = storage.has_key_store || !is_known;
        Ok((storage, is_read))
    } else {
        Err(NowhereError::Config(about_state))
    }
}
