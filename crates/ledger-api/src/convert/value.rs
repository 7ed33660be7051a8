//! Daml values. The decoder of protobuf has bounded the nesting before anything here runs, and the ledger bounds it
//! before anything is shown, so the recursion is bounded.

use crate::ApiError;
use base::{ContractId, Identifier, Name, PartyId, Timestamp};
use canton_proto::com::daml::ledger::api::v2 as api;
use std::sync::Arc;
use transaction::{Date, Enum, Field, Numeric, Record, Value, Variant};

type Result<T> = std::result::Result<T, ApiError>;

fn invalid(why: impl ToString) -> ApiError {
    ApiError::invalid("value", why)
}

/// Reads a value that must be there.
pub(crate) fn required(value: Option<&api::Value>, field: &'static str) -> Result<Value> {
    read(value.ok_or(ApiError::Missing(field))?)
}

/// Reads a value.
pub fn read(value: &api::Value) -> Result<Value> {
    use api::value::Sum;
    Ok(match value.sum.as_ref().ok_or(ApiError::Missing("value.sum"))? {
        Sum::Unit(_) => Value::Unit,
        Sum::Bool(flag) => Value::Bool(*flag),
        Sum::Int64(number) => Value::Int64(*number),
        Sum::Date(days) => Value::Date(Date::from_days((*days).into()).map_err(invalid)?),
        Sum::Timestamp(micros) => Value::Timestamp(Timestamp::from_micros(*micros).map_err(invalid)?),
        Sum::Numeric(text) => {
            let number = Numeric::parse_literal(text).or_else(|| Numeric::parse(text, 10));
            Value::Numeric(number.ok_or_else(|| invalid(format!("{text:?} is no numeric")))?)
        }
        Sum::Party(party) => Value::Party(PartyId::new(party).map_err(invalid)?),
        Sum::Text(text) => Value::text(text),
        Sum::ContractId(id) => Value::ContractId(id.parse::<ContractId>().map_err(invalid)?),
        Sum::Optional(optional) => {
            let inner = optional.value.as_deref().map(read).transpose()?;
            inner.map_or_else(Value::none, Value::some)
        }
        Sum::List(list) => Value::list(list.elements.iter().map(read).collect::<Result<Vec<_>>>()?),
        Sum::TextMap(map) => {
            let entries =
                map.entries.iter().map(|e| Ok((Arc::from(e.key.as_str()), required(e.value.as_ref(), "value")?)));
            let entries = entries.collect::<Result<Vec<(Arc<str>, Value)>>>()?;
            let count = entries.len();
            let map = Value::text_map(entries);
            if matches!(&map, Value::TextMap(m) if m.len() != count) {
                return Err(invalid("a key occurs twice in a map"));
            }
            map
        }
        Sum::GenMap(map) => {
            let pair =
                |e: &api::gen_map::Entry| Ok((required(e.key.as_ref(), "key")?, required(e.value.as_ref(), "value")?));
            Value::gen_map(map.entries.iter().map(pair).collect::<Result<_>>()?)
        }
        Sum::Record(record) => Value::Record(self::record(record)?.into()),
        Sum::Variant(variant) => Value::Variant(
            Variant {
                id: optional_identifier(variant.variant_id.as_ref())?,
                constructor: Name::new(&variant.constructor).map_err(invalid)?,
                value: required(variant.value.as_deref(), "value")?,
            }
            .into(),
        ),
        Sum::Enum(e) => Value::Enum(Arc::new(Enum {
            id: optional_identifier(e.enum_id.as_ref())?,
            constructor: Name::new(&e.constructor).map_err(invalid)?,
        })),
    })
}

/// Reads a record.
pub(crate) fn record(record: &api::Record) -> Result<Record> {
    let field = |field: &api::RecordField| {
        let label = (!field.label.is_empty()).then(|| Name::new(&field.label)).transpose().map_err(invalid)?;
        Ok(Field { label, value: required(field.value.as_ref(), "value")? })
    };
    Ok(Record {
        id: optional_identifier(record.record_id.as_ref())?,
        fields: record.fields.iter().map(field).collect::<Result<_>>()?,
    })
}

/// Type ids in values are hints; one by package name says nothing that could be checked here.
fn optional_identifier(id: Option<&api::Identifier>) -> Result<Option<Identifier>> {
    let Some(id) = id.filter(|id| !id.package_id.starts_with('#')) else { return Ok(None) };
    Ok(Some(Identifier {
        package: id.package_id.parse().map_err(invalid)?,
        module: id.module_name.parse().map_err(invalid)?,
        entity: id.entity_name.parse().map_err(invalid)?,
    }))
}

/// The message of an identifier.
pub(crate) fn identifier(id: &Identifier) -> api::Identifier {
    api::Identifier {
        package_id: id.package.to_string(),
        module_name: id.module.to_string(),
        entity_name: id.entity.to_string(),
    }
}

/// The message of a value as the ledger stores it: without type ids and labels.
#[must_use]
pub fn message(value: &Value) -> api::Value {
    show(value, false)
}

/// The message of a value; type ids and labels only where `verbose`.
pub(crate) fn show(value: &Value, verbose: bool) -> api::Value {
    use api::value::Sum;
    let id = |id: &Option<Identifier>| id.as_ref().filter(|_| verbose).map(identifier);
    let sum = match value {
        Value::Unit => Sum::Unit(()),
        Value::Bool(flag) => Sum::Bool(*flag),
        Value::Int64(number) => Sum::Int64(*number),
        Value::Date(date) => {
            Sum::Date(i32::try_from(date.midnight().micros().div_euclid(86_400_000_000)).unwrap_or_default())
        }
        Value::Timestamp(at) => Sum::Timestamp(at.micros()),
        Value::Numeric(number) => Sum::Numeric(number.to_string()),
        Value::Party(party) => Sum::Party(party.to_string()),
        Value::Text(text) => Sum::Text(text.to_string()),
        Value::ContractId(id) => Sum::ContractId(id.to_string()),
        Value::Optional(inner) => {
            let value = inner.as_ref().map(|inner| Box::new(show(inner, verbose)));
            Sum::Optional(Box::new(api::Optional { value }))
        }
        Value::List(items) => Sum::List(api::List { elements: items.iter().map(|v| show(v, verbose)).collect() }),
        Value::TextMap(map) => {
            let entry = |(key, value): (&Arc<str>, &Value)| api::text_map::Entry {
                key: key.to_string(),
                value: Some(show(value, verbose)),
            };
            Sum::TextMap(api::TextMap { entries: map.iter().map(entry).collect() })
        }
        Value::GenMap(entries) => {
            let entry = |(key, value): &(Value, Value)| api::gen_map::Entry {
                key: Some(show(key, verbose)),
                value: Some(show(value, verbose)),
            };
            Sum::GenMap(api::GenMap { entries: entries.iter().map(entry).collect() })
        }
        Value::Record(record) => Sum::Record(show_record(record, verbose)),
        Value::Variant(variant) => Sum::Variant(Box::new(api::Variant {
            variant_id: id(&variant.id),
            constructor: variant.constructor.to_string(),
            value: Some(Box::new(show(&variant.value, verbose))),
        })),
        Value::Enum(e) => Sum::Enum(api::Enum { enum_id: id(&e.id), constructor: e.constructor.to_string() }),
    };
    api::Value { sum: Some(sum) }
}

/// The message of a record.
pub(crate) fn show_record(record: &Record, verbose: bool) -> api::Record {
    let field = |field: &Field| api::RecordField {
        label: field.label.as_ref().filter(|_| verbose).map(ToString::to_string).unwrap_or_default(),
        value: Some(show(&field.value, verbose)),
    };
    api::Record {
        record_id: record.id.as_ref().filter(|_| verbose).map(identifier),
        fields: record.fields.iter().map(field).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_way_there_and_back() {
        let value = Value::labelled(
            Some("p:M:T".parse().unwrap()),
            [
                (Name::new("a").unwrap(), Value::list([Value::Int64(-1), Value::Int64(7)])),
                (Name::new("b").unwrap(), Value::some(Value::none())),
                (Name::new("c").unwrap(), Value::text_map([("k".into(), Value::Unit)])),
                (Name::new("d").unwrap(), Value::gen_map(vec![(Value::text("x"), Value::Bool(true))])),
                (Name::new("e").unwrap(), Value::variant(Name::new("V").unwrap(), Value::text("t"))),
                (Name::new("f").unwrap(), Value::Numeric(Numeric::parse("12.5000000000", 10).unwrap())),
                (Name::new("g").unwrap(), Value::Date(Date::from_days(-1).unwrap())),
            ],
        );
        assert_eq!(required(Some(&show(&value, true)), "value").unwrap(), value);
        let plain = required(Some(&show(&value, false)), "value").unwrap();
        assert!(matches!(&plain, Value::Record(r) if r.id.is_none() && r.fields.iter().all(|f| f.label.is_none())));
    }

    #[test]
    fn refuses_what_is_no_value() {
        use api::value::Sum;
        for sum in [
            None,
            Some(Sum::Numeric("x".into())),
            Some(Sum::Party("ä".into())),
            Some(Sum::ContractId("00".into())),
            Some(Sum::Date(i32::MAX)),
        ] {
            assert!(read(&api::Value { sum }).is_err());
        }
    }
}
