//! What may stand on the ledger.

use super::{Fault, Rule, world::World};
use crate::{BuiltinType as B, DataCons, DataType, LanguageVersion, NameId, Type, TypeId};

fn refused(what: impl Into<String>) -> Fault {
    Fault { rule: Rule::Serializability, what: what.into() }
}

/// Refuses a type of the package whose values cannot stand on the ledger. Of variables it assumes that they can.
pub(super) fn check_type(world: &mut World<'_>, root: TypeId, vars: &[NameId]) -> Result<(), Fault> {
    let package = world.package;
    let builtin = |id: TypeId| match package.ty(id) {
        Type::Builtin(builtin) => Some(*builtin),
        _ => None,
    };
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        world.work()?;
        match package.ty(id) {
            Type::App(function, argument) => match builtin(*function) {
                // What a contract id is of has no bearing on it, except in old versions.
                Some(B::ContractId) if package.language_version() >= LanguageVersion::V1_15 => {}
                Some(B::Numeric) if matches!(package.ty(*argument), Type::Nat(_)) => {}
                Some(B::ContractId | B::List | B::Optional | B::TextMap) => open.push(*argument),
                _ => match package.ty(*function) {
                    Type::App(map, key) if builtin(*map) == Some(B::GenMap) => open.extend([*key, *argument]),
                    _ => open.extend([*function, *argument]),
                },
            },
            Type::Var(name) if vars.contains(name) => {}
            Type::Con(reference) => {
                let id = world.reference(*reference);
                let home = world.home(id)?;
                let data = home.data_type(&id.module, &id.entity);
                if !data.is_some_and(|data| data.serializable) {
                    return Err(refused(format!("{id} is not serializable")));
                }
            }
            Type::Builtin(
                B::Int64 | B::Text | B::Timestamp | B::Date | B::Party | B::Bool | B::Unit | B::AnyException,
            ) => {}
            _ => return Err(refused(format!("{} is not serializable", package.type_text(id)))),
        }
    }
    Ok(())
}

/// Refuses a data type that says that it is serializable, and is not.
pub(super) fn check_data_type(world: &mut World<'_>, data: &DataType) -> Result<(), Fault> {
    if !data.serializable {
        return Ok(());
    }
    let kinds = &world.package.arena().kinds;
    if data.params.iter().any(|(_, kind)| kinds[kind.index()] != crate::Kind::Star) {
        return Err(refused("a type with parameters that are no types of values is not serializable"));
    }
    let vars: Vec<NameId> = data.params.iter().map(|(name, _)| *name).collect();
    match &data.cons {
        DataCons::Interface => return Err(refused("an interface is not serializable")),
        DataCons::Variant(all) if all.is_empty() => return Err(refused("a type without values is not serializable")),
        DataCons::Enum(all) if all.is_empty() => return Err(refused("a type without values is not serializable")),
        DataCons::Enum(_) => {}
        DataCons::Record(fields) | DataCons::Variant(fields) => {
            fields.iter().try_for_each(|(_, ty)| check_type(world, *ty, &vars))?;
        }
    }
    Ok(())
}
