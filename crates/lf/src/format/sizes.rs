//! How large types and expressions are when written out. Sharing makes exponentially large ones cheap to write;
//! whoever walks them relies on these bounds.

use crate::{LfError, Package, walk::parts_first};

/// Parts of one type, counted as if nothing were shared.
const MAX_TYPE_SIZE: u64 = 1_000_000;
/// Parts of one expression, counted as if nothing were shared.
const MAX_EXPR_SIZE: u64 = 50_000_000;

/// Refuses packages with too large types or expressions.
pub(super) fn check(package: &Package) -> Result<(), LfError> {
    let arena = package.arena();
    let types = sizes(arena.types.len(), |i, part| arena.types[i].for_each_part(|id| part(id.index())));
    let exprs = sizes(arena.exprs.len(), |i, part| arena.exprs[i].for_each_part(|id| part(id.index())));
    for (what, all, limit) in [("a type", types, MAX_TYPE_SIZE), ("an expression", exprs, MAX_EXPR_SIZE)] {
        if all.into_iter().any(|size| size > limit) {
            let what = format!("{what} has more than {limit} parts when written out");
            return Err(LfError::Invalid { message: "Package", what });
        }
    }
    Ok(())
}

/// The size of each entry of a table.
fn sizes(count: usize, parts_of: impl Fn(usize, &mut dyn FnMut(usize))) -> Vec<u64> {
    let mut sizes = vec![0_u64; count];
    for root in 0..count {
        for entry in parts_first(root, |i| sizes[i] != 0, &parts_of) {
            let mut size = 1_u64;
            parts_of(entry, &mut |part| size = size.saturating_add(sizes[part]));
            sizes[entry] = size;
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_parts_count_every_time() {
        let doubling = sizes(70, |index, part| index.checked_sub(1).into_iter().flat_map(|i| [i, i]).for_each(part));
        assert_eq!(doubling[..4], [1, 3, 7, 15]);
        assert_eq!(doubling[69], u64::MAX);
        let forward = sizes(3, |index, part| (index < 2).then_some(index + 1).into_iter().for_each(part));
        assert_eq!(forward, [3, 2, 1]);
    }
}
