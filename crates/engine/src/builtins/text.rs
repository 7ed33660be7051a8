//! Texts: to and from other types, taking apart, hashing.

use super::wrong;
use crate::{EngineError, run::Stop, value::V};
use base::PartyId;
use lf::Builtin;
use transaction::Numeric;

fn some_or_none(value: Option<V>) -> V {
    value.map_or(V::None, V::some)
}

/// Lower-case hex of bytes.
fn hex(bytes: &[u8]) -> V {
    V::Text(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
}

fn unhex(text: &str) -> Result<Vec<u8>, Stop> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    bytes.ok_or_else(|| Stop::error(EngineError::MalformedBytes("no sequence of hexadecimal bytes")))
}

/// A function of texts, parties or contract ids.
pub(super) fn text(function: Builtin, arguments: &[V]) -> Result<V, Stop> {
    use Builtin as B;
    Ok(match (function, arguments) {
        (B::Int64ToText, [V::Int64(v)]) => V::text(&v.to_string()),
        (B::NumericToText, [V::Numeric(v)]) => V::text(&v.to_short_text()),
        (B::TimestampToText, [V::Timestamp(v)]) => V::text(&v.to_string()),
        (B::DateToText, [V::Date(v)]) => V::text(&v.to_string()),
        (B::PartyToText, [V::Party(v)]) => V::text(v.as_str()),
        (B::TextToParty, [V::Text(v)]) => some_or_none(PartyId::new(v).ok().map(V::Party)),
        (B::TextToInt64, [V::Text(v)]) => some_or_none(int64(v).map(V::Int64)),
        (B::TextToNumeric, [V::Numeric(witness), V::Text(v)]) => {
            some_or_none(Numeric::parse(v, witness.scale()).map(V::Numeric))
        }
        (B::TextToText, [text @ V::Text(_)]) => text.clone(),
        (B::PartyToQuotedText, [V::Party(v)]) => V::text(&format!("'{v}'")),
        // A contract id has no text that all who interpret the same action agree on.
        (B::ContractIdToText, [V::ContractId(_)]) => V::None,
        (B::CoerceContractId, [id @ V::ContractId(_)]) => id.clone(),
        (B::Sha256Text, [V::Text(v)]) => V::text(&crypto::sha256(v.as_bytes()).to_hex()),
        (B::Sha256Hex, [V::Text(v)]) => V::text(&crypto::sha256(&unhex(v)?).to_hex()),
        (B::Keccak256Text, [V::Text(v)]) => V::text(&crypto::keccak256(&unhex(v)?).to_hex()),
        (B::Secp256k1Bool, [V::Text(signature), V::Text(message), V::Text(key)]) => {
            secp256k1(signature, crypto::sha256(&unhex(message)?).as_bytes(), key)?
        }
        (B::Secp256k1WithEcdsaBool, [V::Text(signature), V::Text(digest), V::Text(key)]) => {
            secp256k1(signature, &unhex(digest)?, key)?
        }
        (B::Secp256k1ValidateKey, [V::Text(key)]) => {
            let valid = crypto::is_secp256k1(&unhex(key)?);
            V::Bool(valid.map_err(|error| Stop::error(EngineError::Secp256k1(error)))?)
        }
        (B::TextToHex, [V::Text(v)]) => hex(v.as_bytes()),
        (B::HexToText, [V::Text(v)]) => {
            let text = String::from_utf8(unhex(v)?);
            V::Text(text.map_err(|_| Stop::error(EngineError::MalformedBytes("no hexadecimal of UTF-8 text")))?.into())
        }
        (B::AppendText, [V::Text(a), V::Text(b)]) => V::Text([&**a, &**b].concat().into()),
        (B::ExplodeText, [V::Text(v)]) => {
            let mut buffer = [0; 4];
            let characters = v.chars().map(|c| V::text(c.encode_utf8(&mut buffer))).collect::<Vec<_>>();
            V::list(characters)
        }
        (B::ImplodeText, [list]) => {
            let mut whole = String::new();
            for item in list.items() {
                let V::Text(part) = item else { return Err(wrong(function)) };
                whole.push_str(part);
            }
            V::Text(whole.into())
        }
        (B::TextToCodePoints, [V::Text(v)]) => {
            V::list(v.chars().map(|c| V::Int64(u32::from(c).into())).collect::<Vec<_>>())
        }
        (B::CodePointsToText, [list]) => code_points(list)?,
        _ => return Err(wrong(function)),
    })
}

fn secp256k1(signature: &str, digest: &[u8], key: &str) -> Result<V, Stop> {
    let verifies = crypto::secp256k1_verifies(&unhex(key)?, digest, &unhex(signature)?);
    verifies.map(V::Bool).map_err(|error| Stop::error(EngineError::Secp256k1(error)))
}

/// An optional sign and digits.
fn int64(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn code_points(list: &V) -> Result<V, Stop> {
    let mut text = String::new();
    for item in list.items() {
        let V::Int64(point) = item else { return Err(wrong(Builtin::CodePointsToText)) };
        let character = u32::try_from(*point).ok().and_then(char::from_u32);
        let refuse = || Stop::error(EngineError::User(format!("{point} is no code point of a character")));
        text.push(character.ok_or_else(refuse)?);
    }
    Ok(V::Text(text.into()))
}
