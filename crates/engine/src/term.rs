//! Values of all types of the language, functions among them: what scripts ask with and are answered with.

use crate::{
    Engine, EngineError,
    command::choice_types,
    map::{self, entries},
    registry::Registry,
    run::{Question, Stop},
    translate::{TranslateError, to_ledger, to_machine},
    ty::Ty,
    typing::{Data, Head, Typed},
    value::{Any, Constructor, P, V, Variant},
};
use base::{ContractId, Identifier, Name, PartyId, Timestamp};
use lf::DataCons;
use std::sync::Arc;
use transaction::Value;

/// A value of any type of the language. Cheap to clone; belongs to the engine that made it.
#[derive(Clone, Debug)]
pub struct Term(pub(crate) V);

impl Term {
    /// The one value of `Unit`.
    #[must_use]
    pub fn unit() -> Self {
        Self(V::Unit)
    }

    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(V::text(text))
    }

    /// An integer.
    #[must_use]
    pub fn int64(number: i64) -> Self {
        Self(V::Int64(number))
    }

    /// A truth value.
    #[must_use]
    pub fn bool(flag: bool) -> Self {
        Self(V::Bool(flag))
    }

    /// An instant.
    #[must_use]
    pub fn timestamp(time: Timestamp) -> Self {
        Self(V::Timestamp(time))
    }

    /// A party.
    #[must_use]
    pub fn party(party: PartyId) -> Self {
        Self(V::Party(party))
    }

    /// The id of a contract.
    #[must_use]
    pub fn contract_id(id: ContractId) -> Self {
        Self(V::ContractId(id))
    }

    /// Perhaps a value.
    #[must_use]
    pub fn optional(value: Option<Self>) -> Self {
        Self(value.map_or(V::None, |value| V::some(value.0)))
    }

    /// Values in order.
    #[must_use]
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self(V::list(items.into_iter().map(|item| item.0).collect::<Vec<_>>()))
    }

    /// A map from texts to texts.
    #[must_use]
    pub fn text_map<'a>(all: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let insert = |map, (key, value): (&str, &str)| map::insert(&map, V::text(key), V::text(value));
        Self(V::TextMap(all.into_iter().fold(None, insert)))
    }

    /// A value of a type without parameters together with that type.
    #[must_use]
    pub fn any(ty: &Identifier, value: Self) -> Self {
        Self(V::Any(P::new(Any { ty: Ty::con(ty), value: value.0 })))
    }

    /// A type without parameters as a value.
    #[must_use]
    pub fn type_rep(ty: &Identifier) -> Self {
        Self(V::TypeRep(Ty::con(ty)))
    }

    /// The text, if it is one; so do the others that begin with `as`.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let V::Text(text) = &self.0 { Some(text) } else { None }
    }

    #[must_use]
    #[expect(missing_docs, reason = "see `as_text`")]
    pub fn as_int64(&self) -> Option<i64> {
        if let V::Int64(number) = self.0 { Some(number) } else { None }
    }

    #[must_use]
    #[expect(missing_docs, reason = "see `as_text`")]
    pub fn as_bool(&self) -> Option<bool> {
        if let V::Bool(flag) = self.0 { Some(flag) } else { None }
    }

    #[must_use]
    #[expect(missing_docs, reason = "see `as_text`")]
    pub fn as_timestamp(&self) -> Option<Timestamp> {
        if let V::Timestamp(time) = self.0 { Some(time) } else { None }
    }

    #[must_use]
    #[expect(missing_docs, reason = "see `as_text`")]
    pub fn as_party(&self) -> Option<&PartyId> {
        if let V::Party(party) = &self.0 { Some(party) } else { None }
    }

    #[must_use]
    #[expect(missing_docs, reason = "see `as_text`")]
    pub fn as_contract_id(&self) -> Option<&ContractId> {
        if let V::ContractId(id) = &self.0 { Some(id) } else { None }
    }

    #[must_use]
    #[expect(missing_docs, reason = "see `as_text`")]
    pub fn as_optional(&self) -> Option<Option<Self>> {
        match &self.0 {
            V::None => Some(None),
            V::Some(inner) => Some(Some(Self((**inner).clone()))),
            _ => None,
        }
    }

    #[must_use]
    #[expect(missing_docs, reason = "see `as_text`")]
    pub fn as_list(&self) -> Option<Vec<Self>> {
        matches!(self.0, V::Nil | V::Cons(_)).then(|| self.0.items().cloned().map(Self).collect())
    }

    /// The entries of a map from texts to texts.
    #[must_use]
    pub fn as_text_map(&self) -> Option<Vec<(String, String)>> {
        let V::TextMap(map) = &self.0 else { return None };
        let entry = |(key, value): (&V, &V)| match (key, value) {
            (V::Text(key), V::Text(value)) => Some((key.to_string(), value.to_string())),
            _ => None,
        };
        entries(map).map(entry).collect()
    }

    /// The constructor of a variant and what it holds, or of an enum, which holds nothing.
    #[must_use]
    pub fn as_constructor(&self) -> Option<(&Name, Self)> {
        match &self.0 {
            V::Variant(variant) => Some((&variant.constructor.name, Self(variant.value.clone()))),
            V::Enum(constructor) => Some((&constructor.name, Self::unit())),
            _ => None,
        }
    }

    /// A field of a structural record.
    #[must_use]
    pub fn struct_field(&self, name: &str) -> Option<Self> {
        let V::Struct(fields) = &self.0 else { return None };
        let place = fields.labels.iter().position(|label| label.as_str() == name)?;
        fields.fields.get(place).cloned().map(Self)
    }

    /// The type of a record and its fields in order.
    #[must_use]
    pub fn as_record(&self) -> Option<(&Identifier, Vec<Self>)> {
        let V::Record(record) = &self.0 else { return None };
        Some((&record.id, record.fields.iter().cloned().map(Self).collect()))
    }

    /// A value with its type, where that is one without parameters.
    #[must_use]
    pub fn as_any(&self) -> Option<(&Identifier, Self)> {
        let V::Any(any) = &self.0 else { return None };
        Some((any.ty.as_con()?, Self(any.value.clone())))
    }

    /// What a value with its type is without it.
    #[must_use]
    pub fn any_value(&self) -> Option<Self> {
        if let V::Any(any) = &self.0 { Some(Self(any.value.clone())) } else { None }
    }

    #[must_use]
    #[expect(missing_docs, reason = "see `as_text`")]
    pub fn as_type_rep(&self) -> Option<&Identifier> {
        if let V::TypeRep(ty) = &self.0 { ty.as_con() } else { None }
    }

    /// The value as the ledger stores it; an error if it cannot stand there.
    pub fn to_value(&self) -> Result<Value, EngineError> {
        to_ledger(&self.0).map_err(Stop::into_error)
    }
}

fn unknown(id: &Identifier, part: &str) -> EngineError {
    EngineError::IllTyped(format!("{id} has no {part}"))
}

fn translated(error: TranslateError) -> EngineError {
    match error {
        TranslateError::Missing(package) => EngineError::MissingPackage(package),
        TranslateError::Mismatch(why) => EngineError::Preprocessing(why),
    }
}

fn term(registry: &Registry, value: &Value, head: Head) -> Result<Term, EngineError> {
    to_machine(registry, value, head).map(Term).map_err(translated)
}

impl Engine {
    /// A field of a record by its name.
    #[must_use]
    pub fn field(&self, record: &Term, name: &str) -> Option<Term> {
        let V::Record(record) = &record.0 else { return None };
        let registry = self.registry();
        let data = registry.get(&record.id.package)?.data_type(&record.id)?;
        let DataCons::Record(fields) = &data.cons else { return None };
        let place = fields.iter().position(|(label, _)| label.as_str() == name)?;
        record.fields.get(place).cloned().map(Term)
    }

    /// A record of exactly the fields that its type declares, in whatever order.
    pub fn record(&self, id: &Identifier, fields: &[(&str, Term)]) -> Result<Term, EngineError> {
        let registry = self.registry();
        let data = registry.get(&id.package).and_then(|loaded| loaded.data_type(id));
        let Some(DataCons::Record(declared)) = data.map(|data| &data.cons) else {
            return Err(unknown(id, "fields"));
        };
        if let Some((name, _)) =
            fields.iter().find(|(name, _)| declared.iter().all(|(known, _)| known.as_str() != *name))
        {
            return Err(unknown(id, &format!("field {name}")));
        }
        let given = |(name, _): &(Name, _)| {
            let found = fields.iter().find(|(label, _)| *label == name.as_str());
            found.map(|(_, value)| value.0.clone()).ok_or_else(|| unknown(id, &format!("value for its field {name}")))
        };
        let fields = declared.iter().map(given).collect::<Result<_, _>>()?;
        Ok(Term(V::record(Arc::new(id.clone()), fields)))
    }

    /// A constructor of a variant with what it holds, or of an enum, for which the value does not count.
    pub fn construct(&self, id: &Identifier, constructor: &str, value: Term) -> Result<Term, EngineError> {
        let registry = self.registry();
        let data = registry.get(&id.package).and_then(|loaded| loaded.data_type(id));
        let missing = || unknown(id, &format!("constructor {constructor}"));
        let make = |place: usize, name: &Name| {
            Arc::new(Constructor { name: name.clone(), rank: u32::try_from(place).unwrap_or(u32::MAX) })
        };
        match data.map(|data| &data.cons) {
            Some(DataCons::Variant(all)) => {
                let place = all.iter().position(|(name, _)| name.as_str() == constructor).ok_or_else(missing)?;
                let constructor = make(place, &all[place].0);
                Ok(Term(V::Variant(P::new(Variant { constructor, value: value.0 }))))
            }
            Some(DataCons::Enum(all)) => {
                let place = all.iter().position(|name| name.as_str() == constructor).ok_or_else(missing)?;
                Ok(Term(V::Enum(make(place, &all[place]))))
            }
            _ => Err(missing()),
        }
    }

    /// The argument of a contract as its template sees it.
    pub fn contract_term(&self, template: &Identifier, argument: &Value) -> Result<Term, EngineError> {
        let registry = self.registry();
        let data = Data::closed(&registry, template).map_err(EngineError::MissingPackage)?;
        term(&registry, argument, Head::Data(data))
    }

    fn choice_term(
        &self,
        owner: &Identifier,
        choice: &Name,
        value: &Value,
        select: impl Fn((Typed, Typed)) -> Typed,
    ) -> Result<(Option<Ty>, Term), EngineError> {
        let registry = self.registry();
        let types = registry.get(&owner.package).and_then(|loaded| choice_types(loaded, owner, choice));
        let ty = select(types.ok_or_else(|| unknown(owner, &format!("choice {choice}")))?);
        let closed = Ty::closed(&registry, ty.clone()).map_err(EngineError::MissingPackage)?;
        let head = ty.head(&registry).map_err(EngineError::MissingPackage)?;
        Ok((closed, term(&registry, value, head)?))
    }

    /// The argument of a choice of a template or interface, together with its type: an `Any`.
    pub fn choice_argument_term(&self, owner: &Identifier, choice: &Name, value: &Value) -> Result<Term, EngineError> {
        let (ty, term) = self.choice_term(owner, choice, value, |(argument, _)| argument)?;
        let ty = ty.ok_or_else(|| unknown(owner, &format!("closed type for the argument of {choice}")))?;
        Ok(Term(V::Any(P::new(Any { ty, value: term.0 }))))
    }

    /// The result of a choice of a template or interface.
    pub fn choice_result_term(&self, owner: &Identifier, choice: &Name, value: &Value) -> Result<Term, EngineError> {
        self.choice_term(owner, choice, value, |(_, result)| result).map(|(_, term)| term)
    }

    /// The view of an interface.
    pub fn view_term(&self, interface: &Identifier, view: &Value) -> Result<Term, EngineError> {
        let registry = self.registry();
        let loaded = registry.get(&interface.package).ok_or_else(|| unknown(interface, "package"))?;
        let (_, definition) = loaded.interface(interface).ok_or_else(|| unknown(interface, "view"))?;
        let head = Typed::closed(loaded, definition.view).head(&registry).map_err(EngineError::MissingPackage)?;
        term(&registry, view, head)
    }
}

impl Stop {
    /// The error that it is for whoever cannot go on.
    pub(crate) fn into_error(self) -> EngineError {
        match self {
            Self::Error(error) => *error,
            Self::Need(Question::Package(id)) => EngineError::MissingPackage(id),
            Self::Need(Question::Contract(id)) => EngineError::ContractNotFound(id),
            Self::Need(Question::Key { key, .. }) => EngineError::ContractKeyNotFound { template: key.template },
            Self::Throw(_) => EngineError::IllTyped("an exception came from nowhere".into()),
        }
    }
}
