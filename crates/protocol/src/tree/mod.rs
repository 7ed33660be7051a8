//! The tree of a transaction: metadata and views under one root hash, parts of which can be left out (blinded)
//! without changing it (spec/protocol.md §2.1–§2.3).
//!
//! `leaf.rs` salted leaves · `merkle.rs` inner nodes · `metadata.rs` and `view.rs` what the leaves say ·
//! `decompose.rs` which node belongs to which view · `key.rs` what views say of contract keys · `build.rs` from a transaction to a tree, and from what was
//! received to the same tree again · `informee.rs` and `light.rs` what is sent to whom.

mod build;
mod decompose;
mod encode;
mod informee;
mod key;
mod leaf;
mod light;
pub mod merkle;
mod metadata;
mod view;

pub use build::{BuildError, Built, Input, Rebuilt, build, rebuild};
pub use decompose::node_seeds;
pub use informee::InformeeTree;
pub use key::{KeyState, KeyStates};
pub use leaf::{Leaf, LeafContent, Salt};
pub use light::{LightViewTree, reassemble};
pub use metadata::{CommonMetadata, DeduplicationPeriod, ParticipantMetadata, RequestUuid, SubmitterMetadata};
pub use view::{
    Action, CreatedContract, InputContract, MAX_VIEW_DEPTH, MAX_VIEWS, Quorum, View, ViewCommonData,
    ViewParticipantData, ViewPosition,
};

use base::Hash;

/// A whole transaction. Only its submitter has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TransactionTree {
    /// Who submits.
    pub submitter: Leaf<SubmitterMetadata>,
    /// Where, by which mediator.
    pub common: Leaf<CommonMetadata>,
    /// When.
    pub participant: Leaf<ParticipantMetadata>,
    /// The top-level views, one for each root action, in order.
    pub views: Vec<View>,
}

impl TransactionTree {
    /// Names the transaction: its hex is the update id.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        let views: Vec<_> = self.views.iter().map(View::hash).collect();
        let leaves = [self.submitter.hash(), self.common.hash(), self.participant.hash()];
        merkle::inner(&[leaves[0], leaves[1], leaves[2], merkle::sequence(&views)])
    }

    /// All views, parents first.
    #[must_use]
    pub fn all_views(&self) -> Vec<(ViewPosition, &View)> {
        let top = ViewPosition::default();
        self.views.iter().enumerate().flat_map(|(n, view)| view.all(&top.child(n))).collect()
    }
}
