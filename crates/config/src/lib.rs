//! Typed configuration: files in, plain structs out, and every problem at once with file, line and key.
//!
//! [`load`] reads and merges files and overrides; [`Config`] holds what nodes need. The keys are the field's
//! (spec/surface.md §1.2). A key that is unknown is an error with the nearest known one; a key that is known but has no
//! effect here is a warning. Only the binary enters; nodes get their own struct.

mod block;
mod load;
mod model;
mod place;
mod read;

pub use block::Problem;
pub use load::{LoadError, load};
pub use model::{
    Api, Config, HaProfile, Manager, Mediator, NodeCommon, Participant, Postgres, Remote, RemoteKind, Replication,
    Secret, Sequencer, SequencerOptions, Storage, SynchronizerParameters,
};

#[cfg(test)]
mod tests;
