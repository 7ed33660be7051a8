//! What readers may see, and the event as one member sees it.

use base::{MemberId, SynchronizerId, Timestamp};
use protocol::sequencing::{Envelope, Outcome, SequencedEvent, Submission};

/// A row of the watermark table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    /// Whether the sequencer of this index may commit events.
    pub online: bool,
    /// All its committed events lie at or below this, all later ones above.
    pub watermark: Timestamp,
}

/// An event as it is stored.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Sequencing time.
    pub timestamp: Timestamp,
    /// The submission as it came.
    pub submission: Submission,
    /// Code and message if it was refused after it was given its timestamp.
    pub error: Option<(String, String)>,
}

/// No event at or below this will ever be committed any more, so readers may see everything up to it.
///
/// It is the smallest watermark of all that are online. Where none is online it is the largest of all: whoever goes
/// online next begins above every watermark. `None` if there are no rows.
#[must_use]
pub fn safe_bound(watermarks: &[Watermark]) -> Option<Timestamp> {
    let online = watermarks.iter().filter(|w| w.online).map(|w| w.watermark).min();
    online.or_else(|| watermarks.iter().map(|w| w.watermark).max())
}

/// The event as `member` gets it: its own envelopes with what it may see of their recipients, the message id only if
/// it is the sender.
#[must_use]
pub fn event_for(
    stored: &StoredEvent,
    member: &MemberId,
    previous: Option<Timestamp>,
    synchronizer: &SynchronizerId,
) -> SequencedEvent {
    let outcome = match &stored.error {
        Some((code, message)) => Outcome::Error { code: code.clone(), message: message.clone() },
        None => {
            let seen = stored.submission.batch.iter().filter_map(|envelope| {
                let recipients = envelope.recipients.seen_by(member);
                (!recipients.trees.is_empty()).then(|| Envelope { content: envelope.content.clone(), recipients })
            });
            Outcome::Delivered(seen.collect())
        }
    };
    SequencedEvent {
        synchronizer: synchronizer.clone(),
        timestamp: stored.timestamp,
        previous,
        message_id: (stored.submission.sender == *member).then(|| stored.submission.message_id.clone()),
        topology_timestamp: stored.submission.topology_timestamp,
        outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::tests::{at, member, submission};
    use proptest::prelude::*;

    #[test]
    fn a_member_sees_its_own_part() {
        let mut submission = submission("m", &[1], 100);
        submission.batch.push(self::submission("n", &[2], 100).batch[0].clone());
        let stored = StoredEvent { timestamp: at(9), submission, error: None };
        let synchronizer = SynchronizerId(member(9).uid);
        let seen = |n| event_for(&stored, &member(n), Some(at(3)), &synchronizer);
        assert_eq!(seen(1).envelopes().len(), 1);
        assert_eq!(seen(1).message_id, None);
        assert_eq!(seen(0).envelopes().len(), 0);
        assert_eq!(seen(0).message_id.unwrap().as_str(), "m");
        let refused = StoredEvent { error: Some(("CODE".into(), "why".into())), ..stored.clone() };
        assert!(matches!(event_for(&refused, &member(0), None, &synchronizer).outcome, Outcome::Error { .. }));
    }

    /// One step of a world of sequencers that share a table.
    #[derive(Debug, Clone)]
    enum Step {
        Write { who: usize, events: u8 },
        KnockOut { who: usize },
        GoOnline { who: usize },
        Read,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0_usize..3, 0_u8..4).prop_map(|(who, events)| Step::Write { who, events }),
            1 => (0_usize..3).prop_map(|who| Step::KnockOut { who }),
            1 => (0_usize..3).prop_map(|who| Step::GoOnline { who }),
            3 => Just(Step::Read),
        ];
        proptest::collection::vec(step, 1..200)
    }

    proptest! {
        /// Once a reader has used a bound, no event at or below it appears any more, whoever dies or returns.
        #[test]
        fn nothing_appears_below_a_bound_that_was_used(steps in steps(), skew in proptest::collection::vec(0_i64..500, 3)) {
            let mut rows = [Watermark { online: false, watermark: at(0) }; 3];
            let mut generators: Vec<Option<crate::Sequencing>> = vec![None, None, None];
            let (mut used, mut now) = (at(0), 0);
            for step in steps {
                now += 7;
                match step {
                    Step::Write { who, events } if rows[who].online => {
                        let generator = generators[who].as_mut().expect("online");
                        for _ in 0..events {
                            let event = generator.tick(at(now + skew[who]));
                            prop_assert!(event > used, "{event} appeared at or below {used}");
                        }
                        rows[who].watermark = generator.tick(at(now + skew[who]));
                    }
                    Step::KnockOut { who } => rows[who].online = false,
                    Step::GoOnline { who } if !rows[who].online => {
                        let max = rows.iter().map(|r| r.watermark).max().unwrap().max(at(now + skew[who]));
                        rows[who] = Watermark { online: true, watermark: max };
                        generators[who] = Some(crate::Sequencing::new(u32::try_from(who).unwrap(), 3, max));
                    }
                    Step::Read => used = used.max(safe_bound(&rows).unwrap()),
                    Step::Write { .. } | Step::GoOnline { .. } => {}
                }
            }
        }
    }
}
