//! Two replicas of a node, a lock whose session may break at any moment, and writes that may pause inside a transaction:
//! no write of an epoch is committed after one of a later epoch.

use replica_core::{Effect, Event, Handover, MAX_BACK_OFF, Replica, Role};
use stateright::{Checker, Model, Property};
use std::time::Duration;

const REPLICAS: usize = 2;
const MAX_EPOCH: i64 = 3;
const MAX_COMMITS: usize = 3;

const IN_ORDER: &str = "writes are committed in the order of their epochs";
const ONE_ACTIVE: &str = "one replica at most is active in the current epoch";
const REFUSED: &str = "a replica that was replaced is refused";
const HANDED_OVER: &str = "a hand-over succeeds";
const TWO_TERMS: &str = "two epochs write";

/// What the first statement of a write transaction does about the row of epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fence {
    /// Compares the epoch and keeps the row locked until the end, so that nobody can raise it meanwhile.
    RowLock,
    /// Mutant: compares the epoch, locks nothing.
    PlainRead,
    /// Mutant: nothing.
    Missing,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    /// Whose session holds the lock, as the database sees it.
    lock: Option<usize>,
    epoch: i64,
    /// The epochs of committed writes, in the order of their commits.
    commits: Vec<i64>,
    replicas: Vec<Process>,
    refused: bool,
    handed_over: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    automaton: Replica,
    campaigning: bool,
    /// Has the lock, and is about to raise the epoch on the same session.
    won: bool,
    activating: bool,
    deactivating: bool,
    wake: bool,
    write: Option<Write>,
}

/// A transaction that has passed the fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Write {
    epoch: i64,
    locks_row: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Lock,
    Raise,
    /// The database drops the session of the lock; its owner need not notice.
    Lose,
    Notice,
    Activated,
    Deactivated,
    Fail,
    HandOver,
    PeerHolds,
    Tick,
    Begin,
    Commit,
    /// The database ends a transaction that is silent for too long.
    Abort,
    /// The process is killed and started again.
    Crash,
}

const STEPS: [Step; 14] = [
    Step::Lock,
    Step::Raise,
    Step::Lose,
    Step::Notice,
    Step::Activated,
    Step::Deactivated,
    Step::Fail,
    Step::HandOver,
    Step::PeerHolds,
    Step::Tick,
    Step::Begin,
    Step::Commit,
    Step::Abort,
    Step::Crash,
];

impl Process {
    fn start() -> Self {
        let mut automaton = Replica::default();
        let effects = automaton.step(Duration::ZERO, Event::Started);
        assert!(effects.contains(&Effect::Campaign), "a replica campaigns when it has started: {effects:?}");
        let (won, activating, deactivating, wake) = (false, false, false, false);
        Self { automaton, campaigning: true, won, activating, deactivating, wake, write: None }
    }

    /// The epoch in whose name it acts.
    fn epoch(&self) -> Option<i64> {
        match self.automaton.role() {
            Role::Activating { epoch } | Role::Active { epoch } | Role::Leaving { epoch } => Some(epoch),
            Role::Starting | Role::Passive | Role::Stopped => None,
        }
    }

    fn active(&self) -> Option<i64> {
        self.epoch().filter(|epoch| self.automaton.role() == Role::Active { epoch: *epoch })
    }
}

impl World {
    fn feed(&mut self, who: usize, now: Duration, event: Event) {
        let process = &mut self.replicas[who];
        for effect in process.automaton.step(now, event) {
            match effect {
                Effect::Publish(_) => {}
                Effect::Campaign => process.campaigning = true,
                Effect::Withdraw => process.campaigning = false,
                Effect::Activate { .. } => process.activating = true,
                Effect::Deactivate => (process.activating, process.deactivating) = (false, true),
                Effect::ReleaseLock if self.lock == Some(who) => self.lock = None,
                Effect::ReleaseLock => {}
                Effect::Answer { outcome, .. } => self.handed_over |= outcome == Handover::TookOver,
                Effect::WakeAt(_) => process.wake = true,
            }
        }
    }

    /// Whether the step can happen; then it has.
    fn take(&mut self, fence: Fence, who: usize, step: Step) -> bool {
        let other = 1 - who;
        let (me, peer) = (self.replicas[who].clone(), self.replicas[other].clone());
        let now = Duration::ZERO;
        let possible = match step {
            Step::Lock => self.lock.is_none() && me.campaigning,
            Step::Raise => me.won && self.epoch < MAX_EPOCH && !self.row_is_locked(),
            Step::Lose => self.lock == Some(who),
            Step::Notice => me.epoch().is_some() && self.lock != Some(who),
            Step::Activated => me.activating,
            Step::Deactivated => me.deactivating && me.write.is_none(),
            Step::Fail => me.activating || me.active().is_some(),
            Step::HandOver => me.active().is_some(),
            Step::PeerHolds => self.lock == Some(other) && !peer.won,
            Step::Tick => me.wake,
            Step::Begin => me.active().is_some() && me.write.is_none(),
            Step::Commit => me.write.is_some() && self.commits.len() < MAX_COMMITS,
            Step::Abort => me.write.is_some(),
            Step::Crash => true,
        };
        if !possible {
            return false;
        }
        let process = &mut self.replicas[who];
        match step {
            Step::Lock => {
                self.lock = Some(who);
                process.won = true;
            }
            Step::Raise => {
                self.epoch += 1;
                (process.won, process.campaigning) = (false, false);
                let epoch = self.epoch;
                self.feed(who, now, Event::LockWon { epoch });
            }
            Step::Lose => {
                self.lock = None;
                process.won = false;
            }
            Step::Notice => me.epoch().into_iter().for_each(|epoch| self.feed(who, now, Event::LockLost { epoch })),
            Step::Activated => {
                process.activating = false;
                self.feed(who, now, Event::Activated);
            }
            Step::Deactivated => {
                process.deactivating = false;
                self.feed(who, now, Event::Deactivated);
            }
            Step::Fail => self.feed(who, now, Event::Failed),
            Step::HandOver => {
                self.feed(who, now, Event::SetPassive { request: 1, standby_waits: peer.campaigning });
            }
            Step::PeerHolds => self.feed(who, now, Event::PeerHolds),
            Step::Tick => {
                process.wake = false;
                self.feed(who, MAX_BACK_OFF, Event::Tick);
            }
            Step::Begin => me.active().into_iter().for_each(|epoch| self.begin(fence, who, epoch)),
            Step::Commit => self.commits.extend(process.write.take().map(|write| write.epoch)),
            Step::Abort => process.write = None,
            Step::Crash => {
                *process = Process::start();
                self.lock = self.lock.filter(|holder| *holder != who);
            }
        }
        true
    }

    fn begin(&mut self, fence: Fence, who: usize, epoch: i64) {
        if fence == Fence::Missing || self.epoch == epoch {
            self.replicas[who].write = Some(Write { epoch, locks_row: fence == Fence::RowLock });
        } else {
            self.refused = true;
            self.feed(who, Duration::ZERO, Event::LockLost { epoch });
        }
    }

    fn row_is_locked(&self) -> bool {
        self.replicas.iter().any(|process| process.write.is_some_and(|write| write.locks_row))
    }
}

struct Election(Fence);

impl Model for Election {
    type State = World;
    type Action = (usize, Step);

    fn init_states(&self) -> Vec<World> {
        let replicas = vec![Process::start(); REPLICAS];
        vec![World { lock: None, epoch: 0, commits: Vec::new(), replicas, refused: false, handed_over: false }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Self::Action>) {
        let all = (0..REPLICAS).flat_map(|who| STEPS.map(|step| (who, step)));
        actions.extend(all.filter(|(who, step)| world.clone().take(self.0, *who, *step)));
    }

    fn next_state(&self, world: &World, (who, step): Self::Action) -> Option<World> {
        let mut next = world.clone();
        next.take(self.0, who, step).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(IN_ORDER, |_, world: &World| world.commits.is_sorted()),
            Property::always(ONE_ACTIVE, |_, world: &World| {
                world.replicas.iter().filter(|process| process.active() == Some(world.epoch)).count() <= 1
            }),
            Property::sometimes(REFUSED, |_, world: &World| world.refused),
            Property::sometimes(HANDED_OVER, |_, world: &World| world.handed_over),
            Property::sometimes(TWO_TERMS, |_, world: &World| world.commits.windows(2).any(|w| w[0] < w[1])),
        ]
    }
}

#[test]
fn no_write_comes_after_one_of_a_later_epoch() {
    let checker = Election(Fence::RowLock).checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.unique_state_count() > 10_000, "only {} states", checker.unique_state_count());
}

#[test]
fn without_the_fence_an_old_write_comes_late() {
    for mutant in [Fence::Missing, Fence::PlainRead] {
        let checker = Election(mutant).checker().threads(2).spawn_bfs().join();
        assert!(checker.discovery(IN_ORDER).is_some(), "{mutant:?} was not caught");
    }
}
