//! The shells: what the rooms with the deciders' names do on real networks and databases, done here on simulated ones.

mod election;
mod mediator;
mod member;
mod participant;
mod peers;
mod replica;
mod sequencer;
mod writer;

use crate::{World, database::Db, executor::Host};
use futures::channel::mpsc;
use mediator::MediatorPart;
use participant::ParticipantPart;
use replica::Driver;
use replica_core::Role;
use sequencer::Sequencer;
use std::{cell::Cell, rc::Rc};

/// Starts a process of a sequencer.
pub(crate) fn sequencer(world: &Rc<World>, host: &Host) {
    host.spawn(Sequencer::run(world.clone(), host.clone()));
}

/// Starts a replica of the mediator.
pub(crate) fn mediator(world: &Rc<World>, host: &Host, role: Rc<Cell<Role>>, handovers: mpsc::UnboundedReceiver<()>) {
    let db = Db::new(host, &world.server);
    let part = Rc::new(MediatorPart { world: world.clone(), db: db.clone() });
    let driver = Driver { world: world.clone(), host: host.clone(), db, node: crate::MEDIATOR, part, role };
    host.spawn(driver.run(handovers));
}

/// Starts a replica of a participant.
pub(crate) fn participant(
    world: &Rc<World>,
    host: &Host,
    number: usize,
    role: Rc<Cell<Role>>,
    handovers: mpsc::UnboundedReceiver<()>,
) {
    let db = Db::new(host, &world.server);
    let part = ParticipantPart::new(world, host, &db, number);
    let mut calls = world.network.open(host);
    let (serving, host_of_calls) = (part.clone(), host.clone());
    host.spawn(async move {
        while let Ok(call) = calls.recv().await {
            let serving = serving.clone();
            host_of_calls.spawn(async move {
                if let Some(reply) = serving.answer(call.request).await {
                    drop(call.reply.send(reply));
                }
            });
        }
    });
    let driver = Driver { world: world.clone(), host: host.clone(), db, node: number, part, role };
    host.spawn(driver.run(handovers));
}
