//! The simulated network. A message takes its time, and overtakes others; on a cut link it is lost, or arrives when the
//! link is whole again, however long that takes.

use crate::{
    executor::{Host, ProcessId, Signal, Sim},
    messages::{Reply, Request},
};
use futures::channel::{mpsc, oneshot};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Network(Rc<Inner>);

struct Inner {
    sim: Sim,
    /// Directions in which nothing passes.
    cut: RefCell<BTreeSet<(ProcessId, ProcessId)>>,
    healed: Signal,
    /// Of a thousand messages so many are lost with their connection.
    loss: Cell<usize>,
    inboxes: RefCell<BTreeMap<ProcessId, mpsc::UnboundedSender<Call>>>,
}

/// A request that arrived.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// Nobody is there; the request was not received.
    Refused,
    /// The request may have been received.
    Unknown,
}

impl Network {
    pub(crate) fn new(sim: &Sim) -> Self {
        Self(Rc::new(Inner {
            sim: sim.clone(),
            cut: RefCell::default(),
            healed: Signal::default(),
            loss: Cell::new(0),
            inboxes: RefCell::default(),
        }))
    }

    pub(crate) fn cut(&self, from: ProcessId, to: ProcessId) {
        self.0.cut.borrow_mut().insert((from, to));
    }

    pub(crate) fn heal(&self, from: ProcessId, to: ProcessId) {
        self.0.cut.borrow_mut().remove(&(from, to));
        self.0.healed.raise();
    }

    pub(crate) fn set_loss(&self, per_mille: usize) {
        self.0.loss.set(per_mille);
    }

    /// The way of one message; `false` if it does not arrive.
    pub(crate) async fn transit(&self, from: ProcessId, to: ProcessId) -> bool {
        let sim = &self.0.sim;
        let (delay, lost) = sim.draw(|rng| {
            let most = if rng.chance(20) { 60_000 } else { 1_000 };
            (rng.between(Duration::from_micros(60), Duration::from_micros(most)), rng.chance(self.0.loss.get()))
        });
        sim.sleep(delay).await;
        let mut may_be_held = true;
        while self.0.cut.borrow().contains(&(from, to)) {
            // Half of them are held and sent again by the kernel; the other half go down with their connection.
            if may_be_held && sim.draw(|rng| rng.chance(500)) {
                return false;
            }
            may_be_held = false;
            self.0.healed.after(self.0.healed.version()).await;
        }
        if lost {
            sim.audit(|audit| audit.count("message lost"));
        }
        !lost
    }

    /// From now on requests to the host's process arrive here.
    pub(crate) fn open(&self, host: &Host) -> mpsc::UnboundedReceiver<Call> {
        let (sender, receiver) = mpsc::unbounded();
        self.0.inboxes.borrow_mut().insert(host.process, sender);
        receiver
    }

    /// Asks a process.
    pub(crate) async fn call(
        &self,
        host: &Host,
        to: ProcessId,
        request: Request,
        patience: Duration,
    ) -> Result<Reply, CallError> {
        let (reply, answer) = oneshot::channel();
        let (network, from) = (self.clone(), host.process);
        self.0.sim.spawn(crate::WORLD, 0, async move {
            if let Some(result) = network.carry(from, to, request).await {
                // Whoever asked may have given up.
                drop(reply.send(result));
            }
        });
        match host.within(patience, answer).await {
            Some(Ok(result)) => result,
            Some(Err(_)) | None => Err(CallError::Unknown),
        }
    }

    /// `None` if nothing comes back.
    async fn carry(&self, from: ProcessId, to: ProcessId, request: Request) -> Option<Result<Reply, CallError>> {
        if !self.transit(from, to).await {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        let inbox = self.0.inboxes.borrow().get(&to).cloned();
        let is_there = inbox.is_some_and(|inbox| inbox.unbounded_send(Call { request, reply }).is_ok());
        let result = if is_there {
            // A process that ends takes the connection with it.
            answer.await.map_err(|_| CallError::Unknown)
        } else {
            Err(CallError::Refused)
        };
        self.transit(to, from).await.then_some(result)
    }
}
