//! The mediator's decisions, as a function from sequenced events to effects (spec/protocol.md §2.8, §2.12–§2.14).
//!
//! The shell feeds [`Mediator::step`] with its sequenced events in order, and for each of them carries out the
//! effects in one transaction before it sends anything. Nothing here reads a clock, draws a random number, or does
//! I/O. Whatever is decided depends only on the events so far: a replica that replays them from the clean point
//! decides the same, except that a stored verdict is never decided again.
//!
//! `request.rs` checks requests · `aggregation.rs` counts responses · `mediator.rs` holds them together.

mod aggregation;
mod mediator;
mod request;
#[cfg(test)]
mod tests;

pub use mediator::{Decision, Effect, Mediator, Recovered, UsedUuid, verdict_message_id};
