//! The words of the house: identifiers as validated newtypes, microsecond [`Timestamp`]s, [`Hash`]es,
//! limits, the error-code catalogue, and when a silent peer is silent for too long.
//!
//! Everybody may use this room; it uses nobody. It holds no behaviour of any node: a type belongs here only
//! if at least two rooms that must not know each other exchange it, or must not
//! judge differently.

mod error;
mod hash;
pub mod id;
pub mod limits;
mod member;
mod silence;
mod time;

pub use error::{Category, Coded, ErrorCode, codes};
pub use hash::{Hash, HashParseError};
pub use id::{
    CommandId, ContractId, DottedName, Identifier, InvalidId, MessageId, Name, PackageId, PackageName, PackageVersion,
    PartyId, SubmissionId, UpdateId, UserId, WorkflowId,
};
pub use member::{
    Fingerprint, MediatorId, MemberId, MemberKind, Namespace, ParticipantId, SequencerId, SynchronizerId, Uid,
};
pub use silence::SilenceJudge;
pub use time::{Timestamp, TimestampError};
