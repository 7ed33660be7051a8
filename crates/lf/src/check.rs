//! Whether a package is what the language demands: kinds, types, what may stand on the ledger, names, recursion. The
//! engine relies on it and checks nothing of this again (spec/daml-lf.md §3.6).
//!
//! Packages come from anybody, so nothing recurses over them, and the work is bounded. Types are numbers here: equal
//! types have equal numbers, so that comparing them costs nothing.

mod definitions;
mod infer;
mod interfaces;
mod names;
mod patterns;
mod serializable;
mod signatures;
#[cfg(test)]
mod tests;
mod types;
mod updates;
mod world;

pub use updates::tuple2;

use crate::{Dar, LfError, Package};
use base::DottedName;
use std::fmt;

/// What a definition violates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rule {
    Kind,
    Type,
    Scope,
    Reference,
    Serializability,
    Collision,
    Recursion,
    Exhaustiveness,
    Interface,
    Dependency,
    Size,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "types fit their kinds",
            Self::Type => "expressions have the types that are demanded of them",
            Self::Scope => "variables are in scope",
            Self::Reference => "what is referred to is there",
            Self::Serializability => "what stands on the ledger is serializable",
            Self::Collision => "names do not collide",
            Self::Recursion => "modules, synonyms and requirements are not circular",
            Self::Exhaustiveness => "patterns cover all cases",
            Self::Interface => "interfaces are implemented as they are declared",
            Self::Dependency => "a package needs none of a newer language version",
            Self::Size => "checking ends soon",
        })
    }
}

/// What is wrong, without the place.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    rule: Rule,
    what: String,
}

impl Fault {
    pub(crate) fn at(self, package: &Package, module: Option<&DottedName>, definition: Option<&str>) -> LfError {
        let module = module.map(|module| format!("{module}")).unwrap_or_default();
        LfError::IllFormed {
            package: package.id().to_string(),
            place: format!("{module}:{}", definition.unwrap_or_default()),
            rule: self.rule.to_string(),
            what: self.what,
        }
    }
}

/// Checks a package against `others`, among which all must be that it needs.
pub fn check_package<'a>(package: &'a Package, others: impl Iterator<Item = &'a Package>) -> Result<(), LfError> {
    definitions::check(package, others)
}

/// Checks all packages of a DAR.
pub fn check_dar(dar: &Dar) -> Result<(), LfError> {
    let packages = || dar.packages.iter().map(|package| &*package.package);
    packages().try_for_each(|package| check_package(package, packages()))
}
