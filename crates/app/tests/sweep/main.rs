//! The crash sweep: a process is aborted at every write and send that a small workload passes, on each kind of node, starts
//! again, and the workload goes on; in the end the checker judges what clients and readers saw.
//!
//! Run with the feature `crash-points-for-tests`. The places are named after what is written to which table, or sent
//! (`tasks::CrashPoints`); `points.rs` lists them. One that is reached and not listed, or listed and not aborted at, fails
//! the sweep.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and tells what it did"
)]

mod client;
#[path = "../network/model.rs"]
mod model;
mod points;
mod store;

use client::Clients;
use demo::{Fault, Kind, Network, Options, PostgresUrl};
use points::{ASK, FOUNDING, SWEPT, SWEPT_ON_POSTGRESQL};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tasks::Tasks;
use testkit::PostgresServer;
use tokio::sync::Mutex;

/// Rounds of the workload until a place must have been reached.
const ROUNDS: u32 = 6;
/// Nobody waits longer than this to be told the time.
const SILENCE: Duration = Duration::from_secs(15);
/// For the clients and watchers to end.
const END: Duration = Duration::from_secs(5);
/// For an aborted process to be gone, and for the next one to serve.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const POLL: Duration = Duration::from_millis(20);

static ALONE: Mutex<()> = Mutex::const_new(());

/// What the processes tell and are told, by kind of node.
struct Places(PathBuf);

impl Places {
    /// Processes of one kind share a name; the folder has the program that gives it to them.
    fn new(folder: &Path) -> (Self, PathBuf) {
        let script = folder.join("concordat");
        let text = format!(
            "#!/bin/sh\nname=$(basename \"$3\" .conf)\n\
             CONCORDAT_CRASH_POINTS={}/${{name%%[0-9_]*}} exec {} \"$@\"\n",
            folder.display(),
            env!("CARGO_BIN_EXE_concordat")
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        (Self(folder.to_owned()), script)
    }

    fn file(&self, kind: Kind, extension: &str) -> PathBuf {
        self.0.join(kind.name()).with_extension(extension)
    }

    /// The next process of this kind that reaches the place aborts.
    fn arm(&self, kind: Kind, place: &str) {
        let _ = fs::remove_file(self.file(kind, "fired"));
        // It appears at once with all that it says.
        let draft = self.file(kind, "draft");
        fs::write(&draft, place).unwrap();
        fs::rename(draft, self.file(kind, "armed")).unwrap();
    }

    fn has_fired(&self, kind: Kind) -> bool {
        self.file(kind, "fired").exists()
    }

    /// How often each place was reached so far.
    fn reached(&self) -> BTreeMap<(Kind, String), usize> {
        let mut counts = BTreeMap::new();
        for kind in Kind::ALL {
            let text = fs::read_to_string(self.file(kind, "reached")).unwrap_or_default();
            for place in text.lines() {
                *counts.entry((kind, place.to_owned())).or_default() += 1;
            }
        }
        counts
    }
}

/// A network under the sweep.
struct Sweep {
    network: Network,
    clients: Clients,
    places: Places,
    rounds: u32,
    tasks: Tasks,
}

impl Sweep {
    async fn round(&mut self) {
        self.rounds += 1;
        self.clients.round(self.rounds).await;
    }

    /// New active replicas of all kinds: some places are passed only by those.
    async fn hand_over(&mut self) {
        for (kind, dice) in Kind::ALL.into_iter().zip(0_u64..).chain([(Kind::Participant, 1), (Kind::Participant, 0)]) {
            self.network.inject(Fault::HandOver, kind, dice).await.unwrap();
        }
    }

    /// Has one process abort at a place, and start again, while the workload goes on.
    async fn abort_at(&mut self, kind: Kind, place: &str) -> Result<(), String> {
        self.places.arm(kind, place);
        for round in 0..ROUNDS {
            if round > 0 {
                self.hand_over().await;
            }
            let (clients, n) = (self.clients.clone(), self.rounds + 1);
            self.rounds = n;
            let mut work = self.tasks.spawn("round", async move { clients.round(n).await });
            loop {
                tokio::select! {
                    ended = &mut work => break ended.map_err(|error| format!("{kind:?}, {place}: {error}"))?,
                    () = tokio::time::sleep(POLL) => self.revive()?,
                }
            }
            let until = Instant::now() + if place.ends_with(ASK) { SILENCE } else { Duration::ZERO };
            while !self.places.has_fired(kind) && Instant::now() < until {
                tokio::time::sleep(POLL).await;
            }
            if self.places.has_fired(kind) {
                return self.serves().await;
            }
        }
        fs::remove_file(self.places.file(kind, "armed")).unwrap();
        Err(format!("{}: {place} was not reached within {ROUNDS} rounds", kind.name()))
    }

    /// Starts again what aborted.
    fn revive(&mut self) -> Result<(), String> {
        let ended = self.network.revive().unwrap();
        let others: Vec<_> = ended.into_iter().filter(|text| !text.contains("SIGABRT")).collect();
        if others.is_empty() { Ok(()) } else { Err(others.join("\n")) }
    }

    /// Waits until every process serves.
    async fn serves(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.revive()?;
            let mut silent = Vec::new();
            for process in &self.network.processes {
                if demo::status(process).await.is_none() {
                    silent.push(process.name.clone());
                }
            }
            if silent.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("{} does not serve", silent.join(", ")));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Both places of each.
fn both(what: &[(Kind, &str)]) -> Vec<(Kind, String)> {
    let places = |(kind, what): &(Kind, &str)| ["before", "after"].map(|moment| (*kind, format!("{moment} {what}")));
    let all = what.iter().flat_map(places);
    // The election's write is one with winning the lock: there is no moment before it that is not one without it.
    all.filter(|(_, place)| place != "before update store_epochs").collect()
}

/// Starts a network, aborts at these places, judges. Fails with everything that is wrong, and with each place that is
/// passed and not listed, or listed and not passed.
async fn sweep(what: &[(Kind, &str)], storage: Option<PostgresUrl>) {
    // One network has the machine for itself.
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let (places, program) = Places::new(folder.path());
    let (tasks, supervisor) = Tasks::new("sweep");
    let is_embedded = storage.is_none();
    let options = Options {
        program,
        duration: Duration::ZERO,
        fault_every: None,
        faults: Vec::new(),
        profile: Some("fast".into()),
        rate: None,
        database: None,
        seed: 1,
        report: None,
        storage,
        dar: None,
        directory: Some(folder.path().join("network")),
        own_dar: lf::models::iou(),
        replicated: true,
        clients: demo::CLIENTS,
    };
    let network = Network::start(options, tasks.clone()).await.unwrap();
    let clients = Clients::new(network.load.sides.clone(), network.history.clone());
    for side in 0..2 {
        tasks.spawn_cancellable("follower", clients.clone().follow(side)).detach();
    }
    let mut sweep = Sweep { network, clients, places, rounds: 0, tasks };
    sweep.round().await;
    sweep.hand_over().await;
    sweep.round().await;
    let recorded = sweep.places.reached();
    let mut wrong = Vec::new();
    println!("node         place                                         passed  aborted");
    for (kind, place) in both(what) {
        let at = Instant::now();
        let outcome = sweep.abort_at(kind, &place).await;
        let passed = recorded.get(&(kind, place.clone())).unwrap_or(&0);
        let told = outcome.as_ref().map_or("no".into(), |()| format!("once, and went on after {:?}", at.elapsed()));
        println!("{:12} {place:45} {passed:6}  {told}", kind.name());
        wrong.extend(outcome.err());
    }
    let known: BTreeSet<_> = both(SWEPT).into_iter().chain(both(FOUNDING)).collect();
    let passed = sweep.places.reached();
    wrong.extend(passed.keys().filter(|place| !known.contains(*place)).map(|place| format!("{place:?} is not listed")));
    let founded = both(FOUNDING).into_iter().filter(|place| !passed.contains_key(place));
    wrong.extend(founded.map(|place| format!("{place:?} was not passed")));
    if is_embedded {
        let verdicts = store::verdicts(&folder.path().join("network"), &sweep.tasks).await;
        sweep.network.history.with(|inner| inner.records.extend(verdicts));
    }
    let report = sweep.network.finish(Vec::new()).await.unwrap();
    println!("{} commands committed, {} rejected", report.committed, report.rejected);
    wrong.extend(report.violations);
    supervisor.shutdown(END).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_and_send_may_be_the_last() {
    Box::pin(sweep(SWEPT, None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_may_those_of_a_transaction_on_postgresql() {
    let server = PostgresServer::start(&[]);
    let database = server.database();
    let url = format!("postgres://postgres@127.0.0.1:{}/{}", database.port(), database.name());
    Box::pin(sweep(SWEPT_ON_POSTGRESQL, Some(url.parse().unwrap()))).await;
}
