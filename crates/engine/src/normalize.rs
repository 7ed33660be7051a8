//! The normal form of rollbacks (spec/daml-lf.md §3.3): none is empty, none begins or ends with another.

use crate::ledger::Draft;
use transaction::{Node, Rollback, Transaction, TransactionBuilder};

/// What stands where a node stood: itself, or the pieces of a rollback.
enum Piece {
    Action(usize),
    /// Not empty, neither first nor last a rollback.
    Rollback(Vec<Piece>),
}

/// A rollback as one piece or several; nothing if it is empty.
/// A leading rollback is hoisted out in front, a trailing one is merged into its parent.
fn roll(mut children: Vec<Piece>) -> Vec<Piece> {
    let hoisted = children.iter().take_while(|piece| matches!(piece, Piece::Rollback(_))).count();
    let rest = children.split_off(hoisted);
    let mut pieces = children;
    let mut rest = rest;
    if let Some(Piece::Rollback(last)) = rest.pop_if(|piece| matches!(piece, Piece::Rollback(_))) {
        rest.extend(last);
    }
    if !rest.is_empty() {
        pieces.push(Piece::Rollback(rest));
    }
    pieces
}

enum Task {
    Enter(usize),
    /// All children of the rollback are done: as many pieces stand at the end of the list as came after this length.
    Roll(usize),
}

/// Pieces of the children of one exercise or of the roots; exercises below are left for later.
fn pieces(nodes: &Draft, children: &[usize]) -> Vec<Piece> {
    let mut done: Vec<Piece> = Vec::new();
    let mut tasks: Vec<Task> = children.iter().rev().map(|child| Task::Enter(*child)).collect();
    while let Some(task) = tasks.pop() {
        match task {
            Task::Enter(node) if matches!(nodes[node].0, Node::Rollback(_)) => {
                tasks.push(Task::Roll(done.len()));
                tasks.extend(nodes[node].1.iter().rev().map(|child| Task::Enter(*child)));
            }
            Task::Enter(node) => done.push(Piece::Action(node)),
            Task::Roll(from) => {
                let children = done.split_off(from);
                done.extend(roll(children));
            }
        }
    }
    done
}

enum Emit {
    Piece(Piece),
    Close,
}

/// The transaction in normal form, its nodes numbered in pre-order.
pub(crate) fn normalize(nodes: &Draft, roots: &[usize]) -> Transaction {
    let mut builder = TransactionBuilder::default();
    let mut todo: Vec<Emit> = pieces(nodes, roots).into_iter().rev().map(Emit::Piece).collect();
    while let Some(next) = todo.pop() {
        match next {
            Emit::Close => builder.close(),
            Emit::Piece(Piece::Rollback(children)) => {
                builder.open(Node::Rollback(Rollback { children: Vec::new() }));
                todo.push(Emit::Close);
                todo.extend(children.into_iter().rev().map(Emit::Piece));
            }
            Emit::Piece(Piece::Action(number)) => {
                let (node, children) = &nodes[number];
                if node.is_inner() {
                    builder.open(node.clone());
                    todo.push(Emit::Close);
                    todo.extend(pieces(nodes, children).into_iter().rev().map(Emit::Piece));
                } else {
                    builder.leaf(node.clone());
                }
            }
        }
    }
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(pieces: &[Piece]) -> String {
        let one = |piece: &Piece| match piece {
            Piece::Action(n) => n.to_string(),
            Piece::Rollback(children) => format!("R[{}]", show(children)),
        };
        pieces.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rollbacks_are_hoisted_and_merged() {
        let action = Piece::Action;
        let rolled = |n| Piece::Rollback(vec![Piece::Action(n)]);
        assert_eq!(show(&roll(vec![])), "");
        assert_eq!(show(&roll(vec![rolled(1)])), "R[1]");
        assert_eq!(show(&roll(vec![rolled(1), action(2)])), "R[1] R[2]");
        assert_eq!(show(&roll(vec![action(1), rolled(2)])), "R[1 2]");
        assert_eq!(
            show(&roll(vec![rolled(1), rolled(2), action(3), rolled(4), action(5), rolled(6)])),
            "R[1] R[2] R[3 R[4] 5 6]"
        );
        assert_eq!(show(&roll(vec![rolled(1), rolled(2)])), "R[1] R[2]");
    }
}
