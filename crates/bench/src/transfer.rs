//! A whole network of two participants over PostgreSQL, beside what it must do at least, and beside a transfer that nobody
//! has to trust: one plain SQL transaction.

use crate::bound::{self, Parts};
use demo::{DemoError, Options, PostgresUrl, Report, headless};
use serde::Serialize;
use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tasks::Tasks;
use testkit::PostgresServer;

/// Durable, as in production.
const SETTINGS: [&str; 2] = ["fsync=on", "full_page_writes=on"];
/// Commands per second at which latency is measured.
const STEADY: u32 = 50;

/// The network could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    #[error(transparent)]
    Network(#[from] DemoError),
    #[error("{0}")]
    Storage(String),
    #[error("{program}: {why}")]
    Program { program: &'static str, why: String },
    #[error("no program is beside this one: {0}")]
    Beside(#[from] std::io::Error),
}

/// What is asked for.
pub(crate) struct Wanted {
    /// A server is started for this run if absent.
    pub(crate) storage: Option<String>,
    /// Seconds of load, of each kind.
    pub(crate) seconds: u64,
    /// Clients that submit at the same time.
    pub(crate) clients: usize,
    /// The binary under test: the one beside this program if absent.
    pub(crate) program: Option<PathBuf>,
}

/// In milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    p50: f64,
    p99: f64,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    /// Confirmed transactions per second with all clients.
    pub(crate) tps: f64,
    /// At [`STEADY`] commands per second.
    pub(crate) latency_ms: Latency,
    /// With one client that waits for its answer.
    pub(crate) alone_ms: Latency,
    /// Transactions per second if nothing were done but `parts`.
    pub(crate) bound_tps: f64,
    /// `tps` of `bound_tps`.
    pub(crate) ratio: f64,
    /// Plain SQL transactions per second, with as many clients.
    pub(crate) sql_tps: f64,
    /// `tps` of `sql_tps`.
    pub(crate) sql_ratio: f64,
    /// Cores of this machine.
    pub(crate) cores: usize,
    /// What a transfer must do.
    pub(crate) parts: Parts,
}

/// A database of its own for one network, on the same server; gone with this value.
struct Fresh<'a> {
    server: &'a str,
    name: String,
    url: String,
}

impl<'a> Fresh<'a> {
    fn create(server: &'a str) -> Result<Self, TransferError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("concordat_bench_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let (place, _) = server.rsplit_once('/').ok_or_else(|| TransferError::Storage(format!("{server}: no URL")))?;
        let url = format!("{place}/{name}");
        bound::psql(server, &format!("create database {name}"))?;
        Ok(Self { server, name, url })
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        // What is left is in the way of nobody: the next one has another name.
        let _ = bound::psql(self.server, &format!("drop database {} with (force)", self.name));
    }
}

fn latency(report: &Report) -> Latency {
    Latency { p50: report.latency_ms.p50, p99: report.latency_ms.p99 }
}

/// Measures bound, network, bound.
pub(crate) async fn measure(wanted: Wanted, tasks: Tasks) -> Result<Found, TransferError> {
    let server = wanted.storage.is_none().then(|| {
        let server = PostgresServer::start(&SETTINGS);
        let database = server.database();
        (server, database)
    });
    let url = match (&wanted.storage, &server) {
        (Some(url), _) => url.clone(),
        (None, Some((_, database))) => database.url(),
        (None, None) => return Err(TransferError::Storage("there is no database".into())),
    };
    let program = match wanted.program {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("concordat"),
    };
    let run = async |clients: usize, rate: Option<u32>| {
        let database = Fresh::create(&url)?;
        let storage: PostgresUrl = database.url.parse().map_err(TransferError::Storage)?;
        let options = Options {
            program: program.clone(),
            duration: Duration::from_secs(wanted.seconds),
            fault_every: None,
            faults: Vec::new(),
            profile: None,
            replicated: false,
            clients,
            rate,
            database: None,
            seed: 1,
            report: None,
            storage: Some(storage),
            dar: None,
            directory: None,
            own_dar: lf::models::iou(),
        };
        headless(options, tasks.clone(), |_| ()).await.map_err(TransferError::from)
    };
    bound::set_up(&url)?;
    let seconds = u32::try_from(wanted.seconds).unwrap_or(u32::MAX);
    let bound = |clients| bound::measure(&url, clients, seconds);
    let before = bound(wanted.clients)?;
    let (full, steady, alone) =
        (run(wanted.clients, None).await?, run(wanted.clients, Some(STEADY)).await?, run(1, None).await?);
    let after = bound(wanted.clients)?;
    let parts = before.parts.mean(&after.parts);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (bound_tps, sql_tps) = (parts.bound(cores), f64::midpoint(before.sql_tps, after.sql_tps));
    Ok(Found {
        tps: full.commands_per_second,
        latency_ms: latency(&steady),
        alone_ms: latency(&alone),
        bound_tps,
        ratio: full.commands_per_second / bound_tps,
        sql_tps,
        sql_ratio: full.commands_per_second / sql_tps,
        cores,
        parts,
    })
}
