//! The tables of all nodes, and what transactions write into them: the same rows that the nodes' stores keep.

use crate::{messages::Fate, mutant::Mutant};
use base::{ContractId, Hash, MemberId, MessageId, SubmissionId, Timestamp, UpdateId};
use mediator_core::{Decision, UsedUuid};
use participant_core::{Completion, ContractStatus, Effect, InFlight, Publish, Update, deduplication::Acceptance};
use protocol::{Contract, message::RequestId, tree::RequestUuid};
use sequencer_core::{Beat, StoredEvent, Watermark};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    rc::Rc,
};

/// One incarnation of a sequencer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) index: u32,
    pub(crate) incarnation: i64,
}

/// Names a process in its lifetime, as in the sessions that it opens.
pub(crate) type Instance = u64;

#[derive(Clone)]
pub(crate) struct IndexRow {
    pub(crate) life: Life,
    pub(crate) mark: Watermark,
    pub(crate) instance: Instance,
}

/// An event with those who get it.
pub(crate) struct EventRow {
    pub(crate) stored: StoredEvent,
    pub(crate) members: BTreeSet<MemberId>,
    pub(crate) life: Life,
}

/// Who holds the lock of a logical node, by its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) session: u64,
    pub(crate) beat: i64,
}

#[derive(Default)]
pub(crate) struct Tables {
    /// By logical node; all rows of a node have the same epoch at all times.
    pub(crate) epochs: BTreeMap<usize, i64>,
    pub(crate) holders: BTreeMap<usize, Holder>,
    pub(crate) indexes: Vec<IndexRow>,
    pub(crate) beats: BTreeMap<u32, Beat>,
    pub(crate) events: BTreeMap<Timestamp, Rc<EventRow>>,
    /// Sender and message id of all events.
    pub(crate) sent: BTreeSet<(MemberId, MessageId)>,
    pub(crate) mediator: MediatorTables,
    pub(crate) participants: Vec<ParticipantTables>,
}

#[derive(Default)]
pub(crate) struct MediatorTables {
    pub(crate) uuids: BTreeMap<RequestUuid, UsedUuid>,
    /// With whether it is settled.
    pub(crate) verdicts: BTreeMap<RequestId, (Decision, bool)>,
    pub(crate) clean: Option<Timestamp>,
}

#[derive(Default)]
pub(crate) struct ParticipantTables {
    pub(crate) in_flight: BTreeMap<MessageId, InFlight>,
    pub(crate) contracts: BTreeMap<ContractId, (Contract, bool)>,
    pub(crate) acceptances: BTreeMap<Hash, Acceptance>,
    pub(crate) ledger: Vec<Rc<Entry>>,
    pub(crate) clean: Option<Timestamp>,
}

/// A row of the ledger; its position is its offset.
pub(crate) struct Entry {
    pub(crate) record_time: Timestamp,
    pub(crate) update: Option<Update>,
    pub(crate) completion: Option<Completion>,
}

/// A statement.
#[derive(Clone)]
pub(crate) enum Write {
    Events(Vec<Rc<EventRow>>),
    Beat(Beat),
    KnockOut(Life),
    FirstBeat {
        node: usize,
        holder: Holder,
    },
    NextBeat {
        node: usize,
        session: u64,
    },
    Mediator(Rc<Vec<mediator_core::Effect>>),
    /// Effects, and the offset of the first entry among them.
    Participant {
        number: usize,
        effects: Rc<Vec<Effect>>,
        offset: usize,
    },
}

/// A statement that cannot be executed; nothing of its transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violated;

impl Tables {
    pub(crate) fn new(participants: usize, sequencers: u32) -> Self {
        let row = |index| IndexRow {
            life: Life { index, incarnation: 0 },
            mark: Watermark { online: false, watermark: Timestamp::EPOCH },
            instance: 0,
        };
        Self {
            indexes: (0..sequencers).map(row).collect(),
            participants: (0..participants).map(|_| ParticipantTables::default()).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn safe(&self) -> Option<Timestamp> {
        let marks: Vec<Watermark> = self.indexes.iter().map(|row| row.mark).collect();
        sequencer_core::safe_bound(&marks)
    }

    /// Events after `after` that readers may see, and up to where there are no others.
    pub(crate) fn tail(&self, after: Timestamp, limit: usize) -> (Vec<Rc<EventRow>>, Timestamp) {
        let safe = self.safe().unwrap_or(after);
        let later = self.events.range((Bound::Excluded(after), Bound::Unbounded));
        let events: Vec<_> = later.take_while(|(at, _)| **at <= safe).take(limit).map(|(_, row)| row.clone()).collect();
        let bound = if events.len() == limit { events.last().map_or(safe, |row| row.stored.timestamp) } else { safe };
        (events, bound)
    }

    /// A member's events from the one at `from` on, with the one before; `None` if there is no such event.
    pub(crate) fn of_member(
        &self,
        member: &MemberId,
        from: Option<Timestamp>,
        bound: Timestamp,
        limit: usize,
    ) -> Option<(Option<Timestamp>, Vec<Rc<EventRow>>)> {
        let start = from.unwrap_or(Timestamp::MIN);
        let is_for = |row: &&Rc<EventRow>| row.members.contains(member);
        let later = self.events.range(start..).map(|(_, row)| row);
        let rows: Vec<_> =
            later.take_while(|row| row.stored.timestamp <= bound).filter(is_for).take(limit).cloned().collect();
        let previous =
            self.events.range(..start).rev().map(|(_, row)| row).find(is_for).map(|row| row.stored.timestamp);
        let is_there = from.is_none() || self.events.get(&start).is_some_and(|row| row.members.contains(member));
        // What is there but above the bound of this reader comes when that has moved.
        is_there.then_some((previous, rows))
    }

    /// The highest epoch that each member has sent with.
    pub(crate) fn latest_epochs(&self) -> BTreeMap<MemberId, i64> {
        let mut epochs = BTreeMap::new();
        for submission in self.events.values().map(|row| &row.stored.submission) {
            let latest: &mut i64 = epochs.entry(submission.sender.clone()).or_default();
            *latest = (*latest).max(submission.epoch);
        }
        epochs
    }

    pub(crate) fn index(&mut self, index: u32) -> Option<&mut IndexRow> {
        self.indexes.iter_mut().find(|row| row.life.index == index)
    }

    /// Whether the statement's constraints hold.
    pub(crate) fn check(&self, write: &Write) -> Result<(), Violated> {
        let holds = match write {
            Write::Events(rows) => rows.iter().all(|row| {
                let submission = &row.stored.submission;
                let key = (submission.sender.clone(), submission.message_id.clone());
                !self.sent.contains(&key) && !self.events.contains_key(&row.stored.timestamp)
            }),
            Write::Participant { number, effects, offset } => self.participants.get(*number).is_some_and(|tables| {
                let publishes = effects.iter().any(|effect| matches!(effect, Effect::Publish(_)));
                !publishes || tables.ledger.len() == *offset
            }),
            _ => true,
        };
        if holds { Ok(()) } else { Err(Violated) }
    }

    /// Executes a statement whose constraints hold. Returns the number of rows it touched, where that matters.
    pub(crate) fn apply(&mut self, write: &Write) -> usize {
        match write {
            Write::Events(rows) => {
                for row in rows {
                    let submission = &row.stored.submission;
                    self.sent.insert((submission.sender.clone(), submission.message_id.clone()));
                    self.events.insert(row.stored.timestamp, row.clone());
                }
            }
            Write::Beat(beat) => drop(self.beats.insert(beat.index, *beat)),
            Write::KnockOut(life) => {
                let row = self.index(life.index).filter(|row| row.life == *life && row.mark.online);
                return row.map(|row| row.mark.online = false).iter().count();
            }
            Write::FirstBeat { node, holder } => drop(self.holders.insert(*node, *holder)),
            Write::NextBeat { node, session } => {
                let row = self.holders.get_mut(node).filter(|holder| holder.session == *session);
                return row.map(|row| row.beat += 1).iter().count();
            }
            Write::Mediator(effects) => effects.iter().for_each(|effect| self.mediator.apply(effect)),
            Write::Participant { number, effects, .. } => {
                if let Some(tables) = self.participants.get_mut(*number) {
                    effects.iter().for_each(|effect| tables.apply(effect));
                }
            }
        }
        1
    }
}

impl MediatorTables {
    fn apply(&mut self, effect: &mediator_core::Effect) {
        use mediator_core::Effect;
        match effect {
            Effect::Uuid(used) => drop(self.uuids.entry(used.uuid).or_insert_with(|| used.clone())),
            // A verdict stored before stands.
            Effect::Decide(decision) => {
                self.verdicts.entry(decision.result.request).or_insert_with(|| (decision.clone(), false));
            }
            Effect::Settled(request) => {
                if let Some(row) = self.verdicts.get_mut(request) {
                    row.1 = true;
                }
            }
            Effect::Clean(at) => {
                self.clean = Some(*at);
                self.uuids.retain(|_, used| used.expires >= *at);
            }
            Effect::Topology(_) | Effect::Tick(_) | Effect::Alarm(_) => {}
        }
    }

    /// Everything that was stored, beside the topology.
    pub(crate) fn recovered(&self) -> mediator_core::Recovered {
        let from = self.clean.unwrap_or(Timestamp::MIN);
        mediator_core::Recovered {
            topology: Vec::new(),
            uuids: self.uuids.values().filter(|used| used.expires >= from).cloned().collect(),
            decided: self.verdicts.range(from..).map(|(request, _)| *request).filter(|r| *r > from).collect(),
            outbox: self.verdicts.values().filter(|(_, settled)| !settled).map(|(d, _)| d.clone()).collect(),
            clean: self.clean,
        }
    }
}

impl ParticipantTables {
    fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Register(row) => drop(self.in_flight.insert(row.message.clone(), InFlight::clone(row))),
            Effect::Sequenced { message, at } => {
                if let Some(row) = self.in_flight.get_mut(message) {
                    row.sequenced = Some(*at);
                }
            }
            Effect::Publish(publish) => self.publish(publish),
            Effect::Clean(at) => self.clean = Some(*at),
            _ => {}
        }
    }

    fn publish(&mut self, publish: &Publish) {
        if let Some(message) = &publish.in_flight {
            self.in_flight.remove(message);
        }
        if let Some(completion) = &publish.completion
            && completion.outcome.is_ok()
        {
            let (offset, submission) = (self.ledger.len() as u64, completion.submission.clone());
            let acceptance = Acceptance { offset, published: publish.record_time, submission };
            self.acceptances.insert(completion.change, acceptance);
        }
        if let Some(update) = &publish.update {
            let created = update.contracts.iter().filter(|c| update.changes.created.contains(&c.id));
            self.contracts.extend(created.map(|contract| (contract.id.clone(), (contract.clone(), true))));
            for id in &update.changes.archived {
                if let Some(row) = self.contracts.get_mut(id) {
                    row.1 = false;
                }
            }
        }
        self.ledger.push(Rc::new(Entry {
            record_time: publish.record_time,
            update: publish.update.clone(),
            completion: publish.completion.clone(),
        }));
    }

    pub(crate) fn status(&self, id: &ContractId) -> ContractStatus {
        match self.contracts.get(id) {
            None => ContractStatus::Unknown,
            Some((_, true)) => ContractStatus::Active,
            Some((_, false)) => ContractStatus::Archived,
        }
    }

    /// What a client is told of its command.
    pub(crate) fn fate(&self, change: &Hash, submission: &SubmissionId) -> Fate {
        if let Some(acceptance) = self.acceptances.get(change) {
            let entry = usize::try_from(acceptance.offset).ok().and_then(|offset| self.ledger.get(offset));
            return match entry.and_then(|entry| entry.update.as_ref()) {
                Some(update) => Fate::Accepted {
                    update: update.id.clone(),
                    created: update.contracts.first().map(|c| c.id.clone()),
                },
                None => Fate::Nothing,
            };
        }
        let completions = self.ledger.iter().rev().filter_map(|entry| entry.completion.as_ref());
        let rejection = completions
            .filter(|completion| completion.submission.as_ref() == Some(submission))
            .find_map(|completion| completion.outcome.as_ref().err());
        match rejection {
            Some(why) => Fate::Rejected(why.code),
            None if self.in_flight.values().any(|row| row.change == *change) => Fate::InFlight,
            None => Fate::Nothing,
        }
    }

    /// All updates, with their times.
    pub(crate) fn updates(&self) -> Vec<(Timestamp, UpdateId)> {
        let of = |entry: &Rc<Entry>| entry.update.as_ref().map(|update| (entry.record_time, update.id.clone()));
        self.ledger.iter().filter_map(of).collect()
    }

    /// Everything that was stored, beside the topology.
    pub(crate) fn recovered(&self) -> participant_core::Recovered {
        let in_flight = self.in_flight.values().cloned().collect();
        participant_core::Recovered { topology: Vec::new(), in_flight, clean: self.clean }
    }
}

/// What a transaction must find, in the same moment in which it commits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Guard {
    /// The epoch of a logical node.
    Epoch { node: usize, epoch: i64 },
    /// The watermark of an incarnation that is online; it is moved.
    Incarnation { life: Life, first: Timestamp, last: Timestamp },
    /// What is only this process's own.
    Own,
}

impl Guard {
    pub(crate) fn holds(self, tables: &Tables, mutant: Option<Mutant>) -> bool {
        match self {
            Self::Own => true,
            Self::Epoch { node, epoch } => {
                mutant == Some(Mutant::NoFence) || tables.epochs.get(&node).copied() == Some(epoch)
            }
            Self::Incarnation { life, first, .. } => {
                mutant == Some(Mutant::NoIncarnation)
                    || tables.indexes.iter().any(|r| r.life == life && r.mark.online && r.mark.watermark < first)
            }
        }
    }

    /// What the guard itself writes, if it is a statement that writes.
    pub(crate) fn apply(self, tables: &mut Tables) {
        if let Self::Incarnation { life, last, .. } = self
            && let Some(row) = tables.index(life.index)
        {
            row.mark.watermark = row.mark.watermark.max(last);
        }
    }
}
