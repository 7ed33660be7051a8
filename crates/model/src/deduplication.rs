//! A participant that may die at any moment, a client that submits one change again and again, and a network that holds
//! requests back, repeats them, or refuses them: the change takes effect once, and whatever was accepted is completed once.

use base::{Hash, MessageId, Timestamp};
use participant_core::{
    InFlight, InFlightTracker, RegisterError,
    deduplication::{Acceptance, DeduplicationError, Reference, check},
};
use protocol::tree::{DeduplicationPeriod, Salt, SubmitterMetadata};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::{collections::BTreeMap, hash::Hasher, time::Duration};

const ATTEMPTS: usize = 2;
/// Events that the sequencer puts in order; the number of an event is its time.
const MAX_EVENTS: usize = 5;
/// A request must be sequenced so soon after its registration.
const WINDOW: i64 = 2;
const MAX_DEATHS: u8 = 2;
const PERIOD: Duration = Duration::from_secs(60);

const ONE_EFFECT: &str = "a change takes effect at most once";
const ONE_COMPLETION: &str = "no submission is completed twice, nor one that was not accepted";
const ALL_COMPLETED: &str = "in the end every accepted submission is completed";
const DUPLICATE: &str = "a submission is told that its change was accepted";
const UNDER_WAY: &str = "a submission is told that its change is under way";
const LOST: &str = "a submission ends by time, and the next one takes effect";
const REPLAY: &str = "a request is sequenced again";
const SURVIVED: &str = "a change takes effect after a death";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Sound,
    /// Whether the change was accepted is asked before, and not again when the submission is registered.
    DeduplicatesOutside,
    /// Completions are shown before the transaction that they are part of is committed.
    ShowsTooEarly,
    /// Within one transaction, submissions are looked at after what ends others.
    SubmissionsLast,
}

/// What the sequencer has put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sequenced {
    Request(usize),
    Verdict { request: Timestamp, approve: bool },
    Nothing,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tables {
    in_flight: InFlightTracker,
    accepted: Option<Acceptance>,
    /// Attempts with their outcome; the position is the offset.
    completions: Vec<(usize, bool)>,
    /// Up to here nothing need be replayed.
    clean: usize,
}

/// An undecided request: its attempt, and its verdict if an earlier one has to be published first.
type Pending = BTreeMap<Timestamp, (usize, Option<bool>)>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    in_flight: InFlightTracker,
    pending: Pending,
    position: usize,
    /// As its transaction under way will leave the tables.
    next: Tables,
    registered: Vec<usize>,
    to_send: Vec<usize>,
    /// Attempts that interpretation was begun for.
    at_the_door: [bool; ATTEMPTS],
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct World {
    tables: Tables,
    process: Option<Process>,
    events: Vec<Sequenced>,
    /// By attempt: whether its request is on its way, and until when it may be sequenced.
    network: [bool; ATTEMPTS],
    max: [Option<Timestamp>; ATTEMPTS],
    /// Completions as clients see them.
    shown: Vec<(usize, bool)>,
    deaths: u8,
    told_duplicate: bool,
    told_under_way: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Knock(usize),
    Register(usize),
    Commit,
    Send(usize),
    Refuse(usize),
    Sequence(usize),
    Decide { request: usize, approve: bool },
    Pass,
    Read,
    Die,
    Recover,
}

fn at(event: usize) -> Timestamp {
    Timestamp::from_micros(i64::try_from(event).expect("a few events")).expect("a small number")
}

fn message(attempt: usize) -> MessageId {
    format!("request-{attempt}").parse().expect("a message id")
}

/// All attempts are for the same change.
fn row(attempt: usize, max_sequencing_time: Timestamp) -> InFlight {
    let submitter = SubmitterMetadata {
        salt: Salt(Hash([0; 32])),
        act_as: ["alice::1220aa".parse().expect("a party")].into(),
        user: "user".parse().expect("a user"),
        command: "command".parse().expect("a command id"),
        submission: Some(format!("{attempt}").parse().expect("a submission id")),
        participant: format!("PAR::p::1220{}", "ab".repeat(32))
            .parse::<base::MemberId>()
            .ok()
            .and_then(|member| base::ParticipantId::try_from(member).ok())
            .expect("a participant"),
        deduplication: DeduplicationPeriod::Duration(PERIOD),
        max_sequencing_time,
    };
    let byte = u8::try_from(attempt).expect("a few attempts");
    let (change, root_hash) = (Hash([9; 32]), Hash([byte; 32]));
    InFlight { message: message(attempt), change, root_hash, submitter, sequenced: None }
}

fn duplicate(accepted: Option<&Acceptance>, position: usize) -> Option<DeduplicationError> {
    let reference = Reference { now: at(position), max_duration: PERIOD, pruned: None };
    check(DeduplicationPeriod::Duration(PERIOD), accepted, reference).err()
}

impl Process {
    fn recover(tables: &Tables) -> Self {
        let (in_flight, next, position) = (tables.in_flight.clone(), tables.clone(), tables.clean);
        let (registered, to_send, at_the_door) = (Vec::new(), Vec::new(), [false; ATTEMPTS]);
        Self { in_flight, pending: Pending::new(), position, next, registered, to_send, at_the_door }
    }

    /// Takes the next event as `participant_core::Participant` does; returns what it completes.
    fn read(&mut self, event: Sequenced) -> Vec<(usize, bool)> {
        let now = at(self.position + 1);
        let attempt = |row: &InFlight| usize::from(row.root_hash.0[0]);
        let lost: Vec<_> = self.in_flight.expire(now).iter().map(|row| (attempt(row), false)).collect();
        let mut ended = lost;
        match event {
            Sequenced::Request(number) => {
                self.in_flight.sequenced(&message(number), now);
                if self.in_flight.get(&message(number)).is_some_and(|row| row.sequenced == Some(now)) {
                    self.pending.insert(now, (number, None));
                }
            }
            Sequenced::Verdict { request, approve } => {
                if let Some((_, verdict)) = self.pending.get_mut(&request) {
                    verdict.get_or_insert(approve);
                }
            }
            Sequenced::Nothing => {}
        }
        while let Some(first) = self.pending.first_entry()
            && let (number, Some(approve)) = *first.get()
        {
            first.remove();
            self.in_flight.complete(&message(number));
            ended.push((number, approve));
        }
        self.position += 1;
        for (number, approve) in &ended {
            self.next.completions.push((*number, *approve));
            if *approve {
                let offset = self.next.completions.len() as u64;
                self.next.accepted = Some(Acceptance { offset, published: now, submission: None });
            }
        }
        let first = self.pending.keys().next().map(|request| request.micros() - 1);
        self.next.clean = first.map_or(self.position, |before| usize::try_from(before).unwrap_or(0));
        self.next.in_flight = self.in_flight.clone();
        ended
    }
}

impl World {
    fn can_sequence(&self, attempt: usize) -> bool {
        self.network[attempt] && self.max[attempt].is_some_and(|max| at(self.events.len() + 1) <= max)
    }

    /// An undecided request among those that the sequencer has put in order.
    fn is_open(&self, request: usize) -> bool {
        let decided = |event: &Sequenced| matches!(event, Sequenced::Verdict { request: r, .. } if *r == at(request));
        matches!(self.events.get(request.wrapping_sub(1)), Some(Sequenced::Request(_)))
            && !self.events.iter().any(decided)
    }

    fn register(&mut self, system: System, attempt: usize) -> bool {
        let Some(process) = self.process.as_mut().filter(|process| process.at_the_door[attempt]) else { return false };
        let ends_others = process.next.completions.len() > self.tables.completions.len();
        if ends_others && system != System::SubmissionsLast {
            return false;
        }
        process.at_the_door[attempt] = false;
        let accepted = self.tables.accepted.as_ref().filter(|_| system != System::DeduplicatesOutside);
        if duplicate(accepted, process.position).is_some() {
            self.told_duplicate = true;
            return true;
        }
        let max = Timestamp::saturating_from_micros(at(process.position).micros() + WINDOW);
        match process.in_flight.register(row(attempt, max), Some(at(process.position))) {
            Ok(()) => {
                self.max[attempt] = Some(max);
                process.registered.push(attempt);
                process.next.in_flight = process.in_flight.clone();
            }
            Err(RegisterError::AlreadyInFlight { .. }) => self.told_under_way = true,
            Err(RegisterError::TooLate { .. }) => return false,
        }
        true
    }

    fn commit(&mut self, system: System) -> bool {
        let Some(process) = self.process.as_mut().filter(|process| process.next != self.tables) else { return false };
        if system != System::ShowsTooEarly {
            self.shown.extend(&process.next.completions[self.tables.completions.len()..]);
        }
        self.tables = process.next.clone();
        process.to_send.append(&mut process.registered);
        true
    }

    fn read(&mut self, system: System) -> bool {
        let Some(process) = self.process.as_mut() else { return false };
        let Some(event) = self.events.get(process.position) else { return false };
        let ended = process.read(*event);
        if system == System::ShowsTooEarly {
            self.shown.extend(ended);
        }
        true
    }

    fn refuse(&mut self, attempt: usize) -> bool {
        let was_sequenced = self.events.contains(&Sequenced::Request(attempt));
        if was_sequenced || !std::mem::take(&mut self.network[attempt]) {
            return false;
        }
        // Whoever sent it may be dead, and then nobody hears the answer.
        let Some(process) = self.process.as_mut() else { return true };
        let waits = process.in_flight.get(&message(attempt)).is_some_and(|row| row.sequenced.is_none());
        if waits && process.in_flight.complete(&message(attempt)).is_some() {
            process.next.completions.push((attempt, false));
            process.next.in_flight = process.in_flight.clone();
        }
        true
    }

    /// Whether the step can happen; then it has.
    fn take(&mut self, system: System, step: Step) -> bool {
        let room = self.events.len() < MAX_EVENTS;
        match step {
            Step::Knock(attempt) => {
                let fresh = self.max[attempt].is_none();
                let Some(process) = self.process.as_mut().filter(|p| fresh && !p.at_the_door[attempt]) else {
                    return false;
                };
                let passes = duplicate(self.tables.accepted.as_ref(), process.position).is_none();
                process.at_the_door[attempt] = passes;
                passes
            }
            Step::Register(attempt) => self.register(system, attempt),
            Step::Commit => self.commit(system),
            Step::Send(attempt) => {
                let Some(process) = self.process.as_mut() else { return false };
                let before = process.to_send.len();
                process.to_send.retain(|other| *other != attempt);
                let sends = process.to_send.len() < before;
                self.network[attempt] |= sends;
                sends
            }
            Step::Refuse(attempt) => self.refuse(attempt),
            Step::Sequence(attempt) => {
                let can = room && self.can_sequence(attempt);
                self.events.extend(can.then_some(Sequenced::Request(attempt)));
                can
            }
            Step::Decide { request, approve } => {
                let can = room && self.is_open(request);
                self.events.extend(can.then_some(Sequenced::Verdict { request: at(request), approve }));
                can
            }
            Step::Pass => {
                self.events.extend(room.then_some(Sequenced::Nothing));
                room
            }
            Step::Read => self.read(system),
            Step::Die => {
                let can = self.deaths < MAX_DEATHS && self.process.take().is_some();
                self.deaths += u8::from(can);
                can
            }
            Step::Recover => {
                let can = self.process.is_none();
                self.process.get_or_insert_with(|| Process::recover(&self.tables));
                can
            }
        }
    }

    fn effects(&self) -> usize {
        self.shown.iter().filter(|(_, approve)| *approve).count()
    }

    /// Everything was read and stored, and nothing can be sequenced or decided any more.
    fn is_over(&self) -> bool {
        let reader = self.process.as_ref();
        let all_read = reader.is_some_and(|p| p.position == self.events.len() && p.next == self.tables);
        let now = at(self.events.len());
        let no_more = (0..ATTEMPTS).all(|attempt| self.max[attempt].is_none_or(|max| max < now));
        all_read && no_more && (1..=self.events.len()).all(|request| !self.is_open(request))
    }

    fn completed(&self, attempt: usize) -> usize {
        self.shown.iter().filter(|(other, _)| *other == attempt).count()
    }

    /// Registered in a transaction that was committed, now or at some time.
    fn was_accepted(&self, attempt: usize) -> bool {
        self.tables.in_flight.get(&message(attempt)).is_some()
            || self.tables.completions.iter().any(|(other, _)| *other == attempt)
    }
}

/// Of the rows in flight only the attempt and its sequencing differ between states.
impl std::hash::Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let tables = |tables: &Tables, state: &mut H| {
            let row = |attempt| tables.in_flight.get(&message(attempt)).map(|row| row.sequenced);
            [0; ATTEMPTS].iter().enumerate().for_each(|(attempt, _)| row(attempt).hash(state));
            (tables.accepted.as_ref().map(|a| (a.offset, a.published)), &tables.completions, tables.clean).hash(state);
        };
        tables(&self.tables, state);
        if let Some(process) = &self.process {
            tables(&process.next, state);
            (&process.pending, process.position, &process.registered, &process.to_send, process.at_the_door)
                .hash(state);
        }
        (&self.events, self.network, self.max, &self.shown, self.deaths).hash(state);
        (self.process.is_some(), self.told_duplicate, self.told_under_way).hash(state);
    }
}

struct Deduplication(System);

impl Model for Deduplication {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let tables = Tables::default();
        let process = Some(Process::recover(&tables));
        let (network, max) = ([false; ATTEMPTS], [None; ATTEMPTS]);
        let (events, shown) = (Vec::new(), Vec::new());
        vec![World {
            tables,
            process,
            events,
            network,
            max,
            shown,
            deaths: 0,
            told_duplicate: false,
            told_under_way: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Step>) {
        let of_attempt = (0..ATTEMPTS)
            .flat_map(|a| [Step::Knock(a), Step::Register(a), Step::Send(a), Step::Refuse(a), Step::Sequence(a)]);
        let verdicts =
            (1..=world.events.len()).flat_map(|request| [true, false].map(|approve| Step::Decide { request, approve }));
        let others = [Step::Commit, Step::Pass, Step::Read, Step::Die, Step::Recover];
        // Some are impossible; that shows when they are taken.
        actions.extend(of_attempt.chain(verdicts).chain(others));
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        next.take(self.0, step).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_EFFECT, |_, world: &World| world.effects() <= 1),
            Property::always(ONE_COMPLETION, |_, world: &World| {
                (0..ATTEMPTS).all(|a| world.completed(a) <= usize::from(world.was_accepted(a)))
            }),
            Property::always(ALL_COMPLETED, |_, world: &World| {
                !world.is_over() || (0..ATTEMPTS).all(|a| !world.was_accepted(a) || world.completed(a) == 1)
            }),
            Property::sometimes(DUPLICATE, |_, world: &World| world.told_duplicate),
            Property::sometimes(UNDER_WAY, |_, world: &World| world.told_under_way),
            Property::sometimes(LOST, |_, world: &World| {
                world.shown.len() == 2 && !world.shown[0].1 && world.shown[1].1 && world.is_over()
            }),
            Property::sometimes(REPLAY, |_, world: &World| {
                world.events.iter().filter(|event| **event == Sequenced::Request(0)).count() > 1 && world.is_over()
            }),
            Property::sometimes(SURVIVED, |_, world: &World| world.deaths > 1 && world.effects() == 1),
        ]
    }
}

#[test]
fn a_change_takes_effect_once_and_every_submission_ends_once() {
    let checker = Deduplication(System::Sound).checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.unique_state_count() > 10_000, "only {} states", checker.unique_state_count());
}

#[test]
fn each_safeguard_of_deduplication_is_needed() {
    for (mutant, broken) in [
        (System::DeduplicatesOutside, ONE_EFFECT),
        (System::SubmissionsLast, ONE_EFFECT),
        (System::ShowsTooEarly, ONE_COMPLETION),
    ] {
        let found = HasDiscoveries::AnyOf([broken].into());
        let checker = Deduplication(mutant).checker().finish_when(found).threads(2).spawn_bfs().join();
        assert!(checker.discovery(broken).is_some(), "{mutant:?} was not caught");
    }
}
