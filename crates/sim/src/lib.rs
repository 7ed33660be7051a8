//! Deterministic simulation: the deciders that run in production, with the network, the database and the machines around
//! them simulated under one seed (spec/reliability.md §3.3). One seed is one history, to the last message, as often as it is
//! run. For proofs; nothing of it is part of the product.
//!
//! A network of two participants and a mediator, two replicas each, and three sequencers, on one database server. Clients
//! ask for commands while crashes, pauses, partitions and lost sessions happen; then everything heals, and must come to
//! rest. `audit.rs` says what must hold at every moment, `mutant.rs` what must be noticed if it is taken away.
//!
//! `executor.rs` schedules · `network.rs`, `database/` are simulated · `node/` are the shells around the deciders ·
//! `workload.rs`, `client.rs` ask · `nemesis.rs` breaks · `audit.rs` judges. No clock, no thread, no other chance.

mod audit;
mod client;
mod database;
mod executor;
mod messages;
mod mutant;
mod nemesis;
mod network;
mod node;
mod rng;
#[cfg(test)]
mod tests;
mod trace;
mod workload;

pub use mutant::Mutant;

use client::Clients;
use database::{Server, Tables};
use executor::{Host, ProcessId, Sim};
use futures::channel::mpsc;
use network::Network;
use replica_core::Role;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    ops::Range,
    rc::Rc,
    time::Duration,
};
use workload::Setup;

/// Where messages travel and faults come from. Never crashes.
const WORLD: ProcessId = 0;
/// The database server.
const DATABASE: ProcessId = 1;
/// Two replicas of each of two participants, two of the mediator, three sequencers, the clients.
const NAMES: [&str; 12] = ["world", "db", "p0a", "p0b", "p1a", "p1b", "ma", "mb", "s0", "s1", "s2", "users"];
const REPLICAS: Range<ProcessId> = 2..8;
const SEQUENCERS: Range<ProcessId> = 8..11;
const USERS: ProcessId = 11;
const PARTICIPANTS: usize = 2;
/// The mediator's number among the logical nodes.
const MEDIATOR: usize = 2;
const CLIENTS: usize = 3;

/// How long the network may take to come to rest after the last fault.
const HEALING: Duration = Duration::from_secs(240);

/// After the last fault has begun, until it is over and everybody has noticed.
const AFTERMATH: Duration = Duration::from_secs(30);

/// What to simulate.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long clients ask and faults happen; healing comes on top.
    pub faults: Duration,
    /// A safeguard to take away.
    pub mutant: Option<Mutant>,
    /// So many of the last lines of the trace are kept.
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { faults: Duration::from_secs(40), mutant: None, keep: 200 }
    }
}

/// What happened under one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What went wrong, if anything did.
    pub violation: Option<String>,
    /// The same if and only if the same happened.
    pub hash: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Steps of tasks.
    pub steps: u64,
    /// Lines of the trace, also those that were not kept.
    pub events: u64,
    /// Commands that clients asked for.
    pub commands: u64,
    /// How often what should happen sometimes did.
    pub counters: BTreeMap<&'static str, u64>,
    /// The last lines of the trace.
    pub trace: Vec<String>,
}

/// What happened under many seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Simulated time, of all seeds.
    pub simulated: Duration,
    counts: BTreeMap<&'static str, u64>,
}

impl Totals {
    /// One more seed.
    pub fn add(&mut self, outcome: &Outcome) {
        self.simulated += outcome.simulated;
        let own = [
            ("seeds", 1),
            ("steps", outcome.steps),
            ("lines of the trace", outcome.events),
            ("commands", outcome.commands),
            ("seeds with a violation", u64::from(outcome.violation.is_some())),
        ];
        for (what, count) in own.into_iter().chain(outcome.counters.iter().map(|(what, count)| (*what, *count))) {
            *self.counts.entry(what).or_default() += count;
        }
    }

    /// The same of other seeds.
    pub fn merge(&mut self, other: &Self) {
        self.simulated += other.simulated;
        for (what, count) in &other.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }

    /// How often this happened.
    #[must_use]
    pub fn count(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// Everything that was counted.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let simulated = ("simulated seconds", self.simulated.as_secs());
        [simulated].into_iter().chain(self.counts.iter().map(|(what, count)| (*what, *count)))
    }
}

/// The simulated world.
struct World {
    sim: Sim,
    network: Network,
    server: Rc<Server>,
    setup: Rc<Setup>,
    clients: Clients,
    /// After which silence a holder or a sequencer is taken for dead.
    lease: Duration,
    /// How much too fast each process's clock runs.
    drifts: Vec<i64>,
    /// Roles as replicas publish them; a process that is down has none.
    roles: RefCell<BTreeMap<ProcessId, Rc<Cell<Role>>>>,
    handovers: RefCell<BTreeMap<ProcessId, mpsc::UnboundedSender<()>>>,
}

/// Runs simulations; what they have in common is made once.
pub struct Simulator {
    setup: Rc<Setup>,
}

impl Default for Simulator {
    fn default() -> Self {
        Self { setup: Rc::new(Setup::new()) }
    }
}

impl Simulator {
    /// Runs one seed to its end, or to the first violation.
    #[must_use]
    pub fn run(&self, seed: u64, options: Options) -> Outcome {
        let world = World::new(seed, self.setup.clone(), options);
        world.begin(options.faults);
        let sim = &world.sim;
        sim.run_until(options.faults);
        world.clients.is_over.set(true);
        // Whatever is still broken is whole again by then.
        let end = options.faults + HEALING;
        while sim.audit(|audit| audit.violation().is_none()) && world.unrest().is_some() && sim.now() < end {
            sim.run_until(sim.now() + Duration::from_secs(1));
            if sim.now() > options.faults + AFTERMATH {
                sim.audit(|audit| audit.in_peace(sim.now()));
            }
        }
        world.judge();
        let outcome = Outcome {
            seed,
            violation: sim.audit(|audit| audit.violation().map(str::to_owned)),
            hash: sim.trace(trace::Trace::hash),
            simulated: sim.now(),
            steps: sim.polls(),
            events: sim.trace(trace::Trace::count),
            commands: world.clients.commands.get(),
            counters: sim.audit(|audit| audit.counters().clone()),
            trace: sim.trace(trace::Trace::lines),
        };
        sim.shut_down();
        outcome
    }
}

impl World {
    fn new(seed: u64, setup: Rc<Setup>, options: Options) -> Rc<Self> {
        let sim = Sim::new(seed, options.keep, NAMES.to_vec());
        let network = Network::new(&sim);
        let tables = Tables::new(PARTICIPANTS, sequencer_count());
        let start = setup.scenario.network.now();
        let host = Host::new(&sim, DATABASE, 0);
        let server = Server::new(host, network.clone(), tables, start, options.mutant);
        let drifts = NAMES.iter().map(|_| sim.draw(|rng| i64::try_from(rng.below(40_000)).unwrap_or(0) - 20_000));
        let drifts = drifts.collect();
        let lease = sim.draw(|rng| rng.between(Duration::from_millis(300), Duration::from_millis(1500)));
        let (clients, roles, handovers) = (Clients::default(), RefCell::default(), RefCell::default());
        Rc::new(Self { sim, network, server, setup, clients, lease, drifts, roles, handovers })
    }

    fn sequencers(&self) -> Range<ProcessId> {
        SEQUENCERS
    }

    fn sequencer_count(&self) -> u32 {
        sequencer_count()
    }

    /// Everything that can crash.
    fn nodes(&self) -> Range<ProcessId> {
        REPLICAS.start..SEQUENCERS.end
    }

    /// Of a participant.
    fn replicas(&self, participant: usize) -> Range<ProcessId> {
        let first = REPLICAS.start + 2 * participant;
        first..first + 2
    }

    fn begin(self: &Rc<Self>, faults: Duration) {
        self.nodes().for_each(|node| self.start(node));
        for _ in 0..CLIENTS {
            let host = self.host(USERS);
            host.spawn(client::run(self.clone(), host.clone()));
        }
        self.sim.spawn(WORLD, 0, nemesis::run(self.clone(), faults));
    }

    fn host(&self, process: ProcessId) -> Host {
        Host::new(&self.sim, process, self.drifts[process])
    }

    /// Starts a process that is down.
    fn start(self: &Rc<Self>, process: ProcessId) {
        let is_sequencer = SEQUENCERS.contains(&process);
        if !is_sequencer && self.roles.borrow().contains_key(&process) {
            return;
        }
        // Two faults may have taken it down, and each brings it up.
        self.crash(process);
        let host = self.host(process);
        if is_sequencer {
            return node::sequencer(self, &host);
        }
        let role = Rc::new(Cell::new(Role::Starting));
        let (asked, handovers) = mpsc::unbounded();
        self.roles.borrow_mut().insert(process, role.clone());
        self.handovers.borrow_mut().insert(process, asked);
        match (process - REPLICAS.start) / 2 {
            MEDIATOR => node::mediator(self, &host, role, handovers),
            number => node::participant(self, &host, number, role, handovers),
        }
    }

    /// Ends a process at once.
    fn crash(&self, process: ProcessId) {
        self.sim.kill(process);
        self.roles.borrow_mut().remove(&process);
        self.handovers.borrow_mut().remove(&process);
    }

    fn hand_over(&self, process: ProcessId) {
        if let Some(asked) = self.handovers.borrow().get(&process) {
            // A process that is down hears nothing.
            drop(asked.unbounded_send(()));
        }
    }

    /// Why the network is not at rest yet.
    fn unrest(&self) -> Option<String> {
        let open = self.clients.open.get();
        if open > 0 {
            return Some(format!("{open} commands have no definite answer"));
        }
        let roles = self.roles.borrow();
        for pair in REPLICAS.collect::<Vec<_>>().chunks(2) {
            let active = pair.iter().filter_map(|process| roles.get(process));
            let active = active.filter(|role| matches!(role.get(), Role::Active { .. })).count();
            if active != 1 {
                return Some(format!("{active} of the replicas {pair:?} are active"));
            }
        }
        let tables = self.server.tables.borrow();
        if tables.indexes.iter().any(|row| !row.mark.online) {
            return Some("a sequencer is not online".into());
        }
        if tables.participants.iter().any(|tables| !tables.in_flight.is_empty()) {
            return Some("a submission is in flight".into());
        }
        if tables.mediator.verdicts.values().any(|(_, settled)| !settled) {
            return Some("a verdict is not settled".into());
        }
        let updates: Vec<_> = tables.participants.iter().map(database::ParticipantTables::updates).collect();
        updates.windows(2).any(|pair| pair[0] != pair[1]).then(|| "a participant has not caught up".into())
    }

    fn judge(&self) {
        let unrest = self.unrest();
        let tables = self.server.tables.borrow();
        self.sim.audit(|audit| match unrest {
            Some(why) => audit.violated(format_args!("no rest {}s after the last fault: {why}", HEALING.as_secs())),
            None => audit.at_the_end(&tables),
        });
    }
}

fn sequencer_count() -> u32 {
    u32::try_from(SEQUENCERS.len()).unwrap_or(u32::MAX)
}
