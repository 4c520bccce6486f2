//! What does an entry of the map cost, and how many had to go?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::{Lifecycle, Weighter};

use super::variants::Variants;

/// What an entry weighs.
#[derive(Clone, Debug)]
pub(super) struct Costs;

impl Weighter<[u8; 16], Arc<Variants>> for Costs {
    fn weight(&self, _key: &[u8; 16], variants: &Arc<Variants>) -> u64 {
        variants.cost_bytes() as u64
    }
}

/// Counts what had to go.
#[derive(Clone, Debug)]
pub(super) struct Evictions(pub(super) Arc<AtomicU64>);

impl Lifecycle<[u8; 16], Arc<Variants>> for Evictions {
    type RequestState = ();

    fn on_evict(&self, _state: &mut (), _key: [u8; 16], variants: Arc<Variants>) {
        self.0.fetch_add(variants.objects().len() as u64, Ordering::Relaxed);
    }
}
