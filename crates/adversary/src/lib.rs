//! A second organisation that speaks the protocol and breaks its rules, one after another, and what honest nodes make of
//! it.
//!
//! The nodes are the deciders of production (`mediator-core`, `participant-core`) with real message bytes, signatures,
//! encryption and the real engine; only the sequencer is a list (`network.rs`). `attacks.rs` holds what the adversary does, each
//! attack is one row of the table in `adversary.rs`. With the feature `mutants-for-tests` each row also runs without the checks that it is about, and must
//! then find the damage: `cargo test -p adversary --features mutants-for-tests`.
//!
//! Nothing imports this room; it holds tests only.

#[cfg(test)]
mod adversary;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod network;
