//! The tree as the mediator gets it: the structure of views, their informees and quorums, nothing of their content.

use super::{
    TransactionTree,
    leaf::Leaf,
    merkle,
    metadata::CommonMetadata,
    view::{MAX_VIEW_DEPTH, MAX_VIEWS, ViewCommonData, ViewPosition, view_hash},
};
use base::Hash;
use std::collections::{BTreeMap, BTreeSet};
use topology::Malformed;
use wire::concordat::protocol::v1 as proto;

/// See the module's head. The root hash is computed from its content, so it cannot belong to another transaction.
#[derive(Clone, PartialEq, Debug)]
pub struct InformeeTree {
    /// Synchronizer, mediator, uuid.
    pub common: Leaf<CommonMetadata>,
    /// All views.
    pub views: BTreeMap<ViewPosition, Leaf<ViewCommonData>>,
    message: proto::InformeeTree,
    root_hash: Hash,
}

impl Eq for InformeeTree {}

impl InformeeTree {
    /// The same as that of the transaction tree it was made from.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        self.root_hash
    }

    /// Everybody who is informed of any view.
    #[must_use]
    pub fn informees(&self) -> transaction::Parties {
        self.views.values().flat_map(|view| view.value().informees.iter().cloned()).collect()
    }

    /// The message.
    #[must_use]
    pub fn to_wire(&self) -> proto::InformeeTree {
        self.message.clone()
    }

    /// Checks structure and bounds, and computes the root hash.
    pub fn from_wire(message: proto::InformeeTree) -> Result<Self, Malformed> {
        Malformed::check_length("views", message.views.len(), MAX_VIEWS)?;
        let common = Leaf::decode(message.common_metadata.clone())?;
        let submitter = hash("submitter_metadata_hash", &message.submitter_metadata_hash)?;
        let participant = hash("participant_metadata_hash", &message.participant_metadata_hash)?;
        let positions = positions(&message.views)?;
        let leaves: Vec<Leaf<ViewCommonData>> =
            message.views.iter().map(|view| Leaf::decode(view.common_data.clone())).collect::<Result<_, _>>()?;
        let mut all = BTreeSet::from([submitter, participant, common.hash()]);
        // From last to first, each view finds the hashes of its subviews on top of the stack.
        let mut stack: Vec<Hash> = Vec::new();
        for (view, leaf) in message.views.iter().zip(&leaves).rev() {
            let data = hash("participant_data_hash", &view.participant_data_hash)?;
            if !all.insert(leaf.hash()) || !all.insert(data) {
                return Err(Malformed::Bounds { field: "views", why: "two leaves have the same hash" });
            }
            let children = stack.split_off(stack.len() - to_usize(view.subviews));
            let children: Vec<_> = children.into_iter().rev().collect();
            stack.push(view_hash(leaf.hash(), data, merkle::sequence(&children)));
        }
        stack.reverse();
        let root_hash = merkle::inner(&[submitter, common.hash(), participant, merkle::sequence(&stack)]);
        Ok(Self { common, views: positions.into_iter().zip(leaves).collect(), message, root_hash })
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).expect("32-bit numbers fit a usize")
}

pub(super) fn hash(field: &'static str, bytes: &[u8]) -> Result<Hash, Malformed> {
    Hash::try_from(bytes).map_err(|_| Malformed::Bounds { field, why: "a hash has 32 bytes" })
}

/// The position of each view, from the numbers of subviews in pre-order.
fn positions(views: &[proto::InformeeView]) -> Result<Vec<ViewPosition>, Malformed> {
    let wrong = |why| Malformed::Bounds { field: "subviews", why };
    // Open views: position, next child, number of children left. The top level ends with the list.
    let mut open = vec![(ViewPosition::default(), 0_usize, usize::MAX)];
    let mut positions = Vec::with_capacity(views.len());
    for view in views {
        while open.last().is_some_and(|(_, _, left)| *left == 0) {
            open.pop();
        }
        let (above, next, left) = open.last_mut().ok_or(wrong("there are too many views"))?;
        let position = above.child(*next);
        (*next, *left) = (*next + 1, *left - 1);
        if position.0.len() > MAX_VIEW_DEPTH {
            return Err(wrong("views are nested too deeply"));
        }
        positions.push(position.clone());
        open.push((position, 0, to_usize(view.subviews)));
    }
    if open.iter().skip(1).any(|(_, _, left)| *left > 0) {
        return Err(wrong("views are missing"));
    }
    Ok(positions)
}

impl TransactionTree {
    /// What the mediator gets.
    #[must_use]
    pub fn informee_tree(&self) -> InformeeTree {
        let all = self.all_views();
        let view = |view: &super::View| proto::InformeeView {
            common_data: view.common.bytes().clone(),
            participant_data_hash: view.data.hash().as_bytes().to_vec().into(),
            subviews: u32::try_from(view.subviews.len()).expect("the number of views is bounded"),
        };
        let message = proto::InformeeTree {
            submitter_metadata_hash: self.submitter.hash().as_bytes().to_vec().into(),
            common_metadata: self.common.bytes().clone(),
            participant_metadata_hash: self.participant.hash().as_bytes().to_vec().into(),
            views: all.iter().map(|(_, v)| view(v)).collect(),
        };
        InformeeTree {
            common: self.common.clone(),
            views: all.into_iter().map(|(position, view)| (position, view.common.clone())).collect(),
            message,
            root_hash: self.root_hash(),
        }
    }
}
