//! Guarded transactions on the writer's thread. Writers of all processes queue on a lock that the kernel hands on in
//! turn, before they ask SQLite for the write lock: its own waiting starves some and stalls for seconds.

use std::{
    fs::File,
    sync::{Arc, mpsc},
    time::{Duration, SystemTime},
};

use base::Timestamp;
use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};
use tokio::sync::oneshot;

use super::thread::{self, SqlThreads};
use crate::{Committed, Result, Row, Statement, StoreError, Value, guard::Fence};

/// A transaction that waits longer than this for its next statement is rolled back, as on PostgreSQL.
const IDLE_LIMIT: Duration = Duration::from_secs(2);
const FENCE: &str = "select 1 from store_epochs where node = $1 and slot = 0 and epoch = $2";

/// What the writer's thread owns.
pub(super) struct Writer {
    connection: Connection,
    queue: Option<File>,
    node: Arc<str>,
}

/// A transaction between `begin` and `commit`, seen from the writer's thread.
pub(super) struct Open<'a> {
    connection: &'a Connection,
}

impl Writer {
    pub(super) fn new(connection: Connection, queue: Option<File>, node: &str) -> Self {
        Self { connection, queue, node: node.into() }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn commit(&self, fence: &Fence, statements: &[Statement]) -> Result<Committed> {
        let run = |tx: &mut Open<'_>| {
            statements.iter().enumerate().map(|(at, statement)| tx.execute(statement, at)).collect::<Result<_>>()
        };
        let (now, rows) = self.transaction(fence, run)?;
        Ok(Committed { rows, now })
    }

    /// Queues, opens a transaction, checks the fence, does the work, commits; rolls back on an error.
    pub(super) fn transaction<T>(
        &self,
        fence: &Fence,
        work: impl FnOnce(&mut Open<'_>) -> Result<T>,
    ) -> Result<(Timestamp, T)> {
        let queued = self.queue.as_ref().map(Turn::wait).transpose()?;
        thread::batch(&self.connection, "begin immediate")?;
        let result = self.check(fence).and_then(|()| {
            let now = clock();
            let done = work(&mut Open { connection: &self.connection })?;
            // A commit that fails for another reason than a busy reader may have reached the disk.
            match thread::batch(&self.connection, "commit") {
                Err(StoreError::Unavailable(text)) => Err(StoreError::Unknown(text)),
                result => result.map(|()| (now, done)),
            }
        });
        if !self.connection.is_autocommit()
            && let Err(error) = thread::batch(&self.connection, "rollback")
        {
            tracing::error!(%error, "rollback failed");
        }
        drop(queued);
        result
    }

    fn check(&self, fence: &Fence) -> Result<()> {
        let fenced = || StoreError::Fenced { node: self.node.to_string() };
        match fence {
            Fence::None => Ok(()),
            Fence::Epoch(epoch) => {
                let found = thread::query(&self.connection, FENCE, &crate::params![&*self.node, *epoch])?;
                if found.is_empty() { Err(fenced()) } else { Ok(()) }
            }
            Fence::Statement(statement) => match thread::execute(&self.connection, statement, 0) {
                Err(StoreError::Conflict { .. }) => Err(fenced()),
                result => result.map(drop),
            },
        }
    }
}

impl Open<'_> {
    pub(super) fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        thread::query(self.connection, sql, params)
    }

    pub(super) fn execute(&mut self, statement: &Statement, at: usize) -> Result<u64> {
        thread::execute(self.connection, statement, at)
    }

    pub(super) fn batch(&mut self, sql: &str) -> Result<()> {
        thread::batch(self.connection, sql)
    }
}

/// A writer's turn among all processes; over when it is dropped.
pub(super) struct Turn<'a>(&'a File);

impl<'a> Turn<'a> {
    pub(super) fn wait(queue: &'a File) -> Result<Self> {
        flock(queue, FlockOperation::LockExclusive)
            .map_err(|e| super::io_error("cannot queue for writing", &e.into()))?;
        Ok(Self(queue))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Err(error) = flock(self.0, FlockOperation::Unlock) {
            tracing::error!(%error, "the write queue was not let go");
        }
    }
}

/// An open transaction, seen from the task that drives it. The writer's thread serves it alone until it ends.
pub(crate) struct SqliteTx {
    steps: mpsc::Sender<Step>,
    end: oneshot::Receiver<Result<()>>,
    now: Timestamp,
}

type Step = Box<dyn FnOnce(&mut Open<'_>) -> Next + Send>;

/// How a driven transaction goes on after a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Wait,
    Commit,
    Rollback,
}

/// Opens a transaction that is driven step by step.
pub(super) async fn begin(writer: &SqlThreads<Writer>, fence: Fence) -> Result<SqliteTx> {
    let (steps, todo) = mpsc::channel::<Step>();
    let (opened, is_open) = oneshot::channel();
    let (ended, end) = oneshot::channel();
    writer.send(move |writer| {
        let drive = |tx: &mut Open<'_>| {
            let _nobody_waits = opened.send(clock());
            loop {
                match todo.recv_timeout(IDLE_LIMIT).map(|step| step(tx)) {
                    Ok(Next::Wait) => {}
                    Ok(Next::Commit) => return Ok(()),
                    Ok(Next::Rollback) | Err(mpsc::RecvTimeoutError::Disconnected) => return Err(StoreError::Closed),
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        return Err(StoreError::Unavailable(
                            "the transaction idled too long and was rolled back".into(),
                        ));
                    }
                }
            }
        };
        drop(ended.send(writer.transaction(&fence, drive).map(drop)));
    })?;
    match is_open.await {
        Ok(now) => Ok(SqliteTx { steps, end, now }),
        Err(_not_opened) => Err(end.await.unwrap_or(Err(StoreError::Closed)).err().unwrap_or(StoreError::Closed)),
    }
}

impl SqliteTx {
    pub(crate) async fn query(&mut self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>> {
        self.step(move |tx| tx.query(sql, &params)).await
    }

    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<u64> {
        self.step(move |tx| tx.execute(&statement, 0)).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) async fn commit(self) -> Result<()> {
        // If the transaction has ended already, its own error says why.
        drop(self.steps.send(Box::new(|_| Next::Commit)));
        self.end.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn step<T: Send + 'static>(
        &mut self,
        step: impl FnOnce(&mut Open<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, result) = oneshot::channel();
        let run = move |tx: &mut Open<'_>| {
            let done = step(tx);
            let next = if done.is_ok() { Next::Wait } else { Next::Rollback };
            drop(sender.send(done));
            next
        };
        let ended = || StoreError::Unavailable("the transaction had ended already".to_owned());
        self.steps.send(Box::new(run)).map_err(|_ended| ended())?;
        result.await.map_err(|_ended| ended())?
    }
}

/// The machine's clock: a database file has none of its own.
fn clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.saturating_add(since_epoch)
}
