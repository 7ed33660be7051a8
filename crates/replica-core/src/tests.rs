use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const EPOCH: i64 = 7;
const T0: Duration = Duration::from_secs(1000);

/// A replica that went through the events at one time.
fn after(events: &[Event]) -> Replica {
    let mut replica = Replica::default();
    for event in events {
        replica.step(T0, *event);
    }
    replica
}

fn passive() -> Replica {
    after(&[Event::Started])
}

fn activating() -> Replica {
    after(&[Event::Started, Event::LockWon { epoch: EPOCH }])
}

fn active() -> Replica {
    after(&[Event::Started, Event::LockWon { epoch: EPOCH }, Event::Activated])
}

fn ask(standby_waits: bool) -> Event {
    Event::SetPassive { request: 1, standby_waits }
}

fn answer(outcome: Handover) -> Effect {
    Effect::Answer { request: 1, outcome }
}

#[test]
fn starts_by_campaigning() {
    let mut replica = Replica::default();
    assert_eq!(replica.step(T0, Event::Started), [Effect::Publish(Role::Passive), Effect::Campaign]);
    assert_eq!(replica.step(T0, Event::Started), []);
}

#[test]
fn the_winner_activates() {
    let mut replica = passive();
    let role = Role::Activating { epoch: EPOCH };
    assert_eq!(
        replica.step(T0, Event::LockWon { epoch: EPOCH }),
        [Effect::Publish(role), Effect::Activate { epoch: EPOCH }]
    );
    assert_eq!(replica.step(T0, Event::Activated), [Effect::Publish(Role::Active { epoch: EPOCH })]);
}

#[test]
fn a_lost_lock_ends_the_role_and_is_not_released() {
    for mut replica in [activating(), active()] {
        let leaving = Role::Leaving { epoch: EPOCH };
        assert_eq!(
            replica.step(T0, Event::LockLost { epoch: EPOCH }),
            [Effect::Publish(leaving), Effect::Deactivate],
            "the role is given up before anything is stopped"
        );
        assert_eq!(replica.step(T0, Event::LockLost { epoch: EPOCH }), []);
        assert_eq!(replica.step(T0, Event::Activated), [], "too late");
        assert_eq!(replica.step(T0, Event::Deactivated), [Effect::Publish(Role::Passive), Effect::Campaign]);
    }
}

#[test]
fn a_lock_that_was_lost_earlier_is_nobodys_concern() {
    let mut replica = active();
    assert_eq!(replica.step(T0, Event::LockLost { epoch: EPOCH - 1 }), []);
    assert_eq!(replica.role(), Role::Active { epoch: EPOCH });
}

#[test]
fn failure_gives_the_lock_to_another() {
    for mut replica in [activating(), active()] {
        replica.step(T0, Event::Failed);
        assert_eq!(
            replica.step(T0, Event::Deactivated),
            [Effect::ReleaseLock, Effect::Publish(Role::Passive), Effect::Campaign]
        );
    }
}

#[test]
fn a_lock_lost_while_leaving_is_not_released() {
    let mut replica = active();
    replica.step(T0, Event::Failed);
    assert_eq!(replica.step(T0, Event::LockLost { epoch: EPOCH }), []);
    assert_eq!(replica.step(T0, Event::Deactivated), [Effect::Publish(Role::Passive), Effect::Campaign]);
}

#[test]
fn short_terms_in_a_row_back_off_and_a_good_one_resets() {
    let mut replica = passive();
    let mut now = T0;
    let mut waits = Vec::new();
    let mut term = |replica: &mut Replica, length: Duration, epoch| {
        replica.step(now, Event::LockWon { epoch });
        now += length;
        replica.step(now, Event::Failed);
        let effects = replica.step(now, Event::Deactivated);
        let wait = effects.iter().find_map(|e| if let Effect::WakeAt(at) = e { Some(*at - now) } else { None });
        assert_eq!(wait.is_none(), effects.contains(&Effect::Campaign));
        if let Some(wait) = wait {
            assert_eq!(replica.step(now, Event::Tick), [Effect::WakeAt(now + wait)], "too early");
            now += wait;
            assert_eq!(replica.step(now, Event::Tick), [Effect::Campaign]);
            assert_eq!(replica.step(now, Event::Tick), [], "one campaign at a time");
        }
        wait.unwrap_or_default()
    };
    for epoch in 1..=10 {
        waits.push(term(&mut replica, Duration::from_secs(1), epoch).as_millis());
    }
    assert_eq!(waits, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    assert_eq!(term(&mut replica, GOOD_TERM, 11), Duration::ZERO);
    assert_eq!(term(&mut replica, Duration::ZERO, 12), Duration::ZERO);
    assert_eq!(term(&mut replica, Duration::ZERO, 13), FIRST_BACK_OFF);
}

#[test]
fn handing_over_succeeds_when_another_has_taken_over() {
    let mut replica = active();
    assert_eq!(replica.step(T0, ask(true)), [Effect::Publish(Role::Leaving { epoch: EPOCH }), Effect::Deactivate]);
    let again = Event::SetPassive { request: 2, standby_waits: true };
    assert_eq!(replica.step(T0, again), [Effect::Answer { request: 2, outcome: Handover::Busy }]);
    let later = T0 + HANDOVER_GRACE;
    assert_eq!(
        replica.step(T0, Event::Deactivated),
        [Effect::ReleaseLock, Effect::Publish(Role::Passive), Effect::WakeAt(later)],
        "the others have the first try"
    );
    assert_eq!(replica.step(later, Event::Tick), [Effect::Campaign, Effect::WakeAt(T0 + HANDOVER_LIMIT)]);
    assert_eq!(replica.step(later, Event::PeerHolds), [answer(Handover::TookOver)]);
    assert_eq!(replica.step(later, Event::PeerHolds), []);
}

#[test]
fn handing_over_fails_when_nobody_takes_over() {
    let mut replica = active();
    assert_eq!(replica.step(T0, ask(false)), [answer(Handover::NobodyElse)]);
    assert_eq!(replica.role(), Role::Active { epoch: EPOCH }, "without a standby the work goes on");

    replica.step(T0, ask(true));
    replica.step(T0, Event::Deactivated);
    replica.step(T0 + HANDOVER_GRACE, Event::Tick);
    let effects = replica.step(T0 + HANDOVER_GRACE, Event::LockWon { epoch: EPOCH + 1 });
    assert_eq!(effects[0], answer(Handover::NobodyElse));
    assert_eq!(replica.role(), Role::Activating { epoch: EPOCH + 1 });
}

#[test]
fn a_hand_over_is_answered_even_if_nothing_happens() {
    let mut replica = active();
    replica.step(T0, ask(true));
    replica.step(T0, Event::Deactivated);
    replica.step(T0 + HANDOVER_GRACE, Event::Tick);
    assert_eq!(replica.step(T0 + HANDOVER_LIMIT, Event::Tick), [answer(Handover::TimedOut)]);
    assert_eq!(replica.role(), Role::Passive);
}

#[test]
fn requests_in_other_roles_are_answered_at_once() {
    assert_eq!(passive().step(T0, ask(true)), [answer(Handover::WasPassive)]);
    assert_eq!(Replica::default().step(T0, ask(true)), [answer(Handover::WasPassive)]);
    assert_eq!(activating().step(T0, ask(true)), [answer(Handover::Busy)]);
    assert_eq!(after(&[Event::Shutdown]).step(T0, ask(true)), [answer(Handover::ShuttingDown)]);
}

#[test]
fn shutdown_winds_down_from_every_role() {
    assert_eq!(Replica::default().step(T0, Event::Shutdown), [Effect::Publish(Role::Stopped)]);
    assert_eq!(passive().step(T0, Event::Shutdown), [Effect::Withdraw, Effect::Publish(Role::Stopped)]);
    for mut replica in [activating(), active()] {
        let leaving = Role::Leaving { epoch: EPOCH };
        assert_eq!(replica.step(T0, Event::Shutdown), [Effect::Publish(leaving), Effect::Deactivate]);
        assert_eq!(replica.step(T0, Event::Deactivated), [Effect::ReleaseLock, Effect::Publish(Role::Stopped)]);
    }
    let mut handing_over = active();
    handing_over.step(T0, ask(true));
    assert_eq!(handing_over.step(T0, Event::Shutdown), [answer(Handover::ShuttingDown)]);
    assert_eq!(handing_over.step(T0, Event::Deactivated), [Effect::ReleaseLock, Effect::Publish(Role::Stopped)]);
    assert_eq!(handing_over.step(T0, Event::Started), []);
}

/// Two replicas, one lock, one epoch row; messages between a replica's automaton and the world take any time.
#[derive(Default)]
struct World {
    replicas: [Replica; 2],
    inbox: [VecDeque<Event>; 2],
    campaigning: [bool; 2],
    holder: Option<usize>,
    epoch: i64,
    now: Duration,
    /// Epochs of accepted writes, with the writer.
    log: Vec<(i64, usize)>,
    fenced: usize,
    asked: u64,
    answered: u64,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Deliver(usize),
    DropLock,
    Write(usize),
    Fail(usize),
    SetPassive(usize),
    Advance(u64),
}

impl World {
    fn start() -> Self {
        let mut world = Self::default();
        world.inbox.iter_mut().for_each(|inbox| inbox.push_back(Event::Started));
        world
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Deliver(i) => {
                if let Some(event) = self.inbox[i].pop_front() {
                    self.step(i, event);
                }
            }
            Op::DropLock => self.free(true),
            Op::Write(i) => match self.replicas[i].role() {
                Role::Active { epoch } if epoch == self.epoch => self.log.push((epoch, i)),
                Role::Active { epoch } => {
                    self.fenced += 1;
                    self.inbox[i].push_back(Event::LockLost { epoch });
                }
                _ => {}
            },
            Op::Fail(i) => self.inbox[i].push_back(Event::Failed),
            Op::SetPassive(i) => {
                self.asked += 1;
                let standby_waits = self.campaigning[1 - i];
                self.step(i, Event::SetPassive { request: self.asked, standby_waits });
            }
            Op::Advance(ms) => {
                self.now += Duration::from_millis(ms);
                (0..2).for_each(|i| self.step(i, Event::Tick));
            }
        }
        self.grant();
    }

    fn free(&mut self, tell: bool) {
        if let Some(i) = self.holder.take().filter(|_| tell) {
            self.inbox[i].push_back(Event::LockLost { epoch: self.epoch });
        }
    }

    /// The lock goes to whoever waits; winning raises the fence before the winner hears of it.
    fn grant(&mut self) {
        if self.holder.is_none()
            && let Some(i) = (0..2).find(|i| self.campaigning[*i])
        {
            self.holder = Some(i);
            self.campaigning[i] = false;
            self.epoch += 1;
            self.inbox[i].push_back(Event::LockWon { epoch: self.epoch });
        }
        if let Some(i) = self.holder.filter(|i| self.campaigning[1 - i]) {
            self.step(1 - i, Event::PeerHolds);
        }
    }

    fn step(&mut self, i: usize, event: Event) {
        for effect in self.replicas[i].step(self.now, event) {
            match effect {
                Effect::Campaign => {
                    assert!(!self.campaigning[i] && self.holder != Some(i), "one campaign at a time");
                    self.campaigning[i] = true;
                }
                Effect::Withdraw => self.campaigning[i] = false,
                Effect::Activate { .. } => self.inbox[i].push_back(Event::Activated),
                Effect::Deactivate => self.inbox[i].push_back(Event::Deactivated),
                Effect::ReleaseLock => {
                    if self.holder == Some(i) {
                        self.free(false);
                    }
                }
                Effect::Answer { .. } => self.answered += 1,
                Effect::Publish(_) | Effect::WakeAt(_) => {}
            }
        }
    }

    /// Both believe that they are active, and the store believes them.
    fn writers(&self) -> usize {
        let may = |replica: &&Replica| replica.role() == Role::Active { epoch: self.epoch };
        self.replicas.iter().filter(may).count()
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..2_usize).prop_map(Op::Deliver),
        2 => Just(Op::DropLock),
        4 => (0..2_usize).prop_map(Op::Write),
        1 => (0..2_usize).prop_map(Op::Fail),
        2 => (0..2_usize).prop_map(Op::SetPassive),
        2 => (1..2000_u64).prop_map(Op::Advance),
    ]
}

proptest! {
    #[test]
    fn writers_never_interleave_and_somebody_is_active_in_the_end(ops in prop::collection::vec(op(), 0..200)) {
        let mut world = World::start();
        for op in ops {
            world.apply(op);
            prop_assert!(world.writers() <= 1);
        }
        prop_assert!(world.log.is_sorted(), "epochs in the order of writes: {:?}", world.log);
        let owner = |w: &[(i64, usize)]| w[0].0 < w[1].0 || w[0].1 == w[1].1;
        prop_assert!(world.log.windows(2).all(owner), "an epoch belongs to one replica");

        // Left alone, the world settles: everything is delivered, somebody is active, every request is answered.
        for _ in 0..50 {
            (0..20).for_each(|i| world.apply(Op::Deliver(i % 2)));
            world.apply(Op::Advance(1000));
        }
        prop_assert_eq!(world.writers(), 1);
        prop_assert_eq!(world.asked, world.answered);
    }
}

/// The property above would be empty if nothing dangerous ever happened.
#[test]
fn a_replica_that_does_not_know_yet_is_fenced() {
    let mut world = World::start();
    let all = |world: &mut World, i| (0..5).for_each(|_| world.apply(Op::Deliver(i)));
    all(&mut world, 0);
    all(&mut world, 1);
    world.apply(Op::Write(0));
    world.apply(Op::DropLock);
    all(&mut world, 1);
    assert_eq!(world.replicas.iter().filter(|r| matches!(r.role(), Role::Active { .. })).count(), 2);
    world.apply(Op::Write(1));
    world.apply(Op::Write(0));
    assert_eq!((world.fenced, world.log.as_slice()), (1, [(1, 0), (2, 1)].as_slice()));
}
