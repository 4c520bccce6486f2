//! How does a purge reach the store of this machine, and those of the others?
//!
//! It is noted here first, then told through Redis where gateways share one. Each of them notes it
//! with the time at which it hears of it, so that no two clocks have to agree. While Redis is gone
//! what there is to tell waits, and when too much waits, everything is purged elsewhere: rather too
//! much than what is known to be wrong. A gateway that may have missed something purges everything
//! of its own.

mod feed;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use self::feed::{Feed, Listener};
use super::redis::{Redis, RedisFault};
use crate::cache::key::TargetKey;
use crate::cache::note::{Grade, Position, Purge, Scope};
use crate::cache::store::Store;
use crate::clock::Now;
use crate::metrics::PurgeMetrics;

/// Most purges that wait for Redis.
const WAITING_MAX: usize = 10_000;

/// Purges that are told at once.
const TOLD_AT_ONCE: usize = 256;

/// How long who purges waits for the other gateways.
const HEARD_WITHIN: Duration = Duration::from_millis(100);

/// How often it asks for them.
const HEARD_LOOK_EVERY: Duration = Duration::from_millis(3);

/// How long a starting gateway waits for its place among the purges of the others, and for what
/// they purged while it was down.
const BEGIN_WITHIN: Duration = Duration::from_secs(1);

/// The pause before another try to hear the others.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// How often it is looked for answers whose room can be had back.
const RECLAIM_EVERY: Duration = Duration::from_secs(5);

/// Answers that are looked at before others have a turn.
const RECLAIM_AT_ONCE: usize = 256;

/// What is purged, on this machine and on the others.
#[derive(Debug)]
pub struct Purges {
    store: &'static Store,
    metrics: PurgeMetrics,
    feed: Option<Feed>,
    waiting: Mutex<VecDeque<Purge>>,
    /// Whether all is known that the others said before this gateway began.
    caught_up: watch::Sender<bool>,
}

/// Where a purge has arrived when the one who purges is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Gateways that have noted it, this one included.
    pub by: usize,
    /// Gateways that live and have not said so in time; they will.
    pub missing: usize,
    /// Whether it waits for Redis, so that nobody else knows of it.
    pub is_waiting: bool,
}

impl Purges {
    /// Purges of this store, told through `redis` where there is one.
    #[must_use]
    pub fn new(store: &'static Store, redis: Option<Arc<Redis>>, metrics: PurgeMetrics) -> Self {
        let (feed, caught_up) = (redis.map(Feed::new), watch::Sender::new(false));
        Self { store, metrics, feed, waiting: Mutex::default(), caught_up }
    }

    /// Takes a place among the purges of the others before the first answer is kept, if Redis is
    /// there at once; else [`keep`](Self::keep) does it, and purges what was kept until then.
    ///
    /// A gateway that had a place before a restart hears first what was said since. If it cannot, what
    /// it kept counts as stale: it may be purged, and the upstream is asked before much of it is used.
    pub async fn begin(&self, clock: fn() -> Now) {
        let Some(feed) = &self.feed else { return };
        let is_known = self.position().is_some();
        let catching_up = async {
            let mut listener = feed.listen().await?;
            let Some(mut position) = self.position() else {
                self.store.invalidations().read_to(listener.begin().await?);
                return Ok(());
            };
            while let Some(next) = self.hear(&mut listener, position, false, clock).await? {
                position = next;
            }
            Ok::<_, RedisFault>(())
        };
        match timeout(BEGIN_WITHIN, catching_up).await {
            Ok(Ok(())) => drop(self.caught_up.send_replace(true)),
            Ok(Err(_)) | Err(_) if is_known => {
                tracing::warn!(
                    "what other gateways purged meanwhile is not known yet; everything kept until \
                     now counts as stale"
                );
                self.note(Purge { grade: Grade::Soft, scope: Scope::All }, "missed", clock());
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }

    /// Waits until what the others purged before this gateway began is known.
    pub async fn until_caught_up(&self) {
        if self.feed.is_some() {
            let _caught_up_or_ending =
                self.caught_up.subscribe().wait_for(|known| *known).await.is_ok();
        }
    }

    /// Purges here and tells the others; waits a moment for them.
    pub async fn purge(&self, purges: &[Purge], now: Now) -> Applied {
        let alone = Applied { by: 1, missing: 0, is_waiting: false };
        for purge in purges {
            self.note(purge.clone(), "operator", now);
        }
        let Some(feed) = &self.feed else { return alone };
        let Some(position) = self.tell(feed, purges.to_vec()).await else {
            return Applied { is_waiting: true, ..alone };
        };
        let deadline = Instant::now() + HEARD_WITHIN;
        loop {
            let Ok((heard, missing)) = feed.others(position).await else { return alone };
            if missing == 0 || Instant::now() >= deadline {
                return Applied { by: 1 + heard, missing, is_waiting: false };
            }
            sleep(HEARD_LOOK_EVERY).await;
        }
    }

    /// Notes that a client changed these targets, and tells the others; does not wait for them.
    pub async fn change(&self, targets: impl IntoIterator<Item = TargetKey>, now: Now) {
        let purges: Vec<Purge> =
            targets.into_iter().map(|target| Purge::hard(Scope::Target(target))).collect();
        for purge in &purges {
            self.note(purge.clone(), "client", now);
        }
        if let Some(feed) = self.feed.as_ref().filter(|_| !purges.is_empty()) {
            let _place_or_waiting = self.tell(feed, purges).await;
        }
    }

    /// Purges that nobody else knows of, because Redis is gone.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().len()
    }

    /// Hears the others and tells them what waits, for as long as the process lives. Runs beside the
    /// requests.
    pub async fn keep(&self, clock: fn() -> Now) {
        let Some(feed) = &self.feed else { return };
        let mut is_known = false;
        loop {
            let mut up = feed.redis().watch();
            if up.wait_for(|up| *up).await.is_err() {
                return;
            }
            if let Err(fault) = self.follow(feed, clock, &mut is_known).await
                && std::mem::take(&mut is_known)
            {
                tracing::warn!(%fault, "the purges of other gateways are not heard for now");
            }
            sleep(RETRY_AFTER).await;
        }
    }

    /// Gives the room of answers that are not used any more back, in small steps, for as long as the
    /// process lives.
    pub async fn reclaim(&self) {
        let mut seen = 0;
        loop {
            sleep(RECLAIM_EVERY).await;
            let epoch = self.store.invalidations().epoch();
            if epoch == seen {
                continue;
            }
            seen = epoch;
            // The keys alone: who keeps the answers keeps their room.
            let mut keys: Vec<[u8; 16]> = Vec::new();
            self.store.for_each(|key, _| keys.push(*key));
            // Variants of a key stand one behind the other.
            keys.dedup();
            for some in keys.chunks(RECLAIM_AT_ONCE) {
                for key in some {
                    let reclaimed = self.store.reclaim(key);
                    self.metrics.reclaimed.inc_by(reclaimed as u64);
                }
                tokio::task::yield_now().await;
            }
        }
    }

    async fn follow(
        &self,
        feed: &Feed,
        clock: fn() -> Now,
        is_known: &mut bool,
    ) -> Result<(), RedisFault> {
        let mut listener = feed.listen().await?;
        let mut position = match self.position() {
            Some(position) => position,
            None => self.begin_anew(&mut listener, clock).await?,
        };
        loop {
            self.tell_waiting(feed).await?;
            feed.heard(position).await?;
            if !std::mem::replace(is_known, true) {
                tracing::info!("the purges of other gateways are heard");
            }
            let is_caught_up = *self.caught_up.borrow();
            match self.hear(&mut listener, position, is_caught_up, clock).await? {
                Some(next) => position = next,
                None => drop(self.caught_up.send_replace(true)),
            }
        }
    }

    /// Notes what the others said behind a place; answers the next one, unless nothing came.
    async fn hear(
        &self,
        listener: &mut Listener<'_>,
        after: Position,
        waits: bool,
        clock: fn() -> Now,
    ) -> Result<Option<Position>, RedisFault> {
        let news = listener.news(after, waits).await?;
        if news.is_broken || news.unreadable > 0 {
            tracing::warn!(
                unreadable = news.unreadable,
                "purges of other gateways were missed; everything kept until now is purged"
            );
            self.note(Purge::hard(Scope::All), "missed", clock());
        }
        for purge in news.purges {
            self.note(purge, "other", clock());
        }
        let next = match news.position {
            Some(position) => position,
            None if news.is_broken => self.begin_anew(listener, clock).await?,
            None => return Ok(None),
        };
        self.store.invalidations().read_to(next);
        Ok(Some(next))
    }

    /// Takes a new place; what was said before is not known.
    async fn begin_anew(
        &self,
        listener: &mut Listener<'_>,
        clock: fn() -> Now,
    ) -> Result<Position, RedisFault> {
        let position = listener.begin().await?;
        self.note(Purge::hard(Scope::All), "missed", clock());
        self.store.invalidations().read_to(position);
        Ok(position)
    }

    /// Tells the others; what cannot be told waits.
    async fn tell(&self, feed: &Feed, purges: Vec<Purge>) -> Option<Position> {
        let told = feed.tell(&purges).await;
        if told.is_err() {
            self.wait(purges);
        }
        told.ok()
    }

    fn wait(&self, purges: Vec<Purge>) {
        let mut waiting = self.lock();
        waiting.extend(purges);
        if waiting.len() > WAITING_MAX {
            waiting.clear();
            waiting.push_back(Purge::hard(Scope::All));
        }
    }

    async fn tell_waiting(&self, feed: &Feed) -> Result<(), RedisFault> {
        loop {
            let some: Vec<Purge> = {
                let mut waiting = self.lock();
                let count = waiting.len().min(TOLD_AT_ONCE);
                waiting.drain(..count).collect()
            };
            if some.is_empty() {
                return Ok(());
            }
            if let Err(fault) = feed.tell(&some).await {
                self.wait(some);
                return Err(fault);
            }
        }
    }

    fn note(&self, purge: Purge, from: &str, now: Now) {
        let scope = match purge.scope {
            Scope::Target(_) => "target",
            Scope::Exact(_) => "exact",
            Scope::Tag(_) => "tag",
            Scope::Route(_) => "route",
            Scope::Prefix { .. } => "prefix",
            Scope::All => "all",
        };
        self.metrics.purges.with_label_values(&[scope, from]).inc();
        self.store.invalidations().note(purge, now.wall);
    }

    fn position(&self) -> Option<Position> {
        self.store.invalidations().position()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Purge>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
