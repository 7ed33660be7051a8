//! Between ledger values and the machine's: inwards directed by types, outwards to the ledger's normal form.

use crate::{
    EngineError,
    map::{self, entries},
    registry::Registry,
    run::Stop,
    typing::{Data, Head, Typed},
    value::{Constructor, P, V, Variant},
};
use base::{Identifier, Name, PackageId, limits::MAX_VALUE_DEPTH};
use lf::{BuiltinType, DataCons, TypeId};
use std::sync::Arc;
use transaction::{Assembler, Numeric, Record, Shape, Value};

/// A value does not become one of the machine's.
#[derive(Debug)]
pub(crate) enum TranslateError {
    /// A type is in a package that nobody has given.
    Missing(PackageId),
    /// It is not of its type.
    Mismatch(String),
}

impl From<PackageId> for TranslateError {
    fn from(package: PackageId) -> Self {
        Self::Missing(package)
    }
}

fn mismatch<T>(what: impl Into<String>) -> Result<T, TranslateError> {
    Err(TranslateError::Mismatch(what.into()))
}

/// What is to be done: translate, or put together what was translated.
enum Task<'a> {
    Visit(&'a Value, Head),
    Some,
    List(usize),
    TextMap(Vec<Arc<str>>),
    GenMap(usize),
    Record(Identifier, usize),
    Variant(Arc<Constructor>),
}

static NONE: Value = Value::none();

/// A value of a type. Missing optional fields are `None`; labels and type ids are optional but must be right.
pub(crate) fn to_machine(registry: &Registry, value: &Value, ty: Head) -> Result<V, TranslateError> {
    if value.check_depth().is_err() {
        return mismatch(format!("it is nested deeper than {MAX_VALUE_DEPTH} levels"));
    }
    let mut inward = Inward { registry, tasks: vec![Task::Visit(value, ty)], done: Vec::new() };
    while let Some(task) = inward.tasks.pop() {
        match task {
            Task::Visit(value, head) => inward.visit(value, head)?,
            Task::Some => {
                let inner = inward.take(1).next().unwrap_or(V::Unit);
                inward.done.push(V::some(inner));
            }
            Task::List(n) => {
                let list = V::list(inward.take(n).collect::<Vec<_>>());
                inward.done.push(list);
            }
            Task::TextMap(keys) => {
                let values: Vec<_> = inward.take(keys.len()).collect();
                let all = keys.into_iter().map(V::Text).zip(values);
                inward.done.push(V::TextMap(all.fold(None, |map, (key, value)| map::insert(&map, key, value))));
            }
            Task::GenMap(n) => {
                let mut parts = inward.take(2 * n).collect::<Vec<_>>().into_iter();
                let mut all = None;
                while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
                    all = map::insert(&all, key, value);
                }
                if map::size(&all) < n {
                    return mismatch("a map has the same key twice");
                }
                inward.done.push(V::GenMap(all));
            }
            Task::Record(id, n) => {
                let fields = inward.take(n).collect();
                inward.done.push(V::record(Arc::new(id), fields));
            }
            Task::Variant(constructor) => {
                let value = inward.take(1).next().unwrap_or(V::Unit);
                inward.done.push(V::Variant(P::new(Variant { constructor, value })));
            }
        }
    }
    Ok(inward.done.pop().unwrap_or(V::Unit))
}

struct Inward<'a> {
    registry: &'a Registry,
    tasks: Vec<Task<'a>>,
    done: Vec<V>,
}

impl<'a> Inward<'a> {
    fn take(&mut self, n: usize) -> std::vec::Drain<'_, V> {
        self.done.drain(self.done.len() - n..)
    }

    /// Plans children so that they are translated in order.
    fn children(&mut self, children: impl Iterator<Item = (&'a Value, Typed)>) -> Result<(), TranslateError> {
        let start = self.tasks.len();
        for (value, ty) in children {
            let head = ty.head(self.registry)?;
            self.tasks.push(Task::Visit(value, head));
        }
        self.tasks[start..].reverse();
        Ok(())
    }

    fn visit(&mut self, value: &'a Value, head: Head) -> Result<(), TranslateError> {
        match head {
            Head::Builtin(builtin, arguments) => self.builtin(value, builtin, &arguments),
            Head::Data(data) => self.data(value, &data),
            Head::Nat(_) | Head::Struct(_) | Head::Other => mismatch("its type is none of the ledger's"),
        }
    }

    fn builtin(&mut self, value: &'a Value, ty: BuiltinType, arguments: &[Typed]) -> Result<(), TranslateError> {
        let argument = |n: usize| {
            arguments.get(n).cloned().ok_or_else(|| TranslateError::Mismatch(format!("{ty:?} lacks an argument")))
        };
        let leaf = match (ty, value) {
            (BuiltinType::Unit, Value::Unit) => V::Unit,
            (BuiltinType::Bool, Value::Bool(v)) => V::Bool(*v),
            (BuiltinType::Int64, Value::Int64(v)) => V::Int64(*v),
            (BuiltinType::Text, Value::Text(v)) if v.contains('\0') => return mismatch("a text has a NUL character"),
            (BuiltinType::Text, Value::Text(v)) => V::Text(v.clone()),
            (BuiltinType::Timestamp, Value::Timestamp(v)) => V::Timestamp(*v),
            (BuiltinType::Date, Value::Date(v)) => V::Date(*v),
            (BuiltinType::Party, Value::Party(v)) => V::Party(v.clone()),
            (BuiltinType::ContractId, Value::ContractId(v)) => V::ContractId(v.clone()),
            (BuiltinType::Numeric, Value::Numeric(v)) => V::Numeric(self.numeric(*v, &argument(0)?)?),
            (BuiltinType::Optional, Value::Optional(None)) => V::None,
            (BuiltinType::Optional, Value::Optional(Some(inner))) => {
                self.tasks.push(Task::Some);
                return self.children([(&**inner, argument(0)?)].into_iter());
            }
            (BuiltinType::List, Value::List(items)) => {
                let ty = argument(0)?;
                self.tasks.push(Task::List(items.len()));
                return self.children(items.iter().map(|item| (item, ty.clone())));
            }
            (BuiltinType::TextMap, Value::TextMap(all)) => {
                let ty = argument(0)?;
                self.tasks.push(Task::TextMap(all.keys().cloned().collect()));
                return self.children(all.values().map(|item| (item, ty.clone())));
            }
            (BuiltinType::GenMap, Value::GenMap(all)) => {
                let (key, item) = (argument(0)?, argument(1)?);
                self.tasks.push(Task::GenMap(all.len()));
                return self.children(all.iter().flat_map(|(k, v)| [(k, key.clone()), (v, item.clone())]));
            }
            (ty, value) => return mismatch(format!("{value:?} is no {ty:?}")),
        };
        self.done.push(leaf);
        Ok(())
    }

    /// Clients give numbers with as few decimals as they need.
    fn numeric(&self, number: Numeric, scale: &Typed) -> Result<Numeric, TranslateError> {
        let Head::Nat(scale) = scale.head(self.registry)? else { return mismatch("Numeric lacks its scale") };
        number.checked_cast(scale).or_else(|error| mismatch(format!("{number} is no Numeric {scale}: {error}")))
    }

    fn data(&mut self, value: &'a Value, data: &Data) -> Result<(), TranslateError> {
        let given = match value {
            Value::Record(v) => v.id.as_ref(),
            Value::Variant(v) => v.id.as_ref(),
            Value::Enum(v) => v.id.as_ref(),
            _ => None,
        };
        // The package may be another version's: what counts is that the parts fit.
        if given.is_some_and(|id| id.module != data.id.module || id.entity != data.id.entity) {
            return mismatch(format!("{value:?} says that it is no {}", data.id));
        }
        match (data.cons(), value) {
            (Some(DataCons::Record(fields)), Value::Record(record)) => {
                let values = self.fields(record, fields, data)?;
                self.tasks.push(Task::Record(data.id.clone(), values.len()));
                self.children(values.into_iter())
            }
            (Some(DataCons::Variant(all)), Value::Variant(variant)) => {
                let found = all.iter().position(|(name, _)| *name == variant.constructor);
                let Some(place) = found else {
                    return mismatch(format!("{} has no constructor {}", data.id, variant.constructor));
                };
                self.tasks.push(Task::Variant(constructor(&variant.constructor, place)));
                self.children([(&variant.value, data.part(all[place].1))].into_iter())
            }
            (Some(DataCons::Enum(all)), Value::Enum(given)) => {
                let Some(place) = all.iter().position(|name| *name == given.constructor) else {
                    return mismatch(format!("{} has no constructor {}", data.id, given.constructor));
                };
                self.done.push(V::Enum(constructor(&given.constructor, place)));
                Ok(())
            }
            (None, _) => mismatch(format!("there is no type {}", data.id)),
            _ => mismatch(format!("{value:?} is no {}", data.id)),
        }
    }

    /// The declared fields with their values: by label if all have one, else by place.
    fn fields(
        &self,
        record: &'a Record,
        declared: &[(Name, TypeId)],
        data: &Data,
    ) -> Result<Vec<(&'a Value, Typed)>, TranslateError> {
        let labelled = !record.fields.is_empty() && record.fields.iter().all(|field| field.label.is_some());
        let mut used = 0;
        let mut values = Vec::with_capacity(declared.len());
        for (place, (name, ty)) in declared.iter().enumerate() {
            let given = if labelled {
                record.fields.iter().find(|field| field.label.as_ref() == Some(name))
            } else {
                record.fields.get(place)
            };
            let ty = data.part(*ty);
            let value = match given {
                Some(field) if field.label.as_ref().is_some_and(|label| label != name) => {
                    return mismatch(format!("field {name} of {} has another label", data.id));
                }
                Some(field) => {
                    used += 1;
                    &field.value
                }
                None if matches!(ty.head(self.registry)?, Head::Builtin(BuiltinType::Optional, _)) => &NONE,
                None => return mismatch(format!("field {name} of {} is missing", data.id)),
            };
            values.push((value, ty));
        }
        let known = |n: usize, label: Option<&Name>| match label {
            Some(label) if labelled => declared.iter().any(|(name, _)| name == label),
            _ => n < declared.len(),
        };
        let extra: Vec<_> = record.fields.iter().enumerate().filter(|(n, f)| !known(*n, f.label.as_ref())).collect();
        // A label given twice makes the sum too small.
        if extra.iter().any(|(_, field)| field.value != NONE) || used + extra.len() != record.fields.len() {
            return mismatch(format!("there are fields that {} does not have", data.id));
        }
        Ok(values)
    }
}

fn constructor(name: &Name, place: usize) -> Arc<Constructor> {
    Arc::new(Constructor { name: name.clone(), rank: u32::try_from(place).unwrap_or(u32::MAX) })
}

/// The ledger's normal form: no type ids, no labels, trailing `None` fields dropped.
pub(crate) fn to_ledger(value: &V) -> Result<Value, Stop> {
    let refuse = |what| Err(Stop::error(EngineError::NotSerializable(what)));
    let mut assembler = Assembler::default();
    let mut todo = vec![value];
    while let Some(value) = todo.pop() {
        if assembler.depth() > MAX_VALUE_DEPTH {
            return Err(Stop::error(EngineError::ValueNesting));
        }
        match value {
            V::Unit => assembler.leaf(Value::Unit),
            V::Bool(v) => assembler.leaf(Value::Bool(*v)),
            V::Int64(v) => assembler.leaf(Value::Int64(*v)),
            V::Numeric(v) => assembler.leaf(Value::Numeric(*v)),
            V::Text(v) if v.contains('\0') => return Err(Stop::error(EngineError::MalformedText)),
            V::Text(v) => assembler.leaf(Value::Text(v.clone())),
            V::Timestamp(v) => assembler.leaf(Value::Timestamp(*v)),
            V::Date(v) => assembler.leaf(Value::Date(*v)),
            V::Party(v) => assembler.leaf(Value::Party(v.clone())),
            V::ContractId(v) => assembler.leaf(Value::ContractId(v.clone())),
            V::None => assembler.leaf(Value::none()),
            V::Some(inner) => {
                assembler.open(Shape::Some, 1);
                todo.push(inner);
            }
            V::Nil | V::Cons(_) => {
                let start = todo.len();
                todo.extend(value.items());
                todo[start..].reverse();
                assembler.open(Shape::List, todo.len() - start);
            }
            V::TextMap(map) => {
                let text = |key: &V| if let V::Text(text) = key { text.clone() } else { "".into() };
                let keys: Vec<_> = entries(map).map(|(key, _)| text(key)).collect();
                let start = todo.len();
                todo.extend(entries(map).map(|(_, value)| value));
                todo[start..].reverse();
                assembler.open(Shape::TextMap(keys), todo.len() - start);
            }
            V::GenMap(map) => {
                let start = todo.len();
                todo.extend(entries(map).flat_map(|(key, value)| [key, value]));
                todo[start..].reverse();
                assembler.open(Shape::GenMap, todo.len() - start);
            }
            V::Record(record) => {
                let kept = record.fields.iter().rposition(|field| !matches!(field, V::None)).map_or(0, |n| n + 1);
                todo.extend(record.fields[..kept].iter().rev());
                assembler.open(Shape::Record(None, vec![None; kept]), kept);
            }
            V::Variant(variant) => {
                assembler.open(Shape::Variant(None, variant.constructor.name.clone()), 1);
                todo.push(&variant.value);
            }
            V::Enum(constructor) => assembler.leaf(Value::enumeration(constructor.name.clone())),
            V::Struct(_) => return refuse("it is a structural record"),
            V::Closure(_) | V::Builtin(_) | V::Partial(_) => return refuse("it is a function"),
            V::Any(_) | V::TypeRep(_) => return refuse("it is of a dynamic type"),
        }
    }
    assembler.finish().ok_or_else(|| Stop::error(EngineError::NotSerializable("it is incomplete")))
}
