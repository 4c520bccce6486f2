//! What is there under one key: its variants, oldest first, and what they cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderMap;

use super::object::Object;

/// Most variants of one key; the oldest goes first.
pub(super) const VARIANTS_MAX: usize = 16;

/// Bytes that an entry costs beside its objects: itself, its place in the map, and the share of the
/// keys that the map remembers of evicted ones.
const ENTRY_BYTES: usize = 192;

/// The variants of one key. It never changes; a newer variant makes another one.
#[derive(Debug)]
pub(super) struct Variants {
    objects: Box<[Arc<Object>]>,
    cost_bytes: usize,
    /// How many objects there are in the store.
    counted: Arc<AtomicUsize>,
}

impl Variants {
    /// These objects, the newest of them as will fit in `bytes_max`.
    pub(super) fn fitting(
        mut objects: Vec<Arc<Object>>,
        bytes_max: usize,
        counted: &Arc<AtomicUsize>,
    ) -> Option<Self> {
        let mut costs: Vec<usize> = objects.iter().map(|object| object.cost_bytes()).collect();
        let mut cost_bytes = ENTRY_BYTES + costs.iter().sum::<usize>();
        while cost_bytes > bytes_max || objects.len() > VARIANTS_MAX {
            if objects.is_empty() {
                return None;
            }
            objects.remove(0);
            cost_bytes -= costs.remove(0);
        }
        if objects.is_empty() {
            return None;
        }
        counted.fetch_add(objects.len(), Ordering::Relaxed);
        Some(Self { objects: objects.into(), cost_bytes, counted: counted.clone() })
    }

    /// All of them, oldest first.
    pub(super) fn objects(&self) -> &[Arc<Object>] {
        &self.objects
    }

    /// What they cost of the store's budget.
    pub(super) fn cost_bytes(&self) -> usize {
        self.cost_bytes
    }

    /// The one that a request with these fields selects.
    pub(super) fn selected(&self, request: &HeaderMap) -> Option<&Arc<Object>> {
        self.objects.iter().find(|object| object.variance.selects(request))
    }

    /// The one that came last.
    pub(super) fn newest(&self) -> Option<&Arc<Object>> {
        self.objects.last()
    }

    /// The one that `object` replaces, and the others.
    pub(super) fn parted(&self, object: &Object) -> (Option<Arc<Object>>, Vec<Arc<Object>>) {
        let is_same = |stored: &Arc<Object>| stored.variance == object.variance;
        let (replaced, others): (Vec<_>, Vec<_>) = self.objects.iter().cloned().partition(is_same);
        (replaced.into_iter().next(), others)
    }
}

impl Drop for Variants {
    fn drop(&mut self) {
        self.counted.fetch_sub(self.objects.len(), Ordering::Relaxed);
    }
}
