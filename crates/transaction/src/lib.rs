//! What the language leaves behind: values, nodes, transactions, and the facts that follow from them without
//! interpreting anything: who is informed, who must authorize, which seeds and contract ids, which bytes.
//!
//! `engine` makes transactions, `protocol` cuts them into views, `ledger` shows them. This room knows neither
//! packages nor types: a value is checked against its type by `engine`. Nothing here recurses on the Rust
//! stack, so that no input can overflow it (spec/daml-lf.md §7).

mod assemble;
mod authorization;
mod blinding;
pub mod codec;
mod date;
mod decode;
mod encode;
mod instance;
mod node;
mod numeric;
pub mod seed;
mod shared;
#[cfg(test)]
mod test_values;
#[cfg(test)]
mod tests;
mod tree;
mod typed_hash;
mod value;
mod value_hash;
mod walk;

pub use assemble::{Assembler, Shape};
pub use authorization::AuthorizationError;
pub use blinding::Blinding;
pub use codec::DecodeError;
pub use date::{Date, DateError};
pub use instance::{ContractInstance, ContractKey};
pub use node::{Create, Exercise, Fetch, Node, NodeId, NodeVersion, QueryByKey, Rollback};
pub use numeric::{Numeric, NumericError};
pub use shared::Shared;
pub use tree::{MalformedTransaction, Transaction, TransactionBuilder};
pub use typed_hash::{TypedHashError, hash_contract, hash_key};
pub use value::{Enum, Field, Record, TooDeep, Value, Variant};
pub use value_hash::{hash_change_id, hash_contract_instance, hash_contract_key};
pub use walk::Walk;

/// A set of parties in their order, which is also the order in which they are hashed.
pub type Parties = std::collections::BTreeSet<base::PartyId>;
