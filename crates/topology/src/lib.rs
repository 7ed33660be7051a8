//! Who is who on a synchronizer: topology transactions, who may sign them, and what is in force at a time
//! (spec/protocol.md §6).
//!
//! Every node may use this room. It decides nothing about admission (that is `manager-core`) and sends nothing: it
//! applies sequenced transactions to a [`TopologyState`] and answers questions through a [`Snapshot`].

pub mod build;
mod encode;
mod malformed;
mod mapping;
mod message;
mod parameters;
mod snapshot;
mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod transaction;

pub use malformed::Malformed;
pub use mapping::{Authority, Mapping, MappingKey, Permission, Side, TrustLevel};
pub use message::{MAX_BATCH, RegisterRequest, RegisterResponse, Registration, TopologyContent, TopologyMessage};
pub use parameters::{Parameters, ParametersError};
pub use snapshot::{Gap, Snapshot, WrongSigner};
pub use state::{Outcome, Rejection, TopologyState};
pub use transaction::{Operation, SignedTopologyTransaction, StoredTransaction, TopologyTransaction, VERSION};
