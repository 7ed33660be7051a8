//! Threads that own a connection each and run what they are sent.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use bytes::Bytes;
use rusqlite::{
    CachedStatement, Connection, ErrorCode,
    types::{ToSqlOutput, ValueRef},
};
use tasks::Tasks;
use tokio::sync::oneshot;

use crate::{
    Result, Row, Statement, StoreError, Value,
    statement::{Insert, Kind, sqlite_sql},
};

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

/// Threads with a common queue of jobs. They end when this value is gone or the scope of their tasks is cancelled.
pub(super) struct SqlThreads<C> {
    jobs: Arc<mpsc::Sender<Option<Job<C>>>>,
}

impl<C: Send + 'static> SqlThreads<C> {
    pub(super) fn start(name: &str, owned: Vec<C>, tasks: &Tasks) -> Result<Self> {
        let (jobs, queue) = mpsc::channel::<Option<Job<C>>>();
        let (jobs, queue) = (Arc::new(jobs), Arc::new(Mutex::new(queue)));
        let threads = owned.len();
        for mut owned in owned {
            let queue = queue.clone();
            let run = move || {
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok().flatten();
                while let Some(job) = next() {
                    job(&mut owned);
                }
            };
            tasks.spawn_thread(name, run).map_err(|e| super::io_error("no thread for the database", &e))?.detach();
        }
        let (cancelled, weak) = (tasks.cancelled(), Arc::downgrade(&jobs));
        let stop = async move {
            cancelled.await;
            if let Some(jobs) = weak.upgrade() {
                (0..threads).for_each(|_| drop(jobs.send(None))); // behind what waits already
            }
        };
        tasks.spawn(&format!("{name}-stop"), stop).detach();
        Ok(Self { jobs })
    }

    /// Runs the job on one of the threads. It runs to its end even if nobody waits for it any more.
    pub(super) async fn call<T: Send + 'static>(&self, job: impl FnOnce(&mut C) -> T + Send + 'static) -> Result<T> {
        let (sender, result) = oneshot::channel();
        self.send(move |owned| drop(sender.send(job(owned))))?;
        result.await.map_err(|_closed| StoreError::Closed)
    }

    pub(super) fn send(&self, job: impl FnOnce(&mut C) + Send + 'static) -> Result<()> {
        self.jobs.send(Some(Box::new(job))).map_err(|_closed| StoreError::Closed)
    }
}

/// Runs a query that must not write.
pub(super) fn read(connection: &Connection, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
    let mut statement = prepare(connection, &sqlite_sql(sql))?;
    if !statement.readonly() {
        return Err(StoreError::Statement(format!("a query must not write: {sql}")));
    }
    rows(&mut statement, params)
}

/// Runs a query.
pub(super) fn query(connection: &Connection, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
    rows(&mut prepare(connection, &sqlite_sql(sql))?, params)
}

/// Prepares a statement only, and looks for parameters that leave a gap, as PostgreSQL does.
pub(super) fn check(connection: &Connection, sql: &'static str) -> Result<()> {
    let statement = prepare(connection, &sqlite_sql(sql)).map_err(|e| StoreError::Statement(format!("{e}: {sql}")))?;
    bindings(&statement, statement.parameter_count()).map(drop)
}

/// Runs statement number `at` of a transaction.
pub(super) fn execute(connection: &Connection, statement: &Statement, at: usize) -> Result<u64> {
    let conflict = |e: &rusqlite::Error| match error_of(e) {
        StoreError::Conflict { reason, .. } => StoreError::Conflict { statement: at, reason },
        error => error,
    };
    let touched = match &statement.kind {
        Kind::Sql { sql, params } => {
            let mut prepared = prepare(connection, &sqlite_sql(sql))?;
            bind(&mut prepared, params)?;
            prepared.raw_execute().map_err(|e| conflict(&e))?
        }
        Kind::Insert(insert) => {
            let places: Vec<String> = (1..=insert.columns.len()).map(|n| format!("${n}")).collect();
            let mut prepared = prepare(connection, &Insert::sql(insert, &format!("values ({})", places.join(", "))))?;
            let mut touched = 0;
            for row in &insert.rows {
                bind(&mut prepared, row)?;
                touched += prepared.raw_execute().map_err(|e| conflict(&e))?;
            }
            touched
        }
    };
    let touched = u64::try_from(touched).unwrap_or(u64::MAX);
    match statement.expected {
        Some(rows) if rows != touched => {
            Err(StoreError::Conflict { statement: at, reason: format!("{touched} rows instead of {rows}") })
        }
        _ => Ok(touched),
    }
}

pub(super) fn batch(connection: &Connection, sql: &str) -> Result<()> {
    connection.execute_batch(sql).map_err(|e| error_of(&e))
}

fn prepare<'c>(connection: &'c Connection, sql: &str) -> Result<CachedStatement<'c>> {
    connection.prepare_cached(sql).map_err(|e| error_of(&e))
}

fn rows(statement: &mut CachedStatement<'_>, params: &[Value]) -> Result<Vec<Row>> {
    bind(statement, params)?;
    let width = statement.column_count();
    let mut found = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|e| error_of(&e))? {
        let column = |at| row.get_ref(at).map_err(|e| error_of(&e)).and_then(value);
        found.push(Row((0..width).map(column).collect::<Result<_>>()?));
    }
    Ok(found)
}

/// SQLite numbers `$1…$n` by first appearance; they are meant as PostgreSQL means them.
fn bindings(statement: &CachedStatement<'_>, params: usize) -> Result<Vec<usize>> {
    let place = |n: usize| statement.parameter_index(&format!("${n}")).ok().flatten();
    let places: Vec<usize> = (1..=params).filter_map(place).collect();
    if places.len() == params && params == statement.parameter_count() {
        return Ok(places);
    }
    Err(StoreError::Statement(format!(
        "{params} values for the parameters of: {}",
        statement.expanded_sql().unwrap_or_default()
    )))
}

fn bind(statement: &mut CachedStatement<'_>, params: &[Value]) -> Result<()> {
    for (place, value) in bindings(statement, params.len())?.into_iter().zip(params) {
        statement.raw_bind_parameter(place, Bound(value)).map_err(|e| error_of(&e))?;
    }
    Ok(())
}

struct Bound<'a>(&'a Value);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let borrowed = ToSqlOutput::Borrowed;
        Ok(match self.0 {
            Value::Null => borrowed(ValueRef::Null),
            Value::Int(int) => borrowed(ValueRef::Integer(*int)),
            Value::Text(text) => borrowed(ValueRef::Text(text.as_bytes())),
            Value::Bytes(bytes) => borrowed(ValueRef::Blob(bytes)),
            Value::Bool(bool) => borrowed(ValueRef::Integer(i64::from(*bool))),
            Value::Ints(list) => json(list, i64::to_string),
            Value::Texts(list) => json(list, |text| quoted(text)),
            Value::Blobs(list) => json(list, |bytes| format!("\"{}\"", hex(bytes))),
        })
    }
}

/// A list as a JSON array, which `json_each` takes apart.
fn json<T>(list: &[T], element: impl Fn(&T) -> String) -> ToSqlOutput<'static> {
    let elements: Vec<String> = list.iter().map(element).collect();
    ToSqlOutput::Owned(format!("[{}]", elements.join(",")).into())
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_ascii_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn hex(bytes: &Bytes) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn value(value: ValueRef<'_>) -> Result<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        ValueRef::Real(_) => {
            return Err(StoreError::Statement("a floating-point column, which no engine should have".to_owned()));
        }
        ValueRef::Text(text) => {
            Value::Text(String::from_utf8(text.to_vec()).map_err(|e| StoreError::Corrupt(e.to_string()))?)
        }
        ValueRef::Blob(bytes) => Value::Bytes(Bytes::copy_from_slice(bytes)),
    })
}

pub(super) fn error_of(error: &rusqlite::Error) -> StoreError {
    let text = error.to_string();
    let rusqlite::Error::SqliteFailure(failure, _) = error else { return StoreError::Statement(text) };
    match failure.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Contention(text),
        // 1555 primary key, 2067 unique index, 2579 rowid
        ErrorCode::ConstraintViolation if [1555, 2067, 2579].contains(&failure.extended_code) => {
            StoreError::Conflict { statement: 0, reason: text }
        }
        ErrorCode::DiskFull
        | ErrorCode::CannotOpen
        | ErrorCode::SystemIoFailure
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::OutOfMemory => StoreError::Unavailable(text),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(text),
        _ => StoreError::Statement(text),
    }
}
