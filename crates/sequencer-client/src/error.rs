//! What can go wrong between a member and its sequencers.

use base::{Coded, ErrorCode, codes};
use rpc::RpcError;

/// A call did not succeed at any endpoint.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// No endpoint is configured, or one is no URI.
    #[error("sequencer endpoint {0:?} cannot be used; write http://host:port")]
    Endpoint(String),
    /// Some endpoints are encrypted, others are not.
    #[error("either all sequencers of a connection are https://, or none is")]
    Mixed,
    /// What is to be trusted is none.
    #[error("the certificates to trust: {0}")]
    Trust(String),
    /// A sequencer said no, or none answered.
    #[error("sequencer: {0}")]
    Rpc(#[from] RpcError),
    /// A sequencer's answer cannot be read.
    #[error("the sequencer's answer cannot be read: {0}")]
    Answer(String),
    /// The sequencer does not accept our key.
    #[error("the sequencer accepts none of our keys; is the member's key on the synchronizer?")]
    NoKey,
}

/// A submission was not acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// It certainly is not and will not be sequenced.
    #[error("the sequencer refused the submission: {0}")]
    Refused(ClientError),
    /// It may be sequenced until its max sequencing time.
    #[error("it is unknown whether the submission was sequenced: {0}")]
    Unknown(ClientError),
}

impl Coded for SendError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(_) => codes::SEQUENCER_REQUEST_FAILED,
            Self::Unknown(_) => codes::REQUEST_TIME_OUT,
        }
    }

    fn definite_answer(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

impl Coded for ClientError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Endpoint(_) | Self::Mixed | Self::Trust(_) => codes::INVALID_ARGUMENT,
            Self::Rpc(_) | Self::Answer(_) | Self::NoKey => codes::SYNCHRONIZER_IS_NOT_AVAILABLE,
        }
    }
}
