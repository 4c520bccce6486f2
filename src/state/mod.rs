//! What outlives a reload: everything that counts, remembers or keeps.

pub mod calls;
pub mod disk;
pub mod journal;
pub mod key_sets;
pub mod keys;
pub mod nonces;
pub mod open;
pub mod purges;
pub mod quotas;
pub mod redis;
pub mod revocations;
pub mod tokens;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use prometheus::IntCounter;

use crate::auth::Token;
use crate::cache::flight::Flights;
use crate::cache::invalidation::Invalidations;
use crate::cache::key::Key;
use crate::cache::misses::Misses;
use crate::cache::outcome::Outcome;
use crate::cache::store::Store;
use crate::clock::Now;
use crate::metrics::Metrics;
use crate::ratelimit::Shield;
use crate::snapshot::{RestartOnly, Snapshot};
use crate::upstream::Pools;
use calls::CallLog;
use disk::Disk;
use key_sets::KeySets;
use keys::Keys;
use nonces::Nonces;
use open::{OpenError, Opened};
use purges::Purges;
use quotas::Quotas;
use redis::{Redis, Use};
use revocations::{Issued, Revocations};
use tokens::Tokens;

/// The stores of the process.
pub struct State {
    /// What the operator sees.
    pub metrics: Metrics,
    /// Answers. It is never dropped: Pingora wants it to outlive everything.
    pub store: &'static Store,
    /// Where answers are that memory has lost.
    pub disk: Option<Arc<Disk>>,
    /// What holds no more of them.
    pub purges: Purges,
    /// Why requests had to be fetched.
    pub misses: Misses,
    /// Fetches under way.
    pub flights: Arc<Flights<Outcome>>,
    /// Exact counts by principal.
    pub quotas: Arc<Quotas>,
    /// Estimates by address.
    pub shield: Shield,
    /// Nonces of signed requests.
    pub nonces: Nonces,
    /// API keys beyond the configuration.
    pub keys: Keys,
    /// Issuers' keys.
    pub key_sets: Arc<KeySets>,
    /// Verified tokens.
    pub tokens: Tokens,
    /// Tokens that do not count any more.
    pub revocations: Revocations,
    /// What several gateways share.
    pub redis: Option<Arc<Redis>>,
    /// What is known of the pools.
    pub pools: Arc<Pools>,
    /// Calls to pools that have a budget.
    pub calls: CallLog,
    /// Whether the process reports ready.
    ready: AtomicBool,
}

/// What is needed to compile a configuration and outlives it: found again by the next one.
#[derive(Clone, Debug, Default)]
pub struct Outliving {
    /// What is known of the pools.
    pub pools: Arc<Pools>,
    /// Issuers' keys.
    pub key_sets: Arc<KeySets>,
}

/// Why the process has no state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The metrics cannot be registered.
    #[error("the metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Something outside the process cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl State {
    /// Empty stores of the sizes that the first configuration asks for, and everything opened that
    /// it keeps elsewhere.
    ///
    /// # Errors
    ///
    /// What cannot be opened. A Redis or a database that is down is no error.
    pub async fn open(
        sizes: &RestartOnly,
        outliving: Outliving,
        now: Now,
    ) -> Result<Arc<Self>, StateError> {
        let opened = Opened::open(sizes, now).await?;
        let state = Self::with(sizes, outliving, opened, now)?;
        state.purges.begin(Now::read).await;
        Ok(state)
    }

    /// Empty stores, nothing of which outlives the process.
    ///
    /// # Errors
    ///
    /// When the metrics cannot be registered, which a test rules out.
    pub fn in_memory(
        sizes: &RestartOnly,
        outliving: Outliving,
        now: Now,
    ) -> prometheus::Result<Arc<Self>> {
        Self::with(sizes, outliving, Opened::in_memory(sizes, now), now)
    }

    fn with(
        sizes: &RestartOnly,
        Outliving { pools, key_sets }: Outliving,
        opened: Opened,
        now: Now,
    ) -> prometheus::Result<Arc<Self>> {
        let metrics = Metrics::new()?;
        let bytes_max = sizes.cache_bytes_max;
        metrics.cache.bytes_max.set(i64::try_from(bytes_max).unwrap_or(i64::MAX));
        let (store, disk) = match opened.disk {
            Some((disk, notes)) => {
                let notes = notes.iter().map(Vec::as_slice);
                let changes = Invalidations::logged(notes, disk.clone(), now.wall);
                (Store::backed(bytes_max, changes, disk.clone()), Some(disk))
            }
            None => (Store::new(bytes_max), None),
        };
        let store: &'static Store = Box::leak(Box::new(store));
        if let Some(disk) = &disk {
            disk.attach(store);
        }
        let tokens_max = NonZeroUsize::new(sizes.tokens_max).unwrap_or(NonZeroUsize::MIN);
        let quotas = Arc::new(opened.quotas);
        let shared = opened.redis.as_ref().map(|_| quotas.clone());
        let folder = sizes.storage.dir.as_ref().filter(|_| opened.is_kept);
        let calls = CallLog::new(folder.map(|dir| dir.join("calls")), shared);
        Ok(Arc::new(Self {
            purges: Purges::new(store, opened.redis.clone(), metrics.purge.clone()),
            misses: Misses::default(),
            metrics,
            store,
            disk,
            flights: Arc::default(),
            quotas,
            calls,
            shield: Shield::new(),
            nonces: opened.nonces,
            keys: opened.keys,
            tokens: Tokens::new(tokens_max, key_sets.clone()),
            key_sets,
            revocations: opened.revocations,
            redis: opened.redis,
            pools,
            ready: AtomicBool::new(false),
        }))
    }

    /// Whether a token was revoked: by the names that it has itself, or by those that the log shows,
    /// which have the issuer behind them where there are several.
    #[must_use]
    pub fn is_revoked(&self, token: &Token) -> bool {
        let shown = Issued {
            id: token.jti.as_deref(),
            subject: token.principal.subject.as_deref(),
            client: token.client.as_ref().map(|_| &*token.principal.id),
            at: token.issued_at,
        };
        let own = Issued {
            subject: token.subject.as_deref().or(token.user_id.as_deref()),
            client: token.client.as_deref(),
            ..shown
        };
        self.revocations.is_revoked(&shown) || own != shown && self.revocations.is_revoked(&own)
    }

    /// Brings what is kept under a key back to memory, when it is on disk and not there; answers
    /// whether that is worth another look.
    pub async fn recall(&self, key: &Key, now: Now) -> bool {
        match &self.disk {
            Some(disk) if !self.store.has(key.as_bytes()) => disk.recall(key.as_bytes(), now).await,
            Some(_) | None => false,
        }
    }

    /// Waits until the shared state answers, where there is one, and it is known what was revoked and
    /// what the other gateways purged.
    pub async fn until_shared(&self) {
        if let Some(redis) = &self.redis {
            let mut up = redis.watch();
            let _up_or_ending = up.wait_for(|up| *up).await.is_ok();
            self.revocations.poll(Now::read()).await;
            self.purges.until_caught_up().await;
        }
    }

    /// What a new configuration finds again.
    #[must_use]
    pub fn outliving(&self) -> Outliving {
        Outliving { pools: self.pools.clone(), key_sets: self.key_sets.clone() }
    }

    /// Whether the process reports ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Says whether the process reports ready.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
        self.metrics.ready.set(i64::from(ready));
    }

    /// Brings the gauges up to date with what they measure, before they are read: what the stores
    /// hold, and how the pools of `snapshot` are.
    pub fn measure(&self, snapshot: &Snapshot, now: Now) {
        let upstream = &self.metrics.upstream;
        upstream.peer_up.reset();
        upstream.in_flight.reset();
        upstream.budget.reset();
        upstream.budget_left.reset();
        for pool in snapshot.routes.iter().filter_map(|route| route.pool()) {
            upstream.in_flight.with_label_values(&[&pool.name]).set(gauge(pool.state.in_flight()));
            self.expose(&pool.name, pool.budget.is_some());
            for (window, left) in self.calls.left(pool, now) {
                let labels = [pool.name.as_str(), window.name];
                upstream.budget.with_label_values(&labels).set(i64::from(window.calls));
                upstream.budget_left.with_label_values(&labels).set(i64::from(left));
            }
            for peer in pool.peers() {
                let up = pool.state.is_up(peer.address, now.instant);
                let labels = [pool.name.as_str(), &peer.address.to_string()];
                upstream.peer_up.with_label_values(&labels).set(i64::from(up));
            }
        }
        catch_up(&upstream.call_write_failures, self.calls.write_failures());
        self.measure_runway(snapshot, now);
        self.metrics.purge.untold.set(gauge(self.purges.waiting()));
        self.metrics.cache.bytes.set(gauge(self.store.bytes()));
        self.metrics.cache.objects.set(gauge(self.store.objects()));
        catch_up(&self.metrics.cache.evictions, self.store.evictions());
        self.measure_disk();
        self.measure_identity();
        self.measure_memory();
    }

    /// How long each route that keeps answers could do without its upstream.
    fn measure_runway(&self, snapshot: &Snapshot, now: Now) {
        let caching = snapshot.routes.iter().filter(|route| route.cache.is_some());
        let mut until: HashMap<&str, SystemTime> =
            caching.map(|route| (route.name.as_str(), now.wall)).collect();
        self.store.for_each(|_, object| {
            if let Some(until) = until.get_mut(object.labels.route.as_str())
                && object.windows.usable_until() > *until
                && !self.store.is_invalid(object)
            {
                *until = object.windows.usable_until();
            }
        });
        self.metrics.cache.runway_seconds.reset();
        for (route, until) in until {
            let left = until.duration_since(now.wall).unwrap_or_default().as_secs();
            let runway = self.metrics.cache.runway_seconds.with_label_values(&[route]);
            runway.set(i64::try_from(left).unwrap_or(i64::MAX));
        }
    }

    /// Lets the series of a pool begin at zero, and not with the first event.
    fn expose(&self, pool: &str, has_budget: bool) {
        let Metrics { refresh, upstream, .. } = &self.metrics;
        let (_waiting, _paused, _skipped) = (
            refresh.waiting.with_label_values(&[pool]),
            refresh.paused.with_label_values(&[pool]),
            refresh.skipped.with_label_values(&[pool]),
        );
        for origin in ["client", "revalidation", "ahead", "prewarm"].iter().filter(|_| has_budget) {
            let _refusals = upstream.budget_refusals.with_label_values(&[pool, origin]);
        }
    }

    fn measure_disk(&self) {
        let (Some(disk), series) = (&self.disk, &self.metrics.disk) else { return };
        let figures = disk.figures();
        series.bytes.set(i64::try_from(figures.bytes).unwrap_or(i64::MAX));
        series.bytes_max.set(i64::try_from(disk.bytes_max()).unwrap_or(i64::MAX));
        series.entries.set(gauge(figures.entries));
        catch_up(&series.evictions, figures.evictions);
        catch_up(&series.writes_dropped, figures.dropped);
        catch_up(&series.damaged, figures.damaged);
        catch_up(&series.errors, figures.errors);
    }

    fn measure_identity(&self) {
        let auth = &self.metrics.auth;
        catch_up(&auth.token_lookups.with_label_values(&["hit"]), self.tokens.hits());
        catch_up(&auth.token_lookups.with_label_values(&["miss"]), self.tokens.misses());
        if let Some(hashes) = self.keys.hashes() {
            catch_up(&auth.key_hashes, hashes.finished());
            catch_up(&auth.key_hashes_refused, hashes.refused());
            auth.key_hashes_in_flight.set(gauge(hashes.in_flight()));
        }
        let fetches = |result| auth.key_set_fetches.with_label_values(&[result]);
        catch_up(&fetches("success"), self.key_sets.fetched());
        catch_up(&fetches("failure"), self.key_sets.failed());
    }

    fn measure_memory(&self) {
        let memory = &self.metrics.memory;
        memory.tokens.set(gauge(self.tokens.entries()));
        memory.keys.set(gauge(self.keys.remembered()));
        catch_up(&memory.key_evictions, self.keys.evictions());
        memory.key_tables_up.set(i64::from(self.keys.is_up()));
        memory.nonces.set(gauge(self.nonces.entries()));
        catch_up(&memory.nonce_write_failures, self.nonces.write_failures());
        memory.nonces_untold.set(gauge(self.nonces.untold()));
        memory.quota_windows.set(gauge(self.quotas.buckets().windows()));
        catch_up(&memory.quota_window_evictions, self.quotas.buckets().evictions());
        memory.revocations.set(gauge(self.revocations.entries()));
        let left_out = u64::try_from(self.revocations.left_out()).unwrap_or(u64::MAX);
        catch_up(&memory.revocations_left_out, left_out);
        let degraded = |purpose| memory.shared_state_degraded.with_label_values(&[purpose]);
        catch_up(&degraded("nonces"), self.nonces.degraded());
        catch_up(&degraded("quotas"), self.quotas.degraded());
        if let Some(redis) = &self.redis {
            memory.shared_state_up.set(i64::from(redis.is_up()));
            for purpose in Use::ALL {
                let errors = memory.shared_state_errors.with_label_values(&[purpose.as_str()]);
                catch_up(&errors, redis.errors(purpose));
            }
        }
    }
}

/// A count as a gauge takes it.
fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Brings a counter up to what is counted elsewhere.
fn catch_up(counter: &IntCounter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}
