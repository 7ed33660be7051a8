//! Which definitions of a DAR are scripts.

use crate::library::{Generation, library_of};
use base::{Identifier, PackageId};
use lf::Package;

/// A definition that is a script.
#[derive(Clone, Debug)]
pub struct Script {
    /// The definition.
    pub id: Identifier,
    /// The package of its library.
    pub(crate) library: PackageId,
    pub(crate) generation: Generation,
}

impl Script {
    /// Module and name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", self.id.module, self.id.entity)
    }
}

/// All values of a package that are scripts without parameters, by name. Values that the compiler made for itself (no
/// name in a source begins with a dollar sign) are parts of scripts.
#[must_use]
pub fn scripts(package: &Package) -> Vec<Script> {
    let mut found: Vec<_> = package
        .all_values()
        .filter(|(_, value)| !value.name.as_str().starts_with('$'))
        .filter_map(|(module, value)| {
            let (library, generation) = library_of(package, value.ty)?;
            Some(Script { id: package.identifier(module, &value.name), library, generation })
        })
        .collect();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}
