//! Every scenario runs on every engine.
#![allow(dead_code, reason = "each test program uses its part")]

use store::{Db, Migration, Migrations, PostgresConfig, Row, Statement, StorageConfig, params};
use tasks::{Supervisor, Tasks};
use tempfile::TempDir;
use testkit::Database;

pub(crate) const NODE: &str = "participant";

pub(crate) const ROOM: Migrations = Migrations {
    component: "room",
    steps: &[
        Migration {
            version: 1,
            name: "things",
            sql: "create table things (id bigint not null primary key, name text, data bytea, good boolean, epoch bigint)",
        },
        Migration { version: 2, name: "index", sql: "create index things_by_name on things (name)" },
    ],
};

/// A place for a database, which several `Db` may open, as several processes would.
pub(crate) struct Fixture {
    pub(crate) config: StorageConfig,
    pub(crate) tasks: Tasks,
    pub(crate) postgres: Option<Database>,
    _supervisor: Supervisor,
    _dir: Option<TempDir>,
}

impl Fixture {
    pub(crate) fn postgres() -> Self {
        let database = testkit::postgres();
        Self::new(StorageConfig::Postgres(PostgresConfig::new(database.url())), Some(database), None)
    }

    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::new(StorageConfig::Sqlite { path: dir.path().join("node.db") }, None, Some(dir))
    }

    pub(crate) fn memory() -> Self {
        Self::new(StorageConfig::Memory, None, None)
    }

    /// On a database that the test looks after.
    pub(crate) fn on(config: StorageConfig) -> Self {
        Self::new(config, None, None)
    }

    fn new(config: StorageConfig, postgres: Option<Database>, dir: Option<TempDir>) -> Self {
        let (tasks, supervisor) = Tasks::new("test");
        Self { config, tasks, postgres, _supervisor: supervisor, _dir: dir }
    }

    pub(crate) async fn open(&self) -> Db {
        self.open_with(&[ROOM]).await.unwrap()
    }

    pub(crate) async fn open_with(&self, rooms: &[Migrations]) -> store::Result<Db> {
        Db::open(&self.config, NODE, rooms, &self.tasks).await
    }

    pub(crate) fn is_memory(&self) -> bool {
        self.config == StorageConfig::Memory
    }
}

/// `thing(1, "x")`: a row of `things`.
pub(crate) fn thing(id: i64, name: &str) -> Statement {
    Statement::new("insert into things (id, name) values ($1, $2)", params![id, name])
}

pub(crate) async fn names(db: &Db) -> Vec<String> {
    let rows = db.query("select name from things order by id", []).await.unwrap();
    rows.iter().map(|row: &Row| row.text(0).unwrap().to_owned()).collect()
}

/// Makes a test of each scenario on each engine.
#[macro_export]
macro_rules! scenarios {
    ($($name:ident)*) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::common::Fixture::postgres()).await })* }
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::common::Fixture::sqlite()).await })* }
        mod memory { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::common::Fixture::memory()).await })* }
    };
}
