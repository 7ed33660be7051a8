//! Topology transactions as they are signed and sent.

use crate::{Malformed, Mapping, MappingKey};
use base::{Fingerprint, Hash, Timestamp};
use bytes::Bytes;
use crypto::{HashBuilder, HashPurpose, Signature};
use prost::Message as _;
use wire::concordat::topology::v1 as proto;

/// The version of every topology message that this node writes, and the only one it reads.
pub const VERSION: u32 = 1;
/// Signatures on one transaction.
const MAX_SIGNATURES: usize = 100;

/// What a transaction does to the statement under its mapping's key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Operation {
    /// From now on this is so, whatever was before.
    AddReplace,
    /// It holds no longer.
    Remove,
}

/// A statement to be signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopologyTransaction {
    /// What it does.
    pub operation: Operation,
    /// Greater than that of every earlier transaction under the same key, so that no transaction has effect twice.
    pub serial: u32,
    /// The statement.
    pub mapping: Mapping,
}

/// A transaction with its signatures. Keeps the bytes that were signed; equal if transaction and signatures are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedTopologyTransaction {
    bytes: Bytes,
    transaction: TopologyTransaction,
    signatures: Vec<Signature>,
}

/// A transaction that was accepted, with its times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredTransaction {
    /// What was accepted.
    pub transaction: SignedTopologyTransaction,
    /// The sequencing time of the message that carried it.
    pub sequenced: Timestamp,
    /// It is in force at every time after this one.
    pub effective: Timestamp,
}

impl TopologyTransaction {
    /// The first statement under its key.
    #[must_use]
    pub fn add(mapping: Mapping) -> Self {
        Self { operation: Operation::AddReplace, serial: 1, mapping }
    }

    /// The bytes that are signed. Equal transactions give equal bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        proto::TopologyTransaction::from(self).encode_to_vec().into()
    }

    /// What is signed: the hash of [`TopologyTransaction::encode`].
    #[must_use]
    pub fn hash(&self) -> Hash {
        hash(&self.encode())
    }

    /// Reads what [`TopologyTransaction::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        (&proto::TopologyTransaction::decode(bytes)?).try_into()
    }

    /// Adds signatures over [`TopologyTransaction::hash`].
    #[must_use]
    pub fn signed(self, signatures: Vec<Signature>) -> SignedTopologyTransaction {
        SignedTopologyTransaction { bytes: self.encode(), transaction: self, signatures }
    }
}

fn hash(bytes: &[u8]) -> Hash {
    HashBuilder::new(HashPurpose::TopologyTransaction).add_bytes(bytes).finish()
}

impl SignedTopologyTransaction {
    /// The statement.
    #[must_use]
    pub fn transaction(&self) -> &TopologyTransaction {
        &self.transaction
    }

    /// What it says.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.transaction.mapping
    }

    /// What it is about.
    #[must_use]
    pub fn key(&self) -> MappingKey {
        self.transaction.mapping.key()
    }

    /// All signatures; whether they hold and suffice is decided by [`crate::TopologyState`].
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Fingerprints of the keys that are said to have signed.
    pub fn signers(&self) -> impl Iterator<Item = &Fingerprint> {
        self.signatures.iter().map(|s| &s.signed_by)
    }

    /// Hash of the bytes that were signed; names the transaction.
    #[must_use]
    pub fn hash(&self) -> Hash {
        hash(&self.bytes)
    }

    /// Bytes for storage and for files.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        proto::SignedTopologyTransaction::from(self).encode_to_vec().into()
    }

    /// Reads what [`SignedTopologyTransaction::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        (&proto::SignedTopologyTransaction::decode(bytes)?).try_into()
    }
}

impl From<&SignedTopologyTransaction> for proto::SignedTopologyTransaction {
    fn from(signed: &SignedTopologyTransaction) -> Self {
        Self {
            version: VERSION,
            transaction: signed.bytes.clone(),
            signatures: signed.signatures.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<&proto::SignedTopologyTransaction> for SignedTopologyTransaction {
    type Error = Malformed;
    fn try_from(message: &proto::SignedTopologyTransaction) -> Result<Self, Malformed> {
        Malformed::check_version("signed topology transaction", message.version, VERSION)?;
        Malformed::check_length("signatures", message.signatures.len(), MAX_SIGNATURES)?;
        let transaction = TopologyTransaction::decode(&message.transaction)?;
        let signatures = message.signatures.iter().map(Signature::try_from).collect::<Result<_, _>>()?;
        Ok(Self { bytes: message.transaction.clone(), transaction, signatures })
    }
}

impl From<&StoredTransaction> for proto::StoredTopologyTransaction {
    fn from(stored: &StoredTransaction) -> Self {
        Self {
            transaction: Some((&stored.transaction).into()),
            sequenced: stored.sequenced.micros(),
            effective: stored.effective.micros(),
        }
    }
}

impl TryFrom<&proto::StoredTopologyTransaction> for StoredTransaction {
    type Error = Malformed;
    fn try_from(message: &proto::StoredTopologyTransaction) -> Result<Self, Malformed> {
        let transaction = message.transaction.as_ref().ok_or(Malformed::Missing("transaction"))?;
        Ok(Self {
            transaction: transaction.try_into()?,
            sequenced: Timestamp::from_micros(message.sequenced)?,
            effective: Timestamp::from_micros(message.effective)?,
        })
    }
}
