//! A mediator: one replica is active.

use super::{
    DaemonError,
    connection::{self, Connected, NotInitialized, Sequencers},
    domain::Home,
    host::{Host, NamedPort, client, identity, refuse, replica_config, settled},
    topology::{TopologyAdmin, from_wire, node_key, unreadable},
};
use ::base::{Coded, ErrorCode, codes};
use ::config::NodeCommon;
use ::crypto::KeyPurpose;
use ::identity::Identity;
use ::mediator::{Context, MediatorError, Setup};
use ::node::{NodeKind, Part, PartError, Replica};
use ::rpc::{
    PassOn, Repeat, Router,
    services::concordat::admin::v1::{
        mediator_admin_service_server::{MediatorAdminService, MediatorAdminServiceServer},
        topology_service_server::TopologyServiceServer,
    },
};
use ::sequencer_client::ClientConfig;
use ::store::{Db, Epoch};
use ::tasks::Tasks;
use ::wire::concordat::admin::v1::*;
use futures::future::{BoxFuture, FutureExt as _};
use std::sync::Arc;
use tokio::sync::{Mutex, watch};
use tonic::{Request, Response, Status};

pub(crate) async fn start(host: &Host, config: ::config::Mediator) -> Result<(), DaemonError> {
    let node = &config.node;
    let admin = NamedPort::take(host, node, "admin", &node.admin_api).await?;
    let db = open(host, node).await?;
    let part = Mediator::new(db.clone(), client(node), None);
    let failed = |source| DaemonError::Store { node: node.name.clone(), source };
    let replica_config = replica_config(node, NodeKind::Mediator, &admin, None);
    let replica = Replica::start(db, replica_config, part.clone(), &host.tasks).map_err(failed)?;

    host.follow(&part.db, &part.setup, |db| async move { Ok(::mediator::setup(&db).await?) }.boxed());
    let (shown, ports, known) = (replica.clone(), vec![admin.status()], part.clone());
    host.nodes.register(&node.name, Some(replica.clone()), move || {
        let setup = known.setup.borrow().clone();
        NodeStatus {
            initialized: setup.is_some(),
            member: setup.map(|s| s.mediator.member().to_string()).unwrap_or_default(),
            ports: ports.clone(),
            lag_ms: known.client.lag.millis(),
            ..shown.status()
        }
    });
    let router = host.admin_router(node, &replica)?;
    let services = host
        .admin_services(node)?
        .with(TopologyServiceServer::new(TopologyAdmin::new(part.db.clone())))
        .with(connection::service(part.clone(), &router))
        .with(service(part, &router));
    host.report_health(node, &replica, "mediator", services.health()).await?;
    host.serve(admin.port.with(services));
    Ok(())
}

/// Its admin API, answered by the active replica.
pub(crate) fn service(part: Arc<Mediator>, router: &Router) -> PassOn<MediatorAdminServiceServer<Mediator>> {
    // All it does twice is the same twice.
    PassOn::new(MediatorAdminServiceServer::from_arc(part), router, |_| Some(Repeat::Harmless))
}

/// The database of a mediator.
pub(crate) async fn open(host: &Host, node: &NodeCommon) -> Result<Db, DaemonError> {
    host.open(node, "mediator", &[::identity::MIGRATIONS, ::mediator::MIGRATIONS, ::node::MIGRATIONS]).await
}

/// What this node does while it is active, and its admin API.
pub(crate) struct Mediator {
    db: Db,
    /// The simple synchronizer that it is part of, if it is.
    home: Option<Arc<Home>>,
    term: Mutex<Option<Term>>,
    client: ClientConfig,
    /// As far as this replica has seen.
    setup: watch::Sender<Option<Setup>>,
}

struct Term {
    epoch: Epoch,
    identity: Identity,
    tasks: Tasks,
    /// How it reaches the sequencers, while it works.
    client: Option<watch::Sender<ClientConfig>>,
}

#[derive(Debug, thiserror::Error)]
#[error("this replica of the mediator is not active; ask the active one")]
pub(crate) struct Passive;

impl Coded for Passive {
    fn code(&self) -> ErrorCode {
        codes::NODE_IS_PASSIVE_REPLICA
    }

    fn definite_answer(&self) -> bool {
        true
    }
}

impl Mediator {
    pub(crate) fn new(db: Db, client: ClientConfig, home: Option<Arc<Home>>) -> Arc<Self> {
        Arc::new(Self { db, home, term: Mutex::new(None), client, setup: watch::Sender::new(None) })
    }

    /// Starts to work, if the mediator knows where it belongs and does not work already.
    async fn run(&self, term: &mut Term) -> Result<(), MediatorError> {
        if let Some(home) = &self.home {
            let setup = Setup {
                mediator: home.mediator.clone(),
                synchronizer: home.synchronizer.clone(),
                sequencers: vec![home.sequencer_uri.clone()],
                trust: None,
            };
            let topology = home.topology(::mediator::setup(&self.db).await?.is_some());
            ::mediator::initialize(&self.db, &term.epoch, &setup, topology).await?;
        }
        let Some(setup) = ::mediator::setup(&self.db).await? else { return Ok(()) };
        self.setup.send_replace(Some(setup.clone()));
        let client = self.client.reaching(setup.sequencers.clone(), setup.trust.as_deref())?;
        if let Some(moves) = &term.client {
            moves.send_replace(client);
        } else {
            let (epoch, identity, moves) = (term.epoch.clone(), term.identity.clone(), watch::Sender::new(client));
            let context = Context { db: self.db.clone(), epoch, identity, setup, client: moves.subscribe() };
            term.client = Some(moves);
            term.tasks.spawn_essential("mediator", ::mediator::run(context, term.tasks.clone())).detach();
        }
        Ok(())
    }
}

impl Part for Mediator {
    fn activate(&self, epoch: Epoch, tasks: Tasks) -> BoxFuture<'_, Result<(), PartError>> {
        async move {
            let identity = identity(&self.db, &epoch, "mediator").await?;
            let mut term = Term { epoch, identity, tasks, client: None };
            self.run(&mut term).await?;
            *self.term.lock().await = Some(term);
            Ok(())
        }
        .boxed()
    }

    fn deactivated(&self) {
        self.client.lag.clear();
        // Whoever holds the lock works with an epoch that is over, and fails; the next term replaces it.
        if let Ok(mut term) = self.term.try_lock() {
            *term = None;
        }
    }
}

#[tonic::async_trait]
impl Connected for Mediator {
    async fn sequencers(&self) -> Result<Option<Sequencers>, Status> {
        let setup = ::mediator::setup(&self.db).await.map_err(refuse)?;
        Ok(setup.map(|setup| (setup.sequencers, setup.trust)))
    }

    async fn redirect(&self, (sequencers, trust): Sequencers) -> Result<(), Status> {
        let mut term = self.term.lock().await;
        let term = term.as_mut().ok_or_else(|| refuse(Passive))?;
        let stored = ::mediator::setup(&self.db).await.map_err(refuse)?;
        let stored = stored.ok_or_else(|| refuse(NotInitialized("mediator")))?;
        self.client.reaching(sequencers.clone(), trust.as_deref()).map_err(refuse)?;
        let setup = Setup { sequencers, trust, ..stored };
        ::mediator::initialize(&self.db, &term.epoch, &setup, &[]).await.map_err(refuse)?;
        self.run(term).await.map_err(refuse)
    }
}

#[tonic::async_trait]
impl MediatorAdminService for Mediator {
    async fn get_mediator_key(&self, _: Request<GetKeyRequest>) -> Result<Response<GetKeyResponse>, Status> {
        let term = self.term.lock().await;
        let term = term.as_ref().ok_or_else(|| refuse(Passive))?;
        Ok(Response::new(GetKeyResponse { key: Some((&term.identity.signing_key()).into()) }))
    }

    async fn make_mediator_key(&self, _: Request<MakeKeyRequest>) -> Result<Response<MakeKeyResponse>, Status> {
        let term = self.term.lock().await;
        let Term { epoch, identity, .. } = term.as_ref().ok_or_else(|| refuse(Passive))?;
        let made = identity.add_key(KeyPurpose::Signing, &self.db, epoch).await.map_err(refuse)?;
        Ok(Response::new(MakeKeyResponse { key: Some(node_key(made)) }))
    }

    async fn initialize_mediator(
        &self,
        request: Request<InitializeMediatorRequest>,
    ) -> Result<Response<InitializeMediatorResponse>, Status> {
        let request = request.into_inner();
        let mut term = self.term.lock().await;
        let term = term.as_mut().ok_or_else(|| refuse(Passive))?;
        let setup = Setup {
            mediator: request.mediator_id.parse().map_err(unreadable).map_err(refuse)?,
            synchronizer: request.synchronizer_id.parse().map_err(unreadable).map_err(refuse)?,
            sequencers: request.sequencers,
            trust: Some(request.trust_certificates).filter(|pem| !pem.is_empty()),
        };
        let client = self.client.reaching(setup.sequencers.clone(), setup.trust.as_deref()).map_err(refuse)?;
        let topology = match request.topology.as_slice() {
            [] => ::mediator::founding(&term.identity, &setup, client).await.map_err(refuse)?,
            given => from_wire(given).map_err(refuse)?,
        };
        ::mediator::initialize(&self.db, &term.epoch, &setup, &topology).await.map_err(refuse)?;
        settled(&self.db);
        self.run(term).await.map_err(refuse)?;
        Ok(Response::new(InitializeMediatorResponse {}))
    }
}
