//! Packages that others compiled, run through a ledger of three lines.

mod actions;
mod all;
mod conformance;
mod examples;
mod generated;
mod keys;
mod pure;
mod shared_keys;
mod terms;
mod upgrade;
mod values;
mod visible;

use crate::{
    Command, Engine, EngineError, Outcome, PackageRef, Question, Replay, RootAction, Run, Step, Submission, TypeRef,
};
use base::{ContractId, Hash, Identifier, Name, PackageId, PartyId, Timestamp};
use std::{collections::BTreeMap, fs, path::PathBuf};
use transaction::{ContractInstance, Node, NodeId, Parties, Transaction, Value};

/// The folder with DARs.
fn dars() -> Option<PathBuf> {
    testkit::test_data().map(|data| data.join("dars"))
}

/// An engine with a DAR, and the DAR's main package.
fn load(file: &str) -> Option<(Engine, PackageId)> {
    let dar = lf::read_dar(&fs::read(dars()?.join(file)).unwrap()).unwrap();
    let engine = Engine::new();
    for package in &dar.packages {
        engine.add_package(package.package.clone());
    }
    Some((engine, dar.main))
}

fn party(name: &str) -> PartyId {
    PartyId::new(name).unwrap()
}

fn parties(names: &[&str]) -> Parties {
    names.iter().map(|name| party(name)).collect()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A ledger in memory: active contracts, everybody sees everything.
struct Ledger {
    engine: Engine,
    main: PackageId,
    contracts: BTreeMap<ContractId, ContractInstance>,
    count: u8,
}

const NOW: Timestamp = Timestamp::EPOCH;

/// Runs to the end.
fn drive(mut run: Run, contracts: &BTreeMap<ContractId, ContractInstance>) -> Result<Outcome, EngineError> {
    loop {
        match run.step(1000) {
            Step::Done(outcome) => return Ok(*outcome),
            Step::Error(error) => return Err(error),
            Step::Interrupted => {}
            Step::Need(Question::Contract(id)) => run.answer_contract(contracts.get(&id).cloned()).unwrap(),
            Step::Need(Question::Key { key, limit }) => {
                let has = |instance: &ContractInstance| instance.key.as_ref().is_some_and(|of| of.hash == key.hash);
                let found = contracts.iter().filter(|(_, instance)| has(instance)).map(|(id, _)| id.clone());
                run.answer_key(found.take(limit).collect()).unwrap();
            }
            Step::Need(Question::Package(id)) => panic!("package {id} is missing"),
        }
    }
}

impl Ledger {
    fn new(file: &str) -> Option<Self> {
        let (engine, main) = load(file)?;
        Some(Self { engine, main, contracts: BTreeMap::new(), count: 0 })
    }

    /// A ledger with the tests' own model, of a version.
    fn of_model(versions: &[(&str, &str)]) -> Self {
        let engine = Engine::new();
        let packages = versions.iter().map(|(source, version)| pure::model(source, version));
        let ids: Vec<_> = packages
            .map(|package| {
                let id = package.id().clone();
                engine.add_package(std::sync::Arc::new(package));
                id
            })
            .collect();
        Self { engine, main: ids[0].clone(), contracts: BTreeMap::new(), count: 0 }
    }

    fn ty(&self, module: &str, entity: &str) -> TypeRef {
        let package = PackageRef::Id(self.main.clone());
        TypeRef { package, module: module.parse().unwrap(), entity: entity.parse().unwrap() }
    }

    fn create(&self, module: &str, entity: &str, argument: Value) -> Command {
        Command::Create { template: self.ty(module, entity), argument }
    }

    fn exercise(&self, module: &str, entity: &str, id: &ContractId, choice: &str, argument: Value) -> Command {
        let (template, contract_id) = (self.ty(module, entity), id.clone());
        Command::Exercise { template, contract_id, choice: name(choice), argument }
    }

    fn submission(&mut self, act_as: &[&str], commands: Vec<Command>) -> Submission {
        self.count += 1;
        Submission {
            act_as: parties(act_as),
            commands,
            preferences: BTreeMap::new(),
            ledger_time: NOW,
            preparation_time: NOW,
            submission_seed: Hash([self.count; 32]),
            participant: participant(),
        }
    }

    fn interpret(&mut self, act_as: &[&str], commands: Vec<Command>) -> Result<Outcome, EngineError> {
        let submission = self.submission(act_as, commands);
        drive(self.engine.submit(submission)?, &self.contracts)
    }

    /// Interprets, checks that all root nodes reinterpret to the same nodes, and commits.
    fn submit(&mut self, act_as: &[&str], commands: Vec<Command>) -> Result<Transaction, EngineError> {
        let outcome = self.interpret(act_as, commands)?;
        let transaction = outcome.transaction;
        transaction.authorize(&parties(act_as)).unwrap();
        self.check_replay(&parties(act_as), outcome.seed, &transaction);
        self.apply(&transaction);
        Ok(transaction)
    }

    /// The same with one command.
    fn commit(&mut self, act_as: &[&str], command: Command) -> Result<Transaction, EngineError> {
        self.submit(act_as, vec![command])
    }

    fn apply(&mut self, transaction: &Transaction) {
        let undone = transaction.rolled_back();
        for (id, node) in transaction.nodes() {
            match node {
                _ if undone[usize::try_from(id.0).unwrap()] => {}
                Node::Create(create) => {
                    drop(self.contracts.insert(create.contract_id.clone(), create.instance.clone()))
                }
                Node::Exercise(exercise) if exercise.consuming => drop(self.contracts.remove(&exercise.contract_id)),
                _ => {}
            }
        }
    }

    /// Reinterprets each action, at whatever depth, as those who see only its view do.
    fn check_replay(&self, authorizers: &Parties, seed: Hash, transaction: &Transaction) {
        let mut contracts = self.contracts.clone();
        self.replay(transaction, transaction.roots(), (authorizers, seed, &mut 0), &mut contracts);
    }

    /// Nodes under one parent: who authorizes, the parent's seed, how many actions came before. Contracts created
    /// before an action count as known.
    fn replay(
        &self,
        transaction: &Transaction,
        nodes: &[NodeId],
        (authorizers, seed, count): (&Parties, Hash, &mut u32),
        contracts: &mut BTreeMap<ContractId, ContractInstance>,
    ) {
        for id in nodes {
            let node = transaction.get(*id).unwrap();
            let Some(root) = root_action(node) else {
                // What a rollback undoes is there again after it.
                self.replay(transaction, node.children(), (authorizers, seed, &mut *count), &mut contracts.clone());
                continue;
            };
            let own = transaction::seed::node_seed(&seed, *count);
            *count += 1;
            if !matches!(node, Node::Exercise(exercise) if exercise.result.is_none()) {
                let (authorizers, seed) = (authorizers.clone(), node.has_seed().then_some(own));
                let replay = Replay { root, authorizers, seed, ledger_time: NOW, preparation_time: NOW };
                let again = drive(self.engine.reinterpret(replay).unwrap(), contracts).unwrap();
                assert_eq!(again.transaction, transaction.subtree(*id).unwrap());
            }
            match node {
                Node::Create(create) => drop(contracts.insert(create.contract_id.clone(), create.instance.clone())),
                Node::Exercise(exercise) => {
                    let inside = exercise.authorizers_inside();
                    if exercise.consuming {
                        contracts.remove(&exercise.contract_id);
                    }
                    self.replay(transaction, &exercise.children, (&inside, own, &mut 0), contracts);
                }
                _ => {}
            }
        }
    }
}

fn participant() -> base::ParticipantId {
    let namespace = base::Namespace(base::Fingerprint::of(&Hash([7; 32])));
    base::ParticipantId(base::Uid::new("p", namespace).unwrap())
}

/// What a view's root action says of a node.
fn root_action(node: &Node) -> Option<RootAction> {
    Some(match node.clone() {
        Node::Create(node) => RootAction::Create { template: node.instance.template, argument: node.instance.argument },
        Node::Exercise(node) => RootAction::Exercise {
            template: node.template,
            interface: node.interface,
            contract_id: node.contract_id,
            choice: node.choice,
            argument: node.argument,
            by_key: node.key.filter(|_| node.by_key).map(|key| key.value),
        },
        Node::Fetch(node) => RootAction::Fetch {
            template: node.template,
            interface: node.interface,
            contract_id: node.contract_id,
            by_key: node.key.filter(|_| node.by_key).map(|key| key.value),
        },
        Node::QueryByKey(_) | Node::Rollback(_) => return None,
    })
}

/// The ids of contracts created in a transaction, in order.
fn created(transaction: &Transaction) -> Vec<ContractId> {
    transaction.created_contracts().cloned().collect()
}

/// The node with a number.
fn node(transaction: &Transaction, number: u32) -> &Node {
    transaction.get(NodeId(number)).unwrap()
}
