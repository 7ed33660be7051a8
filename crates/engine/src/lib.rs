//! Runs Daml: turns commands into transactions, and root actions of received views into the same transactions again.
//!
//! Packages are given by whoever has a store; a [`Run`] asks for contracts and goes on when they are answered. Nothing
//! here reads a clock, a store or a random source, and nothing recurses on the Rust stack, so that no model can
//! overflow it. `participant` owns the [`Engine`]; `ledger-api` uses its enrichment to show values with labels.

mod builtins;
mod code;
mod command;
mod compare;
mod engine;
mod enrich;
mod error;
mod evaluate;
mod key;
mod ledger;
mod lower;
mod machine;
mod map;
mod normalize;
mod registry;
mod run;
mod term;
#[cfg(test)]
mod tests;
mod translate;
mod ty;
mod typing;
mod value;
mod view;

pub use command::{Command, PackageRef, Replay, RootAction, Submission, TypeRef};
pub use engine::{Compiled, Engine};
pub use error::EngineError;
pub use evaluate::{Evaluation, Progress};
pub use key::KeyOf;
pub use run::{Outcome, Question, Run, Step};
pub use term::Term;
