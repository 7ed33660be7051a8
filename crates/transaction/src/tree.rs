//! Transactions: forests of nodes in one arena.

use crate::{Node, NodeId};
use base::{ContractId, PackageId};
use std::collections::BTreeSet;

/// Nodes in pre-order, and which of them are roots.
///
/// Pre-order is the only order: the subtree of a node is a contiguous range, equal transactions have equal
/// bytes, and a walk is a loop.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Transaction {
    nodes: Vec<Node>,
    roots: Vec<NodeId>,
}

/// Nodes do not form a forest in pre-order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node {0} of the transaction is not where its parent says; the transaction is malformed")]
pub struct MalformedTransaction(pub u32);

/// Builds a transaction node by node: parents are opened before their children and closed after them.
#[derive(Debug, Default)]
pub struct TransactionBuilder {
    nodes: Vec<Node>,
    /// The open inner nodes with the children they have so far.
    open: Vec<(usize, Vec<NodeId>)>,
    roots: Vec<NodeId>,
}

impl Transaction {
    /// Checks that the nodes are numbered in pre-order and that each is a root or the child of one other.
    pub fn new(nodes: Vec<Node>, roots: Vec<NodeId>) -> Result<Self, MalformedTransaction> {
        let mut expected = 0_usize;
        let mut open: Vec<std::slice::Iter<'_, NodeId>> = vec![roots.iter()];
        while let Some(siblings) = open.last_mut() {
            let Some(id) = siblings.next() else {
                open.pop();
                continue;
            };
            if usize::try_from(id.0) != Ok(expected) {
                return Err(MalformedTransaction(id.0));
            }
            let node = nodes.get(expected).ok_or(MalformedTransaction(id.0))?;
            open.push(node.children().iter());
            expected += 1;
        }
        if expected == nodes.len() {
            Ok(Self { nodes, roots })
        } else {
            Err(MalformedTransaction(u32::try_from(expected).unwrap_or(u32::MAX)))
        }
    }

    /// A node by its number.
    #[must_use]
    pub fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(usize::try_from(id.0).ok()?)
    }

    /// All nodes with their numbers, in pre-order.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (NodeId, &Node)> {
        let id = |index| NodeId(u32::try_from(index).expect("built with 32-bit numbers"));
        self.nodes.iter().enumerate().map(move |(index, node)| (id(index), node))
    }

    /// The nodes that have no parent, in order.
    #[must_use]
    pub fn roots(&self) -> &[NodeId] {
        &self.roots
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The parent of each node, by number; `None` for roots.
    #[must_use]
    pub fn parents(&self) -> Vec<Option<NodeId>> {
        let mut parents = vec![None; self.nodes.len()];
        for (id, node) in self.nodes() {
            for child in node.children() {
                if let Some(parent) = usize::try_from(child.0).ok().and_then(|index| parents.get_mut(index)) {
                    *parent = Some(id);
                }
            }
        }
        parents
    }

    /// The number after the last node of the subtree below `id`: the subtree is `id..end`.
    #[must_use]
    pub fn subtree_end(&self, id: NodeId) -> NodeId {
        let mut last = id;
        while let Some(child) = self.get(last).and_then(|node| node.children().last()) {
            last = *child;
        }
        NodeId(last.0 + 1)
    }

    /// The node and everything below as a transaction of its own, numbered from 0. `None` if there is no such node.
    #[must_use]
    pub fn subtree(&self, id: NodeId) -> Option<Self> {
        let range = usize::try_from(id.0).ok()?..usize::try_from(self.subtree_end(id).0).ok()?;
        let nodes = self.nodes.get(range)?.iter().map(|node| {
            let mut node = node.clone();
            let children = node.children().iter().map(|child| NodeId(child.0 - id.0)).collect();
            node.set_children(children);
            node
        });
        Some(Self { nodes: nodes.collect(), roots: vec![NodeId(0)] })
    }

    /// The transaction with each contract id replaced: from local ids to suffixed ones, for example.
    #[must_use]
    pub fn map_contract_ids(&self, mut f: impl FnMut(&ContractId) -> ContractId) -> Self {
        let nodes = self.nodes.iter().map(|node| node.map_contract_ids(&mut f)).collect();
        Self { nodes, roots: self.roots.clone() }
    }

    /// Whether each node lies under a rollback (or is one), by number.
    #[must_use]
    pub fn rolled_back(&self) -> Vec<bool> {
        let mut flags = vec![false; self.nodes.len()];
        for (id, node) in self.nodes() {
            let index = usize::try_from(id.0).expect("32-bit numbers fit a usize");
            let here = flags[index] || matches!(node, Node::Rollback(_));
            flags[index] = here;
            for child in node.children() {
                if let Some(flag) = usize::try_from(child.0).ok().and_then(|child| flags.get_mut(child)) {
                    *flag = here;
                }
            }
        }
        flags
    }

    /// The ids of contracts that the transaction creates, rolled-back ones included.
    pub fn created_contracts(&self) -> impl Iterator<Item = &ContractId> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Create(create) => Some(&create.contract_id),
            _ => None,
        })
    }

    /// The ids of contracts that the transaction uses but did not create, rolled-back uses included.
    #[must_use]
    pub fn input_contracts(&self) -> BTreeSet<ContractId> {
        let created: BTreeSet<_> = self.created_contracts().collect();
        self.nodes
            .iter()
            .flat_map(|node| match node {
                Node::Fetch(fetch) => std::slice::from_ref(&fetch.contract_id),
                Node::Exercise(exercise) => std::slice::from_ref(&exercise.contract_id),
                Node::QueryByKey(query) => &query.result,
                Node::Create(_) | Node::Rollback(_) => &[],
            })
            .filter(|id| !created.contains(id))
            .cloned()
            .collect()
    }

    /// The packages that the nodes name.
    #[must_use]
    pub fn packages(&self) -> BTreeSet<PackageId> {
        self.nodes.iter().flat_map(Node::packages).cloned().collect()
    }
}

impl TransactionBuilder {
    /// The node that comes next has this number.
    fn attach(&mut self, node: Node) -> usize {
        let index = self.nodes.len();
        let id = NodeId(u32::try_from(index).expect("transactions are far smaller than 2^32 nodes"));
        match self.open.last_mut() {
            Some((_, children)) => children.push(id),
            None => self.roots.push(id),
        }
        self.nodes.push(node);
        index
    }

    /// A node without children.
    pub fn leaf(&mut self, node: Node) {
        let index = self.attach(node);
        self.nodes[index].set_children(Vec::new());
    }

    /// An exercise or rollback; what follows are its children, until [`TransactionBuilder::close`].
    pub fn open(&mut self, node: Node) {
        let index = self.attach(node);
        self.open.push((index, Vec::new()));
    }

    /// The innermost open node has all its children.
    pub fn close(&mut self) {
        if let Some((index, children)) = self.open.pop() {
            self.nodes[index].set_children(children);
        }
    }

    /// The transaction; closes what is still open.
    #[must_use]
    pub fn finish(mut self) -> Transaction {
        while !self.open.is_empty() {
            self.close();
        }
        Transaction { nodes: self.nodes, roots: self.roots }
    }
}
