//! Does a key match the slow hash that the operator's system keeps of it?
//!
//! Django's `pbkdf2_sha256$<iterations>$<salt>$<base64>`, taken over `"<pepper>:<key>"`. Random
//! keys would not need so slow a hash, but it is what the tables hold.

use std::fmt;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pbkdf2::sha2::Sha256;
use pbkdf2::{Algorithm, Params, pbkdf2_hmac, pbkdf2_hmac_with_params};
use ring::hmac;
use subtle::ConstantTimeEq as _;

/// The longest text that is read as a hash, in bytes; the tables' column is half as long.
pub const HASH_BYTES_MAX: usize = 256;
/// The most iterations that are computed: some seconds of one core.
pub const ITERATIONS_MAX: u32 = 10_000_000;

const ALGORITHM: &str = "pbkdf2_sha256";
const DIGEST_BYTES: usize = 32;

/// What stands before each key when it is hashed. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Pepper(Box<[u8]>);

impl Pepper {
    /// Takes the pepper's bytes as they are.
    #[must_use]
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(redacted)")
    }
}

/// Why a stored hash cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyHashError {
    /// It is longer than any hash of this form.
    #[error("it is longer than {HASH_BYTES_MAX} bytes")]
    TooLong,
    /// It does not have four parts between `$`.
    #[error("it is not of the form algorithm$iterations$salt$hash")]
    Form,
    /// It was made in another way.
    #[error("its algorithm is not {ALGORITHM}")]
    Algorithm,
    /// The number of iterations is none, or more than is worth computing.
    #[error("its iterations are not a number from 1 to {ITERATIONS_MAX}")]
    Iterations,
    /// The salt is empty or not plain text.
    #[error("its salt is not printable ASCII")]
    Salt,
    /// The hash is not 32 bytes in base64.
    #[error("its hash is not {DIGEST_BYTES} bytes in standard padded base64")]
    Digest,
}

/// A slow hash of one key.
#[derive(Clone, PartialEq, Eq)]
pub struct SlowHash {
    iterations: NonZeroU32,
    salt: Box<str>,
    digest: [u8; DIGEST_BYTES],
}

impl SlowHash {
    /// Reads a hash as Django writes it.
    ///
    /// # Errors
    ///
    /// [`KeyHashError`] with the first part that is not as it should be.
    pub fn parse(text: &str) -> Result<Self, KeyHashError> {
        if text.len() > HASH_BYTES_MAX {
            return Err(KeyHashError::TooLong);
        }
        let mut parts = text.split('$');
        let (Some(algorithm), Some(iterations), Some(salt), Some(digest), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(KeyHashError::Form);
        };
        if algorithm != ALGORITHM {
            return Err(KeyHashError::Algorithm);
        }
        let is_digits = iterations.bytes().all(|byte| byte.is_ascii_digit());
        let iterations = iterations.parse().ok().and_then(NonZeroU32::new);
        let iterations = iterations
            .filter(|count| is_digits && count.get() <= ITERATIONS_MAX)
            .ok_or(KeyHashError::Iterations)?;
        if salt.is_empty() || !salt.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyHashError::Salt);
        }
        let digest = STANDARD.decode(digest).map_err(|_| KeyHashError::Digest)?;
        let digest = digest.try_into().map_err(|_| KeyHashError::Digest)?;
        Ok(Self { iterations, salt: salt.into(), digest })
    }

    /// Whether this is the hash of `key`. Slow on purpose: never to be called where others wait.
    /// The comparison takes the same time wherever the two differ.
    #[must_use]
    pub fn matches(&self, pepper: &Pepper, key: &[u8]) -> bool {
        let peppered = [&*pepper.0, b":", key].concat();
        let digest = derive(&peppered, self.salt.as_bytes(), self.iterations.get());
        digest.as_slice().ct_eq(self.digest.as_slice()).into()
    }

    /// How often the key is hashed.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations.get()
    }
}

impl fmt::Debug for SlowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlowHash({} iterations, redacted)", self.iterations)
    }
}

fn derive(peppered: &[u8], salt: &[u8], iterations: u32) -> [u8; DIGEST_BYTES] {
    let mut digest = [0; DIGEST_BYTES];
    match Params::new(iterations) {
        // Compiled inside its crate, and so quick in a debug build too.
        Ok(params) => {
            let algorithm = Algorithm::Pbkdf2Sha256;
            pbkdf2_hmac_with_params(peppered, salt, algorithm, params, &mut digest);
        }
        // Fewer iterations than anybody should use, but the hash says so.
        Err(_) => pbkdf2_hmac::<Sha256>(peppered, salt, iterations, &mut digest),
    }
    digest
}

/// The digest by which processes with the same pepper can tell each other of a key without
/// knowing it: HMAC-SHA256 of the key, as the operator's system computes it for its own cache.
#[must_use]
pub fn peppered_digest(pepper: &Pepper, key: &[u8]) -> [u8; DIGEST_BYTES] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &pepper.0), key);
    let mut digest = [0; DIGEST_BYTES];
    for (to, from) in digest.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    digest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use proptest::prelude::*;
    use ring::pbkdf2;

    use super::*;

    const KEY: &[u8] = b"wk_live_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    // From Python: base64 of hashlib.pbkdf2_hmac("sha256", b"test-pepper:" + KEY, salt, 1000).
    const HASH: &str =
        "pbkdf2_sha256$1000$abcdefghijklmnopqrstuv$KpoH4whBeYrCR3NvOlnXIIFB7NgWtKEfd7o+9BrfFa0=";
    // The same with 1,000,000 iterations.
    const LONG_HASH: &str = "pbkdf2_sha256$1000000$Zx81pQmN4vT7bLkR2cWs9H$\
                             wN/NNjNIKi99gCGA8iAknbM9GJW4v3c5NGrE5RH4jpc=";

    fn pepper() -> Pepper {
        Pepper::new(*b"test-pepper")
    }

    #[test]
    fn hashes_made_by_python_match_their_key_only() {
        for (text, iterations) in [(HASH, 1_000), (LONG_HASH, 1_000_000)] {
            let hash = SlowHash::parse(text).unwrap();
            assert_eq!(hash.iterations(), iterations);
            assert!(hash.matches(&pepper(), KEY), "{text}");
        }
        let hash = SlowHash::parse(HASH).unwrap();
        assert!(!hash.matches(&pepper(), b"wk_live_other"));
        assert!(!hash.matches(&Pepper::new(*b"dev-pepper"), KEY));
        assert!(!SlowHash::parse(&HASH.replace("1000", "1001")).unwrap().matches(&pepper(), KEY));
        assert!(!SlowHash::parse(&HASH.replace("abc", "abd")).unwrap().matches(&pepper(), KEY));
    }

    #[test]
    fn the_shared_digest_is_the_one_of_the_operators_cache() {
        // hmac.new(b"test-pepper", KEY, "sha256").hexdigest()
        let digest = "ebcb58770e5caf0a15991cfdcecaa5d41a56d0d181c51361000b62b5ccae8b14";
        assert_eq!(hex::encode(peppered_digest(&pepper(), KEY)), digest);
    }

    #[test]
    fn each_malformed_part_is_named() {
        let digest = "KpoH4whBeYrCR3NvOlnXIIFB7NgWtKEfd7o+9BrfFa0=";
        let cases = [
            ("a".repeat(HASH_BYTES_MAX + 1), KeyHashError::TooLong),
            (String::new(), KeyHashError::Form),
            ("!unusable".into(), KeyHashError::Form),
            (format!("{HASH}$x"), KeyHashError::Form),
            (format!("argon2$1000$abc${digest}"), KeyHashError::Algorithm),
            (format!("pbkdf2_sha1$1000$abc${digest}"), KeyHashError::Algorithm),
            (format!("pbkdf2_sha256$0$abc${digest}"), KeyHashError::Iterations),
            (format!("pbkdf2_sha256$+5$abc${digest}"), KeyHashError::Iterations),
            (format!("pbkdf2_sha256$10000001$abc${digest}"), KeyHashError::Iterations),
            (format!("pbkdf2_sha256$99999999999$abc${digest}"), KeyHashError::Iterations),
            (format!("pbkdf2_sha256$1000$${digest}"), KeyHashError::Salt),
            (format!("pbkdf2_sha256$1000$a b${digest}"), KeyHashError::Salt),
            ("pbkdf2_sha256$1000$abc$".into(), KeyHashError::Digest),
            ("pbkdf2_sha256$1000$abc$AAAA".into(), KeyHashError::Digest),
            (
                format!("pbkdf2_sha256$1000$abc${}", digest.trim_end_matches('=')),
                KeyHashError::Digest,
            ),
        ];
        for (text, error) in cases {
            assert_eq!(SlowHash::parse(&text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_hash_is_never_printed() {
        let shown = format!("{:?}", SlowHash::parse(HASH).unwrap());
        assert_eq!(shown, "SlowHash(1000 iterations, redacted)");
    }

    proptest! {
        #[test]
        fn two_implementations_derive_the_same(
            key in prop::collection::vec(any::<u8>(), 0..150),
            salt in prop::collection::vec(any::<u8>(), 1..150),
            // Below 1000 another function of the library computes it.
            iterations in prop_oneof![1..4_u32, 998..1_002_u32],
        ) {
            let (mut expected, count) = ([0; DIGEST_BYTES], iterations.try_into().unwrap());
            pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, count, &salt, &key, &mut expected);
            prop_assert_eq!(derive(&key, &salt, iterations), expected);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(pbkdf2_sha256)?[$0-9a-zA-Z+/=]{0,80}") {
            drop(SlowHash::parse(&text));
        }
    }
}
