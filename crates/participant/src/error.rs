//! Why a participant cannot go on, or refuses.

use crate::InterpretationError;
use base::{Coded, ErrorCode, InvalidId, codes};
use identity::IdentityError;
use participant_core::{RegisterError, deduplication::DeduplicationError};
use protocol::tree::BuildError;
use sequencer_client::{ClientError, SubscriptionError};
use store::StoreError;

/// See the module's head.
#[derive(Debug, thiserror::Error)]
pub enum ParticipantError {
    /// The database refuses, or is gone.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys cannot be read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The sequencers cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The subscription ended for good.
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    /// An identifier cannot be used.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A stored package cannot be read.
    #[error(transparent)]
    Package(#[from] InterpretationError),
    /// This replica is not active.
    #[error("this replica of the participant is not active")]
    Passive,
    /// The role ended while the call was on its way; it may have had an effect.
    #[error("this replica stopped being active; it is unknown whether the submission was registered")]
    BecamePassive,
    /// No synchronizer is connected.
    #[error("the participant is not connected to any synchronizer; connect it")]
    NotConnected,
    /// More than one synchronizer.
    #[error("the participant is connected to {0} already; several synchronizers are not supported by this version")]
    SecondSynchronizer(String),
    /// Nothing is registered under an alias.
    #[error("no synchronizer is registered as {0}; register or connect it first")]
    UnknownAlias(String),
    /// An alias or a synchronizer is taken.
    #[error("the synchronizer is registered as {0} already, in another way; modify that registration")]
    AlreadyRegistered(String),
    /// Another synchronizer answers than is registered or expected.
    #[error("{alias}: {expected} is expected, but its sequencers belong to {found}; correct the connection")]
    OtherSynchronizer {
        /// The participant's name for it.
        alias: String,
        /// What is registered or asked for.
        expected: String,
        /// What answers.
        found: String,
    },
    /// No sign of life.
    #[error("the ping failed: {0}")]
    Ping(String),
    /// A connection cannot be made with these settings.
    #[error("{0}")]
    Connection(String),
    /// A party cannot act here.
    #[error("party {0} is not hosted here with the permission to submit")]
    NotHosted(base::PartyId),
    /// No mediator would collect the responses.
    #[error("the synchronizer has no active mediator; try again later")]
    NoMediator,
    /// Repeats an accepted command.
    #[error(transparent)]
    Deduplication(#[from] DeduplicationError),
    /// Cannot be registered.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// No request can be made of the transaction.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The manager refuses a topology transaction.
    #[error("the synchronizer's manager refuses: {0}")]
    Topology(String),
    /// Something did not happen in time.
    #[error("{0} did not happen in time; it may still happen")]
    Timeout(&'static str),
    /// A user exists already, or does not exist.
    #[error("the user exists already")]
    UserExists,
    /// There is no such user.
    #[error("the user does not exist")]
    NoUser,
    /// A party of this name exists already.
    #[error("party {0} exists already")]
    PartyExists(String),
}

impl Coded for ParticipantError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Identity(error) => error.code(),
            Self::Client(error) => error.code(),
            Self::Subscription(error) => error.code(),
            Self::Id(_) | Self::Connection(_) => codes::INVALID_ARGUMENT,
            Self::Package(error) => error.code(),
            Self::Passive => codes::NODE_IS_PASSIVE_REPLICA,
            Self::BecamePassive | Self::Timeout(_) => codes::REQUEST_TIME_OUT,
            Self::NotConnected => codes::NOT_CONNECTED_TO_ANY_SYNCHRONIZER,
            Self::SecondSynchronizer(_) => codes::ANOTHER_SYNCHRONIZER_IS_CONNECTED,
            Self::UnknownAlias(_) => codes::SYNC_SERVICE_UNKNOWN_SYNCHRONIZER,
            Self::Ping(_) => codes::PING_FAILED,
            Self::AlreadyRegistered(_) => codes::SYNC_SERVICE_ALREADY_ADDED,
            Self::OtherSynchronizer { .. } => codes::SYNCHRONIZER_ID_MISMATCH,
            Self::NotHosted(_) => codes::PARTY_NOT_HOSTED,
            Self::NoMediator => codes::SYNCHRONIZER_IS_NOT_AVAILABLE,
            Self::Deduplication(error) => error.code(),
            Self::Register(error) => error.code(),
            Self::Build(error) => error.code(),
            Self::Topology(_) => codes::TOPOLOGY_TRANSACTION_INVALID,
            Self::UserExists => codes::USER_ALREADY_EXISTS,
            Self::NoUser => codes::USER_NOT_FOUND,
            Self::PartyExists(_) => codes::PARTY_ALREADY_EXISTS,
        }
    }

    fn context(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Deduplication(error) => error.context(),
            Self::Register(error) => error.context(),
            _ => Vec::new(),
        }
    }

    fn definite_answer(&self) -> bool {
        match self {
            Self::Store(StoreError::Unknown(_)) | Self::BecamePassive | Self::Timeout(_) => false,
            Self::Register(error) => error.definite_answer(),
            _ => true,
        }
    }
}
