//! Carries out what `replica-core` decides, as `node` does it.

use crate::{World, database::Db, executor::Host, node::election::Contest};
use futures::{StreamExt as _, channel::mpsc, future::LocalBoxFuture};
use replica_core::{Effect, Event, Handover, Replica, Role};
use std::{cell::Cell, rc::Rc, time::Duration};

const RETRY: Duration = Duration::from_millis(100);

/// What a replica does while it is active.
pub(crate) trait Part: 'static {
    /// Recovers, calls `activated`, and works until it cannot go on.
    fn work(self: Rc<Self>, host: Host, epoch: i64, activated: Box<dyn FnOnce()>) -> LocalBoxFuture<'static, ()>;

    /// It was ended, wherever it stood.
    fn ended(&self);
}

pub(crate) struct Driver<P> {
    pub(crate) world: Rc<World>,
    pub(crate) host: Host,
    pub(crate) db: Db,
    pub(crate) node: usize,
    pub(crate) part: Rc<P>,
    pub(crate) role: Rc<Cell<Role>>,
}

/// What runs for the automaton now.
#[derive(Default)]
struct Running {
    campaign: Option<Host>,
    term: Option<Host>,
    wake: Option<Host>,
    handover: Option<Host>,
}

impl<P: Part> Driver<P> {
    pub(crate) async fn run(self, mut handovers: mpsc::UnboundedReceiver<()>) {
        let (events, mut inbox) = mpsc::unbounded();
        let tell = |event| drop(events.unbounded_send(event));
        let (db, node, asked) = (self.db.clone(), self.node, events.clone());
        let mut request = 0;
        self.host.spawn(async move {
            while handovers.next().await.is_some() {
                request += 1;
                let standby_waits = db.standby_waits(node).await;
                drop(asked.unbounded_send(Event::SetPassive { request, standby_waits }));
            }
        });
        let mut automaton = Replica::default();
        let mut running = Running::default();
        tell(Event::Started);
        while let Some(event) = inbox.next().await {
            for effect in automaton.step(self.host.monotonic(), event) {
                self.carry_out(effect, &mut running, &events);
            }
        }
    }

    fn carry_out(&self, effect: Effect, running: &mut Running, events: &mpsc::UnboundedSender<Event>) {
        let end = |host: &mut Option<Host>| host.take().iter().for_each(Host::end);
        match effect {
            Effect::Publish(role) => self.publish(role),
            Effect::Campaign => {
                end(&mut running.campaign);
                let host = running.campaign.insert(self.host.child());
                host.spawn(campaign(self.contest(host), events.clone()));
            }
            Effect::Withdraw | Effect::ReleaseLock => end(&mut running.campaign),
            Effect::Activate { epoch } => {
                let host = running.term.insert(self.host.child());
                let (activated, failed) = (events.clone(), events.clone());
                let activated = Box::new(move || drop(activated.unbounded_send(Event::Activated)));
                let work = self.part.clone().work(host.clone(), epoch, activated);
                host.spawn(async move {
                    work.await;
                    drop(failed.unbounded_send(Event::Failed));
                });
            }
            Effect::Deactivate => {
                end(&mut running.term);
                self.part.ended();
                drop(events.unbounded_send(Event::Deactivated));
            }
            Effect::Answer { outcome, .. } => {
                end(&mut running.handover);
                self.host.note(format_args!("handover: {outcome:?}"));
                if outcome == Handover::TookOver {
                    self.world.sim.audit(|audit| audit.count("handover"));
                }
            }
            Effect::WakeAt(at) => {
                end(&mut running.wake);
                let (host, events) = (running.wake.insert(self.host.child()), events.clone());
                let wait = host.sleep(at.saturating_sub(host.monotonic()));
                host.spawn(async move {
                    wait.await;
                    drop(events.unbounded_send(Event::Tick));
                });
            }
        }
        if let (Effect::Publish(Role::Leaving { epoch }), None) = (effect, &running.handover) {
            let host = running.handover.insert(self.host.child());
            host.spawn(successor(host.clone(), self.db.clone(), self.node, epoch, events.clone()));
        }
    }

    fn contest(&self, host: &Host) -> Contest {
        Contest { host: host.clone(), db: self.db.clone(), node: self.node, lease: self.world.lease }
    }

    fn publish(&self, role: Role) {
        self.host.note(format_args!("{role:?}"));
        self.role.set(role);
        if matches!(role, Role::Active { epoch } if epoch > 1) {
            self.world.sim.audit(|audit| audit.count("takeover"));
        }
    }
}

/// Wins the lock, and keeps it until it is lost.
async fn campaign(contest: Contest, events: mpsc::UnboundedSender<Event>) {
    let held = loop {
        match contest.win().await {
            Ok(held) => break held,
            Err(error) => contest.host.note(format_args!("campaign for node {}: {error:?}", contest.node)),
        }
        contest.host.sleep(RETRY).await;
    };
    drop(events.unbounded_send(Event::LockWon { epoch: held.epoch }));
    let why = contest.keep(&held).await;
    contest.host.note(format_args!("lock of node {} lost: {why:?}", contest.node));
    drop(events.unbounded_send(Event::LockLost { epoch: held.epoch }));
}

/// Looks until another replica has begun a later epoch.
async fn successor(host: Host, db: Db, node: usize, epoch: i64, events: mpsc::UnboundedSender<Event>) {
    loop {
        let now = db.query(move |tables| tables.epochs.get(&node).copied().unwrap_or(0)).await;
        if now.is_ok_and(|now| now > epoch) {
            drop(events.unbounded_send(Event::PeerHolds));
            return;
        }
        host.sleep(RETRY).await;
    }
}
