//! The participant's tables, beside those of `identity` and `ledger`.

use base::{Hash, MessageId, PackageId, SynchronizerId, Timestamp};
use bytes::Bytes;
use participant_core::{InFlight, deduplication::Acceptance};
use protocol::tree::{LeafContent as _, SubmitterMetadata};
use std::collections::BTreeMap;
use store::{Db, Epoch, Migration, Migrations, Result, Row, Statement, StoreError, Value};
use transaction::codec::{Reader, Writer};

/// Steps of this room's tables.
pub const MIGRATIONS: Migrations = Migrations {
    component: "participant",
    steps: &[
        Migration {
            version: 1,
            name: "clean point, submissions in flight, acceptances, synchronizers",
            sql: "create table participant_clean (synchronizer text not null primary key, clean bigint not null);
              create table participant_in_flight (
                message_id text not null primary key, epoch bigint not null, change_id bytea not null,
                root_hash bytea not null, submitter bytea not null, sequenced bigint);
              create table participant_acceptances (
                change_id bytea not null primary key, ledger_offset bigint not null, published bigint not null,
                submission_id text);
              create table participant_synchronizers (
                alias text not null primary key, synchronizer text not null, sequencers text not null,
                manual_connect boolean not null, connected boolean not null)",
        },
        Migration {
            version: 2,
            name: "priority and trusted certificates of synchronizers",
            sql: "alter table participant_synchronizers add column priority bigint not null default 0;
              alter table participant_synchronizers add column trust text",
        },
        Migration {
            version: 3,
            name: "uploaded DARs",
            sql: "create table participant_dars (hash text not null primary key, name text not null, main text not null)",
        },
    ],
};

const CLEAN: &str = "select clean from participant_clean where synchronizer = $1";
const IN_FLIGHT: &str = "select message_id, change_id, root_hash, submitter, sequenced from participant_in_flight";
const SEQUENCED: &str = "update participant_in_flight set sequenced = $2 where message_id = $1";
const COMPLETE: &str = "delete from participant_in_flight where message_id = $1";
const ACCEPTANCES: &str = "select change_id, ledger_offset, published, submission_id from participant_acceptances where change_id in blobs($1)";
const DARS: &str = "select hash, name, main from participant_dars order by name, hash";
const SYNCHRONIZERS: &str = "select alias, synchronizer, sequencers, manual_connect, connected, priority, trust
                             from participant_synchronizers order by priority desc, alias";

/// Every statement, for the test that prepares them on every engine.
#[doc(hidden)]
pub const STATEMENTS: &[&str] = &[CLEAN, IN_FLIGHT, SEQUENCED, COMPLETE, ACCEPTANCES, SYNCHRONIZERS, DARS];

/// How a participant is told to reach a synchronizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynchronizerConfig {
    /// The participant's own name for it.
    pub alias: String,
    /// `http://host:port` of its sequencers.
    pub sequencers: Vec<String>,
    /// Not connected again by itself after a takeover or restart.
    pub manual_connect: bool,
    /// Of those that could be connected, the one with the highest is.
    pub priority: i32,
    /// Certificates, PEM, that sequencers' may be signed by; else the machine's count.
    pub trust: Option<String>,
}

/// A synchronizer that the participant was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// What it was told.
    pub config: SynchronizerConfig,
    /// Its id.
    pub synchronizer: SynchronizerId,
    /// Whether it is to be connected now.
    pub connected: bool,
}

pub(crate) async fn clean(db: &Db, synchronizer: &SynchronizerId) -> Result<Option<Timestamp>> {
    let row = db.query_opt(CLEAN, vec![synchronizer.to_string().into()]).await?;
    row.map(|row| row.timestamp(0)).transpose()
}

pub(crate) fn clean_row(synchronizer: &SynchronizerId, clean: Timestamp) -> Statement {
    let row = vec![synchronizer.to_string().into(), clean.micros().into()];
    Statement::upsert("participant_clean", &["synchronizer"], &["synchronizer", "clean"], vec![row])
}

pub(crate) fn in_flight_row(row: &InFlight, epoch: &Epoch) -> Statement {
    let mut submitter = Writer::versioned();
    row.submitter.write(&mut submitter);
    let values = vec![
        row.message.as_str().into(),
        epoch.number().into(),
        row.change.as_bytes().to_vec().into(),
        row.root_hash.as_bytes().to_vec().into(),
        submitter.finish().into(),
        row.sequenced.map(Timestamp::micros).into(),
    ];
    let columns = &["message_id", "epoch", "change_id", "root_hash", "submitter", "sequenced"];
    Statement::insert("participant_in_flight", columns, vec![values])
}

pub(crate) async fn in_flight(db: &Db) -> Result<Vec<InFlight>> {
    db.query(IN_FLIGHT, vec![]).await?.iter().map(in_flight_of).collect()
}

fn in_flight_of(row: &Row) -> Result<InFlight> {
    let bytes = row.bytes(3)?;
    let submitter = || {
        let mut reader = Reader::new(&bytes);
        reader.version()?;
        let submitter = SubmitterMetadata::read(&mut reader)?;
        reader.finish()?;
        Ok::<_, transaction::DecodeError>(submitter)
    };
    Ok(InFlight {
        message: row.text(0)?.parse().map_err(corrupt)?,
        change: Hash::try_from(row.bytes(1)?.as_ref()).map_err(corrupt)?,
        root_hash: Hash::try_from(row.bytes(2)?.as_ref()).map_err(corrupt)?,
        submitter: submitter().map_err(corrupt)?,
        sequenced: row.opt_timestamp(4)?,
    })
}

pub(crate) fn sequenced(message: &MessageId, at: Timestamp) -> Statement {
    Statement::new(SEQUENCED, vec![message.as_str().into(), at.micros().into()])
}

pub(crate) fn complete(message: &MessageId) -> Statement {
    Statement::new(COMPLETE, vec![message.as_str().into()])
}

pub(crate) fn acceptance_row(change: &Hash, offset: i64, published: Timestamp, submission: Option<&str>) -> Statement {
    let row = vec![change.as_bytes().to_vec().into(), offset.into(), published.micros().into(), submission.into()];
    let columns = &["change_id", "ledger_offset", "published", "submission_id"];
    Statement::upsert("participant_acceptances", &["change_id"], columns, vec![row])
}

/// The last acceptance of each of these changes that was ever accepted.
pub(crate) async fn acceptances(db: &Db, changes: &[Hash]) -> Result<BTreeMap<Hash, Acceptance>> {
    if changes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let changes = changes.iter().map(|change| Bytes::copy_from_slice(change.as_bytes())).collect();
    let rows = db.query(ACCEPTANCES, vec![Value::Blobs(changes)]).await?;
    rows.iter()
        .map(|row| {
            let change = row.bytes(0)?.as_ref().try_into().map(Hash).map_err(corrupt)?;
            let submission = row.opt_text(3)?.map(str::parse).transpose().map_err(corrupt)?;
            Ok((change, Acceptance { offset: row.count(1)?, published: row.timestamp(2)?, submission }))
        })
        .collect()
}

pub(crate) fn synchronizer_row(registered: &Registered) -> Statement {
    let config = &registered.config;
    let row = vec![
        config.alias.as_str().into(),
        registered.synchronizer.to_string().into(),
        config.sequencers.join(" ").into(),
        config.manual_connect.into(),
        registered.connected.into(),
        i64::from(config.priority).into(),
        config.trust.as_deref().into(),
    ];
    let columns = &["alias", "synchronizer", "sequencers", "manual_connect", "connected", "priority", "trust"];
    Statement::upsert("participant_synchronizers", &["alias"], columns, vec![row])
}

/// All synchronizers that the participant was told of, those with the highest priority first.
pub async fn synchronizers(db: &Db) -> Result<Vec<Registered>> {
    let rows = db.query(SYNCHRONIZERS, vec![]).await?;
    rows.iter()
        .map(|row| {
            let config = SynchronizerConfig {
                alias: row.text(0)?.to_owned(),
                sequencers: row.text(2)?.split_whitespace().map(str::to_owned).collect(),
                manual_connect: row.bool(3)?,
                priority: row.int(5)?.try_into().map_err(corrupt)?,
                trust: row.opt_text(6)?.map(str::to_owned),
            };
            Ok(Registered { config, synchronizer: row.text(1)?.parse().map_err(corrupt)?, connected: row.bool(4)? })
        })
        .collect()
}

/// A DAR that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedDar {
    /// 1220 and the SHA-256 of the file, in hexadecimal.
    pub hash: String,
    /// Of its main package; the package's id where it has none.
    pub name: String,
    /// Its main package.
    pub main: PackageId,
}

pub(crate) fn dar_row(dar: &UploadedDar) -> Statement {
    let row = vec![dar.hash.as_str().into(), dar.name.as_str().into(), dar.main.as_str().into()];
    Statement::insert_new("participant_dars", &["hash", "name", "main"], vec![row])
}

/// All DARs that were uploaded, by their names.
pub async fn dars(db: &Db) -> Result<Vec<UploadedDar>> {
    let rows = db.query(DARS, vec![]).await?;
    let read = |row: &Row| {
        let main = row.text(2)?.parse().map_err(corrupt)?;
        Ok(UploadedDar { hash: row.text(0)?.to_owned(), name: row.text(1)?.to_owned(), main })
    };
    rows.iter().map(read).collect()
}

fn corrupt(why: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("the participant's tables: {why}"))
}
