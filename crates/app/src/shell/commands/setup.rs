//! Commands with which a synchronizer is founded step by step, from a console for each node; where mediators and managers
//! find their sequencers.

use super::{NOT_SERVED, Node, argument, check, keys::shown_key, refused, topology};
use crate::shell::{connections::Sequencers, files, made};
use ::console::{Argument, Value};
use ::topology::Mapping;
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
        _ if path.starts_with("sequencer_connection.") => connection(nodes, node, path, arguments).await,
        _ => Err(format!("{path} {NOT_SERVED}")),
    }
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
