//! What this room needs of the engine. Interpretation is pure and may take long, so it runs on a thread of its own.

use base::{Coded, ContractId, ErrorCode, Hash, PackageId, ParticipantId, Timestamp};
use ledger_api::{CommandKind, Enrich};
use participant_core::Reinterpret;
use protocol::Contract;
use std::collections::{BTreeMap, BTreeSet};
use transaction::{Parties, Transaction};

/// A submission to be interpreted.
#[derive(Debug, Clone)]
pub struct Interpretation {
    /// In whose name.
    pub act_as: Parties,
    /// What to do.
    pub commands: Vec<CommandKind>,
    /// The model's time.
    pub ledger_time: Timestamp,
    /// Part of the ids of created contracts.
    pub preparation_time: Timestamp,
    /// Random and secret.
    pub seed: Hash,
    /// Part of the transaction's seed.
    pub participant: ParticipantId,
}

/// What a submission came to.
#[derive(Debug, Clone)]
pub struct Interpreted {
    /// With local ids of what it creates.
    pub transaction: Transaction,
    /// The seed from which node seeds follow.
    pub seed: Hash,
    /// The contracts that it used and did not create.
    pub contracts: BTreeMap<ContractId, Contract>,
    /// The packages that it used.
    pub packages: BTreeSet<PackageId>,
}

/// Why a submission cannot be interpreted.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct InterpretationError {
    /// Entry of the catalogue.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

impl Coded for InterpretationError {
    fn code(&self) -> ErrorCode {
        self.code
    }

    fn definite_answer(&self) -> bool {
        true
    }
}

/// Packages that were read from a DAR.
#[derive(Debug, Clone)]
pub struct Dar {
    /// All packages, dependencies before dependents.
    pub packages: Vec<DarPackage>,
}

/// One package of a DAR.
#[derive(Debug, Clone)]
pub struct DarPackage {
    /// Its id.
    pub id: PackageId,
    /// Its name and version, if it has them.
    pub name: Option<(base::PackageName, base::PackageVersion)>,
    /// Its bytes as they came.
    pub payload: bytes::Bytes,
}

/// The contracts that a submission may use.
pub trait Contracts {
    /// One by its id; `None` if it is not known, not active, or none of the readers' business.
    fn by_id(&self, id: &ContractId) -> Option<Contract>;
    /// So many active ones of a key, or all if there are not so many, the newest first.
    fn by_key(&self, key: &Hash, limit: usize) -> Vec<Contract>;
}

/// Where a submission finds its contracts.
pub type Lookup<'a> = &'a dyn Contracts;

/// The engine, as this room sees it. All methods block.
pub trait Interpreter: Enrich + Send + Sync + 'static {
    /// Interprets a submission.
    fn interpret(&self, input: &Interpretation, lookup: Lookup<'_>) -> Result<Interpreted, InterpretationError>;

    /// Interprets one root action again.
    fn reinterpret(&self, input: &Reinterpret) -> Result<Transaction, String>;

    /// Reads and checks a DAR.
    fn read_dar(&self, dar: &[u8]) -> Result<Dar, InterpretationError>;

    /// Makes a package known from its payload.
    fn add_package(&self, id: &PackageId, payload: &[u8]) -> Result<(), InterpretationError>;

    /// Whether a package is known.
    fn has_package(&self, id: &PackageId) -> bool;
}
