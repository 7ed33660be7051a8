//! What a part of a transaction takes for granted of contract keys (spec/protocol.md §2.1, resolved keys).
//!
//! A part is a view with everything in it. It says which contracts of each key are there when it begins, as far as it
//! finds out: whoever interprets it again answers the engine with that, and must get the same part. Contracts that
//! earlier parts of the transaction made are among them; how it was before the whole transaction is for those to judge
//! who host the maintainers. They see every action of the key.
//!
//! Keys of LF 1 are one contract's at most, so that a create says that there is none. From LF 2.3 on several contracts
//! may have one key; they are found in the ledger's order, those that the transaction made first.

use super::decompose::index;
use base::{ContractId, Hash};
use std::collections::{BTreeMap, BTreeSet};
use transaction::{ContractKey, Exercise, Fetch, Node, NodeId, Parties, QueryByKey, Transaction};

/// The contracts of a key where a part of a transaction begins.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyState {
    /// Who guards the key. Not empty.
    pub maintainers: Parties,
    /// Active contracts that have it, as they are found; and, if they are all, those that are not found any more.
    pub contracts: Vec<ContractId>,
    /// Whether no others have it.
    pub exhaustive: bool,
}

/// The keys of a part of a transaction.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyStates {
    /// By hash, those that the part asks for.
    pub states: BTreeMap<Hash, KeyState>,
    /// Keys of which the part says two things that cannot both be true.
    pub contradicted: BTreeSet<Hash>,
}

/// What changes with the transaction, and back with a rollback.
#[derive(Clone, Default)]
struct Live {
    /// Contracts of each key that the part created, the newest last.
    created: BTreeMap<Hash, Vec<ContractId>>,
    archived: BTreeSet<ContractId>,
}

#[derive(Default)]
struct Walk {
    found: KeyStates,
    /// Contracts of before that the part has found.
    listed: BTreeSet<ContractId>,
    /// Contracts of before that the part uses by their ids; whether they are found as well is another question.
    met: BTreeMap<Hash, BTreeSet<ContractId>>,
    /// All that the part created, undone or not.
    born: BTreeSet<ContractId>,
    live: Live,
}

impl KeyStates {
    /// Goes through a transaction, or what is known of one, from its beginning to its end.
    #[must_use]
    pub fn of(transaction: &Transaction) -> Self {
        Self::walk(transaction, transaction.nodes())
    }

    /// Goes through a node and everything below it.
    pub(super) fn below(transaction: &Transaction, root: NodeId) -> Self {
        let end = transaction.subtree_end(root);
        let nodes = transaction.nodes().skip(index(root)).take(index(end) - index(root));
        Self::walk(transaction, nodes)
    }

    fn walk<'a>(transaction: &'a Transaction, nodes: impl Iterator<Item = (NodeId, &'a Node)>) -> Self {
        let mut walk = Walk::default();
        // Open rollbacks: where they end, and how it was before them.
        let mut rollbacks: Vec<(NodeId, Live)> = Vec::new();
        for (id, node) in nodes {
            while rollbacks.last().is_some_and(|(end, _)| *end <= id) {
                walk.live = rollbacks.pop().map(|(_, before)| before).unwrap_or_default();
            }
            match node {
                Node::Rollback(_) => rollbacks.push((transaction.subtree_end(id), walk.live.clone())),
                _ => walk.node(node),
            }
        }
        walk.finish()
    }
}

fn key_of(node: &Node) -> Option<&ContractKey> {
    match node {
        Node::Create(create) => create.instance.key.as_ref(),
        Node::Fetch(fetch) => fetch.key.as_ref(),
        Node::Exercise(exercise) => exercise.key.as_ref(),
        Node::QueryByKey(query) => Some(&query.key),
        Node::Rollback(_) => None,
    }
}

impl Walk {
    fn node(&mut self, node: &Node) {
        match (node, key_of(node)) {
            (Node::Create(create), Some(key)) => {
                self.born.insert(create.contract_id.clone());
                if create.version.is_v1() {
                    let is_free = self.active(&key.hash).next().is_none();
                    self.say_all(key, is_free);
                }
                self.live.created.entry(key.hash).or_default().push(create.contract_id.clone());
            }
            (Node::Fetch(Fetch { contract_id, by_key, .. }), key) => self.use_of(contract_id, key, *by_key),
            (Node::Exercise(Exercise { contract_id, by_key, consuming, .. }), key) => {
                self.use_of(contract_id, key, *by_key);
                if *consuming && key.is_some() {
                    self.live.archived.insert(contract_id.clone());
                }
            }
            (Node::QueryByKey(query), _) => self.query(query),
            (Node::Create(_) | Node::Rollback(_), _) => {}
        }
    }

    /// The contracts of a key that are known to be active now, as they are found.
    fn active(&self, key: &Hash) -> impl Iterator<Item = &ContractId> {
        let made = self.live.created.get(key).into_iter().flat_map(|made| made.iter().rev());
        let listed = self.found.states.get(key).into_iter().flat_map(|state| &state.contracts);
        made.chain(listed).filter(|id| !self.live.archived.contains(*id))
    }

    fn state(&mut self, key: &ContractKey) -> &mut KeyState {
        let new = || KeyState { maintainers: key.maintainers.clone(), ..KeyState::default() };
        let state = self.found.states.entry(key.hash).or_insert_with(new);
        if state.maintainers != key.maintainers {
            self.found.contradicted.insert(key.hash);
        }
        state
    }

    /// What was found of the key was all, and what must hold then does or does not.
    fn say_all(&mut self, key: &ContractKey, holds: bool) {
        self.state(key).exhaustive = true;
        if !holds {
            self.found.contradicted.insert(key.hash);
        }
    }

    /// One contract of the key is found where so many are known to come before it.
    fn find(&mut self, key: &ContractKey, id: &ContractId, known: Option<&ContractId>) {
        let is_new = !self.born.contains(id) && !self.listed.contains(id) && !self.live.archived.contains(id);
        let state = self.state(key);
        match known {
            Some(known) if known == id => {}
            None if is_new && !state.exhaustive => {
                state.contracts.push(id.clone());
                self.listed.insert(id.clone());
            }
            _ => drop(self.found.contradicted.insert(key.hash)),
        }
    }

    fn use_of(&mut self, id: &ContractId, key: Option<&ContractKey>, by_key: bool) {
        let Some(key) = key else { return };
        if by_key {
            let known = self.active(&key.hash).next().cloned();
            self.find(key, id, known.as_ref());
        } else if !self.born.contains(id) && self.met.entry(key.hash).or_default().insert(id.clone()) {
            let all = self.found.states.get(&key.hash).is_some_and(|state| state.exhaustive);
            if all && !self.listed.contains(id) {
                self.found.contradicted.insert(key.hash);
            }
        }
    }

    fn query(&mut self, query: &QueryByKey) {
        let known: Vec<_> = self.active(&query.key.hash).take(query.result.len() + 1).cloned().collect();
        for (n, id) in query.result.iter().enumerate() {
            self.find(&query.key, id, known.get(n));
        }
        if query.exhaustive {
            self.say_all(&query.key, query.result.len() >= known.len());
        }
    }

    fn finish(mut self) -> KeyStates {
        for (key, state) in &mut self.found.states {
            let met = self.met.remove(key).filter(|_| state.exhaustive).unwrap_or_default();
            state.contracts.extend(met.into_iter().filter(|id| !self.listed.contains(id)));
        }
        self.found
    }
}
