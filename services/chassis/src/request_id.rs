//! Which request is this: the id that the gateway sent, or a new one.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Header that carries the id in both directions.
pub const HEADER: &str = "x-request-id";

/// Longest id that is taken over from a caller.
pub const LENGTH_MAX: usize = 128;

/// The id of one request; a request extension that handlers may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Takes over `given` when it is well formed, else makes a new id.
    #[must_use]
    pub fn accept(given: Option<&str>) -> Self {
        match given {
            Some(text) if is_well_formed(text) => Self(text.to_owned()),
            _ => Self::generate(),
        }
    }

    /// Makes a new id of 32 hexadecimal digits. It is unique, not secret.
    #[must_use]
    pub fn generate() -> Self {
        static KEYS: LazyLock<(RandomState, RandomState)> =
            LazyLock::new(|| (RandomState::new(), RandomState::new()));
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let half = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write_u64(number);
            // Two hosts could hold the same keys only by chance; the process id costs nothing.
            hasher.write_u32(std::process::id());
            hasher.finish()
        };
        Self(format!("{:016x}{:016x}", half(&KEYS.0), half(&KEYS.1)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Well formed: 1 to [`LENGTH_MAX`] characters of `A-Z a-z 0-9 . _ : -`.
fn is_well_formed(text: &str) -> bool {
    (1..=LENGTH_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_id_is_kept() {
        assert_eq!(RequestId::accept(Some("rid-1")).as_str(), "rid-1");
    }

    #[test]
    fn hostile_id_is_replaced() {
        for hostile in ["", "a b", "a\nb", "\u{e9}", &"x".repeat(LENGTH_MAX + 1)] {
            let id = RequestId::accept(Some(hostile));
            assert_ne!(id.as_str(), hostile);
            assert_eq!(id.as_str().len(), 32);
        }
    }

    #[test]
    fn generated_ids_all_differ() {
        let ids: std::collections::BTreeSet<_> =
            (0..1000).map(|_| RequestId::generate().as_str().to_owned()).collect();
        assert_eq!(ids.len(), 1000);
    }
}
