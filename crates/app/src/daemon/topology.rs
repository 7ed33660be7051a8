//! Topology on the admin API.

use ::base::{Coded, ErrorCode, Timestamp, codes};
use ::topology::{SignedTopologyTransaction, StoredTransaction};
use ::wire::concordat::admin::v1::StoredTopology;

/// A message of the admin API cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(pub(crate) String);

impl Coded for Unreadable {
    fn code(&self) -> ErrorCode {
        codes::INVALID_ARGUMENT
    }

    fn definite_answer(&self) -> bool {
        true
    }
}

/// What is said of a value that cannot be read.
pub(crate) fn unreadable(error: impl std::fmt::Display) -> Unreadable {
    Unreadable(error.to_string())
}

pub(crate) fn to_wire(topology: &[StoredTransaction]) -> Vec<StoredTopology> {
    let stored = |t: &StoredTransaction| StoredTopology {
        transaction: t.transaction.encode(),
        sequenced: t.sequenced.micros(),
        effective: t.effective.micros(),
    };
    topology.iter().map(stored).collect()
}

pub(crate) fn from_wire(topology: &[StoredTopology]) -> Result<Vec<StoredTransaction>, Unreadable> {
    let time = |micros| Timestamp::from_micros(micros).map_err(unreadable);
    let stored = |t: &StoredTopology| {
        Ok(StoredTransaction {
            transaction: SignedTopologyTransaction::decode(&t.transaction).map_err(unreadable)?,
            sequenced: time(t.sequenced)?,
            effective: time(t.effective)?,
        })
    };
    topology.iter().map(stored).collect()
}
