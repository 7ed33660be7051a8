//! What every node has. A replicated node gives [`Replica::start`] the [`Part`] that it plays while it is active and
//! reads the rest from watches: its role, who else is there, who is active. Nodes and the binary enter.
//!
//! `replica.rs` is what a node sees · `driver.rs` carries out what `replica-core` decides, one task per replica ·
//! `directory.rs` who runs, where, in which role · `status.rs` the admin service that all nodes of a process share ·
//! `health.rs` gRPC health · `http.rs` HTTP health, for load balancers · `store/` the directory's table.
//!
//! What is absent here: any decision about roles (`replica-core`), and any right to write (`store`).

mod directory;
mod driver;
mod health;
mod http;
mod replica;
mod status;
mod store;

pub use crate::store::MIGRATIONS;
#[doc(hidden)]
pub use crate::store::STATEMENTS;
pub use directory::{Directory, Entry};
pub use health::LIVENESS;
pub use http::{Check, HealthServer, Probe};
pub use replica::{ActiveReplica, HandedOver, HandoverRefused, Part, PartError, Replica, ReplicaConfig};
pub use replica_core::Role;
pub use status::Nodes;
pub use wire::concordat::admin::v1::{NodeKind, NodeStatus};
