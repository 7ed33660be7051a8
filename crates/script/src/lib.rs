//! Runs the Daml Scripts of a DAR: the tests that come with a model, each against a ledger of its own.
//!
//! A script is a value of its library: a question with a continuation, or the end. The runner evaluates up to a
//! question, has a [`ScriptLedger`] answer it, and goes on with the answer. Both generations of the library are read:
//! one constructor for each question (SDK 1 and 2), and questions with a name and a version (SDK 3). The room does no
//! I/O; [`MemoryLedger`] is a state machine, and a connection to a participant can stand in its place.

mod answer;
mod commands;
mod constructors;
mod error;
mod find;
mod ledger;
mod library;
mod memory;
mod question;
mod report;
mod request;
mod runner;
mod submit_error;
#[cfg(test)]
mod tests;
mod tree;

pub use error::RunError;
pub use find::{Script, scripts};
pub use ledger::{
    Action, ActiveContract, Event, LedgerError, PackageVersionName, ScriptLedger, Submission, SubmitError,
    SubmitFailure, Unusable, User, UserRight, View,
};
pub use memory::{MemoryLedger, Visibility, view};
pub use report::{Failure, Outcome, Tests};
