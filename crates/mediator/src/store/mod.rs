//! The mediator's tables.

use base::Timestamp;
use mediator_core::{Decision, Recovered, UsedUuid};
use protocol::{
    message::{EnvelopeContent, RequestId, Signed},
    tree::RequestUuid,
};
use std::collections::BTreeSet;
use store::{Db, Epoch, Migration, Migrations, Result, Row, Statement, StoreError};
use topology::StoredTransaction;

/// Steps of this room's tables.
pub const MIGRATIONS: Migrations = Migrations {
    component: "mediator",
    steps: &[Migration {
        version: 1,
        name: "uuids, verdicts, clean point",
        sql: "create table mediator_uuids (
                uuid bytea not null primary key, request bigint not null, expires bigint not null);
              create table mediator_verdicts (
                request bigint not null primary key, epoch bigint not null, result bytea not null,
                participants text not null, max_sequencing_time bigint not null, settled boolean not null);
              create table mediator_clean (id bigint not null primary key, clean bigint not null)",
    }],
};

const UUIDS: &str = "select uuid, request, expires from mediator_uuids where expires >= $1";
const FORGET_UUIDS: &str = "delete from mediator_uuids where expires < $1";
const DECIDED: &str = "select request from mediator_verdicts where request > $1";
const OUTBOX: &str =
    "select result, participants, max_sequencing_time from mediator_verdicts where settled = false order by request";
const SETTLE: &str = "update mediator_verdicts set settled = true where request = $1";
const CLEAN: &str = "select clean from mediator_clean where id = 0";

/// Every statement, for the test that prepares them on every engine.
#[doc(hidden)]
pub const STATEMENTS: &[&str] = &[UUIDS, FORGET_UUIDS, DECIDED, OUTBOX, SETTLE, CLEAN];

pub(crate) fn uuid_row(used: &UsedUuid) -> Statement {
    let row = vec![used.uuid.0.to_vec().into(), used.request.micros().into(), used.expires.micros().into()];
    Statement::insert_new("mediator_uuids", &["uuid", "request", "expires"], vec![row])
}

/// A verdict that is decided and not sent yet. A verdict stored before stands.
pub(crate) fn verdict_row(decision: &Decision, epoch: &Epoch) -> Statement {
    let result = EnvelopeContent::Result(Signed::unsigned(decision.result.clone())).encode();
    let participants: Vec<String> = decision.participants.iter().map(ToString::to_string).collect();
    let row = vec![
        decision.result.request.micros().into(),
        epoch.number().into(),
        result.into(),
        participants.join(" ").into(),
        decision.max_sequencing_time.micros().into(),
        false.into(),
    ];
    let columns = &["request", "epoch", "result", "participants", "max_sequencing_time", "settled"];
    Statement::insert_new("mediator_verdicts", columns, vec![row])
}

pub(crate) fn settle(request: RequestId) -> Statement {
    Statement::new(SETTLE, vec![request.micros().into()])
}

/// The new clean point, and what need not be remembered any more.
pub(crate) fn clean_rows(clean: Timestamp) -> [Statement; 2] {
    let row = vec![0_i64.into(), clean.micros().into()];
    [
        Statement::upsert("mediator_clean", &["id"], &["id", "clean"], vec![row]),
        Statement::new(FORGET_UUIDS, vec![clean.micros().into()]),
    ]
}

/// Everything that was stored, beside the topology.
pub(crate) async fn recover(db: &Db, topology: Vec<StoredTransaction>) -> Result<Recovered> {
    let clean = db.query_opt(CLEAN, vec![]).await?.map(|row| row.timestamp(0)).transpose()?;
    let from = clean.unwrap_or(Timestamp::MIN);
    let uuids = db.query(UUIDS, vec![from.micros().into()]).await?;
    let decided = db.query(DECIDED, vec![from.micros().into()]).await?;
    let outbox = db.query(OUTBOX, vec![]).await?;
    Ok(Recovered {
        topology,
        uuids: uuids.iter().map(used_uuid).collect::<Result<_>>()?,
        decided: decided.iter().map(|row| row.timestamp(0)).collect::<Result<BTreeSet<_>>>()?,
        outbox: outbox.iter().map(decision).collect::<Result<_>>()?,
        clean,
    })
}

fn used_uuid(row: &Row) -> Result<UsedUuid> {
    let uuid = row.bytes(0)?.as_ref().try_into().map_err(|_| corrupt("a request uuid"))?;
    Ok(UsedUuid { uuid: RequestUuid(uuid), request: row.timestamp(1)?, expires: row.timestamp(2)? })
}

fn decision(row: &Row) -> Result<Decision> {
    let Ok(EnvelopeContent::Result(signed)) = EnvelopeContent::decode(row.bytes(0)?) else {
        return Err(corrupt("a verdict"));
    };
    let participants = row.text(1)?.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>();
    Ok(Decision {
        result: signed.content().clone(),
        participants: participants.map_err(|_| corrupt("a verdict's participants"))?,
        max_sequencing_time: row.timestamp(2)?,
    })
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} cannot be read"))
}
