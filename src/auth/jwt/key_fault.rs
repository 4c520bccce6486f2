//! What is wrong with the material of a key that should verify tokens?

use super::algorithm::TokenAlgorithm;

/// Why key material cannot be used. It names what is wrong and never what the key is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// It is neither PEM nor JSON.
    #[error("it is neither PEM nor JSON; give a public key as PEM, or a JWK or JWKS")]
    Unreadable,
    /// The PEM text is damaged.
    #[error("its PEM text is damaged; write the key file anew")]
    Pem,
    /// The PEM text holds something else than a public key.
    #[error("its PEM text holds no public key; give a PUBLIC KEY or one CERTIFICATE")]
    PemKind,
    /// The JSON text is damaged.
    #[error("it is not one JSON object, or a name comes twice in it")]
    Json,
    /// The JSON object is no key and no set.
    #[error("it has neither \"kty\" nor a list \"keys\"; give a JWK or a JWKS")]
    NoKeys,
    /// The text is longer than any set of keys.
    #[error("it has more than {bytes_max} bytes; leave out what does not sign")]
    TooLarge {
        /// The most bytes that are read.
        bytes_max: usize,
    },
    /// There are more keys than any rotation needs.
    #[error("it has {count} keys; keep at most {count_max}")]
    TooMany {
        /// How many there are.
        count: usize,
        /// The most there may be.
        count_max: usize,
    },
    /// No key of the set can be used.
    #[error("none of its {count} keys can be used; of the first: {first}")]
    NoneUsable {
        /// How many there are.
        count: usize,
        /// What is wrong with the first one.
        first: Box<KeyFault>,
    },
    /// The set has no key at all.
    #[error("it has no key; give at least one")]
    Empty,
    /// It holds the signing half.
    #[error("it holds a private key; give the public key alone, and replace this one")]
    Private,
    /// It is a shared secret where only public keys can be.
    #[error("it is a shared secret (\"oct\"); give a public key")]
    Symmetric,
    /// A public key was given as a shared secret.
    #[error("the secret is a key in PEM or JSON; use RS*, PS*, ES* or EdDSA, or a random secret")]
    SecretIsKey,
    /// A member of a JWK is absent or no text of the right form.
    #[error("its member \"{0}\" is absent or malformed")]
    Member(&'static str),
    /// The key serves something else than verifying.
    #[error("its member \"{0}\" says that it does not verify signatures")]
    Purpose(&'static str),
    /// The key names an algorithm that is not for keys of its kind.
    #[error("its \"alg\" is none that verifies with such a key")]
    Algorithm,
    /// The kind of key or the curve is none of ours.
    #[error("its type or curve is not supported; use RSA, P-256, P-384 or Ed25519")]
    Type,
    /// The RSA modulus is too short to be safe, or too long to be quick.
    #[error("its RSA modulus has {bits} bits; use {bits_min} to {bits_max}")]
    RsaBits {
        /// How long it is.
        bits: usize,
        /// The least length.
        bits_min: usize,
        /// The greatest length.
        bits_max: usize,
    },
    /// The RSA numbers are no key.
    #[error("its RSA modulus or exponent is even, or the exponent is not 3 to 2^33 - 1")]
    RsaNumbers,
    /// The point is not on its curve, or one with which anybody could sign.
    #[error("its point is not on the curve, or of small order")]
    Point,
    /// None of the listed algorithms verifies with any of the keys.
    #[error("no key is for {0}; give such a key, or list the algorithm of the key")]
    Unfit(TokenAlgorithm),
}
