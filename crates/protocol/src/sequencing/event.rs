//! What a member receives.

use super::{DecodeError, Envelope, Signable, VERSION, known_version};
use base::{Hash, MessageId, SynchronizerId, Timestamp};
use bytes::Bytes;
use crypto::{HashBuilder, HashPurpose};
use prost::Message as _;
use wire::concordat::sequencer::v1 as proto;

/// One event of one member's stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SequencedEvent {
    /// The synchronizer whose order this is part of.
    pub synchronizer: SynchronizerId,
    /// Sequencing time: the same for every recipient, unique on the synchronizer.
    pub timestamp: Timestamp,
    /// This member's event before; none for its first. A gap shows here.
    pub previous: Option<Timestamp>,
    /// Only for the sender.
    pub message_id: Option<MessageId>,
    /// As the sender asked.
    pub topology_timestamp: Option<Timestamp>,
    /// What happened.
    pub outcome: Outcome,
}

/// What became of the submission, as far as this member is concerned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The envelopes for this member; none if this is a mere receipt.
    Delivered(Vec<Envelope>),
    /// Sequenced but delivered to nobody; only the sender learns of it.
    Error {
        /// A code of the catalogue.
        code: String,
        /// For people.
        message: String,
    },
}

impl SequencedEvent {
    /// The envelopes, none if it was refused.
    #[must_use]
    pub fn envelopes(&self) -> &[Envelope] {
        match &self.outcome {
            Outcome::Delivered(envelopes) => envelopes,
            Outcome::Error { .. } => &[],
        }
    }
}

impl Signable for SequencedEvent {
    fn encode(&self) -> Bytes {
        let outcome = match &self.outcome {
            Outcome::Delivered(envelopes) => proto::sequenced_event::Outcome::Delivered(proto::Delivered {
                batch: envelopes.iter().map(Envelope::to_wire).collect(),
            }),
            Outcome::Error { code, message } => proto::sequenced_event::Outcome::Error(proto::DeliverError {
                code: code.clone(),
                message: message.clone(),
            }),
        };
        let message = proto::SequencedEvent {
            version: VERSION,
            synchronizer_id: self.synchronizer.to_string(),
            timestamp: self.timestamp.micros(),
            previous_timestamp: self.previous.map(Timestamp::micros),
            message_id: self.message_id.as_ref().map(ToString::to_string),
            topology_timestamp: self.topology_timestamp.map(Timestamp::micros),
            outcome: Some(outcome),
        };
        message.encode_to_vec().into()
    }

    fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let message = proto::SequencedEvent::decode(bytes).map_err(|_| DecodeError::Malformed("sequenced event"))?;
        known_version(message.version)?;
        let outcome = match message.outcome.ok_or(DecodeError::Missing("the outcome of an event"))? {
            proto::sequenced_event::Outcome::Delivered(delivered) => {
                Outcome::Delivered(delivered.batch.into_iter().map(Envelope::from_wire).collect::<Result<_, _>>()?)
            }
            proto::sequenced_event::Outcome::Error(error) => {
                Outcome::Error { code: error.code, message: error.message }
            }
        };
        Ok(Self {
            synchronizer: message.synchronizer_id.parse()?,
            timestamp: Timestamp::from_micros(message.timestamp)?,
            previous: message.previous_timestamp.map(Timestamp::from_micros).transpose()?,
            message_id: message.message_id.map(|id| id.parse()).transpose()?,
            topology_timestamp: message.topology_timestamp.map(Timestamp::from_micros).transpose()?,
            outcome,
        })
    }

    fn hash(bytes: &[u8]) -> Hash {
        HashBuilder::new(HashPurpose::SequencedEvent).add_bytes(bytes).finish()
    }
}
