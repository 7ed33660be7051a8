//! The database of one logical node.

use std::{marker::PhantomData, sync::Arc};

use base::Timestamp;
use tasks::{CrashPoints, Tasks};

use crate::{
    Guard, Listener, Own, Result, Row, Statement, StorageConfig, StoreError, Value, WriteTx,
    migrate::{self, Migrations},
    notify::Wakes,
    postgres::Postgres,
    sqlite::Sqlite,
    write::EngineTx,
};

/// The database of one logical node, on either engine. Cheap to clone.
///
/// Reads need no right. A write takes a guard; without one it does not compile:
/// ```compile_fail,E0599
/// async fn read_only(db: store::Db) {
///     db.execute(store::Statement::new("delete from t", [])).await;
/// }
/// ```
/// The guard of the active replica comes from an election and cannot be made:
/// ```compile_fail,E0451
/// # fn take(_: store::Epoch) {}
/// take(store::Epoch { node: "participant".into(), number: 7 });
/// ```
/// ```compile_fail,E0624
/// store::Epoch::new("participant".into(), 7);
/// ```
/// A transaction for own rows is no transaction of the active replica:
/// ```compile_fail,E0308
/// async fn store_verdict(_: store::WriteTx<store::Epoch>) {}
/// async fn shortcut(db: store::Db) -> store::Result<()> {
///     store_verdict(db.begin(&db.own()).await?).await;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Db {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) node: Arc<str>,
    pub(crate) tasks: Tasks,
    wakes: Wakes,
}

pub(crate) enum Engine {
    Postgres(Postgres),
    Sqlite(Sqlite),
}

/// A transaction that was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Rows touched by each statement.
    pub rows: Vec<u64>,
    /// The database's clock at the transaction's first statement.
    pub now: Timestamp,
}

impl Db {
    /// Opens the database, creating what is missing, and brings the tables of every room to the newest version this
    /// program knows.
    ///
    /// `node` names the logical node (kind and, where several share a database and schema, more): replicas of one logical
    /// node must pass the same. The store's threads and connections belong to the scope of `tasks`.
    ///
    /// Fails with [`StoreError::TooNew`] on a database that a newer program has migrated, and with
    /// [`StoreError::Corrupt`] if a migration's text is not the one that was applied.
    pub async fn open(config: &StorageConfig, node: &str, migrations: &[Migrations], tasks: &Tasks) -> Result<Self> {
        let node: Arc<str> = node.into();
        let engine = match config {
            StorageConfig::Postgres(config) => Engine::Postgres(Postgres::open(config, &node, tasks).await?),
            StorageConfig::Sqlite { path } => Engine::Sqlite(Sqlite::open(Some(path), &node, tasks)?),
            StorageConfig::Memory => Engine::Sqlite(Sqlite::open(None, &node, tasks)?),
        };
        let steps = migrate::steps(migrations)?;
        match &engine {
            Engine::Postgres(postgres) => postgres.migrate(&node, steps).await?,
            Engine::Sqlite(sqlite) => sqlite.migrate(&node, steps).await?,
        }
        let wakes = Wakes::new();
        match &engine {
            Engine::Postgres(postgres) => postgres.start_notifications(&wakes, tasks),
            Engine::Sqlite(sqlite) => sqlite.start_notifications(&wakes, tasks)?,
        }
        Ok(Self { inner: Arc::new(Inner { engine, node, tasks: tasks.clone(), wakes }) })
    }

    /// The logical node's name.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.inner.node
    }

    /// Names this opened database among all that have it open, for [`Db::end_instance`]; not reused by a later start.
    #[must_use]
    pub fn instance(&self) -> &str {
        match &self.inner.engine {
            Engine::Postgres(postgres) => postgres.tag(),
            Engine::Sqlite(sqlite) => sqlite.tag(),
        }
    }

    /// All rows of a query. Sees what was committed before the call; several rows come from one snapshot.
    pub async fn query(&self, sql: &'static str, params: impl Into<Vec<Value>>) -> Result<Vec<Row>> {
        match &self.inner.engine {
            Engine::Postgres(postgres) => postgres.query(sql, params.into()).await,
            Engine::Sqlite(sqlite) => sqlite.query(sql, params.into()).await,
        }
    }

    /// The first row of a query, if there is one.
    pub async fn query_opt(&self, sql: &'static str, params: impl Into<Vec<Value>>) -> Result<Option<Row>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// The first row of a query that always gives one; [`StoreError::Corrupt`] if it gives none.
    pub async fn query_one(&self, sql: &'static str, params: impl Into<Vec<Value>>) -> Result<Row> {
        let row = self.query_opt(sql, params).await?;
        row.ok_or_else(|| StoreError::Corrupt(format!("no row for: {sql}")))
    }

    /// The database's clock. For SQLite that is the machine's.
    pub async fn now(&self) -> Result<Timestamp> {
        self.query_one("select now_micros()", []).await?.timestamp(0)
    }

    /// The right to write this instance's own rows.
    #[must_use]
    pub fn own(&self) -> Own {
        Own::new()
    }

    /// Runs the statements in one transaction under the guard and commits it; on PostgreSQL everything travels in one
    /// round trip. Either all of it took effect or, unless the error is [`StoreError::Unknown`], nothing.
    pub async fn commit<G: Guard>(&self, guard: &G, statements: Vec<Statement>) -> Result<Committed> {
        let fence = guard.fence(&self.inner.node)?;
        let written = statements.iter().filter(|statement| !statement.is_empty());
        let points = CrashPoints::of(fence.statement().into_iter().chain(written).map(Statement::name));
        points.before();
        let committed = match &self.inner.engine {
            Engine::Postgres(postgres) => postgres.commit(fence, statements).await,
            Engine::Sqlite(sqlite) => sqlite.commit(fence, statements).await,
        }?;
        points.after();
        Ok(committed)
    }

    /// Opens a transaction whose statements depend on what it reads. Keep it short: it holds a place in the write pool
    /// (SQLite: keeps every other writer waiting), and the database ends it when it idles for 2 s.
    pub async fn begin<G: Guard>(&self, guard: &G) -> Result<WriteTx<G>> {
        let fence = guard.fence(&self.inner.node)?;
        let tx = match &self.inner.engine {
            Engine::Postgres(postgres) => EngineTx::Postgres(Box::new(postgres.begin(fence).await?)),
            Engine::Sqlite(sqlite) => EngineTx::Sqlite(sqlite.begin(fence).await?),
        };
        Ok(WriteTx { tx, guard: PhantomData, points: CrashPoints::default() })
    }

    /// Tells every [`Listener`] of the channel, in all processes that have this database open, that something was
    /// committed. Call it after the commit. Many calls may become one wake-up.
    pub fn notify(&self, channel: &'static str) {
        self.inner.wakes.wake(channel);
        match &self.inner.engine {
            Engine::Postgres(postgres) => postgres.notify(channel),
            Engine::Sqlite(sqlite) => sqlite.notify(channel),
        }
    }

    /// Waits for [`Db::notify`] on a channel (lower-case letters and `_`).
    #[must_use]
    pub fn listen(&self, channel: &'static str) -> Listener {
        self.inner.wakes.listen(channel)
    }

    /// Prepares every statement, without running it: a test of each room passes all its SQL here, on every engine.
    pub async fn check_statements(&self, statements: &[&'static str]) -> Result<()> {
        match &self.inner.engine {
            Engine::Postgres(postgres) => postgres.check_statements(statements).await,
            Engine::Sqlite(sqlite) => sqlite.check_statements(statements.to_vec()).await,
        }
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Db").field(&self.inner.node).finish()
    }
}
