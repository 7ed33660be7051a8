//! What a sender hands in.

use super::{DecodeError, Recipients, Signable, VERSION, known_version};
use base::{Hash, MemberId, MessageId, Timestamp};
use bytes::Bytes;
use crypto::{HashBuilder, HashPurpose};
use prost::Message as _;
use std::collections::BTreeSet;
use wire::concordat::sequencer::v1 as proto;

/// Bytes for some members. The sequencer does not look inside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// An encoded message of another module of this room.
    pub content: Bytes,
    /// Who gets it.
    pub recipients: Recipients,
}

/// A batch of envelopes that all recipients get at one timestamp, or nobody at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Submission {
    /// Who sends; must be the authenticated member.
    pub sender: MemberId,
    /// Unique per sender until `max_sequencing_time`.
    pub message_id: MessageId,
    /// May be empty: then the receipt is a proof of time.
    pub batch: Vec<Envelope>,
    /// It will never be sequenced later than this.
    pub max_sequencing_time: Timestamp,
    /// Interpret keys and members at this time instead of the sequencing time.
    pub topology_timestamp: Option<Timestamp>,
    /// Epoch of the sender's active replica.
    pub epoch: i64,
}

/// Everything up to `timestamp` is processed by `member` and may be pruned for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acknowledgement {
    /// Who acknowledges.
    pub member: MemberId,
    /// Inclusive.
    pub timestamp: Timestamp,
}

impl Envelope {
    /// The message.
    #[must_use]
    pub fn to_wire(&self) -> proto::Envelope {
        proto::Envelope { content: self.content.clone(), recipients: Some(self.recipients.to_wire()) }
    }

    /// Checks that there are content and recipients.
    pub fn from_wire(message: proto::Envelope) -> Result<Self, DecodeError> {
        let recipients = message.recipients.as_ref().ok_or(DecodeError::Missing("the recipients of an envelope"))?;
        let recipients = Recipients::from_wire(recipients)?;
        if recipients.trees.is_empty() {
            return Err(DecodeError::Missing("the recipients of an envelope"));
        }
        if message.content.is_empty() {
            return Err(DecodeError::Missing("the content of an envelope"));
        }
        Ok(Self { content: message.content, recipients })
    }
}

impl Submission {
    /// Envelopes of one batch.
    pub const MAX_ENVELOPES: usize = 10_000;

    /// Every recipient of any envelope.
    #[must_use]
    pub fn recipients(&self) -> BTreeSet<MemberId> {
        self.batch.iter().flat_map(|envelope| envelope.recipients.all()).collect()
    }
}

impl Signable for Submission {
    fn encode(&self) -> Bytes {
        let message = proto::SubmissionRequest {
            version: VERSION,
            sender: self.sender.to_string(),
            message_id: self.message_id.to_string(),
            batch: self.batch.iter().map(Envelope::to_wire).collect(),
            max_sequencing_time: self.max_sequencing_time.micros(),
            topology_timestamp: self.topology_timestamp.map(Timestamp::micros),
            epoch: self.epoch,
        };
        message.encode_to_vec().into()
    }

    fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let message =
            proto::SubmissionRequest::decode(bytes).map_err(|_| DecodeError::Malformed("submission request"))?;
        known_version(message.version)?;
        if message.batch.len() > Self::MAX_ENVELOPES {
            return Err(DecodeError::TooLarge { what: "the number of envelopes", limit: Self::MAX_ENVELOPES });
        }
        Ok(Self {
            sender: message.sender.parse()?,
            message_id: message.message_id.parse()?,
            batch: message.batch.into_iter().map(Envelope::from_wire).collect::<Result<_, _>>()?,
            max_sequencing_time: Timestamp::from_micros(message.max_sequencing_time)?,
            topology_timestamp: message.topology_timestamp.map(Timestamp::from_micros).transpose()?,
            epoch: message.epoch,
        })
    }

    fn hash(bytes: &[u8]) -> Hash {
        HashBuilder::new(HashPurpose::SubmissionRequest).add_bytes(bytes).finish()
    }
}

impl Signable for Acknowledgement {
    fn encode(&self) -> Bytes {
        let message = proto::Acknowledgement { member: self.member.to_string(), timestamp: self.timestamp.micros() };
        message.encode_to_vec().into()
    }

    fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let message = proto::Acknowledgement::decode(bytes).map_err(|_| DecodeError::Malformed("acknowledgement"))?;
        Ok(Self { member: message.member.parse()?, timestamp: Timestamp::from_micros(message.timestamp)? })
    }

    fn hash(bytes: &[u8]) -> Hash {
        HashBuilder::new(HashPurpose::Acknowledgement).add_bytes(bytes).finish()
    }
}
