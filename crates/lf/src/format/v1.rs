//! Numbers of LF 1 in archives, and what became of them in LF 2.

use crate::{Arena, Builtin as B, BuiltinType as T, Expr, Kind, LanguageVersion as V, Type};
use base::Name;

/// Decimals of `Decimal`, the type before LF 1.7.
pub(super) const DECIMAL_SCALE: u8 = 10;

/// Scenarios, by the number that they had in early archives of 2.dev.
pub(super) const SCENARIO: u32 = 1003;
/// Rounding modes: the number that literals of 2.dev have for them.
pub(super) const ROUNDING_MODE: u32 = 1001;

/// The forms of expressions: number, number in LF 2, since when.
const EXPRS: &[(u32, u32, V)] = &[
    (1, 2, V::V1_6),
    (2, 3, V::V1_6),
    (3, 4, V::V1_6),
    (4, 5, V::V1_6),
    (5, 6, V::V1_6),
    (6, 7, V::V1_6),
    (7, 8, V::V1_6),
    (8, 10, V::V1_6),
    (9, 12, V::V1_6),
    (10, 13, V::V1_6),
    (11, 15, V::V1_6),
    (12, 16, V::V1_6),
    (13, 17, V::V1_6),
    (14, 18, V::V1_6),
    (15, 19, V::V1_6),
    (16, 20, V::V1_6),
    (17, 21, V::V1_6),
    (18, 22, V::V1_6),
    (20, 23, V::V1_6),
    (21, SCENARIO, V::V1_6),
    (22, 9, V::V1_6),
    (23, 14, V::V1_6),
    (26, 25, V::V1_6),
    (27, 26, V::V1_6),
    (28, 11, V::V1_6),
    (29, 2, V::V1_7),
    (30, 27, V::V1_7),
    (31, 28, V::V1_7),
    (32, 29, V::V1_7),
    (33, 30, V::V1_14),
    (34, 31, V::V1_14),
    (35, 32, V::V1_14),
    (36, 33, V::V1_15),
    (37, 34, V::V1_15),
    (38, 35, V::V1_15),
    (39, 36, V::V1_15),
    (40, 37, V::V1_15),
    (41, 38, V::V1_15),
    (42, 39, V::V1_15),
    (43, 40, V::V1_15),
    (44, 41, V::V1_15),
    (45, 42, V::V1_15),
    (46, 43, V::V1_15),
    (47, 1001, V::V1Dev),
    (48, 1002, V::V1Dev),
    (9999, 9999, V::V1Dev),
];

/// The number in LF 2 of a form of expressions.
pub(super) fn expr_form(number: u32, version: V) -> Option<u32> {
    if number == 1 && version.has_tables() {
        return None;
    }
    let known = EXPRS.iter().find(|(v1, _, since)| *v1 == number && *since <= version);
    known.map(|(_, v2, _)| *v2)
}

/// The number in LF 2 of a form of literals.
pub(super) fn literal_form(number: u32, version: V) -> Option<u32> {
    let tables = version.has_tables();
    Some(match number {
        1 => 1,
        2 if !tables => 3,
        4 if !tables => 4,
        5 => 2,
        8 => 5,
        10 if tables => 3,
        11 if tables => 4,
        13 if version >= V::V1_13 => ROUNDING_MODE,
        _ => return None,
    })
}

/// What a function of a number is applied to, where a later version has a more general function.
#[derive(Clone, Copy)]
enum To {
    Itself,
    /// So many times the scale of `Decimal`.
    Decimals(usize),
    /// A type.
    Of(T),
    /// `Decimal`.
    OfDecimal,
    /// `Numeric n`, for all `n`.
    OfNumeric,
    /// `ContractId a`, for all `a`.
    OfContractId,
}

/// Functions that came and stayed: number and since when.
const FUNCTIONS: &[(u32, B, V)] = &[
    (107, B::AddNumeric, V::V1_7),
    (108, B::SubNumeric, V::V1_7),
    (111, B::RoundNumeric, V::V1_7),
    (7, B::AddInt64, V::V1_6),
    (8, B::SubInt64, V::V1_6),
    (9, B::MulInt64, V::V1_6),
    (10, B::DivInt64, V::V1_6),
    (11, B::ModInt64, V::V1_6),
    (12, B::ExpInt64, V::V1_6),
    (20, B::Foldl, V::V1_6),
    (21, B::Foldr, V::V1_6),
    (96, B::TextMapEmpty, V::V1_6),
    (97, B::TextMapInsert, V::V1_6),
    (98, B::TextMapLookup, V::V1_6),
    (99, B::TextMapDelete, V::V1_6),
    (100, B::TextMapToList, V::V1_6),
    (101, B::TextMapSize, V::V1_6),
    (124, B::GenMapEmpty, V::V1_11),
    (125, B::GenMapInsert, V::V1_11),
    (126, B::GenMapLookup, V::V1_11),
    (127, B::GenMapDelete, V::V1_11),
    (128, B::GenMapKeys, V::V1_11),
    (129, B::GenMapValues, V::V1_11),
    (130, B::GenMapSize, V::V1_11),
    (23, B::ExplodeText, V::V1_6),
    (24, B::AppendText, V::V1_6),
    (25, B::Error, V::V1_6),
    (147, B::AnyExceptionMessage, V::V1_14),
    (57, B::Int64ToText, V::V1_6),
    (116, B::NumericToText, V::V1_7),
    (60, B::TextToText, V::V1_6),
    (61, B::TimestampToText, V::V1_6),
    (71, B::DateToText, V::V1_6),
    (94, B::PartyToText, V::V1_6),
    (95, B::TextToParty, V::V1_6),
    (103, B::TextToInt64, V::V1_6),
    (136, B::ContractIdToText, V::V1_11),
    (93, B::Sha256Text, V::V1_6),
    (72, B::DateToUnixDays, V::V1_6),
    (73, B::UnixDaysToDate, V::V1_6),
    (74, B::TimestampToUnixMicroseconds, V::V1_6),
    (75, B::UnixMicrosecondsToTimestamp, V::V1_6),
    (119, B::NumericToInt64, V::V1_7),
    (78, B::ImplodeText, V::V1_6),
    (87, B::EqualList, V::V1_6),
    (131, B::Equal, V::V1_11),
    (132, B::LessEq, V::V1_11),
    (133, B::Less, V::V1_11),
    (134, B::GreaterEq, V::V1_11),
    (135, B::Greater, V::V1_11),
    (88, B::Trace, V::V1_6),
    (102, B::CoerceContractId, V::V1_6),
    (105, B::CodePointsToText, V::V1_6),
    (106, B::TextToCodePoints, V::V1_6),
    (137, B::ScaleBigNumeric, V::V1_13),
    (138, B::PrecisionBigNumeric, V::V1_13),
    (139, B::AddBigNumeric, V::V1_13),
    (140, B::SubBigNumeric, V::V1_13),
    (141, B::MulBigNumeric, V::V1_13),
    (142, B::DivBigNumeric, V::V1_13),
    (143, B::ShiftRightBigNumeric, V::V1_13),
    (145, B::NumericToBigNumeric, V::V1_13),
    (146, B::BigNumericToText, V::V1_13),
    (148, B::TypeRepTyConName, V::V1Dev),
    (149, B::MulNumeric, V::V1Dev),
    (150, B::DivNumeric, V::V1Dev),
    (151, B::CastNumeric, V::V1Dev),
    (152, B::ShiftNumeric, V::V1Dev),
    (153, B::TextToNumeric, V::V1Dev),
    (154, B::Int64ToNumeric, V::V1Dev),
    (155, B::BigNumericToNumeric, V::V1Dev),
];

/// Functions that went: number, since when, in which version no more.
const GONE: &[(u32, B, To, V, V)] = &[
    (0, B::AddNumeric, To::Decimals(1), V::V1_6, V::V1_7),
    (1, B::SubNumeric, To::Decimals(1), V::V1_6, V::V1_7),
    (2, B::MulNumericLegacy, To::Decimals(3), V::V1_6, V::V1_7),
    (3, B::DivNumericLegacy, To::Decimals(3), V::V1_6, V::V1_7),
    (6, B::RoundNumeric, To::Decimals(1), V::V1_6, V::V1_7),
    (58, B::NumericToText, To::Decimals(1), V::V1_6, V::V1_7),
    (104, B::TextToNumericLegacy, To::Decimals(1), V::V1_6, V::V1_7),
    (76, B::Int64ToNumericLegacy, To::Decimals(1), V::V1_6, V::V1_7),
    (77, B::NumericToInt64, To::Decimals(1), V::V1_6, V::V1_7),
    (109, B::MulNumericLegacy, To::Itself, V::V1_7, V::V2_1),
    (110, B::DivNumericLegacy, To::Itself, V::V1_7, V::V2_1),
    (121, B::CastNumericLegacy, To::Itself, V::V1_7, V::V2_1),
    (122, B::ShiftNumericLegacy, To::Itself, V::V1_7, V::V2_1),
    (117, B::TextToNumericLegacy, To::Itself, V::V1_7, V::V2_1),
    (118, B::Int64ToNumericLegacy, To::Itself, V::V1_7, V::V2_1),
    (144, B::BigNumericToNumericLegacy, To::Itself, V::V1_13, V::V2_1),
    (63, B::PartyToQuotedText, To::Itself, V::V1_6, V::V1_14),
    (86, B::Equal, To::OfContractId, V::V1_6, V::V1_11),
    (85, B::Equal, To::Of(T::Bool), V::V1_6, V::V1_11),
    (123, B::Equal, To::Of(T::TypeRep), V::V1_7, V::V1_11),
];

/// Comparisons before LF 1.11, one for each type: less or equal, less, greater or equal, greater, equal.
const COMPARISONS: &[([u32; 5], To, V, V)] = &[
    ([33, 39, 45, 51, 79], To::Of(T::Int64), V::V1_6, V::V1_11),
    ([34, 40, 46, 52, 80], To::OfDecimal, V::V1_6, V::V1_7),
    ([112, 113, 114, 115, 120], To::OfNumeric, V::V1_7, V::V1_11),
    ([36, 42, 48, 54, 81], To::Of(T::Text), V::V1_6, V::V1_11),
    ([37, 43, 49, 55, 82], To::Of(T::Timestamp), V::V1_6, V::V1_11),
    ([67, 68, 69, 70, 83], To::Of(T::Date), V::V1_6, V::V1_11),
    ([89, 90, 91, 92, 84], To::Of(T::Party), V::V1_6, V::V1_11),
];

/// The functions that each comparison became.
const COMPARED: [B; 5] = [B::LessEq, B::Less, B::GreaterEq, B::Greater, B::Equal];

fn found(number: u32, version: V) -> Option<(B, To)> {
    let stayed = FUNCTIONS.iter().find(|(n, _, since)| *n == number && *since <= version);
    if let Some((_, function, _)) = stayed {
        return Some((*function, To::Itself));
    }
    let gone = GONE.iter().find(|(n, _, _, since, until)| *n == number && *since <= version && version < *until);
    if let Some((_, function, to, ..)) = gone {
        return Some((*function, *to));
    }
    let (numbers, to, ..) = COMPARISONS
        .iter()
        .find(|(numbers, _, since, until)| numbers.contains(&number) && *since <= version && version < *until)?;
    let place = numbers.iter().position(|n| *n == number)?;
    Some((COMPARED[place], *to))
}

/// The function with this number, applied to the types that its number implies.
pub(super) fn builtin(arena: &mut Arena, number: u32, version: V) -> Option<Expr> {
    let (function, to) = found(number, version)?;
    let scale = |arena: &mut Arena| arena.ty(Type::Nat(DECIMAL_SCALE));
    let types = match to {
        To::Itself => return Some(Expr::Builtin(function)),
        To::Decimals(times) => (0..times).map(|_| scale(arena)).collect(),
        To::Of(ty) => Box::from([arena.ty(Type::Builtin(ty))]),
        To::OfDecimal => {
            let (numeric, scale) = (arena.ty(Type::Builtin(T::Numeric)), scale(arena));
            Box::from([arena.ty(Type::App(numeric, scale))])
        }
        To::OfNumeric => return Some(generic(arena, function, Kind::Nat, T::Numeric)),
        To::OfContractId => return Some(generic(arena, function, Kind::Star, T::ContractId)),
    };
    Some(Expr::TypeApp { function: arena.expr(Expr::Builtin(function)), types })
}

/// `/\(a: kind). function @(constructor a)`.
fn generic(arena: &mut Arena, function: B, kind: Kind, constructor: T) -> Expr {
    let variable = arena.name(&Name::new("a").expect("a letter is a name"));
    let (head, argument) = (arena.ty(Type::Builtin(constructor)), arena.ty(Type::Var(variable)));
    let types = Box::from([arena.ty(Type::App(head, argument))]);
    let function = arena.expr(Expr::Builtin(function));
    let (kind, body) = (arena.kind(kind), arena.expr(Expr::TypeApp { function, types }));
    Expr::TypeAbs { params: Box::from([(variable, kind)]), body }
}
