//! Write transactions whose statements depend on what they read.

use std::marker::PhantomData;

use base::Timestamp;
use tasks::CrashPoints;

use crate::{Guard, Result, Row, Statement, Value, postgres::PostgresTx, sqlite::SqliteTx};

/// An open transaction under a guard, which was checked when it was opened and protects it until the commit. Dropping it
/// rolls it back. After an error it can only be dropped.
pub struct WriteTx<G: Guard> {
    pub(crate) tx: EngineTx,
    pub(crate) guard: PhantomData<G>,
    pub(crate) points: CrashPoints,
}

pub(crate) enum EngineTx {
    Postgres(Box<PostgresTx>),
    Sqlite(SqliteTx),
}

impl<G: Guard> WriteTx<G> {
    /// All rows of a query, seen from inside the transaction.
    pub async fn query(&mut self, sql: &'static str, params: impl Into<Vec<Value>>) -> Result<Vec<Row>> {
        match &mut self.tx {
            EngineTx::Postgres(tx) => tx.query(sql, params.into()).await,
            EngineTx::Sqlite(tx) => tx.query(sql, params.into()).await,
        }
    }

    /// Runs a statement and gives the number of rows it touched.
    pub async fn execute(&mut self, statement: Statement) -> Result<u64> {
        self.points.add(|| statement.name());
        match &mut self.tx {
            EngineTx::Postgres(tx) => tx.execute(statement).await,
            EngineTx::Sqlite(tx) => tx.execute(statement).await,
        }
    }

    /// The database's clock when the transaction was opened.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.tx {
            EngineTx::Postgres(tx) => tx.now(),
            EngineTx::Sqlite(tx) => tx.now(),
        }
    }

    /// Makes it durable. On [`StoreError::Unknown`](crate::StoreError::Unknown) it may have taken effect, on any other
    /// error it has not.
    pub async fn commit(self) -> Result<()> {
        self.points.before();
        match self.tx {
            EngineTx::Postgres(tx) => tx.commit().await,
            EngineTx::Sqlite(tx) => tx.commit().await,
        }?;
        self.points.after();
        Ok(())
    }
}

impl<G: Guard> std::fmt::Debug for WriteTx<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WriteTx")
    }
}
