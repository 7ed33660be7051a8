//! The zombie: an active replica that is paused, replaced, and resumed. It must not write any more.
//!
//! The replica that suffers is a process of its own: this test program, started again with [`CHILD`] set. Every row
//! carries the epoch it was written under; the judge reads the rows in the order of their commits.
//!
//! With the feature `unfenced-for-tests` the same scenarios must show the damage, or they would prove nothing:
//! `cargo nextest run -p store --features unfenced-for-tests zombie`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod common;

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use common::{Fixture, NODE, ROOM};
use rustix::process::{Pid, Signal, kill_process};
use store::{Db, ElectionConfig, Epoch, HaProfile, PostgresConfig, Statement, StorageConfig, StoreError, params};
use testkit::{Database, PostgresServer};

const CHILD: &str = "CONCORDAT_TEST_ZOMBIE";
const FENCED: bool = !cfg!(feature = "unfenced-for-tests");

/// Another process that is the active replica.
struct Zombie {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Zombie {
    fn start(place: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "zombie_child", "--nocapture", "--ignored"])
            .env(CHILD, place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits for the next line of the child's own, among those of the test harness.
    fn says(&mut self) -> String {
        let mut own =
            self.lines.by_ref().map_while(Result::ok).filter_map(|l| l.strip_prefix("zombie: ").map(str::to_owned));
        own.next().expect("the child has more to say")
    }

    fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Zombie {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The child's part: wins, writes inside a transaction, waits, goes on as if nothing had happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the other tests start it as a process of its own"]
async fn zombie_child() {
    let Ok(place) = std::env::var(CHILD) else { return };
    let say = |what: &str| println!("\nzombie: {what}");
    let wait = || std::io::stdin().lines().next().unwrap().unwrap();
    let (tasks, _supervisor) = tasks::Tasks::new("zombie");
    let db = Db::open(&config(&place), NODE, &[ROOM], &tasks).await.unwrap();
    let held = campaign(&db, "zombie").await;
    say("active");
    wait();
    let mut tx = db.begin(held.epoch()).await.unwrap();
    tx.execute(row(1, held.epoch())).await.unwrap();
    say("inside");
    wait();
    say(&outcome(tx.commit().await));
    for id in 2..5 {
        say(&outcome(db.commit(held.epoch(), vec![row(id, held.epoch())]).await));
    }
    say(if held.is_fresh() { "fresh" } else { "not fresh" });
}

fn config(place: &str) -> StorageConfig {
    match place.strip_prefix("file:") {
        Some(path) => StorageConfig::Sqlite { path: path.into() },
        None => StorageConfig::Postgres(PostgresConfig::new(place)),
    }
}

async fn campaign(db: &Db, replica: &str) -> store::Held {
    let config = ElectionConfig { profile: HaProfile::Fast, replica: replica.to_owned() };
    db.election(config).unwrap().campaign().await.unwrap()
}

fn row(id: i64, epoch: &Epoch) -> Statement {
    Statement::new("insert into things (id, epoch) values ($1, $2)", params![id, epoch.number()])
}

fn outcome<T>(result: store::Result<T>) -> String {
    match result {
        Ok(_) => "committed".to_owned(),
        Err(StoreError::Fenced { .. }) => "fenced".to_owned(),
        Err(error) => format!("failed: {error}"),
    }
}

struct Postgres {
    _server: PostgresServer,
    database: Database,
    fixture: Fixture,
}

impl Postgres {
    fn start() -> Self {
        let server = PostgresServer::start(&["track_commit_timestamp=on"]);
        let database = server.database();
        let fixture = Fixture::on(StorageConfig::Postgres(PostgresConfig::new(database.url())));
        Self { _server: server, database, fixture }
    }

    /// The epochs of all rows in the order in which they were committed.
    fn epochs(&self) -> Vec<i64> {
        let rows =
            self.database.psql("select epoch from things order by pg_xact_commit_timestamp(xmin), xmin::text::bigint");
        rows.lines().map(|epoch| epoch.parse().unwrap()).collect()
    }
}

/// Property P7: no row of an older epoch after one of a newer.
fn in_order(epochs: &[i64]) -> bool {
    epochs.is_sorted()
}

/// The whole process stands still, inside a transaction; its lease runs out and its sessions are ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zombie_paused_beyond_its_lease() {
    let postgres = Postgres::start();
    let db = postgres.fixture.open().await;
    let mut zombie = Zombie::start(&postgres.database.url());
    assert_eq!(zombie.says(), "active");
    zombie.go();
    assert_eq!(zombie.says(), "inside");
    zombie.signal(Signal::STOP);
    let held = campaign(&db, "successor").await;
    db.commit(held.epoch(), vec![row(100, held.epoch())]).await.unwrap();
    zombie.go();
    zombie.signal(Signal::CONT);
    assert_ne!(zombie.says(), "committed", "the session of the open transaction was ended");
    judge(&postgres, &mut zombie);
}

/// Only the session with the lock is lost; the transaction is open and could still be committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zombie_that_lost_only_its_lock() {
    let postgres = Postgres::start();
    let db = postgres.fixture.open().await;
    let mut zombie = Zombie::start(&postgres.database.url());
    assert_eq!(zombie.says(), "active");
    zombie.go();
    assert_eq!(zombie.says(), "inside");
    zombie.signal(Signal::STOP);
    let ended = postgres.database.psql(
        "select count(pg_terminate_backend(pid)) from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock'",
    );
    assert_eq!(ended, "1");
    let held = campaign(&db, "successor").await;
    db.commit(held.epoch(), vec![row(100, held.epoch())]).await.unwrap();
    zombie.go();
    zombie.signal(Signal::CONT);
    let first = zombie.says();
    assert_eq!(first == "committed", !FENCED, "{first}");
    judge(&postgres, &mut zombie);
}

/// Reads what the zombie got for its later writes, and the order of all epochs.
fn judge(postgres: &Postgres, zombie: &mut Zombie) {
    let later: Vec<String> = (0..3).map(|_| zombie.says()).collect();
    let wanted = if FENCED { "fenced" } else { "committed" };
    assert!(later.iter().any(|outcome| outcome == wanted), "the dangerous write was tried: {later:?}");
    assert!(!later.iter().any(|outcome| outcome == "committed") || !FENCED, "{later:?}");
    assert_eq!(zombie.says(), "not fresh");
    let epochs = postgres.epochs();
    assert!(epochs.len() >= if FENCED { 1 } else { 2 });
    assert_eq!(in_order(&epochs), FENCED, "epochs in commit order: {epochs:?}");
}

/// On the embedded store a paused holder is ended before the takeover: nothing else would free its locks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zombie_on_a_file_is_ended_first() {
    use std::os::unix::process::ExitStatusExt as _;
    let fixture = Fixture::sqlite();
    let db = fixture.open().await;
    let mut zombie = Zombie::start(&file_of(&fixture));
    assert_eq!(zombie.says(), "active");
    zombie.go();
    assert_eq!(zombie.says(), "inside");
    zombie.signal(Signal::STOP);
    let held = campaign(&db, "successor").await;
    let ended = zombie.child.try_wait().unwrap().expect("it ended before the takeover");
    assert_eq!(ended.signal(), Some(9));
    db.commit(held.epoch(), vec![row(100, held.epoch())]).await.unwrap();
    let rows = db.query("select id from things", []).await.unwrap();
    assert_eq!(rows.len(), 1, "the open transaction is gone");
    assert_eq!(rows[0].int(0), Ok(100));
}

fn file_of(fixture: &Fixture) -> String {
    match &fixture.config {
        StorageConfig::Sqlite { path } => format!("file:{}", path.display()),
        _ => panic!("no file"),
    }
}

/// Not a test: prints how long a takeover takes. `cargo nextest run -p store --run-ignored only measure --no-capture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn measure_takeover_after_a_kill() {
    let server = PostgresServer::start(&["fsync=on"]);
    let database = server.database();
    let on_postgres = Fixture::on(StorageConfig::Postgres(PostgresConfig::new(database.url())));
    let on_file = Fixture::sqlite();
    for (engine, fixture, place) in
        [("postgres", &on_postgres, database.url()), ("sqlite", &on_file, file_of(&on_file))]
    {
        let mut times: Vec<(Duration, Duration)> = Vec::new();
        for round in 0..20 {
            let db = fixture.open().await;
            let mut zombie = Zombie::start(&place);
            assert_eq!(zombie.says(), "active");
            let election =
                db.election(ElectionConfig { profile: HaProfile::Balanced, replica: "next".to_owned() }).unwrap();
            let waiting = election.campaign();
            tokio::pin!(waiting);
            assert!(tokio::time::timeout(Duration::from_millis(200), &mut waiting).await.is_err());
            let start = Instant::now();
            zombie.signal(Signal::KILL);
            let held = waiting.await.unwrap();
            let won = start.elapsed();
            db.commit(held.epoch(), vec![row(1000 + round, held.epoch())]).await.unwrap();
            times.push((won, start.elapsed()));
            held.release().await;
        }
        times.sort();
        println!(
            "{engine}: kill -9 to lock and fence (and to first commit): median {:?}, worst {:?}",
            times[10], times[19]
        );
    }
}

/// Not a test: prints how many one-row batches are committed per second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn measure_commits() {
    let server = PostgresServer::start(&["fsync=on"]);
    let database = server.database();
    let on_postgres = Fixture::on(StorageConfig::Postgres(PostgresConfig::new(database.url())));
    for (engine, fixture) in [("postgres", on_postgres), ("sqlite", Fixture::sqlite()), ("memory", Fixture::memory())] {
        let db = fixture.open().await;
        let held = campaign(&db, "writer").await;
        for writers in [1_i64, 4] {
            let start = Instant::now();
            let each = |writer: i64| {
                let (db, epoch) = (db.clone(), held.epoch().clone());
                async move {
                    for i in 0..500 {
                        let id = writers * 1_000_000 + writer * 10_000 + i;
                        db.commit(&epoch, vec![row(id, &epoch)]).await.unwrap();
                    }
                }
            };
            futures::future::join_all((0..writers).map(each)).await;
            let rate = 500.0 * f64::from(i32::try_from(writers).unwrap()) / start.elapsed().as_secs_f64();
            println!("{engine}: {writers} writers: {rate:.0} commits/s of one row");
        }
    }
}
