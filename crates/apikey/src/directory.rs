//! What do the operator's own tables say of a key?
//!
//! Read only, on few connections, with a time limit on every wait. The tables are those of the
//! operator's Django: `api_keys_apikey` and `auth_user`.

use std::fmt;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::{ConnectOptions as _, FromRow, MySql, QueryBuilder};
use tokio::time::timeout;

use crate::form::KeyHint;

/// The most rows of one prefix and one ending that are looked at.
const CANDIDATES_MAX: usize = 16;
/// The most rows that are asked for in one statement.
pub const ROWS_MAX: usize = 500;
/// How long after a failure nobody asks again: who waits for a dead database holds up others.
pub const REST: Duration = Duration::from_secs(1);
/// What a key may do whose row does not say.
const SCOPE_DEFAULT: &str = "read";
/// How long an unused connection is kept.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// Times are taken as seconds since 1970 by subtraction: `UNIX_TIMESTAMP` depends on the session's
/// time zone, and has no answer for times after 2038 on some servers, which would look like a key
/// that never expires. A row without a user is one of a user that was deleted.
const SELECT: &str = "SELECT CAST(k.id AS CHAR(36)) AS id, CAST(k.user_id AS CHAR(64)) AS user, \
     k.name AS name, k.key_hash AS key_hash, k.prefix AS prefix, k.last4 AS last4, \
     k.scope AS scope, \
     TIMESTAMPDIFF(SECOND, '1970-01-01 00:00:00', k.expires_at) AS expires_at, \
     CAST(k.revoked_at IS NOT NULL AS SIGNED) AS is_revoked, \
     CAST(u.is_active AS SIGNED) AS is_active \
     FROM api_keys_apikey k LEFT JOIN auth_user u ON u.id = k.user_id ";

/// How the tables are reached.
#[derive(Clone)]
pub struct DirectoryOptions {
    /// `mysql://user:password@host:3306/database`; TLS by `?ssl-mode=VERIFY_IDENTITY&ssl-ca=…`.
    pub url: String,
    /// How many connections there are at most.
    pub connections_max: u32,
    /// How long to wait for a connection, and then for an answer.
    pub timeout: Duration,
}

impl fmt::Debug for DirectoryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DirectoryOptions({} connections, redacted)", self.connections_max)
    }
}

/// Why the tables cannot be asked. Never holds the address, which may have a password in it.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The address cannot be read.
    #[error("the address of the key database is not mysql://user:password@host:3306/database")]
    Url,
    /// The database does not answer, or not with what was asked for.
    #[error("the key database cannot be asked: {0}")]
    Failed(#[from] sqlx::Error),
    /// The database takes too long.
    #[error("the key database did not answer within {0:?}")]
    Timeout(Duration),
    /// It failed a moment ago and is left in peace.
    #[error("the key database failed a moment ago")]
    Resting,
}

/// One key, as the tables have it.
#[derive(Clone)]
pub struct KeyRow {
    /// The row's id, exactly as the database writes it.
    pub row_id: Box<str>,
    /// The same as people write it, to count and log by.
    pub id: Box<str>,
    /// What the operator calls the key.
    pub name: Box<str>,
    /// The user it belongs to; none where that was deleted.
    pub user: Option<Box<str>>,
    /// What it may do, words with commas or spaces between; at least one.
    pub scope: Box<str>,
    /// From which Unix second on it no longer holds.
    pub expires_at: Option<i64>,
    /// Whether it was withdrawn.
    pub is_revoked: bool,
    /// Whether its user is there and may sign in.
    pub is_owner_active: bool,
    /// The slow hash, for [`SlowHash::parse`](crate::hash::SlowHash::parse).
    pub hash: Box<str>,
    /// SHA-256 of that text: another hash means another key.
    pub fingerprint: [u8; 32],
    prefix: Box<str>,
    last4: Box<str>,
}

impl fmt::Debug for KeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRow({}, redacted)", self.id)
    }
}

/// The operator's tables.
#[derive(Debug)]
pub struct Directory {
    pool: MySqlPool,
    timeout: Duration,
    is_up: AtomicBool,
    rests_until: Mutex<Option<Instant>>,
}

impl Directory {
    /// Prepares to ask; the first question connects, so a database that is down delays nothing.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Url`].
    pub fn new(options: &DirectoryOptions) -> Result<Self, DirectoryError> {
        if !options.url.starts_with("mysql://") && !options.url.starts_with("mariadb://") {
            return Err(DirectoryError::Url);
        }
        let connect = MySqlConnectOptions::from_str(&options.url)
            .map_err(|_| DirectoryError::Url)?
            .disable_statement_logging();
        let pool = MySqlPoolOptions::new()
            .max_connections(options.connections_max.max(1))
            .min_connections(0)
            .acquire_timeout(options.timeout)
            .idle_timeout(IDLE_MAX)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // The account should not be able to write either; this holds if it is.
                    let read_only = "SET SESSION TRANSACTION READ ONLY";
                    sqlx::query(read_only).execute(connection).await.map(drop)
                })
            })
            .connect_lazy_with(connect);
        let (is_up, rests_until) = (AtomicBool::new(true), Mutex::default());
        Ok(Self { pool, timeout: options.timeout, is_up, rests_until })
    }

    /// The rows that may be a key's.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] when the tables cannot be asked.
    pub async fn candidates(
        &self,
        hint: KeyHint<'_>,
        now: Instant,
    ) -> Result<Vec<KeyRow>, DirectoryError> {
        if self.rests(now) {
            return Err(DirectoryError::Resting);
        }
        let mut query = QueryBuilder::new(SELECT);
        query.push("WHERE k.prefix = ").push_bind(hint.prefix.to_owned());
        query.push(" AND k.last4 = ").push_bind(hint.last4.to_owned());
        query.push(format_args!(" LIMIT {CANDIDATES_MAX}"));
        let mut rows = self.ask(query, true, now).await?;
        // Most collations take letters of both cases for the same.
        rows.retain(|row| *row.prefix == *hint.prefix && *row.last4 == *hint.last4);
        Ok(rows)
    }

    /// The rows with these ids; those that are gone are left out. At most [`ROWS_MAX`] ids.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`] when the tables cannot be asked.
    pub async fn rows(
        &self,
        row_ids: &[&str],
        now: Instant,
    ) -> Result<Vec<KeyRow>, DirectoryError> {
        let mut query = QueryBuilder::new(SELECT);
        query.push("WHERE k.id IN (");
        let mut list = query.separated(", ");
        for row_id in row_ids.iter().take(ROWS_MAX) {
            list.push_bind((*row_id).to_owned());
        }
        query.push(")");
        // Statements of any number of ids would fill the cache of prepared ones.
        self.ask(query, false, now).await
    }

    /// Whether the last question was answered.
    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    async fn ask(
        &self,
        query: QueryBuilder<MySql>,
        is_kept_prepared: bool,
        now: Instant,
    ) -> Result<Vec<KeyRow>, DirectoryError> {
        let answer = self.fetch(query, is_kept_prepared).await;
        let rest = answer.is_err().then(|| now + REST);
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = rest;
        let was_up = self.is_up.swap(answer.is_ok(), Ordering::Relaxed);
        match &answer {
            Err(error) if was_up => {
                tracing::warn!(%error, "key database lost; remembered keys stay valid");
            }
            Ok(_) if !was_up => tracing::info!("key database answers again"),
            _ => {}
        }
        Ok(answer?.into_iter().filter_map(RawRow::into_row).collect())
    }

    async fn fetch(
        &self,
        mut query: QueryBuilder<MySql>,
        is_kept_prepared: bool,
    ) -> Result<Vec<RawRow>, DirectoryError> {
        let mut connection = self.pool.acquire().await?;
        let question = query.build_query_as::<RawRow>().persistent(is_kept_prepared);
        let answer = timeout(self.timeout, question.fetch_all(&mut *connection)).await;
        let error = match answer {
            Ok(Ok(rows)) => return Ok(rows),
            Ok(Err(error)) => DirectoryError::Failed(error),
            Err(_) => DirectoryError::Timeout(self.timeout),
        };
        // Whatever is still under way on this connection must not meet the next question.
        drop(connection.detach());
        Err(error)
    }

    fn rests(&self, now: Instant) -> bool {
        let rests_until = *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        rests_until.is_some_and(|until| now < until)
    }
}

#[derive(FromRow)]
struct RawRow {
    id: String,
    user: Option<String>,
    name: String,
    key_hash: String,
    prefix: String,
    last4: String,
    scope: String,
    expires_at: Option<i64>,
    is_revoked: i64,
    is_active: Option<i64>,
}

impl RawRow {
    /// None for a row whose ids cannot be logged or counted by; Django writes no such row.
    fn into_row(self) -> Option<KeyRow> {
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if !is_plain(&self.id) || !self.user.as_deref().is_none_or(is_plain) {
            return None;
        }
        let has_scope = self.scope.contains(|c: char| c != ',' && !c.is_whitespace());
        Some(KeyRow {
            id: dashed(&self.id).into(),
            row_id: self.id.into(),
            name: self.name.into(),
            user: self.user.map(Box::from),
            // A key without a scope may read, as the operator's system has it.
            scope: if has_scope { self.scope.into() } else { SCOPE_DEFAULT.into() },
            expires_at: self.expires_at,
            is_revoked: self.is_revoked != 0,
            is_owner_active: self.is_active.is_some_and(|is_active| is_active != 0),
            fingerprint: Sha256::digest(&self.key_hash).into(),
            hash: self.key_hash.into(),
            prefix: self.prefix.into(),
            last4: self.last4.into(),
        })
    }
}

/// An id as people write it: the tables leave out the dashes.
fn dashed(id: &str) -> String {
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return id.to_owned();
    }
    let mut text = String::with_capacity(36);
    for (at, digit) in id.chars().enumerate() {
        if [8, 12, 16, 20].contains(&at) {
            text.push('-');
        }
        text.push(digit.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    #[test]
    fn ids_get_their_dashes_back() {
        let id = "0AF3c1d2e3f405162738495a6b7c8d9e";
        assert_eq!(dashed(id), "0af3c1d2-e3f4-0516-2738-495a6b7c8d9e");
        for other in ["", "7", "0af3c1d2-e3f4-0516-2738-495a6b7c8d9e"] {
            assert_eq!(dashed(other), other);
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_is_not_repeated() {
        for url in ["", "postgres://u:hidden@h/d", "mysql://u:hidden@h:port/d"] {
            let options = DirectoryOptions { url: url.into(), connections_max: 1, timeout: REST };
            let error = Directory::new(&options).unwrap_err();
            assert!(matches!(error, DirectoryError::Url), "{url}: {error:?}");
            assert!(!format!("{error} {error:?} {options:?}").contains("hidden"));
        }
    }
}
