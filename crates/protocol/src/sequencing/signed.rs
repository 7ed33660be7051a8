//! Signed bytes. What is signed is the encoding as it came, never an encoding made anew.

use super::{DecodeError, VERSION, known_version};
use base::Hash;
use bytes::Bytes;
use crypto::Signature;
use prost::Message as _;
use wire::concordat::sequencer::v1 as proto;

/// A message that is signed as a whole.
pub trait Signable: Sized {
    /// The bytes to be signed.
    fn encode(&self) -> Bytes;
    /// Reads and checks the bytes.
    fn decode(bytes: Bytes) -> Result<Self, DecodeError>;
    /// The hash that is signed, under this message's own purpose.
    fn hash(bytes: &[u8]) -> Hash;
}

/// Bytes with a signature that has not been verified yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedContent {
    /// An encoded [`Signable`].
    pub content: Bytes,
    /// Over the hash of `content`.
    pub signature: Signature,
}

impl SignedContent {
    /// Signs an encoded message; `sign` makes a signature over a hash.
    pub fn sign<M: Signable, E>(content: Bytes, sign: impl FnOnce(&Hash) -> Result<Signature, E>) -> Result<Self, E> {
        let signature = sign(&M::hash(&content))?;
        Ok(Self { content, signature })
    }

    /// Verifies with the key that the signature names, then reads. `key` looks a fingerprint up among the keys that
    /// are valid for the signer.
    pub fn verify<M: Signable>(&self, key: &crypto::PublicKey) -> Result<M, DecodeError> {
        self.signature.verify(&M::hash(&self.content), key)?;
        M::decode(self.content.clone())
    }

    /// The bytes that travel.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let message = proto::SignedContent {
            version: VERSION,
            content: self.content.clone(),
            signature: Some((&self.signature).into()),
        };
        message.encode_to_vec().into()
    }

    /// Reads bytes that travelled; the signature is yet to be verified.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, DecodeError> {
        let message = proto::SignedContent::decode(bytes).map_err(|_| DecodeError::Malformed("signed content"))?;
        known_version(message.version)?;
        Ok(Self { content: message.content, signature: Signature::required(message.signature.as_ref())? })
    }
}
