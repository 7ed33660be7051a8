//! A confirmation request: the exact envelopes with which a transaction is submitted (spec/protocol.md §2.6).

use crate::{
    message::{EnvelopeContent, InformeeMessage, RootHashMessage, ViewMessage, signed_root_hash},
    sequencing::{Envelope, Recipients},
    tree::{BuildError, Built, Input, TransactionTree, ViewPosition, build},
};
use base::{Hash, MediatorId, MemberId, ParticipantId, UpdateId};
use crypto::Signature;
use std::collections::{BTreeMap, BTreeSet};
use transaction::Transaction;

/// A request that waits for its submitter's signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfirmationRequest {
    built: Built,
    root_hash: Hash,
}

impl ConfirmationRequest {
    /// Cuts the transaction into views and builds the tree over them.
    pub fn build(input: Input<'_>) -> Result<Self, BuildError> {
        let built = build(input)?;
        Ok(Self { root_hash: built.tree.root_hash(), built })
    }

    /// Names the request's content.
    #[must_use]
    pub fn root_hash(&self) -> Hash {
        self.root_hash
    }

    /// The id under which the ledger will show the transaction.
    ///
    /// # Panics
    /// Never: a hash in hex is a ledger string.
    #[must_use]
    pub fn update_id(&self) -> UpdateId {
        UpdateId::new(self.root_hash.to_hex()).expect("64 hex digits are a ledger string")
    }

    /// What the submitting participant has to sign.
    #[must_use]
    pub fn to_sign(&self) -> Hash {
        signed_root_hash(&self.root_hash)
    }

    /// The tree.
    #[must_use]
    pub fn tree(&self) -> &TransactionTree {
        &self.built.tree
    }

    /// The transaction with suffixed contract ids.
    #[must_use]
    pub fn transaction(&self) -> &Transaction {
        &self.built.transaction
    }

    /// Everybody who gets a view.
    #[must_use]
    pub fn participants(&self) -> BTreeSet<ParticipantId> {
        self.built.participants.values().flatten().cloned().collect()
    }

    /// The envelopes: one for the mediator, one root hash message for all, one for each view. `signature` is the
    /// submitting participant's over [`ConfirmationRequest::to_sign`].
    #[must_use]
    pub fn envelopes(&self, signature: &Signature) -> Vec<Envelope> {
        let tree = &self.built.tree;
        let (common, submitter) = (tree.common.value(), &tree.submitter.value().participant);
        let informee = EnvelopeContent::Informee(Box::new(InformeeMessage {
            tree: tree.informee_tree(),
            submitter: submitter.clone(),
            signature: signature.clone(),
        }));
        let root_hash = EnvelopeContent::RootHash(RootHashMessage {
            root_hash: self.root_hash,
            synchronizer: common.synchronizer.clone(),
        });
        let mut envelopes = vec![
            Envelope { content: informee.encode(), recipients: Recipients::group([common.mediator.member()]) },
            Envelope {
                content: root_hash.encode(),
                recipients: root_hash_recipients(self.participants(), &common.mediator),
            },
        ];
        envelopes.extend(tree.light_trees().into_iter().map(|light| {
            let recipients = view_recipients(&light.position, &self.built.participants);
            let signature = light.position.is_top().then(|| signature.clone());
            let content = EnvelopeContent::View(Box::new(ViewMessage { tree: light, signature }));
            Envelope { content: content.encode(), recipients }
        }));
        envelopes
    }
}

/// One group for each participant: it and the mediator, which thereby know that the other knows.
fn root_hash_recipients(participants: impl IntoIterator<Item = ParticipantId>, mediator: &MediatorId) -> Recipients {
    Recipients::groups(participants.into_iter().map(|p| [p.member(), mediator.member()].into()))
}

/// The chain of the participants of all views around, the outermost first, down to the view's own.
fn view_recipients(
    position: &ViewPosition,
    participants: &BTreeMap<ViewPosition, BTreeSet<ParticipantId>>,
) -> Recipients {
    let levels: Vec<BTreeSet<MemberId>> = (1..=position.0.len())
        .filter_map(|depth| participants.get(&ViewPosition(position.0[..depth].to_vec())))
        .map(|set| set.iter().map(ParticipantId::member).collect())
        .collect();
    Recipients::chain(levels.into_iter())
}
