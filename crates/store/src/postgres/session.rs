//! Connections that are ours alone, not a pool's: their settings, their prepared statements, their errors.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tasks::{Task, Tasks};
use tokio::sync::watch;
use tokio_postgres::{
    AsyncMessage, Client, Config, NoTls,
    config::TargetSessionAttrs,
    error::{DbError, Severity, SqlState},
};

use super::value;
use crate::{
    PostgresConfig, Result, Row, Statement, StoreError, Value,
    migrate::fnv1a,
    statement::{Insert, Kind},
};

/// What a connection is for; decides its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Queries of everybody.
    Read,
    /// Guarded transactions. The server ends one that idles, because it holds its epoch row against a takeover.
    Write,
    /// Changes of tables, which may take long.
    Migrate,
    /// Waits for notifications.
    Listen,
    /// Waits for a lock and holds it. It waits no longer than 5 s at a time.
    Lock,
    /// Beats, and watches others beat. A lost beat does not matter, so it need not wait for the disk.
    Watch,
}

/// How the names of our sessions begin.
pub(super) const TAG: &str = "concordat-";

/// Makes connections to one database as one instance.
pub(super) struct Connector {
    config: Config,
    schema: String,
    tag: String,
    tasks: Tasks,
}

/// A connection.
pub(super) struct Session {
    client: Client,
    /// Set by a notice that a commit was not confirmed by the synchronous standby.
    doubt: Arc<AtomicBool>,
    prepared: BTreeMap<String, tokio_postgres::Statement>,
    /// Its sender lives as long as the connection.
    open: watch::Receiver<()>,
    driver: Task<()>,
}

/// Closed at once, whatever it is waiting for: it may be granted a lock that nobody wants any more.
impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connector {
    pub(super) fn new(settings: &PostgresConfig, tasks: &Tasks) -> Result<Self> {
        let mut config: Config = settings.url.parse().map_err(|e| StoreError::Config(format!("database URL: {e}")))?;
        if let (None, Some(password)) = (config.get_password(), &settings.password) {
            config.password(password);
        }
        let schema = settings.schema.clone();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if schema.is_empty() || schema.len() > 63 || !schema.chars().all(plain) {
            return Err(StoreError::Config(format!("schema {schema:?} must be of a-z, 0-9 and _")));
        }
        let tag = format!("{TAG}{:016x}", unique());
        config
            .application_name(&tag)
            .connect_timeout(settings.connect_timeout)
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(3))
            .keepalives_interval(Duration::from_secs(1))
            .keepalives_retries(2)
            .tcp_user_timeout(Duration::from_secs(3));
        Ok(Self { config, schema, tag, tasks: tasks.clone() })
    }

    /// The same instance, with connections that are driven by other tasks.
    pub(super) fn on(&self, tasks: &Tasks) -> Self {
        Self { config: self.config.clone(), schema: self.schema.clone(), tag: self.tag.clone(), tasks: tasks.clone() }
    }

    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// Key of an advisory lock of this schema: below 2^30, as every engine allows.
    pub(super) fn lock_id(&self, name: &str) -> i64 {
        let hash = fnv1a(format!("concordat/{}/{name}", self.schema).as_bytes());
        i64::try_from((hash ^ (hash >> 32)) & 0x1fff_ffff).unwrap_or_default() | 1 << 29
    }

    /// The connection's settings, for drivers that make the connection themselves.
    pub(super) fn config(&self, role: Role) -> Config {
        // The server's own keep-alives: it must notice, too, that a client's machine is gone.
        let mut options = format!(
            "{} -c search_path={} -c tcp_keepalives_idle=3 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=2 \
             -c tcp_user_timeout=3000",
            self.config.get_options().unwrap_or_default(),
            self.schema
        );
        options.push_str(match role {
            Role::Write => {
                " -c idle_in_transaction_session_timeout=2000 -c lock_timeout=5000 -c statement_timeout=10000 \
                 -c default_transaction_isolation=read\\ committed"
            }
            Role::Read => " -c statement_timeout=60000",
            Role::Lock => " -c lock_timeout=5000",
            Role::Watch => " -c synchronous_commit=off -c statement_timeout=5000",
            Role::Migrate | Role::Listen => "",
        });
        let mut config = self.config.clone();
        config.options(options);
        config
    }

    pub(super) async fn connect(&self, role: Role) -> Result<Session> {
        self.connect_with(role, |_, _| ()).await
    }

    /// Connects, and calls `notified` with channel and payload of each notification.
    pub(super) async fn connect_with(
        &self,
        role: Role,
        notified: impl Fn(&str, &str) + Send + 'static,
    ) -> Result<Session> {
        let (client, mut connection) = self.config(role).connect(NoTls).await.map_err(|e| error_of(&e))?;
        let doubt = Arc::new(AtomicBool::new(false));
        let flag = doubt.clone();
        let (alive, open) = watch::channel(());
        let run = async move {
            let _alive = alive;
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    AsyncMessage::Notice(notice) if casts_doubt(&notice) => flag.store(true, Ordering::SeqCst),
                    AsyncMessage::Notification(n) => notified(n.channel(), n.payload()),
                    _ => {}
                }
            }
        };
        let driver = self.tasks.spawn("postgres-connection", run);
        // Unknown before version 14 and refused on systems that cannot do it.
        let check = "select set_config('client_connection_check_interval', '1000', false) \
                     where current_setting('server_version_num')::int >= 140000";
        if let Err(error) = client.batch_execute(check).await
            && client.is_closed()
        {
            return Err(error_of(&error));
        }
        Ok(Session { client, doubt, prepared: BTreeMap::new(), open, driver })
    }
}

impl Session {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Asks the server for a sign of life.
    pub(super) async fn is_alive(&self) -> Result<()> {
        self.client.batch_execute("").await.map_err(|e| error_of(&e))
    }

    /// Ends when the connection has ended.
    pub(super) async fn closed(&self) {
        let mut open = self.open.clone();
        while open.changed().await.is_ok() {}
    }

    /// Whether a commit since the last call was not confirmed by the synchronous standby.
    pub(super) fn take_doubt(&self) -> bool {
        self.doubt.swap(false, Ordering::SeqCst)
    }

    /// The statement as the server knows it; asked for once per connection.
    pub(super) async fn prepare(&mut self, sql: &str) -> Result<tokio_postgres::Statement> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await.map_err(|e| error_of(&e))?;
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(super) async fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>> {
        let statement = self.prepare(&super::translated(sql)).await?;
        let rows = self.client.query(&statement, &value::as_params(params)).await.map_err(|e| error_of(&e))?;
        rows.iter().map(value::row).collect()
    }

    /// Runs one statement, number `at` of its transaction, and gives the number of rows it touched.
    pub(super) async fn execute(&mut self, statement: &Statement, at: usize) -> Result<u64> {
        if statement.is_empty() {
            return unexpected(statement, at);
        }
        let ready = self.ready(statement).await?;
        ready.run(&self.client).await.map_err(|e| error_at(&e, at))
    }

    /// Prepares a statement with its parameters, ready to be sent.
    pub(super) async fn ready<'a>(&mut self, statement: &'a Statement) -> Result<Ready<'a>> {
        let (sql, params) = match &statement.kind {
            Kind::Sql { sql, params } => (super::translated(sql).into_owned(), value::boxed(params)),
            Kind::Insert(insert) => insert_sql(insert)?,
        };
        // With a count to check, the statement raises by itself, because the commit is already on its way.
        let (sql, counts) = match statement.expected {
            None => (sql, false),
            Some(rows) => (
                format!(
                    "with touched as ({sql} returning 1) \
                     select count(*) / (case when count(*) = {rows} then 1 else 0 end) from touched"
                ),
                true,
            ),
        };
        Ok(Ready { statement: self.prepare(&sql).await?, params, counts })
    }
}

/// A prepared statement with its parameters.
pub(super) struct Ready<'a> {
    statement: tokio_postgres::Statement,
    params: Vec<value::Param<'a>>,
    counts: bool,
}

impl Ready<'_> {
    /// Sends the statement at the first poll, and ends with the number of rows it touched.
    pub(super) async fn run(&self, client: &Client) -> Result<u64, tokio_postgres::Error> {
        let params: Vec<_> = self.params.iter().map(|p| &**p as _).collect();
        if self.counts {
            let row = client.query_one(&self.statement, &params).await?;
            return Ok(u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or_default());
        }
        client.execute(&self.statement, &params).await
    }
}

/// What an insert without rows gives.
pub(super) fn unexpected(statement: &Statement, at: usize) -> Result<u64> {
    match statement.expected {
        None | Some(0) => Ok(0),
        Some(rows) => Err(StoreError::Conflict { statement: at, reason: format!("0 rows instead of {rows}") }),
    }
}

/// One row goes as plain values, several as one array per column. A column of nulls only has no type of its own.
fn insert_sql(insert: &Insert) -> Result<(String, Vec<value::Param<'_>>)> {
    if let [row] = insert.rows.as_slice() {
        let places: Vec<String> = (1..=row.len()).map(|n| format!("${n}")).collect();
        return Ok((insert.sql(&format!("values ({})", places.join(", "))), value::boxed(row)));
    }
    let (mut params, mut unnest, mut select) = (Vec::new(), Vec::new(), Vec::new());
    for column in 0..insert.columns.len() {
        match value::column(&insert.rows, column)? {
            None => select.push("null".to_owned()),
            Some((sql_type, array)) => {
                params.push(array);
                unnest.push(format!("${}::{sql_type}[]", params.len()));
                select.push(format!("c{}", params.len()));
            }
        }
    }
    let names: Vec<String> = (1..=params.len()).map(|n| format!("c{n}")).collect();
    let source = format!("select {} from unnest({}) as u({})", select.join(", "), unnest.join(", "), names.join(", "));
    Ok((insert.sql(&source), params))
}

/// Whether the notice says that a commit is durable here but not confirmed elsewhere ("canceling wait for synchronous
/// replication", in whatever language the server speaks).
fn casts_doubt(notice: &DbError) -> bool {
    notice.parsed_severity() == Some(Severity::Warning)
        && matches!(*notice.code(), SqlState::WARNING | SqlState::ADMIN_SHUTDOWN)
}

/// An error of a statement that stands alone.
pub(super) fn error_of(error: &tokio_postgres::Error) -> StoreError {
    error_at(error, 0)
}

/// An error of statement `at` of a transaction.
pub(super) fn error_at(error: &tokio_postgres::Error, at: usize) -> StoreError {
    let text = text_of(error);
    let Some(code) = error.code() else {
        // Without a code it came from the driver: the connection, or a value that does not fit its column.
        let is_value = std::error::Error::source(error).is_some_and(|s| s.is::<value::Mismatch>());
        return if is_value { StoreError::Statement(text) } else { StoreError::Unavailable(text) };
    };
    match *code {
        SqlState::UNIQUE_VIOLATION => StoreError::Conflict { statement: at, reason: text },
        SqlState::DIVISION_BY_ZERO => {
            StoreError::Conflict { statement: at, reason: "another number of rows than expected".to_owned() }
        }
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED | SqlState::LOCK_NOT_AVAILABLE => {
            StoreError::Contention(text)
        }
        SqlState::READ_ONLY_SQL_TRANSACTION
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        | SqlState::IN_FAILED_SQL_TRANSACTION => StoreError::Unavailable(text),
        // 08 connection, 53 resources, 57 operator, 58 system, 28 authorization
        _ if ["08", "53", "57", "58", "28"].contains(&&code.code()[..2]) => StoreError::Unavailable(text),
        _ => StoreError::Statement(text),
    }
}

pub(super) fn text_of(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

/// Differs for every call in every process.
fn unique() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    RandomState::new().build_hasher().finish()
}
