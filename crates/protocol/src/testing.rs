//! Transactions and requests on a [`Network`], for tests of this room and those above.

use crate::{
    ConfirmationRequest, Contract,
    tree::{CommonMetadata, DeduplicationPeriod, Input, ParticipantMetadata, RequestUuid, Salt, SubmitterMetadata},
};
use base::{ContractId, Hash, PackageId, PartyId, Timestamp};
use crypto::Secret;
use std::{collections::BTreeMap, time::Duration};
use topology::{Permission, testing::Network};
use transaction::{
    ContractInstance, ContractKey, Create, Exercise, Fetch, Node, NodeId, NodeVersion, Parties, QueryByKey,
    Transaction, TransactionBuilder, Value,
};

/// The package of all test templates.
pub const PACKAGE: &str = "testpackage";

/// A local contract id.
///
/// # Panics
/// Never.
#[must_use]
pub fn local_id(n: u8) -> ContractId {
    ContractId::v1(&Hash([n; 32]), &[]).expect("no suffix is short enough")
}

/// An instance of the one test template.
///
/// # Panics
/// Never.
#[must_use]
pub fn instance(signatories: &[&PartyId], observers: &[&PartyId], argument: i64) -> ContractInstance {
    let signatories: Parties = signatories.iter().copied().cloned().collect();
    ContractInstance {
        template: format!("{PACKAGE}:Main:Asset").parse().expect("an identifier"),
        package_name: "test".parse().expect("a package name"),
        argument: Value::record([Value::Int64(argument)]),
        stakeholders: signatories.iter().chain(observers.iter().copied()).cloned().collect(),
        signatories,
        key: None,
    }
}

/// An instance with a key, which is unique as in LF 1.
#[must_use]
pub fn keyed(instance: ContractInstance, maintainer: &PartyId, key: &str) -> ContractInstance {
    let value = Value::text(key);
    let hash = transaction::hash_contract_key(&instance.template, &value);
    let key = Some(ContractKey { value, maintainers: [maintainer.clone()].into(), hash });
    ContractInstance { key, ..instance }
}

/// Only keys make a difference between the language versions here.
fn version(instance: &ContractInstance) -> NodeVersion {
    if instance.key.is_some() { NodeVersion::V15 } else { NodeVersion::V2_1 }
}

/// A node that looks for the contract of a key.
#[must_use]
pub fn lookup(like: &ContractInstance, found: Option<&ContractId>) -> Node {
    Node::QueryByKey(QueryByKey {
        template: like.template.clone(),
        package_name: like.package_name.clone(),
        key: like.key.clone().expect("an instance with a key"),
        result: found.into_iter().cloned().collect(),
        exhaustive: true,
        version: NodeVersion::V15,
    })
}

/// The same node, if its contract was found by its key.
#[must_use]
pub fn by_key(node: Node) -> Node {
    match node {
        Node::Exercise(node) => Node::Exercise(Exercise { by_key: true, ..node }),
        Node::Fetch(node) => Node::Fetch(Fetch { by_key: true, ..node }),
        other => other,
    }
}

/// A contract of an earlier transaction.
#[must_use]
pub fn existing(n: u8, instance: ContractInstance, created_at: Timestamp) -> Contract {
    Contract::created(&local_id(n), instance, created_at, Salt(Hash([n; 32])))
}

/// A node that creates a contract.
#[must_use]
pub fn create(id: ContractId, instance: ContractInstance) -> Node {
    let version = version(&instance);
    Node::Create(Create { contract_id: id, instance, version })
}

/// A node that exercises the one test choice; children follow.
///
/// # Panics
/// Never.
#[must_use]
pub fn exercise(id: &ContractId, instance: &ContractInstance, actor: &PartyId, consuming: bool) -> Node {
    Node::Exercise(Exercise {
        contract_id: id.clone(),
        package_name: instance.package_name.clone(),
        template: instance.template.clone(),
        interface: None,
        choice: "Use".parse().expect("a name"),
        consuming,
        actors: [actor.clone()].into(),
        argument: Value::Unit,
        signatories: instance.signatories.clone(),
        stakeholders: instance.stakeholders.clone(),
        choice_observers: Parties::new(),
        choice_authorizers: None,
        children: Vec::new(),
        result: Some(Value::Unit),
        key: instance.key.clone(),
        by_key: false,
        version: version(instance),
    })
}

/// A node that reads a contract.
#[must_use]
pub fn fetch(id: &ContractId, instance: &ContractInstance, actor: &PartyId) -> Node {
    Node::Fetch(Fetch {
        contract_id: id.clone(),
        package_name: instance.package_name.clone(),
        template: instance.template.clone(),
        interface: None,
        actors: [actor.clone()].into(),
        signatories: instance.signatories.clone(),
        stakeholders: instance.stakeholders.clone(),
        key: instance.key.clone(),
        by_key: false,
        version: version(instance),
    })
}

/// What the views of a request are encrypted with.
#[must_use]
pub fn secret(n: u8) -> Secret {
    Secret::new([n; 32])
}

/// Everything needed to make requests.
pub struct Scenario {
    /// Participants 0 to 2.
    pub network: Network,
    /// Hosted on participant 0.
    pub alice: PartyId,
    /// Hosted on participant 1.
    pub bob: PartyId,
    /// Hosted on participant 2.
    pub carol: PartyId,
    /// Of earlier transactions.
    pub contracts: BTreeMap<ContractId, Contract>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self::new()
    }
}

impl Scenario {
    /// Three parties on three participants that vet the test package.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn new() -> Self {
        let mut network = Network::new(3);
        let mut parties = ["alice", "bob", "carol"]
            .into_iter()
            .enumerate()
            .map(|(n, name)| network.host(name, n, Permission::Submission))
            .collect::<Vec<_>>()
            .into_iter();
        (0..3).for_each(|n| network.vet(n, [PackageId::new(PACKAGE).expect("a package id")]));
        let mut next = || parties.next().expect("three parties");
        Self { alice: next(), bob: next(), carol: next(), contracts: BTreeMap::new(), network }
    }

    /// Adds a contract of an earlier transaction.
    pub fn contract(&mut self, n: u8, signatories: &[&PartyId], observers: &[&PartyId]) -> Contract {
        self.existing(n, instance(signatories, observers, n.into()))
    }

    /// The same with this content.
    pub fn existing(&mut self, n: u8, instance: ContractInstance) -> Contract {
        let contract = existing(n, instance, Network::START);
        self.contracts.insert(contract.id.clone(), contract.clone());
        contract
    }

    /// Alice uses a contract of hers that Bob observes: it makes a new one, and uses one of Carol's, which makes one
    /// for Carol. Then she uses the new one. Two top-level views, the first with one subview.
    ///
    /// # Panics
    /// Never.
    pub fn nested(&mut self) -> Transaction {
        let (alice, bob, carol) = (self.alice.clone(), self.bob.clone(), self.carol.clone());
        let mine = self.contract(101, &[&alice], &[&bob]);
        let hers = self.contract(102, &[&carol], &[&alice]);
        let new = instance(&[&alice], &[&bob], 1);
        let mut builder = TransactionBuilder::default();
        builder.open(exercise(&mine.id, &mine.instance, &alice, true));
        builder.leaf(create(local_id(1), new.clone()));
        builder.open(exercise(&hers.id, &hers.instance, &alice, true));
        builder.leaf(create(local_id(2), instance(&[&carol], &[&alice], 2)));
        builder.close();
        builder.close();
        builder.open(exercise(&local_id(1), &new, &alice, true));
        builder.leaf(create(local_id(3), instance(&[&alice], &[], 3)));
        builder.finish()
    }

    /// A request of participant 0 on behalf of Alice; `n` tells requests apart.
    ///
    /// # Panics
    /// If the transaction cannot be made into a request.
    #[must_use]
    pub fn request(&self, transaction: &Transaction, n: u8) -> ConfirmationRequest {
        ConfirmationRequest::build(self.input(transaction, n), &secret(n)).expect("test transactions can be requested")
    }

    /// What [`Scenario::request`] is made of.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn input<'a>(&'a self, transaction: &'a Transaction, n: u8) -> Input<'a> {
        let now = self.network.now();
        let unset = Salt(Hash([0; 32]));
        Input {
            snapshot: self.network.state.snapshot(now),
            transaction,
            transaction_seed: Hash([n; 32]),
            salt_seed: Hash([n ^ 0xff; 32]),
            contracts: &self.contracts,
            submitter: SubmitterMetadata {
                salt: unset,
                act_as: [self.alice.clone()].into(),
                user: "user".parse().expect("a user id"),
                command: format!("command-{n}").parse().expect("a command id"),
                submission: None,
                participant: self.network.participants[0].clone(),
                deduplication: DeduplicationPeriod::Duration(Duration::from_secs(60)),
                max_sequencing_time: now.saturating_add(Duration::from_secs(60)),
            },
            common: CommonMetadata {
                salt: unset,
                synchronizer: self.network.synchronizer.clone(),
                mediator: self.network.mediator.clone(),
                uuid: RequestUuid([n; 16]),
            },
            participant: ParticipantMetadata { salt: unset, ledger_time: now, preparation_time: now, workflow: None },
        }
    }
}

/// What interpreting the action at `root` of a suffixed transaction gives: contracts created below it have their
/// local ids again, all others stay suffixed.
///
/// # Panics
/// If there is no such node.
#[must_use]
pub fn reinterpret(suffixed: &Transaction, root: NodeId) -> Transaction {
    let part = suffixed.subtree(root).expect("the node exists");
    let created: BTreeMap<_, _> = part
        .created_contracts()
        .map(|id| (id.clone(), ContractId::new(id.prefix()).expect("a prefix is a local id")))
        .collect();
    part.map_contract_ids(|id| created.get(id).unwrap_or(id).clone())
}
