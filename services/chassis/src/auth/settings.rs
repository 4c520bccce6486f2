//! Which credentials did the operator name?
//!
//! The names are those that the operator's environment already has. `INTERNAL_TOKEN_…` are the
//! gateway's `auth.internal`.

use std::fmt;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use apikey::hash::Pepper;

use crate::settings::{Secret, Settings};

/// Variables that begin so are read here, so that one nobody reads is a mistake.
pub const PREFIXES: [&str; 4] = ["API_KEY_", "AUTH_", "INTERNAL_TOKEN_", "JWT_"];

/// The shortest secret for HS256, in bytes: as long as the hash (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// What probes and scrapes ask for.
const BYPASS_PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The value of `AUTH_BYPASS_PATHS` for no path at all.
const BYPASS_NONE: &str = "none";

/// Names that an environment file shared with other programs may hold.
const WITHOUT_EFFECT: [(&str, &str); 3] = [
    ("API_KEY_AUTH_CACHE_ALIAS", "keys are remembered in this process"),
    ("API_KEY_AUTH_LOG_SUCCESS", "every request has a log line with its client_id"),
    ("API_KEY_THROTTLE_RATE", "the gateway limits how often a key may call"),
];

/// What callers are asked for.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// Whether nobody is asked for anything (`AUTH_DISABLED`).
    pub is_disabled: bool,
    /// Exact paths that need no credential (`AUTH_BYPASS_PATHS`).
    pub bypass_paths: Vec<String>,
    /// The gateway's own tokens (`INTERNAL_TOKEN_{SECRET,ISSUER,AUDIENCE}`).
    pub internal: Option<TokenSettings>,
    /// Users' tokens that the gateway passes through (`JWT_{SIGNING_KEY,ISSUER,AUDIENCE}`).
    pub bearer: Option<TokenSettings>,
    /// API keys that the gateway passes through.
    pub api_keys: Option<ApiKeySettings>,
}

/// Whose tokens are believed.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// What signs them, by HS256.
    pub secret: Secret,
    /// Their `iss`.
    pub issuer: String,
    /// Their `aud`.
    pub audience: String,
}

/// Where API keys are looked up, and what they may cost.
#[derive(Clone)]
pub struct ApiKeySettings {
    /// The operator's MySQL (`API_KEY_DATABASE_URL`); holds a password.
    pub database_url: String,
    /// What stands before each key when it is hashed (`API_KEY_PEPPER`).
    pub pepper: Pepper,
    /// How long an answer of the tables is relied on (`API_KEY_AUTH_CACHE_TTL_SECONDS`).
    pub kept: Duration,
    /// Keys remembered (`API_KEY_AUTH_CACHE_ENTRIES_MAX`).
    pub entries_max: NonZeroUsize,
    /// Slow hashes computed at once (`API_KEY_HASHES_MAX`).
    pub hashes_max: NonZeroUsize,
    /// Slow hashes that may wait (`API_KEY_HASH_QUEUE_MAX`).
    pub hash_queue_max: usize,
    /// Connections to the database (`API_KEY_DATABASE_CONNECTIONS_MAX`).
    pub connections_max: u32,
    /// Longest wait for a connection, and then for an answer (`API_KEY_DATABASE_TIMEOUT_MS`).
    pub timeout: Duration,
}

impl fmt::Debug for ApiKeySettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ApiKeySettings").field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl AuthSettings {
    /// Reads the settings; see the fields for the names.
    pub fn read(env: &mut Settings) -> Self {
        let is_disabled = env.flag("AUTH_DISABLED", false);
        for (name, why) in WITHOUT_EFFECT {
            env.without_effect(name, why);
        }
        Self {
            is_disabled,
            bypass_paths: bypass_paths(env),
            internal: internal(env),
            bearer: bearer(env),
            api_keys: api_keys(env, is_disabled),
        }
    }

    /// Whether there is anything to verify a credential with.
    #[must_use]
    pub fn has_verifier(&self) -> bool {
        self.internal.is_some() || self.bearer.is_some() || self.api_keys.is_some()
    }
}

fn bypass_paths(env: &mut Settings) -> Vec<String> {
    let default = BYPASS_PATHS.map(str::to_owned).to_vec();
    let wanted = "exact paths with commas between, such as /healthz,/metrics, or none";
    env.parsed("AUTH_BYPASS_PATHS", default, wanted, |text| {
        if text == BYPASS_NONE {
            return Some(Vec::new());
        }
        let paths: Vec<String> = text.split(',').map(|path| path.trim().to_owned()).collect();
        paths.iter().all(|path| path.starts_with('/')).then_some(paths)
    })
}

fn internal(env: &mut Settings) -> Option<TokenSettings> {
    let secret = env.secret(&["INTERNAL_TOKEN_SECRET"], SECRET_BYTES_MIN);
    let issuer = env.text("INTERNAL_TOKEN_ISSUER", "farmgate");
    let audience = env.text("INTERNAL_TOKEN_AUDIENCE", "services");
    Some(TokenSettings { secret: secret?, issuer, audience })
}

fn bearer(env: &mut Settings) -> Option<TokenSettings> {
    let secret = env.secret(&["JWT_SIGNING_KEY", "DJANGO_SECRET_KEY"], SECRET_BYTES_MIN);
    let issuer = env.first_text(&["JWT_ISSUER", "SIMPLE_JWT_ISSUER"]);
    let audience = env.first_text(&["JWT_AUDIENCE", "SIMPLE_JWT_AUDIENCE"]);
    Some(TokenSettings {
        secret: secret?,
        issuer: issuer.unwrap_or_else(|| "farm-intelligence-platform".to_owned()),
        audience: audience.unwrap_or_else(|| "nextcloud".to_owned()),
    })
}

fn api_keys(env: &mut Settings, is_disabled: bool) -> Option<ApiKeySettings> {
    let database_url = env.first_text(&["API_KEY_DATABASE_URL", "MYSQL_DATABASE_URL"]);
    let pepper = env.secret(&["API_KEY_PEPPER", "DJANGO_API_KEY_PEPPER"], 1);
    let processors = available_parallelism().map_or(1, NonZeroUsize::get);
    // The other half is for those who are waiting for answers.
    let hashes_max = (processors / 2).max(1);
    let kept = env.duration_s("API_KEY_AUTH_CACHE_TTL_SECONDS", 60, 0..=86_400);
    let entries_max = env.count("API_KEY_AUTH_CACHE_ENTRIES_MAX", 10_000, 1_000_000);
    let hashes_max = env.count("API_KEY_HASHES_MAX", hashes_max, 64);
    let hash_queue_max = env.number("API_KEY_HASH_QUEUE_MAX", 64, 0..=10_000);
    let connections_max = env.number("API_KEY_DATABASE_CONNECTIONS_MAX", 2, 1..=100);
    let timeout = env.duration_ms("API_KEY_DATABASE_TIMEOUT_MS", 2_000, 10..=60_000);
    if database_url.is_some() && pepper.is_none() && !is_disabled {
        let why = "is not set, but API_KEY_DATABASE_URL or MYSQL_DATABASE_URL is: write what the \
                   keys were hashed with (DJANGO_API_KEY_PEPPER), or remove the address";
        env.refuse("API_KEY_PEPPER", why);
    }
    Some(ApiKeySettings {
        database_url: database_url?,
        pepper: Pepper::new(pepper?.bytes()),
        kept,
        entries_max,
        hashes_max,
        hash_queue_max,
        connections_max,
        timeout,
    })
}

#[cfg(test)]
mod tests;
