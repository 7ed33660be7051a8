//! A synchronizer manager: one replica is active.

use super::{
    DaemonError,
    connection::{self, Connected, NotInitialized, Sequencers},
    domain::Home,
    host::{Host, NamedPort, client, identifier, identity, refuse, replica_config, settled},
    topology::{TopologyAdmin, Unreadable, from_wire, node_key, unreadable},
};
use ::base::{Coded, ErrorCode, SynchronizerId, codes};
use ::config::{NodeCommon, SynchronizerParameters};
use ::crypto::{KeyPurpose, PublicKey};
use ::identity::Identity;
use ::manager::{Context, ManagerError, Setup};
use ::node::{NodeKind, Part, PartError, Replica};
use ::rpc::{
    PassOn, Repeat, Router,
    services::concordat::admin::v1::{
        manager_admin_service_server::{ManagerAdminService, ManagerAdminServiceServer},
        topology_service_server::TopologyServiceServer,
    },
};
use ::sequencer_client::ClientConfig;
use ::store::{Db, Epoch};
use ::tasks::Tasks;
use ::topology::{Mapping, Operation, Parameters, SignedTopologyTransaction, StoredTransaction, TopologyTransaction};
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
    host.follow(&part.db, &part.synchronizer, |db| {
        async move { Ok(Identity::load(&db).await?.map(|identity| SynchronizerId(identity.uid().clone()))) }.boxed()
    });
    let (shown, ports, known) = (replica.clone(), vec![admin.status()], part.clone());
    host.nodes.register(&node.name, Some(replica.clone()), move || NodeStatus {
        initialized: known.setup.borrow().is_some(),
        member: known.synchronizer.borrow().as_ref().map(|s| s.member().to_string()).unwrap_or_default(),
        ports: ports.clone(),
        lag_ms: known.client.lag.millis(),
        ..shown.status()
    });
    let router = host.admin_router(node, &replica)?;
    let services = host
        .admin_services(node)?
        .with(TopologyServiceServer::new(TopologyAdmin::of_manager(part.db.clone(), part.clone())))
        .with(connection::service(part.clone(), &router))
        .with(service(part, &router));
    host.report_health(node, &replica, "domain-manager", services.health()).await?;
    host.serve(admin.port.with(services));
    Ok(())
}

/// Its admin API, answered by the active replica.
pub(crate) fn service(part: Arc<Manager>, router: &Router) -> PassOn<ManagerAdminServiceServer<Manager>> {
    PassOn::new(ManagerAdminServiceServer::from_arc(part), router, |method| match method {
        // Somebody else may have changed them in between.
        "SetParameters" | "AuthorizeTopology" => Some(Repeat::Never),
        "GetStaticParameters" => None,
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
    /// Whose it is going to be, or is.
    synchronizer: watch::Sender<Option<SynchronizerId>>,
}

struct Term {
    epoch: Epoch,
    identity: Identity,
    tasks: Tasks,
    /// To the manager while it works.
    requests: Option<mpsc::Sender<::manager::Request>>,
    /// How it reaches the sequencers, while it works.
    client: Option<watch::Sender<ClientConfig>>,
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
        let (setup, synchronizer) = (watch::Sender::new(None), watch::Sender::new(None));
        Arc::new(Self { db, name, parameters, home, term: Mutex::new(None), client, setup, synchronizer })
    }

    /// What is authorized for the founding, as the admin API shows it; on any replica.
    pub(crate) async fn draft(&self) -> Result<Vec<StoredTopology>, Status> {
        let Some(identity) = Identity::load(&self.db).await.map_err(refuse)? else { return Ok(Vec::new()) };
        let draft = ::manager::draft(&self.db, &identity, self.parameters.clone()).await.map_err(refuse)?;
        let shown = |t: &SignedTopologyTransaction| StoredTopology { transaction: t.encode(), ..Default::default() };
        Ok(draft.iter().map(shown).collect())
    }

    /// Starts to work, if there is a synchronizer and the manager does not work already.
    async fn run(&self, term: &mut Term) -> Result<(), ManagerError> {
        if let Some(home) = &self.home {
            let setup = Setup {
                synchronizer: home.synchronizer.clone(),
                sequencers: vec![home.sequencer_uri.clone()],
                trust: None,
            };
            let topology = home.topology(::manager::setup(&self.db).await?.is_some());
            ::manager::initialize(&self.db, &term.epoch, &setup, topology).await?;
        }
        let Some(setup) = ::manager::setup(&self.db).await? else { return Ok(()) };
        self.setup.send_replace(Some(setup.clone()));
        let client = self.client.reaching(setup.sequencers.clone(), setup.trust.as_deref())?;
        if let Some(moves) = &term.client {
            moves.send_replace(client);
        } else {
            let (requests, inbox) = mpsc::channel(REQUESTS);
            term.requests = Some(requests);
            let (epoch, identity, moves) = (term.epoch.clone(), term.identity.clone(), watch::Sender::new(client));
            let context = Context { db: self.db.clone(), epoch, identity, setup, client: moves.subscribe() };
            term.client = Some(moves);
            term.tasks.spawn_essential("manager", ::manager::run(context, inbox, term.tasks.clone())).detach();
        }
        Ok(())
    }
}

impl Part for Manager {
    fn activate(&self, epoch: Epoch, tasks: Tasks) -> BoxFuture<'_, Result<(), PartError>> {
        async move {
            let identity = identity(&self.db, &epoch, &self.name).await?;
            let mut term = Term { epoch, identity, tasks, requests: None, client: None };
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

    async fn get_manager_key(&self, _: Request<GetKeyRequest>) -> Result<Response<GetKeyResponse>, Status> {
        let term = self.term.lock().await;
        let term = term.as_ref().ok_or_else(|| refuse(Refused::Passive))?;
        Ok(Response::new(GetKeyResponse { key: Some((&term.identity.signing_key()).into()) }))
    }

    async fn make_manager_key(&self, _: Request<MakeKeyRequest>) -> Result<Response<MakeKeyResponse>, Status> {
        let term = self.term.lock().await;
        let Term { epoch, identity, .. } = term.as_ref().ok_or_else(|| refuse(Refused::Passive))?;
        let made = identity.add_key(KeyPurpose::Signing, &self.db, epoch).await.map_err(refuse)?;
        Ok(Response::new(MakeKeyResponse { key: Some(node_key(made)) }))
    }

    async fn initialize_manager(
        &self,
        request: Request<InitializeManagerRequest>,
    ) -> Result<Response<InitializeManagerResponse>, Status> {
        let request = request.into_inner();
        let mut term = self.term.lock().await;
        let term = term.as_mut().ok_or_else(|| refuse(Refused::Passive))?;
        let synchronizer = SynchronizerId(term.identity.uid().clone());
        let trust = Some(request.trust_certificates).filter(|pem| !pem.is_empty());
        let setup = Setup { synchronizer, sequencers: request.sequencers, trust };
        let client = self.client.reaching(setup.sequencers.clone(), setup.trust.as_deref()).map_err(refuse)?;
        let topology = match request.topology.as_slice() {
            [] => ::manager::founding(&term.identity, &setup, client).await.map_err(refuse)?,
            given => from_wire(given).map_err(refuse)?,
        };
        ::manager::initialize(&self.db, &term.epoch, &setup, &topology).await.map_err(refuse)?;
        settled(&self.db);
        self.run(term).await.map_err(refuse)?;
        Ok(Response::new(InitializeManagerResponse {}))
    }

    async fn authorize_topology(
        &self,
        request: Request<AuthorizeTopologyRequest>,
    ) -> Result<Response<AuthorizeTopologyResponse>, Status> {
        let wanted = TopologyTransaction::decode(&request.into_inner().transaction).map_err(unreadable);
        let TopologyTransaction { mapping, operation, .. } = wanted.map_err(refuse)?;
        if let Some(synchronizer) = mapping.synchronizer() {
            let known = self.term.lock().await.as_ref().map(|term| term.identity.uid().clone());
            if known.is_some_and(|known| synchronizer.0 != known) {
                return Err(refuse(unreadable(format!("{synchronizer} is not this manager's synchronizer"))));
            }
        }
        let answer = {
            let term = self.term.lock().await;
            let term = term.as_ref().ok_or_else(|| refuse(Refused::Passive))?;
            match &term.requests {
                Some(requests) => wish(requests, mapping, operation).await?,
                None => {
                    let wish = (mapping, operation);
                    let parameters = self.parameters.clone();
                    let signed = ::manager::authorize(&self.db, &term.epoch, &term.identity, parameters, wish).await;
                    let transaction = signed.map_err(refuse)?.encode();
                    return Ok(Response::new(AuthorizeTopologyResponse { transaction, sequenced: None }));
                }
            }
        };
        let stored = answer.await.map_err(|_| refuse(Refused::BecamePassive))?.map_err(refuse)?;
        let (transaction, sequenced) = (stored.transaction.encode(), Some(stored.sequenced.micros()));
        Ok(Response::new(AuthorizeTopologyResponse { transaction, sequenced }))
    }

    async fn get_static_parameters(
        &self,
        _: Request<GetStaticParametersRequest>,
    ) -> Result<Response<GetStaticParametersResponse>, Status> {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let parameters = StaticParameters {
            protocol_version: ::sequencer::PROTOCOL_VERSION,
            unique_contract_keys: false,
            signing_key_schemes: texts(&["Ed25519", "ECDSA-P256", "ECDSA-P384"]),
            encryption_key_schemes: texts(&["ECIES-P256_HMAC256_AES128-GCM"]),
            symmetric_key_schemes: texts(&["AES128-GCM"]),
            hash_algorithms: texts(&["Sha256"]),
            key_formats: texts(&["DER"]),
        };
        Ok(Response::new(GetStaticParametersResponse { parameters: Some(parameters) }))
    }

    async fn set_parameters(
        &self,
        request: Request<SetParametersRequest>,
    ) -> Result<Response<SetParametersResponse>, Status> {
        let request = request.into_inner();
        let answer = {
            let term = self.term.lock().await;
            let term = term.as_ref().ok_or_else(|| refuse(Refused::Passive))?;
            let requests = term.requests.as_ref().ok_or_else(|| refuse(Refused::NotInitialized))?;
            let synchronizer = SynchronizerId(term.identity.uid().clone());
            let state = ::identity::load_topology(&self.db, &synchronizer).await.map_err(refuse)?;
            let head = state.head();
            let mut parameters = head.parameters().cloned().ok_or_else(|| refuse(Refused::NotInitialized))?;
            let milliseconds = |ms: Option<u64>, before| ms.map_or(before, Duration::from_millis);
            parameters.confirmation_response_timeout =
                milliseconds(request.participant_response_timeout_ms, parameters.confirmation_response_timeout);
            parameters.mediator_reaction_timeout =
                milliseconds(request.mediator_reaction_timeout_ms, parameters.mediator_reaction_timeout);
            wish(requests, Mapping::Parameters { synchronizer, parameters }, Operation::AddReplace).await?
        };
        let stored = answer.await.map_err(|_| refuse(Refused::BecamePassive))?.map_err(refuse)?;
        Ok(Response::new(SetParametersResponse { sequenced: stored.sequenced.micros() }))
    }
}

type Answer = oneshot::Receiver<Result<StoredTransaction, ManagerError>>;

/// Hands a wish to the manager that works.
async fn wish(
    requests: &mpsc::Sender<::manager::Request>,
    mapping: Mapping,
    operation: Operation,
) -> Result<Answer, Status> {
    let (reply, answer) = oneshot::channel();
    let request = ::manager::Request { mapping, operation, reply };
    requests.send(request).await.map_err(|_| refuse(Refused::Passive))?;
    Ok(answer)
}

#[tonic::async_trait]
impl Connected for Manager {
    async fn sequencers(&self) -> Result<Option<Sequencers>, Status> {
        let setup = ::manager::setup(&self.db).await.map_err(refuse)?;
        Ok(setup.map(|setup| (setup.sequencers, setup.trust)))
    }

    async fn redirect(&self, (sequencers, trust): Sequencers) -> Result<(), Status> {
        let mut term = self.term.lock().await;
        let term = term.as_mut().ok_or_else(|| refuse(Refused::Passive))?;
        let stored = ::manager::setup(&self.db).await.map_err(refuse)?;
        let stored = stored.ok_or_else(|| refuse(NotInitialized("domain manager")))?;
        self.client.reaching(sequencers.clone(), trust.as_deref()).map_err(refuse)?;
        let setup = Setup { sequencers, trust, ..stored };
        ::manager::initialize(&self.db, &term.epoch, &setup, &[]).await.map_err(refuse)?;
        self.run(term).await.map_err(refuse)
    }
}
