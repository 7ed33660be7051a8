//! The manager's tables.

use base::{MessageId, Timestamp};
use manager_core::{Answer, Queued, Recovered};
use protocol::message::{EnvelopeContent, Signed};
use store::{Db, Epoch, Migration, Migrations, Result, Row, Statement, StoreError};
use topology::{SignedTopologyTransaction, StoredTransaction};

/// Steps of this room's tables.
pub const MIGRATIONS: Migrations = Migrations {
    component: "manager",
    steps: &[
        Migration {
            version: 1,
            name: "dispatch queue, answers, clean point",
            sql: "create table manager_queue (
                position bigint not null primary key, epoch bigint not null, signed_transaction bytea not null);
              create table manager_answers (
                message_id text not null primary key, epoch bigint not null, response bytea not null,
                max_sequencing_time bigint not null);
              create table manager_clean (id bigint not null primary key, clean bigint not null)",
        },
        Migration {
            version: 2,
            name: "what is authorized before the founding",
            sql: "create table manager_draft (position bigint not null primary key, signed_transaction bytea not null)",
        },
    ],
};

const QUEUE: &str = "select position, signed_transaction from manager_queue order by position";
const DEQUEUE: &str = "delete from manager_queue where position = $1";
const ANSWERS: &str = "select message_id, response, max_sequencing_time from manager_answers order by message_id";
const SETTLE: &str = "delete from manager_answers where message_id = $1";
const DRAFT: &str = "select signed_transaction from manager_draft order by position";
const CLEAN: &str = "select clean from manager_clean where id = 0";

/// Every statement, for the test that prepares them on every engine.
#[doc(hidden)]
pub const STATEMENTS: &[&str] = &[QUEUE, DEQUEUE, ANSWERS, SETTLE, DRAFT, CLEAN];

pub(crate) fn queue_row(queued: &Queued, epoch: &Epoch) -> Statement {
    let position = i64::try_from(queued.position).unwrap_or(i64::MAX);
    let row = vec![position.into(), epoch.number().into(), queued.transaction.encode().into()];
    Statement::insert_new("manager_queue", &["position", "epoch", "signed_transaction"], vec![row])
}

pub(crate) fn draft_row(position: usize, signed: &SignedTopologyTransaction) -> Statement {
    let position = i64::try_from(position).unwrap_or(i64::MAX);
    let row = vec![position.into(), signed.encode().into()];
    Statement::insert("manager_draft", &["position", "signed_transaction"], vec![row])
}

pub(crate) async fn draft(db: &Db) -> Result<Vec<SignedTopologyTransaction>> {
    let corrupt = |e: topology::Malformed| StoreError::Corrupt(format!("a stored topology transaction: {e}"));
    let rows = db.query(DRAFT, vec![]).await?;
    rows.iter().map(|row| SignedTopologyTransaction::decode(&row.bytes(0)?).map_err(corrupt)).collect()
}

pub(crate) fn dequeue(position: u64) -> Statement {
    Statement::new(DEQUEUE, vec![i64::try_from(position).unwrap_or(i64::MAX).into()])
}

pub(crate) fn answer_row(answer: &Answer, epoch: &Epoch) -> Statement {
    let response = EnvelopeContent::RegisterResponse(Signed::unsigned(answer.response.clone())).encode();
    let row = vec![
        answer.message_id.as_str().into(),
        epoch.number().into(),
        response.into(),
        answer.max_sequencing_time.micros().into(),
    ];
    let columns = &["message_id", "epoch", "response", "max_sequencing_time"];
    Statement::insert_new("manager_answers", columns, vec![row])
}

pub(crate) fn settle(message: &MessageId) -> Statement {
    Statement::new(SETTLE, vec![message.as_str().into()])
}

pub(crate) fn clean_row(clean: Timestamp) -> Statement {
    let row = vec![0_i64.into(), clean.micros().into()];
    Statement::upsert("manager_clean", &["id"], &["id", "clean"], vec![row])
}

/// Everything that was stored, beside the topology.
pub(crate) async fn recover(db: &Db, topology: Vec<StoredTransaction>) -> Result<Recovered> {
    let queue = db.query(QUEUE, vec![]).await?;
    let answers = db.query(ANSWERS, vec![]).await?;
    Ok(Recovered {
        topology,
        queue: queue.iter().map(queued).collect::<Result<_>>()?,
        answers: answers.iter().map(answer).collect::<Result<_>>()?,
        clean: db.query_opt(CLEAN, vec![]).await?.map(|row| row.timestamp(0)).transpose()?,
    })
}

fn queued(row: &Row) -> Result<Queued> {
    let transaction = SignedTopologyTransaction::decode(&row.bytes(1)?).map_err(corrupt)?;
    Ok(Queued { position: row.count(0)?, transaction })
}

fn answer(row: &Row) -> Result<Answer> {
    let Ok(EnvelopeContent::RegisterResponse(signed)) = EnvelopeContent::decode(row.bytes(1)?) else {
        return Err(corrupt("an answer cannot be read"));
    };
    Ok(Answer {
        message_id: row.text(0)?.parse().map_err(corrupt)?,
        response: signed.content().clone(),
        max_sequencing_time: row.timestamp(2)?,
    })
}

fn corrupt(why: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("the manager's tables: {why}"))
}
