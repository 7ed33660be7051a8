//! The server's end.

use crate::{
    database::{
        Channel, Committed, DbError, Guard, Life, Mode, Resource, Tables, Write,
        locks::{Locks, Owner},
        tables::Instance,
    },
    executor::{Host, ProcessId, Signal},
    mutant::Mutant,
    network::Network,
};
use base::Timestamp;
use futures::{
    channel::oneshot,
    future::{Either, select},
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::pin,
    rc::Rc,
    time::Duration,
};

/// A statement takes no longer, however slow the server is.
const SLOWEST: Duration = Duration::from_secs(8);
/// How long a statement waits for a lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the two ends of a broken connection may not know of it.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

pub(crate) struct Server {
    /// Where its work runs.
    pub(crate) host: Host,
    pub(crate) network: Network,
    pub(crate) tables: RefCell<Tables>,
    pub(crate) locks: RefCell<Locks>,
    sessions: RefCell<BTreeMap<Owner, Open>>,
    transactions: RefCell<BTreeMap<Owner, Running>>,
    listeners: RefCell<Vec<Listener>>,
    is_up: Cell<bool>,
    /// Statements take so many times as long.
    pub(crate) slowness: Cell<u32>,
    /// What its clock shows beyond true time.
    pub(crate) skew: Cell<Duration>,
    start: Timestamp,
    pub(crate) mutant: Option<Mutant>,
}

struct Open {
    process: ProcessId,
    instance: Instance,
    /// Dropped when the session ends.
    alive: oneshot::Sender<()>,
}

struct Listener {
    process: ProcessId,
    instance: Instance,
    channel: Channel,
    signal: Signal,
}

struct Running {
    instance: Instance,
    cancel: oneshot::Sender<()>,
}

impl Server {
    pub(crate) fn new(
        host: Host,
        network: Network,
        tables: Tables,
        start: Timestamp,
        mutant: Option<Mutant>,
    ) -> Rc<Self> {
        Rc::new(Self {
            host,
            network,
            tables: RefCell::new(tables),
            locks: RefCell::default(),
            sessions: RefCell::default(),
            transactions: RefCell::default(),
            listeners: RefCell::default(),
            is_up: Cell::new(true),
            slowness: Cell::new(1),
            skew: Cell::new(Duration::ZERO),
            start,
            mutant,
        })
    }

    /// The server's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.start.saturating_add(self.host.sim.now() + self.skew.get())
    }

    pub(crate) fn up(&self) -> Result<(), DbError> {
        if self.is_up.get() { Ok(()) } else { Err(DbError::Unavailable) }
    }

    /// The time that a statement takes.
    pub(crate) async fn think(&self) {
        let usual = self.host.sim.draw(|rng| {
            let most = if rng.chance(30) { 40_000 } else { 1_500 };
            rng.between(Duration::from_micros(50), Duration::from_micros(most))
        });
        self.host.sim.sleep((usual * self.slowness.get()).min(SLOWEST)).await;
    }

    pub(crate) async fn query<T>(&self, look: impl FnOnce(&Tables) -> T) -> Result<T, DbError> {
        self.up()?;
        self.think().await;
        self.up()?;
        Ok(look(&self.tables.borrow()))
    }

    pub(crate) async fn commit(
        &self,
        instance: Instance,
        guard: Guard,
        writes: Vec<Write>,
    ) -> Result<Committed, DbError> {
        self.transaction(instance, |owner| self.execute(owner, guard, writes)).await
    }

    /// Sets all epoch rows of a node to one new number.
    pub(crate) async fn raise(&self, instance: Instance, node: usize) -> Result<i64, DbError> {
        let work = |owner| async move {
            self.lock(owner, Resource::Epochs(node), Mode::Exclusive).await?;
            self.think().await;
            let mut tables = self.tables.borrow_mut();
            let epoch = tables.epochs.entry(node).or_default();
            *epoch += 1;
            self.host.note(format_args!("epoch of node {node} is {epoch}"));
            Ok(*epoch)
        };
        self.transaction(instance, work).await
    }

    /// A new incarnation of an index, above everything that any reader may have used as a bound.
    pub(crate) async fn go_online(&self, instance: Instance, index: u32) -> Result<(Life, Timestamp), DbError> {
        let count = self.tables.borrow().indexes.len();
        let work = |owner| async move {
            for row in (0..count).filter_map(|i| u32::try_from(i).ok()) {
                self.lock(owner, Resource::Watermark(row), Mode::Exclusive).await?;
            }
            let now = self.now();
            self.think().await;
            let mut tables = self.tables.borrow_mut();
            let watermark = tables.indexes.iter().map(|row| row.mark.watermark).fold(now, Timestamp::max);
            let row = tables.index(index).ok_or(DbError::Conflict)?;
            row.life.incarnation += 1;
            (row.mark.online, row.mark.watermark, row.instance) = (true, watermark, instance);
            let life = row.life;
            tables.beats.insert(index, sequencer_core::Beat { index, incarnation: life.incarnation, beat: 0 });
            self.host.note(format_args!("{life:?} is online above {watermark}"));
            Ok((life, watermark))
        };
        self.transaction(instance, work).await
    }

    async fn transaction<T, F: Future<Output = Result<T, DbError>>>(
        &self,
        instance: Instance,
        work: impl FnOnce(Owner) -> F,
    ) -> Result<T, DbError> {
        self.up()?;
        let owner = self.host.sim.unique();
        let (cancel, cancelled) = oneshot::channel();
        self.transactions.borrow_mut().insert(owner, Running { instance, cancel });
        let result = match select(pin!(work(owner)), cancelled).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => Err(DbError::Unavailable),
        };
        self.transactions.borrow_mut().remove(&owner);
        self.locks.borrow_mut().release(owner);
        result
    }

    pub(crate) async fn lock(&self, owner: Owner, resource: Resource, mode: Mode) -> Result<(), DbError> {
        let granted = self.locks.borrow_mut().acquire(owner, resource, mode);
        match select(granted, self.host.sim.sleep(LOCK_TIMEOUT)).await {
            Either::Left((Ok(()), _)) => Ok(()),
            Either::Left((Err(_), _)) => Err(DbError::Unavailable),
            Either::Right(_) => Err(DbError::Contention),
        }
    }

    async fn execute(&self, owner: Owner, guard: Guard, writes: Vec<Write>) -> Result<Committed, DbError> {
        match guard {
            Guard::Epoch { node, .. } => {
                if !matches!(self.mutant, Some(Mutant::NoFence | Mutant::PlainReadFence)) {
                    self.lock(owner, Resource::Epochs(node), Mode::Shared).await?;
                }
            }
            Guard::Incarnation { life, .. } => {
                self.lock(owner, Resource::Watermark(life.index), Mode::Exclusive).await?;
            }
            Guard::Own => {}
        }
        for write in &writes {
            if let Write::KnockOut(life) = write {
                self.lock(owner, Resource::Watermark(life.index), Mode::Exclusive).await?;
            }
        }
        if !guard.holds(&self.tables.borrow(), self.mutant) {
            self.host.sim.audit(|audit| audit.count("fenced"));
            return Err(DbError::Fenced);
        }
        self.think().await;
        let mut tables = self.tables.borrow_mut();
        if writes.iter().any(|write| tables.check(write).is_err()) {
            return Err(DbError::Conflict);
        }
        guard.apply(&mut tables);
        let rows = writes.iter().map(|write| tables.apply(write)).last().unwrap_or(0);
        let now = self.host.sim.now();
        self.host.sim.audit(|audit| audit.committed(now, guard, &writes, &tables));
        Ok(Committed { now: self.now(), rows })
    }

    pub(crate) fn open(
        &self,
        process: ProcessId,
        instance: Instance,
        alive: oneshot::Sender<()>,
    ) -> Result<Owner, DbError> {
        self.up()?;
        let session = self.host.sim.unique();
        self.sessions.borrow_mut().insert(session, Open { process, instance, alive });
        Ok(session)
    }

    /// Ends a session: its locks are free at once; its client learns of it as soon as the network lets it.
    pub(crate) fn close(&self, session: Owner) {
        let Some(open) = self.sessions.borrow_mut().remove(&session) else { return };
        self.locks.borrow_mut().release(session);
        let (network, sim) = (self.network.clone(), self.host.sim.clone());
        self.host.spawn(async move {
            if !network.transit(crate::DATABASE, open.process).await {
                sim.sleep(KEEP_ALIVE).await;
            }
            drop(open.alive);
        });
    }

    /// The client of a session is gone. Where the network does not say so, the server finds out after a while.
    pub(crate) fn gone(self: &Rc<Self>, process: ProcessId, session: Owner) {
        let server = self.clone();
        self.host.spawn(async move {
            if !server.network.transit(process, crate::DATABASE).await {
                server.host.sim.sleep(KEEP_ALIVE).await;
            }
            server.close(session);
        });
    }

    pub(crate) fn holder(&self, node: usize) -> Option<(Owner, Instance, Option<i64>)> {
        let session = self.locks.borrow().holder(Resource::Election(node))?;
        let instance = self.sessions.borrow().get(&session)?.instance;
        let beat = self.tables.borrow().holders.get(&node).filter(|h| h.session == session).map(|h| h.beat);
        Some((session, instance, beat))
    }

    pub(crate) fn is_open(&self, session: Owner) -> bool {
        self.sessions.borrow().contains_key(&session)
    }

    /// Ends sessions and transactions under way.
    pub(crate) fn end(&self, which: impl Fn(ProcessId, Instance) -> bool, transactions_too: bool) {
        let sessions: Vec<Owner> =
            self.sessions.borrow().iter().filter(|(_, s)| which(s.process, s.instance)).map(|(id, _)| *id).collect();
        let instances: Vec<Instance> =
            sessions.iter().filter_map(|id| self.sessions.borrow().get(id).map(|s| s.instance)).collect();
        sessions.into_iter().for_each(|session| self.close(session));
        if transactions_too {
            let mut running = self.transactions.borrow_mut();
            let ended: Vec<Owner> =
                running.iter().filter(|(_, t)| instances.contains(&t.instance)).map(|(id, _)| *id).collect();
            let ended: Vec<Running> = ended.iter().filter_map(|id| running.remove(id)).collect();
            drop(running);
            for running in ended {
                let _ = running.cancel.send(());
            }
        }
    }

    /// Ends everything that an instance has open.
    pub(crate) fn end_instance(&self, instance: Instance) {
        self.end(|_, of| of == instance, true);
    }

    /// The server stops: every session and transaction ends.
    pub(crate) fn stop(&self) {
        self.is_up.set(false);
        self.end(|_, _| true, true);
    }

    pub(crate) fn start(&self) {
        self.is_up.set(true);
    }

    pub(crate) fn listen(&self, process: ProcessId, instance: Instance, channel: Channel, signal: Signal) {
        let mut listeners = self.listeners.borrow_mut();
        // Those of the process's earlier lives are gone.
        listeners.retain(|listener| listener.process != process || listener.instance == instance);
        listeners.push(Listener { process, instance, channel, signal });
    }

    /// Tells everyone who listens that there is something new; who does not hear it looks by itself after a while.
    pub(crate) fn notify(&self, channel: Channel) {
        for listener in self.listeners.borrow().iter().filter(|listener| listener.channel == channel) {
            let (network, process, signal) = (self.network.clone(), listener.process, listener.signal.clone());
            self.host.spawn(async move {
                if network.transit(crate::DATABASE, process).await {
                    signal.raise();
                }
            });
        }
    }
}
