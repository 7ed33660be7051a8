//! What this room itself refuses.

use base::{Coded, ErrorCode, InvalidId, codes};
use rpc::{CorrelationId, status};
use store::StoreError;
use tonic::Status;

/// A request cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A field that must be there is not.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// A field cannot be used.
    #[error("the field {field} is invalid: {why}")]
    Invalid {
        /// Its name.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Valid, but not built.
    #[error("{0} is not supported by this version")]
    Unsupported(&'static str),
    /// The offset lies behind the ledger end.
    #[error("the offset {offset} lies behind the ledger end {end}")]
    BehindEnd {
        /// As asked for.
        offset: i64,
        /// The ledger end.
        end: i64,
    },
    /// There is no such update, or none that the parties may see.
    #[error("no update {0} is visible to the parties asked for")]
    NoUpdate(String),
    /// There is no such package.
    #[error("package {0} is unknown; upload it")]
    NoPackage(String),
    /// There is no such user.
    #[error("user {0} does not exist")]
    NoUser(String),
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody knows who calls. What is wrong is for the log.
    #[error("the caller is not known: {0}")]
    Unauthenticated(String),
    /// The caller may not do this. Why is for the log.
    #[error("{0}")]
    Denied(String),
    /// The participant has no identity yet.
    #[error("the participant is not initialized yet; try again")]
    NotInitialized,
    /// Waiting took too long; the command may still take effect.
    #[error("the command was submitted, but its outcome was not known in time; look for its completion")]
    Timeout,
}

impl ApiError {
    #[expect(clippy::needless_pass_by_value, reason = "errors are handed over, as by map_err")]
    pub(crate) fn invalid(field: &'static str, why: impl ToString) -> Self {
        Self::Invalid { field, why: why.to_string() }
    }

    pub(crate) fn id(field: &'static str) -> impl FnOnce(InvalidId) -> Self {
        move |error| Self::invalid(field, error)
    }
}

impl Coded for ApiError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Missing(_) => codes::MISSING_FIELD,
            Self::Invalid { .. } => codes::INVALID_FIELD,
            Self::Unsupported(_) => codes::INVALID_ARGUMENT,
            Self::BehindEnd { .. } => codes::OFFSET_BEYOND_LEDGER_END,
            Self::NoUpdate(_) => codes::UPDATE_NOT_FOUND,
            Self::NoPackage(_) => codes::PACKAGE_NOT_FOUND,
            Self::NoUser(_) => codes::USER_NOT_FOUND,
            Self::Store(error) => error.code(),
            Self::Unauthenticated(_) => codes::UNAUTHENTICATED,
            Self::Denied(_) => codes::PERMISSION_DENIED,
            Self::NotInitialized => codes::NODE_NOT_INITIALIZED,
            Self::Timeout => codes::REQUEST_TIME_OUT,
        }
    }
}

/// The status of an error without correlation id.
pub(crate) fn refuse(error: &dyn Coded) -> Status {
    status(error, &CorrelationId::default())
}

/// The same for what the participant refuses.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn refused(error: crate::Refusal) -> Status {
    refuse(error.as_ref())
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        refuse(&error)
    }
}
