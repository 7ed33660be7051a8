//! Hashes of contracts and keys in the field's newest scheme: values with their types' names and labels, without package
//! ids and trailing `None` fields, so that all versions of a package hash the same contract alike (spec/daml-lf.md §3.5).

use crate::{
    Value,
    seed::{add_length, add_text},
    value_hash::{add_dotted, add_numeric},
};
use base::{Hash, Identifier, Name, PackageName};

/// Byte in front of everything hashed: how values are encoded.
const TYPED_NORMAL_FORM: u8 = 3;
/// What follows: what the hash is for; for keys also the version of their layout.
const CONTRACT: &[u8] = &[5];
const KEY: &[u8] = &[9, 1];
/// After the fields of a record; no value begins with it.
const END_OF_RECORD: u8 = 0xff;

/// Why a value has no such hash.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TypedHashError {
    /// Types and labels must be known.
    #[error("a value to be hashed comes without {0}; enrich it first")]
    Untyped(&'static str),
    /// A contract key would hold a contract id.
    #[error("a contract key must not hold a contract id")]
    ContractIdInKey,
}

/// The hash of a contract: package name, module and name of the template, argument. `rank` is the place of a
/// constructor in the declaration of its type.
pub fn hash_contract(
    package_name: &PackageName,
    template: &Identifier,
    argument: &Value,
    rank: impl Fn(&Identifier, &Name) -> Option<u32>,
) -> Result<Hash, TypedHashError> {
    hash(CONTRACT, package_name, template, argument, rank)
}

/// The hash of a contract key, like [`hash_contract`].
pub fn hash_key(
    package_name: &PackageName,
    template: &Identifier,
    key: &Value,
    rank: impl Fn(&Identifier, &Name) -> Option<u32>,
) -> Result<Hash, TypedHashError> {
    if key.contract_ids().next().is_some() {
        return Err(TypedHashError::ContractIdInKey);
    }
    hash(KEY, package_name, template, key, rank)
}

fn hash(
    purpose: &[u8],
    package_name: &PackageName,
    template: &Identifier,
    value: &Value,
    rank: impl Fn(&Identifier, &Name) -> Option<u32>,
) -> Result<Hash, TypedHashError> {
    let mut data = vec![TYPED_NORMAL_FORM];
    data.extend(purpose);
    add_text(&mut data, package_name.as_str());
    add_name(&mut data, template);
    let mut open = vec![Part::Value(value)];
    while let Some(part) = open.pop() {
        match part {
            Part::Value(value) => add_value(&mut data, value, &rank, &mut open)?,
            Part::Text(text) => add_text(&mut data, text),
            Part::End => data.push(END_OF_RECORD),
        }
    }
    Ok(crypto::sha256(&data))
}

/// What is still to be added, instead of recursion.
enum Part<'v> {
    Value(&'v Value),
    /// A label or a key.
    Text(&'v str),
    End,
}

/// A definition's name without its package.
fn add_name(data: &mut Vec<u8>, id: &Identifier) {
    add_dotted(data, &id.module);
    add_dotted(data, &id.entity);
}

fn add_constructor(
    data: &mut Vec<u8>,
    id: Option<&Identifier>,
    constructor: &Name,
    rank: impl Fn(&Identifier, &Name) -> Option<u32>,
) -> Result<(), TypedHashError> {
    let id = id.ok_or(TypedHashError::Untyped("its type"))?;
    let rank = rank(id, constructor).ok_or(TypedHashError::Untyped("the declaration of its type"))?;
    add_name(data, id);
    add_text(data, constructor.as_str());
    data.extend(rank.to_be_bytes());
    Ok(())
}

/// Adds what is before the parts of a value, and plans the parts.
fn add_value<'v>(
    data: &mut Vec<u8>,
    value: &'v Value,
    rank: impl Fn(&Identifier, &Name) -> Option<u32>,
    open: &mut Vec<Part<'v>>,
) -> Result<(), TypedHashError> {
    data.push(tag(value));
    match value {
        Value::Unit => {}
        Value::Bool(v) => data.push(u8::from(*v)),
        Value::Int64(v) => data.extend(v.to_be_bytes()),
        Value::Numeric(v) => add_numeric(data, *v),
        Value::Text(v) => add_text(data, v),
        Value::Timestamp(v) => data.extend(v.micros().to_be_bytes()),
        Value::Date(v) => data.extend(v.days().to_be_bytes()),
        Value::Party(v) => add_text(data, v.as_str()),
        Value::ContractId(v) => {
            add_length(data, v.as_bytes().len());
            data.extend(v.as_bytes());
        }
        Value::Optional(v) => {
            data.push(u8::from(v.is_some()));
            open.extend(v.iter().map(|v| Part::Value(v)));
        }
        Value::List(items) => {
            add_length(data, items.len());
            open.extend(items.iter().rev().map(Part::Value));
        }
        Value::TextMap(entries) => {
            add_length(data, entries.len());
            open.extend(entries.iter().rev().flat_map(|(key, value)| [Part::Value(value), Part::Text(key)]));
        }
        Value::GenMap(entries) => {
            add_length(data, entries.len());
            open.extend(entries.iter().rev().flat_map(|(key, value)| [Part::Value(value), Part::Value(key)]));
        }
        Value::Record(record) => {
            add_name(data, record.id.as_ref().ok_or(TypedHashError::Untyped("its type"))?);
            open.push(Part::End);
            let trailing = |field: &&crate::Field| matches!(field.value, Value::Optional(None));
            for field in record.fields.iter().rev().skip_while(trailing) {
                let label = field.label.as_ref().ok_or(TypedHashError::Untyped("the labels of its fields"))?;
                open.extend([Part::Value(&field.value), Part::Text(label.as_str())]);
            }
        }
        Value::Variant(variant) => {
            add_constructor(data, variant.id.as_ref(), &variant.constructor, rank)?;
            open.push(Part::Value(&variant.value));
        }
        Value::Enum(one) => add_constructor(data, one.id.as_ref(), &one.constructor, rank)?,
    }
    Ok(())
}

/// The byte in front of each value.
fn tag(value: &Value) -> u8 {
    match value {
        Value::Int64(_) => 0,
        Value::Numeric(_) => 1,
        Value::Text(_) => 2,
        Value::Timestamp(_) => 3,
        Value::Party(_) => 4,
        Value::Bool(_) => 5,
        Value::Unit => 6,
        Value::Date(_) => 7,
        Value::Record(_) => 8,
        Value::Variant(_) => 9,
        Value::Enum(_) => 10,
        Value::List(_) => 11,
        Value::Optional(_) => 12,
        Value::TextMap(_) => 13,
        Value::GenMap(_) => 14,
        Value::ContractId(_) => 15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Date, Enum, Field, Numeric, Record, Variant};
    use base::{ContractId, PartyId, Timestamp};
    use std::fs;

    /// Reads what the field's tools show of a value: `SBool(true)`, `SList(FrontStack(…))` and the like.
    struct Shown<'t>(&'t str);

    impl<'t> Shown<'t> {
        fn until(&mut self, stops: &[char]) -> &'t str {
            let (text, rest) = self.0.split_at(self.0.find(stops).unwrap());
            self.0 = rest;
            text
        }

        fn skip(&mut self, text: &str) -> bool {
            let rest = self.0.strip_prefix(text);
            self.0 = rest.unwrap_or(self.0);
            rest.is_some()
        }

        fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
            let mut all = Vec::new();
            while !self.skip(")") {
                all.push(one(self));
                let _ = self.skip(", ") || self.skip(",");
            }
            all
        }

        fn id(&mut self) -> Option<Identifier> {
            let id = self.until(&[',']).parse().unwrap();
            self.skip(",");
            Some(id)
        }

        fn name(&mut self) -> Name {
            let name = Name::new(self.until(&[',', ')'])).unwrap();
            self.skip(",");
            name
        }

        fn value(&mut self) -> Value {
            if self.skip("SUnit") {
                return Value::Unit;
            }
            let kind = self.until(&['(']);
            self.skip("(");
            let value = match kind {
                "SOptional" if self.skip("None") => Value::none(),
                "SOptional" => {
                    self.skip("Some(");
                    let inner = self.value();
                    self.skip(")");
                    Value::some(inner)
                }
                "SList" => {
                    self.skip("FrontStack(");
                    Value::list(self.list(Self::value))
                }
                "SMap" => {
                    let text_map = self.until(&[',']) == "true";
                    self.skip(",TreeMap(");
                    let entries = self.list(|this| {
                        let key = this.value();
                        this.skip(" -> ");
                        (key, this.value())
                    });
                    if !text_map {
                        Value::gen_map(entries)
                    } else {
                        Value::text_map(entries.into_iter().map(|(key, value)| match key {
                            Value::Text(key) => (key, value),
                            other => panic!("{other:?} is no key of a text map"),
                        }))
                    }
                }
                "SEnum" => {
                    let (id, constructor) = (self.id(), self.name());
                    self.until(&[')']);
                    Value::Enum(Enum { id, constructor }.into())
                }
                "SVariant" => {
                    let (id, constructor) = (self.id(), self.name());
                    self.until(&[',']);
                    self.skip(",");
                    Value::Variant(Variant { id, constructor, value: self.value() }.into())
                }
                "SRecord" => {
                    let id = self.id();
                    self.skip("ImmArray(");
                    let labels = self.list(|this| Name::new(this.until(&[',', ')'])).unwrap());
                    self.skip(",ArraySeq(");
                    let values = self.list(Self::value);
                    let fields =
                        labels.into_iter().zip(values).map(|(label, value)| Field { label: Some(label), value });
                    Value::Record(Record { id, fields: fields.collect() }.into())
                }
                _ => self.leaf(kind),
            };
            assert!(self.skip(")"), "{kind} at {}", self.0);
            value
        }

        fn leaf(&mut self, kind: &str) -> Value {
            if kind == "SContractId" {
                self.skip("ContractId(");
                let id = self.until(&[')']).parse::<ContractId>().unwrap();
                self.skip(")");
                return Value::ContractId(id);
            }
            let text = self.until(&[')']);
            match kind {
                "SBool" => Value::Bool(text == "true"),
                "SInt64" => Value::Int64(text.parse().unwrap()),
                "SText" => Value::text(text),
                "SParty" => Value::Party(PartyId::new(text).unwrap()),
                // As the field's tools write nothing with ten decimals.
                "SNumeric" if text == "0E-10" => Value::Numeric(Numeric::new(0, 10).unwrap()),
                "SNumeric" => {
                    let scale = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
                    Value::Numeric(Numeric::parse(text, u8::try_from(scale).unwrap()).unwrap())
                }
                "SDate" => Value::Date(Date::parse(text).unwrap()),
                "STimestamp" => Value::Timestamp(timestamp(text)),
                other => panic!("{other} is unknown"),
            }
        }
    }

    /// Such as `2019-12-16T11:17:54.940779Z`.
    fn timestamp(text: &str) -> Timestamp {
        let (date, time) = text.trim_end_matches('Z').split_once('T').unwrap();
        let mut seconds = 0;
        let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
        whole.split(':').for_each(|part| seconds = seconds * 60 + part.parse::<i64>().unwrap());
        let days = i64::from(Date::parse(date).unwrap().days());
        Timestamp::from_micros((days * 86_400 + seconds) * 1_000_000 + fraction.parse::<i64>().unwrap()).unwrap()
    }

    /// Both types of the vectors with constructors have them in this order.
    fn rank(_: &Identifier, constructor: &Name) -> Option<u32> {
        ["Red", "Green"]
            .iter()
            .chain(&["Left", "Right"])
            .position(|name| constructor.as_str() == *name)
            .map(|n| u32::from(n % 2 == 1))
    }

    #[test]
    fn hashes_are_those_of_the_field() {
        let Some(data) = testkit::test_data() else { return };
        let (name, template) = (PackageName::new("package-name-0").unwrap(), "p:module:name".parse().unwrap());
        let mut checked = 0;
        for file in ["values-contract-hashes", "contract-id-hashes", "values-key-hashes"] {
            let text = fs::read_to_string(data.join(format!("golden/expected-stability-{file}.txt"))).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.chunks(2).filter(|pair| pair.len() == 2) {
                let value = Shown(pair[0]).value();
                let hash = match file {
                    "values-key-hashes" => hash_key(&name, &template, &value, rank),
                    _ => hash_contract(&name, &template, &value, rank),
                };
                let hash = hash.unwrap();
                assert_eq!(hash.to_hex(), pair[1], "{} of {file}", pair[0]);
                checked += 1;
            }
        }
        assert_eq!(checked, 65 + 63);
    }

    #[test]
    fn what_cannot_be_hashed_is_said() {
        let (name, template) = (PackageName::new("p").unwrap(), "p:m:n".parse().unwrap());
        let untyped = Value::Record(Record { id: None, fields: Vec::new() }.into());
        let refused = hash_contract(&name, &template, &untyped, rank).unwrap_err();
        assert_eq!(refused, TypedHashError::Untyped("its type"));
        let id: ContractId = format!("00{}", "ab".repeat(32)).parse().unwrap();
        let held = Value::list([Value::ContractId(id)]);
        assert_eq!(hash_key(&name, &template, &held, rank).unwrap_err(), TypedHashError::ContractIdInKey);
    }
}
