//! Election by a lock file beside the database.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::RwLock;

use super::{
    Sqlite,
    files::own_process,
    lock::{LockFile, Record, Waiter, kill},
    write::Open,
};
use base::SilenceJudge;

use crate::{
    Result, Statement, StoreError,
    election::{Contest, awake_time, boot_time},
    guard::Fence,
    lock::EngineLock,
    params,
};

/// How often to look at a lock that nobody is known to hold.
const GLANCE: Duration = Duration::from_millis(100);

/// Held, shared, by those who wait for the election lock.
const STANDBY: &str = "standby";

/// Locks of a database in memory, by name.
pub(super) type MemoryLocks = std::sync::Mutex<BTreeMap<String, Arc<RwLock<()>>>>;

/// On its way to the lock, or holding it.
pub(crate) struct SqliteContender<'a> {
    sqlite: &'a Sqlite,
    lock: Option<LockFile>,
    beat: u64,
}

/// A lock file held.
pub(crate) struct SqliteLock(LockFile);

impl std::fmt::Debug for SqliteLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SqliteLock")
    }
}

impl Drop for SqliteLock {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

impl Sqlite {
    pub(crate) fn contender(&self) -> SqliteContender<'_> {
        SqliteContender { sqlite: self, lock: None, beat: 0 }
    }

    pub(crate) async fn hold_lock(&self, name: &str) -> Result<EngineLock> {
        let Some(files) = &self.files else {
            return Ok(EngineLock::Memory(self.memory_lock(name).write_owned().await));
        };
        let path = files.lock(name);
        loop {
            let lock = LockFile::open(path.clone())?;
            let waiter = Waiter::new(&path)?;
            while !lock.try_exclusive()? {
                waiter.wait(lock.read().map(|record| record.process), GLANCE).await;
            }
            if lock.is_in_place() {
                lock.write(&Record { process: own_process()?, beat: 0, replica: name.to_owned() })?;
                return Ok(EngineLock::Sqlite(SqliteLock(lock)));
            }
        }
    }

    pub(crate) async fn lock_released(&self, name: &str) -> Result<()> {
        let Some(files) = &self.files else {
            drop(self.memory_lock(name).read_owned().await);
            return Ok(());
        };
        let lock = LockFile::open(files.lock(name))?;
        let waiter = Waiter::new(&files.lock(name))?;
        while !lock.is_free()? {
            waiter.wait(lock.read().map(|record| record.process), GLANCE).await;
        }
        Ok(())
    }

    pub(crate) fn standby_waits(&self) -> Result<bool> {
        self.files.as_ref().map_or(Ok(false), |files| Ok(!LockFile::open(files.lock(STANDBY))?.is_unused()?))
    }

    pub(crate) fn end_instance(&self, tag: &str) -> Result<bool> {
        tag.parse().map_or(Ok(false), kill)
    }

    fn memory_lock(&self, name: &str) -> Arc<RwLock<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        locks.entry(name.to_owned()).or_default().clone()
    }

    /// Sets all epoch rows to one new number.
    async fn raise(&self, node: &str) -> Result<i64> {
        let node = node.to_owned();
        let raise = move |tx: &mut Open<'_>| {
            let update = "update store_epochs set epoch = (select max(epoch) + 1 from store_epochs where node = $1) \
                          where node = $1";
            tx.execute(&Statement::new(update, params![&node]), 0)?;
            let rows = tx.query("select max(epoch) from store_epochs where node = $1", &params![&node])?;
            let row = rows.first().ok_or_else(|| StoreError::Corrupt(format!("{node} has no epoch rows")))?;
            row.int(0)
        };
        let (_, epoch) = self.writer.call(|writer| writer.transaction(&Fence::None, raise)).await??;
        Ok(epoch)
    }
}

impl SqliteContender<'_> {
    pub(crate) async fn win(&mut self, contest: &Contest<'_>) -> Result<(i64, Duration)> {
        self.release();
        if self.sqlite.files.is_some() {
            self.take(contest).await?;
        }
        let mut beaten = boot_time();
        contest.publish(&contest.replica, self.sqlite.tag());
        self.beat(contest)?;
        let sqlite = self.sqlite;
        let beating = async {
            loop {
                tokio::time::sleep(contest.lease / 3).await;
                let sent = boot_time();
                if let Err(error) = self.beat(contest) {
                    return error;
                }
                beaten = sent;
            }
        };
        let epoch = tokio::select! {
            epoch = sqlite.raise(&contest.node) => epoch?,
            error = beating => return Err(error),
        };
        Ok((epoch, beaten))
    }

    pub(crate) async fn keep(&mut self, contest: &Contest<'_>, confirm: impl Fn(Duration)) -> StoreError {
        loop {
            tokio::time::sleep(contest.lease / 3).await;
            let sent = boot_time();
            match self.beat(contest) {
                Ok(()) => confirm(sent),
                Err(fenced @ StoreError::Fenced { .. }) => return fenced,
                Err(error) => tracing::warn!(node = &*contest.node, %error, "beat failed"),
            }
        }
    }

    pub(crate) fn release(&mut self) {
        if let Some(lock) = self.lock.take() {
            lock.unlock();
        }
    }

    /// Waits for the lock file; ends the process that holds it if it is silent for a lease.
    async fn take(&mut self, contest: &Contest<'_>) -> Result<()> {
        let Some(files) = &self.sqlite.files else { return Ok(()) };
        let path = files.lock("election");
        let standby = LockFile::open(files.lock(STANDBY))?;
        let mut lock = LockFile::open(path.clone())?;
        let mut waiter = Waiter::new(&path)?;
        let mut judge = SilenceJudge::new(contest.lease);
        loop {
            if lock.try_exclusive()? {
                if lock.is_in_place() {
                    break;
                }
                lock = LockFile::open(path.clone())?;
                waiter = Waiter::new(&path)?;
                continue;
            }
            standby.try_shared()?; // again each time: somebody may have been looking just then
            let record = lock.read();
            if let Some(record) = &record {
                contest.publish(&record.replica, &record.process.to_string());
                if judge.observe((record.process, record.beat), awake_time()) {
                    let ended = kill(record.process)?;
                    tracing::warn!(node = &*contest.node, pid = record.process.pid, ended, "the holder is silent");
                    judge.forget();
                }
            }
            waiter.wait(record.map(|record| record.process), judge.interval().min(GLANCE)).await;
        }
        self.lock = Some(lock);
        Ok(())
    }

    fn beat(&mut self, contest: &Contest<'_>) -> Result<()> {
        let Some(lock) = &self.lock else { return Ok(()) };
        if !lock.is_in_place() {
            return Err(StoreError::Fenced { node: contest.node.to_string() });
        }
        self.beat += 1;
        lock.write(&Record { process: own_process()?, beat: self.beat, replica: contest.replica.clone() })
    }
}
