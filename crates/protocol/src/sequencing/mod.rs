//! Submissions to a sequencer and events from it (spec/protocol.md §1).
//!
//! `recipients.rs` says who gets an envelope and who sees whom; `submission.rs` what a sender hands in;
//! `event.rs` what a member receives; `signed.rs` the bytes that are signed.

mod event;
mod recipients;
mod signed;
mod submission;

pub use event::{Outcome, SequencedEvent};
pub use recipients::{Recipients, RecipientsTree};
pub use signed::{Signable, SignedContent};
pub use submission::{Acknowledgement, Envelope, Submission};

/// The version of every message in this module. A newer one is refused, never guessed at.
pub const VERSION: u32 = 1;

/// A message from a sequencer or to it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not the protobuf message it should be.
    #[error("the bytes are not a {0}")]
    Malformed(&'static str),
    /// Of a later release.
    #[error("version {0} is newer than this node understands; upgrade it")]
    TooNew(u32),
    /// An identifier inside is malformed.
    #[error(transparent)]
    Id(#[from] base::InvalidId),
    /// A timestamp is out of range.
    #[error(transparent)]
    Timestamp(#[from] base::TimestampError),
    /// The signature is missing or malformed.
    #[error(transparent)]
    Signature(#[from] crypto::SignatureError),
    /// A limit is exceeded.
    #[error("{what} exceeds the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
}

impl base::Coded for DecodeError {
    fn code(&self) -> base::ErrorCode {
        base::codes::SUBMISSION_REQUEST_MALFORMED
    }
}

/// What a member signs to authenticate at a sequencer (spec/protocol.md §7.6).
#[must_use]
pub fn authentication_hash(nonce: &[u8], synchronizer: &base::SynchronizerId) -> base::Hash {
    crypto::HashBuilder::new(crypto::HashPurpose::AuthenticationToken)
        .add_bytes(nonce)
        .add_str(&synchronizer.to_string())
        .finish()
}

fn known_version(version: u32) -> Result<(), DecodeError> {
    if version == VERSION { Ok(()) } else { Err(DecodeError::TooNew(version)) }
}

#[cfg(test)]
mod tests;
