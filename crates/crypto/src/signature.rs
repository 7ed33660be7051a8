//! Signatures over hashes, and comparisons in constant time.

use crate::{KeyScheme, PublicKey};
use aws_lc_rs::constant_time;
use base::{Fingerprint, Hash, InvalidId};
use std::fmt;
use wire::concordat::crypto::v1 as proto;

/// How the bytes of a signature are to be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SignatureFormat {
    /// R and S of Ed25519, 64 bytes.
    Ed25519,
    /// DER sequence of r and s.
    EcdsaDer,
}

/// A signature over a [`Hash`], and whose key is said to have made it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    /// How to read the bytes.
    pub format: SignatureFormat,
    /// The signature.
    pub bytes: Vec<u8>,
    /// Fingerprint of the signing key.
    pub signed_by: Fingerprint,
}

/// Longest signature of any scheme we know, with room for those to come.
const MAX_SIGNATURE_BYTES: usize = 4096;

/// A signature cannot be read, or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Verification failed.
    #[error("the signature by key {0} does not verify; the content was changed or another key signed it")]
    Invalid(Fingerprint),
    /// The key offered is not the one that the signature names.
    #[error("the signature names key {signed_by}, not {offered}")]
    OtherKey {
        /// The key that the signature names.
        signed_by: Fingerprint,
        /// The key that was to verify it.
        offered: Fingerprint,
    },
    /// The signer's fingerprint is malformed.
    #[error(transparent)]
    Signer(#[from] InvalidId),
    /// No format that this version knows.
    #[error("signature format {0} is unknown to this version; upgrade this node")]
    UnknownFormat(i32),
    /// Longer than any signature.
    #[error("a signature of {0} bytes is longer than any known one")]
    TooLong(usize),
    /// A message that must be signed is not.
    #[error("the signature is missing")]
    Missing,
}

impl Signature {
    /// Checks that `key` made this signature over `hash`.
    pub fn verify(&self, hash: &Hash, key: &PublicKey) -> Result<(), SignatureError> {
        if self.signed_by != *key.fingerprint() {
            let (signed_by, offered) = (self.signed_by.clone(), key.fingerprint().clone());
            return Err(SignatureError::OtherKey { signed_by, offered });
        }
        let fits = match key.scheme() {
            KeyScheme::Ed25519 => self.format == SignatureFormat::Ed25519,
            KeyScheme::EcdsaP256 | KeyScheme::EcdsaP384 => self.format == SignatureFormat::EcdsaDer,
            KeyScheme::EciesP256 => false,
        };
        if fits && key.verifies(hash.as_bytes(), &self.bytes) {
            Ok(())
        } else {
            Err(SignatureError::Invalid(self.signed_by.clone()))
        }
    }

    /// Reads a field that must be there.
    pub fn required(message: Option<&proto::Signature>) -> Result<Self, SignatureError> {
        message.ok_or(SignatureError::Missing)?.try_into()
    }
}

/// Verifies many signatures. All must hold; the error says which one (its index) was the first that does not.
pub fn verify_all<'a>(
    items: impl IntoIterator<Item = (&'a Signature, &'a Hash, &'a PublicKey)>,
) -> Result<(), (usize, SignatureError)> {
    items
        .into_iter()
        .enumerate()
        .try_for_each(|(index, (signature, hash, key))| signature.verify(hash, key).map_err(|e| (index, e)))
}

/// Compares secrets (tokens, passwords, tags) in a time that depends only on their lengths.
#[must_use]
pub fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:?} by {})", self.format, self.signed_by)
    }
}

impl From<&Signature> for proto::Signature {
    fn from(signature: &Signature) -> Self {
        let format = match signature.format {
            SignatureFormat::Ed25519 => proto::SignatureFormat::Ed25519,
            SignatureFormat::EcdsaDer => proto::SignatureFormat::EcdsaDer,
        };
        Self {
            format: format.into(),
            signature: signature.bytes.clone().into(),
            signed_by: signature.signed_by.as_str().to_owned(),
        }
    }
}

impl TryFrom<&proto::Signature> for Signature {
    type Error = SignatureError;
    fn try_from(message: &proto::Signature) -> Result<Self, SignatureError> {
        let format = match message.format() {
            proto::SignatureFormat::Ed25519 => SignatureFormat::Ed25519,
            proto::SignatureFormat::EcdsaDer => SignatureFormat::EcdsaDer,
            proto::SignatureFormat::Unspecified => return Err(SignatureError::UnknownFormat(message.format)),
        };
        if message.signature.len() > MAX_SIGNATURE_BYTES {
            return Err(SignatureError::TooLong(message.signature.len()));
        }
        Ok(Self { format, bytes: message.signature.to_vec(), signed_by: Fingerprint::new(&message.signed_by)? })
    }
}
