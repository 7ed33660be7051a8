//! Types in their place: a number of a package's arena with what its variables stand for.

use crate::registry::{Loaded, Registry};
use base::{Identifier, Name, PackageId};
use lf::{BuiltinType, DataCons, NameId, RefId, Type, TypeId};
use std::sync::Arc;

/// A type with what its variables stand for.
#[derive(Clone)]
pub(crate) struct Typed {
    loaded: Arc<Loaded>,
    ty: TypeId,
    env: Env,
}

type Env = Arc<Vec<(NameId, Typed)>>;

/// A type whose outermost constructor is known.
pub(crate) enum Head {
    Builtin(BuiltinType, Vec<Typed>),
    Nat(u8),
    Data(Data),
    /// Fields in the order of their names.
    Struct(Vec<(Name, Typed)>),
    /// No type of ledger values.
    Other,
}

/// A data type applied to its arguments.
pub(crate) struct Data {
    pub(crate) id: Identifier,
    pub(crate) arguments: Vec<Typed>,
    loaded: Arc<Loaded>,
    env: Env,
}

impl Typed {
    /// A type of a package that has no free variables.
    pub(crate) fn closed(loaded: &Arc<Loaded>, ty: TypeId) -> Self {
        Self { loaded: loaded.clone(), ty, env: Env::default() }
    }

    fn at(&self, ty: TypeId) -> Self {
        Self { loaded: self.loaded.clone(), ty, env: self.env.clone() }
    }

    /// The outermost constructor, variables and synonyms resolved. An error names a missing package.
    pub(crate) fn head(&self, registry: &Registry) -> Result<Head, PackageId> {
        let mut here = self.clone();
        // Arguments of the type in `here`, the first one last.
        let mut arguments = Vec::new();
        loop {
            let next = match here.loaded.package.ty(here.ty) {
                Type::App(function, argument) => {
                    arguments.push(here.at(*argument));
                    here.at(*function)
                }
                Type::Var(name) => match here.env.iter().find(|(bound, _)| bound == name) {
                    Some((_, ty)) => ty.clone(),
                    None => return Ok(Head::Other),
                },
                Type::Synonym(reference, given) => {
                    let id = here.loaded.package.reference(*reference);
                    let target = registry.get(&id.package).ok_or_else(|| id.package.clone())?.clone();
                    let Some(synonym) = target.package.synonym(&id.module, &id.entity) else { return Ok(Head::Other) };
                    let params = synonym.params.iter().map(|(name, _)| *name);
                    let env = params.zip(given.iter().map(|ty| here.at(*ty))).collect();
                    Self { ty: synonym.ty, env: Arc::new(env), loaded: target.clone() }
                }
                Type::Builtin(builtin) => {
                    arguments.reverse();
                    return Ok(Head::Builtin(*builtin, arguments));
                }
                Type::Con(reference) => {
                    arguments.reverse();
                    return Data::applied(registry, &here.loaded, *reference, arguments).map(Head::Data);
                }
                Type::Nat(n) => return Ok(Head::Nat(*n)),
                Type::Struct(fields) => {
                    let name = |name: NameId| here.loaded.package.name(name).clone();
                    return Ok(Head::Struct(fields.iter().map(|(label, ty)| (name(*label), here.at(*ty))).collect()));
                }
                Type::Forall(..) => return Ok(Head::Other),
            };
            here = next;
        }
    }
}

impl Data {
    fn applied(
        registry: &Registry,
        from: &Arc<Loaded>,
        reference: RefId,
        arguments: Vec<Typed>,
    ) -> Result<Self, PackageId> {
        let id = from.package.reference(reference).clone();
        let loaded = registry.get(&id.package).ok_or_else(|| id.package.clone())?.clone();
        let params = loaded.data_type(&id).map_or(&[][..], |data| &data.params);
        let env = params.iter().map(|(name, _)| *name).zip(arguments.iter().cloned()).collect();
        Ok(Self { env: Arc::new(env), loaded, id, arguments })
    }

    /// A data type without parameters.
    pub(crate) fn closed(registry: &Registry, id: &Identifier) -> Result<Self, PackageId> {
        let loaded = registry.get(&id.package).ok_or_else(|| id.package.clone())?.clone();
        Ok(Self { id: id.clone(), arguments: Vec::new(), loaded, env: Env::default() })
    }

    /// Its fields or constructors; `None` if there is no such type.
    pub(crate) fn cons(&self) -> Option<&DataCons> {
        self.loaded.data_type(&self.id).map(|data| &data.cons)
    }

    /// A type within its definition.
    pub(crate) fn part(&self, ty: TypeId) -> Typed {
        Typed { loaded: self.loaded.clone(), ty, env: self.env.clone() }
    }
}
