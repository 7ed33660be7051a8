//! What can be wrong with packages.

use base::{Coded, ErrorCode, codes};

/// A DAR, an archive or an LF text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LfError {
    /// The zip file is damaged, or none.
    #[error("the DAR is no readable zip file: {0}")]
    Zip(String),
    /// The zip file holds too much.
    #[error("the DAR is refused because {0}")]
    ZipBomb(String),
    /// The manifest is missing or does not name what it should.
    #[error("the DAR's manifest is unusable: {0}")]
    Manifest(String),
    /// An entry that the manifest names is missing.
    #[error("the DAR has no entry {0}, which its manifest names")]
    MissingEntry(String),
    /// Bytes are no protobuf message.
    #[error("{message} is not a well-formed protobuf message")]
    Wire {
        /// The message.
        message: &'static str,
    },
    /// A message is not what the language version prescribes.
    #[error("{message}: {what}")]
    Invalid {
        /// The message.
        message: &'static str,
        /// What is wrong in it.
        what: String,
    },
    /// The payload does not have the hash that the archive says.
    #[error("the archive says its hash is {stated}, but it is {computed}; the file is damaged")]
    Hash {
        /// The archive's own statement.
        stated: String,
        /// The payload's hash.
        computed: String,
    },
    /// The language version is not read by this software.
    #[error("Daml-LF {0} is not supported: {1}")]
    Version(String, &'static str),
    /// A definition violates a rule of the language.
    #[error("package {package}, {place}: {what}; the rule is that {rule}")]
    IllFormed {
        /// The package.
        package: String,
        /// Module and definition.
        place: String,
        /// The rule.
        rule: String,
        /// What violates it.
        what: String,
    },
    /// A package is no valid new version of another.
    #[error("{present} cannot replace version {past}: {what}")]
    NotAnUpgrade {
        /// Name and version.
        present: String,
        /// The older version.
        past: String,
        /// What is not as it was.
        what: String,
    },
    /// A package refers to one that is not there.
    #[error("package {package} needs package {missing}, which is not there; upload it first or within the DAR")]
    MissingPackage {
        /// Who refers.
        package: String,
        /// To whom.
        missing: String,
    },
    /// An LF text is wrong.
    #[error("line {line}, column {column}: {what}")]
    Text {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was found and expected.
        what: String,
    },
}

impl Coded for LfError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::ZipBomb(_) => codes::ZIP_BOMB,
            Self::NotAnUpgrade { .. } => codes::DAR_NOT_VALID_UPGRADE,
            Self::IllFormed { .. } => codes::DAR_VALIDATION_ERROR,
            Self::MissingPackage { .. } => codes::DAR_NOT_SELF_CONSISTENT,
            Self::Version(..) => codes::ALLOWED_LANGUAGE_VERSIONS,
            _ => codes::DAR_PARSE_ERROR,
        }
    }

    fn definite_answer(&self) -> bool {
        true
    }
}
