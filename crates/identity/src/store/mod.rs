//! Tables of this room. They are written in the transactions of the node, under its guard.

use base::SynchronizerId;
use std::collections::BTreeMap;
use store::{Db, Migration, Migrations, Result, Statement, StoreError, Value};
use topology::{SignedTopologyTransaction, StoredTransaction, TopologyState};

/// Steps of this room's tables.
pub const MIGRATIONS: Migrations = Migrations {
    component: "identity",
    steps: &[Migration {
        version: 1,
        name: "settings, keys, topology",
        sql: "create table identity_settings (name text not null primary key, value text not null);
              create table identity_keys (purpose text not null primary key, private bytea not null);
              create table identity_topology (
                sequenced bigint not null, position bigint not null, effective bigint not null,
                signed_transaction bytea not null, primary key (sequenced, position))",
    }],
};

const SETTING: &str = "select value from identity_settings where name = $1";
const KEYS: &str = "select purpose, private from identity_keys";
const TOPOLOGY: &str =
    "select sequenced, effective, signed_transaction from identity_topology order by sequenced, position";

/// Every statement, for the test that prepares them on every engine.
#[doc(hidden)]
pub const STATEMENTS: &[&str] = &[SETTING, KEYS, TOPOLOGY];

/// A setting of this node by its name; `None` if it was never set.
pub async fn load_setting(db: &Db, name: &str) -> Result<Option<String>> {
    let row = db.query_opt(SETTING, vec![name.into()]).await?;
    row.map(|row| row.text(0).map(str::to_owned)).transpose()
}

/// Sets or replaces a setting.
#[must_use]
pub fn setting_row(name: &str, value: &str) -> Statement {
    Statement::upsert("identity_settings", &["name"], &["name", "value"], vec![vec![name.into(), value.into()]])
}

pub(crate) fn key_row(purpose: &str, pkcs8: &[u8]) -> Statement {
    Statement::insert("identity_keys", &["purpose", "private"], vec![vec![purpose.into(), Value::from(pkcs8.to_vec())]])
}

pub(crate) async fn load_keys(db: &Db) -> Result<BTreeMap<String, Vec<u8>>> {
    let rows = db.query(KEYS, vec![]).await?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.bytes(1)?.to_vec()))).collect()
}

/// The rows of accepted topology transactions. Writing the same ones again changes nothing.
#[must_use]
pub fn topology_rows(accepted: &[StoredTransaction]) -> Statement {
    let rows = accepted.iter().enumerate().map(|(position, stored)| {
        vec![
            stored.sequenced.micros().into(),
            Value::Int(i64::try_from(position).unwrap_or(i64::MAX)),
            stored.effective.micros().into(),
            stored.transaction.encode().into(),
        ]
    });
    let columns = &["sequenced", "position", "effective", "signed_transaction"];
    Statement::insert_new("identity_topology", columns, rows.collect())
}

/// The topology of `synchronizer` as this node has stored it.
pub async fn load_topology(db: &Db, synchronizer: &SynchronizerId) -> Result<TopologyState> {
    let corrupt = |e: topology::Malformed| StoreError::Corrupt(format!("a stored topology transaction: {e}"));
    let mut state = TopologyState::of(synchronizer.clone());
    let rows = db.query(TOPOLOGY, vec![]).await?;
    let stored = rows.iter().map(|row| {
        Ok(StoredTransaction {
            sequenced: row.timestamp(0)?,
            effective: row.timestamp(1)?,
            transaction: SignedTopologyTransaction::decode(&row.bytes(2)?).map_err(corrupt)?,
        })
    });
    state.restore(stored.collect::<Result<Vec<_>>>()?);
    Ok(state)
}
