//! Hybrid encryption to the holders of P-256 keys (spec/protocol.md §2.5, §7.2): content under AES-128-GCM with a secret
//! of its own, the secret wrapped for each recipient by ECIES (ECDH on P-256, HKDF-SHA-256, AES-128-GCM).
//!
//! Every key that is derived here encrypts one thing, so nonces are zero. Nothing here draws random numbers: the first [`Secret`] of
//! a message must be random and used for that message only.

use crate::{KeyPurpose, PublicKey, hmac_sha256, private::DecryptionKey};
use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
    hkdf,
};
use std::fmt;
use zeroize::Zeroizing;

/// Bytes that encryption adds to the content.
pub const TAG_BYTES: usize = 16;
/// Bytes of a wrapped secret.
pub const WRAPPED_BYTES: usize = 32 + TAG_BYTES;
/// Bytes of a [`Wrapper`]'s public key.
pub const EPHEMERAL_BYTES: usize = 65;

const DERIVED_SECRET: &[u8] = b"concordat derived secret";
const CONTENT_KEY: &[u8] = b"concordat content key";
const WRAPPING_KEY: &[u8] = b"concordat wrapping key";

/// What was received cannot be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecryptionError {
    /// Wrong key, or the bytes were changed.
    #[error("the content does not decrypt: it was changed, or encrypted for somebody else")]
    Content,
    /// Not what the sender's key wraps.
    #[error("the wrapped secret does not decrypt: it was changed, or wrapped for somebody else")]
    Secret,
}

/// A secret from which the key of some content, and further secrets, are derived. Its memory is cleared when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Of 32 random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Another secret for the purpose that `label` names: it says nothing about this one or those of other labels.
    #[must_use]
    pub fn derive(&self, label: &[u8]) -> Self {
        let mut derived = Zeroizing::new([0; 32]);
        expand(self.0.as_slice(), &[DERIVED_SECRET, label], derived.as_mut_slice());
        Self(derived)
    }

    /// Encrypts the one content that this secret is for.
    ///
    /// # Panics
    /// Never: content is far below the 64 GiB that one key can encrypt.
    #[must_use]
    pub fn seal(&self, mut content: Vec<u8>) -> Vec<u8> {
        let key = aead(self.0.as_slice(), &[CONTENT_KEY]);
        key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut content).expect("messages are bounded");
        content
    }

    /// Decrypts it.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, DecryptionError> {
        open(&aead(self.0.as_slice(), &[CONTENT_KEY]), sealed).ok_or(DecryptionError::Content)
    }
}

/// Wraps secrets for recipients, under one ephemeral key.
pub struct Wrapper {
    ephemeral: PrivateKey,
    public: Vec<u8>,
}

impl Wrapper {
    /// With the ephemeral key of the secret, which must be used for nothing else.
    ///
    /// # Panics
    /// Never: some key follows from every secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let ephemeral = private_key(&secret.0);
        let public = ephemeral.compute_public_key().expect("a private key has a public one").as_ref().to_vec();
        Self { ephemeral, public }
    }

    /// Goes with everything that is wrapped: [`EPHEMERAL_BYTES`] bytes.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// What is shared with the holder of a key. `None` if the key is not for encryption.
    #[must_use]
    pub fn agree(&self, recipient: &PublicKey) -> Option<Agreement> {
        if recipient.purpose() != KeyPurpose::Encryption {
            return None;
        }
        agreement(&self.ephemeral, recipient.point(), &self.public, recipient.point())
    }
}

/// What sender and recipient of one message share. Wraps any number of secrets, each under a context of its own.
pub struct Agreement {
    shared: Zeroizing<Vec<u8>>,
    /// Public key of the sender and of the recipient.
    parties: Vec<u8>,
}

impl Agreement {
    /// Encrypts a secret. `context` must differ between the secrets of one agreement.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn wrap(&self, context: &[u8], secret: &Secret) -> Vec<u8> {
        let mut bytes = secret.0.to_vec();
        let key = self.key(context);
        key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut bytes).expect("32 bytes are few");
        bytes
    }

    /// Decrypts it.
    pub fn unwrap(&self, context: &[u8], wrapped: &[u8]) -> Result<Secret, DecryptionError> {
        let bytes = Zeroizing::new(open(&self.key(context), wrapped).ok_or(DecryptionError::Secret)?);
        let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| DecryptionError::Secret)?;
        Ok(Secret::new(bytes))
    }

    fn key(&self, context: &[u8]) -> LessSafeKey {
        aead(&self.shared, &[WRAPPING_KEY, &self.parties, context])
    }
}

impl DecryptionKey {
    /// What is shared with the sender whose [`Wrapper::public`] came with a message.
    pub fn agree(&self, ephemeral: &[u8]) -> Result<Agreement, DecryptionError> {
        agreement(self.private(), ephemeral, ephemeral, self.public().point()).ok_or(DecryptionError::Secret)
    }
}

fn agreement(private: &PrivateKey, peer: &[u8], sender: &[u8], recipient: &[u8]) -> Option<Agreement> {
    let peer = UnparsedPublicKey::new(&ECDH_P256, peer);
    let keep = |shared: &[u8]| Ok(Zeroizing::new(shared.to_vec()));
    let shared = agree(private, peer, (), keep).ok()?;
    Some(Agreement { shared, parties: [sender, recipient].concat() })
}

/// The first private key that follows from a seed: nearly every number of 32 bytes is one.
pub(crate) fn private_key(seed: &[u8; 32]) -> PrivateKey {
    let mut number = hmac_sha256(seed, b"P-256");
    loop {
        match PrivateKey::from_private_key(&ECDH_P256, number.as_bytes()) {
            Ok(key) => return key,
            Err(_) => number = hmac_sha256(seed, number.as_bytes()),
        }
    }
}

fn expand(secret: &[u8], info: &[&[u8]], out: &mut [u8]) {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret);
    let okm = extracted.expand(info, Length(out.len())).expect("keys are shorter than 255 hashes");
    okm.fill(out).expect("the length is that of the buffer");
}

fn aead(secret: &[u8], info: &[&[u8]]) -> LessSafeKey {
    let mut key = Zeroizing::new([0; 16]);
    expand(secret, info, key.as_mut_slice());
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_slice()).expect("the key has 16 bytes"))
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn open(key: &LessSafeKey, sealed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = sealed.to_vec();
    let length = key.open_in_place(nonce(), Aad::empty(), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(n: u8) -> DecryptionKey {
        DecryptionKey::generate(&[n; 32])
    }

    #[test]
    fn a_stored_key_is_the_same_key() {
        let key = key(1);
        let stored = DecryptionKey::from_pkcs8(&key.to_pkcs8()).unwrap();
        assert_eq!(stored.public(), key.public());
        assert_eq!(key.public().purpose(), KeyPurpose::Encryption);
        assert!(DecryptionKey::from_pkcs8(b"none").is_err());
        let (signing, ours) = (crate::private::SigningKey::generate(&[1; 32]), Wrapper::new(&Secret::new([2; 32])));
        assert!(DecryptionKey::from_pkcs8(&signing.to_pkcs8()).is_err());
        assert!(ours.agree(signing.public()).is_none());
    }

    #[test]
    fn derived_secrets_differ_and_do_not_open_each_others_content() {
        let root = Secret::new([7; 32]);
        let (one, other) = (root.derive(b"1"), root.derive(b"2"));
        let sealed = one.seal(b"content".to_vec());
        assert_eq!(one.open(&sealed).unwrap(), b"content");
        assert_eq!(other.open(&sealed), Err(DecryptionError::Content));
        assert_eq!(root.open(&sealed), Err(DecryptionError::Content));
        assert_eq!(root.derive(b"1").open(&sealed).unwrap(), b"content");
    }

    proptest! {
        #[test]
        fn only_the_recipient_reads_and_nobody_changes(
            content in proptest::collection::vec(any::<u8>(), 0..200), seed in any::<[u8; 32]>(), at in any::<usize>(),
        ) {
            let (wrapper, secret) = (Wrapper::new(&Secret::new(seed)), Secret::new(seed).derive(b"view"));
            let sealed = secret.seal(content.clone());
            prop_assert_eq!(sealed.len(), content.len() + TAG_BYTES);
            let wrapped = wrapper.agree(key(1).public()).unwrap().wrap(b"view 1", &secret);
            prop_assert_eq!((wrapped.len(), wrapper.public().len()), (WRAPPED_BYTES, EPHEMERAL_BYTES));

            let agreement = key(1).agree(wrapper.public()).unwrap();
            prop_assert_eq!(agreement.unwrap(b"view 1", &wrapped).unwrap().open(&sealed).unwrap(), content);
            prop_assert!(agreement.unwrap(b"view 2", &wrapped).is_err());
            prop_assert!(key(2).agree(wrapper.public()).unwrap().unwrap(b"view 1", &wrapped).is_err());
            let change = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                let at = at % bytes.len();
                bytes[at] ^= 1;
                bytes
            };
            prop_assert!(agreement.unwrap(b"view 1", &change(&wrapped)).is_err());
            prop_assert!(secret.open(&change(&sealed)).is_err());
        }

        #[test]
        fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(key(1).agree(&bytes).is_err());
            prop_assert!(Secret::new([1; 32]).open(&bytes).is_err());
        }
    }
}
