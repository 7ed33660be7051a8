//! Locks that live exactly as long as the process that holds them: how the death of a peer is known in milliseconds.

use tokio::sync::OwnedRwLockWriteGuard;

use crate::{Db, Result, db::Engine, postgres::PostgresLock, sqlite::SqliteLock};

/// A lock held by this process; dropping it, or the end of the process, lets it go.
#[derive(Debug)]
pub struct HeldLock {
    pub(crate) lock: EngineLock,
}

#[derive(Debug)]
pub(crate) enum EngineLock {
    Postgres(Box<PostgresLock>),
    Sqlite(#[expect(dead_code, reason = "held, not read")] SqliteLock),
    Memory(#[expect(dead_code, reason = "held, not read")] OwnedRwLockWriteGuard<()>),
}

impl Db {
    /// Waits until the lock of that name is free, and takes it. Dropping the future withdraws.
    pub async fn hold_lock(&self, name: &str) -> Result<HeldLock> {
        match &self.inner.engine {
            Engine::Postgres(postgres) => postgres.hold_lock(name).await,
            Engine::Sqlite(sqlite) => sqlite.hold_lock(name).await,
        }
        .map(|lock| HeldLock { lock })
    }

    /// Waits until nobody holds the lock of that name: on PostgreSQL its session has ended, on SQLite its process. Ask
    /// only for locks that somebody should hold; a free one is reported at once.
    pub async fn lock_released(&self, name: &str) -> Result<()> {
        match &self.inner.engine {
            Engine::Postgres(postgres) => postgres.lock_released(name).await,
            Engine::Sqlite(sqlite) => sqlite.lock_released(name).await,
        }
    }

    /// Whether another replica waits for the election lock now, so that a hand-over would be taken up.
    pub async fn standby_waits(&self) -> Result<bool> {
        match &self.inner.engine {
            Engine::Postgres(postgres) => postgres.standby_waits().await,
            Engine::Sqlite(sqlite) => sqlite.standby_waits(),
        }
    }

    /// Ends an instance that has gone silent, named by its [`Db::instance`]: on PostgreSQL its sessions in this database
    /// (except those that wait for a synchronous standby, whose commits may yet become durable), on SQLite its process.
    /// Says whether there was anything to end.
    pub async fn end_instance(&self, instance: &str) -> Result<bool> {
        match &self.inner.engine {
            Engine::Postgres(postgres) => postgres.end_instance(instance).await,
            Engine::Sqlite(sqlite) => sqlite.end_instance(instance),
        }
    }
}

impl HeldLock {
    /// Waits until the lock is lost although it was not dropped: the connection to the database broke.
    pub async fn lost(&self) {
        match &self.lock {
            EngineLock::Postgres(lock) => lock.lost().await,
            EngineLock::Sqlite(_) | EngineLock::Memory(_) => std::future::pending().await,
        }
    }
}
