//! One event of the participant's stream, read: pure work that may run ahead of the decisions.

use crate::Lockables;
use base::{MediatorId, MemberKind, MessageId, ParticipantId, Timestamp};
use crypto::private::DecryptionKey;
use protocol::{
    decrypt_views,
    message::{ConfirmationResult, EnvelopeContent, RootHashMessage, Signed, ViewMessage},
    sequencing::{Outcome, Recipients, SequencedEvent},
};
use std::collections::BTreeSet;
use topology::{RegisterResponse, TopologyMessage};

/// See the module's head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incoming {
    /// Sequencing time.
    pub timestamp: Timestamp,
    /// If this participant sent it.
    pub message_id: Option<MessageId>,
    /// Code and text, if the sequencer delivered it to nobody.
    pub error: Option<(String, String)>,
    pub(crate) topology: Vec<Signed<TopologyMessage>>,
    pub(crate) results: Vec<Signed<ConfirmationResult>>,
    pub(crate) root_hashes: Vec<(RootHashMessage, Recipients)>,
    pub(crate) views: Vec<(ViewMessage, Recipients)>,
    pub(crate) registered: Vec<Signed<RegisterResponse>>,
    pub(crate) unreadable: Vec<String>,
}

impl Incoming {
    /// Reads every envelope, and decrypts what is for the holder of the keys. Signatures are verified by the decisions, which
    /// know the topology.
    #[must_use]
    pub fn read(event: &SequencedEvent, keys: &[DecryptionKey]) -> Self {
        let error = match &event.outcome {
            Outcome::Delivered(_) => None,
            Outcome::Error { code, message } => Some((code.clone(), message.clone())),
        };
        let mut incoming = Self {
            timestamp: event.timestamp,
            message_id: event.message_id.clone(),
            error,
            topology: Vec::new(),
            results: Vec::new(),
            root_hashes: Vec::new(),
            views: Vec::new(),
            registered: Vec::new(),
            unreadable: Vec::new(),
        };
        let mut encrypted = Vec::new();
        for envelope in event.envelopes() {
            let recipients = envelope.recipients.clone();
            match EnvelopeContent::decode(envelope.content.clone()) {
                Ok(EnvelopeContent::Topology(signed)) => incoming.topology.push(signed),
                Ok(EnvelopeContent::Result(signed)) => incoming.results.push(signed),
                Ok(EnvelopeContent::RootHash(message)) => incoming.root_hashes.push((message, recipients)),
                Ok(EnvelopeContent::View(message)) => encrypted.push((*message, recipients)),
                Ok(EnvelopeContent::RegisterResponse(signed)) => incoming.registered.push(signed),
                Ok(_) => incoming.unreadable.push("a message is not for participants".into()),
                Err(e) => incoming.unreadable.push(format!("an envelope cannot be read: {e}")),
            }
        }
        let (views, unreadable) = decrypt_views(encrypted, keys);
        incoming.views = views;
        incoming.unreadable.extend(unreadable);
        incoming
    }

    /// Every contract whose status may matter, and every key whose number of contracts may.
    #[must_use]
    pub fn lockables(&self) -> Lockables {
        let mut all = Lockables::default();
        for data in self.views.iter().map(|(message, _)| message.tree.view_data.value()) {
            let inputs = data.inputs.values().map(|input| &input.contract);
            inputs.chain(data.created.iter().map(|c| &c.contract)).for_each(|contract| all.add(contract));
            all.keys.extend(data.keys.keys());
        }
        all
    }

    /// The one mediator that is told of the request, however that is done.
    pub(crate) fn only_mediator(&self) -> Option<MediatorId> {
        let told = self.root_hashes.iter().flat_map(|(_, recipients)| recipients.all());
        let told: BTreeSet<_> = told.filter(|member| member.kind == MemberKind::Mediator).collect();
        let mut told = told.into_iter().map(|member| MediatorId(member.uid));
        told.next().filter(|_| told.next().is_none())
    }

    /// The mediator of the request, if its one root hash message is addressed to it and this participant in one group.
    pub(crate) fn mediator(&self, me: &ParticipantId) -> Result<MediatorId, String> {
        let [(_, recipients)] = self.root_hashes.as_slice() else {
            return Err(format!("the request has {} root hash messages, not one", self.root_hashes.len()));
        };
        let [tree] = recipients.trees.as_slice() else {
            return Err("the root hash message is addressed to this participant in several groups".into());
        };
        let mut others = tree.members.iter().filter(|member| **member != me.member());
        match (others.next(), others.next()) {
            (Some(member), None) if member.kind == MemberKind::Mediator && tree.children.is_empty() => {
                Ok(MediatorId(member.uid.clone()))
            }
            _ => Err("the root hash message is not addressed to this participant with one mediator".into()),
        }
    }
}
