//! Several sequencers over one database, with real clients, on both engines.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use base::{MemberId, MemberKind, MessageId, ParticipantId, SequencerId, SynchronizerId, Timestamp, Uid};
use bytes::Bytes;
use crypto::PublicKey;
use identity::Identity;
use protocol::sequencing::{Envelope, Outcome, Recipients, Submission};
use rpc::{Listen, ServerConfig, Services};
use sequencer::{Config, Sequencer};
use sequencer_client::{Client, ClientConfig, Keys, Member, Received, SendError, SubscriptionError, Synchronizer};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use store::{Db, HaProfile, PostgresConfig, StorageConfig};
use tasks::{Supervisor, Tasks};
use tokio::sync::{mpsc, watch};
use topology::{Parameters, SignedTopologyTransaction, TopologyState, build};

/// Only a run that hangs reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    storage: StorageConfig,
    manager: Identity,
    participants: Vec<Identity>,
    _dir: Option<tempfile::TempDir>,
    _postgres: Option<testkit::Database>,
}

/// One sequencer, as its own process would run it.
struct Running {
    sequencer: Sequencer,
    endpoint: String,
    _supervisor: Supervisor,
}

struct SequencerKeys(watch::Sender<Vec<PublicKey>>);

impl Keys for SequencerKeys {
    fn sequencer_keys(&self) -> watch::Receiver<Vec<PublicKey>> {
        self.0.subscribe()
    }
}

impl World {
    fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = StorageConfig::Sqlite { path: dir.path().join("sequencer.db") };
        Self::new(storage, Some(dir), None)
    }

    fn postgres() -> Self {
        let database = testkit::postgres();
        Self::new(StorageConfig::Postgres(PostgresConfig::new(database.url())), None, Some(database))
    }

    fn new(storage: StorageConfig, dir: Option<tempfile::TempDir>, postgres: Option<testkit::Database>) -> Self {
        let identity = |name| Identity::create(name).unwrap().0;
        let participants = vec![identity("p0"), identity("p1")];
        Self { storage, manager: identity("sync"), participants, _dir: dir, _postgres: postgres }
    }

    fn synchronizer(&self) -> SynchronizerId {
        SynchronizerId(self.manager.uid().clone())
    }

    fn in_manager_namespace(&self, name: &str) -> Uid {
        Uid::new(name, self.manager.uid().namespace().clone()).unwrap()
    }

    /// The founding topology, with both participants on it.
    fn topology(&self, sequencer_key: &PublicKey) -> Vec<SignedTopologyTransaction> {
        let state = TopologyState::of(self.synchronizer());
        let key = |identity: &Identity| [identity.signing_key()];
        let id = self.synchronizer();
        let mut founding = build::manager(&id, self.manager.root_key(), &key(&self.manager), Parameters::default());
        let sequencer = SequencerId(self.in_manager_namespace("sequencer"));
        founding.extend(build::sequencer(&sequencer, std::slice::from_ref(sequencer_key)));
        let mediator = base::MediatorId(self.in_manager_namespace("mediator"));
        founding.extend(build::mediator(&mediator, &id, &key(&self.manager)));
        let mut signed: Vec<_> = founding.into_iter().map(|m| self.manager.authorize(&state, m)).collect();
        for identity in &self.participants {
            let participant = ParticipantId(identity.uid().clone());
            let mut own = build::participant(&participant, identity.root_key(), &identity.message_keys());
            own.push(build::join(&participant, &id));
            signed.extend(own.into_iter().map(|m| identity.authorize(&state, m)));
            signed.push(self.manager.authorize(&state, build::admit(&participant, &id)));
        }
        signed
    }

    async fn start(&self) -> Running {
        let (tasks, supervisor) = Tasks::new("sequencer");
        let migrations = [identity::MIGRATIONS, sequencer::MIGRATIONS];
        let db = Db::open(&self.storage, "sequencer", &migrations, &tasks).await.unwrap();
        let mut statements = sequencer::STATEMENTS.to_vec();
        statements.extend(identity::STATEMENTS);
        db.check_statements(&statements).await.unwrap();
        let config =
            Config { total_node_count: 10, profile: HaProfile::Fast, limits: sequencer_core::Limits::default() };
        let sequencer = Sequencer::start(db, config, &tasks).await.unwrap();
        let services = sequencer.serve(Services::new(&[wire::DESCRIPTORS]).unwrap());
        let bound = services.bind(&Listen { address: "127.0.0.1".into(), port: 0 }).await.unwrap();
        let endpoint = format!("http://{}", bound.address());
        let cancelled = tasks.cancelled();
        tasks.spawn("server", bound.serve(ServerConfig::default(), cancelled)).detach();
        Running { sequencer, endpoint, _supervisor: supervisor }
    }

    async fn network(&self, count: usize) -> Vec<Running> {
        let mut running = Vec::new();
        for _ in 0..count {
            running.push(self.start().await);
        }
        let topology = self.topology(&running[0].sequencer.signing_key());
        running[0].sequencer.initialize(self.synchronizer(), topology).await.unwrap();
        for one in &running {
            one.online().await;
        }
        running
    }

    fn member(&self, n: usize) -> MemberId {
        MemberId { kind: MemberKind::Participant, uid: self.participants[n].uid().clone() }
    }

    fn client(&self, n: usize, endpoints: &[String]) -> Client {
        let member = Member { id: self.member(n), identity: self.participants[n].clone() };
        Client::new(ClientConfig::new(endpoints.to_vec()), self.synchronizer(), member).unwrap()
    }

    fn submission(&self, from: usize, id: &str, to: &[usize]) -> Submission {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let content = Bytes::from(id.to_owned());
        let recipients = Recipients::group(to.iter().map(|n| self.member(*n)));
        Submission {
            sender: self.member(from),
            message_id: MessageId::new(id).unwrap(),
            batch: vec![Envelope { content, recipients }],
            max_sequencing_time: Timestamp::EPOCH.saturating_add(now + Duration::from_secs(60)),
            topology_timestamp: None,
            epoch: 1,
        }
    }
}

impl Running {
    async fn online(&self) {
        let mut status = self.sequencer.status();
        let online = status.wait_for(|s| s.online.is_some());
        tokio::time::timeout(PATIENCE, online).await.expect("goes online").unwrap();
    }

    fn keys(&self) -> Arc<dyn Keys> {
        Arc::new(SequencerKeys(watch::Sender::new(vec![self.sequencer.signing_key()])))
    }
}

type Stream = mpsc::Receiver<Result<Received, SubscriptionError>>;

/// The next `count` events: their timestamps and first contents.
async fn take(stream: &mut Stream, count: usize) -> Vec<(Timestamp, String)> {
    let mut events = Vec::new();
    while events.len() < count {
        let next = tokio::time::timeout(PATIENCE, stream.recv()).await.expect("an event comes");
        let event = next.expect("the stream goes on").unwrap().event;
        let text = event.envelopes().first().map(|e| String::from_utf8_lossy(&e.content).into_owned());
        events.push((event.timestamp, text.unwrap_or_default()));
    }
    events
}

async fn everybody_sees_one_order(world: World) {
    const EACH: usize = 50;
    let running = world.network(3).await;
    let (tasks, _supervisor) = Tasks::new("clients");
    let endpoints: Vec<String> = running.iter().map(|r| r.endpoint.clone()).collect();
    let mut streams = Vec::new();
    for (n, endpoint) in [(0, 0), (1, 1), (0, 2)] {
        let client = world.client(n, &endpoints[endpoint..=endpoint]);
        streams.push(client.subscribe(None, running[0].keys(), &tasks));
    }
    let senders = (0..3).map(|s| {
        let client = world.client(s % 2, &endpoints[s..=s]);
        let submissions: Vec<_> = (0..EACH).map(|i| world.submission(s % 2, &format!("m-{s}-{i}"), &[0, 1])).collect();
        tasks.spawn("sender", async move {
            for submission in submissions {
                client.send("test", &submission).await.unwrap();
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    let mut seen = Vec::new();
    for stream in &mut streams {
        seen.push(take(stream, 3 * EACH).await);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    assert!(seen[0].windows(2).all(|w| w[0].0 < w[1].0));
    let distinct: BTreeSet<_> = seen[0].iter().map(|(_, text)| text).collect();
    assert_eq!(distinct.len(), 3 * EACH);
    // In the order in which each sender sent.
    for s in 0..3 {
        let prefix = format!("m-{s}-");
        let of_sender: Vec<usize> =
            seen[0].iter().filter_map(|(_, text)| text.strip_prefix(&prefix)?.parse().ok()).collect();
        assert_eq!(of_sender, (0..EACH).collect::<Vec<_>>());
    }
}

async fn the_same_send_at_two_sequencers_is_sequenced_once(world: World) {
    let running = world.network(2).await;
    let (tasks, _supervisor) = Tasks::new("clients");
    let at = |n: usize| world.client(0, std::slice::from_ref(&running[n].endpoint));
    let mut stream = at(0).subscribe(None, running[0].keys(), &tasks);
    let twice = world.submission(0, "twice", &[1]);
    let (one, two) = (at(0), at(1));
    let (a, b) = tokio::join!(one.send("test", &twice), two.send("test", &twice));
    a.unwrap();
    b.unwrap();
    one.send("test", &twice).await.unwrap();
    one.send("test", &world.submission(0, "after", &[0])).await.unwrap();
    let events = take(&mut stream, 2).await;
    assert_eq!(events.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["", "after"]);
}

async fn a_lost_sequencer_holds_nobody_up(world: World) {
    let mut running = world.network(3).await;
    let (tasks, _supervisor) = Tasks::new("clients");
    let endpoints: Vec<String> = running.iter().map(|r| r.endpoint.clone()).collect();
    let client = world.client(0, &endpoints);
    let mut stream = client.subscribe(None, running[0].keys(), &tasks);
    client.send("test", &world.submission(0, "before", &[0])).await.unwrap();
    assert_eq!(take(&mut stream, 1).await[0].1, "before");
    // Its tasks and connections end without a word to the others.
    drop(running.remove(0));
    for i in 0..20 {
        client.send("test", &world.submission(0, &format!("after-{i}"), &[0])).await.unwrap();
    }
    let events = take(&mut stream, 20).await;
    assert_eq!(events.last().unwrap().1, "after-19");
    // A new one joins in.
    let newcomer = world.start().await;
    newcomer.online().await;
    let again = world.client(0, std::slice::from_ref(&newcomer.endpoint));
    again.send("test", &world.submission(0, "newcomer", &[0])).await.unwrap();
    assert_eq!(take(&mut stream, 1).await[0].1, "newcomer");
}

async fn refusals_are_definite(world: World) {
    let running = world.network(1).await;
    let endpoint = std::slice::from_ref(&running[0].endpoint);
    let config = ClientConfig::new(endpoint.to_vec());
    assert_eq!(Synchronizer::at(&config).await.unwrap().id, world.synchronizer());
    assert!(Synchronizer::is_active(&config, &world.member(0)).await.unwrap());
    let client = world.client(0, endpoint);
    let late = Submission { max_sequencing_time: Timestamp::EPOCH, ..world.submission(0, "late", &[1]) };
    assert!(matches!(client.send("test", &late).await, Err(SendError::Refused(_))));
    let forged = world.submission(1, "forged", &[0]);
    assert!(matches!(client.send("test", &forged).await, Err(SendError::Refused(_))));
    // A stranger's key is not let in at all.
    let stranger = Member { id: world.member(0), identity: world.participants[1].clone() };
    let stranger = Client::new(config, world.synchronizer(), stranger).unwrap();
    assert!(stranger.send("test", &world.submission(0, "stranger", &[1])).await.is_err());
    // Unknown recipients are told to the sender alone, after sequencing.
    let (tasks, _supervisor) = Tasks::new("clients");
    let mut stream = client.subscribe(None, running[0].keys(), &tasks);
    let mut unknown = world.submission(0, "unknown", &[1]);
    let nobody = MemberId { kind: MemberKind::Participant, uid: world.in_manager_namespace("nobody") };
    unknown.batch[0].recipients = Recipients::group([nobody]);
    client.send("test", &unknown).await.unwrap();
    let event = stream.recv().await.unwrap().unwrap().event;
    assert!(matches!(event.outcome, Outcome::Error { code, .. } if code == "UNKNOWN_RECIPIENTS"));
    assert_eq!(event.message_id.unwrap().as_str(), "unknown");
}

macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::World::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::World::postgres()).await;
            })*
        }
    };
}

on_both_engines!(
    everybody_sees_one_order,
    the_same_send_at_two_sequencers_is_sequenced_once,
    a_lost_sequencer_holds_nobody_up,
    refusals_are_definite,
);
