//! What must hold at every moment (spec/reliability.md §3.1), judged from outside: by what the database commits, what
//! sequencers read, what members receive, and what clients are told. And what must have happened at least sometimes.

use crate::database::{EventRow, Guard, Tables, Write};
use base::{ContractId, Hash, MemberId, MessageId, SubmissionId, Timestamp, UpdateId};
use mediator_core::Decision;
use participant_core::{Effect, Publish};
use protocol::{
    message::{EnvelopeContent, RequestId},
    sequencing::{SequencedEvent, Submission},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Arguments,
    ops::{Bound, RangeInclusive},
    rc::Rc,
    time::Duration,
};

/// In peace an event is seen by then: the safety nets of writer and reader, one after the other, and some time to spare.
const PROMPT: Duration = Duration::from_secs(4);

/// Names an event: by whom, under what id.
type EventName = (MemberId, MessageId);

fn name(row: &EventRow) -> EventName {
    let submission = &row.stored.submission;
    (submission.sender.clone(), submission.message_id.clone())
}

#[derive(Default)]
pub(crate) struct Audit {
    violation: Option<String>,
    counters: BTreeMap<&'static str, u64>,
    /// The last epoch under which each logical node wrote.
    epochs: BTreeMap<usize, i64>,
    /// The last incarnation that wrote under each index.
    incarnations: BTreeMap<u32, i64>,
    /// The one order of all events, as the first that read them saw it.
    order: BTreeMap<Timestamp, EventName>,
    /// After what each life of a sequencer began to read, and how far it came.
    readers: BTreeMap<u64, RangeInclusive<Timestamp>>,
    /// Up to here readers have taken the order for complete.
    read_up_to: Option<Timestamp>,
    /// Events that no sequencer has read yet, with the moment in which they were committed.
    unread: BTreeMap<Timestamp, Duration>,
    /// What each member received: at what time, after which event, and how many envelopes.
    streams: BTreeMap<MemberId, BTreeMap<Timestamp, (Option<Timestamp>, usize)>>,
    verdicts: BTreeMap<RequestId, Vec<u8>>,
    registered: BTreeSet<(usize, SubmissionId)>,
    completed: BTreeSet<(usize, SubmissionId)>,
    /// Changes that took effect, by participant, with their updates.
    accepted: BTreeMap<(usize, Hash), UpdateId>,
    spent: BTreeMap<(usize, ContractId), RequestId>,
    /// Submissions of which a client was told that they have no effect.
    refused: BTreeSet<SubmissionId>,
    /// Changes of which a client was told that they took effect.
    promised: BTreeMap<(usize, Hash), UpdateId>,
}

impl Audit {
    /// What went wrong first.
    pub(crate) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    pub(crate) fn violated(&mut self, what: Arguments<'_>) {
        self.violation.get_or_insert_with(|| what.to_string());
    }

    /// Counts something that should happen sometimes.
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counters.entry(what).or_default() += 1;
    }

    pub(crate) fn counters(&self) -> &BTreeMap<&'static str, u64> {
        &self.counters
    }

    /// A transaction committed; this is what it left.
    pub(crate) fn committed(&mut self, now: Duration, guard: Guard, writes: &[Write], tables: &Tables) {
        match guard {
            Guard::Epoch { node, epoch } => {
                self.count("commit");
                let current = tables.epochs.get(&node).copied().unwrap_or(0);
                let last = self.epochs.entry(node).or_default();
                *last = (*last).max(epoch);
                if epoch < (*last).max(current) {
                    self.violated(format_args!("node {node} wrote under epoch {epoch}, but epoch {current} had begun"));
                }
            }
            Guard::Incarnation { .. } => self.count("batch"),
            Guard::Own => {}
        }
        for write in writes {
            match write {
                Write::Events(rows) => rows.iter().for_each(|row| self.sequenced(now, row)),
                Write::Participant { number, effects, .. } => {
                    effects.iter().for_each(|effect| self.participant(*number, effect));
                }
                _ => {}
            }
        }
    }

    fn sequenced(&mut self, now: Duration, row: &EventRow) {
        self.count("event");
        self.unread.insert(row.stored.timestamp, now);
        let (life, time) = (row.life, row.stored.timestamp);
        let last = self.incarnations.entry(life.index).or_default();
        *last = (*last).max(life.incarnation);
        if life.incarnation < *last {
            self.violated(format_args!("{life:?} wrote event {time} after its successor"));
        }
        if self.read_up_to.is_some_and(|bound| time <= bound) {
            self.violated(format_args!("event {time} of {life:?} appeared where readers had been already"));
        }
        for envelope in &row.stored.submission.batch {
            if let Ok(EnvelopeContent::Result(signed)) = EnvelopeContent::decode(envelope.content.clone()) {
                let verdict = format!("{:?}", signed.content().verdict).into_bytes();
                let request = signed.content().request;
                if *self.verdicts.entry(request).or_insert_with(|| verdict.clone()) != verdict {
                    self.violated(format_args!("request {request} has two verdicts"));
                }
            }
        }
    }

    fn participant(&mut self, number: usize, effect: &Effect) {
        match effect {
            Effect::Register(row) => {
                if let Some(submission) = row.submitter.submission.clone() {
                    self.registered.insert((number, submission));
                }
            }
            Effect::Publish(publish) => self.published(number, publish),
            _ => {}
        }
    }

    fn published(&mut self, number: usize, publish: &Publish) {
        let at = publish.record_time;
        if let Some(completion) = &publish.completion {
            self.count("completion");
            let submission = completion.submission.clone();
            if let Some(submission) = submission.clone() {
                let key = (number, submission.clone());
                if !self.registered.contains(&key) {
                    self.violated(format_args!("a submission is completed that was not registered: {key:?}"));
                }
                if !self.completed.insert(key) {
                    self.violated(format_args!("a submission is completed twice: {submission:?}"));
                }
            }
            if let Ok(update) = &completion.outcome {
                self.count("accepted");
                if submission.is_some_and(|s| self.refused.contains(&s)) {
                    self.violated(format_args!("{update} is accepted although its client was told that it is not"));
                }
                if let Some(first) = self.accepted.insert((number, completion.change), update.clone()) {
                    self.violated(format_args!("a command took effect twice: {first} and {update}"));
                }
            } else {
                self.count("rejected");
            }
        }
        for id in publish.update.iter().flat_map(|update| &update.changes.archived) {
            if let Some(first) = self.spent.insert((number, id.clone()), at) {
                self.violated(format_args!("{id} is spent twice at participant {number}: at {first} and at {at}"));
            }
            let elsewhere = self.spent.get(&(1 - number, id.clone())).copied();
            if let Some(first) = elsewhere.filter(|first| *first != at) {
                self.violated(format_args!("{id} is spent at {first} and at {at}, by two participants"));
            }
        }
    }

    /// A sequencer begins to read after `after`.
    pub(crate) fn reader(&mut self, reader: u64, after: Timestamp) {
        self.readers.insert(reader, after..=after);
        self.read_up_to = self.read_up_to.max(Some(after));
    }

    /// A sequencer has read these events, and knows that there is nothing else up to `bound`.
    pub(crate) fn read(&mut self, reader: u64, events: &[Rc<EventRow>], bound: Timestamp) {
        let Some(read) = self.readers.get(&reader).cloned() else { return };
        let after = *read.end();
        let names: BTreeMap<Timestamp, EventName> =
            events.iter().map(|row| (row.stored.timestamp, name(row))).collect();
        let known = self.order.range((Bound::Excluded(after), Bound::Included(bound)));
        let mut differing = known.filter(|(time, name)| names.get(time) != Some(name));
        if let Some((time, name)) = differing.next().map(|(time, name)| (*time, name.clone())) {
            let got = names.get(&time);
            return self.violated(format_args!("a sequencer reads {got:?} at {time}, another one had read {name:?}"));
        }
        for (time, name) in names {
            let missed = self.readers.iter().any(|(other, read)| {
                *other != reader && *read.start() < time && time <= *read.end() && !self.order.contains_key(&time)
            });
            if missed {
                return self.violated(format_args!("a sequencer reads {name:?} at {time}, another one had not"));
            }
            self.order.insert(time, name);
        }
        self.readers.insert(reader, *read.start()..=after.max(bound));
        self.read_up_to = self.read_up_to.max(Some(bound));
        self.unread.retain(|time, _| *time > bound);
    }

    /// Nothing is broken, so nothing may be held up.
    pub(crate) fn in_peace(&mut self, now: Duration) {
        if let Some((time, since)) = self.unread.first_key_value()
            && now.saturating_sub(*since) > PROMPT
        {
            let (time, since) = (*time, *since);
            self.violated(format_args!(
                "event {time} has been there for {PROMPT:?}, since {since:?}, and nobody sees it"
            ));
        }
    }

    /// A member has received the next event of its stream.
    pub(crate) fn received(&mut self, member: &MemberId, event: &SequencedEvent) {
        let stream = self.streams.entry(member.clone()).or_default();
        let seen = (event.previous, event.envelopes().len());
        if *stream.entry(event.timestamp).or_insert(seen) != seen {
            self.violated(format_args!("{member} received event {} a second time, but changed", event.timestamp));
        }
    }

    /// A member sends this; these are the verdicts that are stored.
    pub(crate) fn sends(&mut self, submission: &Submission, stored: &BTreeMap<RequestId, (Decision, bool)>) {
        for envelope in &submission.batch {
            let Ok(EnvelopeContent::Result(signed)) = EnvelopeContent::decode(envelope.content.clone()) else {
                continue;
            };
            let result = signed.content();
            match stored.get(&result.request) {
                None => self.violated(format_args!("the verdict on {} is sent before it is stored", result.request)),
                Some((decision, _)) if decision.result != *result => {
                    self.violated(format_args!("the verdict on {} is not the one that is stored", result.request));
                }
                Some(_) => {}
            }
        }
    }

    /// A client was told that this submission has no effect.
    pub(crate) fn refused(&mut self, submission: SubmissionId) {
        self.refused.insert(submission);
    }

    /// A client was told that its command took effect.
    pub(crate) fn promised(&mut self, participant: usize, change: Hash, update: &UpdateId) {
        match self.accepted.get(&(participant, change)) {
            Some(accepted) if accepted == update => {}
            other => {
                let other = other.cloned();
                self.violated(format_args!("a client was told of update {update}, but there is {other:?}"));
            }
        }
        if let Some(first) = self.promised.insert((participant, change), update.clone())
            && first != *update
        {
            self.violated(format_args!("clients were told of {first} and of {update} for one command"));
        }
    }

    /// When all is quiet: what both participants know of is the same, and nothing that was promised is missing.
    pub(crate) fn at_the_end(&mut self, tables: &Tables) {
        let open = self.registered.difference(&self.completed).count();
        if open > 0 {
            self.violated(format_args!("{open} submissions were never completed"));
        }
        let updates: Vec<Vec<_>> =
            tables.participants.iter().map(crate::database::ParticipantTables::updates).collect();
        if updates.windows(2).any(|pair| pair[0] != pair[1]) {
            self.violated(format_args!("the participants' updates differ"));
        }
        if tables.participants.windows(2).any(|pair| pair[0].contracts != pair[1].contracts) {
            self.violated(format_args!("the participants' contracts differ"));
        }
        for ((participant, _), update) in self.promised.clone() {
            let is_there = updates.get(participant).is_some_and(|all| all.iter().any(|(_, id)| *id == update));
            if !is_there {
                self.violated(format_args!("update {update} was promised and is not there"));
            }
        }
        if let Some(tables) = tables.participants.first() {
            let active = tables.contracts.values().filter(|(_, is_active)| *is_active).count();
            let made = tables.contracts.len() - self.spent.keys().filter(|(number, _)| *number == 0).count();
            if active != made {
                self.violated(format_args!("{active} contracts are active, but {made} were made and not spent"));
            }
        }
    }
}
