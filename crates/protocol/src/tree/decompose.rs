//! Which node of a transaction belongs to which view (spec/protocol.md §2.2).

use super::{
    build::BuildError,
    view::{MAX_VIEW_DEPTH, MAX_VIEWS, Quorum, ViewPosition},
};
use base::{Hash, ParticipantId, PartyId};
use std::collections::{BTreeMap, BTreeSet};
use topology::Snapshot;
use transaction::{Node, NodeId, Parties, Transaction, seed};

/// A view as a set of nodes.
#[derive(Debug)]
pub(super) struct Skeleton {
    pub(super) position: ViewPosition,
    /// Index of the view around.
    pub(super) parent: Option<usize>,
    pub(super) root: NodeId,
    /// The nodes that belong to no subview, the root first.
    pub(super) core: Vec<NodeId>,
    pub(super) informees: Parties,
    pub(super) quorums: Vec<Quorum>,
    /// Those that host the informees.
    pub(super) participants: BTreeSet<ParticipantId>,
    pub(super) subviews: usize,
}

/// All views, parents first, and for each node the view whose core it is in (rollbacks may be in none).
#[derive(Debug)]
pub(super) struct Decomposition {
    pub(super) views: Vec<Skeleton>,
    pub(super) view_of: Vec<Option<usize>>,
}

/// Where the root actions stand.
#[derive(Clone, Copy)]
pub(super) enum Roots<'a> {
    /// They are the top-level views of a request, in order.
    Whole,
    /// There is one, at this position.
    Part(&'a ViewPosition),
}

struct Decomposer<'a> {
    snapshot: Snapshot<'a>,
    hosts: BTreeMap<PartyId, BTreeSet<ParticipantId>>,
    homeless: Parties,
    done: Decomposition,
    top_level: usize,
}

/// Cuts a transaction into views. `submitter` is the admin party that must confirm top-level views.
pub(super) fn decompose(
    transaction: &Transaction,
    snapshot: Snapshot<'_>,
    roots: Roots<'_>,
    submitter: Option<&PartyId>,
) -> Result<Decomposition, BuildError> {
    let done = Decomposition { views: Vec::new(), view_of: vec![None; transaction.len()] };
    let mut decomposer = Decomposer { snapshot, hosts: BTreeMap::new(), homeless: Parties::new(), done, top_level: 0 };
    let parents = transaction.parents();
    for ((id, node), parent) in transaction.nodes().zip(parents) {
        let around = parent.and_then(|parent| decomposer.done.view_of[index(parent)]);
        decomposer.done.view_of[index(id)] =
            if node.is_action() { Some(decomposer.place(id, node, around, roots, submitter)?) } else { around };
    }
    if !decomposer.homeless.is_empty() {
        return Err(BuildError::UnknownInformees(decomposer.homeless));
    }
    Ok(decomposer.done)
}

impl Decomposer<'_> {
    /// The view whose core the node goes into: the one around, or a new one if others have to see the node.
    fn place(
        &mut self,
        id: NodeId,
        node: &Node,
        around: Option<usize>,
        roots: Roots<'_>,
        submitter: Option<&PartyId>,
    ) -> Result<usize, BuildError> {
        let informees = node.informees();
        let participants = self.participants(&informees);
        if let Some(view) = around
            && let skeleton = &mut self.done.views[view]
            && participants.is_subset(&skeleton.participants)
        {
            skeleton.core.push(id);
            skeleton.informees.extend(informees);
            skeleton.add_quorum(confirmers(node));
            return Ok(view);
        }
        let position = match (around, roots) {
            (Some(view), _) => {
                let above = &mut self.done.views[view];
                above.subviews += 1;
                above.position.child(above.subviews - 1)
            }
            (None, Roots::Whole) => ViewPosition::default().child(self.top_level),
            (None, Roots::Part(position)) if self.top_level == 0 => position.clone(),
            (None, Roots::Part(_)) => return Err(BuildError::NotOneRoot),
        };
        self.top_level += usize::from(around.is_none());
        if position.0.len() > MAX_VIEW_DEPTH || self.done.views.len() == MAX_VIEWS {
            return Err(BuildError::TooManyViews);
        }
        let mut view = Skeleton {
            position,
            parent: around,
            root: id,
            core: vec![id],
            informees,
            quorums: Vec::new(),
            participants,
            subviews: 0,
        };
        view.add_quorum(confirmers(node));
        if let Some(submitter) = submitter.filter(|_| view.position.is_top()) {
            view.informees.insert(submitter.clone());
            view.add_quorum([submitter.clone()].into());
            let own = self.participants(&[submitter.clone()].into());
            view.participants.extend(own);
        }
        self.done.views.push(view);
        Ok(self.done.views.len() - 1)
    }

    fn participants(&mut self, parties: &Parties) -> BTreeSet<ParticipantId> {
        let mut all = BTreeSet::new();
        for party in parties {
            let (snapshot, homeless) = (self.snapshot, &mut self.homeless);
            let hosts = self.hosts.entry(party.clone()).or_insert_with(|| {
                let hosts: BTreeSet<_> = snapshot.hosts(party).into_keys().collect();
                if hosts.is_empty() {
                    homeless.insert(party.clone());
                }
                hosts
            });
            all.extend(hosts.iter().cloned());
        }
        all
    }
}

impl Skeleton {
    /// Everybody in it must confirm; the same group is asked once.
    fn add_quorum(&mut self, confirmers: Parties) {
        let threshold = u32::try_from(confirmers.len()).expect("parties are bounded by the size of a message");
        let quorum = Quorum { confirmers: confirmers.into_iter().map(|party| (party, 1)).collect(), threshold };
        if threshold > 0 && !self.quorums.contains(&quorum) {
            self.quorums.push(quorum);
        }
    }
}

/// Who must confirm an action: signatories and actors, or a key's maintainers.
fn confirmers(node: &Node) -> Parties {
    match node {
        Node::Create(create) => create.instance.signatories.clone(),
        Node::Fetch(fetch) => &fetch.signatories | &fetch.actors,
        Node::Exercise(exercise) => &exercise.signatories | &exercise.actors,
        Node::QueryByKey(query) => query.key.maintainers.clone(),
        Node::Rollback(_) => Parties::new(),
    }
}

/// The seed of each action (`None` for rollbacks), given the seed of the `n`-th root action.
pub(super) fn seeds(transaction: &Transaction, root: impl Fn(u32) -> Hash) -> Vec<Option<Hash>> {
    let mut seeds: Vec<Option<Hash>> = vec![None; transaction.len()];
    // Per node, the action around it and how many actions it has had so far; rollbacks pass on what is around them.
    let mut scope: Vec<Option<usize>> = vec![None; transaction.len()];
    let (mut counts, mut roots) = (vec![0_u32; transaction.len()], 0_u32);
    for ((id, node), parent) in transaction.nodes().zip(transaction.parents()) {
        let around = parent.map(index).and_then(|p| if seeds[p].is_some() { Some(p) } else { scope[p] });
        scope[index(id)] = around;
        if node.is_action() {
            let count = around.map_or(&mut roots, |a| &mut counts[a]);
            seeds[index(id)] = Some(match around.and_then(|a| seeds[a]) {
                Some(above) => seed::node_seed(&above, *count),
                None => root(*count),
            });
            *count += 1;
        }
    }
    seeds
}

/// The seed of each action of a transaction (`None` for rollbacks), from the transaction's seed.
#[must_use]
pub fn node_seeds(transaction: &Transaction, transaction_seed: &Hash) -> Vec<Option<Hash>> {
    seeds(transaction, |n| seed::node_seed(transaction_seed, n))
}

pub(super) fn index(id: NodeId) -> usize {
    usize::try_from(id.0).expect("32-bit numbers fit a usize")
}
