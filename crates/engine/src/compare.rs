//! The order of values (spec/daml-lf.md §3.3): structural, constructors by their place in the declaration.

use crate::{
    map::{Entries, entries},
    value::V,
};
use std::{cmp::Ordering, slice};

/// Two values have no order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Incomparable {
    /// A function is in one of them.
    Function,
    /// A local contract id against a suffixed one that it may become.
    ContractId,
}

/// Pairs that are still to be compared, the next one last.
enum Todo<'a> {
    Pair(&'a V, &'a V),
    Fields(slice::Iter<'a, V>, slice::Iter<'a, V>),
    Entries(Entries<'a>, Entries<'a>),
}

/// The order of two values of one type.
pub(crate) fn checked(a: &V, b: &V) -> Result<Ordering, Incomparable> {
    let mut todo = vec![Todo::Pair(a, b)];
    while let Some(next) = todo.pop() {
        let order = match next {
            Todo::Pair(a, b) => pair(a, b, &mut todo)?,
            Todo::Fields(mut a, mut b) => match (a.next(), b.next()) {
                (Some(x), Some(y)) => {
                    todo.extend([Todo::Fields(a, b), Todo::Pair(x, y)]);
                    Ordering::Equal
                }
                (x, y) => x.is_some().cmp(&y.is_some()),
            },
            Todo::Entries(mut a, mut b) => match (a.next(), b.next()) {
                (Some((k, v)), Some((l, w))) => {
                    todo.extend([Todo::Entries(a, b), Todo::Pair(v, w), Todo::Pair(k, l)]);
                    Ordering::Equal
                }
                (x, y) => x.is_some().cmp(&y.is_some()),
            },
        };
        if order.is_ne() {
            return Ok(order);
        }
    }
    Ok(Ordering::Equal)
}

/// Compares the heads; the parts go to the list.
fn pair<'a>(a: &'a V, b: &'a V, todo: &mut Vec<Todo<'a>>) -> Result<Ordering, Incomparable> {
    Ok(match (a, b) {
        (V::Bool(a), V::Bool(b)) => a.cmp(b),
        (V::Int64(a), V::Int64(b)) => a.cmp(b),
        (V::Numeric(a), V::Numeric(b)) => a.cmp(b),
        (V::Text(a), V::Text(b)) => a.cmp(b),
        (V::Timestamp(a), V::Timestamp(b)) => a.cmp(b),
        (V::Date(a), V::Date(b)) => a.cmp(b),
        (V::Party(a), V::Party(b)) => a.cmp(b),
        (V::ContractId(a), V::ContractId(b)) => {
            let one_local = a.suffix().is_empty() != b.suffix().is_empty();
            if one_local && a.prefix() == b.prefix() {
                return Err(Incomparable::ContractId);
            }
            a.cmp(b)
        }
        (V::Some(a), V::Some(b)) => {
            todo.push(Todo::Pair(a, b));
            Ordering::Equal
        }
        (V::Cons(a), V::Cons(b)) => {
            todo.extend([Todo::Pair(&a.tail, &b.tail), Todo::Pair(&a.head, &b.head)]);
            Ordering::Equal
        }
        (V::None, V::Some(_)) | (V::Nil, V::Cons(_)) => Ordering::Less,
        (V::Some(_), V::None) | (V::Cons(_), V::Nil) => Ordering::Greater,
        (V::TextMap(a), V::TextMap(b)) | (V::GenMap(a), V::GenMap(b)) => {
            todo.push(Todo::Entries(entries(a), entries(b)));
            Ordering::Equal
        }
        (V::Record(a), V::Record(b)) => {
            todo.push(Todo::Fields(a.fields.iter(), b.fields.iter()));
            // Values of one interface can be of different templates.
            a.id.cmp(&b.id)
        }
        (V::Struct(a), V::Struct(b)) => {
            todo.push(Todo::Fields(a.fields.iter(), b.fields.iter()));
            Ordering::Equal
        }
        (V::Variant(a), V::Variant(b)) => {
            todo.push(Todo::Pair(&a.value, &b.value));
            a.constructor.rank.cmp(&b.constructor.rank)
        }
        (V::Enum(a), V::Enum(b)) => a.rank.cmp(&b.rank),
        (V::Any(a), V::Any(b)) => {
            todo.push(Todo::Pair(&a.value, &b.value));
            a.ty.cmp(&b.ty)
        }
        (V::TypeRep(a), V::TypeRep(b)) => a.cmp(b),
        (V::Closure(_) | V::Partial(_) | V::Builtin(_), _) | (_, V::Closure(_) | V::Partial(_) | V::Builtin(_)) => {
            return Err(Incomparable::Function);
        }
        // Equal constants, or values of different types, which the language does not compare.
        _ => Ordering::Equal,
    })
}

/// The order of two values that are known to be comparable: keys of a map.
pub(crate) fn compare(a: &V, b: &V) -> Ordering {
    checked(a, b).unwrap_or(Ordering::Equal)
}

/// Whether the value can be compared with others.
pub(crate) fn is_comparable(value: &V) -> bool {
    checked(value, value).is_ok()
}
