//! Private keys over bytes that the caller gives. The room `identity` draws the seeds and keeps the keys.

use crate::{KeyError, KeyScheme, PublicKey, Signature, SignatureFormat, encryption::private_key};
use aws_lc_rs::{
    agreement::{ECDH_P256, PrivateKey},
    encoding::{AsDer as _, Pkcs8V1Der},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base::Hash;
use std::sync::Arc;
use zeroize::Zeroizing;

/// An Ed25519 private key. It has no `Debug`, and its memory is cleared when it is dropped
/// (by the library, which keeps it).
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SigningKey {
    /// The key of a seed. `seed` must come from a cryptographic random source and be used once; with the same seed
    /// the same key results (which tests and simulations rely on).
    #[must_use]
    pub fn generate(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are an Ed25519 seed");
        Self::of(pair)
    }

    /// A key that was stored with [`SigningKey::to_pkcs8`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        Ed25519KeyPair::from_pkcs8(der).map(Self::of).map_err(|_| KeyError::NotPkcs8(KeyScheme::Ed25519))
    }

    fn of(pair: Ed25519KeyPair) -> Self {
        let public = PublicKey::ed25519(pair.public_key().as_ref()).expect("a key pair has a valid public key");
        Self { pair, public }
    }

    /// The private key as PKCS#8 (RFC 5958, with the public key), to be stored.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let document = self.pair.to_pkcs8().expect("a valid key pair can be encoded");
        Zeroizing::new(document.as_ref().to_vec())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a hash. The same key and hash give the same signature.
    #[must_use]
    pub fn sign(&self, hash: &Hash) -> Signature {
        Signature {
            format: SignatureFormat::Ed25519,
            bytes: self.pair.sign(hash.as_bytes()).as_ref().to_vec(),
            signed_by: self.public.fingerprint().clone(),
        }
    }
}

/// A P-256 private key for decryption. It has no `Debug`, and its memory is cleared when it is dropped (by the library,
/// which keeps it). Cheap to clone: all clones share the key.
#[derive(Clone)]
pub struct DecryptionKey {
    private: Arc<PrivateKey>,
    public: PublicKey,
}

impl DecryptionKey {
    /// The key of a seed. `seed` must come from a cryptographic random source and be used once; with the same seed
    /// the same key results (which tests and simulations rely on).
    #[must_use]
    pub fn generate(seed: &[u8; 32]) -> Self {
        Self::of(private_key(seed))
    }

    /// A key that was stored with [`DecryptionKey::to_pkcs8`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let private = PrivateKey::from_private_key_der(&ECDH_P256, der);
        private.map(Self::of).map_err(|_| KeyError::NotPkcs8(KeyScheme::EciesP256))
    }

    fn of(private: PrivateKey) -> Self {
        let point = private.compute_public_key().expect("a private key has a public one");
        let public = PublicKey::ecies_p256(point.as_ref()).expect("a key pair has a valid public key");
        Self { private: Arc::new(private), public }
    }

    /// The private key as PKCS#8 (RFC 5208), to be stored.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let document: Pkcs8V1Der<'_> = self.private.as_der().expect("a valid private key can be encoded");
        Zeroizing::new(document.as_ref().to_vec())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn private(&self) -> &PrivateKey {
        &self.private
    }
}
