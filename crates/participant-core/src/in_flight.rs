//! Submissions between registration and completion (spec/protocol.md §2.7). Whatever was registered is completed
//! exactly once, also after a crash: by its request's end, by a refusal, or by time.

use base::{Coded, ErrorCode, Hash, MessageId, SubmissionId, Timestamp, codes};
use protocol::tree::{RequestUuid, SubmitterMetadata};
use std::collections::BTreeMap;

/// A registered submission; a row in the store as long as it lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InFlight {
    /// Names the submission to the sequencer.
    pub message: MessageId,
    /// User, command id, acting parties: see `transaction::hash_change_id`.
    pub change: Hash,
    /// Of the request.
    pub root_hash: Hash,
    /// Who submitted what, for its completion.
    pub submitter: SubmitterMetadata,
    /// When its request was sequenced, once that is known. Another request with the same content is a replay.
    pub sequenced: Option<Timestamp>,
}

/// A submission is not registered: nothing was sent and no completion will come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The same change is under way.
    #[error("the command is already in flight; wait for its completion")]
    AlreadyInFlight {
        /// Of the submission under way.
        submission: Option<SubmissionId>,
    },
    /// The synchronizer's time has passed the time by which it would have to be sequenced.
    #[error("it is {now} on the synchronizer, past the max sequencing time {max}; submit again")]
    TooLate {
        /// Of the submission.
        max: Timestamp,
        /// Time of the last event.
        now: Timestamp,
    },
}

impl Coded for RegisterError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::AlreadyInFlight { .. } => codes::SUBMISSION_ALREADY_IN_FLIGHT,
            Self::TooLate { .. } => codes::MAX_SEQUENCING_TIME_EXCEEDED,
        }
    }

    fn context(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::AlreadyInFlight { submission } => {
                submission.iter().map(|id| ("existing_submission_id", id.to_string())).collect()
            }
            Self::TooLate { .. } => Vec::new(),
        }
    }

    fn definite_answer(&self) -> bool {
        // What is in flight may still take effect.
        matches!(self, Self::TooLate { .. })
    }
}

/// All registered submissions of one participant on one synchronizer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InFlightTracker {
    by_message: BTreeMap<MessageId, InFlight>,
}

/// The message id of a request: found again in the receipt.
///
/// # Panics
/// Never: a uuid is a valid message id.
#[must_use]
pub fn request_message_id(uuid: RequestUuid) -> MessageId {
    MessageId::new(format!("request-{uuid}")).expect("a few graphic characters")
}

impl InFlightTracker {
    /// Takes back what was stored.
    pub fn restore(&mut self, rows: impl IntoIterator<Item = InFlight>) {
        self.by_message.extend(rows.into_iter().map(|row| (row.message.clone(), row)));
    }

    /// Registers a submission, unless its change is under way or `now`, the time of the last event, is too late.
    pub fn register(&mut self, row: InFlight, now: Option<Timestamp>) -> Result<(), RegisterError> {
        if let Some(other) = self.by_message.values().find(|other| other.change == row.change) {
            return Err(RegisterError::AlreadyInFlight { submission: other.submitter.submission.clone() });
        }
        let max = row.submitter.max_sequencing_time;
        if let Some(now) = now.filter(|now| *now >= max) {
            return Err(RegisterError::TooLate { max, now });
        }
        self.by_message.insert(row.message.clone(), row);
        Ok(())
    }

    /// The submission with this message id.
    #[must_use]
    pub fn get(&self, message: &MessageId) -> Option<&InFlight> {
        self.by_message.get(message)
    }

    /// The submission of this content.
    #[must_use]
    pub fn find(&self, root_hash: &Hash) -> Option<&InFlight> {
        self.by_message.values().find(|row| row.root_hash == *root_hash)
    }

    /// Notes that a request with the submission's content was sequenced. Only the first one counts; `true` if this is
    /// the first, and news.
    pub fn sequenced(&mut self, message: &MessageId, at: Timestamp) -> bool {
        match self.by_message.get_mut(message) {
            Some(row) if row.sequenced.is_none() => {
                row.sequenced = Some(at);
                true
            }
            _ => false,
        }
    }

    /// Removes a submission that is being completed.
    pub fn complete(&mut self, message: &MessageId) -> Option<InFlight> {
        self.by_message.remove(message)
    }

    /// Removes those that will never be sequenced, now that `now` has been observed.
    pub fn expire(&mut self, now: Timestamp) -> Vec<InFlight> {
        let lost = |row: &&InFlight| row.sequenced.is_none() && row.submitter.max_sequencing_time < now;
        let messages: Vec<_> = self.by_message.values().filter(lost).map(|row| row.message.clone()).collect();
        messages.iter().filter_map(|message| self.complete(message)).collect()
    }

    /// When the fate of each submission that is not sequenced will be known at the latest.
    pub fn deadlines(&self) -> impl Iterator<Item = Timestamp> {
        let waiting = self.by_message.values().filter(|row| row.sequenced.is_none());
        waiting.map(|row| row.submitter.max_sequencing_time)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_message.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_message.is_empty()
    }
}
