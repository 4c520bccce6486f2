//! How are keys kept in an embedded file?
//!
//! Of each key its SHA-256 is kept. A key has 256 random bits, so nobody can try all of them, and
//! a slow hash, which makes each try dear, would protect nothing and cost every caller. One
//! connection does everything that one process does to the file: then whatever else changes it is
//! somebody else's doing, which is what [`KeyStore::version`] tells.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::RngCore as _;
use rand::rngs::OsRng;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, FromRow};
use tokio::sync::{Mutex, MutexGuard};

use super::file::{self, FileId};
use super::store_error::{KEYS_MAX, SECRETS_PER_KEY_MAX, StoreError};
use crate::auth::{NewKey, generate_key};
use crate::clock::Now;

/// How long a key that was revoked is still listed.
const REVOKED_KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Rows written in one transaction.
const BATCH_MAX: usize = 500;

const LIST: &str = "SELECT k.id, k.name, k.user_id, k.scope, k.created_at, k.expires_at, \
     k.last_used_at, k.revoked_at, s.digest, s.prefix, s.last4, s.valid_until \
     FROM api_keys k JOIN api_key_secrets s ON s.key_id = k.id \
     ORDER BY k.created_at, k.id, s.valid_until IS NULL DESC, s.valid_until DESC";

/// What a new key shall be.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// What the operator calls it.
    pub name: String,
    /// Whose it is.
    pub user: Option<String>,
    /// What it may do, separated by commas.
    pub scope: String,
    /// From which Unix second on it no longer holds.
    pub expires_at: Option<i64>,
}

/// One secret of a key, as it is kept. It holds nothing from which the secret could be made.
#[derive(Clone, Debug, FromRow)]
pub struct StoredKey {
    /// The key's id.
    pub id: String,
    /// What the operator calls it.
    pub name: String,
    /// Whose it is.
    #[sqlx(rename = "user_id")]
    pub user: Option<String>,
    /// What it may do, separated by commas.
    pub scope: String,
    /// When it was made, in Unix seconds like the times below.
    pub created_at: i64,
    /// From when on it no longer holds.
    pub expires_at: Option<i64>,
    /// When it was last used, give or take some minutes.
    pub last_used_at: Option<i64>,
    /// When it was withdrawn.
    pub revoked_at: Option<i64>,
    /// The first characters of the secret.
    pub prefix: String,
    /// Its last four.
    pub last4: String,
    /// From when on this secret no longer holds; none for the current one.
    pub valid_until: Option<i64>,
    pub(super) digest: Vec<u8>,
}

/// What is known of one key without its secrets.
#[derive(FromRow)]
struct Life {
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
}

/// The file of keys.
#[derive(Debug)]
pub struct KeyStore {
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    connection: SqliteConnection,
    id: FileId,
}

impl KeyStore {
    /// Opens the file; makes it, readable for its owner only, where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be made, is no key file, or is of a newer version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let (connection, id) = file::open(path).await?;
        Ok(Self { path: path.to_owned(), open: Mutex::new(Open { connection, id }) })
    }

    /// Makes a key. The second part is the only copy of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Full`], or that the file cannot be written.
    pub async fn create(
        &self,
        request: &KeyRequest,
        now: Now,
    ) -> Result<(String, NewKey), StoreError> {
        let (id, key, at) = (new_id()?, generate_key()?, now.unix_seconds());
        let mut open = self.open.lock().await;
        let mut change = open.connection.begin_with("BEGIN IMMEDIATE").await?;
        let kept = i64::try_from(REVOKED_KEPT.as_secs()).unwrap_or(i64::MAX);
        sqlx::query("DELETE FROM api_keys WHERE revoked_at < ?")
            .bind(at.saturating_sub(kept))
            .execute(&mut *change)
            .await?;
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM api_keys").fetch_one(&mut *change).await?;
        if usize::try_from(count).unwrap_or(usize::MAX) >= KEYS_MAX {
            return Err(StoreError::Full);
        }
        sqlx::query(
            "INSERT INTO api_keys (id, name, user_id, scope, created_at, expires_at) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(&id)
        .bind(&request.name)
        .bind(&request.user)
        .bind(&request.scope)
        .bind(at)
        .bind(request.expires_at)
        .execute(&mut *change)
        .await?;
        insert_secret(&mut change, &id, &key, at).await?;
        change.commit().await?;
        Ok((id, key))
    }

    /// All keys, oldest first, each once for every secret it has; the current one comes first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] when the file cannot be read.
    pub async fn list(&self) -> Result<Vec<StoredKey>, StoreError> {
        let mut open = self.open.lock().await;
        Ok(sqlx::query_as(LIST).fetch_all(&mut open.connection).await?)
    }

    /// Gives a key a new secret; its id stays. The secrets before it hold until `overlap` from now
    /// at most. The result is the only copy of the new one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the key is not known, no longer holds, or has too many secrets.
    pub async fn rotate(
        &self,
        id: &str,
        overlap: Duration,
        now: Now,
    ) -> Result<NewKey, StoreError> {
        let (key, at) = (generate_key()?, now.unix_seconds());
        let mut open = self.open.lock().await;
        let mut change = open.connection.begin_with("BEGIN IMMEDIATE").await?;
        let life = life_of(&mut change, id).await?;
        if life.revoked_at.is_some() || life.expires_at.is_some_and(|expiry| expiry <= at) {
            return Err(StoreError::Over { id: id.to_owned() });
        }
        let until = at.saturating_add(i64::try_from(overlap.as_secs()).unwrap_or(i64::MAX));
        sqlx::query(
            "UPDATE api_key_secrets SET valid_until = min(coalesce(valid_until, ?1), ?1) \
             WHERE key_id = ?2",
        )
        .bind(until)
        .bind(id)
        .execute(&mut *change)
        .await?;
        sqlx::query("DELETE FROM api_key_secrets WHERE key_id = ? AND valid_until <= ?")
            .bind(id)
            .bind(at)
            .execute(&mut *change)
            .await?;
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM api_key_secrets WHERE key_id = ?")
            .bind(id)
            .fetch_one(&mut *change)
            .await?;
        if usize::try_from(left).unwrap_or(usize::MAX) >= SECRETS_PER_KEY_MAX {
            return Err(StoreError::SecretsTooMany { id: id.to_owned() });
        }
        insert_secret(&mut change, id, &key, at).await?;
        change.commit().await?;
        Ok(key)
    }

    /// Withdraws a key with all its secrets; false when it was withdrawn before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`], or that the file cannot be written.
    pub async fn revoke(&self, id: &str, now: Now) -> Result<bool, StoreError> {
        let mut open = self.open.lock().await;
        let mut change = open.connection.begin_with("BEGIN IMMEDIATE").await?;
        if life_of(&mut change, id).await?.revoked_at.is_some() {
            return Ok(false);
        }
        sqlx::query("UPDATE api_keys SET revoked_at = ? WHERE id = ?")
            .bind(now.unix_seconds())
            .bind(id)
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(true)
    }

    /// Closes the file, so that everything stands in the file itself.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] when that fails; nothing is lost then.
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(self.open.into_inner().connection.close().await?)
    }

    /// A number that changes when anybody but this store has changed the file. Where the path leads
    /// to another file by now, as after a backup was put back, that one is opened first.
    pub(super) async fn version(&self) -> Result<Version, StoreError> {
        let mut open = self.open.lock().await;
        let id = FileId::of(&self.path)
            .map_err(|source| StoreError::File { path: self.path.clone(), source })?;
        if id != open.id {
            let (connection, id) = file::open(&self.path).await?;
            *open = Open { connection, id };
        }
        let number = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut open.connection);
        Ok(Version { number: number.await?, file: open.id })
    }

    /// Notes when keys were last used; never sets a time back.
    pub(super) async fn write_used(&self, used: &[(String, i64)]) -> Result<(), StoreError> {
        for batch in used.chunks(BATCH_MAX) {
            let mut open: MutexGuard<'_, Open> = self.open.lock().await;
            let mut change = open.connection.begin_with("BEGIN IMMEDIATE").await?;
            for (id, at) in batch {
                sqlx::query(
                    "UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), ?) \
                     WHERE id = ?",
                )
                .bind(at)
                .bind(id)
                .execute(&mut *change)
                .await?;
            }
            change.commit().await?;
        }
        Ok(())
    }
}

/// A state of the file, as far as others have changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    number: i64,
    file: FileId,
}

async fn life_of(connection: &mut SqliteConnection, id: &str) -> Result<Life, StoreError> {
    let found = sqlx::query_as("SELECT expires_at, revoked_at FROM api_keys WHERE id = ?")
        .bind(id)
        .fetch_optional(connection)
        .await?;
    found.ok_or_else(|| StoreError::Unknown { id: id.to_owned() })
}

async fn insert_secret(
    connection: &mut SqliteConnection,
    id: &str,
    key: &NewKey,
    at: i64,
) -> Result<(), StoreError> {
    let (digest, hint) = (key.digest(), key.hint());
    sqlx::query(
        "INSERT INTO api_key_secrets (digest, key_id, prefix, last4, created_at) \
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(digest.as_bytes().as_slice())
    .bind(id)
    .bind(hint.prefix)
    .bind(hint.last4)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}

/// A random UUID (RFC 9562, version 4) with dashes.
fn new_id() -> Result<String, rand::Error> {
    let mut bytes = [0; 16];
    OsRng.try_fill_bytes(&mut bytes)?;
    let random = u128::from_be_bytes(bytes);
    let marked = random & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let digits = format!("{marked:032x}");
    let part = |from, to| digits.get(from..to).unwrap_or_default();
    Ok([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt as _;

    use harness::Directory;
    use sqlx::ConnectOptions as _;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    async fn store(directory: &Directory) -> KeyStore {
        KeyStore::open(&directory.path().join("state/farmgate.sqlite")).await.unwrap()
    }

    fn request(name: &str) -> KeyRequest {
        KeyRequest { name: name.into(), user: None, scope: "read".into(), expires_at: None }
    }

    #[tokio::test]
    async fn the_file_is_made_for_its_owner_only() {
        let directory = Directory::new();
        let store = store(&directory).await;
        store.create(&request("a"), Now::read()).await.unwrap();
        for name in ["farmgate.sqlite", "farmgate.sqlite-wal", "farmgate.sqlite-shm"] {
            let path = directory.path().join("state").join(name);
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[tokio::test]
    async fn a_new_key_is_stored_as_its_digest_and_ends() {
        let directory = Directory::new();
        let store = store(&directory).await;
        let now = Now::read();
        let asked = KeyRequest { user: Some("7".into()), expires_at: Some(99), ..request("a") };
        let (id, key) = store.create(&asked, now).await.unwrap();
        let listed = store.list().await.unwrap();
        assert_eq!(listed.len(), 1);
        let one = &listed[0];
        assert_eq!(
            (one.id.as_str(), one.name.as_str(), one.user.as_deref()),
            (&*id, "a", Some("7"))
        );
        assert_eq!((one.created_at, one.expires_at), (now.unix_seconds(), Some(99)));
        assert_eq!(one.digest, key.digest().as_bytes());
        assert!(key.expose().starts_with(&one.prefix) && key.expose().ends_with(&one.last4));
        assert!((id.len(), &id[14..15]) == (36, "4") && "89ab".contains(&id[19..20]), "{id}");
    }

    #[tokio::test]
    async fn a_rotation_keeps_the_id_and_ends_the_secret_before() {
        let directory = Directory::new();
        let store = store(&directory).await;
        let now = Now::read();
        let (id, first) = store.create(&request("a"), now).await.unwrap();
        let second = store.rotate(&id, HOUR, now).await.unwrap();
        let listed = store.list().await.unwrap();
        let digests: Vec<&[u8]> = listed.iter().map(|one| one.digest.as_slice()).collect();
        assert_eq!(digests, [second.digest().as_bytes(), first.digest().as_bytes()]);
        assert!(listed.iter().all(|one| one.id == id));
        let until = now.unix_seconds() + 3_600;
        assert_eq!((listed[0].valid_until, listed[1].valid_until), (None, Some(until)));
    }

    #[tokio::test]
    async fn secrets_of_a_key_are_bounded_and_an_overlap_of_zero_ends_them() {
        let directory = Directory::new();
        let store = store(&directory).await;
        let now = Now::read();
        let (id, _) = store.create(&request("a"), now).await.unwrap();
        for _ in 1..SECRETS_PER_KEY_MAX {
            store.rotate(&id, HOUR, now).await.unwrap();
        }
        let error = store.rotate(&id, HOUR, now).await.unwrap_err();
        assert!(matches!(error, StoreError::SecretsTooMany { .. }), "{error}");
        assert_eq!(store.list().await.unwrap().len(), SECRETS_PER_KEY_MAX);
        store.rotate(&id, HOUR, now.plus(HOUR)).await.unwrap();
        assert_eq!(store.list().await.unwrap().len(), 2);
        let last = store.rotate(&id, Duration::ZERO, now).await.unwrap();
        let listed = store.list().await.unwrap();
        assert_eq!((listed.len(), listed[0].digest.as_slice()), (1, &last.digest().as_bytes()[..]));
    }

    #[tokio::test]
    async fn a_key_that_is_over_is_not_rotated() {
        let directory = Directory::new();
        let store = store(&directory).await;
        let now = Now::read();
        let expiring =
            KeyRequest { expires_at: Some(now.unix_seconds() + 60), ..request("expires") };
        let (expired, _) = store.create(&expiring, now).await.unwrap();
        let (revoked, _) = store.create(&request("revoked"), now).await.unwrap();
        assert!(store.revoke(&revoked, now).await.unwrap());
        assert!(!store.revoke(&revoked, now).await.unwrap());
        for id in [&expired, &revoked] {
            let error = store.rotate(id, HOUR, now.plus(HOUR)).await.unwrap_err();
            assert!(matches!(error, StoreError::Over { .. }), "{error}");
        }
        assert!(matches!(store.revoke("no", now).await, Err(StoreError::Unknown { .. })));
        assert!(matches!(store.rotate("no", HOUR, now).await, Err(StoreError::Unknown { .. })));
    }

    #[tokio::test]
    async fn keys_are_bounded_and_old_revoked_ones_make_room() {
        let directory = Directory::new();
        let store = store(&directory).await;
        let now = Now::read();
        let path = directory.path().join("state/farmgate.sqlite");
        let mut other = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) \
                    INSERT INTO api_keys (id, name, scope, created_at) SELECT i, 'x', '', 0 FROM n";
        let count = i64::try_from(KEYS_MAX).unwrap();
        sqlx::query(fill).bind(count).execute(&mut other).await.unwrap();
        let error = store.create(&request("a"), now).await.unwrap_err();
        assert!(matches!(error, StoreError::Full), "{error}");
        assert!(store.revoke("5", now).await.unwrap());
        assert!(store.create(&request("a"), now).await.is_err());
        let later = now.plus(REVOKED_KEPT + HOUR);
        store.create(&request("a"), later).await.unwrap();
    }

    #[tokio::test]
    async fn the_version_changes_only_when_others_change_the_file() {
        let directory = Directory::new();
        let (gateway, operator) = (store(&directory).await, store(&directory).await);
        let now = Now::read();
        let first = gateway.version().await.unwrap();
        let (id, _) = operator.create(&request("a"), now).await.unwrap();
        let second = gateway.version().await.unwrap();
        assert_ne!(first, second);
        gateway.write_used(&[(id.clone(), 50)]).await.unwrap();
        gateway.write_used(&[(id.clone(), 40)]).await.unwrap();
        assert_eq!(gateway.version().await.unwrap(), second);
        assert_eq!(operator.list().await.unwrap()[0].last_used_at, Some(50));
        operator.revoke(&id, now).await.unwrap();
        assert_ne!(gateway.version().await.unwrap(), second);
    }

    #[tokio::test]
    async fn a_file_that_was_put_in_its_place_is_opened() {
        let (directory, backup) = (Directory::new(), Directory::new());
        let (gateway, restored) = (store(&directory).await, store(&backup).await);
        let now = Now::read();
        let (id, _) = restored.create(&request("restored"), now).await.unwrap();
        restored.close().await.unwrap();
        let before = gateway.version().await.unwrap();
        let path = |directory: &Directory| directory.path().join("state");
        std::fs::remove_dir_all(path(&directory)).unwrap();
        assert!(matches!(gateway.version().await, Err(StoreError::File { .. })));
        std::fs::rename(path(&backup), path(&directory)).unwrap();
        assert_ne!(gateway.version().await.unwrap(), before);
        assert_eq!(gateway.list().await.unwrap()[0].id, id);
    }

    #[tokio::test]
    async fn an_empty_file_can_be_opened_by_many_at_once() {
        let directory = Directory::new();
        let stores = (0..8).map(|_| store(&directory));
        assert_eq!(futures::future::join_all(stores).await.len(), 8);
    }

    #[tokio::test]
    async fn a_file_that_is_no_key_file_is_left_alone() {
        let directory = Directory::new();
        let path = directory.write("notes.txt", "nothing of the kind, but long enough".repeat(9));
        assert!(KeyStore::open(&path).await.is_err());
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("nothing"));
    }
}
