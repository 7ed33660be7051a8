//! Nodes: what happened, one action each.

use crate::{ContractInstance, ContractKey, Parties, Value};
use base::{ContractId, Identifier, Name, PackageId, PackageName};

/// A node's place in its transaction: nodes are numbered in pre-order, parents before children, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

/// Which rules a node obeys; follows from the language version of its template (spec/daml-lf.md §3.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum NodeVersion {
    /// LF 1.14.
    V14 = 14,
    /// LF 1.15: interfaces.
    V15 = 15,
    /// LF 1.17: upgrades.
    V17 = 17,
    /// LF 2.1 and 2.2.
    V2_1 = 21,
    /// LF 2.3 with a contract key.
    V2_2 = 22,
}

impl NodeVersion {
    /// Whether a key has one contract at most, and whoever sees a contract may use it: so it was in LF 1.
    #[must_use]
    pub fn is_v1(self) -> bool {
        self < Self::V2_1
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::V14, Self::V15, Self::V17, Self::V2_1, Self::V2_2].into_iter().find(|version| *version as u8 == byte)
    }
}

/// One action, or a group of rolled-back ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// A contract came to be.
    Create(Create),
    /// A contract was read and had to be active.
    Fetch(Fetch),
    /// A choice was exercised.
    Exercise(Exercise),
    /// Contracts with a key were asked for. Language versions before 2.3: at most one result, and
    /// `exhaustive` holds.
    QueryByKey(QueryByKey),
    /// What happened in it was undone by a handled exception, but had to be possible.
    Rollback(Rollback),
}

/// A contract came to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Create {
    /// Its id: local while the transaction is built, suffixed afterwards.
    pub contract_id: ContractId,
    /// Its content.
    pub instance: ContractInstance,
    /// The node's rules.
    pub version: NodeVersion,
}

/// A contract was read and had to be active.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetch {
    /// The contract.
    pub contract_id: ContractId,
    /// The name of its package.
    pub package_name: PackageName,
    /// The template as which it was read.
    pub template: Identifier,
    /// The interface through which it was read.
    pub interface: Option<Identifier>,
    /// Authorizers of the fetch that are stakeholders. Not empty.
    pub actors: Parties,
    /// The contract's signatories.
    pub signatories: Parties,
    /// The contract's signatories and observers.
    pub stakeholders: Parties,
    /// The contract's key.
    pub key: Option<ContractKey>,
    /// Whether it was found by its key.
    pub by_key: bool,
    /// The node's rules.
    pub version: NodeVersion,
}

/// A choice was exercised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exercise {
    /// The contract.
    pub contract_id: ContractId,
    /// The name of its package.
    pub package_name: PackageName,
    /// The template whose choice, or whose implementation of the interface, was run.
    pub template: Identifier,
    /// The interface that declares the choice, if one does.
    pub interface: Option<Identifier>,
    /// The choice.
    pub choice: Name,
    /// Whether the contract was archived by it.
    pub consuming: bool,
    /// The choice's controllers. Not empty.
    pub actors: Parties,
    /// The choice argument, without type ids and labels.
    pub argument: Value,
    /// The contract's signatories.
    pub signatories: Parties,
    /// The contract's signatories and observers.
    pub stakeholders: Parties,
    /// Who sees the choice beyond the contract's stakeholders.
    pub choice_observers: Parties,
    /// Who authorizes the consequences; `None`: signatories and actors, the only possibility so far.
    pub choice_authorizers: Option<Parties>,
    /// The consequences, in order.
    pub children: Vec<NodeId>,
    /// What the choice returned; `None` only where an exception ended it.
    pub result: Option<Value>,
    /// The contract's key.
    pub key: Option<ContractKey>,
    /// Whether the contract was found by its key.
    pub by_key: bool,
    /// The node's rules.
    pub version: NodeVersion,
}

/// Contracts with a key were asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueryByKey {
    /// The template.
    pub template: Identifier,
    /// The name of its package.
    pub package_name: PackageName,
    /// The key.
    pub key: ContractKey,
    /// What was found.
    pub result: Vec<ContractId>,
    /// Whether nothing else was there to be found.
    pub exhaustive: bool,
    /// The node's rules.
    pub version: NodeVersion,
}

/// What happened in it was undone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rollback {
    /// What was undone. Neither empty nor beginning or ending with a rollback.
    pub children: Vec<NodeId>,
}

impl Node {
    /// The nodes directly below, in order.
    #[must_use]
    pub fn children(&self) -> &[NodeId] {
        match self {
            Self::Exercise(node) => &node.children,
            Self::Rollback(node) => &node.children,
            Self::Create(_) | Self::Fetch(_) | Self::QueryByKey(_) => &[],
        }
    }

    pub(crate) fn set_children(&mut self, children: Vec<NodeId>) {
        match self {
            Self::Exercise(node) => node.children = children,
            Self::Rollback(node) => node.children = children,
            Self::Create(_) | Self::Fetch(_) | Self::QueryByKey(_) => debug_assert!(children.is_empty()),
        }
    }

    /// Whether the node can have children.
    #[must_use]
    pub fn is_inner(&self) -> bool {
        matches!(self, Self::Exercise(_) | Self::Rollback(_))
    }

    /// Whether it counts for seeds: everything but a rollback.
    #[must_use]
    pub fn is_action(&self) -> bool {
        !matches!(self, Self::Rollback(_))
    }

    /// Whether the node has a seed of its own: creates and exercises.
    #[must_use]
    pub fn has_seed(&self) -> bool {
        matches!(self, Self::Create(_) | Self::Exercise(_))
    }

    /// The template; `None` for a rollback.
    #[must_use]
    pub fn template(&self) -> Option<&Identifier> {
        match self {
            Self::Create(node) => Some(&node.instance.template),
            Self::Fetch(node) => Some(&node.template),
            Self::Exercise(node) => Some(&node.template),
            Self::QueryByKey(node) => Some(&node.template),
            Self::Rollback(_) => None,
        }
    }

    /// The node's rules; none for a rollback.
    #[must_use]
    pub fn version(&self) -> Option<NodeVersion> {
        match self {
            Self::Create(node) => Some(node.version),
            Self::Fetch(node) => Some(node.version),
            Self::Exercise(node) => Some(node.version),
            Self::QueryByKey(node) => Some(node.version),
            Self::Rollback(_) => None,
        }
    }

    /// The packages named by the node.
    pub fn packages(&self) -> impl Iterator<Item = &PackageId> {
        let interface = match self {
            Self::Fetch(node) => node.interface.as_ref(),
            Self::Exercise(node) => node.interface.as_ref(),
            _ => None,
        };
        self.template().into_iter().chain(interface).map(|id| &id.package)
    }

    /// Who learns of the node by itself (spec/daml-lf.md §3.3, ledger model); nobody for a rollback.
    #[must_use]
    pub fn informees(&self) -> Parties {
        match self {
            Self::Create(node) => node.instance.stakeholders.clone(),
            Self::Fetch(node) => &node.signatories | &node.actors,
            Self::Exercise(node) => {
                let contract = if node.consuming { &node.stakeholders } else { &node.signatories };
                let choice = &node.actors | &node.choice_observers;
                let mut all = contract | &choice;
                all.extend(node.choice_authorizers.iter().flatten().cloned());
                all
            }
            Self::QueryByKey(node) => node.key.maintainers.clone(),
            Self::Rollback(_) => Parties::new(),
        }
    }

    /// Whose authority the node needs; nobody's for a rollback.
    #[must_use]
    pub fn required_authorizers(&self) -> Parties {
        match self {
            Self::Create(node) => node.instance.signatories.clone(),
            Self::Fetch(node) => node.actors.clone(),
            Self::Exercise(node) => match &node.choice_authorizers {
                Some(explicit) => &node.actors | explicit,
                None => node.actors.clone(),
            },
            Self::QueryByKey(node) => node.key.maintainers.clone(),
            Self::Rollback(_) => Parties::new(),
        }
    }

    /// The node with each contract id replaced, in values too.
    #[must_use]
    pub fn map_contract_ids(&self, f: &mut impl FnMut(&ContractId) -> ContractId) -> Self {
        let mut node = self.clone();
        match &mut node {
            Self::Create(create) => {
                create.contract_id = f(&create.contract_id);
                create.instance.argument = create.instance.argument.map_contract_ids(f);
            }
            Self::Fetch(fetch) => fetch.contract_id = f(&fetch.contract_id),
            Self::Exercise(exercise) => {
                exercise.contract_id = f(&exercise.contract_id);
                exercise.argument = exercise.argument.map_contract_ids(f);
                exercise.result = exercise.result.as_ref().map(|result| result.map_contract_ids(f));
            }
            Self::QueryByKey(query) => query.result.iter_mut().for_each(|id| *id = f(id)),
            Self::Rollback(_) => {}
        }
        node
    }
}
