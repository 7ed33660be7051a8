//! Who a node is. Keys and identifiers live in the database that the node's replicas share, so a takeover moves no keys.
//!
//! [`Identity`] signs; [`random`] is the only source of randomness; [`load_topology`] and [`topology_rows`] keep the
//! topology that a member has seen. Nodes enter; the pure rooms below see only what is signed.

mod keys;
pub mod random;
mod store;

pub use keys::{Identity, IdentityError};
#[doc(hidden)]
pub use store::STATEMENTS;
pub use store::{MIGRATIONS, load_setting, load_topology, setting_row, topology_rows};
