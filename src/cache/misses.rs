//! Why did the last requests for a target have to be fetched?
//!
//! A few misses each of the targets that missed last, for an operator who asks. Clients choose the
//! targets, so there is room for some, and those that missed longest ago go first.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use lru::LruCache;

use super::Forwarded;
use super::key::TargetKey;

/// Most targets whose misses are kept, at some 1 KiB each.
const TARGETS_MAX: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// Misses that are kept of each.
const EACH_MAX: usize = 4;

/// One request that had to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// When it came.
    pub at: SystemTime,
    /// The word for it.
    pub why: Forwarded,
    /// What more is known of why.
    pub detail: String,
    /// How its fetch ended.
    pub ended: &'static str,
}

/// The last misses.
#[derive(Debug)]
pub struct Misses {
    by_target: Mutex<LruCache<TargetKey, VecDeque<Miss>>>,
}

impl Default for Misses {
    fn default() -> Self {
        Self { by_target: Mutex::new(LruCache::new(TARGETS_MAX)) }
    }
}

impl Misses {
    /// Keeps a miss.
    pub fn add(&self, target: TargetKey, miss: Miss) {
        let mut by_target = self.by_target.lock().unwrap_or_else(PoisonError::into_inner);
        let misses = by_target.get_or_insert_mut(target, VecDeque::new);
        if misses.len() >= EACH_MAX {
            misses.pop_front();
        }
        misses.push_back(miss);
    }

    /// The last misses of a target, the last one first.
    #[must_use]
    pub fn of(&self, target: &TargetKey) -> Vec<Miss> {
        let by_target = self.by_target.lock().unwrap_or_else(PoisonError::into_inner);
        by_target.peek(target).into_iter().flatten().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn miss(second: u64) -> Miss {
        let at = UNIX_EPOCH + Duration::from_secs(second);
        Miss { at, why: Forwarded::UriMiss, detail: String::new(), ended: "stored" }
    }

    #[test]
    fn the_last_misses_of_a_target_are_kept() {
        let misses = Misses::default();
        let target = TargetKey::exact("h", "/a", "");
        for second in 0..9 {
            misses.add(target, miss(second));
        }
        assert_eq!(misses.of(&target), [miss(8), miss(7), miss(6), miss(5)]);
        assert_eq!(misses.of(&TargetKey::exact("h", "/b", "")), []);
    }

    #[test]
    fn room_for_targets_is_bounded() {
        let misses = Misses::default();
        let target = |n: usize| TargetKey::exact("h", &n.to_string(), "");
        for n in 0..=TARGETS_MAX.get() {
            misses.add(target(n), miss(1));
        }
        assert_eq!((misses.of(&target(0)).len(), misses.of(&target(1)).len()), (0, 1));
    }
}
