//! Seeds make interpretation repeatable: from one seed per submission follow a seed per node and the id of every
//! created contract (spec/daml-lf.md §3.5).

use crate::Parties;
use base::{ContractId, Hash, ParticipantId, Timestamp};

/// The seed of a transaction, from the random seed of its submission.
#[must_use]
pub fn transaction_seed(submission: &Hash, participant: &ParticipantId, preparation: Timestamp) -> Hash {
    let mut data = Vec::new();
    add_text(&mut data, &participant.to_string());
    data.extend(preparation.micros().to_be_bytes());
    crypto::hmac_sha256(submission.as_bytes(), &data)
}

/// The seed of a node, from the seed of its parent (the transaction's for roots). `child` counts the actions before
/// it: creates, exercises, fetches, queries, also those in rolled-back scopes, but not the rollbacks themselves.
#[must_use]
pub fn node_seed(parent: &Hash, child: u32) -> Hash {
    crypto::hmac_sha256(parent.as_bytes(), &child.to_be_bytes())
}

/// What makes the id of a contract unique before it has its suffix.
#[must_use]
pub fn discriminator(node_seed: &Hash, preparation: Timestamp, stakeholders: &Parties) -> Hash {
    let mut data = preparation.micros().to_be_bytes().to_vec();
    add_parties(&mut data, stakeholders);
    crypto::hmac_sha256(node_seed.as_bytes(), &data)
}

/// The local id of a contract that a create node with this seed makes.
#[must_use]
pub fn local_contract_id(node_seed: &Hash, preparation: Timestamp, stakeholders: &Parties) -> ContractId {
    let discriminator = discriminator(node_seed, preparation, stakeholders);
    ContractId::v1(&discriminator, &[]).expect("an empty suffix is within bounds")
}

/// A length or count as the field hashes it: 4 bytes, big-endian.
pub(crate) fn add_length(data: &mut Vec<u8>, length: usize) {
    data.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

pub(crate) fn add_text(data: &mut Vec<u8>, text: &str) {
    add_length(data, text.len());
    data.extend(text.as_bytes());
}

pub(crate) fn add_parties(data: &mut Vec<u8>, parties: &Parties) {
    add_length(data, parties.len());
    parties.iter().for_each(|party| add_text(data, party.as_str()));
}
