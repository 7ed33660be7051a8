//! The script library that a DAR was compiled against: where its types are, and which generation it is of.

use crate::RunError;
use base::{Identifier, PackageId};
use engine::{Engine, Term};
use lf::{DataCons, Package, Type, TypeId};
use std::{collections::BTreeMap, sync::Arc};

/// How scripts ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Generation {
    /// By constructors of one type, each with a continuation (SDK 1 and 2).
    Constructors,
    /// By questions with a name and a version (SDK 3).
    Questions,
}

/// Where the library's type of scripts is, by generation.
const SCRIPT_TYPES: [(Generation, &str); 2] =
    [(Generation::Constructors, "Daml.Script"), (Generation::Questions, "Daml.Script.Internal.LowLevel")];

/// The definitions that each generation casts with; its runner has to make them identities.
fn casts(generation: Generation) -> &'static [&'static str] {
    match generation {
        Generation::Constructors => &["fromLedgerValue", "castCatchPayload"],
        Generation::Questions => &["dangerousCast"],
    }
}

/// A script library.
#[derive(Debug)]
pub(crate) struct Library {
    /// How its scripts ask.
    pub(crate) generation: Generation,
    /// Types by their names, its own before those of others.
    types: BTreeMap<String, Identifier>,
}

/// The library that a type is a script of: its package and generation.
pub(crate) fn library_of(package: &Package, ty: TypeId) -> Option<(PackageId, Generation)> {
    let Type::App(function, _) = package.ty(ty) else { return None };
    let Type::Con(reference) = package.ty(*function) else { return None };
    let id = package.reference(*reference);
    let found = SCRIPT_TYPES.iter().find(|(_, module)| id.module.as_str() == *module);
    found.filter(|_| id.entity.as_str() == "Script").map(|(generation, _)| (id.package.clone(), *generation))
}

impl Library {
    /// Reads what the library declares, and lets its casts be identities.
    pub(crate) fn new(engine: &Engine, package: &PackageId, generation: Generation) -> Result<Self, RunError> {
        let package: Arc<Package> =
            engine.package(package).ok_or_else(|| RunError::Library(format!("package {package} is missing")))?;
        let mut types = BTreeMap::new();
        for (module, data) in package.all_data_types() {
            types.entry(data.name.to_string()).or_insert_with(|| package.identifier(module, &data.name));
        }
        for id in &package.arena().refs {
            types.entry(id.entity.to_string()).or_insert_with(|| id.clone());
        }
        let (_, module) = SCRIPT_TYPES[usize::from(generation == Generation::Questions)];
        let name = |text: &str| text.parse().map_err(|error: base::InvalidId| RunError::Library(error.to_string()));
        for cast in casts(generation) {
            engine.define_identity(&package.identifier(&name(module)?, &name(cast)?));
        }
        Ok(Self { generation, types })
    }

    /// The type of a name.
    pub(crate) fn ty(&self, name: &str) -> Result<&Identifier, RunError> {
        self.types.get(name).ok_or_else(|| RunError::Library(format!("it has no type {name}")))
    }

    /// Whether a type of records has a field in this version of the library.
    pub(crate) fn has_field(&self, engine: &Engine, ty: &str, field: &str) -> bool {
        let Some(id) = self.types.get(ty) else { return false };
        let package = engine.package(&id.package);
        let data = package.as_ref().and_then(|package| package.data_type(&id.module, &id.entity));
        matches!(data.map(|data| &data.cons), Some(DataCons::Record(all)) if all.iter().any(|(name, _)| name.as_str() == field))
    }

    /// A record.
    pub(crate) fn record(&self, engine: &Engine, ty: &str, fields: &[(&str, Term)]) -> Result<Term, RunError> {
        Ok(engine.record(self.ty(ty)?, fields)?)
    }

    /// A constructor of a variant or enum.
    pub(crate) fn construct(&self, engine: &Engine, ty: &str, name: &str, value: Term) -> Result<Term, RunError> {
        Ok(engine.construct(self.ty(ty)?, name, value)?)
    }

    /// `Left` or `Right`.
    pub(crate) fn either(&self, engine: &Engine, result: Result<Term, Term>) -> Result<Term, RunError> {
        match result {
            Ok(value) => self.construct(engine, "Either", "Right", value),
            Err(value) => self.construct(engine, "Either", "Left", value),
        }
    }

    /// A pair or a triple.
    pub(crate) fn tuple<const N: usize>(&self, engine: &Engine, parts: [Term; N]) -> Result<Term, RunError> {
        let labels = ["_1", "_2", "_3"];
        let fields: Vec<_> = labels.into_iter().zip(parts).collect();
        self.record(engine, &format!("Tuple{N}"), &fields)
    }

    /// The type of a template or interface, as scripts hold it.
    pub(crate) fn type_rep(&self, engine: &Engine, id: &Identifier) -> Result<Term, RunError> {
        self.record(engine, "TemplateTypeRep", &[("getTemplateTypeRep", Term::type_rep(id))])
    }

    /// A contract's argument together with its template.
    pub(crate) fn any_template(
        &self,
        engine: &Engine,
        template: &Identifier,
        argument: &transaction::Value,
    ) -> Result<Term, RunError> {
        let argument = Term::any(template, engine.contract_term(template, argument)?);
        self.record(engine, "AnyTemplate", &[("getAnyTemplate", argument)])
    }

    /// A contract id together with its template.
    pub(crate) fn any_contract_id(
        &self,
        engine: &Engine,
        template: &Identifier,
        id: &base::ContractId,
    ) -> Result<Term, RunError> {
        let fields = [("templateId", self.type_rep(engine, template)?), ("contractId", Term::contract_id(id.clone()))];
        self.record(engine, "AnyContractId", &fields)
    }
}
