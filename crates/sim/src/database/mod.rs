//! The simulated database: one server, with sessions, locks, transactions that commit whole or not at all, and the
//! ways in which a client is left without an answer.

mod client;
mod locks;
mod server;
mod tables;

pub(crate) use client::{Db, Session};
pub(crate) use locks::{Mode, Resource};
pub(crate) use server::Server;
pub(crate) use tables::{EventRow, Guard, Holder, Life, ParticipantTables, Tables, Write};

use base::Timestamp;

/// Why a transaction or query has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DbError {
    /// It has had no effect, and may have another time.
    Unavailable,
    /// It lost against another transaction, and had no effect.
    Contention,
    /// It may have had its effect or not.
    Unknown,
    /// The right to write is gone.
    Fenced,
    /// A row is there already.
    Conflict,
}

impl DbError {
    /// Whether the same call may succeed later.
    pub(crate) fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::Contention)
    }
}

/// What is told after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// There are new events.
    Events,
    /// Only a watermark has moved.
    Watermarks,
}

/// A transaction that committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed {
    /// By the server's clock.
    pub(crate) now: Timestamp,
    /// Touched by the last statement.
    pub(crate) rows: usize,
}
