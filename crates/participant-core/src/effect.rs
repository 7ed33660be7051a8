//! What the participant's decisions ask the shell to do.

use crate::{CommitSet, InFlight};
use base::{
    CommandId, ContractId, ErrorCode, Hash, MediatorId, MessageId, SubmissionId, Timestamp, UpdateId, UserId,
    WorkflowId,
};
use protocol::{
    Alarm, Contract,
    message::{ConfirmationResponses, RequestId},
    sequencing::Envelope,
    tree::{Action, DeduplicationPeriod, KeyState, SubmitterMetadata, ViewPosition},
};
use std::collections::BTreeMap;
use topology::{RegisterResponse, StoredTransaction};
use transaction::{ContractInstance, Parties, Transaction};

/// What the shell does with a step's effects, in this order: store everything of all of them in one transaction,
/// commit, then send and start the rest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Store topology transactions.
    Topology(Vec<StoredTransaction>),
    /// Store a registered submission.
    Register(Box<InFlight>),
    /// Send a request to the sequencer, after its registration is stored. If the sequencer refuses it for certain,
    /// say so with `Event::Refused`.
    Send(Submit),
    /// Note at the stored submission that its request was sequenced.
    Sequenced {
        /// Which submission.
        message: MessageId,
        /// When.
        at: RequestId,
    },
    /// Interpret; answer with `Event::Reinterpreted`. Nothing to store.
    Reinterpret(Box<Reinterpret>),
    /// Sign the responses and send them to the mediator.
    Respond(Respond),
    /// Append to the ledger, in this order, everything in it in one transaction.
    Publish(Box<Publish>),
    /// Everything up to here is published: store it as the clean point, acknowledge it.
    Clean(Timestamp),
    /// Have a time proof sequenced once this time has passed.
    Tick(Timestamp),
    /// The manager's answer to a topology request of this participant.
    Registered(RegisterResponse),
    /// Log it as a sign that somebody misbehaves.
    Alarm(Alarm),
}

/// A request on its way to the sequencer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submit {
    /// Found again in the receipt.
    pub message: MessageId,
    /// All envelopes.
    pub batch: Vec<Envelope>,
    /// It must not be sequenced later.
    pub max_sequencing_time: Timestamp,
}

/// One root action to be interpreted again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reinterpret {
    /// For the answer.
    pub request: RequestId,
    /// For the answer.
    pub view: ViewPosition,
    /// What to interpret. Its seed is that of the root node itself.
    pub action: Action,
    /// For a create, the contract's template and argument.
    pub created: Option<ContractInstance>,
    /// Who authorizes the action.
    pub authorizers: Parties,
    /// The only contracts that may be used.
    pub contracts: BTreeMap<ContractId, Contract>,
    /// The only keys that may be asked for, by their hashes.
    pub keys: BTreeMap<Hash, KeyState>,
    /// The model's time.
    pub ledger_time: Timestamp,
    /// Part of the ids of created contracts.
    pub preparation_time: Timestamp,
}

/// Responses to be signed and sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Respond {
    /// Wrap in `Signed::unsigned`, sign its hash.
    pub responses: ConfirmationResponses,
    /// The only recipient.
    pub mediator: MediatorId,
    /// The response deadline.
    pub max_sequencing_time: Timestamp,
}

/// What one request, or one lost submission, adds to the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Publish {
    /// Sequencing time of the request; for a submission that was never sequenced, the time at which that was certain.
    pub record_time: Timestamp,
    /// The transaction, if it commits and shows anything here.
    pub update: Option<Update>,
    /// The outcome of a command of this participant.
    pub completion: Option<Completion>,
    /// The registered submission that ends hereby: delete it.
    pub in_flight: Option<MessageId>,
}

/// A committed transaction, as far as this participant sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Update {
    /// Hex of the root hash.
    pub id: UpdateId,
    /// The model's time.
    pub ledger_time: Timestamp,
    /// The application's label.
    pub workflow: Option<WorkflowId>,
    /// All nodes of the views seen, with suffixed contract ids.
    pub transaction: Transaction,
    /// Contracts created in it (undone creations left out), to be stored.
    pub contracts: Vec<Contract>,
    /// Contracts of LF 1 with hosted parties that have seen them and may use them, though they have no stake in them.
    pub divulged: Vec<(Contract, Parties)>,
    /// Changes of contracts with a stakeholder hosted here.
    pub changes: CommitSet,
}

/// The end of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Completion {
    /// Who acts.
    pub act_as: Parties,
    /// The application's user.
    pub user: UserId,
    /// As the application chose it.
    pub command: CommandId,
    /// Of the submission.
    pub submission: Option<SubmissionId>,
    /// As it was applied.
    pub deduplication: DeduplicationPeriod,
    /// User, command and parties: under it an acceptance is noted for deduplication.
    pub change: Hash,
    /// The update, or why there is none.
    pub outcome: Result<UpdateId, Rejection>,
}

/// Why a command had no effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejection {
    /// Of the catalogue.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// Contract ids and hashes of keys, in hex.
    pub resources: Vec<String>,
}

impl Completion {
    /// The completion of what a submitter asked for.
    #[must_use]
    pub fn of(submitter: &SubmitterMetadata, outcome: Result<UpdateId, Rejection>) -> Self {
        Self {
            act_as: submitter.act_as.clone(),
            user: submitter.user.clone(),
            command: submitter.command.clone(),
            submission: submitter.submission.clone(),
            deduplication: submitter.deduplication,
            change: change_id(submitter),
            outcome,
        }
    }
}

impl Rejection {
    /// Without contracts.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), resources: Vec::new() }
    }
}

/// The change id of what a submitter asks for.
#[must_use]
pub fn change_id(submitter: &SubmitterMetadata) -> Hash {
    transaction::hash_change_id(&submitter.user, &submitter.command, &submitter.act_as)
}

impl Respond {
    /// The message id: always the same, so that sending again after a takeover has effect once.
    ///
    /// # Panics
    /// Never: it is a valid message id.
    #[must_use]
    pub fn message_id(&self) -> MessageId {
        let id = format!("response-{}", self.responses.request.micros());
        MessageId::new(id).expect("a few graphic characters")
    }
}
