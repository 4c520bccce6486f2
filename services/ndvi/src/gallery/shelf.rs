//! What is kept in memory, for how long, and what goes first when there is no more room?

use std::hash::Hash;
use std::time::{Duration, Instant};

use lru::LruCache;

/// Values that together take a bounded number of bytes; the one unused for longest goes first.
#[derive(Debug)]
pub(super) struct Shelf<K: Hash + Eq, V> {
    kept: LruCache<K, Kept<V>>,
    bytes: usize,
    bytes_max: usize,
    age_max: Duration,
}

#[derive(Debug)]
struct Kept<V> {
    value: V,
    bytes: usize,
    since: Instant,
}

impl<K: Hash + Eq, V: Clone> Shelf<K, V> {
    pub(super) fn new(bytes_max: usize, age_max: Duration) -> Self {
        Self { kept: LruCache::unbounded(), bytes: 0, bytes_max, age_max }
    }

    /// The value, unless it is too old.
    pub(super) fn get(&mut self, key: &K, now: Instant) -> Option<V> {
        let kept = self.kept.get(key)?;
        if now.saturating_duration_since(kept.since) <= self.age_max {
            return Some(kept.value.clone());
        }
        self.take(key);
        None
    }

    /// Keeps a value that takes so many bytes; one that takes more than there are is not kept.
    pub(super) fn put(&mut self, key: K, value: V, bytes: usize, now: Instant) {
        self.take(&key);
        if bytes > self.bytes_max {
            return;
        }
        self.bytes += bytes;
        self.kept.put(key, Kept { value, bytes, since: now });
        while self.bytes > self.bytes_max {
            let Some((_, gone)) = self.kept.pop_lru() else { return };
            self.bytes -= gone.bytes;
        }
    }

    fn take(&mut self, key: &K) {
        if let Some(gone) = self.kept.pop(key) {
            self.bytes -= gone.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use chassis::clock::Now;

    use super::*;

    const AGE_MAX: Duration = Duration::from_secs(10);

    #[test]
    fn least_used_goes_when_the_bytes_are_used_up() {
        let now = Now::read().instant;
        let mut shelf = Shelf::new(100, AGE_MAX);
        shelf.put("a", 1, 40, now);
        shelf.put("b", 2, 40, now);
        assert_eq!(shelf.get(&"a", now), Some(1));
        shelf.put("c", 3, 40, now);
        assert_eq!((shelf.get(&"a", now), shelf.get(&"b", now)), (Some(1), None));
        shelf.put("a", 4, 60, now);
        assert_eq!((shelf.get(&"a", now), shelf.get(&"c", now)), (Some(4), Some(3)));
        assert_eq!(shelf.bytes, 100);
    }

    #[test]
    fn value_larger_than_the_shelf_is_not_kept() {
        let now = Now::read().instant;
        let mut shelf = Shelf::new(100, AGE_MAX);
        shelf.put("a", 1, 50, now);
        shelf.put("b", 2, 101, now);
        assert_eq!((shelf.get(&"a", now), shelf.get(&"b", now)), (Some(1), None));
    }

    #[test]
    fn old_value_is_gone() {
        let now = Now::read();
        let mut shelf = Shelf::new(100, AGE_MAX);
        shelf.put("a", 1, 50, now.instant);
        assert_eq!(shelf.get(&"a", now.plus(AGE_MAX).instant), Some(1));
        let later = now.plus(AGE_MAX + Duration::from_millis(1)).instant;
        assert_eq!((shelf.get(&"a", later), shelf.bytes), (None, 0));
    }
}
