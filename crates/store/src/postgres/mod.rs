//! The engine for PostgreSQL 13 and later.

mod election;
mod listen;
mod session;
mod value;
mod write;

use std::{borrow::Cow, sync::Arc};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime};
use futures::FutureExt as _;
use tasks::Tasks;
use tokio_postgres::NoTls;

use crate::{
    Committed, PostgresConfig, Result, Row, Statement, StoreError, Value,
    guard::Fence,
    migrate::{self, Steps},
    statement::postgres_sql,
};
pub(crate) use election::{PostgresContender, PostgresLock};
use listen::Notifier;
use session::{Connector, Role, error_of};
pub(crate) use write::PostgresTx;
use write::WritePool;

pub(crate) struct Postgres {
    connector: Arc<Connector>,
    reads: Pool,
    writes: WritePool,
    notifier: Notifier,
}

impl Postgres {
    pub(crate) async fn open(config: &PostgresConfig, node: &Arc<str>, tasks: &Tasks) -> Result<Self> {
        let connector = Arc::new(Connector::new(config, tasks)?);
        if config.write_connections == 0 || config.write_connections > crate::EPOCH_SLOTS {
            let limit = crate::EPOCH_SLOTS;
            return Err(StoreError::Config(format!("the write pool needs 1 to {limit} connections")));
        }
        let manager = Manager::from_config(
            connector.config(Role::Read),
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        // The pool reconnects by itself, so its sessions must not be able to write.
        let read_only = Hook::async_fn(|client, _| {
            async move {
                let set = client.batch_execute("set default_transaction_read_only = on").await;
                set.map_err(HookError::Backend)
            }
            .boxed()
        });
        let reads = Pool::builder(manager)
            .max_size(config.read_connections.max(1))
            .post_create(read_only)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(config.connect_timeout))
            .create_timeout(Some(config.connect_timeout))
            .build()
            .map_err(|e| StoreError::Config(e.to_string()))?;
        let writes = WritePool::new(connector.clone(), node.clone(), config.write_connections);
        Ok(Self { connector, reads, writes, notifier: Notifier::default() })
    }

    pub(crate) fn tag(&self) -> &str {
        self.connector.tag()
    }

    pub(crate) async fn query(&self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>> {
        match self.query_once(sql, &params).await {
            // The pool may hand out a connection that broke while it lay there; a read may simply be repeated.
            Err(StoreError::Unavailable(_)) => self.query_once(sql, &params).await,
            result => result,
        }
    }

    async fn query_once(&self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        let client = self.reads.get().await.map_err(|e| match e {
            PoolError::Backend(error) => error_of(&error),
            other => StoreError::Unavailable(other.to_string()),
        })?;
        let statement = client.prepare_cached(&postgres_sql(sql)).await.map_err(|e| error_of(&e))?;
        let rows = client.query(&statement, &value::as_params(params)).await.map_err(|e| error_of(&e))?;
        rows.iter().map(value::row).collect()
    }

    pub(crate) async fn commit(&self, fence: Fence, statements: Vec<Statement>) -> Result<Committed> {
        self.writes.commit(fence, &statements).await
    }

    pub(crate) async fn begin(&self, fence: Fence) -> Result<PostgresTx> {
        self.writes.begin(fence).await
    }

    pub(crate) async fn check_statements(&self, statements: &[&'static str]) -> Result<()> {
        let session = self.connector.connect(Role::Write).await?;
        for sql in statements {
            let prepared = session.client().prepare(&postgres_sql(sql)).await;
            prepared.map_err(|e| StoreError::Statement(format!("{}: {sql}", session::text_of(&e))))?;
        }
        Ok(())
    }

    pub(crate) async fn migrate(&self, node: &str, steps: Steps) -> Result<()> {
        let mut session = self.connector.connect(Role::Migrate).await?;
        if self.connector.schema() != "public" {
            let create = format!("create schema if not exists {}", self.connector.schema());
            // Two replicas that start together may both find it missing; the loser's error is no matter.
            if let Err(error) = session.client().batch_execute(&create).await {
                tracing::debug!(%error, "schema not created");
            }
        }
        let lock = self.connector.lock_id("migrations");
        let begin = format!("begin; select pg_advisory_xact_lock({lock}); {}", migrate::CREATE);
        session.client().batch_execute(&begin).await.map_err(|e| error_of(&e))?;
        let applied = session.query(migrate::APPLIED, &[]).await?;
        for (component, step) in migrate::pending(&steps, &applied)? {
            tracing::info!(component, version = step.version, name = step.name, "migrating");
            session.client().batch_execute(step.sql).await.map_err(|e| error_of(&e))?;
            session.execute(&migrate::record(component, step), 0).await?;
        }
        session.execute(&migrate::epoch_rows(node), 0).await?;
        session.client().batch_execute("commit").await.map_err(|e| error_of(&e))
    }
}

/// The translated text as a key for a session's prepared statements.
fn translated(sql: &'static str) -> Cow<'static, str> {
    postgres_sql(sql)
}
