//! Hashes of contracts and change ids in the field's scheme of version and purpose bytes (spec/daml-lf.md §3.5).

use crate::{
    ContractInstance, Numeric, Parties, Value,
    seed::{add_length, add_parties, add_text},
};
use base::{CommandId, DottedName, Hash, Identifier, UserId};

/// Byte in front of everything hashed: how values are encoded.
const LEGACY: u8 = 0;
const UPGRADE_FRIENDLY: u8 = 1;
/// Second byte: what the hash is for.
const PURPOSE_KEY: u8 = 2;
const PURPOSE_CONTRACT: u8 = 5;
const PURPOSE_CHANGE_ID: u8 = 6;

/// The hash of package name, template and argument in the scheme of LF 1.x to 2.1 ("legacy"), package id included.
/// Not stable under suffixing of the contract ids in the argument.
#[must_use]
pub fn hash_contract_instance(instance: &ContractInstance) -> Hash {
    let mut data = vec![LEGACY, PURPOSE_CONTRACT];
    add_text(&mut data, instance.package_name.as_str());
    add_identifier(&mut data, &instance.template);
    add_value(&mut data, &instance.argument);
    crypto::sha256(&data)
}

/// The hash of a contract key, which must hold no contract ids: template, package id included, and value, in the legacy
/// scheme. Not yet compared with the field's.
#[must_use]
pub fn hash_contract_key(template: &Identifier, value: &Value) -> Hash {
    let mut data = vec![LEGACY, PURPOSE_KEY];
    add_identifier(&mut data, template);
    add_value(&mut data, value);
    crypto::sha256(&data)
}

/// The hash by which duplicate submissions of a change are recognized: user, command id and the acting parties.
#[must_use]
pub fn hash_change_id(user: &UserId, command: &CommandId, act_as: &Parties) -> Hash {
    let mut data = vec![UPGRADE_FRIENDLY, PURPOSE_CHANGE_ID];
    add_text(&mut data, user.as_str());
    add_text(&mut data, command.as_str());
    add_parties(&mut data, act_as);
    crypto::sha256(&data)
}

fn add_identifier(data: &mut Vec<u8>, id: &Identifier) {
    add_text(data, id.package.as_str());
    add_dotted(data, &id.module);
    add_dotted(data, &id.entity);
}

pub(crate) fn add_dotted(data: &mut Vec<u8>, name: &DottedName) {
    let segments: Vec<_> = name.as_str().split('.').collect();
    add_length(data, segments.len());
    segments.into_iter().for_each(|segment| add_text(data, segment));
}

/// The unscaled value in big-endian two's complement, as few bytes as hold it.
pub(crate) fn add_numeric(data: &mut Vec<u8>, number: Numeric) {
    let unscaled = number.unscaled();
    let bytes = unscaled.to_be_bytes();
    let sign = if unscaled < 0 { 0xff } else { 0 };
    let redundant = |pair: &[u8]| pair[0] == sign && (pair[1] & 0x80 == 0) == (unscaled >= 0);
    let skipped = bytes.windows(2).take_while(|pair| redundant(pair)).count();
    let shortest = bytes.split_at(skipped).1;
    add_length(data, shortest.len());
    data.extend(shortest);
}

/// Parents before children in one pass: this encoding has no terminators. Only text maps put a key before each value.
fn add_value(data: &mut Vec<u8>, value: &Value) {
    // Keys of the text maps on the way down, with the depth of their values.
    let mut keys: Vec<(usize, std::vec::IntoIter<std::sync::Arc<str>>)> = Vec::new();
    for (depth, part) in value.walk() {
        while keys.last().is_some_and(|(level, _)| *level > depth) {
            keys.pop();
        }
        if let Some((level, left)) = keys.last_mut()
            && *level == depth
            && let Some(key) = left.next()
        {
            add_text(data, &key);
        }
        match part {
            Value::Unit => data.push(0),
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
            Value::Optional(v) => add_length(data, usize::from(v.is_some())),
            Value::List(v) => add_length(data, v.len()),
            Value::TextMap(v) => {
                add_length(data, v.len());
                keys.push((depth + 1, v.keys().cloned().collect::<Vec<_>>().into_iter()));
            }
            Value::GenMap(v) => add_length(data, v.len()),
            Value::Record(v) => add_length(data, v.fields.len()),
            Value::Variant(v) => add_text(data, v.constructor.as_str()),
            Value::Enum(v) => add_text(data, v.constructor.as_str()),
        }
    }
}
