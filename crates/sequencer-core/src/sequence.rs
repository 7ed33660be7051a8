//! Timestamps and decisions for a batch of admitted submissions.

use crate::clock::TimestampGenerator;
use base::{MemberId, Timestamp, codes};
use protocol::sequencing::Submission;
use std::collections::{BTreeMap, BTreeSet};

/// A member's number in the sequencer's tables, given when it is registered.
pub type MemberNumber = i64;

/// The registered members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(BTreeMap<MemberId, MemberNumber>);

/// What becomes of one submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// All recipients get it, and the sender its receipt.
    Deliver {
        /// Sequencing time.
        timestamp: Timestamp,
        /// Everyone who gets an event: the recipients and the sender.
        members: BTreeSet<MemberNumber>,
    },
    /// Only the sender gets an event, with the error.
    Refuse {
        /// Sequencing time.
        timestamp: Timestamp,
        /// The sender.
        sender: MemberNumber,
        /// Id of the catalogue.
        code: &'static str,
        /// For people.
        message: String,
    },
    /// Nothing is sequenced: its max sequencing time has passed. The sender learns by observing time.
    Drop,
    /// Nothing is sequenced: the sender is not registered.
    UnknownSender,
}

/// Assigns timestamps; lives as long as one incarnation of a sequencer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sequencing {
    generator: TimestampGenerator,
    /// The watermark that is surely stored.
    stored: Timestamp,
}

impl Members {
    /// From the registration table.
    #[must_use]
    pub fn new(members: impl IntoIterator<Item = (MemberId, MemberNumber)>) -> Self {
        Self(members.into_iter().collect())
    }

    /// The number of a registered member.
    #[must_use]
    pub fn number(&self, member: &MemberId) -> Option<MemberNumber> {
        self.0.get(member).copied()
    }

    /// All members with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&MemberId, &MemberNumber)> {
        self.0.iter()
    }
}

impl Sequencing {
    /// For an incarnation that went online at `online_at`; every timestamp will be later.
    #[must_use]
    pub fn new(index: u32, count: u32, online_at: Timestamp) -> Self {
        Self { generator: TimestampGenerator::new(index, count, online_at), stored: online_at }
    }

    /// The decision for one submission when sequencing time is `now`.
    pub fn decide(&mut self, submission: &Submission, members: &Members, now: Timestamp) -> Decision {
        let Some(sender) = members.number(&submission.sender) else { return Decision::UnknownSender };
        let timestamp = self.generator.next(now);
        if timestamp > submission.max_sequencing_time {
            return Decision::Drop;
        }
        let recipients = submission.recipients();
        let unknown: Vec<String> =
            recipients.iter().filter(|m| members.number(m).is_none()).map(ToString::to_string).collect();
        if !unknown.is_empty() {
            let message = format!("not registered at this synchronizer: {}", unknown.join(", "));
            return Decision::Refuse { timestamp, sender, code: codes::UNKNOWN_RECIPIENTS.id, message };
        }
        let members = recipients.iter().filter_map(|m| members.number(m)).chain([sender]).collect();
        Decision::Deliver { timestamp, members }
    }

    /// A watermark for a sequencer that has nothing to say: no later event of this incarnation lies at or below it.
    pub fn tick(&mut self, now: Timestamp) -> Timestamp {
        self.generator.next(now)
    }

    /// The watermark without which readers do not see another sequencer's event; `None` if they do already. It waits
    /// for no clock: when the database's is set back, this sequencer's may stand still before the event for long. Nor
    /// does it trust timestamps of transactions that failed: they are used up, but their watermark is not stored.
    pub fn follow(&mut self, event: Timestamp, now: Timestamp) -> Option<Timestamp> {
        (event > self.stored).then(|| self.generator.next(now.max(event)))
    }

    /// The watermark is stored as [`Sequencing::last`] says.
    pub fn stored(&mut self) {
        self.stored = self.last();
    }

    /// Every event so far lies at or below this, every later one above.
    #[must_use]
    pub fn last(&self) -> Timestamp {
        self.generator.last()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bytes::Bytes;
    use protocol::sequencing::{Envelope, Recipients};

    pub(crate) fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros).unwrap()
    }

    pub(crate) fn member(n: u8) -> MemberId {
        format!("PAR::p{n}::1220{}", "ab".repeat(32)).parse().unwrap()
    }

    pub(crate) fn submission(id: &str, to: &[u8], max: i64) -> Submission {
        let recipients = Recipients::group(to.iter().map(|n| member(*n)));
        Submission {
            sender: member(0),
            message_id: id.parse().unwrap(),
            batch: vec![Envelope { content: Bytes::from_static(b"x"), recipients }],
            max_sequencing_time: at(max),
            topology_timestamp: None,
            epoch: 5,
        }
    }

    #[test]
    fn delivers_refuses_and_drops() {
        let members = Members::new([(member(0), 10), (member(1), 11)]);
        let mut sequencing = Sequencing::new(1, 10, at(40));
        let mut decide = |s: &Submission| sequencing.decide(s, &members, at(45));
        assert_eq!(
            decide(&submission("a", &[1], 1000)),
            Decision::Deliver { timestamp: at(51), members: [10, 11].into() }
        );
        assert!(matches!(
            decide(&submission("b", &[1, 2], 1000)),
            Decision::Refuse { code: "UNKNOWN_RECIPIENTS", sender: 10, .. }
        ));
        assert_eq!(decide(&submission("c", &[1], 60)), Decision::Drop);
        let stranger = Submission { sender: member(7), ..submission("d", &[1], 1000) };
        assert_eq!(decide(&stranger), Decision::UnknownSender);
        assert!(sequencing.tick(at(45)) > at(71));
    }

    #[test]
    fn others_events_are_followed_whatever_the_clock_shows() {
        let mut sequencing = Sequencing::new(1, 10, at(40));
        assert_eq!(sequencing.follow(at(40), at(45)), None, "readers see it already");
        // The clock stands far behind the event of another sequencer.
        assert_eq!(sequencing.follow(at(500), at(45)), Some(at(501)));
        // That transaction failed: the timestamp is used up, but readers still wait.
        assert_eq!(sequencing.follow(at(500), at(45)), Some(at(511)));
        sequencing.stored();
        assert_eq!(sequencing.follow(at(500), at(45)), None);
        assert_eq!(sequencing.follow(at(511), at(45)), None, "its own event");
    }
}
