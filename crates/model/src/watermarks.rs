//! Two processes share two sequencer indexes: what a reader has used as its bound stays complete, whoever is knocked
//! out, comes back, or does not know that it was replaced.

use base::Timestamp;
use sequencer_core::{Sequencing, Watermark, safe_bound};
use stateright::{Checker, Model, Property};

const INDEXES: usize = 2;
const PROCESSES: usize = 2;
const MAX_EVENTS: usize = 3;
const MAX_INCARNATION: i64 = 2;
const MAX_TIME: i64 = 6;

const COMPLETE: &str = "no event appears at or below a bound that was used";
const NO_INTERLEAVING: &str = "no incarnation of an index writes after a later one";
const UNIQUE: &str = "no two events have the same time";
const REFUSED: &str = "a sequencer that was knocked out is refused";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Sound,
    /// The guard of a write does not look at the incarnation.
    ForgetsIncarnation,
    /// The guard of a write does not look at whether the sequencer was knocked out.
    ForgetsKnockOut,
    /// A new incarnation begins above its own watermark only.
    BeginsTooLow,
    /// Readers see everything up to the largest watermark.
    ReadsTooFar,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    rows: [Row; INDEXES],
    processes: [Option<Life>; PROCESSES],
    /// Time, index and incarnation in the order of commits.
    events: Vec<(Timestamp, usize, i64)>,
    used: Timestamp,
    late: bool,
    refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Row {
    online: bool,
    watermark: Timestamp,
    incarnation: i64,
}

/// What a process believes to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Life {
    index: usize,
    incarnation: i64,
    sequencing: Sequencing,
    /// The time of an event that is about to be committed.
    drawn: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    GoOnline { process: usize, index: usize },
    Draw { process: usize },
    Commit { process: usize },
    Die { process: usize },
    KnockOut { index: usize },
    Read,
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).expect("a small number of microseconds")
}

impl World {
    fn go_online(&mut self, system: System, process: usize, index: usize) -> bool {
        let row = self.rows[index];
        if self.processes[process].is_some() || row.online || row.incarnation == MAX_INCARNATION {
            return false;
        }
        let largest = self.rows.iter().map(|row| row.watermark).max().unwrap_or(row.watermark);
        let watermark = if system == System::BeginsTooLow { row.watermark } else { largest };
        let incarnation = row.incarnation + 1;
        self.rows[index] = Row { online: true, watermark, incarnation };
        let number = |n: usize| u32::try_from(n).expect("a few indexes");
        let sequencing = Sequencing::new(number(index), number(INDEXES), watermark);
        self.processes[process] = Some(Life { index, incarnation, sequencing, drawn: None });
        true
    }

    /// The time may be drawn long before the commit, and may be given up for a later one.
    fn draw(&mut self, process: usize) -> bool {
        let Some(life) = self.processes[process].as_mut() else { return false };
        if life.sequencing.last() >= at(MAX_TIME) {
            return false;
        }
        life.drawn = Some(life.sequencing.tick(at(0)));
        true
    }

    fn commit(&mut self, system: System, process: usize) -> bool {
        let Some(life) = self.processes[process].as_mut() else { return false };
        let Some(time) = life.drawn.take().filter(|_| self.events.len() < MAX_EVENTS) else { return false };
        let row = &mut self.rows[life.index];
        let online = row.online || system == System::ForgetsKnockOut;
        let current = row.incarnation == life.incarnation || system == System::ForgetsIncarnation;
        if online && current && row.watermark < time {
            row.watermark = time;
            self.events.push((time, life.index, life.incarnation));
            self.late |= time <= self.used;
        } else {
            self.processes[process] = None;
            self.refused = true;
        }
        true
    }

    fn knock_out(&mut self, index: usize) -> bool {
        std::mem::take(&mut self.rows[index].online)
    }

    fn read(&mut self, system: System) -> bool {
        let watermarks = self.rows.map(|Row { online, watermark, .. }| Watermark { online, watermark });
        let bound = match system {
            System::ReadsTooFar => watermarks.iter().map(|w| w.watermark).max(),
            _ => safe_bound(&watermarks),
        };
        let before = self.used;
        self.used = bound.map_or(before, |bound| bound.max(before));
        self.used != before
    }

    fn take(&mut self, system: System, step: Step) -> bool {
        match step {
            Step::GoOnline { process, index } => self.go_online(system, process, index),
            Step::Draw { process } => self.draw(process),
            Step::Commit { process } => self.commit(system, process),
            Step::Die { process } => self.processes[process].take().is_some(),
            Step::KnockOut { index } => self.knock_out(index),
            Step::Read => self.read(system),
        }
    }

    fn is_unique(&self) -> bool {
        self.events.iter().enumerate().all(|(i, (time, ..))| self.events[..i].iter().all(|(other, ..)| other != time))
    }

    fn incarnations_are_in_order(&self) -> bool {
        (0..INDEXES).all(|index| self.events.iter().filter(|event| event.1 == index).map(|event| event.2).is_sorted())
    }
}

struct Watermarks(System);

impl Model for Watermarks {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let row = Row { online: false, watermark: at(0), incarnation: 0 };
        let (rows, processes) = ([row; INDEXES], [const { None }; PROCESSES]);
        vec![World { rows, processes, events: Vec::new(), used: at(0), late: false, refused: false }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Step>) {
        let of_process = (0..PROCESSES).flat_map(|process| {
            let online = (0..INDEXES).map(move |index| Step::GoOnline { process, index });
            online.chain([Step::Draw { process }, Step::Commit { process }, Step::Die { process }])
        });
        let all = of_process.chain((0..INDEXES).map(|index| Step::KnockOut { index })).chain([Step::Read]);
        actions.extend(all.filter(|step| world.clone().take(self.0, *step)));
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        next.take(self.0, step).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(COMPLETE, |_, world: &World| !world.late),
            Property::always(NO_INTERLEAVING, |_, world: &World| world.incarnations_are_in_order()),
            Property::always(UNIQUE, |_, world: &World| world.is_unique()),
            Property::sometimes(REFUSED, |_, world: &World| world.refused),
        ]
    }
}

#[test]
fn what_was_read_stays_complete() {
    let checker = Watermarks(System::Sound).checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.unique_state_count() > 10_000, "only {} states", checker.unique_state_count());
}

#[test]
fn each_safeguard_is_needed() {
    for (mutant, broken) in [
        (System::ForgetsIncarnation, NO_INTERLEAVING),
        (System::ForgetsKnockOut, COMPLETE),
        (System::BeginsTooLow, COMPLETE),
        (System::ReadsTooFar, COMPLETE),
    ] {
        // Stops at the first violation: a mutant has more states than the sound system.
        let found = stateright::HasDiscoveries::AnyOf([broken].into());
        let checker = Watermarks(mutant).checker().finish_when(found).threads(2).spawn_bfs().join();
        assert!(checker.discovery(broken).is_some(), "{mutant:?} was not caught");
    }
}
