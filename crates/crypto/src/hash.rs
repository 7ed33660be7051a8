//! SHA-256 with purposes, and HMAC-SHA-256 (spec/protocol.md §7.4).

use aws_lc_rs::{digest, hmac};
use base::Hash;

/// What a hash is for. Its number is hashed first, so that bytes of one kind can never pass for another kind.
///
/// Numbers below 1000 are the field's, those from 1000 on are ours; none is ever used again for something else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u32)]
pub enum HashPurpose {
    /// An event as the sequencer signs it.
    SequencedEvent = 1,
    /// An inner node of a Merkle tree.
    MerkleInner = 3,
    /// The leaf that says who submits.
    SubmitterMetadata = 5,
    /// The leaf that all recipients of a request see.
    CommonMetadata = 6,
    /// The leaf for participants only.
    ParticipantMetadata = 7,
    /// The leaf of a view that the mediator sees.
    ViewCommonData = 8,
    /// The leaf of a view that its informees' participants see.
    ViewParticipantData = 9,
    /// A topology transaction.
    TopologyTransaction = 11,
    /// A public key, for its fingerprint.
    KeyFingerprint = 12,
    /// The nonce that a member signs to authenticate.
    AuthenticationToken = 14,
    /// A participant's confirmation responses.
    ConfirmationResponses = 16,
    /// A mediator's verdict.
    ConfirmationResult = 17,
    /// A manager's message with topology transactions.
    TopologyMessage = 21,
    /// A participant's commitment to its active contracts.
    AcsCommitment = 22,
    /// The suffix of a contract id.
    Unicum = 29,
    /// The number of a database lock.
    DbLockId = 33,
    /// A request to the sequencer.
    SubmissionRequest = 35,
    /// A member's acknowledgement.
    Acknowledgement = 36,
    /// The namespace that several namespaces own together.
    DecentralizedNamespace = 37,
    /// A signed message between nodes, where no number of its own exists.
    SignedProtocolMessage = 38,
    /// The root hash of a request, as the submitting participant signs it.
    RootHashSignature = 1001,
    /// Who submits which command: the key of deduplication.
    ChangeId = 1002,
    /// A salt or seed derived from a transaction's seed.
    Salt = 1003,
    /// The element id of a topology mapping.
    TopologyElement = 1004,
    /// The content and recipients of an envelope.
    Envelope = 1005,
}

impl HashPurpose {
    /// The number that is hashed.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }
}

/// SHA-256 of the bytes as they are, without a purpose: for values whose hash is fixed by others (a package id).
#[must_use]
pub fn sha256(data: &[u8]) -> Hash {
    finished(digest::digest(&digest::SHA256, data))
}

/// HMAC-SHA-256 of `data` under `key`.
#[must_use]
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> Hash {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    Hash::try_from(tag.as_ref()).expect("a SHA-256 tag has 32 bytes")
}

fn finished(digest: digest::Digest) -> Hash {
    Hash::try_from(digest.as_ref()).expect("a SHA-256 digest has 32 bytes")
}

/// Hashes fields one after another: the purpose (u32, big-endian), then each field with its length (u32,
/// big-endian) before its bytes, so that no two lists of fields hash the same bytes.
#[derive(Clone)]
pub struct HashBuilder(digest::Context);

impl HashBuilder {
    /// Begins with the purpose.
    #[must_use]
    pub fn new(purpose: HashPurpose) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&purpose.number().to_be_bytes());
        Self(context)
    }

    /// Bytes with their length before them.
    ///
    /// # Panics
    /// If `bytes` has 4 GiB or more; every message is bounded far below.
    #[must_use]
    pub fn add_bytes(mut self, bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).expect("fields are bounded by the size of a message");
        self.0.update(&length.to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// The UTF-8 bytes of a text.
    #[must_use]
    pub fn add_str(self, text: &str) -> Self {
        self.add_bytes(text.as_bytes())
    }

    /// A number of 4 bytes, big-endian.
    #[must_use]
    pub fn add_u32(self, number: u32) -> Self {
        self.add_bytes(&number.to_be_bytes())
    }

    /// A number of 8 bytes, big-endian.
    #[must_use]
    pub fn add_u64(self, number: u64) -> Self {
        self.add_bytes(&number.to_be_bytes())
    }

    /// A number of 8 bytes, big-endian two's complement.
    #[must_use]
    pub fn add_i64(self, number: i64) -> Self {
        self.add_bytes(&number.to_be_bytes())
    }

    /// One byte, 0 or 1.
    #[must_use]
    pub fn add_bool(self, flag: bool) -> Self {
        self.add_bytes(&[u8::from(flag)])
    }

    /// The 32 bytes of a hash.
    #[must_use]
    pub fn add_hash(self, hash: &Hash) -> Self {
        self.add_bytes(hash.as_bytes())
    }

    /// Absent and present are told apart by a byte before the field.
    #[must_use]
    pub fn add_option<T>(self, field: Option<T>, add: impl FnOnce(Self, T) -> Self) -> Self {
        match field {
            None => self.add_bool(false),
            Some(value) => add(self.add_bool(true), value),
        }
    }

    /// The number of elements, then each element.
    #[must_use]
    pub fn add_list<T>(self, list: impl ExactSizeIterator<Item = T>, add: impl FnMut(Self, T) -> Self) -> Self {
        let length = u32::try_from(list.len()).expect("lists are bounded by the size of a message");
        list.fold(self.add_u32(length), add)
    }

    /// The hash of everything added.
    #[must_use]
    pub fn finish(self) -> Hash {
        finished(self.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_answers() {
        // FIPS 180-2 "abc", RFC 4231 test case 2.
        assert_eq!(sha256(b"abc").to_hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(
            hmac_sha256(b"Jefe", b"what do ya want for nothing?").to_hex(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn purpose_comes_first_then_length_and_bytes() {
        let built = HashBuilder::new(HashPurpose::Unicum).add_bytes(b"ab").add_u32(7).finish();
        assert_eq!(built, sha256(&[&[0, 0, 0, 29, 0, 0, 0, 2][..], b"ab", &[0, 0, 0, 4, 0, 0, 0, 7]].concat()));
    }

    proptest! {
        #[test]
        fn field_boundaries_matter(a: Vec<u8>, b: Vec<u8>, c: Vec<u8>, d: Vec<u8>) {
            let hash = |x: &[u8], y: &[u8]| HashBuilder::new(HashPurpose::Envelope).add_bytes(x).add_bytes(y).finish();
            prop_assert_eq!(hash(&a, &b) == hash(&c, &d), (a, b) == (c, d));
        }
    }
}
