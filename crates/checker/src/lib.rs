//! Judges recorded histories: what clients saw, against what every replica's public update stream shows.
//!
//! This room uses nothing of ours, so that an error in the system cannot hide itself here. Its input is a list of
//! [`Record`]s (one JSON object a line, see [`parse`]); its output a [`Verdict`] with every violation spelled out.
//! The properties carry the names of spec/reliability.md §3.1.

mod check;
mod record;
mod shown;

pub use check::{Counts, Kind, Verdict, Violation, check};
pub use record::{Contract, Outcome, ParseError, Record, parse};

#[cfg(test)]
mod tests;
