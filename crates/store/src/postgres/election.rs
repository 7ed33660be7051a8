//! Election by an advisory lock on a session of its own. A second session watches the holder while the first one waits,
//! and beats while the first one holds.

use std::{sync::Arc, time::Duration};

use base::SilenceJudge;
use tasks::Tasks;

use super::{
    Postgres,
    session::{Connector, Role, Session},
};
use crate::{
    Result, Row, StoreError,
    election::{Contest, Holder, awake_time, boot_time},
    lock::EngineLock,
    params,
};

const LOCK: &str = "select cast(pg_advisory_lock($1) as text)";
const LOCK_SHARED: &str = "select cast(pg_advisory_lock_shared($1) as text)";
const UNLOCK: &str = "select pg_advisory_unlock($1)";
const WHO_AM_I: &str = "select a.pid || '@' || cast(extract(epoch from a.backend_start) * 1000000 as bigint) \
                        from pg_stat_activity a where a.pid = pg_backend_pid()";
/// The session that really holds the lock, and its beats if it has begun to beat.
const HOLDER: &str = "select s.session, a.application_name, h.beat, h.replica \
    from pg_locks l join pg_stat_activity a on a.pid = l.pid \
    cross join lateral (select a.pid || '@' || cast(extract(epoch from a.backend_start) * 1000000 as bigint)) s(session) \
    left join store_holders h on h.node = $2 and h.session = s.session \
    where l.locktype = 'advisory' and l.granted and l.mode = 'ExclusiveLock' and l.classid = 0 and l.objsubid = 1 \
    and l.objid = cast($1 as bigint)::oid \
    and l.database = (select oid from pg_database where datname = current_database())";
const FIRST_BEAT: &str = "insert into store_holders (node, instance, session, replica, beat) values ($1, $2, $3, $4, 1) \
    on conflict (node) do update set instance = excluded.instance, session = excluded.session, \
    replica = excluded.replica, beat = excluded.beat returning beat";
const BEAT: &str = "update store_holders set beat = beat + 1 where node = $1 and session = $2 returning beat";
const RAISE: &str = "update store_epochs set epoch = (select max(epoch) + 1 from store_epochs where node = $1) \
                     where node = $1 returning epoch";
const WAITING: &str = "select count(*) from pg_locks l where l.locktype = 'advisory' and not l.granted \
    and l.classid = 0 and l.objsubid = 1 and l.objid = cast($1 as bigint)::oid \
    and l.database = (select oid from pg_database where datname = current_database())";
/// A session that waits for the synchronous standby is spared: ending it would report a commit that may be lost.
const END: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
    where application_name = $1 and datname = current_database() and pid <> pg_backend_pid() \
    and wait_event is distinct from 'SyncRep'";

/// On its way to the lock, or holding it.
pub(crate) struct PostgresContender {
    connector: Arc<Connector>,
    lock: i64,
    /// The session that waits for the lock and holds it.
    holder: Option<Session>,
    /// The other one.
    watcher: Option<Session>,
    /// Names the holding session in beats.
    session: String,
}

impl Postgres {
    pub(crate) fn contender(&self, tasks: &Tasks) -> PostgresContender {
        let connector = Arc::new(self.connector.on(tasks));
        let lock = connector.lock_id("election");
        PostgresContender { connector, lock, holder: None, watcher: None, session: String::new() }
    }

    pub(crate) async fn standby_waits(&self) -> Result<bool> {
        // A standby takes its place in the queue anew every few seconds; look again lest we look just then.
        for _ in 0..3 {
            let rows = self.query(WAITING, params![self.connector.lock_id("election")].to_vec()).await?;
            if rows.first().map(|row| row.int(0)).transpose()?.unwrap_or(0) > 0 {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(false)
    }

    pub(crate) async fn end_instance(&self, tag: &str) -> Result<bool> {
        let mut session = self.connector.connect(Role::Watch).await?;
        let row = session.query(END, &params![tag]).await?;
        Ok(row.first().map(|row| row.int(0)).transpose()?.unwrap_or(0) > 0)
    }

    pub(crate) async fn hold_lock(&self, name: &str) -> Result<EngineLock> {
        let lock = self.connector.lock_id(name);
        let mut session = self.connector.connect(Role::Lock).await?;
        queue(&mut session, LOCK, lock).await?;
        Ok(EngineLock::Postgres(Box::new(PostgresLock { session })))
    }

    pub(crate) async fn lock_released(&self, name: &str) -> Result<()> {
        let lock = self.connector.lock_id(name);
        let mut session = self.connector.connect(Role::Lock).await?;
        queue(&mut session, LOCK_SHARED, lock).await
    }
}

/// A lock held by a session of its own.
pub(crate) struct PostgresLock {
    session: Session,
}

impl PostgresLock {
    pub(crate) async fn lost(&self) {
        self.session.closed().await;
    }
}

impl std::fmt::Debug for PostgresLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresLock")
    }
}

/// Waits in the server's queue. Every few seconds the place is given up and taken anew, because a statement that never
/// ends keeps the server from cleaning up.
async fn queue(session: &mut Session, sql: &'static str, lock: i64) -> Result<()> {
    loop {
        match session.query(sql, &params![lock]).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Contention(_)) => {}
            Err(error) => return Err(error),
        }
    }
}

impl PostgresContender {
    pub(crate) async fn win(&mut self, contest: &Contest<'_>) -> Result<(i64, Duration)> {
        self.abandon();
        let (mut holder, mut watcher) =
            tokio::try_join!(self.connector.connect(Role::Lock), self.connector.connect(Role::Watch))?;
        self.session = holder
            .query(WHO_AM_I, &[])
            .await?
            .first()
            .map(|row| row.text(0).map(str::to_owned))
            .transpose()?
            .ok_or_else(|| StoreError::Unavailable("the server does not show our own session".to_owned()))?;
        tokio::select! {
            locked = queue(&mut holder, LOCK, self.lock) => locked?,
            error = watch(&mut watcher, self.lock, contest) => return Err(error),
        }
        // Beating comes first, and goes on while the takeover waits for open transactions of the predecessor:
        // another standby judges us already.
        let mut beaten = boot_time();
        let first = params![&*contest.node, self.connector.tag(), &self.session, &contest.replica];
        watcher.query(FIRST_BEAT, &first).await?;
        contest.publish(&contest.replica, self.connector.tag());
        let session = self.session.clone();
        let beating = async {
            loop {
                tokio::time::sleep(contest.lease / 3).await;
                let sent = boot_time();
                if let Err(error) = beat(&mut watcher, contest, &session).await {
                    return error;
                }
                beaten = sent;
            }
        };
        let epoch = tokio::select! {
            epoch = raise(&mut holder, contest) => epoch?,
            error = beating => return Err(error),
        };
        self.holder = Some(holder);
        self.watcher = Some(watcher);
        Ok((epoch, beaten))
    }

    pub(crate) async fn keep(&mut self, contest: &Contest<'_>, confirm: impl Fn(Duration)) -> StoreError {
        let (Some(holder), watcher) = (&self.holder, &mut self.watcher) else {
            return StoreError::Unavailable("the lock is not held".to_owned());
        };
        let (connector, session) = (&self.connector, &self.session);
        let beating = async {
            loop {
                tokio::time::sleep(contest.lease / 3).await;
                let sent = boot_time();
                let round = async {
                    if watcher.as_ref().is_none_or(Session::is_closed) {
                        *watcher = Some(connector.connect(Role::Watch).await?);
                    }
                    let watcher = watcher.as_mut().expect("it was just connected");
                    let alive = holder.is_alive();
                    let (beaten, alive) = tokio::join!(beat(watcher, contest, session), alive);
                    beaten.and(alive)
                };
                match tokio::time::timeout(contest.lease, round).await {
                    Ok(Ok(())) => confirm(sent),
                    Ok(Err(fenced @ StoreError::Fenced { .. })) => return fenced,
                    Ok(Err(error)) => tracing::warn!(node = &*contest.node, %error, "beat failed"),
                    Err(_late) => {
                        tracing::warn!(node = &*contest.node, "beat not confirmed in time");
                        *watcher = None; // its answer may come any time; never reuse it
                    }
                }
            }
        };
        tokio::select! {
            error = beating => error,
            () = holder.closed() => StoreError::Unavailable("the session that held the lock has ended".to_owned()),
        }
    }

    pub(crate) async fn release(&mut self, contest: &Contest<'_>) {
        if let Some(holder) = &mut self.holder {
            let lock = params![self.lock];
            drop(tokio::time::timeout(contest.lease, holder.query(UNLOCK, &lock)).await);
        }
    }

    pub(crate) fn abandon(&mut self) {
        self.holder = None;
        self.watcher = None;
    }
}

/// Watches whoever holds the lock and ends that instance if it is silent for a lease. Ends only with an error.
async fn watch(session: &mut Session, lock: i64, contest: &Contest<'_>) -> StoreError {
    let mut judge = SilenceJudge::new(contest.lease);
    loop {
        let found = match session.query(HOLDER, &params![lock, &*contest.node]).await {
            Ok(rows) => rows.into_iter().next(),
            Err(error) => return error,
        };
        let silent = match &found {
            None => {
                judge.forget();
                None
            }
            Some(row) => match observe(&mut judge, row, contest) {
                Ok(silent) => silent,
                Err(error) => return error,
            },
        };
        if let Some(tag) = silent {
            tracing::warn!(node = &*contest.node, instance = tag, "the holder is silent: ending its sessions");
            if let Err(error) = session.query(END, &params![tag]).await {
                return error;
            }
            judge.forget();
        }
        tokio::time::sleep(judge.interval()).await;
    }
}

/// The holder's instance, if it has been silent for too long.
fn observe(
    judge: &mut SilenceJudge<(String, Option<i64>)>,
    row: &Row,
    contest: &Contest<'_>,
) -> Result<Option<String>> {
    let (session, tag, beat) = (row.opt_text(0)?.unwrap_or_default(), row.text(1)?, row.opt_int(2)?);
    if let Some(replica) = row.opt_text(3)? {
        contest.publish(replica, tag);
    }
    // Other programs may hold a lock with the same number; they are not ours to end.
    let ours = tag.starts_with(super::session::TAG);
    Ok((judge.observe((session.to_owned(), beat), awake_time()) && ours).then(|| tag.to_owned()))
}

async fn beat(session: &mut Session, contest: &Contest<'_>, holder: &str) -> Result<()> {
    match session.query(BEAT, &params![&*contest.node, holder]).await?.len() {
        0 => Err(StoreError::Fenced { node: contest.node.to_string() }),
        _ => Ok(()),
    }
}

/// Sets all epoch rows to one new number and waits until that is durable. Open transactions of the predecessor hold their
/// rows for a moment; the server ends those that idle.
async fn raise(session: &mut Session, contest: &Contest<'_>) -> Result<i64> {
    session.take_doubt();
    let rows = session.query(RAISE, &params![&*contest.node]).await?;
    if session.take_doubt() {
        return Err(StoreError::Unknown("the synchronous standby has not confirmed the takeover".to_owned()));
    }
    let row = rows.first().ok_or_else(|| StoreError::Corrupt(format!("{} has no epoch rows", contest.node)))?;
    row.int(0)
}

impl Contest<'_> {
    /// Shows who holds the lock.
    pub(crate) fn publish(&self, replica: &str, instance: &str) {
        let holder = Some(Holder { replica: replica.to_owned(), instance: instance.to_owned() });
        self.holder.send_if_modified(|shown| {
            let news = *shown != holder;
            if news {
                *shown = holder;
            }
            news
        });
    }
}
