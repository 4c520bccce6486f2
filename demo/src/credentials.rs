//! Who may call the demo's gateway, and where is that written down?

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use harness::{HmacClient, unix_now};
use rand::RngCore;
use rand::rngs::OsRng;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::options::{Ports, loopback};

/// Random bytes of each secret.
const SECRET_BYTES: usize = 32;

/// How long the tokens hold.
const TOKEN_SECONDS: i64 = 12 * 3600;

/// The client id of the signed requests, as in demo/conf/gateway.yaml.
const HMAC_CLIENT_ID: &str = "nextcloud-demo";

/// The secrets of one run.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// The API key.
    pub(crate) api_key: String,
    /// The key that signs tokens.
    pub(crate) jwt_secret: String,
    /// The client that signs its requests.
    pub(crate) hmac: HmacClient,
}

impl Credentials {
    /// Secrets that no other run has.
    pub(crate) fn generate() -> Self {
        Self {
            api_key: format!("fg_{}", URL_SAFE_NO_PAD.encode(random())),
            jwt_secret: hex::encode(random()),
            hmac: HmacClient::new(HMAC_CLIENT_ID, random()),
        }
    }

    /// What the gateway stores of the API key.
    pub(crate) fn api_key_sha256(&self) -> String {
        hex::encode(Sha256::digest(&self.api_key))
    }

    /// A token of this user.
    pub(crate) fn token(&self, user: &str) -> String {
        let now = unix_now();
        let claims = json!({
            "iss": "farm-intelligence-platform",
            "aud": "nextcloud",
            "token_type": "access",
            "sub": user,
            "scope": "read",
            "iat": now,
            "exp": now + TOKEN_SECONDS,
        });
        harness::jwt(&self.jwt_secret, &claims)
    }

    /// `KEY=value` lines that a shell can `source`: no value holds a character that it would read.
    pub(crate) fn environment(&self, ports: &Ports) -> String {
        let lines = [
            ("FARMGATE_URL", format!("http://{}", loopback(ports.gateway))),
            ("FARMGATE_ADMIN_URL", format!("http://{}", loopback(ports.admin))),
            ("API_KEY", self.api_key.clone()),
            ("JWT", self.token("demo-user")),
            ("HMAC_CLIENT_ID", self.hmac.id().to_owned()),
            ("HMAC_SECRET_BASE64", self.hmac.secret_base64()),
        ];
        lines.map(|(name, value)| format!("{name}={value}\n")).concat()
    }
}

fn random() -> [u8; SECRET_BYTES] {
    let mut bytes = [0; SECRET_BYTES];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports { gateway: 8080, admin: 9180, weather: 1, ndvi: 2, replay: 3 };

    #[test]
    fn every_line_can_be_sourced_by_a_shell() {
        let text = Credentials::generate().environment(&PORTS);
        let names: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).collect();
        assert_eq!(names.len(), 6);
        assert!(text.starts_with("FARMGATE_URL=http://127.0.0.1:8080\n"));
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/+=".contains(c);
        for (name, value) in names {
            assert!(!value.is_empty() && value.chars().all(plain), "{name}={value}");
        }
    }

    #[test]
    fn two_runs_share_no_secret() {
        let (one, other) = (Credentials::generate(), Credentials::generate());
        assert_ne!(one.api_key, other.api_key);
        assert_ne!(one.jwt_secret, other.jwt_secret);
        assert_ne!(one.hmac.secret_base64(), other.hmac.secret_base64());
    }
}
