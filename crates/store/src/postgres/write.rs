//! Guarded transactions. A batch travels in one go (`begin`, fence, statements, `commit`), so nothing may depend on a
//! reply in between: whatever must stop the commit *raises* on the server.

use std::{pin::Pin, sync::Arc};

use base::Timestamp;
use futures::future::{MaybeDone, maybe_done};
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio_postgres::error::Severity;

use super::{
    session::{Connector, Ready, Role, Session, error_at, error_of, text_of, unexpected},
    value,
};
use crate::{Committed, Result, Row, Statement, StoreError, Value, guard::Fence};

/// Raises when the epoch is gone. An empty result would not stop the commit behind it.
const FENCE: &str = "with f as (select 1 from store_epochs where node = $1 and slot = $2 and epoch = $3 for share) \
                     select 1 / (select count(*) from f), now_micros()";
const CLOCK: &str = "select cast(1 as bigint), now_micros()";

/// One connection per slot, and so per epoch row. A connection that breaks is made anew at its next use; that is safe,
/// because every transaction passes the fence.
pub(super) struct WritePool {
    connector: Arc<Connector>,
    node: Arc<str>,
    slots: Vec<Arc<Mutex<Option<Session>>>>,
    free: Arc<Semaphore>,
}

/// A slot in use. Its session is given back only when it is known to be outside a transaction; otherwise it is closed,
/// and the server rolls back.
struct Slot {
    number: usize,
    home: OwnedMutexGuard<Option<Session>>,
    session: Session,
    _permit: OwnedSemaphorePermit,
}

/// An open transaction.
pub(crate) struct PostgresTx {
    slot: Slot,
    now: Timestamp,
    statements: usize,
}

type Reply = Result<u64, tokio_postgres::Error>;

impl WritePool {
    pub(super) fn new(connector: Arc<Connector>, node: Arc<str>, size: u32) -> Self {
        let slots: Vec<_> = (0..size).map(|_| Arc::default()).collect();
        let free = Arc::new(Semaphore::new(slots.len()));
        Self { connector, node, slots, free }
    }

    async fn slot(&self) -> Result<Slot> {
        let permit = self.free.clone().acquire_owned().await.map_err(|_closed| StoreError::Closed)?;
        let mut free =
            self.slots.iter().enumerate().filter_map(|(i, slot)| Some((i, slot.clone().try_lock_owned().ok()?)));
        let (number, mut home) =
            free.next().expect("there is a permit per slot, and a slot is let go before its permit");
        drop(free);
        let session = match home.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None => self.connector.connect(Role::Write).await?,
        };
        Ok(Slot { number, home, session, _permit: permit })
    }

    pub(super) async fn commit(&self, fence: Fence, statements: &[Statement]) -> Result<Committed> {
        let mut slot = self.slot().await?;
        let result = self.run(&mut slot, fence, statements, true).await;
        let idle = !matches!(result, Err(StoreError::Unknown(_) | StoreError::Unavailable(_)));
        if idle {
            slot.give_back();
        }
        result
    }

    pub(super) async fn begin(&self, fence: Fence) -> Result<PostgresTx> {
        let mut slot = self.slot().await?;
        let opened = self.run(&mut slot, fence, &[], false).await?;
        Ok(PostgresTx { slot, now: opened.now, statements: 0 })
    }

    /// Sends everything before it waits for the first reply, then reads the replies in order.
    async fn run(&self, slot: &mut Slot, fence: Fence, statements: &[Statement], commit: bool) -> Result<Committed> {
        let guard = fence.statement();
        let (fence_sql, fence_params) = match &fence {
            Fence::Epoch(epoch) => {
                let number = i64::try_from(slot.number).unwrap_or_default();
                (FENCE, crate::params![&*self.node, number, *epoch].to_vec())
            }
            Fence::None | Fence::Statement(_) => (CLOCK, Vec::new()),
        };
        let session = &mut slot.session;
        let fence_statement = session.prepare(&super::translated(fence_sql)).await?;
        let guard = match guard {
            Some(statement) => Some(session.ready(statement).await?),
            None => None,
        };
        let mut ready: Vec<Option<Ready<'_>>> = Vec::with_capacity(statements.len());
        for (at, statement) in statements.iter().enumerate() {
            ready.push(match statement.is_empty() {
                true => unexpected(statement, at).map(|_| None)?,
                false => Some(session.ready(statement).await?),
            });
        }
        session.take_doubt();
        let client = session.client();
        let fence_params = value::as_params(&fence_params);
        let mut begin = step(async { client.batch_execute("begin").await.map(|()| 0) });
        send(&mut begin).await;
        let mut fence = Box::pin(maybe_done(client.query_one(&fence_statement, &fence_params)));
        send(&mut fence).await;
        let mut steps = Vec::with_capacity(ready.len() + 1);
        for ready in guard.iter().map(Some).chain(ready.iter().map(Option::as_ref)) {
            let mut step = step(async move {
                match ready {
                    Some(ready) => ready.run(client).await,
                    None => Ok(0),
                }
            });
            send(&mut step).await;
            steps.push(step);
        }
        let mut end =
            step(async move { if commit { client.batch_execute("commit").await.map(|()| 0) } else { Ok(0) } });
        send(&mut end).await;

        let begin = done(&mut begin).await;
        fence.as_mut().await;
        let fence = fence.as_mut().take_output().expect("it was just awaited, once");
        let mut replies = Vec::with_capacity(steps.len());
        for step in &mut steps {
            replies.push(done(step).await);
        }
        let end = done(&mut end).await;
        let fenced = || StoreError::Fenced { node: self.node.to_string() };
        let is_fence = |error: StoreError| if matches!(error, StoreError::Conflict { .. }) { fenced() } else { error };
        let sort = |error: &tokio_postgres::Error, at| if commit { sort_out(error, at) } else { error_at(error, at) };

        begin.map_err(|e| sort(&e, 0))?;
        let fence = fence.map_err(|e| is_fence(sort(&e, 0)))?;
        let mut replies = replies.into_iter();
        if guard.is_some() {
            replies.next().unwrap_or(Ok(0)).map_err(|e| is_fence(sort(&e, 0)))?;
        }
        let rows = replies.enumerate().map(|(at, reply)| reply.map_err(|e| sort(&e, at))).collect::<Result<_>>()?;
        end.map_err(|e| commit_error(&e))?;
        confirmed(session)?;
        let now = Timestamp::saturating_from_micros(fence.try_get(1).map_err(|e| error_of(&e))?);
        Ok(Committed { rows, now })
    }
}

impl Slot {
    fn give_back(mut self) {
        *self.home = Some(self.session);
    }
}

impl PostgresTx {
    pub(crate) async fn query(&mut self, sql: &'static str, params: Vec<Value>) -> Result<Vec<Row>> {
        self.slot.session.query(sql, &params).await
    }

    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<u64> {
        let at = self.statements;
        self.statements += 1;
        self.slot.session.execute(&statement, at).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) async fn commit(self) -> Result<()> {
        end(&self.slot.session, self.statements).await?;
        self.slot.give_back();
        Ok(())
    }
}

/// Commits. After a failed statement the server would roll back and call that a success, so a statement that raises in
/// such a transaction travels ahead.
async fn end(session: &Session, statements: usize) -> Result<()> {
    let mut alive = step(async { session.client().batch_execute("select 1").await.map(|()| 0) });
    send(&mut alive).await;
    let mut end = step(async { session.client().batch_execute("commit").await.map(|()| 0) });
    send(&mut end).await;
    let (alive, end) = (done(&mut alive).await, done(&mut end).await);
    alive.map_err(|e| sort_out(&e, statements))?;
    end.map_err(|e| commit_error(&e))?;
    confirmed(session)
}

/// Refuses to call a commit done that the synchronous standby has not confirmed.
fn confirmed(session: &Session) -> Result<()> {
    if session.take_doubt() {
        return Err(StoreError::Unknown("the synchronous standby has not confirmed it".to_owned()));
    }
    Ok(())
}

type Step<'a> = Pin<Box<MaybeDone<Pin<Box<dyn Future<Output = Reply> + Send + 'a>>>>>;

fn step<'a>(future: impl Future<Output = Reply> + Send + 'a) -> Step<'a> {
    Box::pin(maybe_done(Box::pin(future) as _))
}

/// Polls once: the driver sends a request when its future is first polled.
async fn send<F: Future>(step: &mut Pin<Box<MaybeDone<F>>>) {
    let _pending = futures::poll!(step.as_mut());
}

async fn done(step: &mut Step<'_>) -> Reply {
    step.as_mut().await;
    step.as_mut().take_output().expect("each step is awaited once")
}

/// An error of a statement with the commit already sent behind it: if the server reported it, the transaction is rolled
/// back; if the connection broke, the commit may have arrived.
fn sort_out(error: &tokio_postgres::Error, at: usize) -> StoreError {
    match error_at(error, at) {
        StoreError::Unavailable(text) if error.as_db_error().is_none() => StoreError::Unknown(text),
        error => error,
    }
}

/// An error of the commit itself: definite only if the server says so and lives on.
fn commit_error(error: &tokio_postgres::Error) -> StoreError {
    match error.as_db_error() {
        Some(db) if db.parsed_severity() == Some(Severity::Error) => error_at(error, 0),
        _ => StoreError::Unknown(text_of(error)),
    }
}
