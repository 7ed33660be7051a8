//! Why bytes from outside are not a message of this network.

use base::{Coded, ErrorCode, InvalidId, TimestampError, codes};
use crypto::{KeyError, SignatureError};

/// Bytes that another node sent, or that were stored, cannot be read. Nothing of them was used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not protobuf of the expected message.
    #[error("the bytes are not the expected message: {0}")]
    Bytes(String),
    /// From a version that this node does not know.
    #[error("{what} has version {version}, this node knows {known}; upgrade this node")]
    Version {
        /// Which message.
        what: &'static str,
        /// As found.
        version: u32,
        /// What this node reads.
        known: u32,
    },
    /// A field that must be there is not.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// An enumeration's number is unknown.
    #[error("field {field} has the unknown value {value}")]
    Unknown {
        /// Which field.
        field: &'static str,
        /// As found.
        value: i32,
    },
    /// More elements or bytes than allowed, or a value that makes no sense.
    #[error("field {field} is out of bounds: {why}")]
    Bounds {
        /// Which field.
        field: &'static str,
        /// What was expected.
        why: &'static str,
    },
    /// An identifier is invalid.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A key is invalid.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A signature cannot be read.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A time is out of range.
    #[error(transparent)]
    Time(#[from] TimestampError),
}

impl From<prost::DecodeError> for Malformed {
    fn from(error: prost::DecodeError) -> Self {
        Self::Bytes(error.to_string())
    }
}

impl Malformed {
    /// Checks a version field: only `known` is read, never guessed at.
    pub fn check_version(what: &'static str, version: u32, known: u32) -> Result<(), Self> {
        if version == known { Ok(()) } else { Err(Self::Version { what, version, known }) }
    }

    /// Checks that a list or byte string is not longer than `most`.
    pub fn check_length(field: &'static str, length: usize, most: usize) -> Result<(), Self> {
        if length <= most { Ok(()) } else { Err(Self::Bounds { field, why: "it is longer than any valid one" }) }
    }
}

impl Coded for Malformed {
    fn code(&self) -> ErrorCode {
        codes::INVALID_ARGUMENT
    }
}
