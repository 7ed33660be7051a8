//! The engine for SQLite: a file that replicas on one machine share, or memory.

mod election;
mod files;
mod lock;
mod signal;
mod thread;
mod write;

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use tasks::Tasks;

use crate::{
    Committed, Result, Row, Statement, StoreError, Value,
    guard::Fence,
    migrate::{self, Steps},
    notify::Wakes,
};
use election::MemoryLocks;
pub(crate) use election::{SqliteContender, SqliteLock};
use files::Files;
use signal::Signals;
use thread::SqlThreads;
pub(crate) use write::SqliteTx;
use write::{Turn, Writer};

/// Threads that run queries on a file.
const READERS: usize = 4;

pub(crate) struct Sqlite {
    /// None in memory, where nobody else comes.
    files: Option<Files>,
    writer: SqlThreads<Writer>,
    /// None in memory, where the writer's connection is the only one.
    readers: Option<SqlThreads<Connection>>,
    signals: Signals,
    locks: MemoryLocks,
    tag: String,
}

impl Sqlite {
    /// A file, or memory if there is no path.
    pub(crate) fn open(path: Option<&Path>, node: &str, tasks: &Tasks) -> Result<Self> {
        let files = path.map(Files::new).transpose()?;
        let connection = connect(files.as_ref(), OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        let queue = files.as_ref().map(Files::queue).transpose()?;
        if let Some(queue) = &queue {
            // SQLite does not wait for others that change the mode of a new file: it says that the file is locked.
            let _alone = Turn::wait(queue)?;
            let pragmas = "pragma journal_mode = wal; pragma synchronous = full; pragma journal_size_limit = 67108864";
            connection.execute_batch(pragmas).map_err(|e| thread::error_of(&e))?;
        }
        let writer = SqlThreads::start("sqlite-writer", vec![Writer::new(connection, queue, node)], tasks)?;
        let readers = files.as_ref().map(|files| {
            let connections = (0..READERS).map(|_| connect(Some(files), OpenFlags::SQLITE_OPEN_READ_ONLY));
            SqlThreads::start("sqlite-reader", connections.collect::<Result<_>>()?, tasks)
        });
        let signals = Signals::new(files.as_ref())?;
        let (readers, tag) = (readers.transpose()?, files::own_process()?.to_string());
        Ok(Self { files, writer, readers, signals, locks: MemoryLocks::default(), tag })
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    pub(crate) async fn query(&self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>> {
        match &self.readers {
            Some(readers) => readers.call(move |connection| thread::read(connection, sql, &params)).await?,
            None => self.writer.call(move |writer| thread::read(writer.connection(), sql, &params)).await?,
        }
    }

    pub(crate) async fn commit(&self, fence: Fence, statements: Vec<Statement>) -> Result<Committed> {
        self.writer.call(move |writer| writer.commit(&fence, &statements)).await?
    }

    pub(crate) async fn begin(&self, fence: Fence) -> Result<SqliteTx> {
        write::begin(&self.writer, fence).await
    }

    pub(crate) async fn check_statements(&self, statements: Vec<&'static str>) -> Result<()> {
        let check = move |writer: &mut Writer| {
            statements.into_iter().try_for_each(|sql| thread::check(writer.connection(), sql))
        };
        self.writer.call(check).await?
    }

    pub(crate) async fn migrate(&self, node: &str, steps: Steps) -> Result<()> {
        let node = node.to_owned();
        let migrate = move |tx: &mut write::Open<'_>| {
            tx.batch(migrate::CREATE)?;
            let applied = tx.query(migrate::APPLIED, &[])?;
            for (component, step) in migrate::pending(&steps, &applied)? {
                tracing::info!(component, version = step.version, name = step.name, "migrating");
                tx.batch(step.sql)?;
                tx.execute(&migrate::record(component, step), 0)?;
            }
            tx.execute(&migrate::epoch_rows(&node), 0).map(drop)
        };
        self.writer.call(|writer| writer.transaction(&Fence::None, migrate).map(drop)).await?
    }

    pub(crate) fn notify(&self, channel: &str) {
        self.signals.touch(channel);
    }

    pub(crate) fn start_notifications(&self, wakes: &Wakes, tasks: &Tasks) -> Result<()> {
        self.files.as_ref().map_or(Ok(()), |files| signal::watch(files, wakes, tasks))
    }
}

fn connect(files: Option<&Files>, flags: OpenFlags) -> Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match files {
        Some(files) => Connection::open_with_flags(files.database(), flags),
        None => Connection::open_in_memory_with_flags(flags),
    };
    let connection = connection.map_err(|e| thread::error_of(&e))?;
    // Writers queue elsewhere; this is for foreign programs that have the file open.
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(|e| thread::error_of(&e))?;
    connection.set_prepared_statement_cache_capacity(256);
    connection.execute_batch("pragma foreign_keys = off").map_err(|e| thread::error_of(&e))?;
    Ok(connection)
}

fn io_error(what: &str, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("{what}: {error}"))
}
