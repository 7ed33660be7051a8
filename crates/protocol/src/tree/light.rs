//! One view as its informees' participants get it: the view without its subviews, and a proof of its place.

use super::{
    TransactionTree, View,
    informee::hash,
    leaf::Leaf,
    merkle,
    metadata::{CommonMetadata, ParticipantMetadata, SubmitterMetadata},
    view::{MAX_VIEW_DEPTH, MAX_VIEWS, ViewCommonData, ViewParticipantData, ViewPosition, view_hash},
};
use base::Hash;
use std::collections::BTreeMap;
use topology::Malformed;
use wire::concordat::protocol::v1 as proto;

/// See the module's head. Root hash and position follow from the content.
#[derive(Clone, PartialEq, Debug)]
pub struct LightViewTree {
    /// Where the view stands.
    pub position: ViewPosition,
    /// Only with a top-level view.
    pub submitter: Option<Leaf<SubmitterMetadata>>,
    /// Synchronizer, mediator, uuid.
    pub common: Leaf<CommonMetadata>,
    /// Times.
    pub participant: Leaf<ParticipantMetadata>,
    /// Of the view.
    pub view_common: Leaf<ViewCommonData>,
    /// Of the view.
    pub view_data: Leaf<ViewParticipantData>,
    /// Of the view's subviews, in order.
    pub subview_hashes: Vec<Hash>,
    root_hash: Hash,
    message: proto::LightViewTree,
}

impl Eq for LightViewTree {}

impl LightViewTree {
    /// That of the transaction tree it was made from.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        self.root_hash
    }

    /// Hash of the view, subviews included.
    #[must_use]
    pub fn view_hash(&self) -> Hash {
        let subviews = merkle::sequence(&self.subview_hashes);
        view_hash(self.view_common.hash(), self.view_data.hash(), subviews)
    }

    /// The message.
    #[must_use]
    pub fn to_wire(&self) -> proto::LightViewTree {
        self.message.clone()
    }

    /// Checks structure and bounds, and computes root hash and position.
    pub fn from_wire(message: proto::LightViewTree) -> Result<Self, Malformed> {
        use proto::light_view_tree::Submitter;
        Malformed::check_length("path", message.path.len(), MAX_VIEW_DEPTH)?;
        Malformed::check_length("subview_hashes", message.subview_hashes.len(), MAX_VIEWS)?;
        let position = ViewPosition(message.path.iter().map(|step| step.index).collect());
        let submitter = match message.submitter.clone().ok_or(Malformed::Missing("submitter"))? {
            Submitter::SubmitterMetadata(bytes) if position.is_top() => Ok(Leaf::decode(bytes)?),
            Submitter::SubmitterMetadataHash(bytes) if !position.is_top() => Err(hash("submitter", &bytes)?),
            _ => return Err(Malformed::Bounds { field: "submitter", why: "it goes with top-level views only" }),
        };
        let mut light = Self {
            submitter: submitter.as_ref().ok().cloned(),
            common: Leaf::decode(message.common_metadata.clone())?,
            participant: Leaf::decode(message.participant_metadata.clone())?,
            view_common: Leaf::decode(message.view_common_data.clone())?,
            view_data: Leaf::decode(message.view_participant_data.clone())?,
            subview_hashes: hashes("subview_hashes", &message.subview_hashes)?,
            position,
            root_hash: Hash([0; 32]),
            message,
        };
        let views = climb(light.view_hash(), &light.message.path)?;
        let submitter = submitter.map_or_else(|blinded| blinded, |leaf| leaf.hash());
        light.root_hash = merkle::inner(&[submitter, light.common.hash(), light.participant.hash(), views]);
        Ok(light)
    }
}

fn hashes(field: &'static str, list: &[bytes::Bytes]) -> Result<Vec<Hash>, Malformed> {
    list.iter().map(|bytes| hash(field, bytes)).collect()
}

/// From a view's hash along its path to the hash of the sequence of top-level views.
fn climb(view: Hash, path: &[proto::PathStep]) -> Result<Hash, Malformed> {
    let wrong = Malformed::Bounds { field: "path", why: "the proof does not fit the position" };
    let (mut current, mut sequence) = (view, None);
    for (depth, step) in path.iter().enumerate().rev() {
        let siblings = hashes("siblings", &step.siblings)?;
        let to_usize = |n: u32| usize::try_from(n).map_err(|_| wrong.clone());
        let found = merkle::from_proof(current, to_usize(step.index)?, to_usize(step.count)?, &siblings);
        let found = found.ok_or(wrong.clone())?;
        if depth > 0 {
            let (common, data) = (hash("parent", &step.parent_common_hash)?, hash("parent", &step.parent_data_hash)?);
            current = view_hash(common, data, found);
        }
        sequence = Some(found);
    }
    sequence.ok_or(wrong)
}

impl TransactionTree {
    /// What the participants of each view's informees get, parents first.
    #[must_use]
    pub fn light_trees(&self) -> Vec<LightViewTree> {
        self.all_views().into_iter().map(|(position, view)| self.light_tree(position, view)).collect()
    }

    fn light_tree(&self, position: ViewPosition, view: &View) -> LightViewTree {
        use proto::light_view_tree::Submitter;
        let submitter = position.is_top().then(|| self.submitter.clone());
        let message = proto::LightViewTree {
            submitter: Some(match &submitter {
                Some(leaf) => Submitter::SubmitterMetadata(leaf.bytes().clone()),
                None => Submitter::SubmitterMetadataHash(self.submitter.hash().as_bytes().to_vec().into()),
            }),
            common_metadata: self.common.bytes().clone(),
            participant_metadata: self.participant.bytes().clone(),
            path: self.path(&position),
            view_common_data: view.common.bytes().clone(),
            view_participant_data: view.data.bytes().clone(),
            subview_hashes: to_bytes(&view.subview_hashes()),
        };
        LightViewTree {
            position,
            submitter,
            common: self.common.clone(),
            participant: self.participant.clone(),
            view_common: view.common.clone(),
            view_data: view.data.clone(),
            subview_hashes: view.subview_hashes(),
            root_hash: self.root_hash(),
            message,
        }
    }

    fn path(&self, position: &ViewPosition) -> Vec<proto::PathStep> {
        let (mut siblings, mut parent, mut path) = (&self.views, None::<&View>, Vec::new());
        for index in &position.0 {
            let elements: Vec<_> = siblings.iter().map(View::hash).collect();
            let place = usize::try_from(*index).expect("32-bit numbers fit a usize");
            let of_parent = |pick: fn(&View) -> Hash| parent.map(|p| pick(p).as_bytes().to_vec()).unwrap_or_default();
            path.push(proto::PathStep {
                index: *index,
                count: u32::try_from(elements.len()).expect("the number of views is bounded"),
                siblings: to_bytes(&merkle::proof(&elements, place)),
                parent_common_hash: of_parent(|p| p.common.hash()).into(),
                parent_data_hash: of_parent(|p| p.data.hash()).into(),
            });
            parent = siblings.get(place);
            siblings = parent.map_or(siblings, |view| &view.subviews);
        }
        path
    }
}

fn to_bytes(hashes: &[Hash]) -> Vec<bytes::Bytes> {
    hashes.iter().map(|hash| hash.as_bytes().to_vec().into()).collect()
}

/// Puts a view together from its own light tree and those below it. `None` if one is missing or does not belong.
#[must_use]
pub fn reassemble(root: &ViewPosition, trees: &BTreeMap<ViewPosition, LightViewTree>) -> Option<View> {
    let mut done: BTreeMap<ViewPosition, View> = BTreeMap::new();
    // Descending positions: subviews come before the views around them.
    for (position, light) in
        trees.range(root.clone()..).take_while(|(p, _)| root.contains(p)).collect::<Vec<_>>().iter().rev()
    {
        let subviews: Option<Vec<View>> =
            (0..light.subview_hashes.len()).map(|n| done.remove(&position.child(n))).collect();
        let view = View { common: light.view_common.clone(), data: light.view_data.clone(), subviews: subviews? };
        if view.hash() != light.view_hash() {
            return None;
        }
        done.insert((*position).clone(), view);
    }
    // What is left over besides the root stands where its parent has no subview.
    done.remove(root).filter(|_| done.is_empty())
}
