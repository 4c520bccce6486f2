//! Which tokens do not count any more, although they are signed and have not expired?
//!
//! `farmgate tokens revoke` writes a revocation to a file of this machine, and to Redis where there
//! is one; the running gateway notices either within about a second. Asking costs a request one
//! atomic load while there are none, and a look-up in an immutable table else.
//!
//! Revocations are only ever added, and end with what they revoke. While Redis is gone those that
//! are known stay in force; one that comes back without them is told.

mod entry;
mod feed;
mod file;
mod table;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio::time::sleep;

pub use self::entry::{NAME_BYTES_MAX, Revocation, RevocationError, Target};
use self::feed::{Cursor, Feed};
pub use self::file::RevocationFileError;
use self::file::Tail;
use self::table::{Added, Table};
use super::redis::{Redis, RedisFault};
use crate::clock::Now;

/// Most revocations in force.
pub const REVOCATIONS_MAX: usize = 100_000;

/// How often it is looked for new ones.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// What of a token can be revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Issued<'a> {
    /// Its `jti`.
    pub id: Option<&'a str>,
    /// Its subject.
    pub subject: Option<&'a str>,
    /// Its client.
    pub client: Option<&'a str>,
    /// When it was issued (`iat`), in seconds since 1970.
    pub at: Option<i64>,
}

/// Why a revocation did not reach every place that it must.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The name cannot be a token's.
    #[error(transparent)]
    Name(#[from] RevocationError),
    /// The file did not take it.
    #[error(transparent)]
    File(#[from] RevocationFileError),
    /// Redis did not take it.
    #[error("{0}; other gateways do not know of it, so run this again when Redis is back")]
    Redis(#[from] RedisFault),
    /// There is no room in Redis.
    #[error("{REVOCATIONS_MAX} revocations are in force in Redis, which is all there may be")]
    Full,
    /// There is neither a file nor Redis.
    #[error("there is no place to keep revocations; configure a state folder or Redis")]
    Nowhere,
}

/// The revocations in force.
#[derive(Debug)]
pub struct Revocations {
    file: Option<PathBuf>,
    feed: Option<Feed>,
    any: AtomicBool,
    table: ArcSwap<Table>,
    /// Grows with each change of the table.
    version: AtomicU64,
    /// How many had no room.
    left_out: AtomicUsize,
    reading: Mutex<Reading>,
}

#[derive(Debug, Default)]
struct Reading {
    tail: Tail,
    cursor: Cursor,
    /// Whether the file could not be read the last time, which is logged once.
    file_failed: bool,
}

impl Revocations {
    /// Revocations from a file, from Redis, or from both. Nothing is read before the first
    /// [`poll`](Self::poll).
    #[must_use]
    pub fn new(file: Option<PathBuf>, redis: Option<Arc<Redis>>) -> Self {
        Self {
            file,
            feed: redis.map(Feed::new),
            any: AtomicBool::new(false),
            table: ArcSwap::default(),
            version: AtomicU64::new(0),
            left_out: AtomicUsize::new(0),
            reading: Mutex::default(),
        }
    }

    /// Whether a token is revoked.
    #[must_use]
    pub fn is_revoked(&self, token: &Issued<'_>) -> bool {
        self.any.load(Ordering::Acquire) && self.table.load().revokes(token)
    }

    /// Grows each time a revocation was added: whoever keeps verdicts can tell old ones by it.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// How many revocations are in force.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.table.load().len()
    }

    /// How many revocations were left out since the start, because there were too many.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Looks for new revocations once a second, for as long as the process lives. Runs beside the
    /// requests.
    pub async fn keep(&self, clock: fn() -> Now) {
        loop {
            self.poll(clock()).await;
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Looks for new revocations now. Says whether all places could be read; what could not is
    /// looked for again with the next call.
    pub async fn poll(&self, now: Now) -> bool {
        let mut reading = self.reading.lock().await;
        let (mut new, from_file) = self.read_file(&mut reading);
        let Some(feed) = &self.feed else {
            self.bring_into_force(new, now.unix_seconds());
            return from_file;
        };
        // Redis logs and counts what fails.
        let news = feed.read_new(&mut reading.cursor).await;
        let all =
            news.as_ref().ok().filter(|news| news.is_all).map(|news| news.revocations.clone());
        let from_redis = news.is_ok();
        new.extend(news.unwrap_or_default().revocations);
        self.bring_into_force(new, now.unix_seconds());
        if let Some(all) = all {
            feed.tell(&self.table.load_full(), &all, now.unix_seconds()).await;
        }
        from_file && from_redis
    }

    /// Revokes: when this returns `Ok` the revocation is written down in every place, and running
    /// gateways notice it within about a second.
    ///
    /// # Errors
    /// Which place did not take it; those before it, the file first, did.
    pub async fn revoke(&self, revocation: &Revocation, now: Now) -> Result<(), RevokeError> {
        revocation.target.check()?;
        if self.file.is_none() && self.feed.is_none() {
            return Err(RevokeError::Nowhere);
        }
        if let Some(path) = &self.file {
            file::append(path, revocation, now.unix_seconds())?;
        }
        if let Some(feed) = &self.feed
            && !feed.add(revocation, now.unix_seconds()).await?
        {
            return Err(RevokeError::Full);
        }
        Ok(())
    }

    /// Everything that is in force in any place, in order of target.
    ///
    /// # Errors
    /// Which place cannot be read.
    pub async fn list(&self, now: Now) -> Result<Vec<Revocation>, RevokeError> {
        let mut all = match &self.file {
            Some(path) => file::list(path, now.unix_seconds())?,
            None => Vec::new(),
        };
        if let Some(feed) = &self.feed {
            all.extend(feed.read_new(&mut Cursor::default()).await?.revocations);
        }
        all.retain(|revocation| revocation.expires > now.unix_seconds());
        all.sort_by(|a, b| (&a.target, a.before, a.expires).cmp(&(&b.target, b.before, b.expires)));
        all.dedup();
        Ok(all)
    }

    fn read_file(&self, reading: &mut Reading) -> (Vec<Revocation>, bool) {
        let Some(path) = &self.file else { return (Vec::new(), true) };
        match reading.tail.read_new(path) {
            Ok(lines) => {
                reading.file_failed = false;
                if lines.damaged > 0 {
                    tracing::error!(
                        file = %path.display(), damaged = lines.damaged,
                        "lines of the revocations cannot be read, and are not in force; revoke anew"
                    );
                }
                (lines.revocations, true)
            }
            Err(error) => {
                if !reading.file_failed {
                    tracing::error!(
                        file = %path.display(), %error,
                        "the revocations cannot be read; make the file readable for the gateway"
                    );
                }
                reading.file_failed = true;
                (Vec::new(), false)
            }
        }
    }

    /// Puts a new table in place when there is something to change.
    fn bring_into_force(&self, new: Vec<Revocation>, now: i64) {
        let current = self.table.load();
        let live = new.into_iter().filter(|revocation| revocation.expires > now);
        let live: Vec<_> = live.collect();
        if live.is_empty() && !current.has_expired(now) {
            return;
        }
        let mut table = Table::clone(&current);
        table.forget_expired(now);
        let (mut added, mut left_out) = (0, 0);
        for revocation in live {
            match table.add(revocation) {
                Added::Full => left_out += 1,
                Added::Known => {}
                Added::New => added += 1,
            }
        }
        if left_out > 0 {
            self.left_out.fetch_add(left_out, Ordering::Relaxed);
            tracing::error!(
                left_out,
                most = REVOCATIONS_MAX,
                "there are too many revocations, and these are not in force; revoke by subject or \
                 client instead of one token at a time"
            );
        }
        let any = table.len() > 0;
        self.table.store(Arc::new(table));
        self.any.store(any, Ordering::Release);
        if added > 0 {
            self.version.fetch_add(1, Ordering::AcqRel);
            tracing::info!(added, "revocations are in force");
        }
    }
}
