//! What is asked for, and how large is it?

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

/// Keys of the part that follows Zipf's law.
pub(crate) const KEYS: usize = 1_000_000;

/// Of so many requests a scan is the last third: keys that are asked for once.
const SCAN_EVERY: u64 = 300_000;
const SCAN_AFTER: u64 = 200_000;

/// Bytes of every body where all are of one size.
const UNIFORM_BYTES: usize = 2_048;

/// Where the sizes are mixed: from this, in so many doublings, most of them in the first.
const SMALLEST_BYTES: f64 = 256.0;
const DOUBLINGS: f64 = 9.0;

/// One of the traces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Its name.
    pub(crate) name: &'static str,
    /// Zipf's exponent.
    pub(crate) alpha: f64,
    /// Whether a third of the requests is a scan.
    pub(crate) has_scans: bool,
    /// Whether the sizes differ.
    pub(crate) is_mixed: bool,
}

const fn kind(name: &'static str, alpha: f64, has_scans: bool, is_mixed: bool) -> Kind {
    Kind { name, alpha, has_scans, is_mixed }
}

/// All traces.
pub(crate) const KINDS: [Kind; 8] = [
    kind("zipf-0.9", 0.9, false, false),
    kind("zipf-0.9-scan", 0.9, true, false),
    kind("zipf-1.1", 1.1, false, false),
    kind("zipf-1.1-scan", 1.1, true, false),
    kind("mixed-0.9", 0.9, false, true),
    kind("mixed-0.9-scan", 0.9, true, true),
    kind("mixed-1.1", 1.1, false, true),
    kind("mixed-1.1-scan", 1.1, true, true),
];

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Number of the key.
    pub(crate) key: u64,
    /// Bytes of its body.
    pub(crate) bytes: usize,
    /// Whether a cache could have it: a scan never comes twice, and is not counted.
    pub(crate) is_counted: bool,
}

/// The requests of a trace, the same each time.
pub(crate) struct Trace {
    kind: Kind,
    /// How likely a key up to this one is.
    cumulated: Vec<f64>,
    random: SmallRng,
    asked: u64,
}

impl Trace {
    pub(crate) fn new(kind: Kind) -> Self {
        let mut sum = 0.0;
        let mut cumulated: Vec<f64> = (1..=KEYS)
            .map(|rank| {
                sum += (rank as f64).powf(-kind.alpha);
                sum
            })
            .collect();
        cumulated.iter_mut().for_each(|share| *share /= sum);
        Self { kind, cumulated, random: SmallRng::seed_from_u64(7), asked: 0 }
    }
}

impl Iterator for Trace {
    type Item = Asked;

    fn next(&mut self) -> Option<Asked> {
        self.asked += 1;
        let is_scan = self.kind.has_scans && self.asked % SCAN_EVERY >= SCAN_AFTER;
        let key = if is_scan {
            KEYS as u64 + self.asked
        } else {
            let share: f64 = self.random.r#gen();
            self.cumulated.partition_point(|cumulated| *cumulated < share) as u64
        };
        let bytes = if self.kind.is_mixed { mixed_bytes(key) } else { UNIFORM_BYTES };
        Some(Asked { key, bytes, is_counted: !is_scan })
    }
}

/// A size that goes with the key, and not with how often it is asked for.
fn mixed_bytes(key: u64) -> usize {
    let share = (scattered(key) >> 11) as f64 / (1_u64 << 53) as f64;
    (SMALLEST_BYTES * (share.powi(3) * DOUBLINGS).exp2()) as usize
}

/// `splitmix64`.
pub(crate) fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
