//! Types at run time: closed types without synonyms, as `Any` and `TypeRep` hold them.

use crate::{
    registry::Registry,
    typing::{Head, Typed},
};
use base::{DottedName, Identifier, Name, PackageId};
use lf::BuiltinType;
use std::sync::Arc;

/// A closed type as its parts in pre-order, so that comparing and dropping are loops.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Ty(Arc<[Part]>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    Con(Identifier),
    Builtin(BuiltinType),
    Nat(u8),
    /// Function and argument follow.
    App,
    /// The types of the fields follow.
    Struct(Arc<[Name]>),
}

/// A type is larger than any real one; guards against synonyms that double at each step.
const MAX_PARTS: usize = 10_000;

impl Ty {
    /// The type of a template, interface, exception or other constructor without arguments.
    pub(crate) fn con(id: &Identifier) -> Self {
        Self(Arc::new([Part::Con(id.clone())]))
    }

    /// The constructor, if the type is one without arguments.
    pub(crate) fn as_con(&self) -> Option<&Identifier> {
        match &self.0[..] {
            [Part::Con(id)] => Some(id),
            _ => None,
        }
    }

    /// A type without free variables, its synonyms expanded. `None` if it has some, is polymorphic, or is too large.
    pub(crate) fn closed(registry: &Registry, ty: Typed) -> Result<Option<Self>, PackageId> {
        let mut parts = Vec::new();
        let mut todo = vec![ty];
        while let Some(ty) = todo.pop() {
            let (head, arguments) = match ty.head(registry)? {
                Head::Builtin(builtin, arguments) => (Part::Builtin(builtin), arguments),
                Head::Data(data) => (Part::Con(data.id), data.arguments),
                Head::Nat(n) => (Part::Nat(n), Vec::new()),
                Head::Struct(fields) => {
                    let (labels, types): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
                    (Part::Struct(labels.into()), types)
                }
                Head::Other => return Ok(None),
            };
            // The parts of a struct follow it without applications.
            let applied = if matches!(head, Part::Struct(_)) { 0 } else { arguments.len() };
            if parts.len() + applied + todo.len() > MAX_PARTS {
                return Ok(None);
            }
            parts.extend(std::iter::repeat_n(Part::App, applied));
            parts.push(head);
            todo.extend(arguments.into_iter().rev());
        }
        Ok(Some(Self(parts.into())))
    }
}

/// Module and name without the package, as error ids show them.
pub(crate) fn qualified(module: &DottedName, entity: &DottedName) -> String {
    format!("{module}:{entity}")
}
