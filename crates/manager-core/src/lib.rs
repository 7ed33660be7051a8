//! The decisions of a synchronizer's manager: who may join, which topology transactions are admitted, and how they
//! reach the members (spec/protocol.md §6.7, §6.9, §6.10).
//!
//! The shell feeds [`Manager::step`] with its sequenced events in order, stores the effects of a batch of steps in
//! one transaction, then calls [`Manager::pump`] with the time and carries out what that says. What was admitted
//! waits in a stored queue until the manager sees it in its own stream; so a crash at any moment at most sends
//! something twice, which has no effect. Nothing here reads a clock, draws a random number, or does I/O.
//!
//! `admission.rs` what a participant may register · `dispatch.rs` in which order · `manager.rs` both together.

mod admission;
mod dispatch;
mod founding;
mod manager;
#[cfg(test)]
mod tests;

pub use admission::Policy;
pub use founding::{FoundingError, found};
pub use manager::{Answer, Dispatch, Effect, Manager, Queued, Recovered};
