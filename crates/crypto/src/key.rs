//! Public keys and their fingerprints (spec/protocol.md §6.1, §7.2).

use crate::{HashBuilder, HashPurpose};
use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use base::Fingerprint;
use std::{fmt, sync::Arc};
use wire::concordat::crypto::v1 as proto;

/// What a key may be used for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum KeyPurpose {
    /// Signing and verifying.
    Signing,
    /// Encrypting to its holder.
    Encryption,
}

/// The algorithm that a key belongs to. The default for signing is [`KeyScheme::Ed25519`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum KeyScheme {
    /// Ed25519 signatures.
    Ed25519,
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384,
    /// ECIES on P-256: for encryption.
    EciesP256,
}

impl KeyScheme {
    /// What keys of this scheme are for.
    #[must_use]
    pub fn purpose(self) -> KeyPurpose {
        match self {
            Self::Ed25519 | Self::EcdsaP256 | Self::EcdsaP384 => KeyPurpose::Signing,
            Self::EciesP256 => KeyPurpose::Encryption,
        }
    }

    fn algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Ed25519 => &signature::ED25519,
            // For ECIES only the point is checked with it.
            Self::EcdsaP256 | Self::EciesP256 => &signature::ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP384 => &signature::ECDSA_P384_SHA384_ASN1,
        }
    }

    /// What a `SubjectPublicKeyInfo` of this scheme begins with, and how long it is. Only this one encoding is taken:
    /// a key with two encodings would have two fingerprints.
    fn der_form(self) -> (&'static [u8], usize) {
        const P256: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
        const P384: &[u8] =
            b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04";
        match self {
            Self::Ed25519 => (ED25519_PREFIX, ED25519_PREFIX.len() + 32),
            Self::EcdsaP256 | Self::EciesP256 => (P256, P256.len() + 64),
            Self::EcdsaP384 => (P384, P384.len() + 96),
        }
    }
}

const ED25519_PREFIX: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// Bytes or message are not a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the DER form of the scheme, or not a point on the curve.
    #[error("the key is not a DER SubjectPublicKeyInfo of scheme {0:?}; export it again in that form")]
    NotOfScheme(KeyScheme),
    /// The message names no scheme that this version knows.
    #[error("key scheme {0} is unknown to this version; upgrade this node or use Ed25519")]
    UnknownScheme(i32),
    /// The message's purpose is not the scheme's.
    #[error("key purpose {0} does not fit the key's scheme")]
    WrongPurpose(i32),
    /// Bytes are not a private key in PKCS#8, or not of the scheme.
    #[error("the bytes are not a private key of scheme {0:?} in PKCS#8")]
    NotPkcs8(KeyScheme),
}

/// A valid public key, as DER `SubjectPublicKeyInfo`. Cheap to clone; equal and ordered by its fingerprint.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    scheme: KeyScheme,
    fingerprint: Fingerprint,
    parsed: ParsedPublicKey,
}

impl PublicKey {
    /// Checks that the bytes are a key of the scheme: its one DER form, a point on the curve.
    pub fn new(scheme: KeyScheme, der: &[u8]) -> Result<Self, KeyError> {
        let (prefix, length) = scheme.der_form();
        if der.len() != length || !der.starts_with(prefix) {
            return Err(KeyError::NotOfScheme(scheme));
        }
        let parsed = ParsedPublicKey::new(scheme.algorithm(), der).map_err(|_| KeyError::NotOfScheme(scheme))?;
        let hash = HashBuilder::new(HashPurpose::KeyFingerprint).add_bytes(der).finish();
        Ok(Self(Arc::new(Inner { scheme, fingerprint: Fingerprint::of(&hash), parsed })))
    }

    /// An Ed25519 key from its 32 raw bytes.
    pub fn ed25519(raw: &[u8]) -> Result<Self, KeyError> {
        Self::new(KeyScheme::Ed25519, &[ED25519_PREFIX, raw].concat())
    }

    /// A P-256 key for encryption from its point, uncompressed: 65 bytes.
    pub fn ecies_p256(point: &[u8]) -> Result<Self, KeyError> {
        let (prefix, _) = KeyScheme::EciesP256.der_form();
        Self::new(KeyScheme::EciesP256, &[prefix, point.get(1..).unwrap_or_default()].concat())
    }

    /// The algorithm.
    #[must_use]
    pub fn scheme(&self) -> KeyScheme {
        self.0.scheme
    }

    /// What it may be used for.
    #[must_use]
    pub fn purpose(&self) -> KeyPurpose {
        self.0.scheme.purpose()
    }

    /// DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.0.parsed.as_ref()
    }

    /// Hash of the DER bytes with the purpose of fingerprints.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.0.fingerprint
    }

    /// For a key on P-256: its point, uncompressed.
    pub(crate) fn point(&self) -> &[u8] {
        let (prefix, _) = self.scheme().der_form();
        // The prefix ends with the byte that begins an uncompressed point.
        &self.der()[prefix.len() - 1..]
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.purpose() == KeyPurpose::Signing && self.0.parsed.verify_sig(message, signature).is_ok()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for PublicKey {}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    /// By fingerprint; the scheme decides between the two uses of one point on P-256.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.fingerprint(), self.scheme()).cmp(&(other.fingerprint(), other.scheme()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?} {})", self.scheme(), self.fingerprint())
    }
}

impl From<&PublicKey> for proto::PublicKey {
    fn from(key: &PublicKey) -> Self {
        let purpose = match key.purpose() {
            KeyPurpose::Signing => proto::KeyPurpose::Signing,
            KeyPurpose::Encryption => proto::KeyPurpose::Encryption,
        };
        let scheme = match key.scheme() {
            KeyScheme::Ed25519 => proto::KeyScheme::Ed25519,
            KeyScheme::EcdsaP256 => proto::KeyScheme::EcdsaP256,
            KeyScheme::EcdsaP384 => proto::KeyScheme::EcdsaP384,
            KeyScheme::EciesP256 => proto::KeyScheme::EciesP256,
        };
        Self { purpose: purpose.into(), scheme: scheme.into(), key: key.der().to_vec().into() }
    }
}

impl TryFrom<&proto::PublicKey> for PublicKey {
    type Error = KeyError;
    fn try_from(message: &proto::PublicKey) -> Result<Self, KeyError> {
        let scheme = match message.scheme() {
            proto::KeyScheme::Ed25519 => KeyScheme::Ed25519,
            proto::KeyScheme::EcdsaP256 => KeyScheme::EcdsaP256,
            proto::KeyScheme::EcdsaP384 => KeyScheme::EcdsaP384,
            proto::KeyScheme::EciesP256 => KeyScheme::EciesP256,
            proto::KeyScheme::Unspecified => return Err(KeyError::UnknownScheme(message.scheme)),
        };
        let key = Self::new(scheme, &message.key)?;
        if proto::PublicKey::from(&key).purpose != message.purpose {
            return Err(KeyError::WrongPurpose(message.purpose));
        }
        Ok(key)
    }
}
