//! Reading values, contract instances, nodes and transactions: the mirror image of `encode`.

use crate::{
    Assembler, ContractInstance, ContractKey, Create, Date, DecodeError, Enum, Exercise, Fetch, Node, NodeVersion,
    Numeric, Parties, QueryByKey, Rollback, Shape, TooDeep, Transaction, TransactionBuilder, Value,
    codec::Reader,
    encode::{node_tag, value_tag},
};
use base::{ContractId, Hash, Identifier, Name, PartyId, Timestamp, limits::MAX_VALUE_DEPTH};
use std::sync::Arc;

fn versioned<T>(bytes: &[u8], read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    let mut r = Reader::new(bytes);
    r.version()?;
    let value = read(&mut r)?;
    r.finish()?;
    Ok(value)
}

impl Value {
    /// Reads what [`Value::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        versioned(bytes, Self::read)
    }

    /// Reads a value without version byte.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut assembler = Assembler::default();
        while !assembler.is_done() {
            if assembler.depth() > MAX_VALUE_DEPTH {
                return Err(TooDeep.into());
            }
            read_head(r, &mut assembler)?;
        }
        Ok(assembler.finish().expect("the loop ends when it is done"))
    }
}

/// Reads one value up to its children.
fn read_head(r: &mut Reader<'_>, to: &mut Assembler) -> Result<(), DecodeError> {
    let tag = r.byte()?;
    match shape(r, tag)? {
        Some((shape, children)) => to.open(shape, children),
        None => to.leaf(leaf(r, tag)?),
    }
    Ok(())
}

/// What a value with children is, and how many there are; `None` for a value without.
fn shape(r: &mut Reader<'_>, tag: u8) -> Result<Option<(Shape, usize)>, DecodeError> {
    Ok(Some(match tag {
        value_tag::SOME => (Shape::Some, 1),
        value_tag::LIST => (Shape::List, r.count(1)?),
        value_tag::TEXT_MAP => text_map(r)?,
        value_tag::GEN_MAP => (Shape::GenMap, 2 * r.count(2)?),
        value_tag::RECORD => record(r)?,
        value_tag::VARIANT => (Shape::Variant(type_id(r)?, r.parsed()?), 1),
        _ => return Ok(None),
    }))
}

fn leaf(r: &mut Reader<'_>, tag: u8) -> Result<Value, DecodeError> {
    Ok(match tag {
        value_tag::UNIT => Value::Unit,
        value_tag::FALSE => Value::Bool(false),
        value_tag::TRUE => Value::Bool(true),
        value_tag::INT64 => Value::Int64(r.integer()?),
        value_tag::NUMERIC => {
            let scale = r.byte()?;
            let unscaled = r.signed()?;
            Value::Numeric(Numeric::new(unscaled, scale).map_err(|e| r.invalid(e))?)
        }
        value_tag::TEXT => Value::text(r.text()?),
        value_tag::TIMESTAMP => Value::Timestamp(Timestamp::from_micros(r.integer()?).map_err(|e| r.invalid(e))?),
        value_tag::DATE => Value::Date(Date::from_days(r.integer()?).map_err(|e| r.invalid(e))?),
        value_tag::PARTY => Value::Party(r.parsed()?),
        value_tag::CONTRACT_ID => Value::ContractId(contract_id(r)?),
        value_tag::NONE => Value::none(),
        value_tag::ENUM => Value::Enum(Arc::new(Enum { id: type_id(r)?, constructor: r.parsed()? })),
        other => return Err(r.invalid(format_args!("{other} begins no value"))),
    })
}

fn text_map(r: &mut Reader<'_>) -> Result<(Shape, usize), DecodeError> {
    let count = r.count(2)?;
    let mut keys: Vec<Arc<str>> = Vec::new();
    for _ in 0..count {
        let key = r.text()?;
        if keys.last().is_some_and(|last| &**last >= key) {
            return Err(r.invalid("the keys of a text map do not ascend"));
        }
        keys.push(key.into());
    }
    Ok((Shape::TextMap(keys), count))
}

fn record(r: &mut Reader<'_>) -> Result<(Shape, usize), DecodeError> {
    let id = type_id(r)?;
    let count = r.count(2)?;
    let mut labels = Vec::new();
    for _ in 0..count {
        let label = r.text()?;
        labels.push(if label.is_empty() { None } else { Some(Name::new(label).map_err(|e| r.invalid(e))?) });
    }
    Ok((Shape::Record(id, labels), count))
}

fn option<T>(
    r: &mut Reader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if r.flag()? { read(r).map(Some) } else { Ok(None) }
}

fn type_id(r: &mut Reader<'_>) -> Result<Option<Identifier>, DecodeError> {
    option(r, identifier)
}

fn identifier(r: &mut Reader<'_>) -> Result<Identifier, DecodeError> {
    Ok(Identifier { package: r.parsed()?, module: r.parsed()?, entity: r.parsed()? })
}

fn contract_id(r: &mut Reader<'_>) -> Result<ContractId, DecodeError> {
    let bytes = r.bytes()?;
    ContractId::new(bytes).map_err(|e| r.invalid(e))
}

fn parties(r: &mut Reader<'_>) -> Result<Parties, DecodeError> {
    let mut parties = Parties::new();
    for _ in 0..r.count(2)? {
        let party: PartyId = r.parsed()?;
        if parties.last().is_some_and(|last| *last >= party) {
            return Err(r.invalid("the parties of a set do not ascend"));
        }
        parties.insert(party);
    }
    Ok(parties)
}

fn key(r: &mut Reader<'_>) -> Result<ContractKey, DecodeError> {
    let (value, maintainers) = (Value::read(r)?, parties(r)?);
    let hash = Hash::try_from(r.take(32)?).map_err(|e| r.invalid(e))?;
    Ok(ContractKey { value, maintainers, hash })
}

/// Signatories, then stakeholders, which include them.
fn signatories_and_stakeholders(r: &mut Reader<'_>) -> Result<(Parties, Parties), DecodeError> {
    let (signatories, stakeholders) = (parties(r)?, parties(r)?);
    if !signatories.is_subset(&stakeholders) {
        return Err(r.invalid("a signatory is not among the stakeholders"));
    }
    Ok((signatories, stakeholders))
}

impl ContractInstance {
    /// Reads what [`ContractInstance::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        versioned(bytes, Self::read)
    }

    /// Reads an instance without version byte.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (template, package_name, argument) = (identifier(r)?, r.parsed()?, Value::read(r)?);
        let (signatories, stakeholders) = signatories_and_stakeholders(r)?;
        Ok(Self { template, package_name, argument, signatories, stakeholders, key: option(r, key)? })
    }
}

/// Reads a node and the number of its children.
fn node(r: &mut Reader<'_>) -> Result<(Node, usize), DecodeError> {
    Ok(match r.byte()? {
        node_tag::CREATE => {
            let version = version(r)?;
            let create = Create { contract_id: contract_id(r)?, instance: ContractInstance::read(r)?, version };
            (Node::Create(create), 0)
        }
        node_tag::FETCH => (Node::Fetch(fetch(r)?), 0),
        node_tag::EXERCISE => {
            let exercise = exercise(r)?;
            (Node::Exercise(exercise), r.count(1)?)
        }
        node_tag::QUERY_BY_KEY => (Node::QueryByKey(query_by_key(r)?), 0),
        node_tag::ROLLBACK => (Node::Rollback(Rollback { children: Vec::new() }), r.count(1)?),
        other => return Err(r.invalid(format_args!("{other} begins no node"))),
    })
}

fn version(r: &mut Reader<'_>) -> Result<NodeVersion, DecodeError> {
    let byte = r.byte()?;
    NodeVersion::from_byte(byte).ok_or_else(|| r.invalid(format_args!("{byte} is no node version")))
}

fn fetch(r: &mut Reader<'_>) -> Result<Fetch, DecodeError> {
    let (version, contract_id, package_name) = (version(r)?, contract_id(r)?, r.parsed()?);
    let (template, interface, actors) = (identifier(r)?, type_id(r)?, parties(r)?);
    let (signatories, stakeholders) = signatories_and_stakeholders(r)?;
    let (key, by_key) = (option(r, key)?, r.flag()?);
    Ok(Fetch {
        contract_id,
        package_name,
        template,
        interface,
        actors,
        signatories,
        stakeholders,
        key,
        by_key,
        version,
    })
}

fn exercise(r: &mut Reader<'_>) -> Result<Exercise, DecodeError> {
    let (version, contract_id, package_name) = (version(r)?, contract_id(r)?, r.parsed()?);
    let (template, interface, choice) = (identifier(r)?, type_id(r)?, r.parsed()?);
    let (consuming, actors, argument) = (r.flag()?, parties(r)?, Value::read(r)?);
    let (signatories, stakeholders) = signatories_and_stakeholders(r)?;
    Ok(Exercise {
        contract_id,
        package_name,
        template,
        interface,
        choice,
        consuming,
        actors,
        argument,
        signatories,
        stakeholders,
        choice_observers: parties(r)?,
        choice_authorizers: option(r, parties)?,
        children: Vec::new(),
        result: option(r, Value::read)?,
        key: option(r, key)?,
        by_key: r.flag()?,
        version,
    })
}

fn query_by_key(r: &mut Reader<'_>) -> Result<QueryByKey, DecodeError> {
    let (version, template, package_name, key) = (version(r)?, identifier(r)?, r.parsed()?, key(r)?);
    let result = (0..r.count(2)?).map(|_| contract_id(r)).collect::<Result<_, _>>()?;
    Ok(QueryByKey { template, package_name, key, result, exhaustive: r.flag()?, version })
}

impl Transaction {
    /// Reads what [`Transaction::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        versioned(bytes, Self::read)
    }

    /// Reads a transaction without version byte.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut builder = TransactionBuilder::default();
        // How many nodes are missing on each level.
        let mut missing = vec![r.count(1)?];
        while let Some(level) = missing.last_mut() {
            if *level == 0 {
                missing.pop();
                builder.close();
                continue;
            }
            *level -= 1;
            let (node, children) = node(r)?;
            if node.is_inner() {
                builder.open(node);
                missing.push(children);
            } else {
                builder.leaf(node);
            }
        }
        Ok(builder.finish())
    }
}
