//! Commands with which a synchronizer is founded step by step, from a console for each node; where mediators and managers
//! find their sequencers.

use super::{
    NOT_SERVED, Node, argument, check, health,
    keys::{read, shown_key},
    refused, status, targets, topology,
};
use crate::shell::{connections::Sequencers, files, made, nodes::Kind};
use ::console::{Argument, Value};
use ::topology::{Mapping, Side};
use base::{MediatorId, MemberId, SynchronizerId, Uid};
use rpc::services::concordat::admin::v1::{
    manager_admin_service_client::ManagerAdminServiceClient, mediator_admin_service_client::MediatorAdminServiceClient,
    sequencer_admin_service_client::SequencerAdminServiceClient,
    sequencer_connection_service_client::SequencerConnectionServiceClient,
};
use std::collections::BTreeMap;
use wire::concordat::admin::v1::*;

pub(super) async fn call(
    nodes: &BTreeMap<String, Node>,
    node: &Node,
    path: &str,
    arguments: &[Argument],
) -> Result<Value, String> {
    match path {
        "initialization.initialize_from_beginning" => {
            check(arguments, &["domainId", "domainParameters"])?;
            let synchronizer_id = argument(arguments, 0, "domainId")?.plain();
            parameters(&argument(arguments, 1, "domainParameters")?)?;
            let request = PrepareSequencerRequest { synchronizer_id };
            let mut client = SequencerAdminServiceClient::new(node.admin.clone());
            let answer = client.prepare_sequencer(request).await.map_err(refused)?.into_inner();
            let fields = vec![
                ("keyId", made(Value::text("sequencer-id"))?),
                ("publicKey", shown_key(answer.key.as_ref())?),
                ("replicated", Value::Bool(answer.replicated)),
            ];
            made(Value::record("InitializeSequencerResponse", fields))
        }
        "initialization.bootstrap_topology" => {
            check(arguments, &["topologySnapshot"])?;
            let topology = files::read_transactions(&argument(arguments, 0, "topologySnapshot")?)?;
            let transactions = topology.into_iter().map(|stored| stored.transaction).collect();
            let request = InitializeSequencerRequest { synchronizer_id: String::new(), transactions };
            let mut client = SequencerAdminServiceClient::new(node.admin.clone());
            client.initialize_sequencer(request).await.map_err(refused)?;
            Ok(Value::Unit)
        }
        "mediator.initialize" => mediator(nodes, node, arguments).await,
        "setup.init" => {
            check(arguments, &["sequencerConnections"])?;
            let Sequencers { uris, trust } = Sequencers::read(nodes, &argument(arguments, 0, "sequencerConnections")?)?;
            let request =
                InitializeManagerRequest { sequencers: uris, topology: Vec::new(), trust_certificates: trust };
            let mut client = ManagerAdminServiceClient::new(node.admin.clone());
            client.initialize_manager(request).await.map_err(refused)?;
            Ok(Value::Unit)
        }
        "setup.helper.authorizeKey" => {
            check(arguments, &["key", "keyName", "owner"])?;
            let key = files::read_key(&argument(arguments, 0, "key")?)?;
            let member = topology::member(&argument(arguments, 2, "owner")?)?;
            topology::authorize(node, Mapping::OwnerToKey { member, key }, false).await.map(|_| Value::Unit)
        }
        "setup.authorize_mediator" => {
            check(arguments, &["mediator"])?;
            let mediators = targets(nodes, &argument(arguments, 0, "mediator")?)?;
            authorize_mediators(node, &mediators).await.map(|()| Value::Unit)
        }
        "setup.onboard_new_sequencer" => {
            check(arguments, &["initialSequencer", "newSequencer"])?;
            let known = targets(nodes, &argument(arguments, 0, "initialSequencer")?)?;
            let new = targets(nodes, &argument(arguments, 1, "newSequencer")?)?;
            let ([known], [new]) = (&known[..], &new[..]) else { return Err("it needs two sequencers".into()) };
            onboard_sequencer(node, known, new).await.map(|()| Value::Unit)
        }
        _ if path.starts_with("sequencer_connection.") => connection(nodes, node, path, arguments).await,
        _ => Err(format!("{path} {NOT_SERVED}")),
    }
}

pub(super) async fn bootstrap(manager: &Node, sequencers: &[&Node], mediators: &[&Node]) -> Result<(), String> {
    let (Some(first), Some((mediator, others))) = (sequencers.first(), mediators.split_first()) else {
        return Err("it needs a sequencer and a mediator".into());
    };
    if first.kind != Kind::Sequencer || mediators.iter().any(|mediator| mediator.kind != Kind::Mediator) {
        return Err("it needs a sequence of sequencers and one of mediators".into());
    }
    let mut all = Sequencers::default();
    for sequencer in sequencers {
        all.add(sequencer.sequencers()?);
    }
    let Sequencers { uris, trust } = all;
    let founding = demo::Founding {
        sequencer: first.admin.clone(),
        mediator: mediator.admin.clone(),
        manager: manager.admin.clone(),
        endpoints: uris,
        trust,
    };
    demo::found(founding).await.map_err(refused)?;
    authorize_mediators(manager, others).await
}

/// Gives further mediators a name and their keys in the synchronizer, tells them where they belong, and lets them serve.
async fn authorize_mediators(manager: &Node, mediators: &[&Node]) -> Result<(), String> {
    let me = status(manager).await?.member;
    let synchronizer = me.parse::<MemberId>().map_err(|error| format!("{me}: {error}"))?.uid;
    for mediator in mediators {
        if mediator.kind != Kind::Mediator {
            return Err(format!("{} is no mediator", mediator.name));
        }
        if status(mediator).await?.initialized {
            return Err(format!("{} is initialized already", mediator.name));
        }
        let uid = Uid::new(&mediator.name, synchronizer.namespace().clone()).map_err(|error| error.to_string())?;
        let id = MediatorId(uid);
        let mut client = MediatorAdminServiceClient::new(mediator.admin.clone());
        let key = client.get_mediator_key(GetKeyRequest {}).await.map_err(refused)?.into_inner().key;
        let owner = Mapping::OwnerToKey { member: id.member(), key: read(key.as_ref())? };
        topology::authorize(manager, owner, false).await?;
        let Sequencers { uris, trust } = current(manager).await?.ok_or("found the synchronizer first")?;
        let request = InitializeMediatorRequest {
            synchronizer_id: synchronizer.to_string(),
            mediator_id: id.0.to_string(),
            sequencers: uris,
            topology: topology::all(manager).await?,
            trust_certificates: trust,
        };
        client.initialize_mediator(request).await.map_err(refused)?;
        let synchronizer = SynchronizerId(synchronizer.clone());
        let state = Mapping::MediatorState { side: Side::Both, synchronizer, mediator: id };
        topology::authorize(manager, state, false).await?;
    }
    Ok(())
}

/// Sequencers share the database, so another one knows what the first one does; the manager is told where it is.
async fn onboard_sequencer(manager: &Node, known: &Node, new: &Node) -> Result<(), String> {
    let [first, second] = [status(known).await?, status(new).await?];
    if first.member.is_empty() || first.member != second.member {
        return Err(format!(
            "{} does not serve what {} does: sequencers of a synchronizer share one database",
            new.name, known.name
        ));
    }
    health::wait(new, |status| status.ready).await?;
    let mut all = current(manager).await?.ok_or("found the synchronizer first")?;
    all.add(new.sequencers()?);
    let connection = Some(SequencerConnection { sequencers: all.uris, trust_certificates: all.trust });
    let mut client = SequencerConnectionServiceClient::new(manager.admin.clone());
    client.set_sequencer_connection(SetSequencerConnectionRequest { connection }).await.map(drop).map_err(refused)
}

async fn mediator(nodes: &BTreeMap<String, Node>, node: &Node, arguments: &[Argument]) -> Result<Value, String> {
    let names = [
        "domainId",
        "mediatorId",
        "domainParameters",
        "sequencerConnections",
        "topologySnapshot",
        "signingKeyFingerprint",
    ];
    check(arguments, &names)?;
    parameters(&argument(arguments, 2, names[2])?)?;
    let snapshot = argument(arguments, 4, names[4]).ok();
    let snapshot = snapshot.as_ref().map(|given| given.items().map_or(Some(given), <[_]>::first)).unwrap_or_default();
    let topology = snapshot.map(files::read_transactions).transpose()?.unwrap_or_default();
    let Sequencers { uris, trust } = Sequencers::read(nodes, &argument(arguments, 3, names[3])?)?;
    let mediator = argument(arguments, 1, names[1])?.plain();
    let request = InitializeMediatorRequest {
        synchronizer_id: argument(arguments, 0, names[0])?.plain(),
        mediator_id: mediator.strip_prefix("MED::").unwrap_or(&mediator).to_owned(),
        sequencers: uris,
        topology,
        trust_certificates: trust,
    };
    let mut client = MediatorAdminServiceClient::new(node.admin.clone());
    client.initialize_mediator(request).await.map_err(refused)?;
    let key = client.get_mediator_key(GetKeyRequest {}).await.map_err(refused)?.into_inner().key;
    shown_key(key.as_ref())
}

fn parameters(value: &Value) -> Result<(), String> {
    match value {
        Value::Data(data) if data.kind == files::PARAMETERS => Ok(()),
        other => Err(format!("{} are needed, this is {}", files::PARAMETERS, other.type_name())),
    }
}

/// What `sequencer_connection.modify` changes.
pub(super) async fn subject(node: &Node) -> Result<Value, String> {
    let connection = current(node).await?.ok_or("it is not initialized, and has no sequencers yet")?;
    connection.connection()
}

async fn current(node: &Node) -> Result<Option<Sequencers>, String> {
    let mut client = SequencerConnectionServiceClient::new(node.admin.clone());
    let answer = client.get_sequencer_connection(GetSequencerConnectionRequest {}).await.map_err(refused)?;
    let of = |c: SequencerConnection| Sequencers { uris: c.sequencers, trust: c.trust_certificates };
    Ok(answer.into_inner().connection.map(of))
}

async fn connection(
    nodes: &BTreeMap<String, Node>,
    node: &Node,
    path: &str,
    arguments: &[Argument],
) -> Result<Value, String> {
    if path == "sequencer_connection.get" {
        check(arguments, &[])?;
        let shown = current(node).await?.map(|sequencers| sequencers.connections()).transpose()?;
        return made(Value::option(shown));
    }
    // Of `modify`, what its function has made.
    let name = if path == "sequencer_connection.set" { "connection" } else { "modifier" };
    check(arguments, &[name])?;
    let Sequencers { uris, trust } = Sequencers::read(nodes, &argument(arguments, 0, name)?)?;
    let connection = Some(SequencerConnection { sequencers: uris, trust_certificates: trust });
    let mut client = SequencerConnectionServiceClient::new(node.admin.clone());
    client.set_sequencer_connection(SetSequencerConnectionRequest { connection }).await.map_err(refused)?;
    Ok(Value::Unit)
}
