//! The shell around `mediator-core`: sequenced events in, one fenced transaction for what they mean, then verdicts out.
//!
//! [`run`] is what the active replica does; it ends when it must not go on. Nothing survives a change of role but the
//! database: the next active replica recovers from the clean point and sends again what may not have been sent.

mod active;
mod store;

pub use active::{Context, MediatorError, Setup, founding, initialize, run, setup};
pub use store::MIGRATIONS;
#[doc(hidden)]
pub use store::STATEMENTS;
