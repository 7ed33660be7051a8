//! Walking, comparing and showing values without the Rust stack.

use crate::{Enum, Field, Value};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, btree_map},
    fmt, option, slice,
    sync::Arc,
};

/// A value and everything in it with their depths (the value itself has depth 0), parents before children.
/// Children come in order; a map's keys come before their values.
#[derive(Debug)]
pub struct Walk<'a> {
    root: Option<&'a Value>,
    open: Vec<Children<'a>>,
}

/// What is left of one value's children.
#[derive(Debug)]
enum Children<'a> {
    One(option::IntoIter<&'a Value>),
    List(slice::Iter<'a, Value>),
    TextMap(btree_map::Values<'a, Arc<str>, Value>),
    GenMap(slice::Iter<'a, (Value, Value)>, Option<&'a Value>),
    Record(slice::Iter<'a, Field>),
}

impl<'a> Children<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        Some(match value {
            Value::Optional(Some(part)) => Self::One(Some(&**part).into_iter()),
            Value::List(items) => Self::List(items.iter()),
            Value::TextMap(entries) => Self::TextMap(entries.values()),
            Value::GenMap(entries) => Self::GenMap(entries.iter(), None),
            Value::Record(record) => Self::Record(record.fields.iter()),
            Value::Variant(variant) => Self::One(Some(&variant.value).into_iter()),
            _ => return None,
        })
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = &'a Value;
    fn next(&mut self) -> Option<&'a Value> {
        match self {
            Self::One(part) => part.next(),
            Self::List(items) => items.next(),
            Self::TextMap(values) => values.next(),
            Self::GenMap(entries, pending) => pending.take().or_else(|| {
                let (key, value) = entries.next()?;
                *pending = Some(value);
                Some(key)
            }),
            Self::Record(fields) => fields.next().map(|field| &field.value),
        }
    }
}

impl<'a> Walk<'a> {
    pub(crate) fn new(root: &'a Value) -> Self {
        Self { root: Some(root), open: Vec::new() }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = (usize, &'a Value);
    fn next(&mut self) -> Option<Self::Item> {
        let value = match self.root.take() {
            Some(root) => root,
            None => loop {
                match self.open.last_mut()?.next() {
                    Some(value) => break value,
                    None => self.open.pop(),
                };
            },
        };
        let depth = self.open.len();
        self.open.extend(Children::of(value));
        Some((depth, value))
    }
}

/// The part of a value that is not in its children. Equal heads have equally many children.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Head<'a> {
    Unit,
    Bool(bool),
    Int64(i64),
    Numeric(crate::Numeric),
    Text(&'a str),
    Timestamp(base::Timestamp),
    Date(crate::Date),
    Party(&'a base::PartyId),
    ContractId(&'a base::ContractId),
    Optional(bool),
    List(usize),
    TextMap(Keys<'a>),
    GenMap(usize),
    Record(Option<&'a base::Identifier>, Labels<'a>),
    Variant(Option<&'a base::Identifier>, &'a base::Name),
    Enum(&'a Enum),
}

/// The keys of a text map, compared without its values.
struct Keys<'a>(&'a BTreeMap<Arc<str>, Value>);

/// The labels of a record, compared without its values.
struct Labels<'a>(&'a [Field]);

impl Ord for Keys<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.keys().cmp(other.0.keys()))
    }
}

impl Ord for Labels<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let labels = |this: &Self| this.0.iter().map(|field| field.label.as_ref());
        self.0.len().cmp(&other.0.len()).then_with(|| labels(self).cmp(labels(other)))
    }
}

/// Equality and partial order from the total order.
macro_rules! by_order {
    ($($type:ty),*) => {$(
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }
        impl Eq for $type {}
        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
    )*};
}
by_order!(Keys<'_>, Labels<'_>, Value);

/// Heads first, in the order of the walk: equal heads keep both walks in step.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        let mut pairs = self.walk().zip(other.walk());
        pairs
            .find_map(|((_, a), (_, b))| Some(Head::of(a).cmp(&Head::of(b))).filter(|o| o.is_ne()))
            .unwrap_or(Ordering::Equal)
    }
}

/// One line, for logs and test failures: `Record(a: 1, b: List("x"))`.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = 0;
        for (place, (depth, value)) in self.walk().enumerate() {
            match depth.cmp(&last) {
                Ordering::Greater => f.write_str("(")?,
                Ordering::Equal if place == 0 => {}
                Ordering::Equal => f.write_str(", ")?,
                Ordering::Less => write!(f, "{}, ", ")".repeat(last - depth))?,
            }
            last = depth;
            value.fmt_head(f)?;
        }
        f.write_str(&")".repeat(last))
    }
}

impl Value {
    fn fmt_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit => f.write_str("Unit"),
            Self::Bool(v) => write!(f, "{v:?}"),
            Self::Int64(v) => write!(f, "{v:?}"),
            Self::Numeric(v) => write!(f, "{v:?}"),
            Self::Text(v) => write!(f, "{v:?}"),
            Self::Timestamp(v) => write!(f, "{v}"),
            Self::Date(v) => write!(f, "{v:?}"),
            Self::Party(v) => write!(f, "'{v}'"),
            Self::ContractId(v) => write!(f, "#{v}"),
            Self::Optional(v) => f.write_str(if v.is_some() { "Some" } else { "None" }),
            Self::List(v) => write!(f, "List[{}]", v.len()),
            Self::TextMap(v) => write!(f, "TextMap{:?}", v.keys().collect::<Vec<_>>()),
            Self::GenMap(v) => write!(f, "GenMap[{}]", v.len()),
            Self::Record(v) => {
                let labels = v.fields.iter().map(|field| field.label.as_ref().map_or("_", |label| label.as_str()));
                write!(f, "Record[{}]", labels.collect::<Vec<_>>().join(","))
            }
            Self::Variant(v) => write!(f, "{}", v.constructor),
            Self::Enum(v) => write!(f, "{}", v.constructor),
        }
    }
}

impl<'a> Head<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Unit => Self::Unit,
            Value::Bool(v) => Self::Bool(*v),
            Value::Int64(v) => Self::Int64(*v),
            Value::Numeric(v) => Self::Numeric(*v),
            Value::Text(v) => Self::Text(v),
            Value::Timestamp(v) => Self::Timestamp(*v),
            Value::Date(v) => Self::Date(*v),
            Value::Party(v) => Self::Party(v),
            Value::ContractId(v) => Self::ContractId(v),
            Value::Optional(v) => Self::Optional(v.is_some()),
            Value::List(v) => Self::List(v.len()),
            Value::TextMap(v) => Self::TextMap(Keys(v)),
            Value::GenMap(v) => Self::GenMap(v.len()),
            Value::Record(v) => Self::Record(v.id.as_ref(), Labels(&v.fields)),
            Value::Variant(v) => Self::Variant(v.id.as_ref(), &v.constructor),
            Value::Enum(v) => Self::Enum(v),
        }
    }
}
