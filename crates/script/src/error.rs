//! Why a script does not succeed.

use crate::{LedgerError, SubmitFailure};
use engine::{EngineError, Term};

/// Something is wrong that no script can handle.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The script library is not as this runner knows it.
    #[error("the script library is not supported: {0}")]
    Library(String),
    /// The library asks something that this runner does not know.
    #[error("the script asks what this runner does not answer: {0}")]
    Question(String),
    /// Evaluating failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The archive is no DAR, or of a language version that is not supported.
    #[error(transparent)]
    Dar(#[from] lf::LfError),
}

/// What ends a script, or a part of it that handles such ends.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An exception: an `Any`.
    Thrown(Term),
    /// A call of the ledger.
    Call(LedgerError),
    /// A submission that had to succeed.
    Submit(Box<SubmitFailure>),
    /// A submission that had to fail.
    MustFail(Vec<crate::Event>),
    /// Anything else: evaluating, or the library.
    Run(RunError),
}

impl<E: Into<RunError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Run(error.into())
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::Call(error)
    }
}

/// A part of a question is not of the type that it must have.
pub(crate) fn malformed(what: &str) -> RunError {
    RunError::Question(format!("{what} is malformed"))
}
