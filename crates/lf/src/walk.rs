//! Walking tables whose entries contain one another, without recursion.

use std::collections::BTreeSet;

/// `root` and all that it contains, parts before wholes, each once; what is already `done` is left out. There must be
/// no cycles.
pub(crate) fn parts_first(
    root: usize,
    done: impl Fn(usize) -> bool,
    parts_of: impl Fn(usize, &mut dyn FnMut(usize)),
) -> Vec<usize> {
    let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
    let mut open = vec![(root, false)];
    while let Some((entry, parts_done)) = open.pop() {
        if parts_done {
            order.push(entry);
        } else if !done(entry) && seen.insert(entry) {
            open.push((entry, true));
            parts_of(entry, &mut |part| open.push((part, false)));
        }
    }
    order
}
