//! A sequencer. Those that share a database all work; none of them is passive.

use super::{
    DaemonError, health,
    host::{Host, NamedPort, port_failed, refuse},
    storage::profile,
    topology::{TopologyAdmin, node_key, to_wire, unreadable},
};
use ::config::NodeCommon;
use ::node::{NodeKind, NodeStatus};
use ::rpc::{
    HealthReporter, Services,
    services::concordat::admin::v1::{
        sequencer_admin_service_server::{SequencerAdminService, SequencerAdminServiceServer},
        topology_service_server::TopologyServiceServer,
    },
};
use ::sequencer::{Config, Sequencer};
use ::store::Db;
use ::topology::SignedTopologyTransaction;
use ::wire::concordat::admin::v1::*;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The public API's health under the name that clients ask for when they choose a sequencer.
const PUBLIC_HEALTH: &str = "sequencer-health-check-service";

pub(crate) async fn start(host: &Host, config: ::config::Sequencer) -> Result<(), DaemonError> {
    let node = &config.node;
    let admin = NamedPort::take(host, node, "admin", &node.admin_api).await?;
    let public = NamedPort::take(host, node, "public", &config.public_api).await?;
    let (sequencer, db) = run(host, node, config.options.total_node_count).await?;

    let ports = vec![admin.status(), public.status()];
    let (name, shown) = (node.name.clone(), sequencer.clone());
    host.nodes.register(&node.name, None, move || node_status(&name, &shown, &ports));
    let services = host
        .admin_services(node)?
        .with(SequencerAdminServiceServer::new(Admin { sequencer: sequencer.clone() }))
        .with(TopologyServiceServer::new(TopologyAdmin::new(db)));
    for health in [Some(services.health()), health::serve_node(host, node).await?].into_iter().flatten() {
        report_health(host, &sequencer, health, &["", "sequencer"]);
    }
    host.serve(admin.port.with(services));
    serve_public(host, node, &sequencer, public)
}

/// Starts a sequencer over the node's storage.
pub(crate) async fn run(
    host: &Host,
    node: &NodeCommon,
    total_node_count: u32,
) -> Result<(Arc<Sequencer>, Db), DaemonError> {
    let db = host.open(node, "sequencer", &[::identity::MIGRATIONS, ::sequencer::MIGRATIONS]).await?;
    let profile = profile(node.replication.profile);
    let options = Config { total_node_count, profile, limits: sequencer_core::Limits::default() };
    let failed = |source| DaemonError::Sequencer { node: node.name.clone(), source };
    let sequencer = Sequencer::start(db.clone(), options, &host.tasks).await.map_err(failed)?;
    Ok((Arc::new(sequencer), db))
}

/// Serves the public API, with its gRPC health.
pub(crate) fn serve_public(
    host: &Host,
    node: &NodeCommon,
    sequencer: &Sequencer,
    public: NamedPort,
) -> Result<(), DaemonError> {
    let services = sequencer.serve(Services::new(&[::wire::DESCRIPTORS]).map_err(port_failed(node))?);
    report_health(host, sequencer, services.health(), &["", PUBLIC_HEALTH]);
    host.serve(public.port.with(services));
    Ok(())
}

/// Serves while it is online.
fn report_health(host: &Host, sequencer: &Sequencer, health: HealthReporter, services: &'static [&'static str]) {
    let mut online = sequencer.status();
    let report = async move {
        health.set(::node::LIVENESS, true).await;
        loop {
            let serves = online.borrow_and_update().online.is_some();
            for service in services {
                health.set(service, serves).await;
            }
            if online.changed().await.is_err() {
                return;
            }
        }
    };
    host.tasks.spawn_cancellable("gRPC health", report).detach();
}

pub(crate) fn node_status(name: &str, sequencer: &Sequencer, ports: &[PortStatus]) -> NodeStatus {
    let now = sequencer.status().borrow().clone();
    let offline = now.initialized && now.online.is_none();
    let trouble = now.trouble.or_else(|| offline.then(|| "no index is free; it waits for one".to_owned()));
    NodeStatus {
        name: name.to_owned(),
        kind: NodeKind::Sequencer.into(),
        role: if now.online.is_some() { "Online" } else { "Offline" }.into(),
        epoch: now.online.map_or(0, |(_, incarnation)| incarnation),
        initialized: now.initialized,
        member: sequencer.sequencer().map(|id| id.member().to_string()).unwrap_or_default(),
        ports: ports.to_vec(),
        ready: now.online.is_some(),
        trouble: trouble.unwrap_or_default(),
        lag_ms: sequencer.lag_ms(),
        ..NodeStatus::default()
    }
}

/// Its admin API.
pub(crate) struct Admin {
    pub(crate) sequencer: Arc<Sequencer>,
}

#[tonic::async_trait]
impl SequencerAdminService for Admin {
    async fn get_key(&self, _: Request<GetKeyRequest>) -> Result<Response<GetKeyResponse>, Status> {
        Ok(Response::new(GetKeyResponse { key: Some((&self.sequencer.signing_key()).into()) }))
    }

    async fn make_key(&self, _: Request<MakeKeyRequest>) -> Result<Response<MakeKeyResponse>, Status> {
        let made = self.sequencer.make_key().await.map_err(refuse)?;
        Ok(Response::new(MakeKeyResponse { key: Some(node_key(made)) }))
    }

    async fn prepare_sequencer(
        &self,
        request: Request<PrepareSequencerRequest>,
    ) -> Result<Response<PrepareSequencerResponse>, Status> {
        let synchronizer = request.into_inner().synchronizer_id.parse().map_err(unreadable).map_err(refuse)?;
        self.sequencer.prepare(&synchronizer).await.map_err(refuse)?;
        let (key, replicated) = (Some((&self.sequencer.signing_key()).into()), self.sequencer.is_replicated());
        Ok(Response::new(PrepareSequencerResponse { key, replicated }))
    }

    async fn initialize_sequencer(
        &self,
        request: Request<InitializeSequencerRequest>,
    ) -> Result<Response<InitializeSequencerResponse>, Status> {
        let request = request.into_inner();
        let synchronizer = match request.synchronizer_id.as_str() {
            "" => self.sequencer.prepared().await.map_err(refuse)?,
            id => id.parse().map_err(unreadable).map_err(refuse)?,
        };
        let transactions =
            request.transactions.iter().map(|t| SignedTopologyTransaction::decode(t).map_err(unreadable));
        let transactions = transactions.collect::<Result<_, _>>().map_err(refuse)?;
        let stored = self.sequencer.initialize(synchronizer, transactions).await;
        let topology = to_wire(&stored.map_err(refuse)?);
        Ok(Response::new(InitializeSequencerResponse { topology }))
    }
}
