//! A process's end of the database.

use crate::{
    database::{Channel, Committed, DbError, Guard, Life, Mode, Resource, Server, Tables, Write, tables::Instance},
    executor::{Host, Signal},
};
use base::Timestamp;
use futures::{
    FutureExt as _,
    channel::oneshot,
    future::{LocalBoxFuture, Shared},
};
use std::{rc::Rc, time::Duration};

/// Whoever has no answer by then closes the connection. Longer than anything waits for a lock.
const PATIENCE: Duration = Duration::from_secs(8);

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Db {
    host: Host,
    server: Rc<Server>,
    /// Of this process in its present life.
    pub(crate) instance: Instance,
}

impl Db {
    pub(crate) fn new(host: &Host, server: &Rc<Server>) -> Self {
        Self { host: host.clone(), server: server.clone(), instance: host.sim.unique() }
    }

    /// Asks the server, and waits for its answer. What has been asked goes on without whoever asked.
    async fn ask<T: 'static, F: Future<Output = Result<T, DbError>> + 'static>(
        &self,
        work: impl FnOnce(Rc<Server>) -> F + 'static,
    ) -> Result<T, DbError> {
        let (reply, answer) = oneshot::channel();
        let (server, process) = (self.server.clone(), self.host.process);
        self.server.host.spawn(async move {
            let network = server.network.clone();
            if !network.transit(process, crate::DATABASE).await {
                return;
            }
            let result = work(server).await;
            if network.transit(crate::DATABASE, process).await {
                // Whoever asked may have given up.
                drop(reply.send(result));
            }
        });
        match self.host.within(PATIENCE, answer).await {
            Some(Ok(result)) => result,
            Some(Err(_)) | None => Err(DbError::Unknown),
        }
    }

    /// One statement that only reads. It sees what is committed, all of it at one moment.
    pub(crate) async fn query<T: 'static>(&self, look: impl FnOnce(&Tables) -> T + 'static) -> Result<T, DbError> {
        let result = self.ask(|server| async move { server.query(look).await }).await;
        result.map_err(|error| if error == DbError::Unknown { DbError::Unavailable } else { error })
    }

    /// One transaction, sent in one go.
    pub(crate) async fn commit(&self, guard: Guard, writes: Vec<Write>) -> Result<Committed, DbError> {
        let instance = self.instance;
        let result = self.ask(move |server| async move { server.commit(instance, guard, writes).await }).await;
        if result.as_ref().err() == Some(&DbError::Unknown) {
            self.host.sim.audit(|audit| audit.count("unknown outcome"));
        }
        result
    }

    pub(crate) async fn raise(&self, node: usize) -> Result<i64, DbError> {
        let instance = self.instance;
        self.ask(move |server| async move { server.raise(instance, node).await }).await
    }

    pub(crate) async fn go_online(&self, index: u32) -> Result<(Life, Timestamp), DbError> {
        let instance = self.instance;
        self.ask(move |server| async move { server.go_online(instance, index).await }).await
    }

    pub(crate) async fn now(&self) -> Result<Timestamp, DbError> {
        self.ask(|server| async move { server.query(|_| ()).await.map(|()| server.now()) }).await
    }

    pub(crate) async fn end_instance(&self, instance: Instance) -> Result<(), DbError> {
        self.ask(move |server| async move { server.query(|_| ()).await.map(|()| server.end_instance(instance)) }).await
    }

    /// The session that holds a node's lock, its instance, and its beat if it has begun to beat.
    pub(crate) async fn holder(&self, node: usize) -> Result<Option<(u64, Instance, Option<i64>)>, DbError> {
        self.ask(move |server| async move { server.query(|_| ()).await.map(|()| server.holder(node)) }).await
    }

    /// Whether anybody waits for a node's lock.
    pub(crate) async fn standby_waits(&self, node: usize) -> bool {
        let look = move |server: Rc<Server>| async move {
            server.query(|_| ()).await.map(|()| server.locks.borrow().waiting(Resource::Election(node)) > 0)
        };
        self.ask(look).await.unwrap_or(false)
    }

    pub(crate) fn notify(&self, channel: Channel) {
        let server = self.server.clone();
        let tell = async move {
            server.up()?;
            server.notify(channel);
            Ok(())
        };
        let (db, host) = (self.clone(), self.host.clone());
        host.spawn(async move {
            // Whoever is not told looks by itself.
            let _ = db.ask(|_| tell).await;
        });
    }

    pub(crate) fn listen(&self, channel: Channel, signal: Signal) {
        self.server.listen(self.host.process, self.instance, channel, signal);
    }

    /// A session of one's own.
    pub(crate) async fn connect(&self) -> Result<Session, DbError> {
        let (alive, closed) = oneshot::channel::<()>();
        let (process, instance) = (self.host.process, self.instance);
        let open = move |server: Rc<Server>| async move { server.open(process, instance, alive) };
        let id = self.ask(open).await?;
        let closed = closed.map(|_| ()).boxed_local().shared();
        Ok(Session { db: self.clone(), id, closed })
    }
}

/// A connection of its own to the server. Whatever was locked through it is free when it ends, from either side.
pub(crate) struct Session {
    db: Db,
    pub(crate) id: u64,
    closed: Shared<LocalBoxFuture<'static, ()>>,
}

impl Session {
    /// Waits for a lock, however long it takes.
    pub(crate) async fn lock(&self, resource: Resource, mode: Mode) -> Result<(), DbError> {
        loop {
            let id = self.id;
            let work = move |server: Rc<Server>| async move {
                server.up()?;
                if !server.is_open(id) {
                    return Err(DbError::Unavailable);
                }
                server.lock(id, resource, mode).await
            };
            match self.db.ask(work).await {
                // The place in the queue is given up and taken anew.
                Err(DbError::Contention) => {}
                result => return result,
            }
        }
    }

    /// Ends when the session has, as far as this end knows.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + use<> {
        self.closed.clone()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.db.server.gone(self.db.host.process, self.id);
    }
}
