//! Clients: they ask for commands, try again whatever happens, and remember what they were told.

use crate::{
    World,
    executor::Host,
    messages::{Fate, Refusal, Reply, Request},
    workload::Command,
};
use base::{ContractId, SubmissionId, UpdateId};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

/// Attempts that were rejected, after which a client gives up.
const ATTEMPTS: usize = 4;
const POLL: Duration = Duration::from_millis(200);

/// What all clients of a simulation share.
#[derive(Default)]
pub(crate) struct Clients {
    /// Contracts that some client was told of.
    known: RefCell<Vec<ContractId>>,
    /// Commands without a definite answer.
    pub(crate) open: Cell<usize>,
    pub(crate) commands: Cell<u64>,
    /// No new commands.
    pub(crate) is_over: Cell<bool>,
}

/// One client, until no more commands are wanted and its last one is answered.
pub(crate) async fn run(world: Rc<World>, host: Host) {
    let clients = &world.clients;
    loop {
        let pause = world.sim.draw(|rng| rng.between(Duration::from_millis(50), Duration::from_millis(2_500)));
        host.sleep(pause).await;
        if clients.is_over.get() {
            return;
        }
        let command = Rc::new(choose(&world));
        clients.open.set(clients.open.get() + 1);
        clients.commands.set(clients.commands.get() + 1);
        host.note(format_args!("wants {command:?}"));
        let outcome = Attempts { world: &world, host: &host, command: &command, unknown: Vec::new() }.run().await;
        host.note(format_args!("command {} ends: {outcome}", command.number));
        clients.open.set(clients.open.get() - 1);
    }
}

fn choose(world: &World) -> Command {
    let known = world.clients.known.borrow();
    let number = world.sim.unique();
    world.sim.draw(|rng| {
        let actor = rng.below(2);
        // Recent ones, so that clients meet at the same contract.
        let recent = &known[known.len().saturating_sub(4)..];
        let spends = if rng.chance(600) { rng.pick(recent).cloned() } else { None };
        Command { actor, number, spends }
    })
}

/// The attempts at one command.
struct Attempts<'a> {
    world: &'a Rc<World>,
    host: &'a Host,
    command: &'a Rc<Command>,
    /// Submissions that may have been registered.
    unknown: Vec<SubmissionId>,
}

impl Attempts<'_> {
    /// Until the command took effect, or it is certain that none of its submissions will.
    async fn run(mut self) -> &'static str {
        let mut rejected = 0;
        loop {
            let submission: SubmissionId =
                format!("submission-{}", self.world.sim.unique()).parse().expect("letters, digits and a dash");
            match self.submit(submission.clone()).await {
                Ok(()) => match self.fate(&submission).await {
                    Fate::Accepted { update, created } => return self.accepted(&update, created),
                    _ => rejected += 1,
                },
                Err(Refusal::Duplicate) => {
                    if let Fate::Accepted { update, created } = self.fate(&submission).await {
                        return self.accepted(&update, created);
                    }
                }
                Err(Refusal::Passive | Refusal::InFlight) => {}
                Err(Refusal::TooLate) => rejected += 1,
                // The contract may have been spent by an attempt of this very command.
                Err(Refusal::NoContract) if self.unknown.is_empty() => return "its contract is gone",
                Err(Refusal::NoContract) => rejected = ATTEMPTS,
                Err(Refusal::Unknown) => self.unknown.push(submission),
            }
            if rejected >= ATTEMPTS {
                return self.give_up().await;
            }
            self.host.sleep(POLL).await;
        }
    }

    fn accepted(&self, update: &UpdateId, created: Option<ContractId>) -> &'static str {
        let change = self.world.setup.change(self.command);
        self.world.sim.audit(|audit| audit.promised(self.command.actor, change, update));
        self.world.clients.known.borrow_mut().extend(created);
        "accepted"
    }

    /// A replica of the participant, any.
    fn replica(&self) -> usize {
        let replicas = self.world.replicas(self.command.actor);
        replicas.start + self.world.sim.draw(|rng| rng.below(replicas.len()))
    }

    async fn submit(&self, submission: SubmissionId) -> Result<(), Refusal> {
        let patience = self.world.sim.draw(|rng| rng.between(Duration::from_millis(100), Duration::from_secs(3)));
        let request = Request::Submit { command: self.command.clone(), submission };
        match self.world.network.call(self.host, self.replica(), request, patience).await {
            Ok(Reply::Submitted(result)) => result,
            Err(crate::network::CallError::Refused) => Err(Refusal::Passive),
            _ => Err(Refusal::Unknown),
        }
    }

    async fn ask(&self, submission: &SubmissionId) -> Option<Fate> {
        let request = Request::Fate { command: self.command.clone(), submission: submission.clone() };
        match self.world.network.call(self.host, self.replica(), request, Duration::from_secs(2)).await {
            Ok(Reply::Fate(fate)) => fate,
            _ => None,
        }
    }

    /// Waits until a registered submission has its end.
    async fn fate(&self, submission: &SubmissionId) -> Fate {
        loop {
            match self.ask(submission).await {
                Some(fate @ Fate::Accepted { .. }) => return fate,
                Some(fate @ Fate::Rejected(_)) => {
                    self.world.sim.audit(|audit| audit.refused(submission.clone()));
                    return fate;
                }
                Some(Fate::Nothing | Fate::InFlight) | None => self.host.sleep(POLL).await,
            }
        }
    }

    /// Nothing more is tried; but what was tried before may still take effect, as long as it is under way.
    async fn give_up(&self) -> &'static str {
        for submission in &self.unknown {
            loop {
                match self.ask(submission).await {
                    Some(Fate::Accepted { update, created }) => return self.accepted(&update, created),
                    Some(Fate::Rejected(_) | Fate::Nothing) => break,
                    Some(Fate::InFlight) | None => self.host.sleep(POLL).await,
                }
            }
        }
        "rejected"
    }
}
