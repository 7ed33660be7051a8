//! The shell around `participant-core`.
//!
//! `active.rs` what an active participant has, and how it takes over · `connections.rs` to which synchronizers it is
//! connected · `shell.rs` the loop: events and commands in, one fenced transaction, then requests and responses out ·
//! `submit.rs` a command on its way · `onboarding.rs` topology that it asks for · `packages.rs` packages into the engine ·
//! `ping.rs` signs of life ·//! `writes.rs` the writes of the Ledger API · `interpreter.rs` what is needed of an engine · `engine.rs` the engine ·
//! `store/` the tables.
//!
//! A passive replica has none of this but the tables: it serves reads from the ledger, and passes writes on.

mod active;
mod connections;
mod engine;
mod error;
mod interpreter;
mod onboarding;
mod packages;
mod ping;
mod shell;
mod store;
mod submit;
mod upload;
mod writes;

pub use active::Active;
pub use engine::DamlEngine;
pub use error::ParticipantError;
pub use interpreter::{
    Contracts, Dar, DarPackage, Interpretation, InterpretationError, Interpreted, Interpreter, Lookup,
};
pub use packages::dar_hash;
pub use packages::follow_packages;
#[doc(hidden)]
pub use store::STATEMENTS;
pub use store::{MIGRATIONS, Registered, SynchronizerConfig, UploadedDar, dars, synchronizers};
pub use writes::ParticipantWrites;
