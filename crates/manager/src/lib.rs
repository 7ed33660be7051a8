//! The shell around `manager-core`: founds the synchronizer, admits members, and brings topology to all of them through
//! the sequencer.
//!
//! [`found`] makes the first topology, or [`authorize`] does it step by step; [`initialize`] stores what the sequencer took; [`run`] is what the active replica
//! does from then on.

mod active;
mod founding;
mod store;

pub use active::{Context, ManagerError, Request, Setup, founding, initialize, run, setup};
pub use founding::{Founded, authorize, draft, found};
pub use store::MIGRATIONS;
#[doc(hidden)]
pub use store::STATEMENTS;
