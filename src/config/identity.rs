//! What `auth` in `conf/gateway.yaml` says: the credentials that exist, and those that the gateway
//! makes itself.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::scalar::{Moment, Period, SecretRef, UrlRef, text_or_mapping};

/// The credentials that exist.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// The issuers of bearer tokens; several are told apart by their `iss`.
    pub jwt: Vec<JwtConfig>,
    /// Most verified tokens remembered, so that a hot client costs no signature. Changing it needs
    /// a restart.
    pub tokens_remembered_max: usize,
    /// API keys.
    pub api_keys: ApiKeysConfig,
    /// Nextcloud's signed requests.
    pub hmac: Option<HmacConfig>,
    /// The tokens that the `token` endpoint issues.
    pub token: Option<TokenConfig>,
    /// The tokens that services get in place of the client's credentials.
    pub internal: Option<InternalConfig>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            jwt: Vec::new(),
            tokens_remembered_max: 10_000,
            api_keys: ApiKeysConfig::default(),
            hmac: None,
            token: None,
            internal: None,
        }
    }
}

/// One issuer of bearer tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtConfig {
    /// Required `iss`; may be left out where there is one issuer, and then means any.
    pub issuer: Option<String>,
    /// Required `aud`; absent means any.
    pub audience: Option<String>,
    /// The algorithms that its tokens may have; nothing in a token can add to them.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<AlgorithmConfig>,
    /// Secrets for HS256 to HS512, else public keys as PEM, JWK or a set of JWKs. Several during a
    /// rotation.
    #[serde(default)]
    pub keys: Vec<SecretRef>,
    /// Where the issuer publishes its public keys.
    pub jwks: Option<JwksConfig>,
    /// Tolerated difference of clocks.
    #[serde(default = "Period::zero", deserialize_with = "Period::or_zero")]
    pub leeway: Period,
    /// Required `token_type`; absent means any.
    pub token_type: Option<String>,
    /// Whether a token must carry a `jti`.
    #[serde(default)]
    pub jti_required: bool,
    /// Further claims that a token must carry.
    #[serde(default)]
    pub required_claims: Vec<String>,
}

/// A signature algorithm of tokens (RFC 7518, section 3.1; RFC 8037).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum AlgorithmConfig {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

/// A set of public keys behind a URL (RFC 7517).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwksConfig {
    /// `https://…`; plain `http://` only to this machine.
    pub url: String,
    /// How often it is fetched in the background.
    #[serde(default = "default_jwks_refresh")]
    pub refresh: Period,
    /// How long an unknown `kid` causes no further fetch.
    #[serde(default = "default_jwks_cooldown")]
    pub cooldown: Period,
    /// How long one fetch may take.
    #[serde(default = "default_jwks_timeout")]
    pub timeout: Period,
    /// PEM file with further authorities that may vouch for the host, relative to this file's
    /// folder.
    pub ca_file: Option<PathBuf>,
}

/// API keys: those listed here, those of the store, and those of the operator's database.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiKeysConfig {
    /// Keys by their SHA-256.
    pub keys: Vec<ApiKeyConfig>,
    /// Whether the keys of `farmgate keys` are accepted; they are kept in `state.dir`.
    pub store: bool,
    /// The operator's existing keys, read only.
    pub mysql: Option<MysqlKeysConfig>,
}

impl ApiKeysConfig {
    /// Whether there is any key at all to accept.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.keys.is_empty() || self.store || self.mysql.is_some()
    }
}

/// One API key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyConfig {
    /// Name of the key, in logs and quotas.
    pub id: String,
    /// SHA-256 of the key, 64 hex digits: `printf %s "$KEY" | sha256sum`.
    pub sha256: String,
    /// The user that the key acts for; absent means the key's id.
    pub user: Option<String>,
    /// What the key may do.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// From when on the key is refused.
    pub expires_at: Option<Moment>,
    /// Whether the key is refused from now on.
    #[serde(default)]
    pub revoked: bool,
}

/// The tables of the Django gateway, with its slow hashes (`api_keys_apikey`, `auth_user`).
/// Changing it needs a restart.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct MysqlKeysConfig {
    /// `mysql://user:password@host:3306/database`, best as `env:NAME` or `file:PATH`.
    pub url: UrlRef,
    /// Django's `DJANGO_API_KEY_PEPPER`.
    pub pepper: SecretRef,
    /// How long one query may take.
    #[serde(default = "default_query_timeout")]
    pub timeout: Period,
    /// Most connections.
    #[serde(default = "default_connections_max")]
    pub connections_max: u32,
    /// How long a verified key is remembered; longer than the interval at which clients fetch
    /// tokens.
    #[serde(default = "default_remember")]
    pub remember: Period,
    /// How often the rows of remembered keys are read again: how soon a revocation takes effect.
    #[serde(default = "default_recheck")]
    pub recheck: Period,
    /// Threads that compute hashes.
    #[serde(default = "default_hash_threads")]
    pub hash_threads: usize,
    /// Most keys that wait for a thread; beyond it the answer is 503. Addresses take turns, and the
    /// one with most keys waiting makes room for one with fewer.
    #[serde(default = "default_hash_queue_max")]
    pub hash_queue_max: usize,
}

/// How signed requests are verified.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HmacConfig {
    /// Largest difference of clocks, both ways, inclusive.
    #[serde(default = "default_skew")]
    pub skew: Period,
    /// How long a nonce is remembered; never less than twice the skew.
    #[serde(default = "default_nonce_ttl")]
    pub nonce_ttl: Period,
    /// Most nonces remembered at once; when full, signed requests are refused.
    #[serde(default = "default_nonces_max")]
    pub nonces_max: usize,
    /// The operator's map as JSON, `{"<client id>": "<base64 secret>"}`.
    pub clients_json: Option<SecretRef>,
    /// Who signs.
    #[serde(default)]
    pub clients: Vec<HmacClientConfig>,
}

/// One signing client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HmacClientConfig {
    /// The client id that it sends.
    pub id: String,
    /// Its secrets, each standard base64 inside; several during a rotation.
    pub secrets: Vec<HmacSecretConfig>,
    /// What the client may do.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// One secret of a client: its place alone, or with the time in which it holds.
#[derive(Clone, Debug)]
pub struct HmacSecretConfig {
    /// Where it is.
    pub secret: SecretRef,
    /// From when on it holds.
    pub from: Option<Moment>,
    /// Until when it holds.
    pub until: Option<Moment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HmacSecretMapping {
    secret: SecretRef,
    from: Option<Moment>,
    until: Option<Moment>,
}

impl<'de> Deserialize<'de> for HmacSecretConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_mapping(
            deserializer,
            "a secret as env:NAME or file:PATH, or a mapping with `secret`, `from` and `until`",
            |text| Ok(Self { secret: text.parse()?, from: None, until: None }),
            |HmacSecretMapping { secret, from, until }| Self { secret, from, until },
        )
    }
}

/// The tokens that the `token` endpoint issues.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Which issuer of `jwt` the gateway speaks for; its first secret signs.
    pub issuer: String,
    /// How long a token holds.
    #[serde(default = "default_token_lifetime")]
    pub lifetime: Period,
}

/// The tokens that services get in place of the client's credentials (HS256).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InternalConfig {
    /// The signing key that the services know.
    pub secret: SecretRef,
    /// Their `iss`.
    pub issuer: String,
    /// Their `aud`.
    pub audience: String,
    /// How long a token holds.
    #[serde(default = "default_internal_lifetime")]
    pub lifetime: Period,
}

fn default_algorithms() -> Vec<AlgorithmConfig> {
    vec![AlgorithmConfig::HS256]
}

fn default_jwks_refresh() -> Period {
    seconds(600)
}

fn default_jwks_cooldown() -> Period {
    seconds(30)
}

fn default_jwks_timeout() -> Period {
    seconds(5)
}

fn default_query_timeout() -> Period {
    seconds(2)
}

fn default_connections_max() -> u32 {
    4
}

fn default_remember() -> Period {
    seconds(600)
}

fn default_recheck() -> Period {
    seconds(5)
}

fn default_hash_threads() -> usize {
    1
}

fn default_hash_queue_max() -> usize {
    64
}

fn default_skew() -> Period {
    seconds(300)
}

fn default_nonce_ttl() -> Period {
    seconds(660)
}

fn default_nonces_max() -> usize {
    200_000
}

fn default_token_lifetime() -> Period {
    seconds(300)
}

fn default_internal_lifetime() -> Period {
    seconds(60)
}

fn seconds(seconds: u64) -> Period {
    Period::from(Duration::from_secs(seconds))
}
