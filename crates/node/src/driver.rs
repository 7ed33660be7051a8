//! Carries out what `replica-core` decides: one task per replica, in which nothing waits but for the next event.

use crate::{
    directory::Directory,
    replica::{Freshness, HandedOver, HandoverRefused, Part, PartError, ReplicaConfig, Request},
    store,
};
use ::store::{Election, Held, StoreError};
use futures::future::BoxFuture;
use replica_core::{Effect, Event, Handover, Role};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tasks::{Supervisor, Task, Tasks};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

/// What is left of a term after that is aborted.
const WIND_DOWN: Duration = Duration::from_secs(5);

/// What a driver is given.
pub(crate) struct Start {
    pub(crate) node: String,
    pub(crate) config: Arc<ReplicaConfig>,
    pub(crate) part: Arc<dyn Part>,
    pub(crate) election: Arc<Election>,
    pub(crate) tasks: Tasks,
    pub(crate) inbox: mpsc::Receiver<Request>,
    pub(crate) role: watch::Sender<Role>,
    pub(crate) trouble: watch::Sender<Option<String>>,
    pub(crate) fresh: watch::Sender<Freshness>,
    pub(crate) directory: watch::Receiver<Directory>,
}

pub(crate) struct Driver {
    given: Start,
    automaton: replica_core::Replica,
    /// Where the automaton's clock began.
    start: Instant,
    stopping: bool,
    /// The last epoch won.
    epoch: i64,
    campaign: Option<BoxFuture<'static, Result<Held, StoreError>>>,
    held: Option<Held>,
    term: Option<Term>,
    winding_down: Option<BoxFuture<'static, ()>>,
    wake_at: Option<Duration>,
    asked: BTreeMap<u64, (Instant, Request)>,
    next_request: u64,
}

/// What runs while this replica is active.
struct Term {
    supervisor: Supervisor,
    activation: Option<Task<Result<(), PartError>>>,
}

impl Driver {
    pub(crate) fn new(given: Start) -> Self {
        Self {
            given,
            automaton: replica_core::Replica::default(),
            start: Instant::now(),
            stopping: false,
            epoch: 0,
            campaign: None,
            held: None,
            term: None,
            winding_down: None,
            wake_at: None,
            asked: BTreeMap::new(),
            next_request: 0,
        }
    }

    /// Ends when the replica has stopped.
    pub(crate) async fn run(mut self) {
        self.step(Event::Started).await;
        while self.automaton.role() != Role::Stopped {
            if let Some(event) = self.next().await {
                self.step(event).await;
            }
            // A level, not an edge: the successor may be seen before this replica is done with leaving.
            if !self.asked.is_empty() && self.given.directory.borrow_and_update().successor(self.epoch).is_some() {
                self.step(Event::PeerHolds).await;
            }
        }
    }

    /// Waits for what happens next; `None` if that is nothing for the automaton.
    async fn next(&mut self) -> Option<Event> {
        let wake_at = self.wake_at.map(|at| self.start + at);
        tokio::select! {
            biased;
            () = self.given.tasks.cancelled(), if !self.stopping => {
                self.stopping = true;
                Some(Event::Shutdown)
            }
            reason = lost(&mut self.held) => {
                self.held = None;
                self.trouble(format!("the election lock was lost: {reason}"));
                Some(Event::LockLost { epoch: self.epoch })
            }
            () = done(&mut self.winding_down) => Some(Event::Deactivated),
            news = of_term(&mut self.term) => Some(match news {
                OfTerm::Activated => Event::Activated,
                OfTerm::Failed(reason) => {
                    self.trouble(reason);
                    Event::Failed
                }
            }),
            won = done(&mut self.campaign) => Some(self.campaigned(won)),
            Some(request) = self.given.inbox.recv() => Some(self.asked(request)),
            () = tokio::time::sleep_until(wake_at.unwrap_or(self.start)), if wake_at.is_some() => {
                self.wake_at = None;
                Some(Event::Tick)
            }
            changed = self.given.directory.changed(), if !self.stopping => {
                // Without it nobody knows who is active; that happens when the scope is shut down.
                changed.is_err().then(|| {
                    self.stopping = true;
                    Event::Shutdown
                })
            }
        }
    }

    fn campaigned(&mut self, won: Result<Held, StoreError>) -> Event {
        match won {
            Ok(held) => {
                self.epoch = held.epoch().number();
                self.given.fresh.send_replace(Arc::new(held.freshness()));
                self.held = Some(held);
                Event::LockWon { epoch: self.epoch }
            }
            Err(error) => {
                // The election is part of the store, which has been shut down.
                tracing::info!(node = self.given.node, replica = self.given.config.name, %error, "no more campaigns");
                self.stopping = true;
                Event::Shutdown
            }
        }
    }

    fn asked(&mut self, request: Request) -> Event {
        self.next_request += 1;
        let event = Event::SetPassive { request: self.next_request, standby_waits: request.standby_waits };
        self.asked.insert(self.next_request, (Instant::now(), request));
        event
    }

    async fn step(&mut self, event: Event) {
        for effect in self.automaton.step(self.start.elapsed(), event) {
            match effect {
                Effect::Publish(role) => self.publish(role),
                Effect::Campaign => {
                    let election = self.given.election.clone();
                    self.campaign = Some(Box::pin(async move { election.campaign().await }));
                }
                Effect::Withdraw => self.campaign = None,
                Effect::Activate { .. } => self.activate(),
                Effect::Deactivate => self.deactivate(),
                Effect::ReleaseLock => {
                    if let Some(held) = self.held.take() {
                        held.release().await;
                    }
                }
                Effect::Answer { request, outcome } => self.answer(request, outcome),
                Effect::WakeAt(at) => self.wake_at = Some(at),
            }
        }
    }

    fn publish(&self, role: Role) {
        let name = store::name(role);
        tracing::info!(
            node = self.given.node,
            replica = self.given.config.name,
            epoch = self.epoch,
            role = name,
            "role"
        );
        if matches!(role, Role::Active { .. }) {
            self.given.trouble.send_replace(None);
        }
        self.given.role.send_replace(role);
    }

    fn activate(&mut self) {
        let Some(held) = &self.held else { return };
        let (tasks, supervisor) = self.given.tasks.child(&format!("term {}", self.epoch));
        let (part, epoch, scope) = (self.given.part.clone(), held.epoch().clone(), tasks.clone());
        let cancelled = tasks.cancelled();
        let activate = async move {
            tokio::select! {
                () = cancelled => Err("the term ended before it began".into()),
                activated = part.activate(epoch, scope) => activated,
            }
        };
        self.term = Some(Term { supervisor, activation: Some(tasks.spawn("activate", activate)) });
    }

    fn deactivate(&mut self) {
        let (part, term) = (self.given.part.clone(), self.term.take());
        self.winding_down = Some(Box::pin(async move {
            if let Some(term) = term {
                term.supervisor.shutdown(WIND_DOWN).await;
            }
            part.deactivated();
        }));
    }

    fn answer(&mut self, request: u64, outcome: Handover) {
        let Some((asked, request)) = self.asked.remove(&request) else { return };
        let answer = match HandoverRefused::of(outcome, &self.given.config.name) {
            Some(refused) => Err(refused),
            None => self.given.directory.borrow().successor(self.epoch).map_or_else(
                || Err(HandoverRefused::TimedOut(self.given.config.name.clone())),
                |entry| {
                    let took = asked.elapsed();
                    Ok(HandedOver { replica: entry.replica.clone(), epoch: entry.epoch, took })
                },
            ),
        };
        drop(request.answer.send(answer)); // the caller may be gone
    }

    fn trouble(&self, reason: String) {
        tracing::warn!(
            node = self.given.node,
            replica = self.given.config.name,
            epoch = self.epoch,
            reason,
            "the term ends"
        );
        self.given.trouble.send_replace(Some(reason));
    }
}

/// Waits for a future that may not be there, and takes it away once it has ended.
async fn done<T>(slot: &mut Option<BoxFuture<'static, T>>) -> T {
    let Some(future) = slot else { return std::future::pending().await };
    let result = future.await;
    *slot = None;
    result
}

async fn lost(held: &mut Option<Held>) -> StoreError {
    match held {
        Some(held) => held.lost().await,
        None => std::future::pending().await,
    }
}

/// What a term reports.
enum OfTerm {
    Activated,
    Failed(String),
}

/// Waits until the term is activated or ends from within.
async fn of_term(term: &mut Option<Term>) -> OfTerm {
    let Some(Term { supervisor, activation }) = term else { return std::future::pending().await };
    let activated = tokio::select! {
        biased;
        () = supervisor.cancelled() => {
            let first = supervisor.failures().into_iter().next();
            let reason = first.map(|failure| format!("{} failed: {}", failure.task, failure.reason));
            return OfTerm::Failed(reason.unwrap_or_else(|| "the active role was cancelled".to_owned()));
        }
        activated = async {
            match activation {
                Some(activation) => activation.await,
                None => std::future::pending().await,
            }
        } => activated,
    };
    *activation = None;
    match activated {
        Ok(Ok(())) => OfTerm::Activated,
        Ok(Err(error)) => OfTerm::Failed(format!("the active role could not be taken up: {error}")),
        Err(ended) => OfTerm::Failed(ended.to_string()),
    }
}
