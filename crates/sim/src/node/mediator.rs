//! The shell around `mediator-core`: take what waits, step through it, store everything in one fenced transaction, then
//! send.

use crate::{
    World,
    database::{Db, DbError, Guard, Write},
    executor::Host,
    mutant::Mutant,
    node::{
        member::{Events, Member, SendError},
        replica::Part,
    },
};
use futures::{FutureExt as _, StreamExt as _, future::LocalBoxFuture};
use mediator_core::{Decision, Effect, Mediator};
use protocol::{message::Signed, sequencing::Submission};
use std::{rc::Rc, time::Duration};

const BATCH: usize = 100;
const RETRY: Duration = Duration::from_millis(20);

pub(crate) struct MediatorPart {
    pub(crate) world: Rc<World>,
    pub(crate) db: Db,
}

struct Shell {
    world: Rc<World>,
    host: Host,
    db: Db,
    epoch: i64,
    member: Rc<Member>,
    mediator: Mediator,
}

impl Part for MediatorPart {
    fn work(self: Rc<Self>, host: Host, epoch: i64, activated: Box<dyn FnOnce()>) -> LocalBoxFuture<'static, ()> {
        async move {
            let setup = &self.world.setup;
            let Ok(mut stored) = self.db.query(|tables| tables.mediator.recovered()).await else { return };
            stored.topology.clone_from(&setup.topology);
            let network = &setup.scenario.network;
            let clean = stored.clean;
            let mediator = Mediator::recover(network.mediator.clone(), network.synchronizer.clone(), stored);
            let (member, events) = Member::start(&self.world, &host, network.mediator.member(), epoch, clean);
            activated();
            let (world, db) = (self.world.clone(), self.db.clone());
            let mut shell = Shell { world, host, db, epoch, member, mediator };
            let unsent: Vec<Decision> = shell.mediator.outbox().cloned().collect();
            if !unsent.is_empty() {
                shell.world.sim.audit(|audit| audit.count("verdict resent"));
            }
            unsent.iter().for_each(|decision| shell.send(decision));
            let error = shell.follow(events).await;
            shell.host.note(format_args!("mediator under epoch {epoch} ends: {error:?}"));
        }
        .boxed_local()
    }

    fn ended(&self) {}
}

impl Shell {
    async fn follow(&mut self, mut events: Events) -> DbError {
        loop {
            let Some(first) = events.next().await else { return DbError::Unavailable };
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(next) = events.try_recv()
            {
                batch.push(next);
            }
            let mut effects = Vec::new();
            for event in batch {
                self.member.observe(event.timestamp);
                effects.extend(self.mediator.step(&event));
            }
            if let Err(error) = self.carry_out(effects).await {
                return error;
            }
        }
    }

    async fn carry_out(&self, effects: Vec<Effect>) -> Result<(), DbError> {
        let effects = Rc::new(effects);
        let sends_first = self.world.server.mutant == Some(Mutant::VerdictBeforeStored);
        if sends_first {
            self.start(&effects);
        }
        let is_stored = |effect: &Effect| !matches!(effect, Effect::Tick(_) | Effect::Alarm(_));
        if effects.iter().any(is_stored) {
            self.commit(vec![Write::Mediator(effects.clone())]).await?;
        }
        if !sends_first {
            self.start(&effects);
        }
        Ok(())
    }

    fn start(&self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Decide(decision) => self.send(decision),
                Effect::Tick(at) => self.member.want(*at),
                Effect::Alarm(text) => self.host.note(format_args!("alarm: {text}")),
                Effect::Topology(_) | Effect::Clean(_) | Effect::Uuid(_) | Effect::Settled(_) => {}
            }
        }
    }

    /// Every statement may run twice, so an unknown outcome is tried again under the same epoch.
    async fn commit(&self, writes: Vec<Write>) -> Result<(), DbError> {
        let guard = Guard::Epoch { node: crate::MEDIATOR, epoch: self.epoch };
        loop {
            match self.db.commit(guard, writes.clone()).await {
                Ok(_) => return Ok(()),
                Err(DbError::Unknown | DbError::Unavailable | DbError::Contention) => self.host.sleep(RETRY).await,
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&self, decision: &Decision) {
        let unsigned = Signed::unsigned(decision.result.clone());
        let signature = self.world.setup.mediator_key.sign(&unsigned.hash());
        let submission = Submission {
            batch: vec![decision.envelope(unsigned.with(signature))],
            ..self.member.submission(decision.message_id(), decision.max_sequencing_time)
        };
        let (member, host) = (self.member.clone(), self.host.clone());
        host.note(format_args!("verdict on {}: {:?}", decision.result.request, decision.result.verdict));
        self.host.spawn(async move {
            // The outbox keeps it until it is sequenced or too late.
            while member.send(submission.clone()).await == Err(SendError::Unknown) {}
        });
    }
}
