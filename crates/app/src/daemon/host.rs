//! What all nodes are started with, and what all of them do alike.

use super::{DaemonError, health, storage};
use crate::daemon::storage::profile;
use ::base::Coded;
use ::config::{Api, Identifier, NodeCommon};
use ::identity::Identity;
use ::node::{ActiveReplica, Entry, NodeKind, Nodes, PartError, Replica, ReplicaConfig};
use ::rpc::{
    Active, Bound, ChannelConfig, CorrelationId, HealthReporter, Listen, Port, Router, ServerConfig, Services,
    services::concordat::admin::v1::node_service_server::NodeServiceServer,
};
use ::sequencer_client::ClientConfig;
use ::store::{Db, Guard, Migrations, StoreError};
use ::tasks::Tasks;
use ::wire::concordat::admin::v1::PortStatus;
use futures::future::BoxFuture;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;
use tonic::Status;

/// Tells the other replicas that the node has been given what [`Host::follow`] waits for.
const SETTLED: &str = "node_settled";

/// The process, as its nodes see it.
pub(crate) struct Host {
    pub(crate) nodes: Nodes,
    /// Whether APIs may be reached from other machines without encryption.
    pub(crate) allow_plaintext: bool,
    /// Ends after `tasks`.
    pub(crate) databases: Tasks,
    pub(crate) tasks: Tasks,
    pub(crate) participants: Participants,
}

type Here = watch::Receiver<Option<Arc<::participant::Active>>>;

/// The participants of the process, for who watches over them.
#[derive(Clone, Default)]
pub(crate) struct Participants(Arc<Mutex<BTreeMap<String, Here>>>);

impl Participants {
    pub(crate) fn register(&self, name: &str, here: Here) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), here);
    }

    /// What the participant of this name does here while it is active.
    pub(crate) fn active(&self, name: &str) -> Option<Arc<::participant::Active>> {
        let here = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()?;
        here.borrow().clone()
    }
}

impl Host {
    /// The node's database. Nodes of a kind that share a database are replicas of one logical node.
    pub(crate) async fn open(
        &self,
        node: &NodeCommon,
        logical: &str,
        migrations: &[Migrations],
    ) -> Result<Db, DaemonError> {
        let config = storage::storage(&node.storage);
        let failed = |source| DaemonError::Store { node: node.name.clone(), source };
        Db::open(&config, logical, migrations, &self.databases).await.map_err(failed)
    }

    /// The services of an admin port, with those that every node has.
    pub(crate) fn admin_services(&self, node: &NodeCommon) -> Result<Services, DaemonError> {
        let services = Services::new(&[::wire::DESCRIPTORS]).map_err(port_failed(node))?;
        Ok(services.with(NodeServiceServer::new(self.nodes.clone())))
    }

    /// Reports on the admin port, and on the node's health servers where it has some.
    pub(crate) async fn report_health(
        &self,
        node: &NodeCommon,
        replica: &Replica,
        service: &str,
        admin: HealthReporter,
    ) -> Result<(), DaemonError> {
        for health in [Some(admin), health::serve_node(self, node).await?].into_iter().flatten() {
            replica.report_health(health, vec![String::new(), service.to_owned()], &self.tasks).await;
        }
        Ok(())
    }

    /// Shows what the active replica stores once and for all, also on the others.
    pub(crate) fn follow<T: Send + Sync + 'static>(
        &self,
        db: &Db,
        shown: &watch::Sender<Option<T>>,
        load: fn(Db) -> BoxFuture<'static, Result<Option<T>, PartError>>,
    ) {
        let (db, shown, mut news) = (db.clone(), shown.clone(), db.listen(SETTLED));
        let follow = async move {
            while shown.borrow().is_none() {
                match load(db.clone()).await {
                    Ok(Some(stored)) => drop(shown.send_replace(Some(stored))),
                    Ok(None) => news.changed().await,
                    Err(error) => {
                        tracing::warn!(node = db.node(), "what the node was given cannot be read: {error}");
                        news.changed().await;
                    }
                }
            }
        };
        self.tasks.spawn_cancellable("follow the active replica", follow).detach();
    }

    /// Leads calls to the active replica's API; `uri` says where a replica serves it.
    pub(crate) fn router(
        &self,
        node: &NodeCommon,
        replica: &Replica,
        api: &Api,
        uri: fn(Entry) -> Option<String>,
    ) -> Result<Router, DaemonError> {
        let forwards = node.replication.forward_when_passive;
        let translate = move |active| match active {
            ActiveReplica::Here => Active::Here,
            ActiveReplica::At(entry) if forwards => uri(entry).map_or(Active::Elsewhere, Active::At),
            ActiveReplica::At(_) => Active::Elsewhere,
            ActiveReplica::Nobody => Active::Nobody,
        };
        let mut channel = ChannelConfig::default();
        if let Some(tls) = &api.tls {
            let failed = |source| DaemonError::Tls { node: node.name.clone(), source };
            channel.tls = super::tls::own_client(tls).map_err(failed)?;
        }
        Ok(Router::new(replica.watch_active(translate, &self.tasks), channel))
    }

    /// The same for the admin API.
    pub(crate) fn admin_router(&self, node: &NodeCommon, replica: &Replica) -> Result<Router, DaemonError> {
        self.router(node, replica, &node.admin_api, |entry| Some(entry.admin_uri))
    }

    pub(crate) fn serve(&self, bound: Bound) {
        let serve = bound.serve(ServerConfig::default(), self.tasks.cancelled());
        self.tasks.spawn_essential("server", serve).detach();
    }
}

/// A port, and how others call it.
pub(crate) struct NamedPort {
    pub(crate) port: Port,
    name: &'static str,
    advertised: String,
}

impl NamedPort {
    pub(crate) async fn take(
        host: &Host,
        node: &NodeCommon,
        name: &'static str,
        api: &Api,
    ) -> Result<Self, DaemonError> {
        let listen = Listen { address: api.address.clone(), port: api.port };
        let mut port = Port::take(&listen).await.map_err(port_failed(node))?;
        let scheme = match &api.tls {
            Some(tls) => {
                port = port.encrypted(&super::tls::server(tls)).map_err(port_failed(node))?;
                "https"
            }
            None if host.allow_plaintext || port.address().ip().is_loopback() => "http",
            None => {
                return Err(DaemonError::Plaintext { node: node.name.clone(), api: name, address: port.address() });
            }
        };
        tracing::info!(node = node.name, api = name, address = %port.address(), "listening");
        let host = node.replication.advertised_address.as_ref().unwrap_or(&api.address);
        // An IPv6 address needs brackets in a URI.
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let advertised = format!("{scheme}://{host}:{}", port.address().port());
        Ok(Self { port, name, advertised })
    }

    pub(crate) fn uri(&self) -> String {
        self.advertised.clone()
    }

    pub(crate) fn status(&self) -> PortStatus {
        PortStatus { name: self.name.into(), port: self.port.address().port().into() }
    }
}

pub(crate) fn port_failed(node: &NodeCommon) -> impl Fn(::rpc::ServeError) -> DaemonError {
    let node = node.name.clone();
    move |source| DaemonError::Port { node: node.clone(), source }
}

pub(crate) fn replica_config(
    node: &NodeCommon,
    kind: NodeKind,
    admin: &NamedPort,
    ledger: Option<&NamedPort>,
) -> ReplicaConfig {
    ReplicaConfig {
        name: node.name.clone(),
        kind,
        profile: profile(node.replication.profile),
        replication: node.replication.enabled,
        forwards: ledger.is_some() && node.replication.forward_when_passive,
        admin_uri: admin.uri(),
        ledger_uri: ledger.map(NamedPort::uri),
    }
}

/// How a node calls sequencers: one that is silent for a lease is given up.
pub(crate) fn client(node: &NodeCommon) -> ClientConfig {
    ClientConfig { silence: profile(node.replication.profile).lease(), ..ClientConfig::default() }
}

/// An answer of the admin API.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn refuse(error: impl Coded) -> Status {
    ::rpc::status(&error, &CorrelationId::default())
}

/// What a node calls itself if it has no name yet.
pub(crate) fn identifier(node: &NodeCommon) -> String {
    match &node.identifier {
        Identifier::Name(name) => name.clone(),
        Identifier::Random => ::identity::random::id(),
    }
}

/// After storing what [`Host::follow`] waits for.
pub(crate) fn settled(db: &Db) {
    db.notify(SETTLED);
}

/// The keys of a logical node; whoever needs them first makes them.
pub(crate) async fn identity<G: Guard>(db: &Db, right: &G, name: &str) -> Result<Identity, PartError> {
    if let Some(identity) = Identity::load(db).await? {
        return Ok(identity);
    }
    let (identity, rows) = Identity::create(name)?;
    match db.commit(right, rows).await {
        Ok(_) => {
            settled(db);
            Ok(identity)
        }
        // An attempt before this one, or another process, may have stored its keys.
        Err(StoreError::Conflict { .. } | StoreError::Contention(_)) => {
            Identity::load(db).await?.ok_or_else(|| "the keys cannot be stored".into())
        }
        Err(error) => Err(error.into()),
    }
}
