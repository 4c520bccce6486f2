//! What do the operator's tables hold, and who asks for tokens?
//!
//! A private MariaDB with the two tables that are read, as Django's migrations make them, and keys
//! that were hashed with as many rounds as the operator's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::{HmacClient, MariaDb, nonce, unix_now};
use pbkdf2::pbkdf2_hmac_array;
use pbkdf2::sha2::Sha256;

use crate::client::head;

/// Rounds of each hash, as in the operator's tables.
pub(crate) const ITERATIONS: u32 = 1_000_000;

/// The path that issues tokens.
pub(crate) const TOKEN_PATH: &str = "/api/v1/integrations/token/";

/// What stands before each key when it is hashed.
pub(crate) const PEPPER: &str = "only-for-measuring";

/// Signs the tokens of the run; it is used nowhere else.
pub(crate) const JWT_SECRET: &str = "only-for-measuring-on-loopback-0000";

/// Who issues them.
pub(crate) const ISSUER: &str = "bench";

/// For whom they are.
pub(crate) const AUDIENCE: &str = "nextcloud";

/// The user that owns the keys.
pub(crate) const USER: &str = "1";

const SALT: &str = "Zx81pQmN4vT7bLkR2cWs9H";
const CLIENT_SECRET: &str = "only-for-measuring-on-loopback-1111";

/// Who signs, in turns: each of them stays far below the largest quota that can be counted exactly.
const CLIENT_IDS: [&str; 8] = [
    "nextcloud-0",
    "nextcloud-1",
    "nextcloud-2",
    "nextcloud-3",
    "nextcloud-4",
    "nextcloud-5",
    "nextcloud-6",
    "nextcloud-7",
];

/// The client of this id, if there is one.
pub(crate) fn signer(id: &str) -> Option<HmacClient> {
    let id = CLIENT_IDS.into_iter().find(|known| *known == id)?;
    Some(HmacClient::new(id, CLIENT_SECRET))
}

/// The client whose turn it is.
fn next_signer() -> HmacClient {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed) % CLIENT_IDS.len();
    HmacClient::new(CLIENT_IDS.get(turn).copied().unwrap_or_default(), CLIENT_SECRET)
}

/// All clients with their secret, as the operator's environment has them.
pub(crate) fn clients_json() -> String {
    let all = CLIENT_IDS.map(|id| (id, STANDARD.encode(CLIENT_SECRET)));
    serde_json::json!(all.into_iter().collect::<BTreeMap<_, _>>()).to_string()
}

/// The tables, with a row for each key.
pub(crate) struct Farm {
    database: MariaDb,
    issued: u32,
}

impl Farm {
    /// Starts a server with empty tables.
    pub(crate) async fn start() -> Self {
        let database = MariaDb::start().await;
        database.run(include_str!("../../data/tables.sql")).await;
        Self { database, issued: 0 }
    }

    /// The address of the database.
    pub(crate) fn url(&self) -> String {
        self.database.url()
    }

    /// New keys, which nobody has seen before.
    pub(crate) async fn issue(&mut self, count: usize) -> Vec<Key> {
        let mut keys = Vec::with_capacity(count);
        for _ in 0..count {
            self.issued += 1;
            let key = Key::numbered(self.issued);
            self.database.run(&key.row(self.issued)).await;
            keys.push(key);
        }
        keys
    }
}

/// A key in plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// Keys of one run differ in the part that stands in no column, but for the last four.
    fn numbered(number: u32) -> Self {
        Self(format!("wk_live_{number:04}{}{number:04}", "k".repeat(35)))
    }

    /// A key that nobody has, with the prefix and the ending of this one.
    pub(crate) fn wrong(&self, number: u32) -> Self {
        let (prefix, last4) = self.ends();
        Self(format!("{prefix}{number:035}{last4}"))
    }

    /// What the tables are asked for: its first twelve and last four characters.
    fn ends(&self) -> (&str, &str) {
        ends(&self.0)
    }

    /// A request for a token, signed now with a fresh nonce, from this address behind the proxy.
    pub(crate) fn mint(&self, server: SocketAddr, from: Option<&str>) -> Vec<u8> {
        let signature = next_signer().sign(&harness::Message {
            method: "POST",
            path: TOKEN_PATH,
            query: "",
            timestamp: unix_now(),
            nonce: &nonce(),
            body: b"",
        });
        let mut fields = vec![("X-API-Key".to_owned(), self.0.clone())];
        fields.extend(signature.headers());
        fields.extend(from.map(|from| ("X-Forwarded-For".to_owned(), from.to_owned())));
        head("POST", TOKEN_PATH, server, &fields)
    }

    fn row(&self, number: u32) -> String {
        let (prefix, last4) = self.ends();
        let hash = hash(&self.0);
        format!(
            "INSERT INTO api_keys_apikey VALUES ('{number:032x}', 'bench', '{hash}', '{prefix}', \
             '{last4}', 'read', UTC_TIMESTAMP(6), NULL, NULL, NULL, {USER});"
        )
    }
}

/// The first twelve and the last four characters of a key.
pub(crate) fn ends(key: &str) -> (&str, &str) {
    let prefix = key.get(..12).unwrap_or_default();
    let last4 = key.len().checked_sub(4).and_then(|start| key.get(start..)).unwrap_or_default();
    (prefix, last4)
}

/// The slow hash of a key, as Django writes it.
pub(crate) fn hash(key: &str) -> String {
    let peppered = format!("{PEPPER}:{key}");
    let digest: [u8; 32] =
        pbkdf2_hmac_array::<Sha256, 32>(peppered.as_bytes(), SALT.as_bytes(), ITERATIONS);
    format!("pbkdf2_sha256${ITERATIONS}${SALT}${}", STANDARD.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_key_has_the_ends_of_the_right_one() {
        let key = Key::numbered(7);
        let wrong = key.wrong(1);
        assert_eq!((key.0.len(), wrong.0.len()), (51, 51));
        assert_eq!(key.ends(), wrong.ends());
        assert_ne!(key, wrong);
        assert_ne!(wrong, key.wrong(2));
    }
}
