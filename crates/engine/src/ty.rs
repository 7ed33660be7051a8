//! Types at run time: closed types without synonyms, as `Any` and `TypeRep` hold them.

use base::{DottedName, Identifier, Name};
use lf::{BuiltinType, Package, Type, TypeId};
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

    /// A closed type without synonyms. `None` if it is neither, or too large.
    pub(crate) fn closed(package: &Package, ty: TypeId) -> Option<Self> {
        let mut parts = Vec::new();
        let mut todo = vec![ty];
        while let Some(ty) = todo.pop() {
            if parts.len() > MAX_PARTS {
                return None;
            }
            match package.ty(ty) {
                Type::Con(con) => parts.push(Part::Con(package.reference(*con).clone())),
                Type::Builtin(builtin) => parts.push(Part::Builtin(*builtin)),
                Type::Nat(n) => parts.push(Part::Nat(*n)),
                Type::App(function, argument) => {
                    parts.push(Part::App);
                    todo.extend([*argument, *function]);
                }
                Type::Struct(fields) => {
                    parts.push(Part::Struct(fields.iter().map(|(label, _)| package.name(*label).clone()).collect()));
                    todo.extend(fields.iter().rev().map(|(_, ty)| *ty));
                }
                Type::Var(_) | Type::Synonym(..) | Type::Forall(..) => return None,
            }
        }
        Some(Self(parts.into()))
    }
}

/// Module and name without the package, as error ids show them.
pub(crate) fn qualified(module: &DottedName, entity: &DottedName) -> String {
    format!("{module}:{entity}")
}
