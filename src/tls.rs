//! Do a certificate and a key make a TLS listener, and do authorities make a trusted server?
//!
//! Pingora panics on files that it cannot use, so they are read and matched here first.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// The files of one TLS listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM, the leaf first.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// What is wrong with the files of a TLS listener.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM.
    #[error("{} cannot be read: {problem}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        problem: String,
    },
    /// There is no certificate in the file.
    #[error("{} holds no certificate; write the PEM with the leaf first", .0.display())]
    Empty(PathBuf),
    /// The key is of a kind that TLS does not use here.
    #[error("the key in {} cannot be used: {problem}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// Why.
        problem: String,
    },
    /// The key belongs to another certificate.
    #[error("{} is not the key of {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

/// What is wrong with a file of authorities.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// It is no PEM.
    #[error("is no PEM of certificates: {0}")]
    Broken(String),
    /// There is none.
    #[error("holds no certificate; write those of the authorities in PEM")]
    Empty,
}

/// Checks that a text names authorities that may vouch for a server.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_authorities(pem: &[u8]) -> Result<(), AuthoritiesError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        certificate
            .map_err(|error| error.to_string())
            .and_then(|certificate| store.add(certificate).map_err(|error| error.to_string()))
            .map_err(AuthoritiesError::Broken)?;
    }
    if store.is_empty() { Err(AuthoritiesError::Empty) } else { Ok(()) }
}

/// Reads both files and checks that they belong together.
///
/// # Errors
///
/// What is wrong, with the file's name.
pub fn check(certificate: &Path, key: &Path) -> Result<(), TlsError> {
    let unreadable = |file: &Path, error: &dyn std::fmt::Display| TlsError::Unreadable {
        file: file.to_owned(),
        problem: error.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .map_err(|error| unreadable(certificate, &error))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(certificate, &error))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(certificate.to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    let signer = ring::sign::any_supported_type(&private)
        .map_err(|error| TlsError::Key { file: key.to_owned(), problem: error.to_string() })?;
    CertifiedKey::new(chain, signer).keys_match().map_err(|_| TlsError::Mismatch {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    })
}
