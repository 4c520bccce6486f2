//! How do purges reach every gateway through Redis, and who has heard them?
//!
//! One stream holds them, so many as are needed to catch up after an outage. Each gateway reads it
//! on a connection of its own from where it was, and says how far it is. Its place is always an
//! entry that was there: when it is there no more, the stream was cut beyond it, or the server is
//! another one, and what was said in between is not known.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use crate::cache::note::{Position, Purge};
use crate::state::redis::{Redis, RedisFault, Script, Use};

/// Entries that the stream keeps, of some 150 bytes each.
const ENTRIES_MAX: usize = 100_000;

/// Entries that are read at once.
const PAGE: usize = 512;

/// How long a reader waits for news before it says that it lives.
const WAIT: Duration = Duration::from_secs(1);

/// How much longer than that its answer may take.
const WAIT_MARGIN: Duration = Duration::from_secs(2);

/// For how long a gateway counts that is not heard of.
const GONE_AFTER: Duration = Duration::from_secs(5);

/// The place in Redis.
#[derive(Debug)]
pub(super) struct Feed {
    redis: Arc<Redis>,
    heard: Script,
    stream: String,
    positions: String,
    gateways: String,
    /// This gateway's name, another with each start.
    me: String,
}

/// A connection that waits for news.
pub(super) struct Listener<'a> {
    feed: &'a Feed,
    connection: MultiplexedConnection,
}

/// What came.
#[derive(Debug, Default)]
pub(super) struct News {
    /// What others purge.
    pub(super) purges: Vec<Purge>,
    /// Entries that cannot be read.
    pub(super) unreadable: usize,
    /// Where the next reading begins; `None` when nothing came.
    pub(super) position: Option<Position>,
    /// Whether something may have been missed.
    pub(super) is_broken: bool,
}

/// Entries of a stream: each an id, and names and values in turn.
type Entries = Vec<(String, Vec<Vec<u8>>)>;

impl Feed {
    pub(super) fn new(redis: Arc<Redis>) -> Self {
        Self {
            heard: Script::new(include_str!("heard.lua")),
            stream: redis.key("purges"),
            positions: redis.key("purges:positions"),
            gateways: redis.key("purges:gateways"),
            me: hex::encode(rand::random::<[u8; 8]>()),
            redis,
        }
    }

    /// The connection that this feed shares with everything else.
    pub(super) fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Tells all gateways; answers the place of the last purge.
    pub(super) async fn tell(&self, purges: &[Purge]) -> Result<Position, RedisFault> {
        let mut pipeline = redis::pipe();
        for purge in purges {
            pipeline.add_command(self.entry(Some(purge)));
        }
        let ids: Vec<String> = self.redis.call_all(Use::Purges, &pipeline).await?;
        last_of(&ids)
    }

    /// Says how far this gateway is, and that it lives.
    pub(super) async fn heard(&self, position: Position) -> Result<(), RedisFault> {
        let keys = [self.positions.clone(), self.gateways.clone()];
        let gone_after = GONE_AFTER.as_millis().to_string();
        let arguments = [self.me.clone(), text(position), gone_after].map(String::into_bytes);
        let _one: i64 = self.redis.call_script(Use::Purges, &self.heard, &keys, &arguments).await?;
        Ok(())
    }

    /// How many other gateways have heard everything up to a position, and how many have not.
    pub(super) async fn others(&self, position: Position) -> Result<(usize, usize), RedisFault> {
        let mut command = redis::cmd("HGETALL");
        command.arg(&self.positions);
        let positions: HashMap<String, String> = self.redis.call(Use::Purges, &command).await?;
        let others = positions.iter().filter(|(gateway, _)| **gateway != self.me);
        let has_heard = |(_, heard): &(&String, &String)| read(heard) >= Some(position);
        let (heard, missing): (Vec<_>, Vec<_>) = others.partition(has_heard);
        Ok((heard.len(), missing.len()))
    }

    /// A connection of its own, which may wait.
    pub(super) async fn listen(&self) -> Result<Listener<'_>, RedisFault> {
        Ok(Listener { feed: self, connection: self.redis.another_connection().await? })
    }

    fn entry(&self, purge: Option<&Purge>) -> redis::Cmd {
        let mut command = redis::cmd("XADD");
        command.arg(&self.stream).arg("MAXLEN").arg("~").arg(ENTRIES_MAX).arg("*");
        command.arg("by").arg(&self.me);
        command.arg("purge").arg(purge.map(Purge::to_bytes).unwrap_or_default());
        command
    }
}

impl Listener<'_> {
    /// Adds an entry that says nothing, to have a place to read from.
    pub(super) async fn begin(&mut self) -> Result<Position, RedisFault> {
        let command = self.feed.entry(None);
        let id: String = within(command.query_async(&mut self.connection)).await?;
        last_of(&[id])
    }

    /// What comes behind a place. One that waits does not for ever.
    pub(super) async fn news(&mut self, after: Position, waits: bool) -> Result<News, RedisFault> {
        let (stream, after) = (&self.feed.stream, text(after));
        let mut pipeline = redis::pipe();
        pipeline.cmd("XREAD").arg("COUNT").arg(PAGE);
        if waits {
            pipeline.arg("BLOCK").arg(WAIT.as_millis().to_string());
        }
        pipeline.arg("STREAMS").arg(stream).arg(&after);
        // Looked for behind the reading: if the place is still there, nothing after it was cut off.
        pipeline.cmd("XRANGE").arg(stream).arg(&after).arg(&after);
        let (read, place): (Option<Vec<(String, Entries)>>, Entries) =
            within(pipeline.query_async(&mut self.connection)).await?;
        let mut news = News { is_broken: place.is_empty(), ..News::default() };
        for (id, fields) in read.into_iter().flatten().flat_map(|(_, entries)| entries) {
            news.position = Some(self::read(&id).ok_or_else(|| strange(&id))?);
            self.take(&fields, &mut news);
        }
        Ok(news)
    }

    fn take(&self, fields: &[Vec<u8>], news: &mut News) {
        let [_, by, _, purge, ..] = fields else {
            news.unreadable += 1;
            return;
        };
        // What this gateway said itself it noted when it said it.
        if *by == self.feed.me.as_bytes() || purge.is_empty() {
            return;
        }
        match Purge::from_bytes(purge) {
            Some(purge) => news.purges.push(purge),
            None => news.unreadable += 1,
        }
    }
}

async fn within<T>(asking: impl Future<Output = redis::RedisResult<T>>) -> Result<T, RedisFault> {
    let limit = WAIT + WAIT_MARGIN;
    match timeout(limit, asking).await {
        Ok(answer) => answer.map_err(|error| RedisFault::of(&error)),
        Err(_elapsed) => Err(RedisFault::Timeout(limit)),
    }
}

fn last_of(ids: &[String]) -> Result<Position, RedisFault> {
    let last = ids.last().map(String::as_str).unwrap_or_default();
    read(last).ok_or_else(|| strange(last))
}

fn strange(id: &str) -> RedisFault {
    RedisFault::Refused(format!("{id:?} is no id of a stream"))
}

fn text(Position { ms, sequence }: Position) -> String {
    format!("{ms}-{sequence}")
}

fn read(id: &str) -> Option<Position> {
    let (ms, sequence) = id.split_once('-')?;
    Some(Position { ms: ms.parse().ok()?, sequence: sequence.parse().ok()? })
}
