//! What a script needs of a ledger. The one of this process implements it as a state machine; a connection to a
//! participant can implement it by calling the Ledger API.

use base::{ContractId, Identifier, Name, PackageId, PackageName, PackageVersion, PartyId, Timestamp, UserId};
use engine::{Command, EngineError, Term};
use std::{collections::BTreeSet, time::Duration};
use transaction::{Parties, Transaction, Value};

/// Commands to be done together.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Who authorizes. Not empty.
    pub act_as: Parties,
    /// Whose contracts may be used besides.
    pub read_as: Parties,
    /// In this order. Those that name a package by its name want the preferred version of it.
    pub commands: Vec<Command>,
    /// Versions that are preferred to the highest ones.
    pub preferences: Vec<PackageId>,
    /// Contracts that may be used although none of the parties sees them, as [`ActiveContract::blob`] has them.
    pub disclosed: Vec<Vec<u8>>,
}

/// An active contract.
#[derive(Clone, Debug)]
pub struct ActiveContract {
    /// Its id.
    pub contract_id: ContractId,
    /// The template that created it.
    pub template: Identifier,
    /// The name of the template's package.
    pub package_name: PackageName,
    /// Its argument.
    pub argument: Value,
    /// What others need to use it without seeing it.
    pub blob: Vec<u8>,
}

/// What happened, as the submitters see it.
#[derive(Clone, Debug)]
pub struct Event {
    /// How many exercises it happened in.
    pub depth: usize,
    /// The contract.
    pub contract_id: ContractId,
    /// Its template.
    pub template: Identifier,
    /// What happened to it.
    pub action: Action,
}

/// What happened to a contract.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is what its name says, see `transaction::Node`")]
pub enum Action {
    Created { argument: Value },
    Exercised { interface: Option<Identifier>, choice: Name, argument: Value, result: Value },
}

/// Why commands were not done.
#[derive(Debug)]
pub struct SubmitFailure {
    /// The reason.
    pub error: SubmitError,
    /// As much of the transaction as there is, if any.
    pub transaction: Option<Transaction>,
    /// The exception that nobody handled, if it was one.
    pub exception: Option<Term>,
}

impl SubmitFailure {
    /// Whether it says something about whoever interprets and nothing about the model: no script can expect it.
    #[must_use]
    pub fn is_defect(&self) -> bool {
        matches!(
            self.error,
            SubmitError::Engine(
                EngineError::IllTyped(_)
                    | EngineError::Limit(_)
                    | EngineError::Unsupported(_)
                    | EngineError::MissingPackage(_)
                    | EngineError::UnexpectedAnswer
            )
        )
    }
}

/// The reason why commands were not done.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The model refused, or a command does not fit it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A contract cannot be used.
    #[error("contract {id} of {template} cannot be used: {why}")]
    Unusable {
        /// The contract.
        id: ContractId,
        /// Its template.
        template: Identifier,
        /// What stands against it.
        why: Unusable,
    },
    /// Nobody allocated these parties.
    #[error("parties {} are not allocated", list(.0))]
    UnknownParties(Parties),
    /// No vetted package has the name.
    #[error("no vetted package has the name {0}")]
    UnresolvedPackageName(PackageName),
    /// A package is needed that is not vetted.
    #[error("package {0} is not vetted")]
    NotVetted(PackageId),
    /// A participant refused, or it is unknown whether it did.
    #[error("{message}")]
    Refused {
        /// The id of its error, if it gave one.
        code: Option<String>,
        /// For people.
        message: String,
    },
    /// A disclosed contract is none, or is not what the ledger has under its id.
    #[error("a disclosed contract is malformed or not the one of its id")]
    Disclosure,
}

/// What stands against the use of a contract that exists or existed.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It was archived.
    #[error("it is archived")]
    NotActive,
    /// It will be created only later.
    #[error("it is created only at {0}")]
    NotEffective(Timestamp),
    /// Nobody who submits sees it.
    #[error("neither {} nor {} (reading) see it, only {} do", list(.act_as), list(.read_as), list(.stakeholders))]
    NotVisible {
        /// Who submits.
        act_as: Parties,
        /// Whose contracts may be used besides.
        read_as: Parties,
        /// Who sees it.
        stakeholders: Parties,
    },
}

fn list(parties: &Parties) -> String {
    parties.iter().map(PartyId::as_str).collect::<Vec<_>>().join(", ")
}

/// A call that is not a submission failed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is such a party already.
    #[error("party {0} is already allocated")]
    PartyExists(String),
    /// The party's name is none.
    #[error(transparent)]
    Invalid(#[from] base::InvalidId),
    /// The ledger cannot do it.
    #[error("{0} is not possible on this ledger")]
    Unsupported(&'static str),
    /// A participant refused, or did not answer.
    #[error("{0}")]
    Refused(String),
    /// A package that the DAR does not have.
    #[error("there is no package {0} {1}")]
    UnknownPackage(PackageName, PackageVersion),
    /// The model failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What a user may do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum UserRight {
    ParticipantAdmin,
    CanActAs(PartyId),
    CanReadAs(PartyId),
    CanReadAsAnyParty,
}

/// A user.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is what its name says")]
pub struct User {
    pub id: UserId,
    pub primary_party: Option<PartyId>,
}

/// Name and version of a package.
pub type PackageVersionName = (PackageName, PackageVersion);

/// A ledger that scripts can be run against. Answers of users' calls are `None` where there is no such user.
pub trait ScriptLedger {
    /// Does commands, and says what happened: one root event for each, two for a create with an exercise.
    fn submit(&mut self, submission: &Submission) -> Result<Vec<Event>, Box<SubmitFailure>>;
    /// All active contracts of which one of the parties is a stakeholder, in the order of their creation.
    fn active_contracts(&mut self, parties: &Parties) -> Result<Vec<ActiveContract>, LedgerError>;
    /// An active contract of which one of the parties is a stakeholder.
    fn contract(&mut self, parties: &Parties, id: &ContractId) -> Result<Option<ActiveContract>, LedgerError>;
    /// Active contracts of a key of which one of the parties is a stakeholder, the newest first, at most so many. The key
    /// is as the ledger stores it.
    fn contracts_by_key(
        &mut self,
        parties: &Parties,
        template: &Identifier,
        key: &Value,
        limit: usize,
    ) -> Result<Vec<ActiveContract>, LedgerError>;
    /// The view of a contract through an interface; `None` if its preferred version does not implement it.
    fn view(&mut self, contract: &ActiveContract, interface: &Identifier) -> Result<Option<View>, LedgerError>;
    /// Makes a party, named as close to the hint as the ledger can.
    fn allocate_party(&mut self, hint: &str) -> Result<PartyId, LedgerError>;
    /// All parties, in order.
    fn parties(&mut self) -> Result<Parties, LedgerError>;
    /// The ledger's time.
    fn time(&mut self) -> Result<Timestamp, LedgerError>;
    /// Sets the ledger's time.
    fn set_time(&mut self, time: Timestamp) -> Result<(), LedgerError>;
    /// Lets time pass for whoever else uses the ledger.
    fn sleep(&mut self, time: Duration) -> Result<(), LedgerError>;
    /// Makes a user. Whether there was none of that id.
    fn create_user(&mut self, user: User, rights: BTreeSet<UserRight>) -> Result<bool, LedgerError>;
    /// A user.
    fn user(&mut self, id: &UserId) -> Result<Option<User>, LedgerError>;
    /// Removes a user. Whether there was one.
    fn delete_user(&mut self, id: &UserId) -> Result<bool, LedgerError>;
    /// All users, in order of their ids.
    fn users(&mut self) -> Result<Vec<User>, LedgerError>;
    /// Gives rights, and says which are new.
    fn grant(&mut self, id: &UserId, rights: &[UserRight]) -> Result<Option<Vec<UserRight>>, LedgerError>;
    /// Takes rights, and says which were there.
    fn revoke(&mut self, id: &UserId, rights: &[UserRight]) -> Result<Option<Vec<UserRight>>, LedgerError>;
    /// A user's rights.
    fn rights(&mut self, id: &UserId) -> Result<Option<Vec<UserRight>>, LedgerError>;
    /// All packages; or only those that may be used.
    fn packages(&mut self, vetted: bool) -> Result<Vec<PackageVersionName>, LedgerError>;
    /// Lets packages be used, or not any more.
    fn vet(&mut self, packages: &[PackageVersionName], vetted: bool) -> Result<(), LedgerError>;
}

/// What a contract looks like through an interface; `None` if computing it failed.
pub type View = Option<Value>;
