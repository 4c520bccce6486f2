//! What does the configuration keep elsewhere: secrets, and URLs that may hold one?

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::config::gateway::GatewayConfig;
use crate::config::scalar::{Secret, SecretRef, UrlRef};
use crate::config::sources::Source;
use crate::config::{ConfigFault, Environment};
use crate::tls;

/// Where the operator's clients once stood.
const LEGACY_CLIENTS: &str = "NEXTCLOUD_HMAC_CLIENTS_JSON";

/// The longest of the further files: a bundle of certificates.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What was fetched, by the path of its reference.
pub(super) struct Kept<'a> {
    /// The folder that relative paths start at.
    base: &'a Path,
    /// Variables.
    environment: &'a Environment,
    /// Secrets.
    pub(super) secrets: BTreeMap<String, Secret>,
    /// URLs.
    pub(super) urls: BTreeMap<String, String>,
    /// Further files.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// What could not be fetched and does not keep the rest from serving.
    pub(super) warnings: Vec<ConfigFault>,
}

impl<'a> Kept<'a> {
    /// Nothing yet.
    pub(super) fn new(base: &'a Path, environment: &'a Environment) -> Self {
        let (secrets, urls, files) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { base, environment, secrets, urls, files, warnings: Vec::new() }
    }

    /// Fetches everything that the configuration refers to. The secret of one signing client may be
    /// missing: that client cannot sign, and the others go on.
    pub(super) fn fetch(&mut self, gateway: &Source<GatewayConfig>, faults: &mut Vec<ConfigFault>) {
        let auth = &gateway.value.auth;
        for (index, issuer) in auth.jwt.iter().enumerate() {
            for (number, key) in issuer.keys.iter().enumerate() {
                let path = format!("auth.jwt[{index}].keys[{number}]");
                self.secret(gateway, path, key, faults);
            }
            if let Some(file) = issuer.jwks.as_ref().and_then(|jwks| jwks.ca_file.as_ref()) {
                self.authorities(gateway, format!("auth.jwt[{index}].jwks.ca_file"), file, faults);
            }
        }
        if let Some(token) = &gateway.value.admin.token {
            self.secret(gateway, "admin.token".into(), token, faults);
        }
        if let Some(internal) = &auth.internal {
            self.secret(gateway, "auth.internal.secret".into(), &internal.secret, faults);
        }
        if let Some(mysql) = &auth.api_keys.mysql {
            self.secret(gateway, "auth.api_keys.mysql.pepper".into(), &mysql.pepper, faults);
            self.url(gateway, "auth.api_keys.mysql.url", &mysql.url, faults);
        }
        if let Some(redis) = &gateway.value.state.redis {
            self.url(gateway, "state.redis.url", &redis.url, faults);
            if let Some(file) = &redis.ca_file {
                self.authorities(gateway, "state.redis.ca_file".into(), file, faults);
            }
        }
        let mut warnings = Vec::new();
        for (index, client) in auth.hmac.iter().flat_map(|hmac| &hmac.clients).enumerate() {
            for (number, secret) in client.secrets.iter().enumerate() {
                let path = format!("auth.hmac.clients[{index}].secrets[{number}]");
                self.secret(gateway, path, &secret.secret, &mut warnings);
            }
        }
        self.warnings.extend(warnings);
        self.warn_of_legacy(gateway);
        for (index, route) in gateway.value.routes.iter().enumerate() {
            let points = route.prewarm.as_ref().and_then(|prewarm| prewarm.points.as_ref());
            if let Some(file) = points.and_then(|points| points.file.as_ref()) {
                let path = format!("routes[{index}].prewarm.points.file");
                self.file(gateway, path, file, faults);
            }
        }
        if let Some(map) = auth.hmac.as_ref().and_then(|hmac| hmac.clients_json.as_ref()) {
            self.secret(gateway, "auth.hmac.clients_json".into(), map, faults);
        }
    }

    /// The operator's system once read its clients from another variable, and refuses every signed
    /// request as long as that is set.
    fn warn_of_legacy(&mut self, gateway: &Source<GatewayConfig>) {
        if gateway.value.auth.hmac.is_some() && self.environment.get(LEGACY_CLIENTS).is_some() {
            let problem = format!(
                "the environment variable {LEGACY_CLIENTS} is not read any more; move its clients \
                 to where `clients_json` points, and remove it"
            );
            gateway.report(&mut self.warnings, "auth.hmac", problem);
        }
    }

    fn secret(
        &mut self,
        gateway: &Source<GatewayConfig>,
        path: String,
        reference: &SecretRef,
        faults: &mut Vec<ConfigFault>,
    ) {
        match reference.resolve(self.base, self.environment) {
            Ok(secret) => {
                self.secrets.insert(path, secret);
            }
            Err(problem) => gateway.report(faults, &path, problem),
        }
    }

    fn url(
        &mut self,
        gateway: &Source<GatewayConfig>,
        path: &str,
        reference: &UrlRef,
        faults: &mut Vec<ConfigFault>,
    ) {
        match reference.resolve(self.base, self.environment) {
            Ok(url) => {
                self.urls.insert(path.to_owned(), url);
            }
            Err(problem) => gateway.report(faults, path, problem),
        }
    }

    /// Reads a file of the authorities that may vouch for a server. One that names none would make
    /// every connection fail, much later.
    fn authorities(
        &mut self,
        gateway: &Source<GatewayConfig>,
        path: String,
        file: &Path,
        faults: &mut Vec<ConfigFault>,
    ) {
        self.file(gateway, path.clone(), file, faults);
        let Some(bytes) = self.files.get(&path) else { return };
        if let Err(error) = tls::check_authorities(bytes) {
            let shown = self.base.join(file);
            gateway.report(faults, &path, format!("{} {error}", shown.display()));
            self.files.remove(&path);
        }
    }

    fn file(
        &mut self,
        gateway: &Source<GatewayConfig>,
        path: String,
        file: &Path,
        faults: &mut Vec<ConfigFault>,
    ) {
        let file = self.base.join(file);
        let mut bytes = Vec::new();
        let read = File::open(&file)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
        let shown = file.display();
        match read {
            Ok(length) if length as u64 > FILE_BYTES_MAX => {
                let problem = format!("{shown} has more than {FILE_BYTES_MAX} bytes; shorten it");
                gateway.report(faults, &path, problem);
            }
            Ok(_) => drop(self.files.insert(path, bytes)),
            Err(error) => gateway.report(faults, &path, format!("cannot read {shown}: {error}")),
        }
    }
}
