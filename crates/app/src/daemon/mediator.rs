//! A mediator: one replica is active.

use super::{
    DaemonError,
    domain::Home,
    host::{Host, NamedPort, client, identity, refuse, replica_config, settled},
    topology::{from_wire, unreadable},
};
use ::base::{Coded, ErrorCode, codes};
use ::config::NodeCommon;
use ::identity::Identity;
use ::mediator::{Context, MediatorError, Setup};
use ::node::{NodeKind, Part, PartError, Replica};
use ::rpc::{
    PassOn, Repeat, Router,
    services::concordat::admin::v1::mediator_admin_service_server::{MediatorAdminService, MediatorAdminServiceServer},
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
    let services = host.admin_services(node)?.with(service(part, &host.admin_router(node, &replica)?));
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
    runs: bool,
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
            };
            let topology = home.topology(::mediator::setup(&self.db).await?.is_some());
            ::mediator::initialize(&self.db, &term.epoch, &setup, topology).await?;
        }
        let Some(setup) = ::mediator::setup(&self.db).await? else { return Ok(()) };
        self.setup.send_replace(Some(setup.clone()));
        if !std::mem::replace(&mut term.runs, true) {
            let (epoch, identity) = (term.epoch.clone(), term.identity.clone());
            let context = Context { db: self.db.clone(), epoch, identity, setup, client: self.client.clone() };
            term.tasks.spawn_essential("mediator", ::mediator::run(context, term.tasks.clone())).detach();
        }
        Ok(())
    }
}

impl Part for Mediator {
    fn activate(&self, epoch: Epoch, tasks: Tasks) -> BoxFuture<'_, Result<(), PartError>> {
        async move {
            let identity = identity(&self.db, &epoch, "mediator").await?;
            let mut term = Term { epoch, identity, tasks, runs: false };
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
impl MediatorAdminService for Mediator {
    async fn get_mediator_key(&self, _: Request<GetKeyRequest>) -> Result<Response<GetKeyResponse>, Status> {
        let term = self.term.lock().await;
        let term = term.as_ref().ok_or_else(|| refuse(Passive))?;
        Ok(Response::new(GetKeyResponse { key: Some(term.identity.signing_key().into()) }))
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
        };
        let topology = from_wire(&request.topology).map_err(refuse)?;
        ::mediator::initialize(&self.db, &term.epoch, &setup, &topology).await.map_err(refuse)?;
        settled(&self.db);
        self.run(term).await.map_err(refuse)?;
        Ok(Response::new(InitializeMediatorResponse {}))
    }
}
