//! How large types and expressions are when written out. Sharing makes exponentially large ones cheap to write;
//! whoever walks them relies on these bounds.

use crate::{LfError, Package, Type};

/// Parts of one type, counted as if nothing were shared.
const MAX_TYPE_SIZE: u64 = 1_000_000;
/// Parts of one expression, counted as if nothing were shared.
const MAX_EXPR_SIZE: u64 = 50_000_000;

/// Refuses packages with too large types or expressions.
pub(super) fn check(package: &Package) -> Result<(), LfError> {
    let arena = package.arena();
    let types = sizes(arena.types.len(), |index, parts| match &arena.types[index] {
        Type::App(a, b) => parts.extend([a.index(), b.index()]),
        Type::Forall(_, _, body) => parts.push(body.index()),
        Type::Synonym(_, args) => parts.extend(args.iter().map(|arg| arg.index())),
        Type::Struct(fields) => parts.extend(fields.iter().map(|(_, ty)| ty.index())),
        Type::Var(_) | Type::Con(_) | Type::Builtin(_) | Type::Nat(_) => {}
    });
    let exprs = sizes(arena.exprs.len(), |index, parts| {
        arena.exprs[index].for_each_part(|part| parts.push(part.index()));
    });
    for (what, all, limit) in [("a type", types, MAX_TYPE_SIZE), ("an expression", exprs, MAX_EXPR_SIZE)] {
        if all.into_iter().any(|size| size > limit) {
            let what = format!("{what} has more than {limit} parts when written out");
            return Err(LfError::Invalid { message: "Package", what });
        }
    }
    Ok(())
}

/// The size of each entry of a table. Tables refer backwards and nesting is finite, so there are no cycles; an entry
/// is looked at when it is met, and computed once its parts are.
fn sizes(count: usize, parts_of: impl Fn(usize, &mut Vec<usize>)) -> Vec<u64> {
    let mut sizes = vec![0_u64; count];
    let mut parts = Vec::new();
    for root in 0..count {
        let mut open = vec![root];
        while let Some(&index) = open.last() {
            parts.clear();
            if sizes[index] == 0 {
                parts_of(index, &mut parts);
            }
            let unknown = open.len();
            open.extend(parts.iter().filter(|part| sizes[**part] == 0));
            if open.len() == unknown {
                open.pop();
                if sizes[index] == 0 {
                    sizes[index] = parts.iter().fold(1, |sum: u64, part| sum.saturating_add(sizes[*part]));
                }
            }
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_parts_count_every_time() {
        let doubling = sizes(70, |index, parts| parts.extend(index.checked_sub(1).into_iter().flat_map(|i| [i, i])));
        assert_eq!(doubling[..4], [1, 3, 7, 15]);
        assert_eq!(doubling[69], u64::MAX);
        let forward = sizes(3, |index, parts| parts.extend((index < 2).then_some(index + 1)));
        assert_eq!(forward, [3, 2, 1]);
    }
}
