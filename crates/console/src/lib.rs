//! The console's language: the subset of Scala that operators type. Parsed by tree-sitter, evaluated here, without
//! reaching anything but a [`Host`]: nodes, their commands, the screen and the clock are behind that trait.
//!
//! `parse.rs` text to `syntax.rs` · `eval.rs` statements and expressions · `methods.rs` what values can do ·
//! `show.rs` how results are printed · `entry.rs` when an entry of the prompt is whole · `error.rs` what went wrong, and where.

mod entry;
mod error;
mod eval;
mod methods;
mod parse;
mod show;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

pub use entry::is_open;
pub use error::{ConsoleError, Problem};
pub use eval::{Argument, Host, Interpreter, Member, Subject};
pub use value::{Data, Reference, Show, Value};
