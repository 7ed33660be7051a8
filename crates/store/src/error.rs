//! What can go wrong with a store, in terms of what the caller has to do about it.

use base::{Coded, ErrorCode, codes};

/// Result of a store operation.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a store operation failed. Only [`StoreError::Unknown`] leaves open whether a write took effect; after every
/// other error it did not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or cannot work (disk full, too many connections); try again later.
    #[error("the database is not available: {0}; retry later")]
    Unavailable(String),
    /// Another replica, or another incarnation, has taken over: step down.
    #[error("write refused: {node} has been taken over by another instance, which writes now")]
    Fenced {
        /// The logical node.
        node: String,
    },
    /// The connection broke, or the synchronous standby was given up on, between sending the commit and its reply:
    /// look up what was written before trying again.
    #[error("the outcome of the commit is unknown: {0}; look up its effect before trying again")]
    Unknown(String),
    /// A statement met a row that must not exist, or touched another number of rows than it must.
    #[error("statement {statement} of the transaction conflicts with what is stored: {reason}")]
    Conflict {
        /// Position in the transaction, from 0.
        statement: usize,
        /// What was found.
        reason: String,
    },
    /// Deadlock, serialization failure or lock timeout: the same transaction may succeed when tried again.
    #[error("the transaction lost against a concurrent one: {0}; retry it")]
    Contention(String),
    /// What is stored is not what this version writes.
    #[error("stored data is not as expected: {0}")]
    Corrupt(String),
    /// The database was migrated by a newer version of this program.
    #[error("the tables of {component} are at version {found}, this program knows up to {known}; use a newer one")]
    TooNew {
        /// The room the tables belong to.
        component: String,
        /// Version in the database.
        found: i64,
        /// Newest version of this program.
        known: i64,
    },
    /// The storage section of the configuration cannot work.
    #[error("storage configuration: {0}")]
    Config(String),
    /// The engine refused a statement: a defect of this program.
    #[error("the database refused a statement: {0}")]
    Statement(String),
    /// The store has been shut down.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Contention(_))
    }
}

impl Coded for StoreError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable(_) | Self::Contention(_) => codes::STORAGE_UNAVAILABLE,
            Self::Fenced { .. } => codes::NODE_IS_PASSIVE_REPLICA,
            Self::Unknown(_) => codes::REQUEST_TIME_OUT,
            Self::Corrupt(_) | Self::TooNew { .. } => codes::STORED_DATA_CORRUPT,
            Self::Config(_) => codes::CONFIG_INVALID,
            Self::Conflict { .. } | Self::Statement(_) => codes::INTERNAL_ERROR,
            Self::Closed => codes::SERVER_IS_SHUTTING_DOWN,
        }
    }
}
