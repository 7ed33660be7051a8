//! What the ledger shows.

use base::{
    CommandId, ContractId, ErrorCode, PackageId, PackageName, PackageVersion, PartyId, SubmissionId, SynchronizerId,
    Timestamp, UpdateId, UserId, WorkflowId,
};
use protocol::Contract;
use std::time::Duration;
use transaction::{Parties, Transaction};

/// One entry of the ledger, about to be written. Entries of one participant have growing offsets and record times.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Its offset; larger than every earlier one.
    pub offset: i64,
    /// Sequencing time of the request, or when the submission was given up.
    pub record_time: Timestamp,
    /// Where it happened.
    pub synchronizer: SynchronizerId,
    /// The transaction as this participant sees it; `None` for a submission that had no effect.
    pub update: Option<Update>,
    /// Contracts that hosted parties are stakeholders of and that came to be.
    pub created: Vec<Contract>,
    /// Contracts that hosted parties are stakeholders of and that were archived.
    pub archived: Vec<ContractId>,
    /// Contracts of LF 1 with hosted parties that have seen them and may use them, though they have no stake in them.
    pub divulged: Vec<(Contract, Parties)>,
    /// The end of a submission of this participant.
    pub completion: Option<Completion>,
}

/// A committed transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Names it on the whole network.
    pub id: UpdateId,
    /// Ledger time.
    pub effective_at: Timestamp,
    /// The application's label.
    pub workflow: Option<WorkflowId>,
    /// The nodes that hosted parties see.
    pub transaction: Transaction,
    /// The hosted parties.
    pub hosted: Parties,
    /// Present where this participant submitted it.
    pub command: Option<Command>,
}

/// A command by its names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Command {
    /// Who submitted, as a user.
    pub user: UserId,
    /// In whose name.
    pub act_as: Parties,
    /// Chosen by the application.
    pub command: CommandId,
    /// Tells retries apart.
    pub submission: Option<SubmissionId>,
}

/// The end of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Which command.
    pub command: Command,
    /// What became of it.
    pub outcome: CompletionOutcome,
    /// The deduplication period that was honoured.
    pub deduplication: Duration,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompletionOutcome {
    /// It took effect.
    Committed(UpdateId),
    /// It had no effect and never will.
    Rejected {
        /// Entry of the catalogue.
        code: ErrorCode,
        /// For people.
        message: String,
    },
}

/// An entry as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    /// Its offset.
    pub offset: i64,
    /// See [`Publication::record_time`].
    pub record_time: Timestamp,
    /// Where it happened.
    pub synchronizer: SynchronizerId,
    /// What happened.
    pub content: T,
}

/// A contract that is active at the offset asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveContract {
    /// When it was created.
    pub created_offset: i64,
    /// The node that created it, in its transaction.
    pub node: i32,
    /// Where it is active.
    pub synchronizer: SynchronizerId,
    /// The contract.
    pub contract: Contract,
}

/// A party that this participant knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// The party.
    pub party: PartyId,
    /// Whether it is hosted here.
    pub is_local: bool,
}

/// A package that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageInfo {
    /// Its id.
    pub id: PackageId,
    /// Its name; old ones have none.
    pub name: Option<PackageName>,
    /// Its version.
    pub version: Option<PackageVersion>,
    /// Bytes of its payload.
    pub size: u64,
    /// When it was uploaded.
    pub uploaded: Timestamp,
}

/// A user of the Ledger API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub id: UserId,
    /// The party it acts as where none is named.
    pub primary_party: Option<PartyId>,
    /// A deactivated user may do nothing.
    pub is_deactivated: bool,
    /// What it may do.
    pub rights: Vec<Right>,
}

/// What a user may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Administer the participant.
    ParticipantAdmin,
    /// Submit for a party.
    ActAs(PartyId),
    /// See what a party sees.
    ReadAs(PartyId),
    /// See what any party sees.
    ReadAsAnyParty,
}
