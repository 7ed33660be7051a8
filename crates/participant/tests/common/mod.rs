//! A whole network in one process: sequencers, manager, mediator, participants, each over its own database, with the real
//! protocol between them.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

pub mod interpreter;
pub mod model;

use base::{PartyId, SynchronizerId};
use identity::Identity;
use interpreter::OneTemplate;
use ledger::{CompletionOutcome, Ledger};
use ledger_api::{CommandKind, Commands, Writes};
use participant::{Active, Interpreter, ParticipantWrites};
use rpc::{Listen, ServerConfig, Services};
use sequencer::{Config, Sequencer};
use sequencer_client::ClientConfig;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};
use store::{Db, ElectionConfig, HaProfile, Held, Migrations, StorageConfig};
use tasks::{Supervisor, Tasks};
use tokio::sync::{mpsc, watch};
use topology::{Parameters, StoredTransaction};

/// Only a run that hangs reaches it.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub dir: tempfile::TempDir,
    synchronizer: SynchronizerId,
    endpoints: Vec<String>,
    _sequencers: Vec<(Sequencer, Supervisor)>,
    pub mediator: Option<Node>,
    _manager: Node,
    pub participants: Vec<TestParticipant>,
    pub mediator_setup: mediator::Setup,
}

/// One active replica.
pub struct Node {
    pub db: Db,
    pub held: Held,
    pub supervisor: Supervisor,
}

pub struct TestParticipant {
    _node: Node,
    pub writes: ParticipantWrites,
    pub ledger: Ledger,
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

async fn sequencer(dir: &tempfile::TempDir, more: &[Migrations]) -> (Sequencer, Supervisor, String) {
    let (tasks, supervisor) = Tasks::new("sequencer");
    let storage = StorageConfig::Sqlite { path: dir.path().join("sequencer.db") };
    let migrations = [&[identity::MIGRATIONS, ::sequencer::MIGRATIONS], more].concat();
    let db = Db::open(&storage, "sequencer", &migrations, &tasks).await.unwrap();
    let config = Config { total_node_count: 10, profile: HaProfile::Fast, limits: sequencer_core::Limits::default() };
    let sequencer = Sequencer::start(db, config, &tasks).await.unwrap();
    let services = sequencer.serve(Services::new(&[wire::DESCRIPTORS]).unwrap());
    let bound = services.bind(&Listen { address: "127.0.0.1".into(), port: 0 }).await.unwrap();
    let endpoint = format!("http://{}", bound.address());
    tasks.spawn("server", bound.serve(ServerConfig::default(), tasks.cancelled())).detach();
    (sequencer, supervisor, endpoint)
}

pub async fn start_mediator(dir: &tempfile::TempDir) -> (Node, Tasks, Identity) {
    let migrations = [identity::MIGRATIONS, mediator::MIGRATIONS];
    let (node, tasks) = Node::open(dir.path().join("mediator.db"), "mediator", &migrations).await;
    node.db.check_statements(mediator::STATEMENTS).await.unwrap();
    let identity = node.identity("mediator").await;
    (node, tasks, identity)
}

pub fn run_mediator(node: &Node, tasks: &Tasks, identity: Identity, setup: mediator::Setup) {
    let client = watch::Sender::new(ClientConfig::new(setup.sequencers.clone())).subscribe();
    let context = mediator::Context { db: node.db.clone(), epoch: node.held.epoch().clone(), identity, setup, client };
    tasks.spawn_essential("mediator", mediator::run(context, tasks.clone())).detach();
}

impl World {
    /// Two participants that know one template.
    pub async fn new() -> Self {
        let world = Self::of(vec![Arc::new(OneTemplate), Arc::new(OneTemplate)], &[]).await;
        world.upload(b"dar").await;
        world
    }

    /// Participants with these engines; the sequencers' database has more in it.
    pub async fn of(interpreters: Vec<Arc<dyn Interpreter>>, more: &[Migrations]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (first, first_supervisor, first_endpoint) = sequencer(&dir, more).await;
        let (second, second_supervisor, second_endpoint) = sequencer(&dir, more).await;
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
            manager::found(&manager_identity, parameters, &first.signing_key(), &mediator_identity.signing_key())
                .unwrap();
        let topology: Vec<StoredTransaction> =
            first.initialize(founded.synchronizer.clone(), founded.topology).await.unwrap();

        let mediator_setup = mediator::Setup {
            mediator: founded.mediator,
            synchronizer: founded.synchronizer.clone(),
            sequencers: endpoints.clone(),
            trust: None,
        };
        let epoch = mediator_node.held.epoch().clone();
        mediator::initialize(&mediator_node.db, &epoch, &mediator_setup, &topology).await.unwrap();
        run_mediator(&mediator_node, &mediator_tasks, mediator_identity, mediator_setup.clone());

        let setup =
            manager::Setup { synchronizer: founded.synchronizer.clone(), sequencers: endpoints.clone(), trust: None };
        let epoch = manager_node.held.epoch().clone();
        manager::initialize(&manager_node.db, &epoch, &setup, &topology).await.unwrap();
        let context = manager::Context {
            db: manager_node.db.clone(),
            epoch,
            identity: manager_identity,
            setup,
            client: watch::Sender::new(ClientConfig::new(endpoints.clone())).subscribe(),
        };
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
        for (n, interpreter) in interpreters.into_iter().enumerate() {
            let participant = world.participant(n, interpreter).await;
            world.participants.push(participant);
        }
        world
    }

    async fn participant(&self, n: usize, interpreter: Arc<dyn Interpreter>) -> TestParticipant {
        let migrations = [identity::MIGRATIONS, ledger::MIGRATIONS, participant::MIGRATIONS];
        let path = self.dir.path().join(format!("participant{n}.db"));
        let (node, tasks) = Node::open(path, "participant", &migrations).await;
        node.db.check_statements(participant::STATEMENTS).await.unwrap();
        let (epoch, scope) = (node.held.epoch().clone(), tasks.clone());
        let active = Active::begin(
            node.db.clone(),
            epoch,
            &format!("p{n}"),
            interpreter.clone(),
            ClientConfig::default(),
            false,
            tasks,
        )
        .await
        .unwrap();
        let config = participant::SynchronizerConfig {
            alias: "sync".into(),
            sequencers: self.endpoints.clone(),
            manual_connect: false,
            priority: 0,
            trust: None,
        };
        let registered = active.register_and_connect(config, None).await.unwrap();
        assert_eq!(registered.synchronizer, self.synchronizer);
        let here = watch::Sender::new(Some(active.clone()));
        let id = watch::Sender::new(Some(active.id().clone()));
        let writes = ParticipantWrites::new(node.db.clone(), interpreter, here.subscribe(), id, scope);
        let ledger = Ledger::new(node.db.clone());
        TestParticipant { _node: node, writes, ledger, _here: here }
    }

    /// Puts a DAR on all participants.
    pub async fn upload(&self, dar: &[u8]) {
        for participant in &self.participants {
            let dar = bytes::Bytes::copy_from_slice(dar);
            participant.writes.upload_dar(dar, false).await.map_err(|e| e.to_string()).unwrap();
        }
    }

    /// Waits until a participant has shown so many updates.
    pub async fn shown(&self, n: usize, count: usize) {
        let mut more = self.participants[n].ledger.listen();
        let shown = async {
            while self.updates(n).await.len() < count {
                more.changed().await;
            }
        };
        tokio::time::timeout(PATIENCE, shown).await.unwrap();
    }

    pub async fn party(&self, n: usize, name: &str) -> PartyId {
        self.participants[n].writes.allocate_party(Some(name.into())).await.map_err(|e| e.to_string()).unwrap()
    }

    /// Everything up to offset `end` of a participant: update ids and record times.
    pub async fn updates(&self, n: usize) -> BTreeMap<String, i64> {
        let ledger = &self.participants[n].ledger;
        let end = ledger.end().await.unwrap();
        let updates = ledger.updates(0, end, 10_000).await.unwrap();
        updates.into_iter().map(|u| (u.content.id.to_string(), u.record_time.micros())).collect()
    }
}

impl TestParticipant {
    pub async fn submit(&self, command: &str, act_as: &PartyId, kind: CommandKind) -> Result<(), String> {
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

    pub async fn completion(&self, command: &str) -> CompletionOutcome {
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

    pub async fn committed(&self, command: &str) -> String {
        match self.completion(command).await {
            CompletionOutcome::Committed(id) => id.to_string(),
            rejected @ CompletionOutcome::Rejected { .. } => panic!("{command}: {rejected:?}"),
        }
    }
}
