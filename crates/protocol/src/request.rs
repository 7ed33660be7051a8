//! A confirmation request: the exact envelopes with which a transaction is submitted (spec/protocol.md §2.6).

use crate::{
    encryption::encrypt_views,
    message::{EncryptedView, EnvelopeContent, InformeeMessage, RootHashMessage, signed_root_hash},
    sequencing::{Envelope, Recipients},
    tree::{BuildError, Built, Input, TransactionTree, ViewPosition, build},
};
use base::{Hash, MediatorId, MemberId, ParticipantId, UpdateId};
use crypto::{Secret, Signature};
use std::collections::{BTreeMap, BTreeSet};
use transaction::Transaction;

/// A request that waits for its submitter's signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfirmationRequest {
    built: Built,
    root_hash: Hash,
    views: Vec<(ViewPosition, EncryptedView)>,
}

impl ConfirmationRequest {
    /// Cuts the transaction into views, builds the tree over them, and encrypts them. `secret` must be random and used
    /// for nothing else.
    pub fn build(input: Input<'_>, secret: &Secret) -> Result<Self, BuildError> {
        let snapshot = input.snapshot;
        let built = build(input)?;
        let views = encrypt_views(&built.tree, &built.participants, snapshot, secret)?;
        Ok(Self { root_hash: built.tree.root_hash(), built, views })
    }

    /// The request with a tree or recipients that somebody changed, for tests of those who check it.
    #[cfg(any(test, feature = "testing"))]
    pub fn tampered(
        mut self,
        snapshot: topology::Snapshot<'_>,
        secret: &Secret,
        change: impl FnOnce(&mut Built),
    ) -> Result<Self, BuildError> {
        change(&mut self.built);
        self.root_hash = self.built.tree.root_hash();
        self.views = encrypt_views(&self.built.tree, &self.built.participants, snapshot, secret)?;
        Ok(self)
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
        envelopes.extend(self.views.iter().map(|(position, view)| {
            let recipients = view_recipients(position, &self.built.participants);
            let signature = position.is_top().then(|| signature.clone());
            let content = EnvelopeContent::View(Box::new(EncryptedView { signature, ..view.clone() }));
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
