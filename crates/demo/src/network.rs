//! The running demo.

use crate::{
    admin::{self, AdminError, bootstrap, channel, in_role},
    fault::{self, Database, Fault},
    history::{History, Injected},
    layout::{self, Kind, PostgresUrl, Process, Storage, lay_out},
    load::{Load, Side},
    observe::{self, ObserveError},
    process::Running,
    proxy::Proxy,
    report::{Report, Run, report},
    workload::Workload,
};
use canton_proto::com::daml::ledger::api::v2::admin::{
    AllocatePartyRequest, UploadDarFileRequest, package_management_service_client::PackageManagementServiceClient,
    party_management_service_client::PartyManagementServiceClient,
};
use rpc::RpcError;
use rustix::process::Signal;
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tasks::{Task, Tasks};
use tokio::time::Instant;

/// How long a killed process stays down.
const DOWN: Duration = Duration::from_millis(500);
/// How long a paused process stands still: three leases and more, so that another one replaces it.
const PAUSED: Duration = Duration::from_millis(3500);
/// Roles of a node that answers.
const SERVING: [&str; 3] = ["Active", "Passive", "Online"];
/// What another replica sends to one that is silent.
const SIGKILL: i32 = rustix::process::Signal::KILL.as_raw();
/// For the processes to end in order.
const STOP: Duration = Duration::from_secs(5);

/// What the user asked for.
#[derive(Clone)]
pub struct Options {
    /// The binary whose processes the network is made of.
    pub program: PathBuf,
    /// How long load runs, without a terminal.
    pub duration: Duration,
    /// How often something happens; never if absent.
    pub fault_every: Option<Duration>,
    /// What happens, each to every kind of node.
    pub faults: Vec<Fault>,
    /// `ha.profile` of all nodes; their default if absent.
    pub profile: Option<String>,
    /// Whether every node has replicas; otherwise it is one process.
    pub replicated: bool,
    /// Clients that submit at the same time.
    pub clients: usize,
    /// Commands per second, at most.
    pub rate: Option<u32>,
    /// For faults of the database.
    pub database: Option<Arc<dyn Database>>,
    /// Decides what happens and what is submitted where.
    pub seed: u64,
    /// Where to write the report.
    pub report: Option<PathBuf>,
    /// PostgreSQL in place of files.
    pub storage: Option<PostgresUrl>,
    /// A DAR with the field's CantonExamples instead of the project's own model.
    pub dar: Option<PathBuf>,
    /// Where to keep files; a temporary folder if absent.
    pub directory: Option<PathBuf>,
    /// The project's own model.
    pub own_dar: Vec<u8>,
}

/// The demo could not run, or found something wrong.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Its files and processes.
    #[error("the demo's files: {0}")]
    Io(#[from] io::Error),
    /// The network does not come up.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A call of a client, before the load.
    #[error("{what}: {source}")]
    Call {
        /// What it was for.
        what: &'static str,
        /// The answer.
        source: RpcError,
    },
    /// A replica cannot be read to its end.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// A fault needs control over the database.
    #[error("{0} needs a database that this program may end sessions of and restart")]
    NoDatabase(Fault),
    /// The checker, or the run itself.
    #[error("the run found something wrong:\n{}", .0.join("\n"))]
    Wrong(Vec<String>),
}

/// A network that is up, with its clients not yet started.
pub struct Network {
    program: PathBuf,
    pub(crate) running: Vec<Running>,
    /// By process, what stands between it and others.
    proxies: BTreeMap<String, Vec<Proxy>>,
    /// As they were laid out.
    pub processes: Vec<Process>,
    /// What was seen.
    pub history: History,
    /// The clients.
    pub load: Load,
    pub(crate) options: Options,
    /// Until the first transaction each way, in milliseconds.
    pub start_ms: u64,
    idle_mb: BTreeMap<String, f64>,
    tasks: Tasks,
    clients: Vec<Task<()>>,
    load_began: Instant,
    directory: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

fn call(what: &'static str) -> impl FnOnce(tonic::Status) -> DemoError {
    move |status| DemoError::Call { what, source: status.into() }
}

impl Network {
    /// Starts all processes, founds the synchronizer, connects, allocates parties, uploads the model.
    pub async fn start(options: Options, tasks: Tasks) -> Result<Self, DemoError> {
        let temporary = options.directory.is_none().then(tempfile::tempdir).transpose()?;
        let directory = match (&options.directory, &temporary) {
            (Some(directory), _) => directory.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => PathBuf::from("."),
        };
        fs::create_dir_all(&directory)?;
        let storage = options.storage.clone().map_or(Storage::Embedded, Storage::Postgres);
        let mut processes = lay_out(&directory, &storage, options.replicated)?;
        let mut proxies = BTreeMap::new();
        if options.faults.contains(&Fault::Cut) {
            for process in &mut processes {
                proxies.insert(process.name.clone(), between(process, &storage, &tasks).await?);
            }
        }
        processes
            .iter()
            .try_for_each(|process| layout::write(process, &directory, &storage, options.profile.as_deref()))?;
        let program = options.program.clone();
        let begun = Instant::now();
        let running: Result<Vec<_>, _> = processes.iter().map(|p| Running::start(&program, p.clone())).collect();
        let running = running?;
        bootstrap(&processes).await?;
        let (dar, workload) = match &options.dar {
            None => (options.own_dar.clone(), Workload::own()),
            Some(path) => (fs::read(path)?, Workload::canton_examples("#CantonExamples".into())),
        };
        let one = side(&processes, "participant1", "alice", dar.clone());
        let two = side(&processes, "participant2", "bob", dar);
        let (one, two) = tokio::join!(one, two);
        let history = History::new();
        let load = Load::new([one?, two?], workload, history.clone(), options.seed, options.rate);
        load.warm_up().await.map_err(|source| DemoError::Call { what: "the first transactions", source })?;
        let start_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let idle_mb = resident_mb(&processes).await;
        Ok(Self {
            program,
            running,
            proxies,
            processes,
            history,
            load,
            options,
            start_ms,
            idle_mb,
            tasks,
            clients: Vec::new(),
            load_began: Instant::now(),
            directory,
            _temporary: temporary,
        })
    }

    /// Starts the clients.
    pub fn start_load(&mut self) {
        self.load_began = Instant::now();
        for side in 0..2 {
            self.tasks.spawn_cancellable("reader", self.load.clone().reader(side)).detach();
        }
        for _ in 0..self.options.clients {
            self.clients.push(self.tasks.spawn("client", self.load.clone().client()));
        }
    }

    /// Has a fault happen to an active process of this kind, and waits until it is over. Says what was done; `None` if no
    /// process of the kind was active.
    pub async fn inject(&mut self, fault: Fault, kind: Kind, dice: u64) -> Result<Option<String>, DemoError> {
        let Some(at) = self.active(kind, dice).await else { return Ok(None) };
        let process = self.running[at].process.clone();
        let injected = Injected {
            at: self.history.now(),
            fault,
            kind,
            logical: process.logical.clone(),
            in_flight: self.history.in_flight(),
        };
        if kind == Kind::Manager {
            self.probe_manager();
        }
        let database = self.options.database.clone();
        match fault {
            Fault::Kill => {
                self.running[at].kill().await?;
                self.history.with(|h| h.faults.push(injected));
                tokio::time::sleep(DOWN).await;
                self.restart(at)?;
                return Ok(Some(format!("killed {}", process.name)));
            }
            Fault::HandOver if kind == Kind::Sequencer => {
                self.history.with(|h| h.faults.push(injected));
                self.running[at].stop(STOP).await;
                self.restart(at)?;
                return Ok(Some(format!("restarted {}", process.name)));
            }
            Fault::HandOver => {
                self.history.with(|h| h.faults.push(injected));
                return Ok(Some(match admin::hand_over(&process).await {
                    Ok(to) => format!("{} handed over to {} in {} ms", process.name, to.replica, to.took_ms),
                    Err(error) => format!("{} did not hand over: {error}", process.name),
                }));
            }
            Fault::Pause => {
                self.running[at].signal(Signal::STOP);
                self.history.with(|h| h.faults.push(injected));
                tokio::time::sleep(PAUSED).await;
                self.running[at].signal(Signal::CONT);
                return Ok(Some(format!("paused {}", process.name)));
            }
            Fault::Cut => {
                let proxies = &self.proxies[&process.name];
                proxies.iter().for_each(Proxy::cut);
                self.history.with(|h| h.faults.push(injected));
                tokio::time::sleep(PAUSED).await;
                proxies.iter().for_each(Proxy::heal);
                return Ok(Some(format!("cut {} off", process.name)));
            }
            Fault::Sessions | Fault::Database => {}
        }
        let database = database.ok_or(DemoError::NoDatabase(fault))?;
        if fault == Fault::Sessions {
            self.history.with(|h| h.faults.push(injected));
            database.end_sessions(&process.logical).await;
            return Ok(Some(format!("ended all sessions of {}", process.logical)));
        }
        database.restart().await;
        // The nodes are to be measured, not the server.
        let at = self.history.now();
        self.history.with(|h| h.faults.push(Injected { at, ..injected }));
        Ok(Some("crashed the database".into()))
    }

    /// An active process of a logical node of this kind.
    async fn active(&self, kind: Kind, dice: u64) -> Option<usize> {
        let of_kind: Vec<&Process> = self.processes.iter().filter(|p| p.kind == kind).collect();
        let logical = of_kind[usize::try_from(dice).unwrap_or(0) % of_kind.len()].logical.clone();
        let mut active = Vec::new();
        for process in of_kind.iter().filter(|p| p.logical == logical) {
            if let Some((node, _)) = admin::status(process).await
                && matches!(node.role.as_str(), "Active" | "Online")
            {
                active.push(process.name.clone());
            }
        }
        let at = usize::try_from(dice >> 8).unwrap_or(0) % active.len().max(1);
        let name = active.get(at)?;
        self.running.iter().position(|r| r.process.name == *name)
    }

    fn restart(&mut self, at: usize) -> io::Result<()> {
        let process = self.running[at].process.clone();
        self.running[at] = Running::start(&self.program, process.clone())?;
        self.time_restart(process);
        Ok(())
    }

    /// Notes how long a process takes from its start until it serves.
    fn time_restart(&self, process: Process) {
        let history = self.history.clone();
        let begin = history.now();
        let serves = async move {
            let of_it = std::slice::from_ref(&process);
            if in_role(of_it, &process.logical, &SERVING).await.is_ok() {
                history.with(|h| h.restarts.push(history.now() - begin));
            }
        };
        self.tasks.spawn_cancellable("restart watch", serves).detach();
    }

    /// Asks for a topology change, and notes how long it takes.
    fn probe_manager(&self) {
        let (history, side) = (self.history.clone(), self.load.sides[0].clone());
        let probe = async move {
            let begin = history.now();
            for (n, replica) in side.replicas.iter().cycle().take(20).enumerate() {
                let request = AllocatePartyRequest {
                    party_id_hint: format!("probe-{begin}-{n}"),
                    ..AllocatePartyRequest::default()
                };
                if PartyManagementServiceClient::new(replica.clone()).allocate_party(request).await.is_ok() {
                    let end = history.now();
                    return history.with(|h| h.topology.push((begin, end)));
                }
            }
        };
        self.tasks.spawn_cancellable("manager probe", probe).detach();
    }

    /// Starts again what ended without having been killed here. That is a violation, unless another replica ended it
    /// because it was silent for a lease: so it is meant, and happens where the machine is too busy.
    pub fn revive(&mut self) -> io::Result<Vec<String>> {
        let mut ended = Vec::new();
        for running in &mut self.running {
            if let Some(status) = running.has_ended() {
                if status.signal() == Some(SIGKILL) {
                    self.history.with(|h| h.silent += 1);
                } else {
                    ended.push(format!("{} ended by itself: {status}", running.process.name));
                }
                *running = Running::start(&self.program, running.process.clone())?;
            }
        }
        Ok(ended)
    }

    /// Stops the load, waits until every command is decided, reads everything, and judges.
    pub async fn finish(mut self, mut violations: Vec<String>) -> Result<Report, DemoError> {
        let load_seconds = self.load_began.elapsed().as_secs_f64();
        self.load.stop.store(true, Ordering::Relaxed);
        for client in std::mem::take(&mut self.clients) {
            let _ = client.await;
        }
        violations.extend(self.revive()?);
        for process in &self.processes {
            in_role(std::slice::from_ref(process), &process.logical, &SERVING).await?;
        }
        observe::read_all(&self.load.sides, &self.history).await?;
        let verdict = self.history.with(|h| checker::check(&h.records));
        let run = Run {
            seed: self.options.seed,
            storage: self.options.storage.as_ref().map_or_else(|| "embedded".into(), |url| format!("{url:?}")),
            start_ms: self.start_ms,
            load_seconds,
            idle_mb: std::mem::take(&mut self.idle_mb),
            rss_mb: resident_mb(&self.processes).await,
            fenced_writes: self.fenced_writes(),
            has_kills: self.history.with(|h| h.faults.iter().any(|f| f.fault == Fault::Kill)),
        };
        let mut report = report(&self.history, &verdict, run);
        violations.append(&mut report.violations);
        report.violations = violations;
        for mut running in std::mem::take(&mut self.running) {
            running.stop(STOP).await;
        }
        Ok(report)
    }

    /// Writes that the fence refused, as the logs tell.
    fn fenced_writes(&self) -> usize {
        let logs = self.processes.iter().filter_map(|p| fs::read_to_string(&p.log).ok());
        logs.map(|log| log.matches("write refused: ").count()).sum()
    }

    /// Where configuration files, databases and logs are.
    pub(crate) fn directory(&self) -> &PathBuf {
        &self.directory
    }
}

/// Puts proxies between a process and the database server, and between a sequencer and its clients.
async fn between(process: &mut Process, storage: &Storage, tasks: &Tasks) -> io::Result<Vec<Proxy>> {
    let mut proxies = Vec::new();
    if let Storage::Postgres(url) = storage {
        let proxy = Proxy::start(url.host.clone(), url.port, tasks).await?;
        process.database_port = Some(proxy.port);
        proxies.push(proxy);
    }
    if let Some(port) = &mut process.public_port {
        let proxy = Proxy::start("127.0.0.1".into(), *port, tasks).await?;
        *port = proxy.port;
        proxies.push(proxy);
    }
    Ok(proxies)
}

/// Memory of each process, as far as it answers.
async fn resident_mb(processes: &[Process]) -> BTreeMap<String, f64> {
    let mut resident = BTreeMap::new();
    for process in processes {
        if let Some((_, answer)) = admin::status(process).await {
            #[expect(clippy::cast_precision_loss, reason = "shown to people")]
            let mb = answer.resident_bytes as f64 / 1_048_576.0;
            resident.insert(process.name.clone(), (mb * 10.0).round() / 10.0);
        }
    }
    resident
}

/// Allocates a party at a participant and uploads the model there.
async fn side(
    processes: &[Process],
    participant: &'static str,
    party: &str,
    dar_file: Vec<u8>,
) -> Result<Side, DemoError> {
    let ports = processes.iter().filter(|p| p.logical == participant).filter_map(|p| p.second_port);
    let replicas = ports.map(channel).collect::<Result<Vec<_>, _>>()?;
    let first = replicas.first().cloned().ok_or_else(|| io::Error::other("a participant without replicas"))?;
    let allocation = AllocatePartyRequest { party_id_hint: party.into(), ..AllocatePartyRequest::default() };
    let mut parties = PartyManagementServiceClient::new(first.clone());
    let upload = UploadDarFileRequest { dar_file, ..UploadDarFileRequest::default() };
    let mut packages = PackageManagementServiceClient::new(first).max_encoding_message_size(rpc::MAX_DECODING_BYTES);
    let (allocated, uploaded) = tokio::join!(parties.allocate_party(allocation), packages.upload_dar_file(upload));
    uploaded.map_err(call("uploading the model"))?;
    let party = allocated.map_err(call("allocating a party"))?.into_inner().party_details.unwrap_or_default().party;
    Ok(Side { participant, party, replicas })
}

/// Runs for a while, has faults happen, drains, judges; prints a line now and then.
pub async fn headless(options: Options, tasks: Tasks, mut say: impl FnMut(String)) -> Result<Report, DemoError> {
    let mut network = Network::start(options.clone(), tasks).await?;
    say(format!("network ready after {} ms, files in {}", network.start_ms, network.directory().display()));
    network.start_load();
    let end = Instant::now() + options.duration;
    let mut violations = Vec::new();
    let mut schedule =
        fault::schedule(&options.faults, options.storage.is_some(), options.seed).into_iter().cycle().enumerate();
    let mut next = options.fault_every.map(|every| Instant::now() + every);
    loop {
        let until = next.map_or(end, |next| next.min(end));
        tokio::time::sleep_until(until).await;
        violations.extend(network.revive()?);
        let (Some((round, (fault, kind))), true) = (schedule.next(), Instant::now() < end) else { break };
        let dice = options.seed.wrapping_mul(31).wrapping_add(u64::try_from(round).unwrap_or(0));
        let done = network.inject(fault, kind, dice).await?;
        say(done.unwrap_or_else(|| format!("no {} was active for {fault}", kind.name())));
        next = options.fault_every.map(|every| until + every);
    }
    say("draining".into());
    let report = network.finish(violations).await?;
    if let Some(path) = &options.report {
        fs::write(path, serde_json::to_string_pretty(&report).map_err(io::Error::other)?)?;
    }
    if report.violations.is_empty() { Ok(report) } else { Err(DemoError::Wrong(report.violations)) }
}
