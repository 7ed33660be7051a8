//! Whether a command repeats a change that was already accepted (spec/protocol.md §2.7).

use base::{Coded, ErrorCode, SubmissionId, Timestamp, codes};
use protocol::tree::DeduplicationPeriod;
use std::time::Duration;

/// The last acceptance of a change id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acceptance {
    /// Where it stands in the ledger.
    pub offset: u64,
    /// When it was published.
    pub published: Timestamp,
    /// Of the submission that was accepted.
    pub submission: Option<SubmissionId>,
}

/// What the decision is relative to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reference {
    /// The later of the node's clock and the last publication.
    pub now: Timestamp,
    /// Longer periods are refused.
    pub max_duration: Duration,
    /// Up to this offset, published at this time, acceptances have been forgotten.
    pub pruned: Option<(u64, Timestamp)>,
}

/// The command is not submitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeduplicationError {
    /// The change was accepted within the period.
    #[error("the command was already accepted at offset {}; look its result up there", .0.offset)]
    Duplicate(Acceptance),
    /// What happened at the beginning of the period is not known any more.
    #[error("the deduplication period begins before offset {earliest}, up to which the ledger is pruned; begin later")]
    PeriodTooEarly {
        /// The first offset that may be given.
        earliest: u64,
    },
    /// Longer than allowed.
    #[error("the deduplication duration {asked:?} exceeds the maximum {allowed:?}; ask for less")]
    TooLong {
        /// As asked for.
        asked: Duration,
        /// The configured maximum.
        allowed: Duration,
    },
}

impl Coded for DeduplicationError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Duplicate(_) => codes::DUPLICATE_COMMAND,
            Self::PeriodTooEarly { .. } => codes::OFFSET_OUT_OF_RANGE,
            Self::TooLong { .. } => codes::INVALID_FIELD,
        }
    }

    fn context(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Duplicate(Acceptance { offset, submission, .. }) => {
                let submission = submission.iter().map(|id| ("existing_submission_id", id.to_string()));
                [("completion_offset", offset.to_string())].into_iter().chain(submission).collect()
            }
            Self::PeriodTooEarly { earliest } => vec![("earliest_offset", earliest.to_string())],
            Self::TooLong { allowed, .. } => vec![("longest_duration", format!("{} s", allowed.as_secs()))],
        }
    }

    fn definite_answer(&self) -> bool {
        true
    }
}

/// Decides for a change id, given its last acceptance. Rejections never stand in the way of a retry.
pub fn check(
    period: DeduplicationPeriod,
    accepted: Option<&Acceptance>,
    reference: Reference,
) -> Result<(), DeduplicationError> {
    let duplicate = match period {
        DeduplicationPeriod::Duration(asked) => {
            let allowed = reference.max_duration;
            if asked > allowed {
                return Err(DeduplicationError::TooLong { asked, allowed });
            }
            // Acceptances are kept at least for the maximal duration, pruned or not.
            accepted.filter(|a| a.published >= reference.now.saturating_sub(asked))
        }
        DeduplicationPeriod::Offset(offset) => {
            if let Some((earliest, published)) = reference.pruned.filter(|(pruned, _)| offset < *pruned)
                && reference.now.since(published) > reference.max_duration
            {
                return Err(DeduplicationError::PeriodTooEarly { earliest });
            }
            accepted.filter(|a| a.offset > offset)
        }
    };
    duplicate.map_or(Ok(()), |accepted| Err(DeduplicationError::Duplicate(accepted.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    #[test]
    fn decision_table() {
        let accepted = Acceptance { offset: 10, published: at(100), submission: None };
        let reference = |pruned| Reference { now: at(160), max_duration: Duration::from_secs(600), pruned };
        let duration = |s| DeduplicationPeriod::Duration(Duration::from_secs(s));
        let offset = DeduplicationPeriod::Offset;
        let duplicate = || Err(DeduplicationError::Duplicate(accepted.clone()));
        let early = |earliest| Err(DeduplicationError::PeriodTooEarly { earliest });
        for (period, before, pruned, expected) in [
            // Never accepted before.
            (duration(600), None, None, Ok(())),
            (offset(0), None, None, Ok(())),
            // Accepted 60 s ago.
            (duration(59), Some(&accepted), None, Ok(())),
            (duration(60), Some(&accepted), None, duplicate()),
            (duration(600), Some(&accepted), None, duplicate()),
            // Accepted at offset 10.
            (offset(9), Some(&accepted), None, duplicate()),
            (offset(10), Some(&accepted), None, Ok(())),
            // Pruned so recently that acceptances are still kept, and longer ago.
            (offset(3), Some(&accepted), Some((5, at(50))), duplicate()),
            (offset(3), None, Some((5, at(50))), Ok(())),
            (offset(3), None, Some((5, at(-1000))), early(5)),
            (offset(5), None, Some((5, at(-1000))), Ok(())),
            (
                duration(601),
                None,
                None,
                Err(DeduplicationError::TooLong { asked: Duration::from_secs(601), allowed: Duration::from_secs(600) }),
            ),
        ] {
            assert_eq!(check(period, before, reference(pruned)), expected, "{period:?} {before:?} {pruned:?}");
        }
    }
}
