//! Ledger values: what contracts, choice arguments and results are made of.

use crate::{Date, Numeric, Shared, Walk};
use base::{ContractId, Identifier, Name, PartyId, Timestamp, limits::MAX_VALUE_DEPTH};
use std::{collections::BTreeMap, sync::Arc};

/// A serializable Daml value. Cloning is cheap: whatever can be large is shared.
///
/// Type ids and field labels are optional: clients may give them, the ledger stores values without them (with
/// trailing `None` fields of records dropped), and whoever shows a value puts them back by its type.
/// Equality and order are structural, type ids and labels included; for maps the order of Daml, by which
/// the entries are sorted, needs types and is the business of `engine`.
#[derive(Clone)]
pub enum Value {
    /// The one value of `Unit`.
    Unit,
    /// A truth value.
    Bool(bool),
    /// A 64-bit integer.
    Int64(i64),
    /// A decimal number with a fixed number of decimals.
    Numeric(Numeric),
    /// Unicode text; ordered by code points, which is the order of its UTF-8 bytes.
    Text(Arc<str>),
    /// An instant in microseconds.
    Timestamp(Timestamp),
    /// A day.
    Date(Date),
    /// A party.
    Party(PartyId),
    /// The id of a contract.
    ContractId(ContractId),
    /// Perhaps a value.
    Optional(Option<Shared<Value>>),
    /// Values in order.
    List(Shared<Vec<Value>>),
    /// A map from texts, sorted.
    TextMap(Shared<BTreeMap<Arc<str>, Value>>),
    /// A map from any comparable values, in the order of its keys' type.
    GenMap(Shared<Vec<(Value, Value)>>),
    /// Fields in the order of their declaration.
    Record(Shared<Record>),
    /// One of several constructors, with its argument.
    Variant(Shared<Variant>),
    /// One of several constructors without arguments.
    Enum(Arc<Enum>),
}

/// The fields of a record value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Record {
    /// Its type, if known.
    pub id: Option<Identifier>,
    /// Its fields in the order of declaration; trailing ones that are `None` may be missing.
    pub fields: Vec<Field>,
}

/// One field of a record value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Field {
    /// Its name, if known.
    pub label: Option<Name>,
    /// Its value.
    pub value: Value,
}

/// A constructor of a variant, with its argument.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Variant {
    /// Its type, if known.
    pub id: Option<Identifier>,
    /// The constructor.
    pub constructor: Name,
    /// Its argument.
    pub value: Value,
}

/// A constructor of an enum.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Enum {
    /// Its type, if known.
    pub id: Option<Identifier>,
    /// The constructor.
    pub constructor: Name,
}

/// A value is nested deeper than [`MAX_VALUE_DEPTH`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a value is nested deeper than {MAX_VALUE_DEPTH} levels; make the data flatter")]
pub struct TooDeep;

impl Value {
    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// `None`.
    #[must_use]
    pub const fn none() -> Self {
        Self::Optional(None)
    }

    /// `Some value`.
    #[must_use]
    pub fn some(value: Self) -> Self {
        Self::Optional(Some(value.into()))
    }

    /// A list.
    #[must_use]
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(items.into_iter().collect::<Vec<_>>().into())
    }

    /// A map from texts.
    #[must_use]
    pub fn text_map(entries: impl IntoIterator<Item = (Arc<str>, Self)>) -> Self {
        Self::TextMap(entries.into_iter().collect::<BTreeMap<_, _>>().into())
    }

    /// A generic map; the caller gives the entries in the order of the keys' type.
    #[must_use]
    pub fn gen_map(entries: Vec<(Self, Self)>) -> Self {
        Self::GenMap(entries.into())
    }

    /// A record without type id and labels, as the ledger stores it.
    #[must_use]
    pub fn record(fields: impl IntoIterator<Item = Self>) -> Self {
        let fields = fields.into_iter().map(|value| Field { label: None, value }).collect();
        Self::Record(Record { id: None, fields }.into())
    }

    /// A record with labels, as clients give it.
    #[must_use]
    pub fn labelled(id: Option<Identifier>, fields: impl IntoIterator<Item = (Name, Self)>) -> Self {
        let fields = fields.into_iter().map(|(label, value)| Field { label: Some(label), value }).collect();
        Self::Record(Record { id, fields }.into())
    }

    /// A constructor of a variant with its argument, without type id.
    #[must_use]
    pub fn variant(constructor: Name, value: Self) -> Self {
        Self::Variant(Variant { id: None, constructor, value }.into())
    }

    /// A constructor of an enum, without type id.
    #[must_use]
    pub fn enumeration(constructor: Name) -> Self {
        Self::Enum(Arc::new(Enum { id: None, constructor }))
    }

    /// The value and everything in it, parents before children.
    #[must_use]
    pub fn walk(&self) -> Walk<'_> {
        Walk::new(self)
    }

    /// Refuses values nested deeper than [`MAX_VALUE_DEPTH`]; a value without parts has depth 0.
    pub fn check_depth(&self) -> Result<(), TooDeep> {
        if self.walk().any(|(depth, _)| depth > MAX_VALUE_DEPTH) { Err(TooDeep) } else { Ok(()) }
    }

    /// All contract ids in the value, in order of occurrence.
    pub fn contract_ids(&self) -> impl Iterator<Item = &ContractId> {
        self.walk().filter_map(|(_, value)| match value {
            Self::ContractId(id) => Some(id),
            _ => None,
        })
    }

    /// The value with each contract id replaced; shares what contains none.
    #[must_use]
    pub fn map_contract_ids(&self, f: &mut impl FnMut(&ContractId) -> ContractId) -> Self {
        if self.contract_ids().next().is_none() {
            return self.clone();
        }
        crate::assemble::rebuild(self, |leaf| match leaf {
            Self::ContractId(id) => Self::ContractId(f(id)),
            other => other.clone(),
        })
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int64(number)
    }
}

impl From<Numeric> for Value {
    fn from(number: Numeric) -> Self {
        Self::Numeric(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<PartyId> for Value {
    fn from(party: PartyId) -> Self {
        Self::Party(party)
    }
}

impl From<ContractId> for Value {
    fn from(id: ContractId) -> Self {
        Self::ContractId(id)
    }
}
