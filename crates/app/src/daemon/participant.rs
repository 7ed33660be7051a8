//! A participant: one replica is active, all serve the Ledger API.

use super::{
    DaemonError,
    host::{Host, NamedPort, identifier, port_failed, refuse, replica_config},
    tls,
};
use ::base::ParticipantId;
use ::identity::Identity;
use ::ledger::Ledger;
use ::ledger_api::LedgerApi;
use ::node::{ActiveReplica, NodeKind, Part, PartError, Replica};
use ::participant::{Active, DamlEngine, Interpreter, ParticipantError, ParticipantWrites, follow_packages};
use ::rpc::{
    ChannelConfig, Services,
    services::concordat::admin::v1::participant_admin_service_server::{
        ParticipantAdminService, ParticipantAdminServiceServer,
    },
};
use ::store::{Db, Epoch};
use ::tasks::Tasks;
use ::telemetry::Lag;
use ::wire::concordat::admin::v1::*;
use futures::future::{BoxFuture, FutureExt as _};
use std::sync::Arc;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

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
        lag: Lag::default(),
    });
    let failed = |source| DaemonError::Store { node: node.name.clone(), source };
    let replica_config = replica_config(node, NodeKind::Participant, &admin, Some(&ledger_port));
    let replica = Replica::start(db.clone(), replica_config, part.clone(), &host.tasks).map_err(failed)?;
    follow_packages(&db, interpreter.clone(), &host.tasks);
    follow_id(&part, &replica, &host.tasks);

    let forwards = node.replication.forward_when_passive;
    let active = replica.watch_active(move |active| route(active, forwards), &host.tasks);
    let here = part.here.subscribe();
    let writes = Arc::new(ParticipantWrites::new(db.clone(), interpreter.clone(), active, here, part.id.clone()));
    let mut api = LedgerApi::new(Ledger::new(db), writes, interpreter, host.tasks.clone());
    if let Some(tls) = &config.ledger_api.tls {
        let failed = |source| DaemonError::Tls { node: node.name.clone(), source };
        let tls = tls::own_client(tls).map_err(failed)?;
        api = api.with_channel(ChannelConfig { tls, ..ChannelConfig::default() });
    }
    let descriptors = [::rpc::LEDGER_API_V2_DESCRIPTORS];
    let ledger_services = api.serve(Services::new(&descriptors).map_err(port_failed(node))?);
    replica.report_health(ledger_services.health(), vec![String::new()], &host.tasks).await;

    let (shown, known, lag) = (replica.clone(), part.id.subscribe(), part.lag.clone());
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
    let services = host.admin_services(node)?.with(ParticipantAdminServiceServer::from_arc(part));
    host.report_health(node, &replica, "participant", services.health()).await?;
    host.serve(admin.port.with(services));
    host.serve(ledger_port.port.with(ledger_services));
    Ok(())
}

fn route(active: ActiveReplica, forwards: bool) -> ::ledger_api::Active {
    match active {
        ActiveReplica::Here => ::ledger_api::Active::Here,
        ActiveReplica::At(entry) if forwards => {
            entry.ledger_uri.map_or(::ledger_api::Active::Nobody, ::ledger_api::Active::At)
        }
        ActiveReplica::At(_) | ActiveReplica::Nobody => ::ledger_api::Active::Nobody,
    }
}

/// A passive replica learns who it is once the first active one has made the keys.
fn follow_id(part: &Arc<Participant>, replica: &Replica, tasks: &Tasks) {
    let (db, id) = (part.db.clone(), part.id.clone());
    let mut directory = replica.directory();
    let follow = async move {
        while id.borrow().is_none() {
            match Identity::load(&db).await {
                Ok(Some(identity)) => drop(id.send_replace(Some(ParticipantId(identity.uid().clone())))),
                Ok(None) => {}
                Err(error) => tracing::warn!("the keys cannot be read: {error}"),
            }
            if directory.changed().await.is_err() {
                return;
            }
        }
    };
    tasks.spawn_cancellable("follow identity", follow).detach();
}

/// What this node does while it is active, and its admin API.
struct Participant {
    db: Db,
    name: String,
    interpreter: Arc<dyn Interpreter>,
    here: watch::Sender<Option<Arc<Active>>>,
    id: watch::Sender<Option<ParticipantId>>,
    lag: Lag,
}

impl Part for Participant {
    fn activate(&self, epoch: Epoch, tasks: Tasks) -> BoxFuture<'_, Result<(), PartError>> {
        async move {
            let interpreter = self.interpreter.clone();
            let active =
                Active::begin(self.db.clone(), epoch, &self.name, interpreter, self.lag.clone(), tasks).await?;
            active.reconnect().await?;
            self.id.send_replace(Some(active.id().clone()));
            self.here.send_replace(Some(active));
            Ok(())
        }
        .boxed()
    }

    fn deactivated(&self) {
        self.here.send_replace(None);
        self.lag.clear();
    }
}

#[tonic::async_trait]
impl ParticipantAdminService for Participant {
    async fn connect_synchronizer(
        &self,
        request: Request<ConnectSynchronizerRequest>,
    ) -> Result<Response<ConnectSynchronizerResponse>, Status> {
        let request = request.into_inner();
        let active = self.here.borrow().clone().ok_or_else(|| refuse(ParticipantError::Passive))?;
        let registered = active.register(request.alias, request.sequencers, request.manual_connect).await;
        let synchronizer_id = registered.map_err(refuse)?.synchronizer.to_string();
        Ok(Response::new(ConnectSynchronizerResponse { synchronizer_id }))
    }

    async fn list_synchronizers(
        &self,
        _: Request<ListSynchronizersRequest>,
    ) -> Result<Response<ListSynchronizersResponse>, Status> {
        let registered = ::participant::synchronizers(&self.db).await;
        let registered = registered.map_err(refuse)?;
        let synchronizers = registered.into_iter().map(|r| SynchronizerStatus {
            alias: r.alias,
            synchronizer_id: r.synchronizer.to_string(),
            connected: r.connected,
        });
        Ok(Response::new(ListSynchronizersResponse { synchronizers: synchronizers.collect() }))
    }
}
