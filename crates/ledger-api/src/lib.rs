//! The Ledger API v2 (spec/surface.md §4.1) over the read model of `ledger`.
//!
//! Every replica answers. Reads, streams and waiting are served here, from the shared database; a write goes to
//! [`Writes`] where this replica is active, and otherwise once over the wire to the one that is (`rpc`'s router).
//! `access/` lets callers in by their tokens, before any service sees them.
//! `awaited.rs` tells those who wait of their completions; `convert/` turns messages into values and back; `service/` has one file per service.
//!
//! The participant implements [`Writes`] and [`Enrich`]; nothing here knows how it does.

mod access;
mod api;
mod awaited;
mod convert;
mod error;
mod service;
mod stream;
mod writes;

pub use access::{AuthService, Guard, Tokens};
pub use api::LedgerApi;
pub use convert::{CommandKind, Commands, DeduplicationPeriod, PackageRef, TemplateRef};
pub use convert::{message as value_message, read as read_value};
pub use error::ApiError;
pub use writes::{ConnectedSynchronizer, Enrich, PartyHint, Plain, Refusal, Writes};
