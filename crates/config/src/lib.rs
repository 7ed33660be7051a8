//! Typed configuration: files in, plain structs out, and every problem at once with file, line and key.
//!
//! `keys/` is the whole key tree as data · `tree.rs` holds a text against it · `read.rs` and `storage.rs` make of it what
//! nodes need · `place.rs` finds nodes that would share tables · `show.rs` tells people.
//!
//! [`load`] reads and merges files and overrides; [`Config`] holds what nodes need. The keys are the field's
//! (spec/surface.md §1.2). A key that is unknown is an error with the nearest known one; a key that is known but has no
//! effect here is a warning. What this version cannot do is read all the same, and refused by whoever would run it. Only
//! the binary enters; nodes get their own struct.

mod auth;
mod keys;
mod load;
mod model;
mod place;
mod problem;
mod read;
mod scalar;
mod show;
mod storage;
mod tls;
mod tree;

pub use load::{LoadError, load, show};
pub use model::{
    Api, AuthService, ClientAuth, ClientTls, Config, HaProfile, Health, HealthCheck, Identifier, KeyPair, Manager,
    Mediator, NodeCommon, Participant, Postgres, Remote, RemoteKind, Replication, Secret, Sequencer, SequencerOptions,
    Storage, SynchronizerParameters, Tls, Tokens,
};
pub use problem::{Code, Problem};
pub use show::{explain, schema};

#[cfg(test)]
mod tests;
