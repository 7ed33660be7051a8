//! From a transaction to its tree, and from a received view's reinterpretation to the same view again
//! (spec/protocol.md §2.3, §2.4, §2.10).

use super::{
    KeyState, KeyStates, TransactionTree,
    decompose::{Decomposition, Roots, decompose, index, seeds},
    leaf::{Leaf, Salt},
    metadata::{CommonMetadata, ParticipantMetadata, SubmitterMetadata},
    view::{Action, CreatedContract, InputContract, View, ViewCommonData, ViewParticipantData, ViewPosition},
};
use crate::{Contract, Rule, contract_salt};
use base::{Coded, ContractId, ErrorCode, Hash, PackageId, ParticipantId, Timestamp, codes};
use std::{
    collections::{BTreeMap, BTreeSet},
    slice,
};
use topology::Snapshot;
use transaction::{Node, Parties, Transaction, seed};

/// A transaction cannot be made into a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Parties without a host.
    #[error("no active participant hosts {0:?}; host them on a participant of this synchronizer")]
    UnknownInformees(Parties),
    /// A contract's content is not at hand.
    #[error("contract {0} is used but its content is unknown here; disclose it with the command")]
    UnknownContract(ContractId),
    /// Beyond what a request can hold.
    #[error("the transaction has too many views or too deep ones; split the command")]
    TooManyViews,
    /// A participant that nothing can be encrypted for.
    #[error("participant {0} has no key for encryption; have it register one")]
    NoEncryptionKey(ParticipantId),
    /// The contracts of a key are not what they were a moment ago.
    #[error("the contracts of a key changed while the transaction was made; submit the command again")]
    InconsistentKeys,
    /// Nothing to do.
    #[error("the transaction is empty")]
    Empty,
    /// A received view has one root action.
    #[error("the view does not reinterpret to one root action")]
    NotOneRoot,
    /// Reinterpretation needs a view that was not received.
    #[error("the view reinterprets to other subviews than it has")]
    OtherViews,
    /// Informees' participants lack packages.
    #[error("participant {participant} has not vetted {packages:?}; upload and vet them there")]
    NotVetted {
        /// One of those that lack packages.
        participant: ParticipantId,
        /// What it lacks.
        packages: BTreeSet<PackageId>,
    },
}

impl Coded for BuildError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownInformees(_) | Self::NoEncryptionKey(_) => codes::UNKNOWN_INFORMEES,
            Self::UnknownContract(_) => codes::CONTRACT_NOT_FOUND,
            Self::InconsistentKeys => codes::INCONSISTENT_CONTRACT_KEY,
            Self::NotVetted { .. } => codes::PACKAGE_NOT_VETTED,
            Self::TooManyViews | Self::Empty | Self::NotOneRoot | Self::OtherViews => codes::INVALID_ARGUMENT,
        }
    }

    fn definite_answer(&self) -> bool {
        true
    }
}

/// What a tree is made of. The salts inside the three metadata are replaced.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// Who hosts whom.
    pub snapshot: Snapshot<'a>,
    /// As interpreted: contracts it creates have local ids.
    pub transaction: &'a Transaction,
    /// The seed with which it was interpreted.
    pub transaction_seed: Hash,
    /// Random and secret: all salts follow from it.
    pub salt_seed: Hash,
    /// The contracts that the transaction uses and does not create.
    pub contracts: &'a BTreeMap<ContractId, Contract>,
    /// Who submits.
    pub submitter: SubmitterMetadata,
    /// Where.
    pub common: CommonMetadata,
    /// When.
    pub participant: ParticipantMetadata,
}

/// A tree and what it was made into.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Built {
    /// The tree.
    pub tree: TransactionTree,
    /// The transaction with suffixed contract ids.
    pub transaction: Transaction,
    /// Who gets which view.
    pub participants: BTreeMap<ViewPosition, BTreeSet<ParticipantId>>,
}

/// What a received view reinterprets to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rebuilt {
    /// The view; the received one conforms to the model if it is equal.
    pub view: View,
    /// Its transaction with suffixed contract ids.
    pub transaction: Transaction,
}

/// Builds the tree of a transaction. Checks that all informees are hosted and all packages vetted where they are used.
pub fn build(input: Input<'_>) -> Result<Built, BuildError> {
    let Input { snapshot, transaction, transaction_seed, salt_seed, contracts, .. } = input;
    if transaction.is_empty() {
        return Err(BuildError::Empty);
    }
    let admin = input.submitter.participant.0.party();
    let decomposition = decompose(transaction, snapshot, Roots::Whole, Some(&admin))?;
    check_vetting(transaction, &decomposition, snapshot)?;
    let salt = |n: usize| Salt::derive(&salt_seed, u32::try_from(n).expect("the number of views is bounded"));
    let submitter = SubmitterMetadata { salt: salt(0), ..input.submitter };
    let common = CommonMetadata { salt: salt(1), ..input.common };
    let participant = ParticipantMetadata { salt: salt(2), ..input.participant };
    let filler = Filler {
        seeds: seeds(transaction, |n| seed::node_seed(&transaction_seed, n)),
        salts: (0..decomposition.views.len()).map(|n| (salt(3 + 2 * n), salt(4 + 2 * n))).collect(),
        common: &common,
        ledger_time: participant.ledger_time,
        rolled_back: false,
        decomposition: &decomposition,
        contracts,
    };
    let (views, transaction) = filler.fill(transaction)?;
    let participants = decomposition.views.into_iter().map(|view| (view.position, view.participants)).collect();
    let tree = TransactionTree {
        submitter: Leaf::new(submitter),
        common: Leaf::new(common),
        participant: Leaf::new(participant),
        views,
    };
    Ok(Built { tree, transaction, participants })
}

/// Builds a received view anew from what its root action reinterprets to. The result is equal to the received view
/// if and only if that was made by the same rules from the same transaction.
///
/// `submitter` is that of the request for top-level views, `None` for others.
pub fn rebuild(
    received: &View,
    position: &ViewPosition,
    submitter: Option<&SubmitterMetadata>,
    common: &CommonMetadata,
    ledger_time: Timestamp,
    snapshot: Snapshot<'_>,
    transaction: &Transaction,
) -> Result<Rebuilt, BuildError> {
    let admin = submitter.map(|submitter| submitter.participant.0.party());
    let decomposition = decompose(transaction, snapshot, Roots::Part(position), admin.as_ref())?;
    Rule::Vetting.check(check_vetting(transaction, &decomposition, snapshot))?;
    let all = received.all(position);
    let salts: BTreeMap<_, _> =
        all.iter().map(|(p, view)| (p, (view.common.value().salt, view.data.value().salt))).collect();
    let salts: Option<Vec<_>> = decomposition.views.iter().map(|view| salts.get(&view.position).copied()).collect();
    let data = received.data.value();
    let root_seed = match &data.action {
        Action::Create { seed } | Action::Exercise { seed, .. } => *seed,
        // A fetch has neither a seed nor children.
        Action::Fetch { .. } => data.salt.0,
    };
    let inputs = all.iter().flat_map(|(_, view)| &view.data.value().inputs);
    let filler = Filler {
        seeds: seeds(transaction, |_| root_seed),
        salts: salts.ok_or(BuildError::OtherViews)?,
        common,
        ledger_time,
        rolled_back: data.rolled_back,
        decomposition: &decomposition,
        contracts: &inputs.map(|(id, input)| (id.clone(), input.contract.clone())).collect(),
    };
    let (views, transaction) = filler.fill(transaction)?;
    let [view] = <[View; 1]>::try_from(views).map_err(|_| BuildError::NotOneRoot)?;
    Ok(Rebuilt { view, transaction })
}

/// Every participant of a view must have vetted the packages named in its core.
fn check_vetting(
    transaction: &Transaction,
    decomposition: &Decomposition,
    snapshot: Snapshot<'_>,
) -> Result<(), BuildError> {
    for view in &decomposition.views {
        let packages: BTreeSet<_> =
            view.core.iter().filter_map(|id| transaction.get(*id)).flat_map(Node::packages).collect();
        for participant in &view.participants {
            let missing = snapshot.unvetted(participant, packages.iter().copied());
            if !missing.is_empty() {
                return Err(BuildError::NotVetted { participant: participant.clone(), packages: missing });
            }
        }
    }
    Ok(())
}

/// The keys of a view.
fn keys(transaction: &Transaction, root: transaction::NodeId) -> Result<BTreeMap<Hash, KeyState>, BuildError> {
    let KeyStates { states, contradicted } = KeyStates::below(transaction, root);
    if contradicted.is_empty() { Ok(states) } else { Err(BuildError::InconsistentKeys) }
}

/// Turns a decomposition into views.
struct Filler<'a> {
    /// Of each action.
    seeds: Vec<Option<Hash>>,
    /// Of each view: of its common and its participant data.
    salts: Vec<(Salt, Salt)>,
    common: &'a CommonMetadata,
    ledger_time: Timestamp,
    /// Whether everything is undone by a rollback outside.
    rolled_back: bool,
    decomposition: &'a Decomposition,
    contracts: &'a BTreeMap<ContractId, Contract>,
}

/// The contracts that a transaction creates.
struct Created {
    /// By suffixed id, with the view that creates it.
    by_id: BTreeMap<ContractId, (Contract, usize)>,
    /// From local to suffixed ids.
    suffixed: BTreeMap<ContractId, ContractId>,
}

impl Filler<'_> {
    fn fill(&self, local: &Transaction) -> Result<(Vec<View>, Transaction), BuildError> {
        let created = self.suffix(local);
        let transaction = local.map_contract_ids(|id| created.suffixed.get(id).unwrap_or(id).clone());
        let rolled_back: Vec<_> = transaction.rolled_back().into_iter().map(|here| here || self.rolled_back).collect();
        let mut waiting: Vec<Vec<View>> = self.decomposition.views.iter().map(|_| Vec::new()).collect();
        let mut roots = Vec::new();
        // Subviews come after the views around them, so going backwards each view finds its subviews complete.
        for (n, skeleton) in self.decomposition.views.iter().enumerate().rev() {
            let mut subviews = std::mem::take(&mut waiting[n]);
            subviews.reverse();
            let (informees, quorums) = (skeleton.informees.clone(), skeleton.quorums.clone());
            let common = ViewCommonData { salt: self.salts[n].0, informees, quorums };
            let data = self.data(n, &transaction, &created, &rolled_back)?;
            let view = View { common: Leaf::new(common), data: Leaf::new(data), subviews };
            skeleton.parent.map_or(&mut roots, |parent| &mut waiting[parent]).push(view);
        }
        roots.reverse();
        Ok((roots, transaction))
    }

    /// Gives each created contract its final id. Instances refer to contracts created before them only.
    fn suffix(&self, local: &Transaction) -> Created {
        let mut created = Created { by_id: BTreeMap::new(), suffixed: BTreeMap::new() };
        let mut counts = vec![0_u32; self.decomposition.views.len()];
        for (id, node) in local.nodes() {
            let (Node::Create(create), Some(view)) = (node, self.decomposition.view_of[index(id)]) else { continue };
            let position = &self.decomposition.views[view].position;
            let salt = contract_salt(self.salts[view].1, self.common, position, counts[view]);
            counts[view] += 1;
            let mut instance = create.instance.clone();
            instance.argument =
                instance.argument.map_contract_ids(&mut |id| created.suffixed.get(id).unwrap_or(id).clone());
            let contract = Contract::created(&create.contract_id, instance, self.ledger_time, salt);
            created.suffixed.insert(create.contract_id.clone(), contract.id.clone());
            created.by_id.insert(contract.id.clone(), (contract, view));
        }
        created
    }

    fn data(
        &self,
        view: usize,
        transaction: &Transaction,
        created: &Created,
        rolled_back: &[bool],
    ) -> Result<ViewParticipantData, BuildError> {
        let skeleton = &self.decomposition.views[view];
        let mut data = ViewParticipantData {
            salt: self.salts[view].1,
            inputs: BTreeMap::new(),
            created: Vec::new(),
            archived_from_subviews: BTreeSet::new(),
            keys: keys(transaction, skeleton.root)?,
            action: self.action(skeleton.root, transaction)?,
            rolled_back: rolled_back[index(skeleton.root)],
        };
        for id in &skeleton.core {
            let undone = rolled_back[index(*id)];
            let (used, consumed): (&[ContractId], _) = match transaction.get(*id) {
                Some(Node::Create(create)) => {
                    if let Some((contract, _)) = created.by_id.get(&create.contract_id) {
                        let contract = contract.clone();
                        data.created.push(CreatedContract { contract, consumed: false, rolled_back: undone });
                    }
                    continue;
                }
                Some(Node::Fetch(fetch)) => (slice::from_ref(&fetch.contract_id), false),
                Some(Node::Exercise(exercise)) => {
                    (slice::from_ref(&exercise.contract_id), exercise.consuming && !undone)
                }
                Some(Node::QueryByKey(query)) => (&query.result, false),
                Some(Node::Rollback(_)) | None => continue,
            };
            used.iter().try_for_each(|used| self.add_use(&mut data, view, used, consumed, created))?;
        }
        Ok(data)
    }

    /// Notes that the core of a view uses a contract, according to where that was created.
    fn add_use(
        &self,
        data: &mut ViewParticipantData,
        view: usize,
        used: &ContractId,
        consumed: bool,
        created: &Created,
    ) -> Result<(), BuildError> {
        let views = &self.decomposition.views;
        match created.by_id.get(used) {
            Some((_, by)) if *by == view => {
                let slot = data.created.iter_mut().find(|c| c.contract.id == *used);
                slot.into_iter().for_each(|c| c.consumed |= consumed);
            }
            Some((_, by)) if views[view].position.contains(&views[*by].position) => {
                if consumed {
                    data.archived_from_subviews.insert(used.clone());
                }
            }
            elsewhere => {
                let contract = elsewhere.map(|(contract, _)| contract).or_else(|| self.contracts.get(used));
                let contract = contract.ok_or_else(|| BuildError::UnknownContract(used.clone()))?.clone();
                let new = InputContract { contract, consumed: false };
                data.inputs.entry(used.clone()).or_insert(new).consumed |= consumed;
            }
        }
        Ok(())
    }

    fn action(&self, root: transaction::NodeId, transaction: &Transaction) -> Result<Action, BuildError> {
        let seed = || self.seeds[index(root)].ok_or(BuildError::NotOneRoot);
        match transaction.get(root) {
            Some(Node::Create(_)) => Ok(Action::Create { seed: seed()? }),
            Some(Node::Exercise(node)) => Ok(Action::Exercise {
                seed: seed()?,
                contract: node.contract_id.clone(),
                template: node.template.clone(),
                interface: node.interface.clone(),
                choice: node.choice.clone(),
                argument: node.argument.clone(),
                actors: node.actors.clone(),
                by_key: node.by_key,
            }),
            Some(Node::Fetch(node)) => Ok(Action::Fetch {
                contract: node.contract_id.clone(),
                template: node.template.clone(),
                interface: node.interface.clone(),
                actors: node.actors.clone(),
                by_key: node.by_key,
            }),
            // It needs the authority of the maintainers, who therefore see the exercise around it: it is never the first of
            // a view.
            Some(Node::QueryByKey(_) | Node::Rollback(_)) | None => Err(BuildError::NotOneRoot),
        }
    }
}
