//! Certificates made for a test.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// One of its own that nobody trusts yet.
    ///
    /// # Panics
    /// If no key can be made.
    #[must_use]
    pub fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = parameters.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    /// Writes `name.crt` and `name.pem`, a certificate for `localhost` and `127.0.0.1`, and its key.
    ///
    /// # Panics
    /// If the folder cannot be written to.
    pub fn issue(&self, folder: &Path, name: &str) {
        let key = KeyPair::generate().expect("a key");
        let parameters =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("a host name");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(folder.join(format!("{name}.crt")), certificate.pem()).expect("a folder");
        fs::write(folder.join(format!("{name}.pem")), key.serialize_pem()).expect("a folder");
    }

    /// Writes what others have to trust.
    ///
    /// # Panics
    /// If the folder cannot be written to.
    #[must_use]
    pub fn trust(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, &self.pem).expect("a folder");
        path
    }
}
