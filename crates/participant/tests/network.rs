//! A whole network in one process: sequencers, manager, mediator, two participants, each over its own database, with the
//! real protocol between them. Only the engine is a small stand-in that knows one template.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod interpreter;

use base::{PartyId, SynchronizerId};
use identity::Identity;
use interpreter::OneTemplate;
use ledger::{CompletionOutcome, Ledger};
use ledger_api::{CommandKind, Commands, Writes};
use participant::{Active, ParticipantWrites};
use rpc::{Listen, ServerConfig, Services};
use sequencer::{Config, Sequencer};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use store::{Db, ElectionConfig, HaProfile, Held, Migrations, StorageConfig};
use tasks::{Supervisor, Tasks};
use tokio::sync::{mpsc, watch};
use topology::{Parameters, StoredTransaction};

/// Only a run that hangs reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    dir: tempfile::TempDir,
    synchronizer: SynchronizerId,
    endpoints: Vec<String>,
    _sequencers: Vec<(Sequencer, Supervisor)>,
    mediator: Option<Node>,
    _manager: Node,
    participants: Vec<TestParticipant>,
    mediator_setup: mediator::Setup,
}

/// One active replica.
struct Node {
    db: Db,
    held: Held,
    supervisor: Supervisor,
}

struct TestParticipant {
    _node: Node,
    writes: ParticipantWrites,
    ledger: Ledger,
    _here: watch::Sender<Option<Arc<Active>>>,
}

impl Node {
    async fn open(path: PathBuf, node: &str, migrations: &[Migrations]) -> (Self, Tasks) {
        let (tasks, supervisor) = Tasks::new(node);
        let db = Db::open(&StorageConfig::Sqlite { path }, node, migrations, &tasks).await.unwrap();
        let election = db.election(ElectionConfig { profile: HaProfile::Fast, replica: "r".into() }).unwrap();
        let held = election.campaign().await.unwrap();
        (Self { db, held, supervisor }, tasks)
    }

    async fn identity(&self, name: &str) -> Identity {
        if let Some(identity) = Identity::load(&self.db).await.unwrap() {
            return identity;
        }
        let (identity, rows) = Identity::create(name).unwrap();
        self.db.commit(self.held.epoch(), rows).await.unwrap();
        identity
    }
}

async fn sequencer(dir: &tempfile::TempDir) -> (Sequencer, Supervisor, String) {
    let (tasks, supervisor) = Tasks::new("sequencer");
    let storage = StorageConfig::Sqlite { path: dir.path().join("sequencer.db") };
    let migrations = [identity::MIGRATIONS, ::sequencer::MIGRATIONS];
    let db = Db::open(&storage, "sequencer", &migrations, &tasks).await.unwrap();
    let config = Config { total_node_count: 10, profile: HaProfile::Fast, limits: sequencer_core::Limits::default() };
    let sequencer = Sequencer::start(db, config, &tasks).await.unwrap();
    let services = sequencer.serve(Services::new(&[wire::DESCRIPTORS]).unwrap());
    let bound = services.bind(&Listen { address: "127.0.0.1".into(), port: 0 }).await.unwrap();
    let endpoint = format!("http://{}", bound.address());
    tasks.spawn("server", bound.serve(ServerConfig::default(), tasks.cancelled())).detach();
    (sequencer, supervisor, endpoint)
}

async fn start_mediator(dir: &tempfile::TempDir) -> (Node, Tasks, Identity) {
    let migrations = [identity::MIGRATIONS, mediator::MIGRATIONS];
    let (node, tasks) = Node::open(dir.path().join("mediator.db"), "mediator", &migrations).await;
    node.db.check_statements(mediator::STATEMENTS).await.unwrap();
    let identity = node.identity("mediator").await;
    (node, tasks, identity)
}

fn run_mediator(node: &Node, tasks: &Tasks, identity: Identity, setup: mediator::Setup) {
    let context = mediator::Context { db: node.db.clone(), epoch: node.held.epoch().clone(), identity, setup };
    tasks.spawn_essential("mediator", mediator::run(context, tasks.clone())).detach();
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (first, first_supervisor, first_endpoint) = sequencer(&dir).await;
        let (second, second_supervisor, second_endpoint) = sequencer(&dir).await;
        let endpoints = vec![first_endpoint, second_endpoint];

        let migrations = [identity::MIGRATIONS, manager::MIGRATIONS];
        let (manager_node, manager_tasks) = Node::open(dir.path().join("manager.db"), "manager", &migrations).await;
        manager_node.db.check_statements(manager::STATEMENTS).await.unwrap();
        let manager_identity = manager_node.identity("sync").await;
        let (mediator_node, mediator_tasks, mediator_identity) = start_mediator(&dir).await;
        let parameters = Parameters {
            confirmation_response_timeout: Duration::from_secs(5),
            mediator_reaction_timeout: Duration::from_secs(5),
            ..Parameters::default()
        };
        let founded =
            manager::found(&manager_identity, parameters, first.signing_key(), mediator_identity.signing_key())
                .unwrap();
        let topology: Vec<StoredTransaction> =
            first.initialize(founded.synchronizer.clone(), founded.topology).await.unwrap();

        let mediator_setup = mediator::Setup {
            mediator: founded.mediator,
            synchronizer: founded.synchronizer.clone(),
            sequencers: endpoints.clone(),
        };
        let epoch = mediator_node.held.epoch().clone();
        mediator::initialize(&mediator_node.db, &epoch, &mediator_setup, &topology).await.unwrap();
        run_mediator(&mediator_node, &mediator_tasks, mediator_identity, mediator_setup.clone());

        let setup = manager::Setup { synchronizer: founded.synchronizer.clone(), sequencers: endpoints.clone() };
        let epoch = manager_node.held.epoch().clone();
        manager::initialize(&manager_node.db, &epoch, &setup, &topology).await.unwrap();
        let context = manager::Context { db: manager_node.db.clone(), epoch, identity: manager_identity, setup };
        let (requests, inbox) = mpsc::channel(10);
        // Nobody asks for anything in these tests, but the channel must stay open.
        std::mem::forget(requests);
        manager_tasks.spawn_essential("manager", manager::run(context, inbox, manager_tasks.clone())).detach();

        let mut world = Self {
            dir,
            synchronizer: founded.synchronizer,
            endpoints,
            _sequencers: vec![(first, first_supervisor), (second, second_supervisor)],
            mediator: Some(mediator_node),
            _manager: manager_node,
            participants: Vec::new(),
            mediator_setup,
        };
        for n in 0..2 {
            let participant = world.participant(n).await;
            world.participants.push(participant);
        }
        world
    }

    async fn participant(&self, n: usize) -> TestParticipant {
        let migrations = [identity::MIGRATIONS, ledger::MIGRATIONS, participant::MIGRATIONS];
        let path = self.dir.path().join(format!("participant{n}.db"));
        let (node, tasks) = Node::open(path, "participant", &migrations).await;
        node.db.check_statements(participant::STATEMENTS).await.unwrap();
        let interpreter = Arc::new(OneTemplate);
        let epoch = node.held.epoch().clone();
        let active = Active::begin(node.db.clone(), epoch, &format!("p{n}"), interpreter.clone(), tasks).await.unwrap();
        let registered = active.register("sync".into(), self.endpoints.clone(), false).await.unwrap();
        assert_eq!(registered.synchronizer, self.synchronizer);
        let (_, is_active) = watch::channel(ledger_api::Active::Here);
        let here = watch::Sender::new(Some(active.clone()));
        let id = watch::Sender::new(Some(active.id().clone()));
        let writes = ParticipantWrites::new(node.db.clone(), interpreter, is_active, here.subscribe(), id);
        let ledger = Ledger::new(node.db.clone());
        writes.upload_dar(bytes::Bytes::from_static(b"dar"), false).await.map_err(|e| e.to_string()).unwrap();
        TestParticipant { _node: node, writes, ledger, _here: here }
    }

    async fn party(&self, n: usize, name: &str) -> PartyId {
        self.participants[n].writes.allocate_party(Some(name.into())).await.map_err(|e| e.to_string()).unwrap()
    }

    /// Everything up to offset `end` of a participant: update ids and record times.
    async fn updates(&self, n: usize) -> BTreeMap<String, i64> {
        let ledger = &self.participants[n].ledger;
        let end = ledger.end().await.unwrap();
        let updates = ledger.updates(0, end, 10_000).await.unwrap();
        updates.into_iter().map(|u| (u.content.id.to_string(), u.record_time.micros())).collect()
    }
}

impl TestParticipant {
    async fn submit(&self, command: &str, act_as: &PartyId, kind: CommandKind) -> Result<(), String> {
        let commands = Commands {
            user: "user".parse().unwrap(),
            command: command.parse().unwrap(),
            submission: format!("{command}-1").parse().unwrap(),
            workflow: None,
            act_as: [act_as.clone()].into(),
            read_as: [].into(),
            deduplication: None,
            synchronizer: None,
            commands: vec![kind],
        };
        self.writes.submit(commands).await.map_err(|e| e.to_string())
    }

    async fn completion(&self, command: &str) -> CompletionOutcome {
        let mut more = self.ledger.listen();
        let found = async {
            loop {
                let mut found = self.ledger.completions_of(command, 0).await.unwrap();
                if let Some(entry) = found.pop() {
                    assert!(found.is_empty(), "{command} was completed twice");
                    return entry.content.outcome;
                }
                more.changed().await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{command} was never completed"))
    }

    async fn committed(&self, command: &str) -> String {
        match self.completion(command).await {
            CompletionOutcome::Committed(id) => id.to_string(),
            rejected @ CompletionOutcome::Rejected { .. } => panic!("{command}: {rejected:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_commit_at_all_stakeholders_once() {
    let world = World::new().await;
    let (alice, bob) = (world.party(0, "alice").await, world.party(1, "bob").await);
    let [p0, p1] = [&world.participants[0], &world.participants[1]];
    for i in 0..20 {
        p0.submit(&format!("c{i}"), &alice, interpreter::create(&alice, &bob, i)).await.unwrap();
    }
    let mut ids = BTreeSet::new();
    for i in 0..20 {
        ids.insert(p0.committed(&format!("c{i}")).await);
    }
    assert_eq!(ids.len(), 20);
    // The same command again has no second effect.
    let again = p0.submit("c3", &alice, interpreter::create(&alice, &bob, 3)).await.unwrap_err();
    assert!(again.contains("already accepted"), "{again}");

    // A contract is used once, whoever tries.
    let end = p0.ledger.end().await.unwrap();
    let contract = p0.ledger.active_contracts(end, (0, -1), 1).await.unwrap().remove(0).contract.id;
    p0.submit("a1", &alice, interpreter::archive(&contract)).await.unwrap();
    p0.committed("a1").await;
    assert!(p0.submit("a2", &alice, interpreter::archive(&contract)).await.is_err());

    // Both see the same, at the same times.
    let mut more = p1.ledger.listen();
    let same = async {
        while world.updates(1).await.len() < 21 {
            more.changed().await;
        }
    };
    tokio::time::timeout(PATIENCE, same).await.unwrap();
    assert_eq!(world.updates(0).await, world.updates(1).await);
    assert_eq!(world.updates(0).await.len(), 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mediator_that_takes_over_finishes_what_it_finds() {
    let mut world = World::new().await;
    let (alice, bob) = (world.party(0, "alice").await, world.party(1, "bob").await);
    let old = world.mediator.take().unwrap();
    // It dies without a word; its successor finds requests that nobody has decided.
    old.supervisor.shutdown(Duration::from_secs(5)).await;
    drop(old.held);
    drop(old.db);
    let p0 = &world.participants[0];
    for i in 0..5 {
        p0.submit(&format!("c{i}"), &alice, interpreter::create(&alice, &bob, i)).await.unwrap();
    }
    let (node, tasks, identity) = start_mediator(&world.dir).await;
    run_mediator(&node, &tasks, identity, world.mediator_setup.clone());
    for i in 0..5 {
        p0.committed(&format!("c{i}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_while_a_command_is_being_decided_have_no_second_effect() {
    const COMMANDS: i64 = 40;
    let world = World::new().await;
    let (alice, bob) = (world.party(0, "alice").await, world.party(1, "bob").await);
    let p0 = &world.participants[0];
    let insist = async |n: i64| {
        // From the first attempt until the ledger says that it is done, again and again.
        loop {
            match p0.submit(&format!("c{n}"), &alice, interpreter::create(&alice, &bob, n)).await {
                Err(why) if why.contains("already accepted") => return,
                Ok(()) | Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let all = futures::future::join_all((0..COMMANDS).flat_map(|n| [insist(n), insist(n)]));
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert_eq!(i64::try_from(world.updates(0).await.len()).unwrap(), COMMANDS);
}
