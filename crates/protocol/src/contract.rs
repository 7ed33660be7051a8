//! Contracts as they travel, and ids that prove their content (spec/protocol.md §2.3).

use crate::tree::{CommonMetadata, Salt, ViewPosition};
use base::{ContractId, Hash, Timestamp};
use crypto::{HashBuilder, HashPurpose};
use std::collections::BTreeSet;
use transaction::{
    ContractInstance, DecodeError,
    codec::{Reader, Writer},
};

/// A contract with what is needed to verify that its id belongs to it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Contract {
    /// The suffixed id.
    pub id: ContractId,
    /// The content; ids inside are suffixed too.
    pub instance: ContractInstance,
    /// Ledger time of the transaction that created it.
    pub created_at: Timestamp,
    /// Secret of those who saw the creation; makes the id unguessable.
    pub salt: Salt,
}

/// First byte of the suffix: how the rest was computed.
const SUFFIX_VERSION: u8 = 1;

impl Contract {
    /// A contract that was created with a local id, given its salt: computes the suffix.
    #[must_use]
    pub fn created(local: &ContractId, instance: ContractInstance, created_at: Timestamp, salt: Salt) -> Self {
        let suffix = suffix(local.prefix(), &instance, created_at, salt);
        let id = ContractId::new(&[local.prefix(), &suffix].concat())
            .expect("a prefix and a suffix of 33 bytes make a contract id of either version");
        Self { id, instance, created_at, salt }
    }

    /// Whether the id's suffix belongs to this content: nobody can find other content for it.
    #[must_use]
    pub fn is_authentic(&self) -> bool {
        self.id.suffix() == suffix(self.id.prefix(), &self.instance, self.created_at, self.salt)
    }

    /// The stakeholders, without cloning them.
    #[must_use]
    pub fn stakeholders(&self) -> &BTreeSet<base::PartyId> {
        &self.instance.stakeholders
    }

    /// Appends the contract in the codec of `transaction`.
    pub fn write(&self, w: &mut Writer) {
        w.bytes(self.id.as_bytes());
        self.instance.write(w);
        w.signed(self.created_at.micros().into());
        w.raw(self.salt.0.as_bytes());
    }

    /// Reads what [`Contract::write`] wrote.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = r.bytes()?;
        let id = ContractId::new(id).map_err(|e| r.invalid(e))?;
        let instance = ContractInstance::read(r)?;
        let micros = r.integer()?;
        let created_at = Timestamp::from_micros(micros).map_err(|e| r.invalid(e))?;
        let salt = Salt(Hash::try_from(r.take(32)?).expect("32 bytes were taken"));
        Ok(Self { id, instance, created_at, salt })
    }

    /// Bytes for storage.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::versioned();
        self.write(&mut writer);
        writer.finish()
    }

    /// Reads what [`Contract::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        reader.version()?;
        let contract = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(contract)
    }
}

fn suffix(prefix: &[u8], instance: &ContractInstance, created_at: Timestamp, salt: Salt) -> Vec<u8> {
    let hash = HashBuilder::new(HashPurpose::Unicum)
        .add_bytes(prefix)
        .add_hash(&salt.0)
        .add_i64(created_at.micros())
        .add_bytes(&instance.encode())
        .finish();
    [&[SUFFIX_VERSION], hash.as_bytes().as_slice()].concat()
}

/// The salt of the `index`-th contract created in the core of a view.
#[must_use]
pub fn contract_salt(view: Salt, common: &CommonMetadata, position: &ViewPosition, index: u32) -> Salt {
    let data = HashBuilder::new(HashPurpose::Salt)
        .add_bytes(&common.uuid.0)
        .add_str(&common.synchronizer.to_string())
        .add_str(&common.mediator.to_string())
        .add_list(position.0.iter(), |b, index| b.add_u32(*index))
        .add_u32(index)
        .finish();
    Salt(crypto::hmac_sha256(view.0.as_bytes(), data.as_bytes()))
}
