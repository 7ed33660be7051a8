//! The participant's decisions on one synchronizer, as a function from events to effects (spec/protocol.md §2, §3).
//!
//! The shell reads each sequenced event ([`Incoming::read`]), loads the statuses of contracts that are not in memory
//! ([`Participant::missing`], [`Participant::load`]), and steps through the events in order. It stores the effects of
//! a batch of steps in one transaction, calls [`Participant::stored`], then sends. Interpretation is asked for
//! ([`Effect::Reinterpret`]) and answered later; while [`Participant::is_blocked`] holds, the next sequenced event has
//! to wait for those answers. Nothing here reads a clock, draws a random number, or does I/O.
//!
//! Everything a request changes in the store is written at once when it is published, and requests are published in
//! the order of their sequencing. So what is stored never runs ahead of the clean point, and recovery is replay from
//! there without any clean-up.
//!
//! `deduplication.rs` repeated commands · `in_flight.rs` submissions until their completion · `incoming.rs` events
//! read · `validation.rs` checks · `conflict.rs` locks · `pending.rs` one request · `participant.rs` all together.

mod conflict;
pub mod deduplication;
mod effect;
mod in_flight;
mod incoming;
mod merge;
mod participant;
mod pending;
#[cfg(test)]
mod tests;
mod validation;

pub use conflict::{ActivenessResult, ActivenessSet, CommitSet, ConflictDetector, ContractStatus, Lockables};
pub use effect::{Completion, Effect, Publish, Reinterpret, Rejection, Respond, Submit, Update, change_id};
pub use in_flight::{InFlight, InFlightTracker, RegisterError, request_message_id};
pub use incoming::Incoming;
pub use participant::{Event, Participant, Recovered};
