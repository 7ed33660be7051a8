//! Putting type ids and labels back into ledger values, by their types.

use crate::{
    Engine,
    command::choice_types,
    registry::Registry,
    typing::{Data, Head, Typed},
};
use base::{Identifier, Name};
use lf::{BuiltinType, DataCons};
use std::sync::Arc;
use transaction::{Assembler, Enum, Shape, Value};

static NONE: Value = Value::none();

impl Engine {
    /// A contract argument with type ids, labels, and the trailing `None` fields that the ledger drops. Unchanged
    /// if its package is unknown or it does not fit the template.
    #[must_use]
    pub fn enrich_contract(&self, template: &Identifier, argument: &Value) -> Value {
        let registry = self.registry();
        let head = Data::closed(&registry, template).ok().map(Head::Data);
        head.and_then(|head| enrich(&registry, argument, head)).unwrap_or_else(|| argument.clone())
    }

    /// The argument of a choice of a template or interface, like [`Engine::enrich_contract`].
    #[must_use]
    pub fn enrich_choice_argument(&self, owner: &Identifier, choice: &Name, argument: &Value) -> Value {
        self.enrich_choice(owner, choice, argument, |(argument, _)| argument)
    }

    /// The result of a choice of a template or interface, like [`Engine::enrich_contract`].
    #[must_use]
    pub fn enrich_choice_result(&self, owner: &Identifier, choice: &Name, result: &Value) -> Value {
        self.enrich_choice(owner, choice, result, |(_, result)| result)
    }

    fn enrich_choice(
        &self,
        owner: &Identifier,
        choice: &Name,
        value: &Value,
        select: impl Fn((Typed, Typed)) -> Typed,
    ) -> Value {
        let registry = self.registry();
        let types = registry.get(&owner.package).and_then(|loaded| choice_types(loaded, owner, choice));
        let head = types.and_then(|types| select(types).head(&registry).ok());
        head.and_then(|head| enrich(&registry, value, head)).unwrap_or_else(|| value.clone())
    }
}

/// `None` if a package is missing or something does not fit.
pub(crate) fn enrich(registry: &Registry, value: &Value, head: Head) -> Option<Value> {
    let mut assembler = Assembler::default();
    let mut todo = vec![(value, head)];
    while let Some((value, head)) = todo.pop() {
        let start = todo.len();
        let mut child = |value, ty: Typed| {
            todo.push((value, ty.head(registry).ok()?));
            Some(())
        };
        match (value, head) {
            (Value::Optional(Some(inner)), Head::Builtin(BuiltinType::Optional, types)) => {
                child(inner, types.into_iter().next()?)?;
                assembler.open(Shape::Some, 1);
            }
            (Value::List(items), Head::Builtin(BuiltinType::List, types)) => {
                let ty = types.into_iter().next()?;
                items.iter().try_for_each(|item| child(item, ty.clone()))?;
                assembler.open(Shape::List, items.len());
            }
            (Value::TextMap(all), Head::Builtin(BuiltinType::TextMap, types)) => {
                let ty = types.into_iter().next()?;
                all.values().try_for_each(|item| child(item, ty.clone()))?;
                assembler.open(Shape::TextMap(all.keys().cloned().collect()), all.len());
            }
            (Value::GenMap(all), Head::Builtin(BuiltinType::GenMap, types)) => {
                let [key, item] = <[Typed; 2]>::try_from(types).ok()?;
                all.iter().try_for_each(|(k, v)| child(k, key.clone()).and_then(|()| child(v, item.clone())))?;
                assembler.open(Shape::GenMap, 2 * all.len());
            }
            (Value::Record(record), Head::Data(data)) => {
                let DataCons::Record(fields) = data.cons()? else { return None };
                if record.fields.len() > fields.len() {
                    return None;
                }
                for (place, (_, ty)) in fields.iter().enumerate() {
                    child(record.fields.get(place).map_or(&NONE, |field| &field.value), data.part(*ty))?;
                }
                let labels = fields.iter().map(|(name, _)| Some(name.clone())).collect();
                assembler.open(Shape::Record(Some(data.id.clone()), labels), fields.len());
            }
            (Value::Variant(variant), Head::Data(data)) => {
                let DataCons::Variant(all) = data.cons()? else { return None };
                let ty = all.iter().find(|(name, _)| *name == variant.constructor)?.1;
                child(&variant.value, data.part(ty))?;
                assembler.open(Shape::Variant(Some(data.id.clone()), variant.constructor.clone()), 1);
            }
            (Value::Enum(given), Head::Data(data)) => {
                let constructor = given.constructor.clone();
                assembler.leaf(Value::Enum(Arc::new(Enum { id: Some(data.id.clone()), constructor })));
            }
            (leaf, Head::Builtin(..)) => assembler.leaf(leaf.clone()),
            _ => return None,
        }
        todo[start..].reverse();
    }
    assembler.finish()
}
