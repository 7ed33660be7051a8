//! Why there is no transaction.

use base::{Coded, ContractId, ErrorCode, Identifier, Name, PackageId, codes};
use transaction::AuthorizationError;

/// An interpretation failed. Nothing has happened on the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A command names or holds something that does not fit the model.
    #[error("the command does not fit its model: {0}")]
    Preprocessing(String),
    /// No package has such a definition.
    #[error("template or interface {0} is unknown; upload its package or correct the name")]
    UnknownTemplate(String),
    /// A package is needed and nobody gave it.
    #[error("package {0} is unknown; upload it")]
    MissingPackage(PackageId),
    /// There is no such contract, or nobody may see it.
    #[error("contract {0} could not be found")]
    ContractNotFound(ContractId),
    /// The contract was archived in this very transaction.
    #[error("contract {id} of {template} is not active: it was archived earlier in this transaction")]
    ContractNotActive {
        /// The contract.
        id: ContractId,
        /// Its template.
        template: Identifier,
    },
    /// The contract is of another template.
    #[error("contract {id} is of template {actual}, but {expected} was expected")]
    WronglyTyped {
        /// The contract.
        id: ContractId,
        /// What was asked for.
        expected: Identifier,
        /// What it is.
        actual: Identifier,
    },
    /// The contract's template does not implement the interface.
    #[error("contract {id} is of template {template}, which does not implement {interface}")]
    NotImplemented {
        /// The contract.
        id: ContractId,
        /// What was asked for.
        interface: Identifier,
        /// What it is.
        template: Identifier,
    },
    /// The argument of a contract does not fit the version of its template under which it is used.
    #[error("the argument of contract {id} does not fit {template}: {why}")]
    UpgradeTranslation {
        /// The contract.
        id: ContractId,
        /// The template under which it is used.
        template: Identifier,
        /// What differs.
        why: String,
    },
    /// A contract would be another one under the version of its template under which it is used.
    #[error("contract {id} cannot be used as {template}: its signatories or observers would be others")]
    UpgradeValidation {
        /// The contract.
        id: ContractId,
        /// The template under which it is used.
        template: Identifier,
    },
    /// The key of a contract is none.
    #[error("a key of {template} cannot be one: {why}")]
    ContractKey {
        /// The template.
        template: Identifier,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is a contract of that key already.
    #[error("there is already a contract of {template} with the same key")]
    DuplicateContractKey {
        /// The template.
        template: Identifier,
    },
    /// The ledger listed all contracts of a key, but there is another one that has it.
    #[error("the contracts of a key of {template} changed meanwhile; submit the command again")]
    InconsistentContractKey {
        /// The template.
        template: Identifier,
    },
    /// An exception would undo what cannot be undone.
    #[error(
        "an exception was caught after {template} was created or archived within the `try`: from LF 2.3 on that cannot be \
         undone; move the creates and archives out of it, or fail with a status"
    )]
    EffectfulRollback {
        /// The template of the first such contract.
        template: Identifier,
    },
    /// There is no contract of that key.
    #[error("there is no contract of {template} with that key")]
    ContractKeyNotFound {
        /// The template.
        template: Identifier,
    },
    /// Somebody's authority is missing.
    #[error(transparent)]
    Authorization(#[from] AuthorizationError),
    /// The model failed on purpose, or an exception of it was handled by nobody.
    #[error("{error_id}: {message}")]
    Failure {
        /// The model's id of the error; `UNHANDLED_EXCEPTION/Module:Type` for exceptions.
        error_id: String,
        /// 8 or 9, see [`base::Category`].
        category: i64,
        /// The model's message.
        message: String,
        /// The model's facts.
        metadata: Vec<(String, String)>,
    },
    /// The model called `error`.
    #[error("the model stopped with an error: {0}")]
    User(String),
    /// The precondition of a template does not hold.
    #[error("the precondition of {template} does not hold for {argument}")]
    Precondition {
        /// The template.
        template: Identifier,
        /// The contract argument.
        argument: String,
    },
    /// Functions were compared.
    #[error("functions have no order; compare other values")]
    NotComparable,
    /// A contract id of this transaction was compared with one that it may become.
    #[error("a contract id of this transaction cannot be compared with one of the ledger that begins like it")]
    ContractIdComparability,
    /// A text is not what a function of the language needs.
    #[error("a text of the model is {0}")]
    MalformedBytes(&'static str),
    /// A key or signature that a model judges is none.
    #[error("a model judges a signature, but {0}")]
    Secp256k1(crypto::Secp256k1Error),
    /// A text that the ledger cannot hold.
    #[error("a text has a NUL character; leave it out")]
    MalformedText,
    /// A value is nested too deeply for the ledger.
    #[error("a value is nested deeper than the ledger allows ({depth} levels at most); make it flatter", depth = base::limits::MAX_VALUE_DEPTH)]
    ValueNesting,
    /// A value that is none of the ledger's would have to be stored.
    #[error("a value of the model cannot stand on the ledger: {0}")]
    NotSerializable(&'static str),
    /// A command names a package that nobody has given.
    #[error("no package has the name {0}; upload one")]
    UnknownPackageName(base::PackageName),
    /// A choice that the template or interface does not have.
    #[error("{owner} has no choice {choice}")]
    UnknownChoice {
        /// The template or interface.
        owner: Identifier,
        /// The choice.
        choice: Name,
    },
    /// Something that this version does not run.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// Too many nested calls or too large a transaction.
    #[error("the interpretation exceeds a limit: {0}")]
    Limit(&'static str),
    /// A package is not well typed: its code asks for what cannot be.
    #[error("package code is not well typed: {0}")]
    IllTyped(String),
    /// The caller broke the order of calls.
    #[error("the run was not waiting for that answer")]
    UnexpectedAnswer,
}

impl Coded for EngineError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Preprocessing(_) | Self::UnknownChoice { .. } => codes::COMMAND_PREPROCESSING_FAILED,
            Self::UnknownTemplate(_) => codes::TEMPLATES_OR_INTERFACES_NOT_FOUND,
            Self::MissingPackage(_) => codes::PACKAGE_NOT_FOUND,
            Self::ContractNotFound(_) => codes::CONTRACT_NOT_FOUND,
            Self::ContractNotActive { .. } => codes::CONTRACT_NOT_ACTIVE,
            Self::Authorization(error) => error.code(),
            Self::Failure { category, .. } => ErrorCode {
                id: codes::DAML_FAILURE.id,
                category: if *category == 8 {
                    base::Category::InvalidIndependentOfSystemState
                } else {
                    base::Category::InvalidGivenCurrentSystemState
                },
            },
            Self::Unsupported(_) => codes::UNSUPPORTED_OPERATION,
            Self::UnexpectedAnswer => codes::INTERNAL_ERROR,
            Self::WronglyTyped { .. } => codes::WRONGLY_TYPED_CONTRACT,
            Self::NotImplemented { .. } => codes::CONTRACT_DOES_NOT_IMPLEMENT_INTERFACE,
            Self::UpgradeTranslation { .. } => codes::INTERPRETATION_UPGRADE_ERROR_TRANSLATION_FAILED,
            Self::UpgradeValidation { .. } => codes::INTERPRETATION_UPGRADE_ERROR_VALIDATION_FAILED,
            Self::User(_) => codes::INTERPRETATION_USER_ERROR,
            Self::Precondition { .. } => codes::TEMPLATE_PRECONDITION_VIOLATED,
            Self::NotComparable => codes::NON_COMPARABLE_VALUES,
            Self::ContractIdComparability => codes::CONTRACT_ID_COMPARABILITY,
            Self::MalformedBytes(_) => codes::INTERPRETATION_CRYPTO_ERROR_MALFORMED_BYTE_ENCODING,
            Self::Secp256k1(crypto::Secp256k1Error::Key) => codes::INTERPRETATION_CRYPTO_ERROR_MALFORMED_KEY,
            Self::Secp256k1(crypto::Secp256k1Error::Signature) => {
                codes::INTERPRETATION_CRYPTO_ERROR_MALFORMED_SIGNATURE
            }
            Self::MalformedText => codes::MALFORMED_TEXT,
            Self::ValueNesting => codes::VALUE_NESTING,
            Self::UnknownPackageName(_) => codes::UNRESOLVED_PACKAGE_NAME,
            Self::DuplicateContractKey { .. } => codes::DUPLICATE_CONTRACT_KEY,
            Self::ContractKeyNotFound { .. } => codes::CONTRACT_KEY_NOT_FOUND,
            Self::InconsistentContractKey { .. } => codes::INCONSISTENT_CONTRACT_KEY,
            Self::EffectfulRollback { .. } => codes::DAML_EFFECTFUL_ROLLBACK_ERROR,
            Self::ContractKey { .. } | Self::NotSerializable(_) | Self::Limit(_) | Self::IllTyped(_) => {
                codes::DAML_INTERPRETATION_ERROR
            }
        }
    }

    fn context(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Failure { error_id, metadata, .. } => {
                let facts = metadata.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
                vec![("error_id", error_id.clone()), ("metadata", facts.join(","))]
            }
            Self::ContractNotFound(id) | Self::ContractNotActive { id, .. } => vec![("contract_id", id.to_string())],
            _ => Vec::new(),
        }
    }

    fn definite_answer(&self) -> bool {
        true
    }
}
