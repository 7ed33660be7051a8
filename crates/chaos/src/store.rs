//! A PostgreSQL server for one run, and what is done to it.

use demo::{Database, PostgresUrl};
use futures::future::{BoxFuture, FutureExt as _};
use std::sync::Arc;
use testkit::PostgresServer;

/// Durable, as in production: what is committed must survive the crash of the server. The files of the whole cluster are
/// synchronised at once when it comes back, which would take seconds one by one.
const SETTINGS: [&str; 3] = ["fsync=on", "full_page_writes=on", "recovery_init_sync_method=syncfs"];

/// Ends with this value.
pub(crate) struct Server {
    server: Arc<PostgresServer>,
    database: Arc<testkit::Database>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let server = PostgresServer::start(&SETTINGS);
        let database = Arc::new(server.database());
        Self { server: Arc::new(server), database }
    }

    pub(crate) fn url(&self) -> PostgresUrl {
        let (port, name) = (self.database.port(), self.database.name());
        format!("postgres://postgres@127.0.0.1:{port}/{name}").parse().expect("the server's URL is one")
    }
}

/// Runs programs of PostgreSQL beside the clients.
async fn beside(work: impl FnOnce() + Send + 'static) {
    let done = tokio::task::spawn_blocking(work);
    done.await.expect("PostgreSQL's programs succeed");
}

impl Database for Server {
    fn end_sessions<'a>(&'a self, logical: &'a str) -> BoxFuture<'a, ()> {
        // Each node has a schema of its name, with a row for each of its processes.
        let table = if logical == "sequencer" { "sequencer_watermarks" } else { "node_replicas" };
        let end = format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity \
             where application_name in (select instance from {logical}.{table})"
        );
        let database = self.database.clone();
        beside(move || drop(database.psql(&end))).boxed()
    }

    fn restart(&self) -> BoxFuture<'_, ()> {
        let server = self.server.clone();
        beside(move || server.restart_immediately()).boxed()
    }
}
