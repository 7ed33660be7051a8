//! What is refused at the door, so that it certainly never will be sequenced (spec/protocol.md §1.4).

use base::{Coded, ErrorCode, MemberId, MemberKind, Timestamp, codes, limits};
use protocol::sequencing::Submission;
use std::time::Duration;

/// What a synchronizer allows.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of one submission request.
    pub max_request_bytes: usize,
    /// How far ahead of now a max sequencing time may lie: so long a message id must be remembered.
    pub max_sequencing_window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_request_bytes: limits::MAX_MESSAGE_BYTES, max_sequencing_window: Duration::from_secs(600) }
    }
}

/// Why a submission is refused. The sender may rely on it: nothing was or will be sequenced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The sender is not who authenticated.
    #[error("the submission names {sender} as its sender, but {authenticated} is authenticated")]
    OtherSender {
        /// As the submission says.
        sender: MemberId,
        /// As the token says.
        authenticated: MemberId,
    },
    /// The bytes exceed the limit.
    #[error("the submission has {size} bytes; the synchronizer allows {limit}")]
    TooLarge {
        /// Of the request.
        size: usize,
        /// `maxRequestSize`.
        limit: usize,
    },
    /// Participants address one mediator only.
    #[error("a participant addresses {0} mediators in one batch; one is allowed")]
    SeveralMediators(usize),
    /// The sender said not to sequence it any more.
    #[error("the max sequencing time {max} has passed, it is {now}; submit again with a later one")]
    TooLate {
        /// As the sender asked.
        max: Timestamp,
        /// Sequencing time.
        now: Timestamp,
    },
    /// Nobody would remember the message id for so long.
    #[error("the max sequencing time {max} is too far ahead; at most {latest} is allowed now")]
    TooFar {
        /// As the sender asked.
        max: Timestamp,
        /// The bound.
        latest: Timestamp,
    },
    /// The topology at a future time is not known.
    #[error("the topology timestamp {topology} lies after sequencing time {now}")]
    TopologyInFuture {
        /// As the sender asked.
        topology: Timestamp,
        /// Sequencing time.
        now: Timestamp,
    },
    /// A replica of the sender with a later epoch has already sent: this one is no longer active.
    #[error("epoch {epoch} of {sender} was followed by epoch {latest}; this replica is not active any more")]
    OldEpoch {
        /// Who sends.
        sender: MemberId,
        /// As the submission says.
        epoch: i64,
        /// The highest seen from this sender.
        latest: i64,
    },
}

impl Coded for Refusal {
    fn code(&self) -> ErrorCode {
        match self {
            Self::TooLate { .. } => codes::MAX_SEQUENCING_TIME_EXCEEDED,
            Self::OldEpoch { .. } => codes::SYNC_SERVICE_BECAME_PASSIVE,
            Self::TopologyInFuture { .. } | Self::TooFar { .. } => codes::SUBMISSION_REQUEST_REFUSED,
            Self::OtherSender { .. } | Self::TooLarge { .. } | Self::SeveralMediators(_) => {
                codes::SUBMISSION_REQUEST_MALFORMED
            }
        }
    }

    fn definite_answer(&self) -> bool {
        true
    }
}

/// Refuses what the sender must not send. `latest_epoch` is the highest epoch seen from this sender.
pub fn admit(
    submission: &Submission,
    size: usize,
    authenticated: &MemberId,
    latest_epoch: i64,
    now: Timestamp,
    limits: &Limits,
) -> Result<(), Refusal> {
    if submission.sender != *authenticated {
        let (sender, authenticated) = (submission.sender.clone(), authenticated.clone());
        return Err(Refusal::OtherSender { sender, authenticated });
    }
    if size > limits.max_request_bytes {
        return Err(Refusal::TooLarge { size, limit: limits.max_request_bytes });
    }
    let mediators = submission.recipients().iter().filter(|m| m.kind == MemberKind::Mediator).count();
    if submission.sender.kind == MemberKind::Participant && mediators > 1 {
        return Err(Refusal::SeveralMediators(mediators));
    }
    let max = submission.max_sequencing_time;
    if max < now {
        return Err(Refusal::TooLate { max, now });
    }
    let latest = now.saturating_add(limits.max_sequencing_window);
    if max > latest {
        return Err(Refusal::TooFar { max, latest });
    }
    if let Some(topology) = submission.topology_timestamp.filter(|t| *t > now) {
        return Err(Refusal::TopologyInFuture { topology, now });
    }
    if submission.epoch < latest_epoch {
        let sender = submission.sender.clone();
        return Err(Refusal::OldEpoch { sender, epoch: submission.epoch, latest: latest_epoch });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::tests::{at, member, submission};
    use protocol::sequencing::Recipients;

    fn check(change: impl FnOnce(&mut Submission)) -> Result<(), Refusal> {
        let mut submission = submission("m", &[1], 100);
        change(&mut submission);
        admit(&submission, 10, &member(0), 5, at(50), &Limits { max_request_bytes: 20, ..Limits::default() })
    }

    #[test]
    fn admits_and_refuses_for_each_reason() {
        assert_eq!(check(|_| ()), Ok(()));
        assert!(matches!(check(|s| s.sender = member(3)), Err(Refusal::OtherSender { .. })));
        assert!(matches!(check(|s| s.max_sequencing_time = at(49)), Err(Refusal::TooLate { .. })));
        assert!(matches!(check(|s| s.max_sequencing_time = Timestamp::MAX), Err(Refusal::TooFar { .. })));
        assert!(matches!(check(|s| s.topology_timestamp = Some(at(51))), Err(Refusal::TopologyInFuture { .. })));
        assert!(matches!(check(|s| s.epoch = 4), Err(Refusal::OldEpoch { .. })));
        let mediator = |n| MemberId { kind: MemberKind::Mediator, uid: member(n).uid };
        assert_eq!(
            check(|s| s.batch[0].recipients = Recipients::group([mediator(1), mediator(2)])),
            Err(Refusal::SeveralMediators(2))
        );
        let large = admit(
            &submission("m", &[1], 100),
            21,
            &member(0),
            0,
            at(0),
            &Limits { max_request_bytes: 20, ..Limits::default() },
        );
        assert!(matches!(large, Err(Refusal::TooLarge { .. })));
    }
}
