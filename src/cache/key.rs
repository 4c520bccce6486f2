//! Under which name is an answer kept?
//!
//! A key is a digest of typed parts, each with its length before it, so that no two different
//! lists of parts can give the same bytes. It is built from the host that the route accepted and
//! the path, never from the request's URI as it came: HTTP/1.1 and HTTP/2 spell that differently.

use std::fmt;

use sha2::{Digest, Sha256};

/// What distinguishes one answer from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyParts<'a> {
    /// Name of the route: two routes never share answers.
    pub route: &'a str,
    /// Name of the pool that answers.
    pub pool: &'a str,
    /// Form of the envelope; `None` when the answer is kept as it came. A reload that changes it
    /// must not serve the old form.
    pub form: Option<&'a str>,
    /// `http` or `https`: services are told, and may answer each in its own way.
    pub scheme: &'a str,
    /// Host without port, lower case.
    pub host: &'a str,
    /// Path as it goes to the upstream.
    pub path: &'a str,
    /// Query as it goes to the upstream, without the question mark.
    pub query: &'a str,
    /// The principal that the answer belongs to; `None` when all principals share it.
    pub principal: Option<&'a str>,
}

/// The digest of [`KeyParts`]: the first 128 bits of a SHA-256, because clients choose the parts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 16]);

impl Key {
    /// Digests the parts.
    #[must_use]
    pub fn new(parts: &KeyParts<'_>) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"farmgate cache key 2");
        let form = parts.form.unwrap_or_default();
        let KeyParts { route, pool, scheme, host, path, query, .. } = *parts;
        for part in [route, pool, form, scheme, host, path, query] {
            absorb(&mut digest, part);
        }
        digest.update([u8::from(parts.principal.is_some())]);
        absorb(&mut digest, parts.principal.unwrap_or_default());
        Self::truncate(digest)
    }

    /// The key of one variant of this answer.
    #[must_use]
    pub fn variant(&self, variance: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update(self.0);
        digest.update(variance);
        Self::truncate(digest)
    }

    /// The digest's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A number in `0..shards` taken from the digest.
    #[must_use]
    pub fn shard(&self, shards: usize) -> usize {
        let [first, ..] = self.0;
        usize::from(first) % shards.max(1)
    }

    fn truncate(digest: Sha256) -> Self {
        let full = digest.finalize();
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(full) {
            *to = from;
        }
        Self(short)
    }
}

/// What a request is for, whoever asks, with whatever query, and however it is answered: host and path.
/// Of all answers to it, a change makes every one invalid.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TargetKey(Key);

impl TargetKey {
    /// Its digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The target with this digest, which was written down before.
    #[must_use]
    pub fn from_bytes(digest: [u8; 16]) -> Self {
        Self(Key(digest))
    }

    /// Digests the target; `host` is without port, in lower case.
    #[must_use]
    pub fn new(host: &str, path: &str) -> Self {
        Self::digest(b"farmgate target key 1", &[host, path])
    }

    /// What a request is for with one query.
    #[must_use]
    pub fn exact(host: &str, path: &str, query: &str) -> Self {
        Self::digest(b"farmgate exact key 1", &[host, path, query])
    }

    /// What an upstream calls by this tag.
    #[must_use]
    pub fn tag(tag: &str) -> Self {
        Self::digest(b"farmgate tag key 1", &[tag])
    }

    /// Everything of a route.
    #[must_use]
    pub fn route(name: &str) -> Self {
        Self::digest(b"farmgate route key 1", &[name])
    }

    /// Every path that begins so, of one host or of all.
    #[must_use]
    pub fn prefix(host: Option<&str>, path: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"farmgate prefix key 1");
        digest.update([u8::from(host.is_some())]);
        absorb(&mut digest, host.unwrap_or_default());
        digest.update(path);
        Self(Key::truncate(digest))
    }

    fn digest(kind: &[u8], parts: &[&str]) -> Self {
        let mut digest = Sha256::new();
        digest.update(kind);
        for part in parts {
            absorb(&mut digest, part);
        }
        Self(Key::truncate(digest))
    }
}

impl From<TargetKey> for Key {
    fn from(TargetKey(key): TargetKey) -> Self {
        key
    }
}

impl fmt::Debug for TargetKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

fn absorb(digest: &mut Sha256, part: &str) {
    digest.update((part.len() as u64).to_be_bytes());
    digest.update(part.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARTS: KeyParts<'static> = KeyParts {
        route: "r",
        pool: "p",
        form: Some("text"),
        scheme: "http",
        host: "h",
        path: "/p",
        query: "q=1",
        principal: Some("jwt:1"),
    };

    #[test]
    fn each_part_makes_another_key() {
        let base = Key::new(&PARTS);
        for other in [
            KeyParts { route: "s", ..PARTS },
            KeyParts { pool: "q", ..PARTS },
            KeyParts { form: Some("integer"), ..PARTS },
            KeyParts { form: None, ..PARTS },
            KeyParts { scheme: "https", ..PARTS },
            KeyParts { host: "i", ..PARTS },
            KeyParts { path: "/q", ..PARTS },
            KeyParts { query: "q=2", ..PARTS },
            KeyParts { principal: Some("jwt:2"), ..PARTS },
            KeyParts { principal: None, ..PARTS },
            KeyParts { principal: Some(""), ..PARTS },
        ] {
            assert_ne!(base, Key::new(&other), "{other:?}");
        }
    }

    #[test]
    fn shared_and_empty_principal_are_different_keys() {
        let shared = Key::new(&KeyParts { principal: None, ..PARTS });
        assert_ne!(shared, Key::new(&KeyParts { principal: Some(""), ..PARTS }));
    }

    proptest! {
        #[test]
        fn moving_bytes_between_parts_changes_the_key(host in "[a-z]{0,8}", path in "[a-z]{1,8}") {
            let joined = format!("{host}{path}");
            let one = Key::new(&KeyParts { host: &host, path: &path, ..PARTS });
            let other = Key::new(&KeyParts { host: &joined, path: "", ..PARTS });
            prop_assert_ne!(one, other);
        }
    }
}
