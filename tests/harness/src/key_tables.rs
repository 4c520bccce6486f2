//! The operator's tables of API keys, on a MariaDB server of one test's own.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::pbkdf2::{PBKDF2_HMAC_SHA256, derive};

use crate::MariaDb;

/// The columns that are read, as Django's migrations make them.
const SCHEMA: &str = "
CREATE TABLE auth_user (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, username VARCHAR(150) NOT NULL UNIQUE,
    is_active TINYINT(1) NOT NULL);
CREATE TABLE api_keys_apikey (
    id CHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(100) NOT NULL, key_hash VARCHAR(128) NOT NULL,
    prefix VARCHAR(12) NOT NULL, last4 VARCHAR(4) NOT NULL, scope VARCHAR(16) NOT NULL,
    created_at DATETIME(6) NOT NULL, last_used_at DATETIME(6) NULL, expires_at DATETIME(6) NULL,
    revoked_at DATETIME(6) NULL, user_id INT NOT NULL, KEY (prefix, last4));
INSERT INTO auth_user VALUES (1, 'one', 1), (2, 'two', 1), (3, 'gone', 0);
";

const SALT: &str = "Zx81pQmN4vT7bLkR2cWs9H";

/// Rounds of a hash that costs nothing, for where only the number of hashes counts.
const ROUNDS_FEW: u32 = 10;

/// The tables, with the users 1 and 2, who are active, and 3, who is not.
pub struct KeyTables {
    /// The server.
    pub db: MariaDb,
}

impl KeyTables {
    /// What stands before each key when it is hashed.
    pub const PEPPER: &str = "the pepper of the tests";

    /// Starts a server with empty tables.
    ///
    /// # Panics
    /// When the server is not installed or does not start.
    pub async fn start() -> Self {
        let db = MariaDb::start().await;
        db.run(SCHEMA).await;
        Self { db }
    }

    /// The key of this number, which has no row yet; both ends of it are its own.
    pub fn key(number: u32) -> String {
        format!("wk_live_{number:0>4}{}{number:0>4}", "k".repeat(35))
    }

    /// Another key with the same ends.
    pub fn similar(key: &str) -> String {
        format!("{}{}{}", &key[..12], "x".repeat(35), &key[47..])
    }

    /// Issues the key of this number to a user; it may `write`, and its hash costs nothing.
    ///
    /// # Panics
    /// When there is such a row already.
    pub async fn issue(&self, number: u32, user: u32) -> String {
        let (key, mut digest) = (Self::key(number), [0; 32]);
        let (peppered, rounds) = (format!("{}:{key}", Self::PEPPER), ROUNDS_FEW);
        let count = NonZeroU32::new(rounds).unwrap();
        derive(PBKDF2_HMAC_SHA256, count, SALT.as_bytes(), peppered.as_bytes(), &mut digest);
        self.insert(number, user, rounds, &STANDARD.encode(digest)).await;
        key
    }

    /// A row for the key of this number whose hash has so many rounds and belongs to no key: it
    /// costs its time and refuses.
    ///
    /// # Panics
    /// When there is such a row already.
    pub async fn issue_costly(&self, number: u32, rounds: u32) -> String {
        self.insert(number, 1, rounds, &STANDARD.encode([0; 32])).await;
        Self::key(number)
    }

    /// Changes the row of the key of this number, as `revoked_at = UTC_TIMESTAMP(6)`.
    ///
    /// # Panics
    /// When that is no SQL.
    pub async fn update(&self, number: u32, set: &str) {
        let sql = format!("UPDATE api_keys_apikey SET {set} WHERE id = '{number:0>32}'");
        self.db.run(&sql).await;
    }

    /// How many questions about keys are being answered now.
    ///
    /// # Panics
    /// When the server does not say.
    pub async fn questions(&self) -> usize {
        let sql = "SELECT COUNT(*) FROM information_schema.processlist \
                   WHERE user = 'gateway' AND info LIKE 'SELECT%'";
        self.db.run(sql).await[0].parse().expect("a number")
    }

    async fn insert(&self, number: u32, user: u32, rounds: u32, digest: &str) {
        let key = Self::key(number);
        let (prefix, last4) = (&key[..12], &key[47..]);
        let row = format!(
            "INSERT INTO api_keys_apikey VALUES ('{number:0>32}', 'script', \
             'pbkdf2_sha256${rounds}${SALT}${digest}', '{prefix}', '{last4}', 'write', \
             UTC_TIMESTAMP(6), NULL, NULL, NULL, {user});"
        );
        self.db.run(&row).await;
    }
}
