//! A synchronizer manager: one replica is active.

use super::{
    DaemonError,
    domain::Home,
    host::{Host, NamedPort, client, identifier, identity, refuse, replica_config, settled},
    topology::{Unreadable, from_wire, unreadable},
};
use ::base::{Coded, ErrorCode, codes};
use ::config::{NodeCommon, SynchronizerParameters};
use ::crypto::PublicKey;
use ::identity::Identity;
use ::manager::{Context, ManagerError, Setup};
use ::node::{NodeKind, Part, PartError, Replica};
use ::rpc::{
    PassOn, Repeat, Router,
    services::concordat::admin::v1::manager_admin_service_server::{ManagerAdminService, ManagerAdminServiceServer},
};
use ::sequencer_client::ClientConfig;
use ::store::{Db, Epoch};
use ::tasks::Tasks;
use ::topology::{Mapping, Parameters};
use ::wire::concordat::admin::v1::*;
use futures::future::{BoxFuture, FutureExt as _};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tonic::{Request, Response, Status};

/// Wishes of operators that wait for the manager.
const REQUESTS: usize = 16;

pub(crate) async fn start(host: &Host, config: ::config::Manager) -> Result<(), DaemonError> {
    let node = &config.node;
    let admin = NamedPort::take(host, node, "admin", &node.admin_api).await?;
    let db = open(host, node).await?;
    let part = Manager::new(db.clone(), identifier(node), parameters(&config.parameters), client(node), None);
    let failed = |source| DaemonError::Store { node: node.name.clone(), source };
    let replica_config = replica_config(node, NodeKind::Manager, &admin, None);
    let replica = Replica::start(db, replica_config, part.clone(), &host.tasks).map_err(failed)?;

    host.follow(&part.db, &part.setup, |db| async move { Ok(::manager::setup(&db).await?) }.boxed());
    let (shown, ports, known) = (replica.clone(), vec![admin.status()], part.clone());
    host.nodes.register(&node.name, Some(replica.clone()), move || {
        let setup = known.setup.borrow().clone();
        NodeStatus {
            initialized: setup.is_some(),
            member: setup.map(|s| s.synchronizer.member().to_string()).unwrap_or_default(),
            ports: ports.clone(),
            lag_ms: known.client.lag.millis(),
            ..shown.status()
        }
    });
    let services = host.admin_services(node)?.with(service(part, &host.admin_router(node, &replica)?));
    host.report_health(node, &replica, "domain-manager", services.health()).await?;
    host.serve(admin.port.with(services));
    Ok(())
}

/// Its admin API, answered by the active replica.
pub(crate) fn service(part: Arc<Manager>, router: &Router) -> PassOn<ManagerAdminServiceServer<Manager>> {
    PassOn::new(ManagerAdminServiceServer::from_arc(part), router, |method| match method {
        // Somebody else may have changed them in between.
        "SetParameters" => Some(Repeat::Never),
        _ => Some(Repeat::Harmless),
    })
}

/// The database of a manager.
pub(crate) async fn open(host: &Host, node: &NodeCommon) -> Result<Db, DaemonError> {
    host.open(node, "manager", &[::identity::MIGRATIONS, ::manager::MIGRATIONS, ::node::MIGRATIONS]).await
}

pub(crate) fn parameters(config: &SynchronizerParameters) -> Parameters {
    Parameters {
        confirmation_response_timeout: config.participant_response_timeout,
        mediator_reaction_timeout: config.mediator_reaction_timeout,
        topology_change_delay: config.topology_change_delay,
        ledger_time_record_time_tolerance: config.ledger_time_record_time_tolerance,
        mediator_deduplication_timeout: config.ledger_time_record_time_tolerance * 2,
        ..Parameters::default()
    }
}

/// What this node does while it is active, and its admin API.
pub(crate) struct Manager {
    db: Db,
    /// In the synchronizer's identifier, if it has none yet.
    name: String,
    /// A new synchronizer begins with these.
    parameters: Parameters,
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
    /// To the manager while it works.
    requests: Option<mpsc::Sender<::manager::Request>>,
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("this replica of the domain manager is not active; ask the active one")]
    Passive,
    #[error("the domain manager has founded no synchronizer yet")]
    NotInitialized,
    #[error("this replica stopped being active; it is unknown whether the change was made")]
    BecamePassive,
}

impl Coded for Refused {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Passive | Self::BecamePassive => codes::NODE_IS_PASSIVE_REPLICA,
            Self::NotInitialized => codes::INVALID_ARGUMENT,
        }
    }

    fn definite_answer(&self) -> bool {
        !matches!(self, Self::BecamePassive)
    }
}

impl Manager {
    pub(crate) fn new(
        db: Db,
        name: String,
        parameters: Parameters,
        client: ClientConfig,
        home: Option<Arc<Home>>,
    ) -> Arc<Self> {
        let (term, setup) = (Mutex::new(None), watch::Sender::new(None));
        Arc::new(Self { db, name, parameters, home, term, client, setup })
    }

    /// Starts to work, if there is a synchronizer and the manager does not work already.
    async fn run(&self, term: &mut Term) -> Result<(), ManagerError> {
        if let Some(home) = &self.home {
            let setup = Setup { synchronizer: home.synchronizer.clone(), sequencers: vec![home.sequencer_uri.clone()] };
            let topology = home.topology(::manager::setup(&self.db).await?.is_some());
            ::manager::initialize(&self.db, &term.epoch, &setup, topology).await?;
        }
        let Some(setup) = ::manager::setup(&self.db).await? else { return Ok(()) };
        self.setup.send_replace(Some(setup.clone()));
        if term.requests.is_none() {
            let (requests, inbox) = mpsc::channel(REQUESTS);
            term.requests = Some(requests);
            let (epoch, identity) = (term.epoch.clone(), term.identity.clone());
            let context = Context { db: self.db.clone(), epoch, identity, setup, client: self.client.clone() };
            term.tasks.spawn_essential("manager", ::manager::run(context, inbox, term.tasks.clone())).detach();
        }
        Ok(())
    }
}

impl Part for Manager {
    fn activate(&self, epoch: Epoch, tasks: Tasks) -> BoxFuture<'_, Result<(), PartError>> {
        async move {
            let identity = identity(&self.db, &epoch, &self.name).await?;
            let mut term = Term { epoch, identity, tasks, requests: None };
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

fn key(key: Option<::wire::concordat::crypto::v1::PublicKey>, whose: &str) -> Result<PublicKey, Unreadable> {
    let key = key.ok_or_else(|| unreadable(format!("the key of the {whose} is missing")))?;
    PublicKey::try_from(&key).map_err(unreadable)
}

#[tonic::async_trait]
impl ManagerAdminService for Manager {
    async fn found_synchronizer(
        &self,
        request: Request<FoundSynchronizerRequest>,
    ) -> Result<Response<FoundSynchronizerResponse>, Status> {
        let request = request.into_inner();
        let sequencer = key(request.sequencer_key, "sequencer").map_err(refuse)?;
        let mediator = key(request.mediator_key, "mediator").map_err(refuse)?;
        let term = self.term.lock().await;
        let term = term.as_ref().ok_or_else(|| refuse(Refused::Passive))?;
        let founded =
            ::manager::found(&term.identity, self.parameters.clone(), &sequencer, &mediator).map_err(refuse)?;
        Ok(Response::new(FoundSynchronizerResponse {
            synchronizer_id: founded.synchronizer.to_string(),
            mediator_id: founded.mediator.to_string(),
            transactions: founded.topology.iter().map(|t| t.encode()).collect(),
        }))
    }

    async fn initialize_manager(
        &self,
        request: Request<InitializeManagerRequest>,
    ) -> Result<Response<InitializeManagerResponse>, Status> {
        let request = request.into_inner();
        let topology = from_wire(&request.topology).map_err(refuse)?;
        let mut term = self.term.lock().await;
        let term = term.as_mut().ok_or_else(|| refuse(Refused::Passive))?;
        let synchronizer = base::SynchronizerId(term.identity.uid().clone());
        let setup = Setup { synchronizer, sequencers: request.sequencers };
        ::manager::initialize(&self.db, &term.epoch, &setup, &topology).await.map_err(refuse)?;
        settled(&self.db);
        self.run(term).await.map_err(refuse)?;
        Ok(Response::new(InitializeManagerResponse {}))
    }

    async fn set_parameters(
        &self,
        request: Request<SetParametersRequest>,
    ) -> Result<Response<SetParametersResponse>, Status> {
        let request = request.into_inner();
        let (reply, answer) = oneshot::channel();
        {
            let term = self.term.lock().await;
            let term = term.as_ref().ok_or_else(|| refuse(Refused::Passive))?;
            let requests = term.requests.as_ref().ok_or_else(|| refuse(Refused::NotInitialized))?;
            let synchronizer = base::SynchronizerId(term.identity.uid().clone());
            let state = ::identity::load_topology(&self.db, &synchronizer).await.map_err(refuse)?;
            let head = state.head();
            let mut parameters = head.parameters().cloned().ok_or_else(|| refuse(Refused::NotInitialized))?;
            let milliseconds = |ms: Option<u64>, before| ms.map_or(before, Duration::from_millis);
            parameters.confirmation_response_timeout =
                milliseconds(request.participant_response_timeout_ms, parameters.confirmation_response_timeout);
            parameters.mediator_reaction_timeout =
                milliseconds(request.mediator_reaction_timeout_ms, parameters.mediator_reaction_timeout);
            let mapping = Mapping::Parameters { synchronizer, parameters };
            let request = ::manager::Request { mapping, reply };
            requests.send(request).await.map_err(|_| refuse(Refused::Passive))?;
        }
        let sequenced = answer.await.map_err(|_| refuse(Refused::BecamePassive))?.map_err(refuse)?;
        Ok(Response::new(SetParametersResponse { sequenced: sequenced.micros() }))
    }
}
