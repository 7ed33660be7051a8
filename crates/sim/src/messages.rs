//! What processes ask each other.

use crate::workload::Command;
use base::{ContractId, ErrorCode, MemberId, SubmissionId, Timestamp, UpdateId};
use protocol::sequencing::{SequencedEvent, Submission};
use std::rc::Rc;

pub(crate) enum Request {
    /// A member to a sequencer: sequence this.
    Send(Rc<Submission>),
    /// A member to a sequencer: the events from this one on, itself included.
    Events { member: MemberId, from: Option<Timestamp> },
    /// To a sequencer.
    Time,
    /// A client to a replica of a participant.
    Submit { command: Rc<Command>, submission: SubmissionId },
    /// A client to a replica of a participant: what became of this submission.
    Fate { command: Rc<Command>, submission: SubmissionId },
}

pub(crate) enum Reply {
    Sent(Result<(), NotSent>),
    /// `None` if the history does not have the event that was named.
    Events(Result<Option<Vec<Rc<SequencedEvent>>>, NotSent>),
    Time(Timestamp),
    Submitted(Result<(), Refusal>),
    Fate(Option<Fate>),
}

/// Why a sequencer did not acknowledge a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// It certainly was not and will not be sequenced through this request.
    NotOnline,
    /// It certainly never will be.
    Refused(ErrorCode),
    /// It may have been sequenced.
    Unknown,
}

/// Why a participant registered no submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Ask another replica.
    Passive,
    /// The change was accepted.
    Duplicate,
    /// The change is under way.
    InFlight,
    /// The contract is not active.
    NoContract,
    /// Others.
    TooLate,
    /// It may have been registered.
    Unknown,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing is known of it.
    Nothing,
    /// It is under way.
    InFlight,
    /// This submission of it was rejected.
    Rejected(ErrorCode),
    /// It was accepted, with this submission or another.
    Accepted { update: UpdateId, created: Option<ContractId> },
}
