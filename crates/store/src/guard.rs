//! What gives the right to write. Every write transaction carries one of three guards, checked inside the transaction
//! by the database, so that an instance that was replaced cannot write any more whatever it believes.

use std::sync::Arc;

use crate::{Result, Statement, StoreError};

/// The right to write as the active replica of a logical node. Only an [`Election`](crate::Election) gives one; it is
/// worth nothing once another replica has taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    node: Arc<str>,
    number: i64,
}

/// The right to write as one incarnation of a sequencer: a statement that must touch exactly one row, and that touches
/// none once a newer incarnation has begun or the index was marked offline.
#[derive(Clone, Debug, PartialEq)]
pub struct Incarnation {
    statement: Statement,
}

/// The right to write rows that belong to this instance alone, whichever replica is active: beats, its line in the
/// replica directory, tokens it issued, acknowledgements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    _only_from_db: (),
}

/// One of [`Epoch`], [`Incarnation`] and [`Own`].
pub trait Guard: sealed::Sealed + Clone + Send + Sync + 'static {}
impl Guard for Epoch {}
impl Guard for Incarnation {}
impl Guard for Own {}

impl Epoch {
    pub(crate) fn new(node: Arc<str>, number: i64) -> Self {
        Self { node, number }
    }

    /// Its number. Every takeover of the logical node gets a larger one; it is stored in the rows that matter and
    /// travels with sends.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.number
    }
}

impl Incarnation {
    /// `statement` runs first in the transaction and must touch exactly one row, else the transaction is refused with
    /// [`StoreError::Fenced`].
    #[must_use]
    pub fn new(statement: Statement) -> Self {
        Self { statement: statement.expect_rows(1) }
    }
}

impl Own {
    pub(crate) fn new() -> Self {
        Self { _only_from_db: () }
    }
}

/// What the engines check.
#[derive(Clone, Debug)]
pub(crate) enum Fence {
    None,
    Epoch(i64),
    Statement(Statement),
}

impl Fence {
    /// What is written to pass it.
    pub(crate) fn statement(&self) -> Option<&Statement> {
        match self {
            Self::Statement(statement) => Some(statement),
            Self::None | Self::Epoch(_) => None,
        }
    }
}

pub(crate) mod sealed {
    use super::{Fence, Result};

    /// Keeps the list of guards closed.
    pub trait Sealed {
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "only this crate calls it")]
        fn fence(&self, node: &str) -> Result<Fence>;
    }
}

impl sealed::Sealed for Epoch {
    #[expect(private_interfaces, reason = "only this crate calls it")]
    fn fence(&self, node: &str) -> Result<Fence> {
        if *self.node != *node {
            return Err(StoreError::Fenced { node: node.to_owned() });
        }
        Ok(if cfg!(feature = "unfenced-for-tests") { Fence::None } else { Fence::Epoch(self.number) })
    }
}

impl sealed::Sealed for Incarnation {
    #[expect(private_interfaces, reason = "only this crate calls it")]
    fn fence(&self, _node: &str) -> Result<Fence> {
        Ok(Fence::Statement(self.statement.clone()))
    }
}

impl sealed::Sealed for Own {
    #[expect(private_interfaces, reason = "only this crate calls it")]
    fn fence(&self, _node: &str) -> Result<Fence> {
        Ok(Fence::None)
    }
}
