//! How do revocations reach every gateway through Redis?
//!
//! A sorted set holds them by a number that grows with each; a second one by when they expire. A
//! gateway asks once a second for what has a higher number than the last it knows. Behind another
//! connection there may be a server without the latest entries, or without any. So everything is
//! read again behind every new connection, and whenever the highest number is lower than before;
//! what is known stays in force, and is told to a server that lost it.

use std::sync::Arc;

use super::REVOCATIONS_MAX;
use super::entry::Revocation;
use super::table::{Added, Table};
use crate::state::redis::{Redis, RedisFault, Script, Use};

/// How many are read at once.
const PAGE: usize = 1_000;

/// The place in Redis.
#[derive(Debug)]
pub(super) struct Feed {
    redis: Arc<Redis>,
    add: Script,
    next: String,
    entries: String,
    expiry: String,
}

/// How far a reader is.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// The connection on which it was read so far.
    connection: u64,
    number: u64,
}

/// What a reader has found.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) revocations: Vec<Revocation>,
    /// Whether they are all that Redis has.
    pub(super) is_all: bool,
}

impl Feed {
    pub(super) fn new(redis: Arc<Redis>) -> Self {
        Self {
            add: Script::new(include_str!("add.lua")),
            next: redis.key("revocations:next"),
            entries: redis.key("revocations"),
            expiry: redis.key("revocations:expiry"),
            redis,
        }
    }

    /// Adds a revocation; false when there is no room.
    pub(super) async fn add(&self, revocation: &Revocation, now: i64) -> Result<bool, RedisFault> {
        let keys = [self.next.clone(), self.entries.clone(), self.expiry.clone()];
        let arguments = [
            now.to_string(),
            revocation.to_line(),
            revocation.expires.to_string(),
            REVOCATIONS_MAX.to_string(),
        ];
        let arguments = arguments.map(String::into_bytes);
        let number: i64 =
            self.redis.call_script(Use::Revocations, &self.add, &keys, &arguments).await?;
        Ok(number > 0)
    }

    /// Reads what is new: one round trip a second, and one a page where there is much.
    pub(super) async fn read_new(&self, cursor: &mut Cursor) -> Result<News, RedisFault> {
        let connection = self.redis.connections();
        if cursor.connection != connection {
            *cursor = Cursor { connection, number: 0 };
        }
        let (mut found, mut damaged) = (Vec::new(), 0_usize);
        let mut after = cursor.number;
        let mut is_all = after == 0;
        // The bound holds whatever a server says.
        for _ in 0..=REVOCATIONS_MAX.div_ceil(PAGE) {
            let (highest, page) = self.page(after).await?;
            if highest < cursor.number {
                *cursor = Cursor { connection, number: 0 };
                (after, is_all, found) = (0, true, Vec::new());
                continue;
            }
            let last = page.last().map(|(_, number)| *number);
            let full = page.len() >= PAGE;
            for (line, _) in page {
                match Revocation::from_line(&line) {
                    Ok(revocation) => found.push(revocation),
                    Err(_) => damaged += 1,
                }
            }
            match last {
                Some(last) if full => after = last,
                _ => {
                    cursor.number = highest;
                    break;
                }
            }
        }
        if damaged > 0 {
            tracing::error!(
                damaged,
                "revocations in Redis cannot be read, and are not in force; revoke anew"
            );
        }
        Ok(News { revocations: found, is_all })
    }

    /// Tells Redis what is known here and missing from all that it has.
    pub(super) async fn tell(&self, known: &Table, all: &[Revocation], now: i64) {
        let mut theirs = Table::default();
        for revocation in all {
            theirs.add(revocation.clone());
        }
        let mut told = 0_usize;
        let missing = known.entries().filter(|ours| ours.expires > now);
        for revocation in missing.filter(|ours| theirs.add(ours.clone()) == Added::New) {
            match self.add(&revocation, now).await {
                Ok(true) => told += 1,
                Ok(false) => {
                    tracing::error!("there is no room in Redis for revocations that it lost");
                    return;
                }
                // Behind the next connection everything is compared again.
                Err(_counted) => return,
            }
        }
        if told > 0 {
            tracing::info!(told, "told Redis of revocations that it missed");
        }
    }

    /// The highest number that was given, and the entries behind `after`.
    async fn page(&self, after: u64) -> Result<(u64, Vec<(String, u64)>), RedisFault> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("GET").arg(&self.next);
        pipeline.cmd("ZRANGEBYSCORE").arg(&self.entries).arg(format!("({after}")).arg("+inf");
        pipeline.arg("WITHSCORES").arg("LIMIT").arg(0).arg(PAGE);
        let (highest, page): (Option<u64>, Vec<(String, u64)>) =
            self.redis.call_all(Use::Revocations, &pipeline).await?;
        Ok((highest.unwrap_or_default(), page))
    }
}
