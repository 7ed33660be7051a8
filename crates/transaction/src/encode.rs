//! Writing values, contract instances, nodes and transactions.

use crate::{
    ContractInstance, ContractKey, Create, Exercise, Fetch, Node, Parties, QueryByKey, Transaction, Value,
    codec::Writer,
};
use base::{ContractId, Identifier, Name};

/// First byte of each value.
pub(crate) mod value_tag {
    pub(crate) const UNIT: u8 = 0;
    pub(crate) const FALSE: u8 = 1;
    pub(crate) const TRUE: u8 = 2;
    pub(crate) const INT64: u8 = 3;
    pub(crate) const NUMERIC: u8 = 4;
    pub(crate) const TEXT: u8 = 5;
    pub(crate) const TIMESTAMP: u8 = 6;
    pub(crate) const DATE: u8 = 7;
    pub(crate) const PARTY: u8 = 8;
    pub(crate) const CONTRACT_ID: u8 = 9;
    pub(crate) const NONE: u8 = 10;
    pub(crate) const SOME: u8 = 11;
    pub(crate) const LIST: u8 = 12;
    pub(crate) const TEXT_MAP: u8 = 13;
    pub(crate) const GEN_MAP: u8 = 14;
    pub(crate) const RECORD: u8 = 15;
    pub(crate) const VARIANT: u8 = 16;
    pub(crate) const ENUM: u8 = 17;
}

/// First byte of each node.
pub(crate) mod node_tag {
    pub(crate) const CREATE: u8 = 0;
    pub(crate) const FETCH: u8 = 1;
    pub(crate) const EXERCISE: u8 = 2;
    pub(crate) const QUERY_BY_KEY: u8 = 3;
    pub(crate) const ROLLBACK: u8 = 4;
}

fn versioned(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::versioned();
    write(&mut writer);
    writer.finish()
}

impl Value {
    /// The canonical bytes, version byte first. Read by [`Value::decode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        versioned(|w| self.write(w))
    }

    /// Appends the value without version byte. Parents come before their children.
    pub fn write(&self, w: &mut Writer) {
        for (_, value) in self.walk() {
            value.write_head(w);
        }
    }

    fn write_head(&self, w: &mut Writer) {
        use value_tag as tag;
        match self {
            Self::Unit => w.byte(tag::UNIT),
            Self::Bool(v) => w.byte(if *v { tag::TRUE } else { tag::FALSE }),
            Self::Int64(v) => tagged(w, tag::INT64, |w| w.signed((*v).into())),
            Self::Numeric(v) => tagged(w, tag::NUMERIC, |w| {
                w.byte(v.scale());
                w.signed(v.unscaled());
            }),
            Self::Text(v) => tagged(w, tag::TEXT, |w| w.text(v)),
            Self::Timestamp(v) => tagged(w, tag::TIMESTAMP, |w| w.signed(v.micros().into())),
            Self::Date(v) => tagged(w, tag::DATE, |w| w.signed(v.days().into())),
            Self::Party(v) => tagged(w, tag::PARTY, |w| w.text(v.as_str())),
            Self::ContractId(v) => tagged(w, tag::CONTRACT_ID, |w| w.bytes(v.as_bytes())),
            Self::Optional(v) => w.byte(if v.is_some() { tag::SOME } else { tag::NONE }),
            Self::List(v) => tagged(w, tag::LIST, |w| w.count(v.len())),
            Self::TextMap(v) => tagged(w, tag::TEXT_MAP, |w| {
                w.count(v.len());
                v.keys().for_each(|key| w.text(key));
            }),
            Self::GenMap(v) => tagged(w, tag::GEN_MAP, |w| w.count(v.len())),
            Self::Record(v) => tagged(w, tag::RECORD, |w| {
                type_id(w, v.id.as_ref());
                w.count(v.fields.len());
                // No name is empty, so the empty text means: no label.
                v.fields.iter().for_each(|field| w.text(field.label.as_ref().map_or("", Name::as_str)));
            }),
            Self::Variant(v) => tagged(w, tag::VARIANT, |w| {
                type_id(w, v.id.as_ref());
                w.text(v.constructor.as_str());
            }),
            Self::Enum(v) => tagged(w, tag::ENUM, |w| {
                type_id(w, v.id.as_ref());
                w.text(v.constructor.as_str());
            }),
        }
    }
}

fn tagged(w: &mut Writer, tag: u8, write: impl FnOnce(&mut Writer)) {
    w.byte(tag);
    write(w);
}

fn option<T>(w: &mut Writer, part: Option<&T>, write: impl FnOnce(&mut Writer, &T)) {
    w.flag(part.is_some());
    if let Some(part) = part {
        write(w, part);
    }
}

fn type_id(w: &mut Writer, id: Option<&Identifier>) {
    option(w, id, identifier);
}

fn identifier(w: &mut Writer, id: &Identifier) {
    w.text(id.package.as_str());
    w.text(id.module.as_str());
    w.text(id.entity.as_str());
}

fn parties(w: &mut Writer, parties: &Parties) {
    w.count(parties.len());
    parties.iter().for_each(|party| w.text(party.as_str()));
}

fn contract_id(w: &mut Writer, id: &ContractId) {
    w.bytes(id.as_bytes());
}

fn key(w: &mut Writer, key: &ContractKey) {
    key.value.write(w);
    parties(w, &key.maintainers);
    w.raw(key.hash.as_bytes());
}

impl ContractInstance {
    /// The canonical bytes, version byte first. Read by [`ContractInstance::decode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        versioned(|w| self.write(w))
    }

    /// Appends the instance without version byte.
    pub fn write(&self, w: &mut Writer) {
        identifier(w, &self.template);
        w.text(self.package_name.as_str());
        self.argument.write(w);
        parties(w, &self.signatories);
        parties(w, &self.stakeholders);
        option(w, self.key.as_ref(), key);
    }
}

impl Node {
    /// Appends the node without version byte; its children only as their number.
    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            Self::Create(node) => tagged(w, node_tag::CREATE, |w| create(w, node)),
            Self::Fetch(node) => tagged(w, node_tag::FETCH, |w| fetch(w, node)),
            Self::Exercise(node) => tagged(w, node_tag::EXERCISE, |w| exercise(w, node)),
            Self::QueryByKey(node) => tagged(w, node_tag::QUERY_BY_KEY, |w| query_by_key(w, node)),
            Self::Rollback(node) => tagged(w, node_tag::ROLLBACK, |w| w.count(node.children.len())),
        }
    }

    /// The canonical bytes of the node alone, version byte first; of its children only the number.
    /// Equal for equal actions wherever they stand, so that validators can compare nodes.
    #[must_use]
    pub fn encode_alone(&self) -> Vec<u8> {
        versioned(|w| self.write(w))
    }
}

fn create(w: &mut Writer, node: &Create) {
    w.byte(node.version as u8);
    contract_id(w, &node.contract_id);
    node.instance.write(w);
}

fn fetch(w: &mut Writer, node: &Fetch) {
    w.byte(node.version as u8);
    contract_id(w, &node.contract_id);
    w.text(node.package_name.as_str());
    identifier(w, &node.template);
    type_id(w, node.interface.as_ref());
    parties(w, &node.actors);
    parties(w, &node.signatories);
    parties(w, &node.stakeholders);
    option(w, node.key.as_ref(), key);
    w.flag(node.by_key);
}

fn exercise(w: &mut Writer, node: &Exercise) {
    w.byte(node.version as u8);
    contract_id(w, &node.contract_id);
    w.text(node.package_name.as_str());
    identifier(w, &node.template);
    type_id(w, node.interface.as_ref());
    w.text(node.choice.as_str());
    w.flag(node.consuming);
    parties(w, &node.actors);
    node.argument.write(w);
    parties(w, &node.signatories);
    parties(w, &node.stakeholders);
    parties(w, &node.choice_observers);
    option(w, node.choice_authorizers.as_ref(), parties);
    option(w, node.result.as_ref(), |w, result| result.write(w));
    option(w, node.key.as_ref(), key);
    w.flag(node.by_key);
    w.count(node.children.len());
}

fn query_by_key(w: &mut Writer, node: &QueryByKey) {
    w.byte(node.version as u8);
    identifier(w, &node.template);
    w.text(node.package_name.as_str());
    key(w, &node.key);
    w.count(node.result.len());
    node.result.iter().for_each(|id| contract_id(w, id));
    w.flag(node.exhaustive);
}

impl Transaction {
    /// The canonical bytes, version byte first. Read by [`Transaction::decode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        versioned(|w| self.write(w))
    }

    /// Appends the transaction without version byte: nodes in pre-order.
    pub fn write(&self, w: &mut Writer) {
        w.count(self.roots().len());
        self.nodes().for_each(|(_, node)| node.write(w));
    }
}
