//! Where are answers kept?
//!
//! A sharded map in memory with a budget in bytes. `quick_cache` decides what goes when it is full
//! (S3-FIFO with the keys of what was evicted lately), so that a scan does not push out what is asked
//! for often; the doorkeeper keeps large answers from pushing out many small
//! ones. What is stored is made compact, so that the budget says what the process uses. A
//! [`Backing`] is told of everything that is taken.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http::HeaderMap;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder};

use super::backing::Backing;
use super::coding::{Coded, Coding};
use super::costs::{Costs, Evictions};
use super::doorkeeper::{Doorkeeper, lets_in};
use super::invalidation::{Invalidations, Verdict};
use super::key::Key;
use super::object::Object;
use super::variants::Variants;

/// Budget of one shard of the map; a larger object is not kept.
const SHARD_BYTES: usize = 8 << 20;

/// Most shards of the map: enough that two threads seldom meet.
const SHARDS_MAX: usize = 64;

/// What an entry is thought to cost; the map sizes its memory of evicted keys by that.
const ENTRY_BYTES_GUESS: usize = 3 << 10;

/// Share of a shard that an object may take, in percent: the map keeps the rest for what is new.
const OBJECT_SHARE_PERCENT: usize = 95;

/// Locks under which entries change, so that variants of one key are put one after the other.
const CHANGE_LOCKS: usize = 64;

/// The object that a look-up found and the coding in which it leaves, carried to Pingora's cache
/// inside its key.
#[derive(Clone, Debug)]
pub struct Pinned(pub Arc<Object>, pub Option<Coding>);

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
    entries: Cache<[u8; 16], Arc<Variants>, Costs, DefaultHashBuilder, Evictions>,
    /// What an entry may cost.
    entry_bytes_max: usize,
    doorkeeper: Doorkeeper,
    changes: Vec<Mutex<()>>,
    objects: Arc<AtomicUsize>,
    evictions: Arc<AtomicU64>,
    invalidations: Invalidations,
    backing: Option<Arc<dyn Backing>>,
}

/// Where an object comes from, which decides whether it has to wait at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// A client asked for it.
    Asked,
    /// The operator wants it kept.
    Wanted,
}

impl Store {
    /// An empty store with a budget of `bytes_max`.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self::with(bytes_max, Invalidations::default(), None)
    }

    /// An empty store with a budget of `bytes_max`, what is known to have changed, and one who keeps
    /// what memory may lose.
    #[must_use]
    pub fn backed(
        bytes_max: usize,
        invalidations: Invalidations,
        backing: Arc<dyn Backing>,
    ) -> Self {
        Self::with(bytes_max, invalidations, Some(backing))
    }

    fn with(
        bytes_max: usize,
        invalidations: Invalidations,
        backing: Option<Arc<dyn Backing>>,
    ) -> Self {
        let doorkeeper = Doorkeeper::new(bytes_max);
        let bytes_max = bytes_max.saturating_sub(doorkeeper.cost_bytes());
        // Rounded down, so that no shard gets less than it should.
        let shards = 1 << (bytes_max / SHARD_BYTES).clamp(1, SHARDS_MAX).ilog2();
        let evictions = Arc::new(AtomicU64::new(0));
        let (guess, counter) =
            (bytes_max.div_ceil(ENTRY_BYTES_GUESS), Evictions(evictions.clone()));
        let hasher = DefaultHashBuilder::default();
        let mut options = OptionsBuilder::new();
        options.shards(shards).estimated_items_capacity(guess).weight_capacity(bytes_max as u64);
        let entries = match options.build() {
            Ok(options) => Cache::with_options(options, Costs, hasher, counter),
            // Nothing is missing in the options; this is the same with as many shards as it likes.
            Err(_) => Cache::with(guess, bytes_max as u64, Costs, hasher, counter),
        };
        let shard_bytes = usize::try_from(entries.shard_capacity()).unwrap_or(usize::MAX);
        Self {
            entries,
            entry_bytes_max: shard_bytes / 100 * OBJECT_SHARE_PERCENT,
            doorkeeper,
            changes: (0..CHANGE_LOCKS).map(|_| Mutex::default()).collect(),
            objects: Arc::default(),
            evictions,
            invalidations,
            backing,
        }
    }

    /// What was purged.
    #[must_use]
    pub fn invalidations(&self) -> &Invalidations {
        &self.invalidations
    }

    /// What there is under `key` for a request with these fields.
    #[must_use]
    pub fn find(&self, key: &Key, request: &HeaderMap) -> Found {
        let Some(variants) = self.entries.get(key.as_bytes()) else { return Found::Nothing };
        match variants.selected(request) {
            Some(object) => match self.invalidations.verdict(object) {
                Verdict::Holds => Found::Selected(object.clone()),
                Verdict::StaleSince(at, _) => Found::Selected(Arc::new(object.stale_since(at))),
                Verdict::Invalid(_) => Found::Nothing,
            },
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

    /// Whether there is anything under `key`, which is no use of it.
    #[must_use]
    pub fn has(&self, key: &[u8; 16]) -> bool {
        self.entries.contains_key(key)
    }

    /// Shows every object, with its key, each as it is when its turn comes; no lock is held
    /// meanwhile, and nothing counts as used.
    pub fn for_each(&self, mut visit: impl FnMut(&[u8; 16], &Arc<Object>)) {
        for (key, variants) in self.entries.iter() {
            for object in variants.objects() {
                visit(&key, object);
            }
        }
    }

    /// Stores an object, in place of the variant that it replaces; evicts until the budget holds.
    ///
    /// Answers whether it was stored: an object larger than a shard's budget is not, nor, in a full
    /// store, a large one that is seldom asked for.
    pub fn put(&self, key: &Key, object: Arc<Object>) -> bool {
        self.put_bytes(*key.as_bytes(), object, Entry::Asked)
    }

    /// Stores an object that the operator wants kept, however large it is beside the others.
    pub fn put_wanted(&self, key: &Key, object: Arc<Object>) -> bool {
        self.put_bytes(*key.as_bytes(), object, Entry::Wanted)
    }

    /// What a request selects, which is no use of it.
    #[must_use]
    pub fn peek(&self, key: &Key, request: &HeaderMap) -> Option<Arc<Object>> {
        self.entries.peek(key.as_bytes())?.selected(request).cloned()
    }

    /// Adds codings of a body, where an object with that very body is kept still; that is no use of
    /// it, and nothing that the backing has to know.
    ///
    /// Answers whether they are kept: together with what is there they may be too large.
    pub fn add_codings(&self, key: &Key, of: &Object, codings: &Arc<[Coded]>) -> bool {
        let coded = |object: &Object| object.coded(codings.clone()).compact(Some(object));
        self.amend(key, |object| object.has_body_of(of), coded)
    }

    /// Leaves an object alone until then, where that very object is kept still: what came meanwhile
    /// stays. The backing need not know.
    pub fn leave_alone(&self, key: &Key, of: &Object, refresh_after: SystemTime) {
        let is_it = |object: &Object| object.has_body_of(of) && object.asked_at == of.asked_at;
        // Gone meanwhile is as good.
        let _is_there = self.amend(key, is_it, |object| object.left_alone(refresh_after));
    }

    /// Puts an amended object in place of one that is kept; answers whether it is kept then.
    fn amend(
        &self,
        key: &Key,
        is_meant: impl Fn(&Object) -> bool,
        amended: impl FnOnce(&Object) -> Object,
    ) -> bool {
        let key = *key.as_bytes();
        let changing = self.changing(&key);
        let Some(before) = self.entries.peek(&key) else { return false };
        let mut objects = before.objects().to_vec();
        let Some(object) = objects.iter_mut().find(|object| is_meant(object)) else {
            return false;
        };
        *object = Arc::new(amended(object));
        let count = objects.len();
        let after = Variants::fitting(objects, self.entry_bytes_max, &self.objects)
            .filter(|after| after.objects().len() == count);
        let is_kept = after.is_some_and(|after| {
            self.entries.replace(key, Arc::new(after), true).is_ok() && self.has(&key)
        });
        drop(changing);
        is_kept
    }

    /// Takes back what a backing kept, unless there is something newer: in memory, or in the backing,
    /// which is asked while nobody changes the entry.
    pub fn take_back(
        &self,
        key: [u8; 16],
        objects: Vec<Arc<Object>>,
        is_newest: impl FnOnce() -> bool,
    ) {
        let changing = self.changing(&key);
        if !self.entries.contains_key(&key)
            && is_newest()
            && let Some(variants) = Variants::fitting(objects, self.entry_bytes_max, &self.objects)
        {
            self.entries.insert(key, Arc::new(variants));
        }
        drop(changing);
    }

    /// Removes every variant of a key; answers whether there was one.
    pub fn purge_key(&self, key: &[u8; 16]) -> bool {
        let changing = self.changing(key);
        let removed = self.entries.remove(key);
        if let Some(backing) = &self.backing {
            backing.forget(key);
        }
        drop(changing);
        removed.is_some()
    }

    /// Bytes that the stored objects cost.
    #[must_use]
    pub fn bytes(&self) -> usize {
        usize::try_from(self.entries.weight()).unwrap_or(usize::MAX)
    }

    /// Objects stored, each variant counted.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.objects.load(Ordering::Relaxed)
    }

    /// Objects that had to go for others since the start, or were not let in because of them.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// Whether an answer is not used any more, because something changed since it was asked for.
    #[must_use]
    pub fn is_invalid(&self, object: &Object) -> bool {
        matches!(self.invalidations.verdict(object), Verdict::Invalid(_))
    }

    /// Removes the variants of a key that are not used any more; answers how many.
    pub fn reclaim(&self, key: &[u8; 16]) -> usize {
        let changing = self.changing(key);
        let Some(before) = self.entries.peek(key) else { return 0 };
        let (invalid, objects): (Vec<_>, Vec<_>) =
            before.objects().iter().cloned().partition(|object| self.is_invalid(object));
        if invalid.is_empty() {
            return 0;
        }
        match Variants::fitting(objects, self.entry_bytes_max, &self.objects) {
            Some(variants) => self.entries.insert(*key, Arc::new(variants)),
            None => {
                self.entries.remove(key);
                if let Some(backing) = &self.backing {
                    backing.forget(key);
                }
            }
        }
        drop(changing);
        invalid.len()
    }

    /// What an object may cost.
    pub(super) fn object_bytes_max(&self) -> usize {
        self.entry_bytes_max
    }

    /// The variant of a key that came last, whether it is still used or not.
    #[must_use]
    pub fn newest(&self, key: &[u8; 16]) -> Option<Arc<Object>> {
        self.entries.get(key)?.newest().cloned()
    }

    /// [`put`](Self::put) under a key's bytes.
    pub(super) fn put_asked(&self, key: [u8; 16], object: Arc<Object>) -> bool {
        self.put_bytes(key, object, Entry::Asked)
    }

    fn put_bytes(&self, key: [u8; 16], object: Arc<Object>, entry: Entry) -> bool {
        let changing = self.changing(&key);
        let before = self.entries.peek(&key);
        let (replaced, mut objects) =
            before.as_ref().map_or((None, Vec::new()), |before| before.parted(&object));
        let object = Arc::new(object.compact(replaced.as_deref()));
        let asked_at = object.asked_at;
        objects.push(object);
        let Some(variants) =
            Variants::fitting(objects.clone(), self.entry_bytes_max, &self.objects)
        else {
            return false;
        };
        let is_known = before.is_some();
        drop(before);
        let is_stored = match entry {
            Entry::Asked if !is_known && !self.lets_in(&key, &variants) => {
                self.evictions.fetch_add(1, Ordering::Relaxed);
                false
            }
            entry => self.insert(key, Arc::new(variants), entry),
        };
        // What was not asked for again says nothing new.
        if replaced.is_none_or(|replaced| replaced.asked_at != asked_at)
            && let Some(backing) = &self.backing
        {
            objects.retain(|object| !self.is_invalid(object));
            backing.keep(&key, &objects);
        }
        // Not before: the backing is told in the order in which memory changed.
        drop(changing);
        is_stored
    }

    /// Puts an entry into the map. What makes room may be the entry itself, when it is large beside
    /// what is new; the map remembers its key, and lets it in among what is used when it comes again.
    fn insert(&self, key: [u8; 16], variants: Arc<Variants>, entry: Entry) -> bool {
        self.entries.insert(key, variants.clone());
        let is_stored = self.entries.contains_key(&key);
        if is_stored || entry == Entry::Asked {
            return is_stored;
        }
        self.entries.insert(key, variants);
        self.entries.contains_key(&key)
    }

    fn lets_in(&self, key: &[u8; 16], variants: &Variants) -> bool {
        let count = self.doorkeeper.count(key);
        let (bytes, bytes_max) = (self.entries.weight(), self.entries.capacity());
        let is_full = bytes > bytes_max / 100 * 95;
        let mean = self.bytes() / self.entries.len().max(1);
        !is_full || lets_in(variants.cost_bytes(), mean, count)
    }

    fn changing(&self, key: &[u8; 16]) -> Option<MutexGuard<'_, ()>> {
        let [first, ..] = key;
        let lock = self.changes.get(usize::from(*first) % CHANGE_LOCKS)?;
        Some(lock.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::{Duration, UNIX_EPOCH};

    use bytes::Bytes;
    use http::{HeaderValue, StatusCode};
    use pingora::http::ResponseHeader;
    use proptest::prelude::*;

    use super::super::key::KeyParts;
    use super::super::object::{Checked, Validators, Variance};
    use super::super::windows::Windows;
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
            codings: None,
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
            checked: Checked::default(),
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
    fn an_object_larger_than_the_budget_is_not_stored() {
        let store = Store::new(16 * 1024);
        assert!(!store.put(&key("/a"), object(&"x".repeat(15_000), None)));
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

    #[test]
    fn every_object_is_shown_once() {
        let store = Store::new(1 << 20);
        let (de, fr) = (language("de"), language("fr"));
        store.put(&key("/a"), object("ja", Some(("accept-language", &de))));
        store.put(&key("/a"), object("oui", Some(("accept-language", &fr))));
        store.put(&key("/b"), object("b", None));
        let mut shown = Vec::new();
        store.for_each(|key, object| shown.push((*key, object.body.clone())));
        shown.sort();
        let (a, b) = (*key("/a").as_bytes(), *key("/b").as_bytes());
        let mut wanted = vec![(a, "ja".into()), (a, "oui".into()), (b, Bytes::from("b"))];
        wanted.sort();
        assert_eq!(shown, wanted);
    }

    #[test]
    fn what_is_asked_for_again_and_again_survives_a_scan() {
        let store = Store::new(256 * 1024);
        let body = "x".repeat(1_000);
        let hot: Vec<Key> = (0..20).map(|index| key(&format!("/hot/{index}"))).collect();
        let nobody = HeaderMap::new();
        for hot in &hot {
            store.put(hot, object(&body, None));
        }
        for index in 0..5_000 {
            store.put(&key(&format!("/{index}")), object(&body, None));
            if index % 20 == 0 {
                hot.iter().for_each(|hot| drop(store.select(hot, &nobody)));
            }
        }
        let left = hot.iter().filter(|hot| store.select(hot, &nobody).is_some()).count();
        assert_eq!(left, hot.len());
    }

    #[test]
    fn a_large_answer_waits_at_the_door_of_a_full_store_unless_it_is_wanted() {
        let store = Store::new(256 * 1024);
        for index in 0..1_000 {
            store.put(&key(&format!("/{index}")), object(&"x".repeat(500), None));
        }
        let large = || object(&"x".repeat(50_000), None);
        let evictions = store.evictions();
        assert!(!store.put(&key("/large"), large()));
        assert_eq!(store.evictions(), evictions + 1);
        assert!((0..64).any(|_| store.put(&key("/large"), large())), "asked for often");
        assert!(store.put_wanted(&key("/wanted"), large()));
        assert_eq!(store.select(&key("/wanted"), &HeaderMap::new()).unwrap().body.len(), 50_000);
    }

    #[test]
    fn codings_are_added_to_the_body_that_they_are_of_and_cost_what_they_take() {
        let store = Store::new(1 << 20);
        let nobody = HeaderMap::new();
        store.put(&key("/a"), object(&"x".repeat(2_000), None));
        let stored = store.peek(&key("/a"), &nobody).unwrap();
        let coded = |bytes| Coded::new(Coding::Gzip, Bytes::from(vec![0; bytes]), None).unwrap();
        let (bytes, codings) = (store.bytes(), Arc::from([coded(500)]));
        assert!(store.add_codings(&key("/a"), &stored, &codings));
        assert!(store.bytes() >= bytes + 500);
        let with = store.peek(&key("/a"), &nobody).unwrap();
        assert_eq!((with.codings().len(), with.body.len()), (1, 2_000));
        assert_eq!(store.objects(), 1);
        let confirmed = with.left_alone(UNIX_EPOCH + Duration::from_secs(1));
        store.put(&key("/a"), Arc::new(confirmed));
        assert_eq!(store.peek(&key("/a"), &nobody).unwrap().codings().len(), 1);
        let too_large = Arc::from([coded(1 << 20)]);
        assert!(!store.add_codings(&key("/a"), &stored, &too_large));
        store.put(&key("/a"), object(&"x".repeat(2_000), None));
        assert!(!store.add_codings(&key("/a"), &stored, &codings), "it has another body now");
        assert!(store.peek(&key("/a"), &nobody).unwrap().codings().is_empty());
        assert_eq!(store.bytes(), bytes);
    }

    #[test]
    fn what_is_taken_back_replaces_nothing_newer() {
        let store = Store::new(1 << 20);
        store.take_back(*key("/a").as_bytes(), vec![object("older", None)], || false);
        assert!(!store.has(key("/a").as_bytes()));
        store.take_back(*key("/a").as_bytes(), vec![object("old", None)], || true);
        assert_eq!(store.select(&key("/a"), &HeaderMap::new()).unwrap().body, "old");
        store.put(&key("/a"), object("new", None));
        store.take_back(*key("/a").as_bytes(), vec![object("old", None)], || true);
        assert_eq!(store.select(&key("/a"), &HeaderMap::new()).unwrap().body, "new");
        assert_eq!(store.objects(), 1);
    }

    proptest! {
        #[test]
        fn budget_and_counts_hold_whatever_is_done(
            steps in prop::collection::vec((0..60_u8, 0..6_u8, 0..30_000_usize), 1..300),
        ) {
            let (budget, languages) = (128 * 1024, ["de", "fr", "it", "es"].map(language));
            let store = Store::new(budget);
            let mut put = 0;
            for (name, deed, length) in steps {
                let key = key(&format!("/{name}"));
                match languages.get(usize::from(deed)) {
                    Some(language) => {
                        let new = object(&"x".repeat(length), Some(("accept-language", language)));
                        if store.put(&key, new) {
                            put += 1;
                            let found = store.select(&key, language).unwrap();
                            prop_assert_eq!(found.body.len(), length);
                        }
                    }
                    None if deed == 4 => drop(store.purge_key(key.as_bytes())),
                    None => drop(store.newest(key.as_bytes())),
                }
                prop_assert!(store.bytes() <= budget);
            }
            let (mut shown, mut cost) = (0, 0);
            store.for_each(|_, object| {
                shown += 1;
                cost += object.cost_bytes();
            });
            prop_assert_eq!(store.objects(), shown);
            prop_assert!(cost <= store.bytes() && shown <= put);
        }

        #[test]
        fn what_is_put_is_found_while_there_is_room(
            bodies in prop::collection::vec("[a-z]{0,200}", 1..100),
        ) {
            let store = Store::new(1 << 20);
            for (index, body) in bodies.iter().enumerate() {
                let is_kept = store.put(&key(&format!("/{index}")), object(body, None));
                prop_assert!(is_kept);
            }
            for (index, body) in bodies.iter().enumerate() {
                let found = store.select(&key(&format!("/{index}")), &HeaderMap::new()).unwrap();
                prop_assert_eq!(&found.body, body);
            }
            prop_assert_eq!((store.objects(), store.evictions()), (bodies.len(), 0));
        }
    }
}
