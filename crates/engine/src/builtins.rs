//! The functions of the language itself.

mod number;
mod text;

use crate::{
    EngineError,
    code::GlobalRef,
    compare::{self, Incomparable},
    machine::{arithmetic, is_arithmetic, message_of},
    map::{self, Map, entries},
    registry::Registry,
    run::Stop,
    value::{P, Struct, V},
};
use base::Name;
use lf::Builtin;
use std::{cmp::Ordering, sync::Arc};

/// What a function gives: a value, or work for the machine.
pub(crate) enum Outcome {
    Value(V),
    Foldl {
        function: V,
        first: V,
        list: V,
    },
    Foldr {
        function: V,
        first: V,
        list: V,
    },
    EqualList {
        function: V,
        left: V,
        right: V,
    },
    Trace {
        message: Arc<str>,
        value: V,
    },
    /// Apply the message function of an exception.
    Message {
        global: GlobalRef,
        exception: V,
    },
}

impl From<V> for Outcome {
    fn from(value: V) -> Self {
        Self::Value(value)
    }
}

/// Arguments of the wrong type: the package was not checked.
pub(crate) fn wrong(function: Builtin) -> Stop {
    Stop::error(EngineError::IllTyped(format!("{} is applied to values of other types", function.text())))
}

/// On whose behalf a function is applied.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'r> {
    pub(crate) registry: &'r Registry,
    /// Whether its code is of LF 1.
    pub(crate) v1: bool,
}

/// The exception of arithmetic, with the words that models may look for.
pub(crate) fn arithmetic_error(caller: Caller<'_>, function: Builtin, arguments: &[V]) -> Stop {
    let show = |value: &V| match value {
        V::Int64(v) => v.to_string(),
        V::Numeric(v) => v.to_string(),
        V::Timestamp(v) => v.to_string(),
        V::Date(v) => v.to_string(),
        _ => "…".to_owned(),
    };
    let arguments = arguments.iter().map(show).collect::<Vec<_>>().join(" ");
    arithmetic(
        caller.registry,
        caller.v1,
        format!("ArithmeticError while evaluating ({} {arguments}).", function.text()),
    )
}

/// Applies a function to all its arguments.
pub(crate) fn builtin(caller: Caller<'_>, function: Builtin, arguments: Vec<V>) -> Result<Outcome, Stop> {
    use Builtin as B;
    match function {
        B::Equal | B::LessEq | B::Less | B::GreaterEq | B::Greater => comparison(function, &arguments),
        B::Foldl | B::Foldr | B::EqualList => fold(function, arguments),
        B::Trace => match <[V; 2]>::try_from(arguments) {
            Ok([V::Text(message), value]) => Ok(Outcome::Trace { message, value }),
            _ => Err(wrong(function)),
        },
        B::Error => match &arguments[..] {
            [V::Text(message)] => Err(Stop::error(EngineError::User(message.to_string()))),
            _ => Err(wrong(function)),
        },
        B::FailWithStatus => Err(fail(&arguments)),
        B::AnyExceptionMessage => message(caller.registry, &arguments),
        B::GenMapEmpty
        | B::GenMapInsert
        | B::GenMapLookup
        | B::GenMapDelete
        | B::GenMapKeys
        | B::GenMapValues
        | B::GenMapSize
        | B::TextMapEmpty
        | B::TextMapInsert
        | B::TextMapLookup
        | B::TextMapDelete
        | B::TextMapToList
        | B::TextMapSize => of_map(function, arguments).map(Outcome::Value),
        B::TextToContractId
        | B::TypeRepTyConName
        | B::ScaleBigNumeric
        | B::PrecisionBigNumeric
        | B::AddBigNumeric
        | B::SubBigNumeric
        | B::MulBigNumeric
        | B::DivBigNumeric
        | B::ShiftRightBigNumeric
        | B::BigNumericToNumeric
        | B::BigNumericToNumericLegacy
        | B::NumericToBigNumeric
        | B::BigNumericToText => {
            Err(Stop::error(EngineError::Unsupported(format!("the function {}", function.text()))))
        }
        _ => match number::number(caller, function, &arguments)? {
            Some(value) => Ok(value.into()),
            None => text::text(function, &arguments).map(Outcome::Value),
        },
    }
}

fn incomparable(why: Incomparable) -> Stop {
    Stop::error(match why {
        Incomparable::Function => EngineError::NotComparable,
        Incomparable::ContractId => EngineError::ContractIdComparability,
    })
}

fn comparison(function: Builtin, arguments: &[V]) -> Result<Outcome, Stop> {
    let [a, b] = arguments else { return Err(wrong(function)) };
    let order = compare::checked(a, b).map_err(incomparable)?;
    Ok(V::Bool(match function {
        Builtin::Equal => order == Ordering::Equal,
        Builtin::LessEq => order.is_le(),
        Builtin::Less => order.is_lt(),
        Builtin::GreaterEq => order.is_ge(),
        _ => order.is_gt(),
    })
    .into())
}

fn fold(builtin: Builtin, arguments: Vec<V>) -> Result<Outcome, Stop> {
    let [function, first, list] = <[V; 3]>::try_from(arguments).map_err(|_| wrong(builtin))?;
    Ok(match builtin {
        Builtin::Foldl => Outcome::Foldl { function, first, list },
        Builtin::Foldr => Outcome::Foldr { function, first, list },
        _ => Outcome::EqualList { function, left: first, right: list },
    })
}

fn fail(arguments: &[V]) -> Stop {
    let [V::Text(error_id), V::Int64(category), V::Text(message), V::TextMap(metadata)] = arguments else {
        return wrong(Builtin::FailWithStatus);
    };
    let pair = |(key, value): (&V, &V)| match (key, value) {
        (V::Text(key), V::Text(value)) => Some((key.to_string(), value.to_string())),
        _ => None,
    };
    Stop::error(EngineError::Failure {
        error_id: error_id.to_string(),
        category: *category,
        message: message.to_string(),
        metadata: entries(metadata).filter_map(pair).collect(),
    })
}

fn message(registry: &Registry, arguments: &[V]) -> Result<Outcome, Stop> {
    let [V::Any(any)] = arguments else { return Err(wrong(Builtin::AnyExceptionMessage)) };
    let id = any.ty.as_con().ok_or_else(|| wrong(Builtin::AnyExceptionMessage))?;
    match &any.value {
        V::Record(record) if is_arithmetic(id) => Ok(record.fields.first().cloned().unwrap_or(V::Unit).into()),
        value => Ok(Outcome::Message { global: message_of(registry, id)?, exception: value.clone() }),
    }
}

/// The labels of an entry that a text map is listed with.
fn entry_labels() -> Arc<[Name]> {
    ["key", "value"].map(|label| Name::new(label).expect("a constant name is valid")).into()
}

fn of_map(function: Builtin, arguments: Vec<V>) -> Result<V, Stop> {
    use Builtin as B;
    let wrap = |map: Map| match function {
        B::TextMapInsert | B::TextMapDelete => V::TextMap(map),
        _ => V::GenMap(map),
    };
    let key_of = |key: &V| {
        if compare::is_comparable(key) { Ok(()) } else { Err(incomparable(Incomparable::Function)) }
    };
    let mut arguments = arguments;
    let Some(V::GenMap(map) | V::TextMap(map)) = arguments.pop() else { return Err(wrong(function)) };
    Ok(match (function, &mut arguments[..]) {
        (B::GenMapInsert | B::TextMapInsert, [key, value]) => {
            key_of(key)?;
            wrap(map::insert(&map, key.clone(), value.clone()))
        }
        (B::GenMapLookup | B::TextMapLookup, [key]) => {
            key_of(key)?;
            map::lookup(&map, key).map_or(V::None, V::some)
        }
        (B::GenMapDelete | B::TextMapDelete, [key]) => {
            key_of(key)?;
            wrap(map::delete(&map, key))
        }
        (B::GenMapKeys, []) => V::list(entries(&map).map(|(key, _)| key.clone()).collect::<Vec<_>>()),
        (B::GenMapValues, []) => V::list(entries(&map).map(|(_, value)| value.clone()).collect::<Vec<_>>()),
        (B::GenMapSize | B::TextMapSize, []) => V::Int64(i64::try_from(map::size(&map)).unwrap_or(i64::MAX)),
        (B::TextMapToList, []) => {
            let labels = entry_labels();
            let entry = |(key, value): (&V, &V)| {
                V::Struct(P::new(Struct { labels: labels.clone(), fields: vec![key.clone(), value.clone()] }))
            };
            V::list(entries(&map).map(entry).collect::<Vec<_>>())
        }
        _ => return Err(wrong(function)),
    })
}
