//! The sequencer's tables. All sequencers of a synchronizer share them (spec/ha.md §5.2).
//!
//! Events and the watermark are committed together, under a guard that touches the watermark row: so no event is ever
//! committed above the watermark of its sequencer, and none by an incarnation that was knocked out.

use base::{Hash, InvalidId, MemberId, Timestamp};
use bytes::Bytes;
use protocol::sequencing::{Signable as _, Submission};
use sequencer_core::{Beat, MemberNumber, Members, StoredEvent};
use store::{Db, Incarnation, Migration, Migrations, Result, Row, Statement, StoreError, Value};

/// Steps of this room's tables.
pub const MIGRATIONS: Migrations = Migrations {
    component: "sequencer",
    steps: &[Migration {
        version: 1,
        name: "members, watermarks, events, authentication",
        sql: "create table sequencer_members (id bigint not null primary key, member text not null unique);
              create table sequencer_watermarks (
                idx bigint not null primary key, incarnation bigint not null, online boolean not null,
                watermark bigint not null, instance text not null);
              create table sequencer_beats (
                idx bigint not null primary key, incarnation bigint not null, beat bigint not null);
              create table sequencer_events (
                ts bigint not null primary key, idx bigint not null, incarnation bigint not null,
                sender bigint not null, message_id text not null, epoch bigint not null, submission bytea not null,
                error_code text, error_message text, unique (sender, message_id));
              create table sequencer_recipients (
                member bigint not null, ts bigint not null, primary key (member, ts));
              create table sequencer_acknowledgements (member bigint not null primary key, ts bigint not null);
              create table sequencer_nonces (
                nonce bytea not null primary key, member text not null, expires bigint not null);
              create table sequencer_tokens (
                token_hash bytea not null primary key, member text not null, expires bigint not null)",
    }],
};

const MEMBERS: &str = "select member, id from sequencer_members";
const WATERMARKS: &str = "select idx, incarnation, online, watermark from sequencer_watermarks order by idx for update";
const INDEXES: &str = "select idx, incarnation, online, instance from sequencer_watermarks order by idx";
const ADVANCE: &str = "update sequencer_watermarks set watermark = $4
    where idx = $1 and incarnation = $2 and online = true and watermark < $3";
const GO_ONLINE: &str = "update sequencer_watermarks
    set incarnation = $2, online = true, watermark = $3, instance = $4 where idx = $1 and incarnation < $2";
const KNOCK_OUT: &str =
    "update sequencer_watermarks set online = false where idx = $1 and incarnation = $2 and online = true";
const BEATS: &str = "select b.idx, b.incarnation, b.beat from sequencer_beats b
    join sequencer_watermarks w on w.idx = b.idx and w.incarnation = b.incarnation where w.online = true";
/// Bound and events in one statement, so that both come from one snapshot.
const TAIL: &str = "select s.safe, e.ts, e.submission, e.error_code, e.error_message
    from (select coalesce(min(case when online = true then watermark end), max(watermark)) as safe
          from sequencer_watermarks) s
    left join sequencer_events e on e.ts > $1 and e.ts <= s.safe order by e.ts limit $2";
const BY_MEMBER: &str = "select e.ts, e.submission, e.error_code, e.error_message
    from sequencer_recipients r join sequencer_events e on e.ts = r.ts
    where r.member = $1 and r.ts > $2 and r.ts <= $3 order by r.ts limit $4";
const PREVIOUS: &str = "select max(ts) from sequencer_recipients where member = $1 and ts < $2";
const HAS_EVENT: &str = "select count(*) from sequencer_recipients where member = $1 and ts = $2";
const NODE_COUNT: &str = "select count(*) from sequencer_watermarks";
const LAST_EVENT: &str = "select max(ts) from sequencer_events";
const SENT: &str = "select message_id from sequencer_events where sender = $1 and message_id in texts($2)";
const EPOCHS: &str = "select sender, max(epoch) from sequencer_events group by sender";
const ACKNOWLEDGE: &str = "insert into sequencer_acknowledgements (member, ts) values ($1, $2)
    on conflict (member) do update set ts = excluded.ts where excluded.ts > sequencer_acknowledgements.ts";
const USE_NONCE: &str = "delete from sequencer_nonces where nonce = $1 and member = $2 and expires > $3";
const TOKEN: &str = "select member, expires from sequencer_tokens where token_hash = $1 and expires > $2";
const FORGET: &str = "delete from sequencer_tokens where expires < $1";
const FORGET_NONCES: &str = "delete from sequencer_nonces where expires < $1";

/// Every statement, for the test that prepares them on every engine.
#[doc(hidden)]
pub const STATEMENTS: &[&str] = &[
    MEMBERS,
    WATERMARKS,
    INDEXES,
    NODE_COUNT,
    LAST_EVENT,
    ADVANCE,
    GO_ONLINE,
    KNOCK_OUT,
    BEATS,
    TAIL,
    BY_MEMBER,
    PREVIOUS,
    HAS_EVENT,
    SENT,
    EPOCHS,
    ACKNOWLEDGE,
    USE_NONCE,
    TOKEN,
    FORGET,
    FORGET_NONCES,
];

/// Which sequencer of the synchronizer, and which life of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) index: u32,
    pub(crate) incarnation: i64,
}

/// A row of the watermark table, without the watermark.
#[derive(Debug, Clone)]
pub(crate) struct IndexRow {
    pub(crate) life: Life,
    pub(crate) online: bool,
    pub(crate) instance: String,
}

/// An event to be written.
pub(crate) struct NewEvent {
    pub(crate) timestamp: Timestamp,
    pub(crate) sender: MemberNumber,
    pub(crate) message_id: String,
    pub(crate) epoch: i64,
    pub(crate) submission: Bytes,
    pub(crate) error: Option<(String, String)>,
    pub(crate) members: Vec<MemberNumber>,
}

/// What a reader of the tail sees.
pub(crate) struct TailBatch {
    /// Nothing at or below this will appear any more; `None` before any sequencer was initialized.
    pub(crate) safe: Option<Timestamp>,
    pub(crate) events: Vec<StoredEvent>,
    /// Whether there may be more up to `safe`.
    pub(crate) is_full: bool,
}

/// Rows for all indexes, offline. Doing it again changes nothing.
pub(crate) fn index_rows(count: u32) -> Vec<Statement> {
    let rows = |columns: fn(i64) -> Vec<Value>| (0..count).map(|i| columns(i.into())).collect();
    vec![
        Statement::insert_new(
            "sequencer_watermarks",
            &["idx", "incarnation", "online", "watermark", "instance"],
            rows(|i| vec![i.into(), 0_i64.into(), false.into(), 0_i64.into(), "".into()]),
        ),
        Statement::insert_new(
            "sequencer_beats",
            &["idx", "incarnation", "beat"],
            rows(|i| vec![i.into(), 0_i64.into(), 0_i64.into()]),
        ),
    ]
}

/// How many sequencers the synchronizer was founded for; `None` before that.
pub(crate) async fn node_count(db: &Db) -> Result<Option<u32>> {
    let count = db.query_one(NODE_COUNT, vec![]).await?.int(0)?;
    Ok(u32::try_from(count).ok().filter(|count| *count > 0))
}

pub(crate) async fn indexes(db: &Db) -> Result<Vec<IndexRow>> {
    let rows = db.query(INDEXES, vec![]).await?;
    rows.iter()
        .map(|row| Ok(IndexRow { life: life(row)?, online: row.bool(2)?, instance: row.text(3)?.to_owned() }))
        .collect()
}

fn life(row: &Row) -> Result<Life> {
    Ok(Life { index: index(row)?, incarnation: row.int(1)? })
}

fn index(row: &Row) -> Result<u32> {
    u32::try_from(row.int(0)?).map_err(|_| StoreError::Corrupt("a sequencer index is negative".into()))
}

/// Begins a new incarnation of `index`: locks all watermark rows in index order, then begins above every watermark and
/// the database's clock. `None` if there is no such row.
pub(crate) async fn go_online(db: &Db, index: u32, instance: &str) -> Result<Option<(Life, Timestamp)>> {
    let mut tx = db.begin(&db.own()).await?;
    let rows = tx.query(WATERMARKS, vec![]).await?;
    let mut watermark = tx.now();
    let mut before = None;
    for row in &rows {
        watermark = watermark.max(row.timestamp(3)?);
        if self::index(row)? == index {
            before = Some(row.int(1)?);
        }
    }
    let Some(before) = before else { return Ok(None) };
    let life = Life { index, incarnation: before + 1 };
    let params = vec![life.index.into(), life.incarnation.into(), watermark.micros().into(), instance.into()];
    tx.execute(Statement::new(GO_ONLINE, params).expect_rows(1)).await?;
    tx.execute(beat_row(life, 0)).await?;
    tx.commit().await?;
    Ok(Some((life, watermark)))
}

/// Marks an incarnation offline; touches nothing if it is not online any more.
pub(crate) fn knock_out(life: Life) -> Statement {
    Statement::new(KNOCK_OUT, vec![life.index.into(), life.incarnation.into()])
}

/// The guard of every write of events: moves the watermark from below `first` to `last`.
pub(crate) fn advance(life: Life, first: Timestamp, last: Timestamp) -> Incarnation {
    let params = vec![life.index.into(), life.incarnation.into(), first.micros().into(), last.micros().into()];
    Incarnation::new(Statement::new(ADVANCE, params))
}

pub(crate) fn event_rows(life: Life, events: Vec<NewEvent>) -> Vec<Statement> {
    let mut recipients = Vec::new();
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        let ts = event.timestamp.micros();
        recipients.extend(event.members.iter().map(|member| vec![(*member).into(), ts.into()]));
        let (code, message) = event.error.unzip();
        rows.push(vec![
            ts.into(),
            life.index.into(),
            life.incarnation.into(),
            event.sender.into(),
            event.message_id.into(),
            event.epoch.into(),
            event.submission.into(),
            code.into(),
            message.into(),
        ]);
    }
    let columns =
        &["ts", "idx", "incarnation", "sender", "message_id", "epoch", "submission", "error_code", "error_message"];
    vec![
        Statement::insert("sequencer_events", columns, rows),
        Statement::insert("sequencer_recipients", &["member", "ts"], recipients),
    ]
}

/// The timestamp of the last event of any sequencer, visible or not.
pub(crate) async fn last_event(db: &Db) -> Result<Option<Timestamp>> {
    db.query_one(LAST_EVENT, vec![]).await?.opt_timestamp(0)
}

/// Which of these message ids of a sender are sequenced already.
pub(crate) async fn sent(db: &Db, sender: MemberNumber, message_ids: Vec<String>) -> Result<Vec<String>> {
    let rows = db.query(SENT, vec![sender.into(), Value::Texts(message_ids)]).await?;
    rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}

pub(crate) async fn tail(db: &Db, after: Timestamp, limit: u32) -> Result<TailBatch> {
    let rows = db.query(TAIL, vec![after.micros().into(), limit.into()]).await?;
    let mut batch = TailBatch { safe: None, events: Vec::new(), is_full: rows.len() >= limit as usize };
    for row in &rows {
        batch.safe = row.opt_timestamp(0)?;
        if row.opt_int(1)?.is_some() {
            batch.events.push(stored_event(row, 1)?);
        }
    }
    Ok(batch)
}

pub(crate) async fn by_member(
    db: &Db,
    member: MemberNumber,
    after: Timestamp,
    up_to: Timestamp,
    limit: u32,
) -> Result<Vec<StoredEvent>> {
    let params = vec![member.into(), after.micros().into(), up_to.micros().into(), limit.into()];
    db.query(BY_MEMBER, params).await?.iter().map(|row| stored_event(row, 0)).collect()
}

fn stored_event(row: &Row, at: usize) -> Result<StoredEvent> {
    let corrupt = |e| StoreError::Corrupt(format!("a stored submission: {e}"));
    let error = row.opt_text(at + 2)?.map(str::to_owned).zip(row.opt_text(at + 3)?.map(str::to_owned));
    Ok(StoredEvent {
        timestamp: row.timestamp(at)?,
        submission: Submission::decode(row.bytes(at + 1)?).map_err(corrupt)?,
        error,
    })
}

/// The timestamp of a member's last event before `before`.
pub(crate) async fn previous(db: &Db, member: MemberNumber, before: Timestamp) -> Result<Option<Timestamp>> {
    db.query_one(PREVIOUS, vec![member.into(), before.micros().into()]).await?.opt_timestamp(0)
}

/// Whether a member has an event at exactly this time.
pub(crate) async fn has_event(db: &Db, member: MemberNumber, at: Timestamp) -> Result<bool> {
    Ok(db.query_one(HAS_EVENT, vec![member.into(), at.micros().into()]).await?.int(0)? > 0)
}

pub(crate) async fn members(db: &Db) -> Result<Members> {
    let rows = db.query(MEMBERS, vec![]).await?;
    let corrupt = |e: InvalidId| StoreError::Corrupt(format!("a registered member: {e}"));
    let list = rows.iter().map(|row| Ok((row.text(0)?.parse::<MemberId>().map_err(corrupt)?, row.int(1)?)));
    Ok(Members::new(list.collect::<Result<Vec<_>>>()?))
}

/// Numbers for new members, after `known`. Two sequencers may do this at once: the loser gets a conflict, and reads again.
pub(crate) fn member_rows<'a>(new: impl Iterator<Item = &'a MemberId>, known: i64) -> Statement {
    let rows = (known + 1..).zip(new).map(|(id, member)| vec![id.into(), member.to_string().into()]);
    Statement::insert("sequencer_members", &["id", "member"], rows.collect())
}

/// The highest epoch seen from each sender.
pub(crate) async fn epochs(db: &Db) -> Result<Vec<(MemberNumber, i64)>> {
    db.query(EPOCHS, vec![]).await?.iter().map(|row| Ok((row.int(0)?, row.int(1)?))).collect()
}

pub(crate) fn beat_row(life: Life, beat: i64) -> Statement {
    let row = vec![life.index.into(), life.incarnation.into(), beat.into()];
    Statement::upsert("sequencer_beats", &["idx"], &["idx", "incarnation", "beat"], vec![row])
}

/// Signs of life of all that are online.
pub(crate) async fn beats(db: &Db) -> Result<Vec<Beat>> {
    let rows = db.query(BEATS, vec![]).await?;
    rows.iter().map(|row| Ok(Beat { index: index(row)?, incarnation: row.int(1)?, beat: row.int(2)? })).collect()
}

/// Everything up to `timestamp` is processed by the member; never goes back.
pub(crate) fn acknowledgement(member: MemberNumber, timestamp: Timestamp) -> Statement {
    Statement::new(ACKNOWLEDGE, vec![member.into(), timestamp.micros().into()])
}

pub(crate) fn nonce_row(nonce: &[u8], member: &MemberId, expires: Timestamp) -> Statement {
    let row = vec![nonce.to_vec().into(), member.to_string().into(), expires.micros().into()];
    Statement::insert("sequencer_nonces", &["nonce", "member", "expires"], vec![row])
}

/// Uses a nonce up and stores the token it earned, or fails as a conflict if there is no such nonce.
pub(crate) fn token_for_nonce(
    nonce: &[u8],
    member: &MemberId,
    token: &Hash,
    now: Timestamp,
    expires: Timestamp,
) -> Vec<Statement> {
    let name: Value = member.to_string().into();
    let row = vec![token.as_bytes().to_vec().into(), name.clone(), expires.micros().into()];
    vec![
        Statement::new(USE_NONCE, vec![nonce.to_vec().into(), name, now.micros().into()]).expect_rows(1),
        Statement::insert("sequencer_tokens", &["token_hash", "member", "expires"], vec![row]),
        Statement::new(FORGET, vec![now.micros().into()]),
        Statement::new(FORGET_NONCES, vec![now.micros().into()]),
    ]
}

/// Whose token this is and until when, if it is valid at `now`.
pub(crate) async fn token(db: &Db, token: &Hash, now: Timestamp) -> Result<Option<(MemberId, Timestamp)>> {
    let row = db.query_opt(TOKEN, vec![token.as_bytes().to_vec().into(), now.micros().into()]).await?;
    let corrupt = |e: InvalidId| StoreError::Corrupt(format!("the member of a token: {e}"));
    row.map(|row| Ok((row.text(0)?.parse().map_err(corrupt)?, row.timestamp(1)?))).transpose()
}
