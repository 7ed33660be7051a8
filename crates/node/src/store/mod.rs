//! The table of replicas. Each replica writes its own row, whichever role it has.

use crate::{
    directory::{Directory, Entry},
    replica::ReplicaConfig,
};
use ::store::{Db, Migration, Migrations, Result, Row, Statement, StoreError, params};
use replica_core::Role;

/// Told when a row has changed.
pub(crate) const CHANGED: &str = "node_replicas";

/// Steps of this room's tables.
pub const MIGRATIONS: Migrations = Migrations {
    component: "node",
    steps: &[Migration {
        version: 1,
        name: "replicas",
        sql: "create table node_replicas (
                node text not null, instance text not null, replica text not null, role text not null,
                epoch bigint not null, admin_uri text not null, ledger_uri text, updated bigint not null,
                primary key (node, instance, replica))",
    }],
};

const REPLICAS: &str = "select instance, replica, role, epoch, admin_uri, ledger_uri from node_replicas \
    where node = $1 order by replica, instance";
const SHOW: &str = "insert into node_replicas (node, instance, replica, role, epoch, admin_uri, ledger_uri, updated) \
    values ($1, $2, $3, $4, $5, $6, $7, now_micros()) on conflict (node, instance, replica) do update set \
    role = excluded.role, epoch = excluded.epoch, admin_uri = excluded.admin_uri, ledger_uri = excluded.ledger_uri, \
    updated = excluded.updated";
const FORGET: &str = "delete from node_replicas where node = $1 and updated < now_micros() - $2";
const FORGET_PREDECESSOR: &str =
    "delete from node_replicas where node = $1 and replica = $2 and admin_uri = $3 and instance <> $4";
const LEAVE: &str = "delete from node_replicas where node = $1 and instance = $2 and replica = $3";

/// Every statement, for the test that prepares them on every engine.
#[doc(hidden)]
pub const STATEMENTS: &[&str] = &[REPLICAS, SHOW, FORGET, FORGET_PREDECESSOR, LEAVE];

/// A replica that has not refreshed its row for so long, in µs, is gone.
const GONE: i64 = 60_000_000;

/// Writes this replica's row, and drops the rows of those that are gone: the silent, and who ran here before.
pub(crate) async fn show(db: &Db, config: &ReplicaConfig, role: Role, epoch: i64) -> Result<()> {
    let (node, instance, replica, admin) = (db.node(), db.instance(), &config.name, &config.admin_uri);
    let row = params![node, instance, replica, name(role), epoch, admin, config.ledger_uri.clone()];
    let statements = vec![
        Statement::new(SHOW, row),
        Statement::new(FORGET, params![node, GONE]),
        Statement::new(FORGET_PREDECESSOR, params![node, replica, admin, instance]),
    ];
    db.commit(&db.own(), statements).await.map(drop)
}

/// Takes this replica's row away.
pub(crate) async fn leave(db: &Db, config: &ReplicaConfig) -> Result<()> {
    let leave = Statement::new(LEAVE, params![db.node(), db.instance(), &config.name]);
    db.commit(&db.own(), vec![leave]).await.map(drop)
}

/// All replicas of the logical node; the active one is not yet known.
pub(crate) async fn replicas(db: &Db) -> Result<Directory> {
    let rows = db.query(REPLICAS, params![db.node()]).await?;
    Ok(Directory { replicas: rows.iter().map(entry).collect::<Result<_>>()?, active: None })
}

fn entry(row: &Row) -> Result<Entry> {
    let epoch = row.int(3)?;
    Ok(Entry {
        instance: row.text(0)?.to_owned(),
        replica: row.text(1)?.to_owned(),
        role: role(row.text(2)?, epoch)?,
        epoch,
        admin_uri: row.text(4)?.to_owned(),
        ledger_uri: row.opt_text(5)?.map(str::to_owned),
    })
}

/// The role's name, in the table and in the status.
pub(crate) fn name(role: Role) -> &'static str {
    match role {
        Role::Starting => "Starting",
        Role::Passive => "Passive",
        Role::Activating { .. } => "Activating",
        Role::Active { .. } => "Active",
        Role::Leaving { .. } => "Leaving",
        Role::Stopped => "Stopped",
    }
}

fn role(name: &str, epoch: i64) -> Result<Role> {
    Ok(match name {
        "Starting" => Role::Starting,
        "Passive" => Role::Passive,
        "Activating" => Role::Activating { epoch },
        "Active" => Role::Active { epoch },
        "Leaving" => Role::Leaving { epoch },
        "Stopped" => Role::Stopped,
        other => return Err(StoreError::Corrupt(format!("a replica in the role {other:?}"))),
    })
}
