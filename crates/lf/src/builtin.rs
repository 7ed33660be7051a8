//! The functions and types of the language itself.

use crate::{BuiltinType, FailureCategory, LanguageVersion, RoundingMode};

/// Declares the functions with their number on the wire, name in LF text, and how many arguments they take (types
/// are no arguments).
macro_rules! builtins {
    ($($name:ident $number:literal $text:literal $arity:literal;)*) => {
        /// A function of the language itself.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[expect(missing_docs, reason = "each is what its name says in the language")]
        pub enum Builtin {
            $($name),*
        }

        impl Builtin {
            /// All functions of all versions.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The number in archives of LF 2. What LF 2 has not, has numbers from 9000 on, which nothing else has.
            #[must_use]
            pub fn number(self) -> u32 {
                match self { $(Self::$name => $number),* }
            }

            /// The name in LF text.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// How many arguments it takes, types not counted.
            #[must_use]
            pub fn arity(self) -> usize {
                match self { $(Self::$name => $arity),* }
            }

            /// The function with this number.
            #[must_use]
            pub fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// The function with this name.
            #[must_use]
            pub fn from_text(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

builtins! {
    Trace 0 "TRACE" 2;
    Error 1 "ERROR" 1;
    Equal 2 "EQUAL" 2;
    LessEq 3 "LESS_EQ" 2;
    Less 4 "LESS" 2;
    GreaterEq 5 "GREATER_EQ" 2;
    Greater 6 "GREATER" 2;
    AddInt64 7 "ADD_INT64" 2;
    SubInt64 8 "SUB_INT64" 2;
    MulInt64 9 "MUL_INT64" 2;
    DivInt64 10 "DIV_INT64" 2;
    ModInt64 11 "MOD_INT64" 2;
    ExpInt64 12 "EXP_INT64" 2;
    AddNumeric 13 "ADD_NUMERIC" 2;
    SubNumeric 14 "SUB_NUMERIC" 2;
    MulNumeric 15 "MUL_NUMERIC" 3;
    DivNumeric 16 "DIV_NUMERIC" 3;
    RoundNumeric 17 "ROUND_NUMERIC" 2;
    CastNumeric 18 "CAST_NUMERIC" 2;
    ShiftNumeric 19 "SHIFT_NUMERIC" 2;
    Int64ToNumeric 20 "INT64_TO_NUMERIC" 2;
    NumericToInt64 21 "NUMERIC_TO_INT64" 1;
    Int64ToText 22 "INT64_TO_TEXT" 1;
    NumericToText 23 "NUMERIC_TO_TEXT" 1;
    TimestampToText 25 "TIMESTAMP_TO_TEXT" 1;
    DateToText 26 "DATE_TO_TEXT" 1;
    PartyToText 27 "PARTY_TO_TEXT" 1;
    TextToParty 28 "TEXT_TO_PARTY" 1;
    TextToInt64 29 "TEXT_TO_INT64" 1;
    TextToNumeric 30 "TEXT_TO_NUMERIC" 2;
    ContractIdToText 31 "CONTRACT_ID_TO_TEXT" 1;
    Sha256Text 32 "SHA256_TEXT" 1;
    ExplodeText 33 "EXPLODE_TEXT" 1;
    AppendText 34 "APPEND_TEXT" 2;
    ImplodeText 35 "IMPLODE_TEXT" 1;
    CodePointsToText 36 "CODE_POINTS_TO_TEXT" 1;
    TextToCodePoints 37 "TEXT_TO_CODE_POINTS" 1;
    DateToUnixDays 38 "DATE_TO_UNIX_DAYS" 1;
    UnixDaysToDate 39 "UNIX_DAYS_TO_DATE" 1;
    TimestampToUnixMicroseconds 40 "TIMESTAMP_TO_UNIX_MICROSECONDS" 1;
    UnixMicrosecondsToTimestamp 41 "UNIX_MICROSECONDS_TO_TIMESTAMP" 1;
    CoerceContractId 42 "COERCE_CONTRACT_ID" 1;
    Foldl 43 "FOLDL" 3;
    Foldr 44 "FOLDR" 3;
    EqualList 45 "EQUAL_LIST" 3;
    GenMapEmpty 52 "GENMAP_EMPTY" 0;
    GenMapInsert 53 "GENMAP_INSERT" 3;
    GenMapLookup 54 "GENMAP_LOOKUP" 2;
    GenMapDelete 55 "GENMAP_DELETE" 2;
    GenMapKeys 56 "GENMAP_KEYS" 1;
    GenMapValues 57 "GENMAP_VALUES" 1;
    GenMapSize 58 "GENMAP_SIZE" 1;
    AnyExceptionMessage 59 "ANY_EXCEPTION_MESSAGE" 1;
    TextMapEmpty 60 "TEXTMAP_EMPTY" 0;
    TextMapInsert 61 "TEXTMAP_INSERT" 3;
    TextMapLookup 62 "TEXTMAP_LOOKUP" 2;
    TextMapDelete 63 "TEXTMAP_DELETE" 2;
    TextMapToList 64 "TEXTMAP_TO_LIST" 1;
    TextMapSize 65 "TEXTMAP_SIZE" 1;
    FailWithStatus 66 "FAIL_WITH_STATUS" 4;
    Keccak256Text 67 "KECCAK256_TEXT" 1;
    Secp256k1Bool 68 "SECP256K1_BOOL" 3;
    HexToText 69 "HEX_TO_TEXT" 1;
    TextToHex 70 "TEXT_TO_HEX" 1;
    Sha256Hex 71 "SHA256_HEX" 1;
    Secp256k1WithEcdsaBool 72 "SECP256K1_WITH_ECDSA_BOOL" 3;
    Secp256k1ValidateKey 73 "SECP256K1_VALIDATE_KEY" 1;
    ScaleBigNumeric 2001 "SCALE_BIGNUMERIC" 1;
    PrecisionBigNumeric 2002 "PRECISION_BIGNUMERIC" 1;
    AddBigNumeric 2003 "ADD_BIGNUMERIC" 2;
    SubBigNumeric 2004 "SUB_BIGNUMERIC" 2;
    MulBigNumeric 2005 "MUL_BIGNUMERIC" 2;
    DivBigNumeric 2006 "DIV_BIGNUMERIC" 4;
    ShiftRightBigNumeric 2007 "SHIFT_RIGHT_BIGNUMERIC" 2;
    BigNumericToNumeric 2008 "BIGNUMERIC_TO_NUMERIC" 2;
    NumericToBigNumeric 2009 "NUMERIC_TO_BIGNUMERIC" 1;
    BigNumericToText 2010 "BIGNUMERIC_TO_TEXT" 1;
    TextToContractId 9071 "TEXT_TO_CONTRACT_ID" 1;
    TypeRepTyConName 3011 "TYPE_REP_TYCON_NAME" 1;
    MulNumericLegacy 9109 "MUL_NUMERIC_LEGACY" 2;
    DivNumericLegacy 9110 "DIV_NUMERIC_LEGACY" 2;
    CastNumericLegacy 9121 "CAST_NUMERIC_LEGACY" 1;
    ShiftNumericLegacy 9122 "SHIFT_NUMERIC_LEGACY" 1;
    TextToNumericLegacy 9117 "TEXT_TO_NUMERIC_LEGACY" 1;
    Int64ToNumericLegacy 9118 "INT64_TO_NUMERIC_LEGACY" 1;
    BigNumericToNumericLegacy 9144 "BIGNUMERIC_TO_NUMERIC_LEGACY" 1;
    TextToText 9060 "TEXT_TO_TEXT" 1;
    PartyToQuotedText 9063 "PARTY_TO_QUOTED_TEXT" 1;
}

/// The names of built-in types in LF text.
const TYPE_NAMES: &[(BuiltinType, &str)] = &[
    (BuiltinType::Unit, "Unit"),
    (BuiltinType::Bool, "Bool"),
    (BuiltinType::Int64, "Int64"),
    (BuiltinType::Date, "Date"),
    (BuiltinType::Timestamp, "Timestamp"),
    (BuiltinType::Numeric, "Numeric"),
    (BuiltinType::Party, "Party"),
    (BuiltinType::Text, "Text"),
    (BuiltinType::ContractId, "ContractId"),
    (BuiltinType::Optional, "Option"),
    (BuiltinType::List, "List"),
    (BuiltinType::GenMap, "GenMap"),
    (BuiltinType::Any, "Any"),
    (BuiltinType::AnyException, "AnyException"),
    (BuiltinType::TypeRep, "TypeRep"),
    (BuiltinType::Arrow, "Arrow"),
    (BuiltinType::Update, "Update"),
    (BuiltinType::FailureCategory, "FailureCategory"),
    (BuiltinType::TextMap, "TextMap"),
    (BuiltinType::BigNumeric, "BigNumeric"),
    (BuiltinType::RoundingMode, "RoundingMode"),
    (BuiltinType::Scenario, "Scenario"),
];

impl BuiltinType {
    /// The name in LF text.
    #[must_use]
    pub fn text(self) -> &'static str {
        TYPE_NAMES.iter().find(|(ty, _)| *ty == self).expect("every built-in type has a name").1
    }

    /// The type with this name in LF text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        TYPE_NAMES.iter().find(|(_, name)| *name == text).map(|(ty, _)| *ty)
    }
}

impl Builtin {
    /// The function with this number in an archive of LF 2, if the version has it.
    pub(crate) fn in_v2(number: u32, version: LanguageVersion) -> Option<Self> {
        // 2.dev had numbers of its own for what became part of a release.
        let number = match number {
            1001..=1006 if version.is_dev() => number - 941,
            4000 | 4001 if version.is_dev() => number - 3933,
            2001..=3011 if !version.is_dev() => return None,
            // It came and went while 2.dev was developed; a release gave its number to another function.
            71 if version.is_dev() => return Some(Self::TextToContractId),
            73 if version < LanguageVersion::V2_3 => return None,
            9000.. => return None,
            other => other,
        };
        Self::from_number(number)
    }

    /// How many of its type parameters are scales that it needs when it runs: in LF 1, where scales are no arguments.
    #[must_use]
    pub fn scales(self) -> usize {
        match self {
            Self::MulNumericLegacy | Self::DivNumericLegacy => 3,
            Self::CastNumericLegacy | Self::ShiftNumericLegacy => 2,
            Self::TextToNumericLegacy | Self::Int64ToNumericLegacy | Self::BigNumericToNumericLegacy => 1,
            _ => 0,
        }
    }
}

impl RoundingMode {
    /// The name in LF text.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Up => "ROUNDING_UP",
            Self::Down => "ROUNDING_DOWN",
            Self::Ceiling => "ROUNDING_CEILING",
            Self::Floor => "ROUNDING_FLOOR",
            Self::HalfUp => "ROUNDING_HALF_UP",
            Self::HalfDown => "ROUNDING_HALF_DOWN",
            Self::HalfEven => "ROUNDING_HALF_EVEN",
            Self::Unnecessary => "ROUNDING_UNNECESSARY",
        }
    }
}

impl FailureCategory {
    /// The name in LF text.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::InvalidIndependentOfSystemState => "INVALID_INDEPENDENT_OF_SYSTEM_STATE",
            Self::InvalidGivenCurrentSystemStateOther => "INVALID_GIVEN_CURRENT_SYSTEM_STATE_OTHER",
        }
    }

    /// The category with this name in LF text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        [Self::InvalidIndependentOfSystemState, Self::InvalidGivenCurrentSystemStateOther]
            .into_iter()
            .find(|category| category.text() == text)
    }
}
