//! Certificates for TLS tests: an authority of the test's own and leaves for given names.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
};

/// A certificate authority that lives as long as the test.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate that an [`Authority`] issued, with its private key.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// The private key in PEM (PKCS #8).
    pub key_pem: String,
}

impl Authority {
    /// Makes a fresh authority.
    ///
    /// # Panics
    /// When no key can be made.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "farmgate test authority");
        let key = KeyPair::generate().expect("a key pair");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a self-signed certificate");
        Self { issuer }
    }

    /// The authority's own certificate in PEM, for clients to trust.
    pub fn pem(&self) -> String {
        self.certificate().pem()
    }

    /// Issues a certificate for these DNS names or IP addresses.
    ///
    /// # Panics
    /// When a name is neither.
    pub fn issue<const N: usize>(&self, names: [&str; N]) -> Leaf {
        let params = CertificateParams::new(names.map(str::to_owned).to_vec())
            .unwrap_or_else(|error| panic!("cannot issue for {names:?}: {error}"));
        let key = KeyPair::generate().expect("a key pair");
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate");
        Leaf { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    /// The authority's own certificate in DER.
    pub(crate) fn der(&self) -> &[u8] {
        self.certificate().der()
    }

    fn certificate(&self) -> &Certificate {
        self.issuer.as_ref()
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issued_leaf_is_written_in_pem() {
        let authority = Authority::new();
        let leaf = authority.issue(["a.example", "127.0.0.1"]);
        assert!(leaf.certificate_pem.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(leaf.key_pem.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert_ne!(authority.pem(), leaf.certificate_pem);
    }
}
