//! Numbers, dates and instants.

use super::{Caller, arithmetic_error, wrong};
use crate::{run::Stop, value::V};
use base::Timestamp;
use lf::Builtin;
use transaction::{Date, Numeric};

/// A function of numbers, dates or instants; `None` if it is none of them.
pub(super) fn number(caller: Caller<'_>, function: Builtin, arguments: &[V]) -> Result<Option<V>, Stop> {
    use Builtin as B;
    let result = match function {
        B::AddInt64 | B::SubInt64 | B::MulInt64 | B::DivInt64 | B::ModInt64 | B::ExpInt64 => {
            let [V::Int64(a), V::Int64(b)] = arguments else { return Err(wrong(function)) };
            int64(function, *a, *b).map(V::Int64)
        }
        B::AddNumeric
        | B::SubNumeric
        | B::MulNumeric
        | B::DivNumeric
        | B::RoundNumeric
        | B::CastNumeric
        | B::ShiftNumeric
        | B::Int64ToNumeric => numeric(function, arguments)?.map(V::Numeric),
        B::NumericToInt64 => {
            let [V::Numeric(number)] = arguments else { return Err(wrong(function)) };
            number.to_i64().ok().map(V::Int64)
        }
        B::DateToUnixDays => {
            let [V::Date(date)] = arguments else { return Err(wrong(function)) };
            Some(V::Int64(date.days().into()))
        }
        B::UnixDaysToDate => {
            let [V::Int64(days)] = arguments else { return Err(wrong(function)) };
            Date::from_days(*days).ok().map(V::Date)
        }
        B::TimestampToUnixMicroseconds => {
            let [V::Timestamp(time)] = arguments else { return Err(wrong(function)) };
            Some(V::Int64(time.micros()))
        }
        B::UnixMicrosecondsToTimestamp => {
            let [V::Int64(micros)] = arguments else { return Err(wrong(function)) };
            Timestamp::from_micros(*micros).ok().map(V::Timestamp)
        }
        _ => return Ok(None),
    };
    result.map(Some).ok_or_else(|| arithmetic_error(caller, function, arguments))
}

fn int64(function: Builtin, a: i64, b: i64) -> Option<i64> {
    match function {
        Builtin::AddInt64 => a.checked_add(b),
        Builtin::SubInt64 => a.checked_sub(b),
        Builtin::MulInt64 => a.checked_mul(b),
        Builtin::DivInt64 => a.checked_div(b),
        // The rest of the smallest number by -1 is 0, though the quotient overflows.
        Builtin::ModInt64 if b == -1 => Some(0),
        Builtin::ModInt64 => a.checked_rem(b),
        _ => power(a, b),
    }
}

fn power(base: i64, exponent: i64) -> Option<i64> {
    let exponent = u64::try_from(exponent).ok()?;
    match base {
        0 | 1 => Some(if exponent == 0 { 1 } else { base }),
        -1 => Some(if exponent % 2 == 0 { 1 } else { -1 }),
        _ => base.checked_pow(u32::try_from(exponent).ok()?),
    }
}

/// A witness is any number of the scale that the result is to have.
fn numeric(function: Builtin, arguments: &[V]) -> Result<Option<Numeric>, Stop> {
    use Builtin as B;
    let result = match (function, arguments) {
        (B::AddNumeric, [V::Numeric(a), V::Numeric(b)]) => a.checked_add(*b),
        (B::SubNumeric, [V::Numeric(a), V::Numeric(b)]) => a.checked_sub(*b),
        (B::MulNumeric, [V::Numeric(witness), V::Numeric(a), V::Numeric(b)]) => a.checked_mul(*b, witness.scale()),
        (B::DivNumeric, [V::Numeric(witness), V::Numeric(a), V::Numeric(b)]) => a.checked_div(*b, witness.scale()),
        (B::RoundNumeric, [V::Int64(place), V::Numeric(a)]) => a.checked_round(*place),
        (B::CastNumeric, [V::Numeric(witness), V::Numeric(a)]) => a.checked_cast(witness.scale()),
        (B::ShiftNumeric, [V::Numeric(witness), V::Numeric(a)]) => a.checked_shift(witness.scale()),
        (B::Int64ToNumeric, [V::Numeric(witness), V::Int64(a)]) => Numeric::from_i64(*a, witness.scale()),
        _ => return Err(wrong(function)),
    };
    Ok(result.ok())
}
