//! Where are answers kept?
//!
//! A sharded map in memory with a budget in bytes; when it is full, the objects that were used
//! least recently go. It is the [`Storage`] of pingora-cache too, so that Pingora serves a hit
//! with its own handling of `HEAD`, conditions and ranges. The front of the gateway has looked the
//! object up already and pins it to the key, so that a hit is one look-up and an object that is
//! evicted meanwhile is still served whole.

use std::any::Any;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use lru::LruCache;
use pingora::http::ResponseHeader;
use pingora_cache::key::{CacheHashKey, CacheKey};
use pingora_cache::storage::{
    HandleHit, HandleMiss, HitHandler, MissFinishType, MissHandler, PurgeOutcome, PurgeTarget,
};
use pingora_cache::trace::SpanHandle;
use pingora_cache::{CacheMeta, PurgeType, Storage};

use super::invalidation::Invalidations;
use super::key::{Key, TargetKey};
use super::object::{Object, Validators, Variance};
use super::windows::Windows;

/// Shards of the map: enough that two threads seldom meet.
const SHARDS: usize = 16;

/// Most variants of one key; the oldest goes first.
const VARIANTS_MAX: usize = 16;

/// The object that a look-up found, carried to Pingora's cache inside its key.
#[derive(Clone, Debug)]
pub struct Pinned(pub Arc<Object>);

/// What there is under a key.
#[derive(Clone, Debug)]
pub enum Found {
    /// The answer that the request selects.
    Selected(Arc<Object>),
    /// Answers that other requests select.
    Others,
    /// Nothing that may be used.
    Nothing,
}

/// Answers in memory, bounded in bytes.
#[derive(Debug)]
pub struct Store {
    shards: Vec<Mutex<Shard>>,
    shard_bytes_max: usize,
    bytes: AtomicUsize,
    objects: AtomicUsize,
    evictions: AtomicU64,
    invalidations: Invalidations,
}

#[derive(Debug)]
struct Shard {
    entries: LruCache<[u8; 16], Vec<Arc<Object>>>,
    bytes: usize,
}

impl Store {
    /// An empty store with a budget of `bytes_max`.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let shard = || Mutex::new(Shard { entries: LruCache::unbounded(), bytes: 0 });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            shard_bytes_max: bytes_max / SHARDS,
            bytes: AtomicUsize::new(0),
            objects: AtomicUsize::new(0),
            evictions: AtomicU64::new(0),
            invalidations: Invalidations::default(),
        }
    }

    /// Makes every answer for this target that was asked for until `now` one that is not used.
    pub fn invalidate(&self, target: TargetKey, now: SystemTime) {
        self.invalidations.note(target, now);
    }

    /// What there is under `key` for a request with these fields.
    #[must_use]
    pub fn find(&self, key: &Key, request: &HeaderMap) -> Found {
        let Some(shard) = self.shard(key.as_bytes()) else { return Found::Nothing };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(variants) = shard.entries.get(key.as_bytes()) else { return Found::Nothing };
        let selected = variants.iter().find(|object| object.variance.selects(request)).cloned();
        drop(shard);
        match selected {
            Some(object) if self.is_invalid(&object) => Found::Nothing,
            Some(object) => Found::Selected(object),
            None => Found::Others,
        }
    }

    /// The object under `key` that a request with these fields selects.
    #[must_use]
    pub fn select(&self, key: &Key, request: &HeaderMap) -> Option<Arc<Object>> {
        match self.find(key, request) {
            Found::Selected(object) => Some(object),
            Found::Others | Found::Nothing => None,
        }
    }

    /// The key of the flight that fetches what this request selects: one for all requests while
    /// the answers of `key` are not known to vary, then one for each variant.
    #[must_use]
    pub fn flight_key(&self, key: &Key, request: &HeaderMap) -> Key {
        let Some(newest) = self.newest(key.as_bytes()) else { return *key };
        if newest.variance.is_empty() {
            return *key;
        }
        key.variant(&newest.variance.digest_of(request))
    }

    /// Stores an object, in place of the variant that it replaces; evicts until the budget holds.
    ///
    /// Answers whether it was stored: an object larger than a shard's budget is not.
    pub fn put(&self, key: &Key, object: Arc<Object>) -> bool {
        self.put_bytes(*key.as_bytes(), object)
    }

    /// Removes every variant of a key; answers whether there was one.
    pub fn purge_key(&self, key: &[u8; 16]) -> bool {
        let Some(shard) = self.shard(key) else { return false };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(variants) = shard.entries.pop(key) else { return false };
        self.forget(&mut shard, &variants);
        true
    }

    /// Bytes that the stored objects cost.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Objects stored, each variant counted.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.objects.load(Ordering::Relaxed)
    }

    /// Objects that had to go for others since the start.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    fn shard(&self, key: &[u8; 16]) -> Option<&Mutex<Shard>> {
        let [first, ..] = key;
        self.shards.get(usize::from(*first) % SHARDS)
    }

    fn put_bytes(&self, key: [u8; 16], object: Arc<Object>) -> bool {
        let cost = object.cost_bytes();
        if cost > self.shard_bytes_max {
            return false;
        }
        let Some(shard) = self.shard(&key) else { return false };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut variants = shard.entries.pop(&key).unwrap_or_default();
        let before = variants.clone();
        variants.retain(|stored| stored.variance != object.variance);
        if variants.len() >= VARIANTS_MAX {
            variants.remove(0);
        }
        variants.push(object);
        self.forget(&mut shard, &before);
        self.remember(&mut shard, &variants);
        shard.entries.put(key, variants);
        self.evict(&mut shard);
        true
    }

    /// Whether something changed since an answer was asked for.
    #[must_use]
    pub fn is_invalid(&self, object: &Object) -> bool {
        let covers = |target| self.invalidations.covers(target, object.asked_at);
        object.target.as_ref().is_some_and(covers)
    }

    fn evict(&self, shard: &mut Shard) {
        while shard.bytes > self.shard_bytes_max {
            let Some((_, variants)) = shard.entries.pop_lru() else { return };
            self.forget(shard, &variants);
            self.evictions.fetch_add(variants.len() as u64, Ordering::Relaxed);
        }
    }

    fn remember(&self, shard: &mut Shard, variants: &[Arc<Object>]) {
        let cost: usize = variants.iter().map(|object| object.cost_bytes()).sum();
        shard.bytes += cost;
        self.bytes.fetch_add(cost, Ordering::Relaxed);
        self.objects.fetch_add(variants.len(), Ordering::Relaxed);
    }

    fn forget(&self, shard: &mut Shard, variants: &[Arc<Object>]) {
        let cost: usize = variants.iter().map(|object| object.cost_bytes()).sum();
        shard.bytes = shard.bytes.saturating_sub(cost);
        self.bytes.fetch_sub(cost, Ordering::Relaxed);
        self.objects.fetch_sub(variants.len(), Ordering::Relaxed);
    }
}

#[async_trait]
impl Storage for Store {
    async fn lookup(
        &'static self,
        key: &CacheKey,
        _trace: &SpanHandle,
    ) -> pingora::Result<Option<(CacheMeta, HitHandler)>> {
        let object = match key.extensions.get::<Pinned>() {
            Some(Pinned(object)) => Some(object.clone()),
            None => self.newest(&key.combined_bin()),
        };
        Ok(object.map(|object| {
            let hit: HitHandler = Box::new(Hit { body: object.body.clone(), next: None });
            (object.meta(), hit)
        }))
    }

    async fn get_miss_handler(
        &'static self,
        key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> pingora::Result<MissHandler> {
        Ok(Box::new(Miss {
            store: self,
            key: key.combined_bin(),
            head: meta.response_header_copy(),
            windows: windows_of(meta),
            body: BytesMut::new(),
        }))
    }

    async fn purge(
        &'static self,
        target: PurgeTarget<'_>,
        _type: PurgeType,
        _trace: &SpanHandle,
    ) -> pingora::Result<PurgeOutcome> {
        let purged = match target {
            PurgeTarget::Active(key) => self.purge_key(&key.combined_bin()),
            PurgeTarget::Exact(entry) => self.purge_key(&entry.key().combined_bin()),
        };
        Ok(if purged { PurgeOutcome::Purged(None) } else { PurgeOutcome::NotFound })
    }

    async fn update_meta(
        &'static self,
        key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> pingora::Result<bool> {
        let bytes = key.combined_bin();
        let Some(object) = self.newest(&bytes) else { return Ok(false) };
        let head = meta.response_header_copy();
        let updated = Object { head, windows: windows_of(meta), ..Object::clone(&object) };
        Ok(self.put_bytes(bytes, Arc::new(updated)))
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync + 'static) {
        self
    }
}

impl Store {
    fn newest(&self, key: &[u8; 16]) -> Option<Arc<Object>> {
        let mut shard = self.shard(key)?.lock().unwrap_or_else(PoisonError::into_inner);
        shard.entries.get(key).and_then(|variants| variants.last()).cloned()
    }
}

/// Hands a stored body on, whole or a part of it.
struct Hit {
    body: Bytes,
    /// What is still to be read; `None` before the first read and seek, empty when done.
    next: Option<Bytes>,
}

#[async_trait]
impl HandleHit for Hit {
    async fn read_body(&mut self) -> pingora::Result<Option<Bytes>> {
        let body = self.next.take().unwrap_or_else(|| self.body.clone());
        self.next = Some(Bytes::new());
        Ok((!body.is_empty()).then_some(body))
    }

    async fn finish(
        self: Box<Self>,
        _storage: &'static (dyn Storage + Sync),
        _key: &CacheKey,
        _trace: &SpanHandle,
    ) -> pingora::Result<()> {
        Ok(())
    }

    fn can_seek(&self) -> bool {
        true
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> pingora::Result<()> {
        let end = end.unwrap_or(self.body.len()).min(self.body.len());
        if start >= end {
            return pingora::Error::e_explain(
                pingora::ErrorType::InternalError,
                format!("seek to {start} of {end} bytes"),
            );
        }
        self.next = Some(self.body.slice(start..end));
        Ok(())
    }

    fn get_eviction_weight(&self) -> usize {
        self.body.len()
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_any_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self
    }
}

/// Collects a body and stores it when it is complete; dropped before, it leaves no trace.
struct Miss {
    store: &'static Store,
    key: [u8; 16],
    head: ResponseHeader,
    windows: Windows,
    body: BytesMut,
}

#[async_trait]
impl HandleMiss for Miss {
    async fn write_body(&mut self, data: Bytes, _eof: bool) -> pingora::Result<()> {
        if self.body.len() + data.len() > self.store.shard_bytes_max {
            return pingora::Error::e_explain(
                pingora::ErrorType::InternalError,
                "the body is larger than the store can keep",
            );
        }
        self.body.extend_from_slice(&data);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> pingora::Result<MissFinishType> {
        let size = self.body.len();
        let object = Object {
            head: self.head,
            body: self.body.freeze(),
            windows: self.windows,
            validators: Validators::default(),
            variance: Variance::default(),
            upstream_status: StatusCode::OK,
            target: None,
            labels: Arc::default(),
            usage: Arc::default(),
            took: Duration::ZERO,
            asked_at: self.windows.stored_at,
            refresh_after: self.windows.stored_at,
        };
        self.store.put_bytes(self.key, Arc::new(object));
        Ok(MissFinishType::Created(size))
    }
}

fn windows_of(meta: &CacheMeta) -> Windows {
    let after = |seconds: u32| -> SystemTime {
        meta.fresh_until() + Duration::from_secs(u64::from(seconds))
    };
    Windows {
        stored_at: meta.created(),
        born_at: meta.created(),
        may_be_stale: true,
        fresh_until: meta.fresh_until(),
        stale_until: after(meta.stale_while_revalidate_sec()),
        error_until: after(meta.stale_if_error_sec()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::UNIX_EPOCH;

    use http::HeaderValue;

    use super::super::key::KeyParts;
    use super::*;

    fn key(path: &str) -> Key {
        Key::new(&KeyParts {
            route: "r",
            pool: "p",
            form: None,
            scheme: "http",
            host: "h",
            path,
            query: "",
            principal: None,
        })
    }

    fn object(body: &str, vary: Option<(&'static str, &HeaderMap)>) -> Arc<Object> {
        let mut answer = HeaderMap::new();
        let nobody = HeaderMap::new();
        let request = vary.map_or(&nobody, |(_, request)| request);
        if let Some((names, _)) = vary {
            answer.insert("vary", HeaderValue::from_static(names));
        }
        Arc::new(Object {
            head: ResponseHeader::build(200, None).unwrap(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            windows: Windows::closed(UNIX_EPOCH),
            validators: Validators::default(),
            variance: Variance::of(&answer, request).unwrap(),
            upstream_status: StatusCode::OK,
            target: None,
            labels: Arc::default(),
            usage: Arc::default(),
            took: Duration::ZERO,
            asked_at: UNIX_EPOCH,
            refresh_after: UNIX_EPOCH,
        })
    }

    fn language(value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("accept-language", HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn variants_of_one_key_live_side_by_side() {
        let store = Store::new(1 << 20);
        let (de, fr) = (language("de"), language("fr"));
        store.put(&key("/a"), object("ja", Some(("accept-language", &de))));
        store.put(&key("/a"), object("oui", Some(("accept-language", &fr))));
        assert_eq!(store.select(&key("/a"), &de).unwrap().body, "ja");
        assert_eq!(store.select(&key("/a"), &fr).unwrap().body, "oui");
        assert!(store.select(&key("/a"), &language("it")).is_none());
        assert_eq!(store.objects(), 2);
    }

    #[test]
    fn a_newer_answer_replaces_the_older_one() {
        let store = Store::new(1 << 20);
        store.put(&key("/a"), object("old", None));
        let bytes = store.bytes();
        store.put(&key("/a"), object("new", None));
        assert_eq!(store.select(&key("/a"), &HeaderMap::new()).unwrap().body, "new");
        assert_eq!((store.objects(), store.bytes()), (1, bytes));
    }

    #[test]
    fn the_budget_holds_however_much_is_stored() {
        let store = Store::new(64 * 1024);
        let body = "x".repeat(500);
        for index in 0..1_000 {
            store.put(&key(&format!("/{index}")), object(&body, None));
        }
        assert!(store.bytes() <= 64 * 1024);
        assert!(store.evictions() > 900);
        assert_eq!(store.objects() as u64 + store.evictions(), 1_000);
    }

    #[test]
    fn an_object_larger_than_a_shard_is_not_stored() {
        let store = Store::new(16 * 1024);
        assert!(!store.put(&key("/a"), object(&"x".repeat(2_000), None)));
        assert_eq!(store.bytes(), 0);
    }

    #[test]
    fn a_purged_key_is_gone_with_all_its_bytes() {
        let store = Store::new(1 << 20);
        store.put(&key("/a"), object("a", None));
        assert!(store.purge_key(key("/a").as_bytes()));
        assert!(!store.purge_key(key("/a").as_bytes()));
        assert_eq!((store.objects(), store.bytes()), (0, 0));
    }

    #[tokio::test]
    async fn a_hit_reads_the_part_that_was_sought() {
        let mut hit = Hit { body: Bytes::from_static(b"0123456789"), next: None };
        hit.seek(2, Some(5)).unwrap();
        assert_eq!(hit.read_body().await.unwrap().unwrap(), "234");
        assert!(hit.read_body().await.unwrap().is_none());
        hit.seek(8, Some(100)).unwrap();
        assert_eq!(hit.read_body().await.unwrap().unwrap(), "89");
        assert!(hit.seek(10, None).is_err());
    }
}
