//! The properties.

use crate::record::{Contract, Outcome, Record};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A committed command, or its effect on a stakeholder, is missing (P1).
    Lost,
    /// A command took effect twice, or an effect happened though the client was told that it did not (P2, P3).
    Duplicated,
    /// Streams disagree in order, or order contradicts time (P4, P6).
    Reordered,
    /// Stakeholders or replicas see different things (P6, P8, P9, P12).
    Divergent,
    /// A submission was never decided (P13).
    Undecided,
    /// Completions contradict the updates, or each other (P3).
    Incomplete,
    /// A client was told for certain that an attempt has no effect, and it has (P14).
    Dishonest,
    /// What is active is not what the updates leave (P9).
    Unbalanced,
    /// What a client was shown is not so any more, or came twice, or out of order (P10).
    Rewound,
    /// The history shows too little to judge.
    Inconclusive,
}

/// One violation, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which property.
    pub kind: Kind,
    /// What was seen.
    pub text: String,
}

/// How often things happened; a test also asserts that interesting things did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Commands submitted.
    pub submitted: usize,
    /// Commands that took effect.
    pub committed: usize,
    /// Commands that certainly did not.
    pub rejected: usize,
    /// Commands whose outcome was unknown to the client at some time, and then was learnt.
    pub unknown_resolved: usize,
    /// Updates seen, each once per participant.
    pub updates: usize,
    /// Replicas read to the end.
    pub replicas: usize,
}

/// The judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What happened how often.
    pub counts: Counts,
    /// Empty if all is well.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// How many violations there are of one kind.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.violations.iter().filter(|v| v.kind == kind).count()
    }
}

#[derive(Default)]
pub(crate) struct Command<'a> {
    participant: &'a str,
    stakeholders: BTreeSet<&'a str>,
    first_submit: i64,
    committed: BTreeMap<&'a str, i64>,
    rejected: Option<&'a str>,
    was_unknown: bool,
    /// Attempts that certainly had no effect.
    pub(crate) refused: BTreeSet<&'a str>,
    /// Whether the last attempt was one of them.
    ends_refused: bool,
}

pub(crate) struct Update<'a> {
    pub(crate) id: &'a str,
    pub(crate) command: Option<&'a str>,
    record_time: i64,
    pub(crate) created: &'a [Contract],
    pub(crate) archived: &'a [Contract],
}

pub(crate) type Stream<'a> = BTreeMap<i64, Update<'a>>;
/// By replica: offsets with the update, if the completion is a success.
type Completions<'a> = BTreeMap<&'a str, Vec<(i64, Option<&'a str>)>>;

/// A completion, in the order in which its replica shows them.
pub(crate) struct Completed<'a> {
    pub(crate) participant: &'a str,
    pub(crate) replica: &'a str,
    pub(crate) offset: i64,
    pub(crate) command: &'a str,
    pub(crate) submission: Option<&'a str>,
    pub(crate) update: Option<&'a str>,
}
/// By participant: the update that creates or archives a contract, and the contract as shown there.
type Sightings<'a> = BTreeMap<&'a str, (&'a str, &'a Contract)>;

#[derive(Default)]
pub(crate) struct History<'a> {
    pub(crate) commands: BTreeMap<&'a str, Command<'a>>,
    /// By participant, then replica.
    pub(crate) streams: BTreeMap<&'a str, BTreeMap<&'a str, Stream<'a>>>,
    /// The updates of each stream.
    shown: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// By participant and command.
    completions: BTreeMap<(&'a str, &'a str), Completions<'a>>,
    /// All completions, as they came.
    pub(crate) completed: Vec<Completed<'a>>,
    /// What was shown while things happened: participant, offset, update.
    pub(crate) seen: Vec<(&'a str, i64, &'a str)>,
    /// What the mediator decided about the requests of these record times.
    verdicts: Vec<(i64, bool)>,
    pub(crate) ends: Vec<(&'a str, i64)>,
    /// By participant and replica.
    pub(crate) active: BTreeMap<(&'a str, &'a str), BTreeSet<&'a str>>,
    violations: Vec<Violation>,
}

/// Judges a history that ends with every replica read to its end.
#[must_use]
pub fn check(records: &[Record]) -> Verdict {
    let mut history = History::read(records);
    history.replicas_agree();
    history.streams_are_ordered();
    let network = history.participants_agree();
    history.stakeholders_see_the_same();
    history.commands_have_one_effect(&network);
    history.order_follows_time(&network);
    history.participants_follow_the_mediator(&network);
    history.completions_tell_the_updates();
    history.refusals_are_honest();
    history.active_is_what_updates_leave();
    history.nothing_shown_is_taken_back();
    let counts = history.count();
    if counts.submitted == 0 || counts.committed == 0 || counts.updates == 0 || counts.replicas == 0 {
        let text = format!("nothing can be concluded from {counts:?}");
        history.violations.push(Violation { kind: Kind::Inconclusive, text });
    }
    Verdict { counts, violations: history.violations }
}

impl<'a> History<'a> {
    pub(crate) fn wrong(&mut self, kind: Kind, text: String) {
        self.violations.push(Violation { kind, text });
    }

    fn read(records: &'a [Record]) -> Self {
        let mut h = Self::default();
        for record in records {
            match record {
                Record::Submit { at, command, participant, stakeholders } => {
                    let c = h
                        .commands
                        .entry(command)
                        .or_insert_with(|| Command { first_submit: *at, ..Command::default() });
                    c.participant = participant;
                    c.stakeholders.extend(stakeholders.iter().map(String::as_str));
                }
                Record::Answer { at, command, submission, outcome } => {
                    let c = h.commands.entry(command).or_default();
                    c.ends_refused = matches!(outcome, Outcome::Rejected { .. });
                    match outcome {
                        Outcome::Rejected { .. } if submission.is_some() => c.refused.extend(submission.as_deref()),
                        Outcome::Committed { update_id } => {
                            c.committed.entry(update_id).or_insert(*at);
                        }
                        Outcome::Rejected { code } => c.rejected = Some(code),
                        Outcome::Unknown => c.was_unknown = true,
                    }
                }
                Record::Update { participant, replica, offset, update_id, command, record_time, created, archived } => {
                    let update = Update {
                        id: update_id,
                        command: command.as_deref(),
                        record_time: *record_time,
                        created,
                        archived,
                    };
                    let stream = h.streams.entry(participant).or_default().entry(replica).or_default();
                    h.shown.entry(replica).or_default().insert(update_id);
                    if stream.insert(*offset, update).is_some() {
                        h.wrong(Kind::Duplicated, format!("{replica} shows offset {offset} twice"));
                    }
                }
                Record::Completion { participant, replica, offset, command, submission, update_id } => {
                    let (submission, update) = (submission.as_deref(), update_id.as_deref());
                    let offset = *offset;
                    h.completed.push(Completed { participant, replica, offset, command, submission, update });
                    let by_replica = h.completions.entry((participant, command)).or_default();
                    by_replica.entry(replica).or_default().push((offset, update));
                }
                Record::Seen { participant, offset, update_id } => h.seen.push((participant, *offset, update_id)),
                Record::Verdict { record_time, approved } => h.verdicts.push((*record_time, *approved)),
                Record::LedgerEnd { participant, offset } => h.ends.push((participant, *offset)),
                Record::Active { participant, replica, contracts } => {
                    h.active.insert((participant, replica), contracts.iter().map(String::as_str).collect());
                }
                Record::ReadToEnd { participant, replica } => {
                    h.streams.entry(participant).or_default().entry(replica).or_default();
                }
            }
        }
        h
    }

    /// All replicas of a participant show the same stream.
    fn replicas_agree(&mut self) {
        let mut wrong = Vec::new();
        for (participant, replicas) in &self.streams {
            let mut all = replicas.iter();
            let Some((first, reference)) = all.next() else { continue };
            for (replica, stream) in all {
                let ids = |s: &Stream<'a>| s.iter().map(|(o, u)| (*o, u.id)).collect::<BTreeSet<_>>();
                let (a, b) = (ids(reference), ids(stream));
                for (offset, id) in a.symmetric_difference(&b) {
                    let has = if a.contains(&(*offset, *id)) { first } else { replica };
                    let kind = if reference.contains_key(offset) && stream.contains_key(offset) {
                        Kind::Divergent
                    } else {
                        Kind::Lost
                    };
                    wrong.push((
                        kind,
                        format!("of the replicas of {participant} only {has} shows update {id} at offset {offset}"),
                    ));
                }
                for (offset, update) in reference.iter() {
                    if let Some(other) = stream.get(offset).filter(|o| o.id == update.id)
                        && (sorted(other.created), sorted(other.archived))
                            != (sorted(update.created), sorted(update.archived))
                    {
                        wrong.push((
                            Kind::Divergent,
                            format!("{first} and {replica} show different contents of update {}", update.id),
                        ));
                    }
                }
            }
        }
        wrong.into_iter().for_each(|(kind, text)| self.wrong(kind, text));
    }

    /// Later offsets have later record times, and no update appears at two offsets.
    fn streams_are_ordered(&mut self) {
        let mut wrong = Vec::new();
        for (replica, stream) in self.streams.values().flatten() {
            let mut last = i64::MIN;
            let mut seen = BTreeSet::new();
            for (offset, update) in stream {
                if update.record_time <= last {
                    wrong.push((Kind::Reordered, format!("{replica}: record time does not grow at offset {offset}")));
                }
                last = update.record_time;
                if !seen.insert(update.id) {
                    wrong.push((Kind::Duplicated, format!("{replica}: update {} stands at two offsets", update.id)));
                }
            }
        }
        wrong.into_iter().for_each(|(kind, text)| self.wrong(kind, text));
    }

    /// An update has one record time on the network. Returns all updates with their record times and commands.
    fn participants_agree(&mut self) -> BTreeMap<&'a str, (i64, Option<&'a str>)> {
        let mut network: BTreeMap<&str, (i64, Option<&str>)> = BTreeMap::new();
        let mut wrong = Vec::new();
        for (participant, replicas) in &self.streams {
            for update in replicas.values().flat_map(BTreeMap::values) {
                let entry = network.entry(update.id).or_insert((update.record_time, update.command));
                if entry.0 != update.record_time {
                    wrong.push(format!("{participant} shows update {} at another record time than others", update.id));
                }
                if let (Some(known), Some(here)) = (entry.1, update.command)
                    && known != here
                {
                    wrong.push(format!("update {} carries the commands {known} and {here}", update.id));
                }
                entry.1 = entry.1.or(update.command);
            }
        }
        wrong.into_iter().for_each(|text| self.wrong(Kind::Divergent, text));
        network
    }

    /// What the mediator approved is an update, what it rejected is none (P8).
    fn participants_follow_the_mediator(&mut self, network: &BTreeMap<&'a str, (i64, Option<&'a str>)>) {
        let updates: BTreeSet<i64> = network.values().map(|(record_time, _)| *record_time).collect();
        let mut wrong = Vec::new();
        for (record_time, approved) in &self.verdicts {
            if *approved != updates.contains(record_time) {
                let (said, shown) = if *approved { ("approved", "no") } else { ("rejected", "an") };
                wrong.push(format!(
                    "the mediator {said} the request of {record_time}, participants show {shown} update"
                ));
            }
        }
        wrong.into_iter().for_each(|text| self.wrong(Kind::Divergent, text));
    }

    /// A contract is created and archived in the same updates, with the same content, at every stakeholder.
    fn stakeholders_see_the_same(&mut self) {
        // By contract and whether it is its creation: what each participant shows.
        let mut seen: BTreeMap<(&str, bool), Sightings<'_>> = BTreeMap::new();
        let mut wrong = Vec::new();
        for (participant, replicas) in &self.streams {
            let Some(stream) = replicas.values().max_by_key(|s| s.len()) else { continue };
            for update in stream.values() {
                let created = update.created.iter().map(|c| (c, true));
                for (contract, is_created) in created.chain(update.archived.iter().map(|c| (c, false))) {
                    let at = seen.entry((&contract.id, is_created)).or_default();
                    if at.insert(participant, (update.id, contract)).is_some() {
                        let what = if is_created { "created" } else { "archived" };
                        wrong.push((
                            Kind::Duplicated,
                            format!("{participant} shows contract {} {what} twice", contract.id),
                        ));
                    }
                }
            }
        }
        for ((id, is_created), at) in &seen {
            let what = if *is_created { "creation" } else { "archival" };
            let mut views = at.iter();
            let Some((first, (update, contract))) = views.next() else { continue };
            for (participant, (other_update, other)) in views {
                if (other_update, other) != (update, contract) {
                    wrong.push((
                        Kind::Divergent,
                        format!("{first} and {participant} differ in the {what} of contract {id}"),
                    ));
                }
            }
            for stakeholder in &contract.stakeholders {
                if self.streams.contains_key(stakeholder.as_str()) && !at.contains_key(stakeholder.as_str()) {
                    wrong.push((
                        Kind::Divergent,
                        format!("{stakeholder} does not show the {what} of contract {id}, {first} does"),
                    ));
                }
            }
        }
        wrong.into_iter().for_each(|(kind, text)| self.wrong(kind, text));
    }

    /// A command takes effect once if its client was told so, at most once if it was not, never if it was rejected.
    fn commands_have_one_effect(&mut self, network: &BTreeMap<&'a str, (i64, Option<&'a str>)>) {
        let mut effects: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (update, (_, command)) in network {
            if let Some(command) = command {
                effects.entry(command).or_default().insert(update);
            }
        }
        let mut wrong = Vec::new();
        for (name, command) in &self.commands {
            let none = BTreeSet::new();
            let effects = effects.get(name).unwrap_or(&none);
            if effects.len() > 1 {
                wrong.push((
                    Kind::Duplicated,
                    format!("command {name} took effect {} times: {effects:?}", effects.len()),
                ));
            }
            for update in command.committed.keys() {
                for stakeholder in &command.stakeholders {
                    let Some(replicas) = self.streams.get(stakeholder) else { continue };
                    for replica in replicas.keys() {
                        if !self.shows(replica, update) {
                            wrong.push((
                                Kind::Lost,
                                format!("command {name} was committed as {update}, but {replica} does not show it"),
                            ));
                        }
                    }
                }
            }
            match (command.rejected, effects.first()) {
                (Some(code), Some(update)) if command.committed.is_empty() => {
                    wrong.push((
                        Kind::Duplicated,
                        format!("command {name} was rejected with {code}, yet took effect as {update}"),
                    ));
                }
                (None, None)
                    if command.committed.is_empty()
                        && !command.ends_refused
                        && !self.completed(command.participant, name) =>
                {
                    wrong.push((Kind::Undecided, format!("command {name} was never decided")));
                }
                _ => {}
            }
        }
        for ((participant, name), replicas) in &self.completions {
            for (replica, list) in replicas {
                let accepted: BTreeSet<_> = list.iter().filter_map(|(_, update)| *update).collect();
                if list.iter().filter(|(_, update)| update.is_some()).count() > 1 {
                    wrong.push((
                        Kind::Duplicated,
                        format!("{replica} shows several successful completions of {name}: {accepted:?}"),
                    ));
                }
                for update in accepted {
                    let is_read = self.streams.get(participant).is_some_and(|r| r.contains_key(replica));
                    if is_read && !self.shows(replica, update) {
                        wrong.push((
                            Kind::Lost,
                            format!("{replica} completes {name} as {update}, but does not show that update"),
                        ));
                    }
                }
            }
        }
        wrong.into_iter().for_each(|(kind, text)| self.wrong(kind, text));
    }

    fn shows(&self, replica: &str, update: &str) -> bool {
        self.shown.get(replica).is_some_and(|ids| ids.contains(update))
    }

    fn completed(&self, participant: &str, command: &str) -> bool {
        self.completions.contains_key(&(participant, command))
    }

    /// A command submitted after another was known to have committed has the later record time (P6).
    fn order_follows_time(&mut self, network: &BTreeMap<&'a str, (i64, Option<&'a str>)>) {
        let mut moments: Vec<(i64, bool, i64, &str)> = Vec::new();
        for (name, command) in &self.commands {
            for (update, answered) in &command.committed {
                if let Some((record_time, _)) = network.get(update) {
                    moments.push((command.first_submit, false, *record_time, name));
                    moments.push((*answered, true, *record_time, name));
                }
            }
        }
        moments.sort_unstable();
        let mut latest_known = (i64::MIN, "");
        let mut wrong = Vec::new();
        for (_, is_answer, record_time, name) in moments {
            if is_answer {
                latest_known = latest_known.max((record_time, name));
            } else if record_time < latest_known.0 {
                wrong
                    .push(format!("{name} was submitted after {} had committed, yet stands before it", latest_known.1));
            }
        }
        wrong.into_iter().for_each(|text| self.wrong(Kind::Reordered, text));
    }

    fn count(&self) -> Counts {
        let updates = self.streams.values().filter_map(|r| r.values().map(BTreeMap::len).max()).sum();
        let effective: BTreeSet<&str> = self
            .streams
            .values()
            .flat_map(BTreeMap::values)
            .flat_map(BTreeMap::values)
            .filter_map(|u| u.command)
            .collect();
        let took_effect = |name: &str, c: &Command<'_>| !c.committed.is_empty() || effective.contains(name);
        let decided = |name: &str, c: &Command<'_>| {
            took_effect(name, c) || c.rejected.is_some() || c.ends_refused || self.completed(c.participant, name)
        };
        Counts {
            submitted: self.commands.len(),
            committed: self.commands.iter().filter(|(n, c)| took_effect(n, c)).count(),
            rejected: self.commands.iter().filter(|(n, c)| !took_effect(n, c) && decided(n, c)).count(),
            unknown_resolved: self.commands.iter().filter(|(n, c)| c.was_unknown && decided(n, c)).count(),
            updates,
            replicas: self.streams.values().map(BTreeMap::len).sum(),
        }
    }
}

fn sorted(contracts: &[Contract]) -> Vec<&Contract> {
    let mut sorted: Vec<_> = contracts.iter().collect();
    sorted.sort();
    sorted
}
