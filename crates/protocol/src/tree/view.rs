//! Views: parts of a transaction for one group of informees (spec/protocol.md §2.1, §2.2).

use super::{
    key::KeyState,
    leaf::{Leaf, LeafContent, Salt},
    merkle,
};
use crate::Contract;
use base::{ContractId, Hash, Identifier, Name, PartyId};
use crypto::HashPurpose;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use transaction::{
    DecodeError, Parties, Value,
    codec::{Reader, Writer},
};

/// Where a view stands: the index among its siblings at each level, the top level first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ViewPosition(pub Vec<u32>);

/// Views inside views; a transaction that would need more is refused.
pub const MAX_VIEW_DEPTH: usize = 32;
/// Views of one request.
pub const MAX_VIEWS: usize = 10_000;

/// Parties that together must confirm: the weights of those who approve must reach the threshold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Quorum {
    /// Each confirming party with its weight.
    pub confirmers: BTreeMap<PartyId, u32>,
    /// At least 1.
    pub threshold: u32,
}

/// What the mediator sees of a view, too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewCommonData {
    /// See [`Salt`].
    pub salt: Salt,
    /// Who is informed. Contains every confirmer.
    pub informees: Parties,
    /// All must be reached; no two are equal.
    pub quorums: Vec<Quorum>,
}

/// A contract that a view uses and does not create.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InputContract {
    /// The contract.
    pub contract: Contract,
    /// Whether the core of the view archives it, and is not undone.
    pub consumed: bool,
}

/// A contract that the core of a view creates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreatedContract {
    /// The contract.
    pub contract: Contract,
    /// Whether the core of the view also archives it.
    pub consumed: bool,
    /// Whether its creation is undone.
    pub rolled_back: bool,
}

/// What to interpret in order to get the view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Create the first of the view's created contracts.
    Create {
        /// Of the node.
        seed: Hash,
    },
    /// Exercise a choice.
    Exercise {
        /// Of the node.
        seed: Hash,
        /// On this contract, one of the view's inputs.
        contract: ContractId,
        /// The template whose choice or implementation runs.
        template: Identifier,
        /// The interface that declares the choice.
        interface: Option<Identifier>,
        /// The choice.
        choice: Name,
        /// Its argument.
        argument: Value,
        /// Who acts.
        actors: Parties,
        /// Whether the contract was found by its key.
        by_key: bool,
    },
    /// Read a contract.
    Fetch {
        /// One of the view's inputs.
        contract: ContractId,
        /// As this template.
        template: Identifier,
        /// Through this interface.
        interface: Option<Identifier>,
        /// Who acts.
        actors: Parties,
        /// Whether the contract was found by its key.
        by_key: bool,
    },
}

/// What the participants of a view's informees see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewParticipantData {
    /// See [`Salt`]; also the secret from which the salts of created contracts follow.
    pub salt: Salt,
    /// Contracts used in the core and created outside the view.
    pub inputs: BTreeMap<ContractId, InputContract>,
    /// Contracts created in the core, in order.
    pub created: Vec<CreatedContract>,
    /// Contracts created in subviews and archived in the core.
    pub archived_from_subviews: BTreeSet<ContractId>,
    /// The keys, by hash, that the view with everything in it asks for.
    pub keys: BTreeMap<Hash, KeyState>,
    /// The root action.
    pub action: Action,
    /// Whether the whole view is undone by a rollback around it.
    pub rolled_back: bool,
}

/// A view with everything in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// For mediator and participants.
    pub common: Leaf<ViewCommonData>,
    /// For participants.
    pub data: Leaf<ViewParticipantData>,
    /// Parts with other informees, in order.
    pub subviews: Vec<View>,
}

impl View {
    /// What stands for the whole view where it is blinded.
    #[must_use]
    pub fn hash(&self) -> Hash {
        view_hash(self.common.hash(), self.data.hash(), merkle::sequence(&self.subview_hashes()))
    }

    /// The hashes of its subviews, in order.
    #[must_use]
    pub fn subview_hashes(&self) -> Vec<Hash> {
        self.subviews.iter().map(Self::hash).collect()
    }

    /// This view and all below it, parents first, with their positions if this one stands at `position`.
    #[must_use]
    pub fn all(&self, position: &ViewPosition) -> Vec<(ViewPosition, &Self)> {
        let mut found = Vec::new();
        let mut open = vec![(position.clone(), self)];
        while let Some((position, view)) = open.pop() {
            open.extend(view.subviews.iter().enumerate().rev().map(|(n, sub)| (position.child(n), sub)));
            found.push((position, view));
        }
        found
    }
}

pub(super) fn view_hash(common: Hash, data: Hash, subviews: Hash) -> Hash {
    merkle::inner(&[common, data, subviews])
}

impl ViewPosition {
    /// The `index`-th view below this one, or at the top if this is the empty position.
    #[must_use]
    pub fn child(&self, index: usize) -> Self {
        let index = u32::try_from(index).expect("the number of views is bounded");
        Self([self.0.as_slice(), &[index]].concat())
    }

    /// The view around; `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        match self.0.as_slice() {
            [above @ .., _] if !above.is_empty() => Some(Self(above.to_vec())),
            _ => None,
        }
    }

    /// Whether it is a root view of the request.
    #[must_use]
    pub fn is_top(&self) -> bool {
        self.0.len() == 1
    }

    /// Whether `other` lies inside, or is the same.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for ViewPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&text.join("."))
    }
}

impl fmt::Debug for ViewPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "view {self}")
    }
}

impl ViewCommonData {
    /// Every confirming party of any quorum.
    #[must_use]
    pub fn confirmers(&self) -> Parties {
        self.quorums.iter().flat_map(|quorum| quorum.confirmers.keys()).cloned().collect()
    }
}

impl ViewParticipantData {
    /// All contracts in it whose archival takes effect with the view.
    #[must_use]
    pub fn archived(&self) -> BTreeSet<ContractId> {
        if self.rolled_back {
            return BTreeSet::new();
        }
        let inputs = self.inputs.iter().filter(|(_, input)| input.consumed).map(|(id, _)| id);
        let created = self.created.iter().filter(|c| c.consumed).map(|c| &c.contract.id);
        inputs.chain(created).chain(&self.archived_from_subviews).cloned().collect()
    }

    /// All contracts whose creation takes effect with the view, also those archived again.
    pub fn effective_creates(&self) -> impl Iterator<Item = &Contract> {
        let in_force = !self.rolled_back;
        self.created.iter().filter(move |c| in_force && !c.rolled_back).map(|c| &c.contract)
    }
}

impl LeafContent for ViewCommonData {
    const PURPOSE: HashPurpose = HashPurpose::ViewCommonData;
    const NAME: &'static str = "view common data";

    fn write(&self, w: &mut Writer) {
        super::encode::common(self, w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        super::encode::read_common(r)
    }
}

impl LeafContent for ViewParticipantData {
    const PURPOSE: HashPurpose = HashPurpose::ViewParticipantData;
    const NAME: &'static str = "view participant data";

    fn write(&self, w: &mut Writer) {
        super::encode::data(self, w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        super::encode::read_data(r)
    }
}
