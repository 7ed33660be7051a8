//! The transaction on the way: nodes, scopes, which contracts are active, and who authorizes.

use crate::{EngineError, normalize::normalize, run::Stop, value::V};
use base::{ContractId, Hash, Identifier, PackageId, PackageName, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use transaction::{
    ContractInstance, Exercise, Node, NodeId, NodeVersion, Parties, QueryByKey, Rollback, Transaction, Value, seed,
};

/// Whether a contract can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Active,
    Consumed,
    /// Created in a scope that was rolled back.
    Undone,
}

/// A contract that the transaction has met.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) instance: Arc<ContractInstance>,
    state: State,
    /// Its argument as each version of its template sees it, and whether that agrees with the contract's stakeholders.
    pub(crate) views: Vec<(Identifier, V, bool)>,
}

/// What the transaction knows of a key.
#[derive(Default, Debug)]
struct Keyed {
    /// Contracts that the transaction created, the newest last.
    created: Vec<ContractId>,
    /// The first ones of the ledger, in its order.
    stored: Vec<ContractId>,
    /// The same, to be found.
    listed: BTreeSet<ContractId>,
    /// Whether the ledger has no more.
    complete: bool,
    /// Contracts of the ledger that have the key, but were found by their ids.
    met: Vec<ContractId>,
    /// Whether one of them is none of the ledger's: it must have changed meanwhile.
    contradicted: bool,
}

/// Where seeds of child nodes come from.
#[derive(Clone, Debug)]
pub(crate) enum Seed {
    /// The seed of the transaction or of the exercise around.
    Parent(Hash),
    /// The seed of the only root node, if it is one that has a seed.
    Root(Option<Hash>),
}

#[derive(Debug)]
struct Context {
    seed: Seed,
    authorizers: Parties,
    next_child: u32,
}

/// Nodes that come under one exercise, or that one `try` may undo.
#[derive(Default, Debug)]
struct Scope {
    exercise: Option<usize>,
    children: Vec<usize>,
}

/// Something that a rollback must undo.
#[derive(Debug)]
enum Done {
    Created(ContractId),
    Consumed(ContractId),
}

/// Where a `try` began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    scopes: usize,
    contexts: usize,
    log: usize,
}

/// Nodes that are not yet in order, each with the numbers of its children.
pub(crate) type Draft = Vec<(Node, Vec<usize>)>;

/// The state of a transaction that is being made.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) ledger_time: Timestamp,
    pub(crate) preparation_time: Timestamp,
    /// Whether the model asked for the time.
    pub(crate) time_used: bool,
    /// Which version of a package implements interfaces; the contract's own where a name is missing.
    pub(crate) resolution: BTreeMap<PackageName, PackageId>,
    contracts: BTreeMap<ContractId, Option<Known>>,
    /// The keys that the transaction has met, by their hashes.
    keys: BTreeMap<Hash, Keyed>,
    /// The contract that was just found by its key.
    found: Option<ContractId>,
    nodes: Draft,
    scopes: Vec<Scope>,
    contexts: Vec<Context>,
    log: Vec<Done>,
}

/// A transaction holds at most this many nodes.
const MAX_NODES: usize = 1_000_000;

impl Ledger {
    pub(crate) fn new(seed: Seed, authorizers: Parties, ledger_time: Timestamp, preparation_time: Timestamp) -> Self {
        Self {
            ledger_time,
            preparation_time,
            time_used: false,
            resolution: BTreeMap::new(),
            contracts: BTreeMap::new(),
            keys: BTreeMap::new(),
            found: None,
            nodes: Vec::new(),
            scopes: vec![Scope::default()],
            contexts: vec![Context { seed, authorizers, next_child: 0 }],
            log: Vec::new(),
        }
    }

    /// Whether nothing is known of the contract yet, not even that it does not exist.
    pub(crate) fn is_unasked(&self, id: &ContractId) -> bool {
        !self.contracts.contains_key(id)
    }

    /// The answer to the question for a contract.
    pub(crate) fn answer(&mut self, id: ContractId, instance: Option<ContractInstance>) {
        if let Some(key) = instance.as_ref().and_then(|instance| instance.key.as_ref()) {
            let keyed = self.keys.entry(key.hash).or_default();
            keyed.contradicted |= keyed.complete && !keyed.listed.contains(&id);
            keyed.met.push(id.clone());
        }
        let known = |instance| Known { instance: Arc::new(instance), state: State::Active, views: Vec::new() };
        self.contracts.insert(id, instance.map(known));
    }

    /// The answer to the question for a key: what the ledger has. The transaction may have archived it already.
    pub(crate) fn answer_key(&mut self, key: Hash, contracts: Vec<ContractId>, limit: usize) {
        let keyed = self.keys.entry(key).or_default();
        keyed.complete = contracts.len() < limit;
        keyed.listed = contracts.iter().cloned().collect();
        keyed.stored = contracts;
        keyed.contradicted = keyed.complete && !keyed.met.iter().all(|id| keyed.listed.contains(id));
    }

    /// Up to so many active contracts of a key: first those that the transaction created, the newest first, then the
    /// ledger's. `Err`: how many of the ledger's must be known.
    pub(crate) fn by_key(&self, key: &Hash, count: usize) -> Result<Vec<ContractId>, usize> {
        let unknown = Keyed::default();
        let keyed = self.keys.get(key).unwrap_or(&unknown);
        let is_active = |id: &&ContractId| match self.contracts.get(*id) {
            Some(Some(known)) => known.state == State::Active,
            _ => true,
        };
        let all = keyed.created.iter().rev().chain(&keyed.stored);
        let found: Vec<_> = all.filter(is_active).take(count).cloned().collect();
        if found.len() == count || keyed.complete { Ok(found) } else { Err(keyed.stored.len() + count - found.len()) }
    }

    /// Whether the ledger has told of contracts of this key what cannot be true at the same time.
    pub(crate) fn is_contradicted(&self, key: &Hash) -> bool {
        self.keys.get(key).is_some_and(|keyed| keyed.contradicted)
    }

    /// Notes that what comes next uses a contract by its key.
    pub(crate) fn note_found(&mut self, id: ContractId) {
        self.found = Some(id);
    }

    /// Whether the contract was just found by its key.
    pub(crate) fn is_by_key(&mut self, id: &ContractId) -> bool {
        self.found.take_if(|found| found == id).is_some()
    }

    pub(crate) fn query(&mut self, node: QueryByKey) -> Result<(), EngineError> {
        self.next_seed()?;
        let child = self.attach(Node::QueryByKey(node))?;
        self.add_child(child);
        Ok(())
    }

    /// A contract that must be active.
    pub(crate) fn active(&mut self, id: &ContractId) -> Result<&mut Known, EngineError> {
        match self.contracts.get_mut(id).and_then(Option::as_mut) {
            Some(known) if known.state == State::Active => Ok(known),
            Some(known) if known.state == State::Consumed => {
                Err(EngineError::ContractNotActive { id: id.clone(), template: known.instance.template.clone() })
            }
            _ => Err(EngineError::ContractNotFound(id.clone())),
        }
    }

    fn context(&mut self) -> &mut Context {
        self.contexts.last_mut().expect("the root context is never removed")
    }

    pub(crate) fn authorizers(&self) -> &Parties {
        &self.contexts.last().expect("the root context is never removed").authorizers
    }

    /// Counts an action and gives its seed.
    fn next_seed(&mut self) -> Result<Option<Hash>, EngineError> {
        let context = self.context();
        let child = context.next_child;
        context.next_child += 1;
        match (&context.seed, child) {
            (Seed::Parent(parent), child) => Ok(Some(seed::node_seed(parent, child))),
            (Seed::Root(seed), 0) => Ok(*seed),
            (Seed::Root(_), _) => Err(EngineError::Limit("a replay has one root action")),
        }
    }

    fn attach(&mut self, node: Node) -> Result<usize, EngineError> {
        if self.nodes.len() >= MAX_NODES {
            return Err(EngineError::Limit("a transaction has at most a million nodes"));
        }
        node.authorize(self.authorizers())?;
        self.nodes.push((node, Vec::new()));
        Ok(self.nodes.len() - 1)
    }

    fn add_child(&mut self, child: usize) {
        self.scopes.last_mut().expect("the root scope is never removed").children.push(child);
    }

    /// Creates a contract and gives its id.
    pub(crate) fn create(
        &mut self,
        instance: ContractInstance,
        argument: V,
        version: NodeVersion,
    ) -> Result<ContractId, EngineError> {
        let seed = self.next_seed()?.ok_or(EngineError::Limit("a create needs a seed"))?;
        let contract_id = seed::local_contract_id(&seed, self.preparation_time, &instance.stakeholders);
        let create = transaction::Create { contract_id: contract_id.clone(), instance, version };
        let instance = Arc::new(create.instance.clone());
        let child = self.attach(Node::Create(create))?;
        self.add_child(child);
        let views = vec![(instance.template.clone(), argument, true)];
        if let Some(key) = &instance.key {
            self.keys.entry(key.hash).or_default().created.push(contract_id.clone());
        }
        self.contracts.insert(contract_id.clone(), Some(Known { instance, state: State::Active, views }));
        self.log.push(Done::Created(contract_id.clone()));
        Ok(contract_id)
    }

    pub(crate) fn fetch(&mut self, node: transaction::Fetch) -> Result<(), EngineError> {
        self.next_seed()?;
        let child = self.attach(Node::Fetch(node))?;
        self.add_child(child);
        Ok(())
    }

    /// An exercise begins; a consumed contract is gone before its consequences.
    pub(crate) fn begin(&mut self, exercise: Exercise) -> Result<(), EngineError> {
        let seed = self.next_seed()?.ok_or(EngineError::Limit("an exercise needs a seed"))?;
        let authorizers = exercise.authorizers_inside();
        let consumed = exercise.consuming.then(|| exercise.contract_id.clone());
        let node = self.attach(Node::Exercise(exercise))?;
        if let Some(id) = consumed {
            let known = self.active(&id)?;
            known.state = State::Consumed;
            self.log.push(Done::Consumed(id));
        }
        self.scopes.push(Scope { exercise: Some(node), children: Vec::new() });
        self.contexts.push(Context { seed: Seed::Parent(seed), authorizers, next_child: 0 });
        Ok(())
    }

    /// The innermost exercise ends; without result if an exception ended it.
    pub(crate) fn end(&mut self, result: Option<Value>) {
        let Some(Scope { exercise: Some(node), children }) = self.scopes.pop() else { return };
        self.contexts.pop();
        let (exercise, under) = &mut self.nodes[node];
        *under = children;
        if let Node::Exercise(exercise) = exercise {
            exercise.result = result;
        }
        self.add_child(node);
    }

    pub(crate) fn begin_try(&mut self) -> Mark {
        let mark = Mark { scopes: self.scopes.len(), contexts: self.contexts.len(), log: self.log.len() };
        self.scopes.push(Scope::default());
        mark
    }

    /// The scope of a `try` ended well.
    pub(crate) fn end_try(&mut self) {
        if let Some(Scope { children, .. }) = self.scopes.pop() {
            self.scopes.last_mut().expect("the root scope is never removed").children.extend(children);
        }
    }

    /// The templates of contracts that were created or archived since then.
    pub(crate) fn changed_since(&self, mark: Mark) -> impl Iterator<Item = &Identifier> {
        self.log[mark.log..].iter().filter_map(|done| {
            let (Done::Created(id) | Done::Consumed(id)) = done;
            Some(&self.contracts.get(id)?.as_ref()?.instance.template)
        })
    }

    /// An exception left the scope of a `try`: what happened in it is undone and noted as such.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        self.close_scopes(mark.scopes + 1);
        debug_assert_eq!(self.contexts.len(), mark.contexts);
        let children = self.scopes.pop().map(|scope| scope.children).unwrap_or_default();
        if !children.is_empty() {
            self.nodes.push((Node::Rollback(Rollback { children: Vec::new() }), children));
            self.add_child(self.nodes.len() - 1);
        }
        for done in self.log.split_off(mark.log).into_iter().rev() {
            let (id, state) = match done {
                Done::Created(id) => (id, State::Undone),
                Done::Consumed(id) => (id, State::Active),
            };
            if let Some(Some(known)) = self.contracts.get_mut(&id) {
                known.state = state;
            }
        }
    }

    /// What there is of the transaction when it ends early: open exercises have no result.
    pub(crate) fn abandon(&mut self) -> Transaction {
        self.close_scopes(1);
        self.finish()
    }

    /// Ends scopes from the innermost one on until so many are left.
    fn close_scopes(&mut self, left: usize) {
        while self.scopes.len() > left {
            if self.scopes.last().is_some_and(|scope| scope.exercise.is_some()) {
                self.end(None);
            } else {
                self.end_try();
            }
        }
    }

    /// The finished transaction, in normal form.
    pub(crate) fn finish(&mut self) -> Transaction {
        let roots = self.scopes.drain(..).next().map(|scope| scope.children).unwrap_or_default();
        normalize(&std::mem::take(&mut self.nodes), &roots)
    }
}

/// Parties of a list.
pub(crate) fn parties(list: &V) -> Result<Parties, Stop> {
    let party = |item: &V| match item {
        V::Party(party) => Ok(party.clone()),
        _ => Err(Stop::error(EngineError::IllTyped("a list of parties holds something else".into()))),
    };
    list.items().map(party).collect()
}

/// A node's number is only known when the transaction is finished.
pub(crate) const UNNUMBERED: Vec<NodeId> = Vec::new();
