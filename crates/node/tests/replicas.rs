//! Replicas of one logical node in one process, on both engines.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use futures::{FutureExt as _, future::BoxFuture};
use node::{
    ActiveReplica, Directory, HandoverRefused, LIVENESS, MIGRATIONS, NodeKind, Nodes, Part, PartError, Replica,
    ReplicaConfig, Role, STATEMENTS,
};
use rpc::{
    ChannelConfig, Listen, ServerConfig, Services, connect_lazy,
    services::concordat::admin::v1::{node_service_client::NodeServiceClient, node_service_server::NodeServiceServer},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use store::{Db, Epoch, HaProfile, PostgresConfig, StorageConfig};
use tasks::{Supervisor, Tasks};
use tokio::sync::{oneshot, watch};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use wire::concordat::admin::v1::{SetPassiveRequest, StatusRequest};

/// Generous: it only ends a test that has failed.
const LIMIT: Duration = Duration::from_secs(30);

macro_rules! scenarios {
    ($($name:ident)*) => {
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::World::postgres()).await })* }
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::World::sqlite()).await })* }
    };
}

scenarios! {
    one_is_active_and_the_next_follows
    hand_over_needs_a_standby
    a_failed_part_gives_the_role_up
    a_part_that_cannot_begin_gives_the_role_up
    the_admin_service_tells_and_hands_over
    health_says_who_can_do_the_work
    a_lost_lock_ends_the_term
    the_next_start_at_the_same_place_replaces_the_dead_one
}

struct World {
    storage: StorageConfig,
    tasks: Tasks,
    _supervisor: Supervisor,
    _dir: Option<tempfile::TempDir>,
    _postgres: Option<testkit::Database>,
}

impl World {
    fn postgres() -> Self {
        let database = testkit::postgres();
        Self::new(StorageConfig::Postgres(PostgresConfig::new(database.url())), None, Some(database))
    }

    fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::new(StorageConfig::Sqlite { path: dir.path().join("node.db") }, Some(dir), None)
    }

    fn new(storage: StorageConfig, dir: Option<tempfile::TempDir>, postgres: Option<testkit::Database>) -> Self {
        let (tasks, supervisor) = Tasks::new("test");
        Self { storage, tasks, _supervisor: supervisor, _dir: dir, _postgres: postgres }
    }

    async fn start(&self, name: &str) -> Running {
        self.start_with(name, true).await
    }

    async fn start_with(&self, name: &str, forwards: bool) -> Running {
        let (store, store_supervisor) = self.tasks.child(&format!("{name} store"));
        let db = Db::open(&self.storage, "participant", &[MIGRATIONS], &store).await.unwrap();
        let (tasks, supervisor) = self.tasks.child(name);
        let part = Arc::new(Fake::default());
        let config = ReplicaConfig {
            name: name.to_owned(),
            kind: NodeKind::Participant,
            profile: HaProfile::Balanced,
            replication: true,
            forwards,
            admin_uri: format!("http://{name}:1"),
            ledger_uri: Some(format!("http://{name}:2")),
        };
        let replica = Replica::start(db.clone(), config, part.clone(), &tasks).unwrap();
        Running { replica, part, db, tasks, supervisor, store_supervisor }
    }
}

/// A replica with the part it plays.
struct Running {
    replica: Replica,
    part: Arc<Fake>,
    db: Db,
    tasks: Tasks,
    supervisor: Supervisor,
    store_supervisor: Supervisor,
}

#[derive(Default)]
struct Fake {
    /// Epochs under which it was activated, and how many of them are over.
    terms: Mutex<Vec<i64>>,
    over: Mutex<usize>,
    /// Makes the essential task of the running term fail.
    fail: Mutex<Option<oneshot::Sender<()>>>,
    refuse: Mutex<bool>,
}

impl Part for Fake {
    fn activate(&self, epoch: Epoch, tasks: Tasks) -> BoxFuture<'_, Result<(), PartError>> {
        async move {
            self.terms.lock().unwrap().push(epoch.number());
            if *self.refuse.lock().unwrap() {
                return Err("no".into());
            }
            let (fail, failed) = oneshot::channel();
            *self.fail.lock().unwrap() = Some(fail);
            let cancelled = tasks.cancelled();
            let heart = async move {
                tokio::select! {
                    Ok(()) = failed => Err("asked to fail"),
                    () = cancelled => Ok(()),
                }
            };
            tasks.spawn_essential("heart", heart).detach();
            Ok(())
        }
        .boxed()
    }

    fn deactivated(&self) {
        *self.over.lock().unwrap() += 1;
    }
}

impl Running {
    async fn is(&self, expected: impl Fn(Role) -> bool) -> Role {
        let mut role = self.replica.role();
        *wait(&mut role, |role| expected(*role)).await
    }

    async fn is_active(&self) -> i64 {
        let Role::Active { epoch } = self.is(|role| matches!(role, Role::Active { .. })).await else { panic!() };
        epoch
    }

    /// Whom the directory shows as active, once it is `name`.
    async fn sees(&self, name: &str) -> Directory {
        let shown = |directory: &Directory| directory.active.as_ref().is_some_and(|entry| entry.replica == name);
        wait(&mut self.replica.directory(), shown).await.clone()
    }

    /// As at a shutdown of its process.
    async fn stop(self) {
        let Self { replica, part, db, tasks, supervisor, store_supervisor } = self;
        let farewell = supervisor.shutdown(LIMIT).await;
        assert_eq!(farewell.unfinished, [""; 0]);
        drop((replica, part, db, tasks)); // connections live as long as somebody has the database
        store_supervisor.shutdown(LIMIT).await;
    }
}

async fn wait<T>(watch: &mut watch::Receiver<T>, expected: impl FnMut(&T) -> bool) -> watch::Ref<'_, T> {
    tokio::time::timeout(LIMIT, watch.wait_for(expected)).await.expect("in time").expect("not closed")
}

async fn one_is_active_and_the_next_follows(world: World) {
    let one = world.start("one").await;
    let first = one.is_active().await;
    let two = world.start("two").await;
    two.db.check_statements(STATEMENTS).await.unwrap();
    let entry = two.sees("one").await.active.unwrap();
    assert_eq!(entry.ledger_uri.as_deref(), Some("http://one:2"));
    assert_eq!((entry.role, entry.epoch), (Role::Active { epoch: first }, first));
    assert_eq!(two.is(|role| role == Role::Passive).await, Role::Passive);
    assert_eq!(two.replica.active(), ActiveReplica::At(entry));
    assert_eq!(one.replica.active(), ActiveReplica::Here);
    assert!(one.replica.is_fresh() && one.replica.is_ready());
    assert!(two.replica.is_ready() && !two.replica.is_fresh());
    assert!(two.part.terms.lock().unwrap().is_empty());

    let mut active = two.replica.watch_active(|active| active, &two.tasks);
    let part = one.part.clone();
    one.stop().await;
    assert_eq!(*part.over.lock().unwrap(), 1);
    let second = two.is_active().await;
    assert!(second > first);
    assert_eq!(*two.part.terms.lock().unwrap(), [second]);
    wait(&mut active, |active| *active == ActiveReplica::Here).await;
    two.sees("two").await;
    // Who stops takes its row away.
    wait(&mut two.replica.directory(), |directory| directory.replicas.len() == 1).await;
}

async fn hand_over_needs_a_standby(world: World) {
    let one = world.start("one").await;
    let first = one.is_active().await;
    assert_eq!(one.replica.set_passive().await, Err(HandoverRefused::NobodyElse("one".into())));
    assert_eq!(one.replica.may_hand_over().await, Err(HandoverRefused::NobodyElse("one".into())));
    assert_eq!(one.replica.role().borrow().clone(), Role::Active { epoch: first });
    assert_eq!(*one.part.over.lock().unwrap(), 0, "nothing was stopped");

    let two = world.start("two").await;
    assert_eq!(two.replica.set_passive().await, Err(HandoverRefused::WasPassive("two".into())));
    two.sees("one").await;
    assert_eq!(two.replica.may_hand_over().await, Err(HandoverRefused::WasPassive("two".into())));
    let handed = one.replica.set_passive().await.unwrap();
    let second = two.is_active().await;
    assert_eq!((handed.replica.as_str(), handed.epoch), ("two", second));
    assert!(second > first);
    one.sees("two").await;
    assert_eq!(one.is(|role| role == Role::Passive).await, Role::Passive);

    let back = two.replica.set_passive().await.unwrap();
    assert_eq!((back.replica.as_str(), back.epoch), ("one", one.is_active().await));
}

async fn a_failed_part_gives_the_role_up(world: World) {
    let one = world.start("one").await;
    let first = one.is_active().await;
    let two = world.start("two").await;
    two.sees("one").await;
    // It may win the lock again before the other one, but then cannot begin.
    *one.part.refuse.lock().unwrap() = true;
    one.part.fail.lock().unwrap().take().unwrap().send(()).unwrap();
    let second = two.is_active().await;
    one.sees("two").await;
    let terms = one.part.terms.lock().unwrap().clone();
    assert_eq!(terms[0], first);
    assert!(terms.iter().all(|term| *term < second), "{terms:?} before {second}");
    assert_eq!(*one.part.over.lock().unwrap(), terms.len());
    assert_eq!(one.replica.trouble(), None, "the work is done by another one");
}

async fn a_part_that_cannot_begin_gives_the_role_up(world: World) {
    let one = world.start("one").await;
    one.is_active().await;
    let two = world.start("two").await;
    two.sees("one").await;
    *two.part.refuse.lock().unwrap() = true;
    // Two takes the lock, cannot begin, and lets it go again, until one has it back.
    let _ = one.replica.set_passive().await;
    let back = one.is_active().await;
    one.sees("one").await;
    let terms = two.part.terms.lock().unwrap().clone();
    assert!(terms.iter().all(|term| *term < back), "{terms:?} before {back}");
    assert_eq!(*two.part.over.lock().unwrap(), terms.len());
}

async fn the_admin_service_tells_and_hands_over(world: World) {
    let (one, two) = (world.start("one").await, world.start("two").await);
    let (active, standby) =
        if one.replica.config().name == *wait_for_any(&one).await { (one, two) } else { (two, one) };
    standby.sees(&active.replica.config().name).await;
    let nodes = Nodes::default();
    for replica in [&active.replica, &standby.replica] {
        let status = replica.clone();
        nodes.register(&replica.config().name, Some(replica.clone()), move || status.status());
    }
    let services = Services::new(&[wire::DESCRIPTORS]).unwrap();
    let listen = Listen { address: "127.0.0.1".into(), port: 0 };
    let bound = services.with(NodeServiceServer::new(nodes)).bind(&listen).await.unwrap();
    let channel = connect_lazy(&format!("http://{}", bound.address()), &ChannelConfig::default()).unwrap();
    let stop = world.tasks.cancelled();
    world.tasks.spawn("server", bound.serve(ServerConfig::default(), stop)).detach();
    let mut client = NodeServiceClient::new(channel);

    let status = client.status(StatusRequest {}).await.unwrap().into_inner();
    assert!(status.resident_bytes > 0 && !status.version.is_empty());
    let roles: Vec<_> = status.nodes.iter().map(|node| node.role.as_str()).collect();
    assert_eq!(roles, ["Active", "Passive"]);
    assert!(status.nodes.iter().all(|node| node.active_replica == active.replica.config().name));
    assert_eq!(status.nodes[1].replicas.len(), 2);

    let refused = client.set_passive(SetPassiveRequest::default()).await.unwrap_err();
    assert!(refused.message().contains("several nodes"), "{refused}");
    let name = active.replica.config().name.clone();
    let try_it = SetPassiveRequest { node: name.clone(), dry_run: true };
    let tried = client.set_passive(try_it).await.unwrap().into_inner();
    assert_eq!((tried.standbys, tried.epoch), (vec![standby.replica.config().name.clone()], 0));
    assert!(active.replica.is_fresh(), "it was only tried");
    let request = SetPassiveRequest { node: name, dry_run: false };
    let handed = client.set_passive(request).await.unwrap().into_inner();
    assert_eq!((handed.replica, handed.epoch), (standby.replica.config().name.clone(), standby.is_active().await));
}

/// The name of the active replica, as one of them sees it.
async fn wait_for_any(one: &Running) -> String {
    let mut directory = one.replica.directory();
    let directory = wait(&mut directory, |directory| directory.active.is_some()).await;
    directory.active.as_ref().unwrap().replica.clone()
}

async fn health_says_who_can_do_the_work(world: World) {
    let one = world.start_with("one", false).await;
    one.is_active().await;
    let services = Services::new(&[]).unwrap();
    one.replica.report_health(services.health(), vec!["participant".into()], &one.tasks).await;
    let bound = services.bind(&Listen { address: "127.0.0.1".into(), port: 0 }).await.unwrap();
    let channel = connect_lazy(&format!("http://{}", bound.address()), &ChannelConfig::default()).unwrap();
    world.tasks.spawn("server", bound.serve(ServerConfig::default(), world.tasks.cancelled())).detach();
    let mut health = HealthClient::new(channel);
    let watch = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let mut participant = health.watch(watch("participant")).await.unwrap().into_inner();
    let mut until = async |expected: ServingStatus| {
        let reported = async { while participant.message().await.unwrap().unwrap().status() != expected {} };
        tokio::time::timeout(LIMIT, reported).await.expect("in time");
    };
    until(ServingStatus::Serving).await;
    let two = world.start("two").await;
    two.sees("one").await;
    one.replica.set_passive().await.unwrap();
    until(ServingStatus::NotServing).await; // it forwards nothing
    let alive = health.check(watch(LIVENESS)).await.unwrap().into_inner();
    assert_eq!(alive.status(), ServingStatus::Serving);
}

async fn a_lost_lock_ends_the_term(world: World) {
    if matches!(world.storage, StorageConfig::Sqlite { .. }) {
        return; // there the lock is lost with the process
    }
    let one = world.start("one").await;
    let first = one.is_active().await;
    let two = world.start("two").await;
    two.sees("one").await;
    assert!(two.db.end_instance(one.db.instance()).await.unwrap());
    assert!(two.is_active().await > first);
    one.sees("two").await;
    one.is(|role| role == Role::Passive).await;
    assert_eq!(*one.part.over.lock().unwrap(), 1);
    assert!(!one.replica.is_fresh());
}

async fn the_next_start_at_the_same_place_replaces_the_dead_one(world: World) {
    if matches!(world.storage, StorageConfig::Sqlite { .. }) {
        return; // there an instance is a process
    }
    let dead = world.start("one").await;
    dead.is_active().await;
    // Its database goes away under it, so it cannot say farewell.
    dead.store_supervisor.shutdown(Duration::ZERO).await;
    let next = world.start("one").await;
    next.is_active().await;
    let directory = next.sees("one").await;
    let instances: Vec<_> = directory.replicas.iter().map(|entry| entry.instance.as_str()).collect();
    assert_eq!(instances, [next.db.instance()]);
}

#[tokio::test]
async fn in_memory_there_is_one_replica() {
    let world = World::new(StorageConfig::Memory, None, None);
    let one = world.start("one").await;
    one.is_active().await;
    one.sees("one").await;
    assert_eq!(one.replica.set_passive().await, Err(HandoverRefused::NobodyElse("one".into())));
    one.stop().await;
}
