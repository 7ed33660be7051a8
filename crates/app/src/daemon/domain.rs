//! A simple synchronizer: sequencer, mediator and manager from one block of the configuration, each over a place of its
//! own in the configured storage, behind one admin and one public port. It founds itself when it starts for the first
//! time; every start does the same steps, so that one that was cut short is finished by the next.

use super::{
    DaemonError, health,
    host::{Host, NamedPort, client, identifier, identity, replica_config},
    manager::{self, Manager},
    mediator::{self, Mediator},
    sequencer,
    topology::TopologyAdmin,
};
use ::base::{MediatorId, SynchronizerId};
use ::config::{Api, NodeCommon};
use ::node::{ActiveReplica, NodeKind, NodeStatus, PartError, Replica};
use ::rpc::{
    HealthReporter,
    services::concordat::admin::v1::{
        sequencer_admin_service_server::SequencerAdminServiceServer, topology_service_server::TopologyServiceServer,
    },
};
use ::sequencer::{Sequencer, SequencerError};
use ::store::{Db, StoreError};
use ::topology::{Parameters, StoredTransaction};
use ::wire::concordat::admin::v1::PortStatus;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// Other processes that found the same synchronizer at the same moment.
const ATTEMPTS: usize = 8;

/// What its mediator and its manager are told when they begin.
pub(crate) struct Home {
    pub(crate) synchronizer: SynchronizerId,
    pub(crate) mediator: MediatorId,
    /// The sequencer of this process.
    pub(crate) sequencer_uri: String,
    founding: Vec<StoredTransaction>,
}

impl Home {
    /// The topology to begin with, for a node that has none yet.
    pub(crate) fn topology(&self, has_some: bool) -> &[StoredTransaction] {
        if has_some { &[] } else { &self.founding }
    }
}

/// The nodes inside, as one.
#[derive(Clone)]
struct Domain {
    name: String,
    synchronizer: SynchronizerId,
    sequencer: Arc<Sequencer>,
    mediator: Replica,
    manager: Replica,
}

pub(crate) async fn start(host: &Host, config: ::config::Sequencer) -> Result<(), DaemonError> {
    let node = &config.node;
    let admin = NamedPort::take(host, node, "admin", &node.admin_api).await?;
    let public = NamedPort::take(host, node, "public", &config.public_api).await?;
    let (mediator_node, manager_node) = (inner(node, "mediator"), inner(node, "manager"));
    let (sequencer, _) = sequencer::run(host, &inner(node, "sequencer"), config.options.total_node_count).await?;
    let mediator_db = mediator::open(host, &mediator_node).await?;
    let manager_db = manager::open(host, &manager_node).await?;

    let parameters = manager::parameters(&config.parameters);
    // Certificates name the machine, not its loopback address: the nodes inside have a door of their own.
    let inside = match &config.public_api.tls {
        None => None,
        Some(_) => {
            let api = Api { address: Ipv4Addr::LOCALHOST.to_string(), port: 0, tls: None };
            Some(NamedPort::take(host, node, "inner", &api).await?)
        }
    };
    let uri = format!("http://{}", reachable(inside.as_ref().unwrap_or(&public).port.address()));
    let name = identifier(node);
    let home = found(&name, &sequencer, &mediator_db, &manager_db, parameters.clone(), uri).await;
    let home = Arc::new(home.map_err(|source| DaemonError::Founding { node: node.name.clone(), source })?);
    let ports = vec![admin.status(), public.status()];
    for port in [Some(public), inside].into_iter().flatten() {
        sequencer::serve_public(host, node, &sequencer, port)?;
    }

    let failed = |source| DaemonError::Store { node: node.name.clone(), source };
    let mediator = Mediator::new(mediator_db.clone(), client(node), Some(home.clone()));
    let as_replica = replica_config(&mediator_node, NodeKind::Mediator, &admin, None);
    let mediator_replica = Replica::start(mediator_db, as_replica, mediator.clone(), &host.tasks).map_err(failed)?;
    let manager = Manager::new(manager_db.clone(), name, parameters, client(node), Some(home.clone()));
    let shown_db = manager_db.clone();
    let as_replica = replica_config(&manager_node, NodeKind::Manager, &admin, None);
    let manager_replica = Replica::start(manager_db, as_replica, manager.clone(), &host.tasks).map_err(failed)?;

    let domain = Domain {
        name: node.name.clone(),
        synchronizer: home.synchronizer.clone(),
        sequencer: sequencer.clone(),
        mediator: mediator_replica,
        manager: manager_replica,
    };
    let shown = domain.clone();
    host.nodes.register(&node.name, None, move || shown.status(&ports));
    let services = host.admin_services(node)?;
    let services = services
        .with(SequencerAdminServiceServer::new(sequencer::Admin { sequencer }))
        .with(TopologyServiceServer::new(TopologyAdmin::of_manager(shown_db, manager.clone())))
        .with(mediator::service(mediator, &host.admin_router(node, &domain.mediator)?))
        .with(manager::service(manager, &host.admin_router(node, &domain.manager)?));
    for health in [Some(services.health()), health::serve_node(host, node).await?].into_iter().flatten() {
        host.tasks.spawn_cancellable("gRPC health", domain.clone().report_health(health)).detach();
    }
    host.serve(admin.port.with(services));
    Ok(())
}

/// A node inside: named alike, in a place of its own.
fn inner(node: &NodeCommon, part: &str) -> NodeCommon {
    NodeCommon { storage: node.storage.part(part), ..node.clone() }
}

/// An address to reach our own port at.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Founds the synchronizer, or finds that it is founded.
async fn found(
    name: &str,
    sequencer: &Sequencer,
    mediator_db: &Db,
    manager_db: &Db,
    parameters: Parameters,
    sequencer_uri: String,
) -> Result<Home, PartError> {
    let mediator = identity(mediator_db, &mediator_db.own(), "mediator").await?;
    let manager = identity(manager_db, &manager_db.own(), name).await?;
    let founded = ::manager::found(&manager, parameters, &sequencer.signing_key(), &mediator.signing_key())?;
    let mut attempts = 0..ATTEMPTS;
    let topology = loop {
        match sequencer.initialize(founded.synchronizer.clone(), founded.topology.clone()).await {
            Err(SequencerError::Store(StoreError::Conflict { .. } | StoreError::Contention(_)))
                if attempts.next().is_some() => {}
            outcome => break outcome?,
        }
    };
    // Later transactions reach the nodes inside as events.
    let begun = topology.first().map(|first| first.sequenced);
    let founding = topology.into_iter().filter(|stored| Some(stored.sequenced) == begun).collect();
    Ok(Home { synchronizer: founded.synchronizer, mediator: founded.mediator, sequencer_uri, founding })
}

impl Domain {
    fn status(&self, ports: &[PortStatus]) -> NodeStatus {
        let trouble = self.trouble();
        NodeStatus {
            name: self.name.clone(),
            kind: NodeKind::Domain.into(),
            member: self.synchronizer.member().to_string(),
            ready: trouble.is_empty(),
            trouble,
            ..sequencer::node_status(&self.name, &self.sequencer, ports)
        }
    }

    /// Which nodes inside do not work, and why; empty if all do.
    fn trouble(&self) -> String {
        let mut troubles = Vec::new();
        let sequencer = self.sequencer.status().borrow().clone();
        if sequencer.online.is_none() {
            let why = sequencer.trouble.map(|why| format!(": {why}")).unwrap_or_default();
            troubles.push(format!("its sequencer is not online{why}"));
        }
        for (part, replica) in [("mediator", &self.mediator), ("manager", &self.manager)] {
            let works = match replica.active() {
                ActiveReplica::Here => replica.is_fresh(),
                ActiveReplica::At(_) => true,
                ActiveReplica::Nobody => false,
            };
            if !works {
                let why = replica.trouble().map(|why| format!(": {why}")).unwrap_or_default();
                troubles.push(format!("its {part} is not active{why}"));
            }
        }
        troubles.join("; ")
    }

    /// Keeps gRPC health up to date.
    async fn report_health(self, health: HealthReporter) {
        let mut sequencer = self.sequencer.status();
        let (mut mediator, mut manager) = (self.mediator.role(), self.manager.role());
        let lease = self.manager.config().profile.lease();
        health.set(::node::LIVENESS, true).await;
        loop {
            let serves = self.trouble().is_empty();
            health.set("", serves).await;
            health.set("domain", serves).await;
            let changed = tokio::select! {
                changed = sequencer.changed() => changed,
                changed = mediator.changed() => changed,
                changed = manager.changed() => changed,
                () = tokio::time::sleep(lease) => Ok(()), // freshness ends without a change of role
            };
            if changed.is_err() {
                return;
            }
        }
    }
}
