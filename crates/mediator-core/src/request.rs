//! The checks of a request as it arrives (spec/protocol.md §2.8).

use crate::aggregation::confirming_hosts;
use base::{ErrorCode, Hash, MediatorId, MemberId, MemberKind, ParticipantId, codes};
use protocol::{
    Rule,
    message::{InformeeMessage, RootHashMessage, signed_root_hash},
    sequencing::Recipients,
};
use std::collections::BTreeSet;
use topology::Snapshot;

/// The envelopes of one batch that make up a request, with the recipients that the mediator sees.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) informee: Vec<(InformeeMessage, Recipients)>,
    pub(crate) root_hashes: Vec<(RootHashMessage, Recipients)>,
    /// Envelopes that could not be read.
    pub(crate) unreadable: Vec<String>,
}

/// Why the mediator rejects a request by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Invalid {
    pub(crate) code: ErrorCode,
    pub(crate) why: String,
    /// Who says to have submitted it.
    pub(crate) who: Option<MemberId>,
}

impl Received {
    pub(crate) fn is_empty(&self) -> bool {
        self.informee.is_empty() && self.root_hashes.is_empty()
    }

    /// Who expects a verdict: everybody who was told of the request.
    pub(crate) fn participants(&self) -> BTreeSet<ParticipantId> {
        let members = self.root_hashes.iter().flat_map(|(_, recipients)| recipients.all());
        members.filter_map(|member| ParticipantId::try_from(member).ok()).collect()
    }

    /// The root hash by which participants know the request.
    pub(crate) fn root_hash(&self) -> Option<Hash> {
        let told = self.root_hashes.first().map(|(message, _)| message.root_hash);
        told.or_else(|| self.informee.first().map(|(message, _)| message.tree.root_hash()))
    }

    /// The informee message, if the request is what it must be. Duplicate uuids are not looked for here.
    pub(crate) fn check(&self, me: &MediatorId, snapshot: Snapshot<'_>) -> Result<&InformeeMessage, Invalid> {
        let malformed = |why: String| Invalid { code: codes::MEDIATOR_RECEIVED_MALFORMED_MESSAGE, why, who: None };
        if let Some(why) = self.unreadable.first() {
            return Err(malformed(why.clone()));
        }
        let [(message, recipients)] = self.informee.as_slice() else {
            return Err(malformed(format!("the request has {} informee messages, not one", self.informee.len())));
        };
        let submitter = message.submitter.member();
        let invalid =
            |why: String| Invalid { code: codes::MEDIATOR_INVALID_MESSAGE, why, who: Some(submitter.clone()) };
        let common = message.tree.common.value();
        let elsewhere = common.mediator != *me || Some(&common.synchronizer) != snapshot.synchronizer();
        if Rule::DeclaredMediator.broken(elsewhere) {
            return Err(invalid(format!("the request is for mediator {} of {}", common.mediator, common.synchronizer)));
        }
        if recipients.all() != [me.member()].into() {
            return Err(invalid("the informee message is not addressed to this mediator alone".into()));
        }
        let to_sign = signed_root_hash(&message.tree.root_hash());
        if let Err(e) = Rule::RequestSigner.check(snapshot.verify(&submitter, &to_sign, &message.signature)) {
            return Err(invalid(format!("the request's signature does not hold: {e}")));
        }
        let (needed, homeless) = snapshot.informee_participants(&message.tree.informees());
        if !homeless.is_empty() {
            return Err(invalid(format!("no active participant hosts {homeless:?}")));
        }
        self.check_root_hashes(me, message.tree.root_hash(), &needed).map_err(invalid)?;
        Rule::Quorums.check(check_quorums(message, snapshot)).map_err(invalid)?;
        Ok(message)
    }

    /// Each informee participant, and nobody else, is told of the request once, with this mediator listening.
    fn check_root_hashes(
        &self,
        me: &MediatorId,
        root_hash: Hash,
        needed: &BTreeSet<ParticipantId>,
    ) -> Result<(), String> {
        let mut told = BTreeSet::new();
        for (message, recipients) in &self.root_hashes {
            if Rule::ToldRootHash.broken(message.root_hash != root_hash) {
                return Err(format!("a root hash message has {}, the request {root_hash}", message.root_hash));
            }
            for tree in &recipients.trees {
                let participants = tree.members.iter().filter(|m| m.kind == MemberKind::Participant);
                let [participant] = participants.collect::<Vec<_>>()[..] else {
                    return Err(
                        "a root hash message is addressed to other than one participant with the mediator".into()
                    );
                };
                if tree.members.len() != 2 || !tree.members.contains(&me.member()) || !tree.children.is_empty() {
                    return Err(format!("the root hash message for {participant} has other recipients"));
                }
                let participant = ParticipantId(participant.uid.clone());
                if !told.insert(participant.clone()) {
                    return Err(format!("two root hash messages for participant {participant}"));
                }
            }
        }
        if !Rule::Told.broken(told != *needed) {
            return Ok(());
        }
        let missing: Vec<_> = needed.difference(&told).collect();
        let superfluous: Vec<_> = told.difference(needed).collect();
        Err(format!("root hash messages are missing for {missing:?} and superfluous for {superfluous:?}"))
    }
}

/// Each view must ask somebody, and every quorum must be within reach of parties whose hosts may confirm.
fn check_quorums(message: &InformeeMessage, snapshot: Snapshot<'_>) -> Result<(), String> {
    for (position, view) in &message.tree.views {
        let quorums = &view.value().quorums;
        if quorums.is_empty() {
            return Err(format!("view {position} asks nobody to confirm; its threshold is below the minimum"));
        }
        for quorum in quorums {
            let reachable = quorum.confirmers.iter().filter(|(party, _)| !confirming_hosts(snapshot, party).is_empty());
            if reachable.map(|(_, weight)| u64::from(*weight)).sum::<u64>() < u64::from(quorum.threshold) {
                let parties: Vec<_> = quorum.confirmers.keys().collect();
                return Err(format!("view {position} has not enough confirming parties among {parties:?}"));
            }
        }
    }
    Ok(())
}
