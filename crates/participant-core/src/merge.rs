//! Several transactions as one.

use transaction::{NodeId, Transaction, TransactionBuilder};

/// The forests one after another, in one numbering.
pub(crate) fn merge<'a>(parts: impl IntoIterator<Item = &'a Transaction>) -> Transaction {
    let mut builder = TransactionBuilder::default();
    for part in parts {
        // Where the subtrees of the open nodes end.
        let mut open: Vec<NodeId> = Vec::new();
        for (id, node) in part.nodes() {
            while open.last().is_some_and(|end| *end <= id) {
                open.pop();
                builder.close();
            }
            if node.is_inner() {
                open.push(part.subtree_end(id));
                builder.open(node.clone());
            } else {
                builder.leaf(node.clone());
            }
        }
        open.iter().for_each(|_| builder.close());
    }
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::testing::Scenario;

    #[test]
    fn parts_make_up_the_whole() {
        let whole = Scenario::new().nested();
        let parts: Vec<_> = whole.roots().iter().map(|root| whole.subtree(*root).unwrap()).collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(merge(&parts), whole);
        assert_eq!(merge([&whole, &whole]).roots().len(), 4);
    }
}
