//! The types of the functions of the language, as LF text.

use crate::Builtin;

/// The type of a function.
pub(super) fn signature(builtin: Builtin) -> &'static str {
    use Builtin as B;
    match builtin {
        B::Trace => "forall (a: *). Text -> a -> a",
        B::Error => "forall (a: *). Text -> a",
        B::FailWithStatus => "forall (a: *). Text -> FailureCategory -> Text -> TextMap Text -> a",
        B::Equal | B::LessEq | B::Less | B::GreaterEq | B::Greater => "forall (a: *). a -> a -> Bool",
        B::AddInt64 | B::SubInt64 | B::MulInt64 | B::DivInt64 | B::ModInt64 | B::ExpInt64 => "Int64 -> Int64 -> Int64",
        B::TextToContractId => "forall (a: *). Text -> ContractId a",
        B::CoerceContractId => "forall (a: *). forall (b: *). ContractId a -> ContractId b",
        B::Foldl => "forall (a: *). forall (b: *). (b -> a -> b) -> b -> List a -> b",
        B::Foldr => "forall (a: *). forall (b: *). (a -> b -> b) -> b -> List a -> b",
        B::EqualList => "forall (a: *). (a -> a -> Bool) -> List a -> List a -> Bool",
        B::AnyExceptionMessage => "AnyException -> Text",
        B::TypeRepTyConName => "TypeRep -> Option Text",
        other => numeric(other).or_else(|| map(other)).or_else(|| text(other)).unwrap_or_else(|| big_numeric(other)),
    }
}

fn numeric(builtin: Builtin) -> Option<&'static str> {
    use Builtin as B;
    Some(match builtin {
        B::AddNumeric | B::SubNumeric => "forall (n: nat). Numeric n -> Numeric n -> Numeric n",
        B::MulNumeric | B::DivNumeric => {
            "forall (a: nat). forall (b: nat). forall (c: nat). Numeric c -> Numeric a -> Numeric b -> Numeric c"
        }
        B::MulNumericLegacy | B::DivNumericLegacy => {
            "forall (a: nat). forall (b: nat). forall (c: nat). Numeric a -> Numeric b -> Numeric c"
        }
        B::RoundNumeric => "forall (n: nat). Int64 -> Numeric n -> Numeric n",
        B::CastNumeric | B::ShiftNumeric => "forall (a: nat). forall (b: nat). Numeric b -> Numeric a -> Numeric b",
        B::CastNumericLegacy | B::ShiftNumericLegacy => "forall (a: nat). forall (b: nat). Numeric a -> Numeric b",
        B::Int64ToNumeric => "forall (n: nat). Numeric n -> Int64 -> Numeric n",
        B::Int64ToNumericLegacy => "forall (n: nat). Int64 -> Numeric n",
        B::NumericToInt64 => "forall (n: nat). Numeric n -> Int64",
        B::NumericToText => "forall (n: nat). Numeric n -> Text",
        B::TextToNumeric => "forall (n: nat). Numeric n -> Text -> Option (Numeric n)",
        B::TextToNumericLegacy => "forall (n: nat). Text -> Option (Numeric n)",
        _ => return None,
    })
}

fn map(builtin: Builtin) -> Option<&'static str> {
    use Builtin as B;
    Some(match builtin {
        B::GenMapEmpty => "forall (k: *). forall (v: *). GenMap k v",
        B::GenMapInsert => "forall (k: *). forall (v: *). k -> v -> GenMap k v -> GenMap k v",
        B::GenMapLookup => "forall (k: *). forall (v: *). k -> GenMap k v -> Option v",
        B::GenMapDelete => "forall (k: *). forall (v: *). k -> GenMap k v -> GenMap k v",
        B::GenMapKeys => "forall (k: *). forall (v: *). GenMap k v -> List k",
        B::GenMapValues => "forall (k: *). forall (v: *). GenMap k v -> List v",
        B::GenMapSize => "forall (k: *). forall (v: *). GenMap k v -> Int64",
        B::TextMapEmpty => "forall (v: *). TextMap v",
        B::TextMapInsert => "forall (v: *). Text -> v -> TextMap v -> TextMap v",
        B::TextMapLookup => "forall (v: *). Text -> TextMap v -> Option v",
        B::TextMapDelete => "forall (v: *). Text -> TextMap v -> TextMap v",
        B::TextMapToList => "forall (v: *). TextMap v -> List <key: Text, value: v>",
        B::TextMapSize => "forall (v: *). TextMap v -> Int64",
        _ => return None,
    })
}

fn text(builtin: Builtin) -> Option<&'static str> {
    use Builtin as B;
    Some(match builtin {
        B::Int64ToText => "Int64 -> Text",
        B::TimestampToText => "Timestamp -> Text",
        B::DateToText => "Date -> Text",
        B::PartyToText | B::PartyToQuotedText => "Party -> Text",
        B::TextToParty => "Text -> Option Party",
        B::TextToInt64 => "Text -> Option Int64",
        B::ContractIdToText => "forall (a: *). ContractId a -> Option Text",
        B::Sha256Text | B::Keccak256Text | B::HexToText | B::TextToHex | B::Sha256Hex | B::TextToText => "Text -> Text",
        B::Secp256k1Bool | B::Secp256k1WithEcdsaBool => "Text -> Text -> Text -> Bool",
        B::Secp256k1ValidateKey => "Text -> Bool",
        B::ExplodeText => "Text -> List Text",
        B::AppendText => "Text -> Text -> Text",
        B::ImplodeText => "List Text -> Text",
        B::CodePointsToText => "List Int64 -> Text",
        B::TextToCodePoints => "Text -> List Int64",
        B::DateToUnixDays => "Date -> Int64",
        B::UnixDaysToDate => "Int64 -> Date",
        B::TimestampToUnixMicroseconds => "Timestamp -> Int64",
        B::UnixMicrosecondsToTimestamp => "Int64 -> Timestamp",
        _ => return None,
    })
}

/// What is left are functions of big numbers.
fn big_numeric(builtin: Builtin) -> &'static str {
    use Builtin as B;
    match builtin {
        B::ScaleBigNumeric | B::PrecisionBigNumeric => "BigNumeric -> Int64",
        B::DivBigNumeric => "Int64 -> RoundingMode -> BigNumeric -> BigNumeric -> BigNumeric",
        B::ShiftRightBigNumeric => "Int64 -> BigNumeric -> BigNumeric",
        B::BigNumericToNumeric => "forall (n: nat). Numeric n -> BigNumeric -> Numeric n",
        B::BigNumericToNumericLegacy => "forall (n: nat). BigNumeric -> Numeric n",
        B::NumericToBigNumeric => "forall (n: nat). Numeric n -> BigNumeric",
        B::BigNumericToText => "BigNumeric -> Text",
        _ => "BigNumeric -> BigNumeric -> BigNumeric",
    }
}
