//! A contract as it was created: what a later transaction needs to use it.

use crate::{Parties, Value};
use base::{Hash, Identifier, PackageName};

/// The content of a contract. Its id and its creation time are kept beside it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ContractInstance {
    /// The template by which it was created.
    pub template: Identifier,
    /// The name of the template's package; a later version of that package may be used to exercise.
    pub package_name: PackageName,
    /// The contract argument, without type ids and labels.
    pub argument: Value,
    /// Who authorized it. Not empty.
    pub signatories: Parties,
    /// Signatories and observers.
    pub stakeholders: Parties,
    /// Its key, if its template has one.
    pub key: Option<ContractKey>,
}

/// The key of a contract.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ContractKey {
    /// The key, without type ids and labels.
    pub value: Value,
    /// Who guards it; signatories of the contract.
    pub maintainers: Parties,
    /// Hash of package name, template name and value.
    pub hash: Hash,
}
