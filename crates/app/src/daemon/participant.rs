//! A participant: one replica is active, all serve the Ledger API.

use super::{
    DaemonError,
    host::{Host, NamedPort, client, identifier, port_failed, refuse, replica_config},
    topology::{TopologyAdmin, node_key, unreadable},
};
use ::base::{ParticipantId, SynchronizerId};
use ::crypto::{TokenKey, TokenKeyError};
use ::identity::Identity;
use ::ledger::Ledger;
use ::ledger_api::{AuthService, Guard, LedgerApi, Tokens};
use ::node::{NodeKind, Part, PartError, Replica};
use ::participant::{Active, DamlEngine, Interpreter, ParticipantError, ParticipantWrites, follow_packages};
use ::rpc::{
    PassOn, Repeat, Services,
    services::concordat::admin::v1::{
        participant_admin_service_server::{ParticipantAdminService, ParticipantAdminServiceServer},
        topology_service_server::TopologyServiceServer,
    },
};
use ::sequencer_client::ClientConfig;
use ::store::{Db, Epoch};
use ::tasks::Tasks;
use ::wire::concordat::admin::v1::*;
use futures::future::{BoxFuture, FutureExt as _};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

/// For an answer to a ping that names no other limit.
const PING: Duration = Duration::from_secs(20);

pub(crate) async fn start(host: &Host, config: ::config::Participant) -> Result<(), DaemonError> {
    let node = &config.node;
    let admin = NamedPort::take(host, node, "admin", &node.admin_api).await?;
    let ledger_port = NamedPort::take(host, node, "ledger", &config.ledger_api).await?;
    let migrations = [::identity::MIGRATIONS, ::ledger::MIGRATIONS, ::participant::MIGRATIONS, ::node::MIGRATIONS];
    let db = host.open(node, "participant", &migrations).await?;
    let interpreter: Arc<dyn Interpreter> = Arc::new(DamlEngine::default());
    let part = Arc::new(Participant {
        db: db.clone(),
        name: identifier(node),
        interpreter: interpreter.clone(),
        here: watch::Sender::new(None),
        id: watch::Sender::new(None),
        client: client(node),
    });
    let failed = |source| DaemonError::Store { node: node.name.clone(), source };
    let replica_config = replica_config(node, NodeKind::Participant, &admin, Some(&ledger_port));
    let replica = Replica::start(db.clone(), replica_config, part.clone(), &host.tasks).map_err(failed)?;
    host.participants.register(&node.name, part.here.subscribe());
    follow_packages(&db, interpreter.clone(), &host.tasks);
    host.follow(&db, &part.id, |db| {
        async move { Ok(Identity::load(&db).await?.map(|identity| ParticipantId(identity.uid().clone()))) }.boxed()
    });

    let router = host.router(node, &replica, &config.ledger_api, |entry| entry.ledger_uri)?;
    let here = part.here.subscribe();
    let writes =
        Arc::new(ParticipantWrites::new(db.clone(), interpreter.clone(), here, part.id.clone(), host.tasks.clone()));
    let shown_db = db.clone();
    let guard = guard(&config)?;
    let api = LedgerApi::new(Ledger::new(db), writes, router, interpreter, host.tasks.clone(), guard);
    let descriptors = [::rpc::LEDGER_API_V2_DESCRIPTORS];
    let ledger_services = api.serve(Services::new(&descriptors).map_err(port_failed(node))?);
    replica.report_health(ledger_services.health(), vec![String::new()], &host.tasks).await;

    let (shown, known, lag) = (replica.clone(), part.id.subscribe(), part.client.lag.clone());
    let ports = vec![admin.status(), ledger_port.status()];
    host.nodes.register(&node.name, Some(replica.clone()), move || {
        let id = known.borrow().clone();
        NodeStatus {
            initialized: id.is_some(),
            member: id.map(|id| id.member().to_string()).unwrap_or_default(),
            ports: ports.clone(),
            lag_ms: lag.millis(),
            ..shown.status()
        }
    });
    let admin_service = ParticipantAdminServiceServer::from_arc(part);
    let admin_service = PassOn::new(admin_service, &host.admin_router(node, &replica)?, passed_on);
    let topology = TopologyServiceServer::new(TopologyAdmin::of_participant(shown_db));
    let services = host.admin_services(node)?.with(admin_service).with(topology);
    host.report_health(node, &replica, "participant", services.health()).await?;
    host.serve(admin.port.with(services));
    host.serve(ledger_port.port.with(ledger_services));
    Ok(())
}

/// Who may call its Ledger API.
fn guard(config: &::config::Participant) -> Result<Guard, DaemonError> {
    let node = &config.node.name;
    let failed = |source| DaemonError::Tls { node: node.clone(), source };
    let services = config.auth_services.iter().map(|service| {
        type OfCertificate = fn(&[u8]) -> Result<TokenKey, TokenKeyError>;
        let of = |certificate: &PathBuf, key: OfCertificate| {
            let found = key(&::rpc::public_key_of(certificate).map_err(failed)?);
            found.map_err(|source| DaemonError::TokenKey { node: node.clone(), path: certificate.clone(), source })
        };
        let key = match &service.tokens {
            ::config::Tokens::Wildcard => None,
            ::config::Tokens::Hmac256(secret) => Some(TokenKey::hmac_256(secret.reveal().as_bytes())),
            ::config::Tokens::Rs256(certificate) => Some(of(certificate, TokenKey::rsa_256)?),
            ::config::Tokens::Es256(certificate) => Some(of(certificate, TokenKey::ecdsa_256)?),
            ::config::Tokens::Es512(certificate) => Some(of(certificate, TokenKey::ecdsa_512)?),
        };
        Ok(AuthService {
            tokens: key.map_or(Tokens::Wildcard, |key| Tokens::Key(Arc::new(key))),
            target_audience: service.target_audience.clone(),
            target_scope: service.target_scope.clone(),
        })
    });
    let services = services.collect::<Result<_, DaemonError>>()?;
    Ok(Guard::new(services, config.admin_token.as_ref().map(|token| token.reveal().to_owned())))
}

/// The admin calls that only the active replica can carry out.
fn passed_on(method: &str) -> Option<Repeat> {
    match method {
        // Each is served from what every replica can read.
        "ListSynchronizers" | "ListDars" => None,
        // The keys of a rotation that somebody did not hear of would be replaced at once.
        "RotateKeys" => Some(Repeat::Never),
        // What is as it is wished to be is left so.
        _ => Some(Repeat::Harmless),
    }
}

/// What this node does while it is active, and its admin API.
struct Participant {
    db: Db,
    name: String,
    interpreter: Arc<dyn Interpreter>,
    here: watch::Sender<Option<Arc<Active>>>,
    id: watch::Sender<Option<ParticipantId>>,
    client: ClientConfig,
}

impl Part for Participant {
    fn activate(&self, epoch: Epoch, tasks: Tasks) -> BoxFuture<'_, Result<(), PartError>> {
        async move {
            let interpreter = self.interpreter.clone();
            let active =
                Active::begin(self.db.clone(), epoch, &self.name, interpreter, self.client.clone(), true, tasks)
                    .await?;
            active.reconnect().await?;
            self.id.send_replace(Some(active.id().clone()));
            self.here.send_replace(Some(active));
            Ok(())
        }
        .boxed()
    }

    fn deactivated(&self) {
        self.here.send_replace(None);
        self.client.lag.clear();
    }
}

impl Participant {
    fn active(&self) -> Result<Arc<Active>, Status> {
        self.here.borrow().clone().ok_or_else(|| refuse(ParticipantError::Passive))
    }
}

/// How a synchronizer is to be reached, and which one it has to be.
fn read(
    config: Option<SynchronizerConfig>,
) -> Result<(participant::SynchronizerConfig, Option<SynchronizerId>), Status> {
    let config = config.ok_or_else(|| refuse(unreadable("the connection is missing")))?;
    let expected = Some(config.synchronizer_id).filter(|id| !id.is_empty());
    let expected = expected.map(|id| id.parse()).transpose().map_err(unreadable).map_err(refuse)?;
    let read = participant::SynchronizerConfig {
        alias: config.alias,
        sequencers: config.sequencers,
        manual_connect: config.manual_connect,
        priority: config.priority,
        trust: Some(config.trust_certificates).filter(|pem| !pem.is_empty()),
    };
    Ok((read, expected))
}

fn shown(registered: participant::Registered) -> SynchronizerStatus {
    let participant::SynchronizerConfig { alias, sequencers, manual_connect, priority, trust } = registered.config;
    let trust_certificates = trust.unwrap_or_default();
    let synchronizer_id = String::new();
    let config =
        SynchronizerConfig { alias, sequencers, manual_connect, priority, synchronizer_id, trust_certificates };
    SynchronizerStatus {
        config: Some(config),
        synchronizer_id: registered.synchronizer.to_string(),
        connected: registered.connected,
    }
}

#[tonic::async_trait]
impl ParticipantAdminService for Participant {
    async fn connect_synchronizer(
        &self,
        request: Request<ConnectSynchronizerRequest>,
    ) -> Result<Response<ConnectSynchronizerResponse>, Status> {
        let (config, expected) = read(request.into_inner().config)?;
        let registered = self.active()?.register_and_connect(config, expected.as_ref()).await.map_err(refuse)?;
        Ok(Response::new(ConnectSynchronizerResponse { synchronizer_id: registered.synchronizer.to_string() }))
    }

    async fn register_synchronizer(
        &self,
        request: Request<RegisterSynchronizerRequest>,
    ) -> Result<Response<RegisterSynchronizerResponse>, Status> {
        let (config, expected) = read(request.into_inner().config)?;
        let registered = self.active()?.register(config, expected.as_ref()).await.map_err(refuse)?;
        Ok(Response::new(RegisterSynchronizerResponse { synchronizer_id: registered.synchronizer.to_string() }))
    }

    async fn modify_synchronizer(
        &self,
        request: Request<ModifySynchronizerRequest>,
    ) -> Result<Response<ModifySynchronizerResponse>, Status> {
        let (config, expected) = read(request.into_inner().config)?;
        self.active()?.modify(config, expected.as_ref()).await.map_err(refuse)?;
        Ok(Response::new(ModifySynchronizerResponse {}))
    }

    async fn reconnect_synchronizer(
        &self,
        request: Request<ReconnectSynchronizerRequest>,
    ) -> Result<Response<ReconnectSynchronizerResponse>, Status> {
        let request = request.into_inner();
        let connected = self.active()?.reconnect_to(&request.alias, request.retry).await.map_err(refuse)?;
        Ok(Response::new(ReconnectSynchronizerResponse { connected }))
    }

    async fn reconnect_synchronizers(
        &self,
        request: Request<ReconnectSynchronizersRequest>,
    ) -> Result<Response<ReconnectSynchronizersResponse>, Status> {
        self.active()?.reconnect_all(request.into_inner().ignore_failures).await.map_err(refuse)?;
        Ok(Response::new(ReconnectSynchronizersResponse {}))
    }

    async fn disconnect_synchronizer(
        &self,
        request: Request<DisconnectSynchronizerRequest>,
    ) -> Result<Response<DisconnectSynchronizerResponse>, Status> {
        self.active()?.disconnect(&request.into_inner().alias).await.map_err(refuse)?;
        Ok(Response::new(DisconnectSynchronizerResponse {}))
    }

    async fn ping(&self, request: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        let request = request.into_inner();
        let other = request.participant_id.parse().map_err(unreadable).map_err(refuse)?;
        let timeout = if request.timeout_ms == 0 { PING } else { Duration::from_millis(request.timeout_ms) };
        let took = self.active()?.ping(&other, timeout).await.map_err(refuse)?;
        Ok(Response::new(PingResponse { took_ms: took.as_millis().try_into().unwrap_or(u64::MAX) }))
    }

    async fn rotate_keys(&self, _: Request<RotateKeysRequest>) -> Result<Response<RotateKeysResponse>, Status> {
        let made = self.active()?.rotate_keys().await.map_err(refuse)?;
        Ok(Response::new(RotateKeysResponse { keys: made.into_iter().map(node_key).collect() }))
    }

    async fn list_dars(&self, _: Request<ListDarsRequest>) -> Result<Response<ListDarsResponse>, Status> {
        let dars = ::participant::dars(&self.db).await.map_err(refuse)?.into_iter().map(|dar| DarDescription {
            hash: dar.hash,
            name: dar.name,
            main_package_id: dar.main.to_string(),
        });
        Ok(Response::new(ListDarsResponse { dars: dars.collect() }))
    }

    async fn list_synchronizers(
        &self,
        _: Request<ListSynchronizersRequest>,
    ) -> Result<Response<ListSynchronizersResponse>, Status> {
        let registered = ::participant::synchronizers(&self.db).await.map_err(refuse)?;
        Ok(Response::new(ListSynchronizersResponse { synchronizers: registered.into_iter().map(shown).collect() }))
    }
}
