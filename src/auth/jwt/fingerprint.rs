//! Are these two the same key, or the same rule?

use std::fmt;

use sha2::{Digest, Sha256};

/// Half of a SHA-256: two keys, or two rules, share it only if they are equal. It never leaves the
/// process and is not printed, because that of a weak secret could be guessed from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u128);

impl Fingerprint {
    pub(super) fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

/// What a fingerprint is taken of, part by part.
pub(super) struct Parts(Sha256);

impl Parts {
    /// `what` keeps apart the fingerprints of different things.
    pub(super) fn of(what: &str) -> Self {
        Self(Sha256::new()).and(what.as_bytes())
    }

    /// The length goes first, so no two lists of parts run into the same bytes.
    pub(super) fn and(self, part: &[u8]) -> Self {
        Self(self.0.chain_update((part.len() as u64).to_be_bytes()).chain_update(part))
    }

    /// An absent part is another one than an empty part.
    pub(super) fn and_maybe(self, part: Option<&str>) -> Self {
        match part {
            Some(part) => self.and(b"+").and(part.as_bytes()),
            None => self.and(b"-"),
        }
    }

    pub(super) fn fingerprint(self) -> Fingerprint {
        let mut half = [0; 16];
        half.iter_mut().zip(self.0.finalize()).for_each(|(to, from)| *to = from);
        Fingerprint(u128::from_be_bytes(half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_run_into_each_other() {
        let one = Parts::of("x").and(b"ab").and(b"c").fingerprint();
        let other = Parts::of("x").and(b"a").and(b"bc").fingerprint();
        let empty = Parts::of("x").and_maybe(Some("")).fingerprint();
        let absent = Parts::of("x").and_maybe(None).fingerprint();
        assert!(one != other && empty != absent);
        assert_eq!(one, Parts::of("x").and(b"ab").and(b"c").fingerprint());
    }
}
